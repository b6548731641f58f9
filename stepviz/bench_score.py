"""Seconds to score 64 chains of ten steps with the embedded SORM, against scoring prefix by prefix.

One pass over a chain holds the scores of all its prefixes; a sequence classifier would read each prefix anew. The
baselines do that, in batches by our own code and in single calls of the library; all ways give the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from stepviz.reward import load_scorer
from stepviz.reward.scorer import Scorer
from stepviz.world import embedded_problems

SORM = "embedded:sorm"
CHAINS, STEPS = 64, 10
REPEATS = 5
Work = list[tuple[str, list[str]]]


def rates(model: str = SORM) -> list[dict[str, Any]]:
    """A row a way, the median of some runs; `times ours` is a way's seconds over ours. On the CPU."""
    scorer, work = load_scorer(model, "cpu"), chains()
    ways: dict[str, tuple[Callable[[], list[list[float]]], int]] = {
        "ours: one pass a chain, by length": (lambda: scorer.score(work), REPEATS),
        "prefix by prefix, in batches by length": (lambda: _prefixes(scorer, work), 3),
        "prefix by prefix, single calls": (lambda: _single_calls(scorer, work), 1),
    }
    expected = scorer.score(work)  # warm
    rows = [_row(name, *way, expected) for name, way in ways.items()]
    ours = rows[0]["seconds"]
    return [{**row, "times ours": round(row["seconds"] / ours, 1)} for row in rows]


def chains() -> Work:
    """Test problems with their reference solution, said again from its start where it is short of ten steps."""
    work = []
    for problem in embedded_problems("test", CHAINS):
        lines = (problem.solution or "").split("\n")
        work.append((problem.question, [lines[i % len(lines)] for i in range(STEPS)]))
    return work


def _row(
    name: str, way: Callable[[], list[list[float]]], repeats: int, expected: Sequence[Sequence[float]]
) -> dict[str, Any]:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        found = way()
        seconds.append(time.perf_counter() - started)
    apart = max(abs(a - b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True))
    assert apart < 1e-3, (name, apart)
    return {"way": name, "chains": len(found), "steps": STEPS, "seconds": round(median(seconds), 3)}


def _prefixes(scorer: Scorer, work: Work) -> list[list[float]]:
    """Each prefix is a chain of its own, of which the last score is kept."""
    prefixes = [(question, steps[:i]) for question, steps in work for i in range(1, STEPS + 1)]
    last = iter([scores[-1] for scores in scorer.score(prefixes)])
    return [[next(last) for _ in steps] for _, steps in work]


def _single_calls(scorer: Scorer, work: Work) -> list[list[float]]:
    """The library's own forward pass on one prefix after another."""
    import torch

    found = []
    with torch.inference_mode():
        for question, steps in work:
            prefixes = [scorer.encode(question, steps[:i]).ids for i in range(1, STEPS + 1)]
            logits = [scorer.model(input_ids=torch.tensor([ids])).logits[0, -1] for ids in prefixes]
            found.append([float(x.softmax(-1)[1] if len(x) == 2 else x.sigmoid()[0]) for x in logits])
    return found
