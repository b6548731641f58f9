"""How far two judges agree: ProcessBench's F1 for first errors, and our grader against public expectations.

Source of the metric: QwenLM/ProcessBench, its evaluation code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepviz import answers


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


def equivalence_agreement(path: Path) -> dict[str, Any]:
    """Our grader on a file of `{gold, pred, equal, kind}` a line, whose expectations are other graders' own tests.

    Agreement counts "unknown" as a disagreement, whichever way the expectation goes. `differences` names each by its
    line (1-based), with our verdict and reason.
    """
    with path.open(encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines if line.strip()]
    agreed: Counter[str] = Counter()
    differences = []
    for line, case in enumerate(cases, 1):
        result = answers.equal(case["gold"], case["pred"])
        if result.verdict == ("equal" if case["equal"] else "different"):
            agreed[case["kind"]] += 1
        else:
            differences.append(
                {
                    "line": line,
                    "kind": case["kind"],
                    "expected": "equal" if case["equal"] else "different",
                    "verdict": result.verdict,
                    "reason": result.reason,
                }
            )
    kinds = Counter(case["kind"] for case in cases)
    return {
        "n": len(cases),
        "agreed": sum(agreed.values()),
        "agreement": sum(agreed.values()) / len(cases) if cases else 0.0,
        "by_kind": {kind: [agreed[kind], kinds[kind]] for kind in sorted(kinds)},
        "differences": differences,
    }
