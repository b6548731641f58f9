"""ProcessBench's F1 of first errors. Source: QwenLM/ProcessBench, its evaluation code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def processbench_f1(
    rows: Sequence[Mapping[str, Any]], predict: Callable[[Sequence[str]], int | None]
) -> dict[str, float | int]:
    """ProcessBench's three numbers, in per cent, and the counts behind them.

    `rows` are ProcessBench's own: `label` is the 0-based index of the first wrong step, −1 for none. `predict` speaks
    the project's language: the first wrong step, 1-based, None for none; the conversion happens here. `error_acc` is
    the share of the erroneous rows whose first error is named exactly, `correct_acc` the share of the clean rows in
    which none is named, `f1` their harmonic mean (0 where both are 0).
    """
    hits = {True: 0, False: 0}
    totals = {True: 0, False: 0}
    for row in rows:
        wrong = row["label"] != -1
        step = predict(row["steps"])
        totals[wrong] += 1
        hits[wrong] += (-1 if step is None else step - 1) == row["label"]
    error, correct = (100 * hits[k] / totals[k] if totals[k] else 0.0 for k in (True, False))
    f1 = 2 * error * correct / (error + correct) if error + correct else 0.0
    return {"error_acc": error, "correct_acc": correct, "f1": f1, "n_error": totals[True], "n_correct": totals[False]}
