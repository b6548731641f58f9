"""Every threshold of a scorer against a reference, and the one to choose on a development split.

A step scored at or below the threshold is an error; the first of them is where the scorer sees the chain go wrong.
First errors are held against the reference's first errors, steps against every step that the reference spoke of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepviz.agreement import coefficients as co
from stepviz.agreement import step_labels as sl
from stepviz.agreement.opinions import NONE_WRONG

POINTS = 99  # thresholds that are looked at: quantiles of the scores
# what a threshold may be chosen by: a field of At, in words
CHOICES = {"f1": "ProcessBench's F1", "step_f1": "F1 of steps", "balanced": "balanced accuracy", "kappa": "kappa"}
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class At:
    """ProcessBench's numbers at a threshold, and those of steps; nan where the reference has none of the kind, or the
    statistic is undefined. flagged: the share of steps at or below it."""

    threshold: float
    error_acc: float
    correct_acc: float
    f1: float
    precision: float = NAN
    recall: float = NAN
    step_f1: float = NAN
    balanced: float = NAN
    kappa: float = NAN
    flagged: float = NAN


def sweep(
    firsts: Sequence[int],
    scores: Sequence[Sequence[float]],
    points: int = POINTS,
    labels: Sequence[int] = (),
    given: Sequence[float] = (),
) -> tuple[At, ...]:
    """firsts: what the reference says, NONE_WRONG or a step; scores: of the same chains. labels: 1 well or 0 an error,
    and given: the score, of each step that it spoke of. In order of the threshold."""
    assert len(firsts) == len(scores)
    assert len(labels) == len(given)
    every = [np.asarray(s, float) for s in (*scores, given) if len(s)]
    if not every:
        return ()
    quantiles = np.quantile(np.concatenate(every), np.linspace(0, 1, points + 2)[1:-1], method="nearest")
    where = np.unique(quantiles)
    return tuple(
        At(*map(float, at))
        for at in zip(where, *_of_firsts(firsts, scores, where), *_of_steps(labels, given, where), strict=True)
    )


def first_at(scores: Sequence[float], thresholds: np.ndarray) -> np.ndarray:
    """The first step scored at or below each threshold, NONE_WRONG where none is."""
    below = np.asarray(scores, float)[None] <= thresholds[:, None]
    return np.where(below.any(1), below.argmax(1) + 1, NONE_WRONG)


def best(points: Sequence[At], by: str = "f1") -> At | None:
    """The highest, by one of CHOICES; of several the one in their middle, which others of the kind are likeliest to
    share."""
    known = [at for at in points if not np.isnan(getattr(at, by))]
    if not known:
        return None
    most = max(getattr(at, by) for at in known)
    top = [at for at in known if getattr(at, by) == most]
    return top[len(top) // 2]


def _of_firsts(firsts: Sequence[int], scores: Sequence[Sequence[float]], where: np.ndarray) -> tuple[np.ndarray, ...]:
    """error_acc, correct_acc, f1."""
    unknown = np.full(len(where), np.nan)
    if not scores:
        return unknown, unknown, unknown
    wrong = np.asarray(firsts) != NONE_WRONG
    hits = np.stack([first_at(s, where) == first for s, first in zip(scores, firsts, strict=True)])  # [chains, points]
    error, correct = (hits[kind].mean(0) if kind.any() else unknown for kind in (wrong, ~wrong))
    f1 = np.where(error + correct == 0, 0.0, 2 * error * correct / np.where(error + correct == 0, 1, error + correct))
    return error, correct, f1


def _of_steps(labels: Sequence[int], given: Sequence[float], where: np.ndarray) -> tuple[np.ndarray, ...]:
    """precision, recall, step_f1, balanced, kappa, flagged: a is the reference, b the scorer."""
    wrong, scores = np.asarray(labels, int) == 0, np.asarray(given, float)
    sides = [np.sort(scores[kind]) for kind in (~wrong, wrong)]
    flagged = np.stack([np.searchsorted(side, where, side="right") for side in sides], -1)  # [points, fine or error]
    spared = np.array([len(side) for side in sides]) - flagged
    tables = np.stack([spared, flagged], -1).astype(float)
    statistics = sl.precision, sl.recall, sl.f1, sl.balanced, co.kappa, sl.errors_of_b
    return tuple(statistic(tables) for statistic in statistics)
