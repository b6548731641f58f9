"""The chains behind a number: which pairs of labels each number is a share of, from the very pairs that are counted.

A cell names a set of pairs. Of first errors ("where" it goes wrong) each chain has one label a judge, of steps each
step has; what both judges did not label is in no cell, as it is in no table.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stepviz.agreement import first_errors, step_labels
from stepviz.agreement.opinions import Opinion
from stepviz.agreement.step_labels import ERROR, FINE
from stepviz.agreement.tables import Said, pairs_among, pairs_between

Fits = Callable[[int, int], bool]  # the first judge's label and the second's

FIRSTS: Mapping[str, Fits] = {
    "known": lambda a, b: True,
    "agree": lambda a, b: (a > 0) == (b > 0),
    "no_error": lambda a, b: a == b == 0,
    "only_b": lambda a, b: a == 0 < b,
    "only_a": lambda a, b: b == 0 < a,
    "both": lambda a, b: a > 0 and b > 0,
    "exact": lambda a, b: a == b > 0,
    "within_one": lambda a, b: a > 0 and b > 0 and abs(a - b) <= 1,
    "one_apart": lambda a, b: a > 0 and b > 0 and abs(a - b) == 1,
    "further": lambda a, b: a > 0 and b > 0 and abs(a - b) > 1,
    "a_error": lambda a, b: a > 0,
    "a_none": lambda a, b: a == 0,
}
STEPS: Mapping[str, Fits] = {
    "steps": lambda a, b: True,
    "steps_agree": lambda a, b: a == b,
    "steps_fine": lambda a, b: a == b == FINE,
    "steps_only_b": lambda a, b: (a, b) == (FINE, ERROR),
    "steps_only_a": lambda a, b: (a, b) == (ERROR, FINE),
    "steps_both": lambda a, b: a == b == ERROR,
    "steps_a": lambda a, b: a == ERROR,
    "steps_b": lambda a, b: b == ERROR,
}
# Each number of a report: what it counts, of what. Beyond chance nothing is counted: such a number is of the whole.
BEHIND: Mapping[tuple[str, str], tuple[str, str]] = {
    ("detection", "agreement"): ("agree", "known"),
    ("localisation", "exact"): ("exact", "both"),
    ("localisation", "within_one"): ("within_one", "both"),
    ("processbench", "error_acc"): ("exact", "a_error"),
    ("processbench", "correct_acc"): ("no_error", "a_none"),
    ("by_step", "agreement"): ("steps_agree", "steps"),
    ("by_step", "precision"): ("steps_both", "steps_b"),
    ("by_step", "recall"): ("steps_both", "steps_a"),
}


def behind(part: str, name: str) -> tuple[str, str]:
    """(the cell a number counts, the cell it is a share of); ("", …) where it is no share."""
    return BEHIND.get((part, name), ("", "steps" if part == "by_step" else "known"))


@dataclass(frozen=True, slots=True)
class Place:
    """A chain of a cell. steps: those the pairs are about, from 1 on, in order; pairs: of labels."""

    problem: str
    chain: str
    steps: tuple[int, ...]
    pairs: int = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """A cell. things: chains, or steps, labelled by both; pairs of labels are more where several judge one thing."""

    places: tuple[Place, ...]
    things: int
    pairs: int

    @property
    def chains(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Cells:
    """All pairs of a comparison; a cell is looked up by its name."""

    firsts: Sequence[tuple[Said, Said]]
    steps: Sequence[tuple[Said, Said]]

    def __getitem__(self, cell: str) -> Listed:
        """KeyError for a cell of another name."""
        of_steps = cell in STEPS
        fits = STEPS[cell] if of_steps else FIRSTS[cell]
        return listed(pair for pair in (self.steps if of_steps else self.firsts) if fits(pair[0].label, pair[1].label))


def cells(a: Iterable[Opinion], b: Iterable[Opinion] | None = None) -> Cells:
    """Of two sides, or (b None) of every two judges of one: the same pairs as a report's."""
    ours, theirs = list(a), None if b is None else list(b)

    def pairs(said: Callable[[Iterable[Opinion]], list[Said]]) -> list[tuple[Said, Said]]:
        return pairs_among(said(ours)) if theirs is None else pairs_between(said(ours), said(theirs))

    return Cells(pairs(first_errors.said), pairs(step_labels.said))


def listed(pairs: Iterable[tuple[Said, Said]]) -> Listed:
    """In the order of the pairs, a chain once."""
    found: dict[tuple[str, str], list[int]] = {}
    counted: dict[tuple[str, str], int] = {}
    things: set[Hashable] = set()
    n = 0
    for x, y in pairs:
        chain, steps = (x.thing, (x.label, y.label)) if isinstance(x.thing, str) else (x.thing[0], (x.thing[1],))
        at = x.problem, str(chain)
        found.setdefault(at, []).extend(step for step in steps if step)
        counted[at] = counted.get(at, 0) + 1
        things.add(x.thing)
        n += 1
    places = tuple(Place(*at, tuple(sorted(set(steps))), counted[at]) for at, steps in found.items())
    return Listed(places, len(things), n)
