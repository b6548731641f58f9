"""Correct against still solvable: two questions of the same steps, and the two cells in which their answers part.

PRMs and most data sets of people label the first, rollouts and SORMs the second. "Wrong but recoverable": the problem
can still be solved from a step that is not correct. "Right but a dead end": it cannot, though the step is correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepviz.agreement.opinions import BAD, Opinion
from stepviz.statistics import Estimate, bootstrap, mean

CELLS = ("right, solvable", "right but a dead end", "wrong but recoverable", "wrong, lost")


@dataclass(frozen=True, slots=True)
class Step:
    """Where it stands; step counts from 1."""

    problem: str
    chain: str
    step: int


@dataclass(frozen=True, slots=True)
class Square:
    """Of each cell its steps, in the order of the chains, and their share of all with a 95 % interval over problems."""

    steps: dict[str, tuple[Step, ...]]
    shares: dict[str, Estimate]

    @property
    def n(self) -> int:
        return sum(len(steps) for steps in self.steps.values())


def square(correct: Sequence[Opinion], solvable: Sequence[Opinion]) -> Square:
    """Of chains that both spoke of, one opinion a chain each; steps of which one says nothing are left out."""
    others = {o.chain: o for o in solvable}
    found: dict[str, list[Step]] = {cell: [] for cell in CELLS}
    counts: dict[str, np.ndarray] = {}
    for own in correct:
        for i, (right, open_) in enumerate(zip(own.steps, _steps(others.get(own.chain), own), strict=True), 1):
            if right is None or open_ is None:
                continue
            place = 2 * (right == BAD) + (open_ == BAD)
            found[CELLS[place]].append(Step(own.problem, own.chain, i))
            counts.setdefault(own.problem, np.zeros(len(CELLS)))[place] += 1
    steps = {cell: tuple(steps) for cell, steps in found.items()}
    return Square(steps, _shares(np.array(list(counts.values()))) if counts else {})


def _steps(of: Opinion | None, own: Opinion) -> Sequence[int | None]:
    return of.steps if of is not None else (None,) * len(own.steps)


def _shares(counts: np.ndarray) -> dict[str, Estimate]:
    """counts: [problems, cells]. A share is a ratio of two sums, which are drawn again together."""
    every = counts.sum(axis=1)
    return {cell: bootstrap(np.stack([counts[:, i], every], axis=-1)[None], mean) for i, cell in enumerate(CELLS)}
