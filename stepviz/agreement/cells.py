"""The chains behind a number: which pairs of labels each number is a share of, from the very pairs that are counted.

A cell names a set of pairs. Of first errors ("where" it goes wrong) each chain has one label a judge, of steps each
step has; what both judges did not label is in no cell, as it is in no table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stepviz.agreement import first_errors, step_labels
from stepviz.agreement.opinions import Opinion
from stepviz.agreement.report import shared
from stepviz.agreement.step_labels import ERROR, FINE
from stepviz.agreement.tables import Said, pairs_among, pairs_between

Fits = Callable[[int, int], bool]  # the first judge's label and the second's

DETECTED: Mapping[str, Fits] = {  # whether a chain goes wrong at all
    "asked": lambda a, b: True,
    "agree": lambda a, b: (a > 0) == (b > 0),
    "neither": lambda a, b: a == b == 0,
    "only_b": lambda a, b: a == 0 < b,
    "only_a": lambda a, b: b == 0 < a,
    "both_err": lambda a, b: a > 0 and b > 0,
}
FIRSTS: Mapping[str, Fits] = {  # where first: 0 is nowhere
    "known": lambda a, b: True,
    "both": lambda a, b: a > 0 and b > 0,
    "exact": lambda a, b: a == b > 0,
    "within_one": lambda a, b: a > 0 and b > 0 and abs(a - b) <= 1,
    "one_apart": lambda a, b: a > 0 and b > 0 and abs(a - b) == 1,
    "further": lambda a, b: a > 0 and b > 0 and abs(a - b) > 1,
    "same": lambda a, b: a == b,
    "a_error": lambda a, b: a > 0,
    "a_none": lambda a, b: a == 0,
    "spared": lambda a, b: a == b == 0,
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
    ("detection", "agreement"): ("agree", "asked"),
    ("localisation", "exact"): ("exact", "both"),
    ("localisation", "within_one"): ("within_one", "both"),
    ("processbench", "error_acc"): ("exact", "a_error"),
    ("processbench", "correct_acc"): ("spared", "a_none"),
    ("by_step", "agreement"): ("steps_agree", "steps"),
    ("by_step", "precision"): ("steps_both", "steps_b"),
    ("by_step", "recall"): ("steps_both", "steps_a"),
}


def behind(part: str, name: str) -> tuple[str, str]:
    """(the cell a number counts, the cell it is a share of); ("", …) where it is no share."""
    whole = {"detection": "asked", "by_step": "steps"}.get(part, "known")
    return BEHIND.get((part, name), ("", whole))


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

    @property
    def problems(self) -> int:
        return len({place.problem for place in self.places})


@dataclass(frozen=True)
class Cells:
    """All pairs of a comparison; a cell is looked up by its name.

    The cell "chains" is those of which both said anything. sources: of a problem, for parts by source.
    """

    a: Sequence[Opinion]
    b: Sequence[Opinion] | None
    detected: Sequence[tuple[Said, Said]]
    firsts: Sequence[tuple[Said, Said]]
    steps: Sequence[tuple[Said, Said]]
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __getitem__(self, cell: str) -> Listed:
        """KeyError for a cell of another name."""
        return self.of(cell)

    def of(self, cell: str, part: str = "") -> Listed:
        """part: "arm:blind", "position:6–8", "source:gsm8k"; all where it is empty. KeyError for unknown names."""
        if cell == "chains":
            spoken = self._spoken(part)
            return Listed(tuple(Place(*at, ()) for at in spoken), len(spoken), len(spoken))
        kinds = (self.detected, DETECTED), (self.firsts, FIRSTS), (self.steps, STEPS)
        found = next(((pairs, fits[cell]) for pairs, fits in kinds if cell in fits), None)
        if found is None:
            raise KeyError(cell)
        (pairs, fits), within = found, self._within(part)
        kept = ((x, y) for x, y in pairs if fits(x.label, y.label) and within(x, y))
        return listed(kept, where=cell not in DETECTED)

    def _spoken(self, part: str) -> list[tuple[str, str]]:
        """(problem, chain) of which both said anything, as the parts count them."""
        kind, _, name = part.partition(":")
        if kind == "position":
            return [(place.problem, place.chain) for place in self.of("steps", part).places]
        ours, theirs = list(self.a), None if self.b is None else list(self.b)
        if kind == "arm":
            ours = [o for o in ours if o.arm in ("", name)]
            theirs = None if theirs is None else [o for o in theirs if o.arm in ("", name)]
        elif kind == "source":
            ours = [o for o in ours if name in self.sources.get(o.problem, ())]
        elif part:
            raise KeyError(part)
        both = shared(ours, theirs, lambda o: o.chain)
        return list(dict.fromkeys((o.problem, o.chain) for o in ours if o.chain in both))

    def _within(self, part: str) -> Callable[[Said, Said], bool]:
        kind, _, name = part.partition(":")
        if not kind:
            return lambda x, y: True
        if kind == "arm":
            return lambda x, y: {x.arm, y.arm} - {""} == {name}
        if kind == "source":
            return lambda x, _: name in self.sources.get(x.problem, ())
        if kind == "position":
            low, high = span(name)
            return lambda x, _: isinstance(x.thing, tuple) and low <= x.thing[1] <= high
        raise KeyError(part)


def span(name: str) -> tuple[int, int]:
    """The steps of a part by position: "3", "6–8", "21+". KeyError for another name."""
    low, dash, high = name.removesuffix("+").partition("–")
    if not (low + high).isascii() or not low.isdigit() or (dash and not high.isdigit()) or len(name) > 20:
        raise KeyError(name)
    return int(low), int(high) if dash else 10**9 if name.endswith("+") else int(low)


def cells(
    a: Iterable[Opinion], b: Iterable[Opinion] | None = None, sources: Mapping[str, Sequence[str]] | None = None
) -> Cells:
    """Of two sides, or (b None) of every two judges of one: the same pairs as a report's."""
    ours, theirs = list(a), None if b is None else list(b)

    def pairs(said: Callable[[Iterable[Opinion]], list[Said]]) -> list[tuple[Said, Said]]:
        return pairs_among(said(ours)) if theirs is None else pairs_between(said(ours), said(theirs))

    return Cells(
        ours, theirs, pairs(first_errors.said_at_all), pairs(first_errors.said), pairs(step_labels.said), sources or {}
    )


def listed(pairs: Iterable[tuple[Said, Said]], *, where: bool = True) -> Listed:
    """In the order of the pairs, a chain once. where: a label of a chain is a step's number."""
    found: dict[tuple[str, str], set[int]] = {}
    counted: Counter[tuple[str, str]] = Counter()
    things: set[Hashable] = set()
    for x, y in pairs:
        of_step = isinstance(x.thing, tuple)
        at = x.problem, x.thing[0] if of_step else str(x.thing)
        steps = {x.thing[1]} if of_step else {x.label, y.label} - {0} if where else set()
        found.setdefault(at, set()).update(steps)
        counted[at] += 1
        things.add(x.thing)
    places = tuple(Place(*at, tuple(sorted(steps)), counted[at]) for at, steps in found.items())
    return Listed(places, len(things), counted.total())
