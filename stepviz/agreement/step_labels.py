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
        Said(o.problem, (o.chain, i), o.judge, LABELS[label] if ratings else ERROR if label == BAD else FINE)
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
