"""A scorer's numbers against labels of steps: every threshold, curves and bins. Nothing is chosen on what is told.

Labels are 1 (well) and 0 (an error); a score is the chance of 1 that the scorer states. Curves come from scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10
POINTS = 200  # of a curve that is drawn


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve with the thresholds they stand at. area: under it; None with one class alone."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    thresholds: tuple[float, ...]
    area: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Of a reliability diagram: the scores from low to high, their mean, and the share of labels 1 among them."""

    low: float
    high: float
    n: int
    score: float
    share: float


def roc(labels: Sequence[int], scores: Sequence[float]) -> Curve | None:
    """False positives by true positives, an *error* being what is to be found; None with one class alone."""
    from sklearn.metrics import auc, roc_curve

    if len(set(labels)) < 2:
        return None
    x, y, at = roc_curve(1 - np.asarray(labels), 1 - np.asarray(scores, float))
    return Curve(_told(x), _told(y), _told(1 - at), float(auc(x, y)))


def precision_recall(labels: Sequence[int], scores: Sequence[float]) -> Curve | None:
    """Recall by precision of errors; its area is the average precision."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    if len(set(labels)) < 2:
        return None
    errors, doubts = 1 - np.asarray(labels), 1 - np.asarray(scores, float)
    precision, recall, at = precision_recall_curve(errors, doubts)
    return Curve(_told(recall), _told(precision), _told(1 - at), float(average_precision_score(errors, doubts)))


def bounded(curve: Curve, points: int = POINTS) -> Curve:
    """At most so many points of it, evenly along its length, both ends among them; the area stays that of the whole."""
    n = len(curve.x)
    if n <= points:
        return curve
    steps = np.abs(np.diff(curve.x)) + np.abs(np.diff(curve.y))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    near = np.searchsorted(along, np.linspace(0, along[-1], points))
    kept = sorted({0, n - 1, *(int(i) for i in np.minimum(near, n - 1))})[:points]
    kept[-1] = n - 1
    x, y = (tuple(line[i] for i in kept) for line in (curve.x, curve.y))
    return Curve(x, y, tuple(curve.thresholds[i] for i in kept if i < len(curve.thresholds)), curve.area)


def reliability(labels: Sequence[int], scores: Sequence[float], bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of equal width over [0, 1]; empty ones are left out. A score on a border belongs to the upper bin."""
    y, p = np.asarray(labels, float), np.asarray(scores, float)
    place = np.minimum((p * bins).astype(int), bins - 1)
    return tuple(
        Bin(i / bins, (i + 1) / bins, int(here.sum()), float(p[here].mean()), float(y[here].mean()))
        for i in range(bins)
        if (here := place == i).any()
    )


def _told(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(np.clip(v, 0, 1)) for v in values)
