"""Where two judges see the first error: whether they see one at all, and where, kept apart.

A table has the categories NONE_WRONG, 1 … M. "a" is the reference, where one is: ProcessBench's accuracies are shares
of what a says.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stepviz.agreement.opinions import Opinion
from stepviz.agreement.tables import Said, share


def said(opinions: Iterable[Opinion]) -> list[Said]:
    """A label a chain, the number of its first wrong step; chains of which that is not known are left out."""
    return [Said(o.problem, o.chain, o.judge, o.first, o.arm) for o in opinions if o.first is not None]


def said_at_all(opinions: Iterable[Opinion]) -> list[Said]:
    """A label a chain: 1 where any step is wrong, also where it is not known which is the first; 0 where none is."""
    return [Said(o.problem, o.chain, o.judge, int(o.error), o.arm) for o in opinions if o.error is not None]


def exact(tables: np.ndarray) -> np.ndarray:
    """Share of the same step, where both see an error."""
    return _within(tables, 0)


def within_one(tables: np.ndarray) -> np.ndarray:
    """Share of the same step or one next to it, where both see an error."""
    return _within(tables, 1)


def both(table: np.ndarray) -> float:
    """In how many of [M + 1, M + 1] both see an error."""
    return float(table[1:, 1:].sum())


def same(tables: np.ndarray) -> np.ndarray:
    """Share of the same answer, "no step is wrong" among them."""
    return share(np.einsum("...ii->...", tables), tables.sum((-2, -1)))


def error_accuracy(tables: np.ndarray) -> np.ndarray:
    """ProcessBench: where a sees an error, the share in which b names the same step."""
    wrong = tables[..., 1:, :]
    return share(np.einsum("...ii->...", wrong[..., 1:]), wrong.sum((-2, -1)))


def correct_accuracy(tables: np.ndarray) -> np.ndarray:
    """ProcessBench: where a sees none, the share in which b sees none."""
    return share(tables[..., 0, 0], tables[..., 0, :].sum(-1))


def f1(tables: np.ndarray) -> np.ndarray:
    """ProcessBench: the harmonic mean of the two."""
    error, correct = error_accuracy(tables), correct_accuracy(tables)
    both = error + correct
    return np.where(both == 0, 0.0, 2 * error * correct / np.where(both == 0, 1, both))


def _within(tables: np.ndarray, steps: int) -> np.ndarray:
    both = tables[..., 1:, 1:]
    near = np.abs(np.subtract.outer(np.arange(both.shape[-1]), np.arange(both.shape[-1]))) <= steps
    return share((both * near).sum((-2, -1)), both.sum((-2, -1)))
