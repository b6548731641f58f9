"""Step by step: the labels two judges gave to the same steps, error or none, and how well one foretells the other's."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stepviz.agreement.opinions import BAD, Opinion
from stepviz.agreement.tables import Said, share

FINE, ERROR = 0, 1  # categories
LABELS = {1: 0, 0: 1, -1: 2}  # of the three ratings: good, neutral, bad


def said(opinions: Iterable[Opinion], *, ratings: bool = False) -> list[Said]:
    """A label a step that the judge spoke of: FINE or ERROR (PRM800K's 0 is no error), or with `ratings` all three."""
    return [
        Said(o.problem, (o.chain, i), o.judge, LABELS[label] if ratings else ERROR if label == BAD else FINE, o.arm)
        for o in opinions
        for i, label in enumerate(o.steps, 1)
        if label is not None
    ]


def precision(tables: np.ndarray) -> np.ndarray:
    """Of the steps that b calls errors, the share that a does."""
    return share(tables[..., ERROR, ERROR], tables[..., :, ERROR].sum(-1))


def recall(tables: np.ndarray) -> np.ndarray:
    """Of the steps that a calls errors, the share that b does."""
    return share(tables[..., ERROR, ERROR], tables[..., ERROR, :].sum(-1))


def f1(tables: np.ndarray) -> np.ndarray:
    """The harmonic mean of the two: 2 TP / (2 TP + FP + FN). Undefined where neither calls any step an error."""
    hits = tables[..., ERROR, ERROR]
    return share(2 * hits, tables[..., ERROR, :].sum(-1) + tables[..., :, ERROR].sum(-1))


def balanced(tables: np.ndarray) -> np.ndarray:
    """Balanced accuracy: the mean of the shares of a's errors and of a's other steps that b calls the same."""
    return (recall(tables) + share(tables[..., FINE, FINE], tables[..., FINE, :].sum(-1))) / 2


def errors_of_a(tables: np.ndarray) -> np.ndarray:
    """The share of steps that a calls errors."""
    return share(tables[..., ERROR, :].sum(-1), tables.sum((-2, -1)))


def errors_of_b(tables: np.ndarray) -> np.ndarray:
    return share(tables[..., :, ERROR].sum(-1), tables.sum((-2, -1)))
