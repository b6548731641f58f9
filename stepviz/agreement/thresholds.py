"""Every threshold of a scorer against a reference's first errors, and the one to choose on a development split.

A step scored at or below the threshold is an error; the first of them is where the scorer sees the chain go wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepviz.agreement.opinions import NONE_WRONG

POINTS = 99  # thresholds that are looked at: quantiles of the scores


@dataclass(frozen=True, slots=True)
class At:
    """ProcessBench's numbers at a threshold; nan where the reference has no chain of the kind."""

    threshold: float
    error_acc: float
    correct_acc: float
    f1: float


def sweep(firsts: Sequence[int], scores: Sequence[Sequence[float]], points: int = POINTS) -> tuple[At, ...]:
    """firsts: what the reference says, NONE_WRONG or a step; scores: of the same chains. In order of the threshold."""
    assert len(firsts) == len(scores)
    if not scores:
        return ()
    every = np.concatenate([np.asarray(s, float) for s in scores])
    where = np.unique(np.quantile(every, np.linspace(0, 1, points + 2)[1:-1], method="nearest"))
    wrong = np.asarray(firsts) != NONE_WRONG
    hits = np.stack([first_at(s, where) == first for s, first in zip(scores, firsts, strict=True)])  # [chains, points]
    error, correct = (hits[kind].mean(0) if kind.any() else np.full(len(where), np.nan) for kind in (wrong, ~wrong))
    f1 = np.where(error + correct == 0, 0.0, 2 * error * correct / np.where(error + correct == 0, 1, error + correct))
    return tuple(At(*map(float, at)) for at in zip(where, error, correct, f1, strict=True))


def first_at(scores: Sequence[float], thresholds: np.ndarray) -> np.ndarray:
    """The first step scored at or below each threshold, NONE_WRONG where none is."""
    below = np.asarray(scores, float)[None] <= thresholds[:, None]
    return np.where(below.any(1), below.argmax(1) + 1, NONE_WRONG)


def best(points: Sequence[At]) -> At | None:
    """The highest F1; of several the one in their middle, which others of the kind are likeliest to share."""
    known = [at for at in points if not np.isnan(at.f1)]
    if not known:
        return None
    most = max(at.f1 for at in known)
    top = [at for at in known if at.f1 == most]
    return top[len(top) // 2]
