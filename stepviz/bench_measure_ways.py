"""What each strategy says of chains whose draws are recorded: labels, pits, and what it looked at.

All strategies replay one table of draws (bench_measure_data), so they see the same continuations; what a strategy asks
for is what it pays. They all know whether the chain's answer is right, as `measure` does. Two ways pay nothing: the
SORM alone, and the pit model alone, which knows the SORM's scores and the place of a step and has seen no draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from stepviz import adaptive, pits
from stepviz.bench_measure_data import Case, K
from stepviz.posterior import posterior
from stepviz.strategies import Seen, Strategy, Walk, backward, bisect, bisected_pit, exhaustive, forward, replay

T = 0.5  # at or below it the SORM calls a step bad
SURE = adaptive.CONFIDENCE
EVERY = "backward, a success uses every result"
Labels = Sequence[int]
NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass
class Reading:
    """What one way says of each case: labels of the open steps, the pit they put, and the draws it looked at."""

    name: str
    labels: list[Labels] = field(default_factory=list)
    pits: list[int | None] = field(default_factory=list)
    seen: list[Mapping[int, Seen]] = field(default_factory=list)
    turns: list[Mapping[int, int]] = field(default_factory=list)  # in how many turns each prefix was drawn from

    def tokens(self, cases: Sequence[Case], wrong_only: bool = False, steps_only: bool = False) -> int:
        """steps_only: without what the question's draws cost, which no label needs."""
        of = [(case, seen) for case, seen in zip(cases, self.seen, strict=True) if case.wrong or not wrong_only]
        return sum(case.cost(i, at.n) for case, seen in of for i, at in seen.items() if i or not steps_only)

    def prefill(self, cases: Sequence[Case], *, kept: bool) -> int:
        """Tokens of the prompts that were continued. kept: each is read once; else anew in each turn."""
        of = zip(cases, self.turns, strict=True)
        return sum(case.prompt[i] * (1 if kept else n) for case, turns in of for i, n in turns.items())


def readings(cases: Sequence[Case]) -> dict[str, Reading]:
    """In the order of the table; the names of strategies are those of `measure --strategy`."""
    spend = adaptive.Adaptive(pits.shipped())
    ways = [labelled("exhaustive", cases, exhaustive)]
    ways += [labelled(f"exhaustive, k = {k}", cases, exhaustive, k) for k in (1, 2, 4)]
    ways.append(labelled("backward", cases, backward))
    ways.append(labelled(EVERY, [replace(case, rule="every") for case in cases], backward))
    ways += [_located("forward", cases, forward, _first_failed), _located("bisect", cases, bisect, bisected_pit)]
    ways.append(read("adaptive", cases, spend))
    ways.append(read("adaptive, price 4: the first choice", cases, adaptive.Adaptive(pits.shipped(), price=4.0)))
    ways.append(read("exhaustive, read by the pit model", cases, exhaustive))
    ways.append(read("the pit model alone", cases, alone))
    ways.append(_likeliest("adaptive, its likeliest pit", cases, spend))
    ways.append(_scored("the SORM alone", cases))
    ways.append(_scored("the SORM alone at 0.1", cases, 0.1))
    ways.append(_ruled("no draw, no model: every step is well", cases, 0))
    ways.append(_ruled("no draw, no model: the last two open steps are lost", cases, 2))
    ways.append(_ruled("no draw, no model: every step is lost", cases, max(len(case.walk.open) for case in cases)))
    return {way.name: way for way in ways}


def alone(_walk: Walk, _seen: Mapping[int, Seen]) -> dict[int, int]:
    """The strategy that draws nothing."""
    return {}


def labelled(name: str, cases: Sequence[Case], strategy: Strategy, k: int = K) -> Reading:
    """GLoRe's labels: a success, or the chain's own suffix, carried back."""
    found = Reading(name)
    for case in cases:
        walk = Walk(case.walk.open, k, case.wrong, case.own)
        seen, turns = _replayed(strategy, walk, case.accepted)
        positive = [case.own[i - 1] or seen.get(i, Seen()).k > 0 for i in walk.open]
        last = max((place for place, ok in enumerate(positive) if ok), default=-1)
        _add(found, case, [int(place <= last) for place in range(len(positive))], seen, turns)
    return found


def _located(name: str, cases: Sequence[Case], strategy: Strategy, locate: Callable[..., int | None]) -> Reading:
    """A pit, before which all is well and behind which nothing is."""
    found = Reading(name)
    for case in cases:
        seen, turns = _replayed(strategy, case.walk, {i: case.right(i) for i in case.draws})
        pit = locate(case.walk, seen) if case.wrong else None
        _add(found, case, [int(pit is None or i < pit) for i in case.walk.open], seen, turns)
    return found


def _first_failed(walk: Walk, seen: Mapping[int, Seen]) -> int:
    return next((i for i in walk.open if i in seen and not seen[i].k), len(walk.open) + 1)


def read(name: str, cases: Sequence[Case], strategy: Strategy, sure: float = SURE) -> Reading:
    """What the posterior says of the draws that a strategy asks for."""
    found, model = Reading(name), pits.shipped()
    for case in cases:
        seen, turns = _replayed(strategy, case.walk, {i: case.right(i) for i in case.draws})
        _add(found, case, adaptive.labels(case.walk, seen, model, sure), seen, turns)
    return found


def _likeliest(name: str, cases: Sequence[Case], strategy: Strategy) -> Reading:
    """The pit that the posterior holds for the likeliest, which the app shows with its probability."""
    found, model = Reading(name), pits.shipped()
    for case in cases:
        seen, turns = _replayed(strategy, case.walk, {i: case.right(i) for i in case.draws})
        pit = posterior(model, case.walk, seen).found().step if case.wrong else None
        _add(found, case, [int(pit is None or i < pit) for i in case.walk.open], seen, turns)
    return found


def _ruled(name: str, cases: Sequence[Case], lost: int) -> Reading:
    """By the place alone: of a wrong chain the last `lost` open steps."""
    found = Reading(name)
    for case in cases:
        m = len(case.walk.open)
        _add(found, case, [int(not case.wrong or i <= m - lost) for i in case.walk.open])
    return found


def _scored(name: str, cases: Sequence[Case], threshold: float = T) -> Reading:
    """Of a right chain all is well, as in every other way."""
    found = Reading(name)
    for case in cases:
        _add(found, case, [int(not case.wrong or s > threshold) for s in case.scores[: len(case.walk.open)]])
    return found


def _replayed(
    strategy: Strategy, walk: Walk, table: Mapping[int, Sequence[bool]]
) -> tuple[Mapping[int, Seen], Mapping[int, int]]:
    """What it has seen in the end, and in how many turns it drew from each prefix."""
    turns: Counter[int] = Counter()

    def counted(walk: Walk, seen: Mapping[int, Seen]) -> dict[int, int]:
        wanted = strategy(walk, seen)
        turns.update(wanted.keys())
        return wanted

    return replay(counted, walk, table), turns


def _add(
    found: Reading, case: Case, labels: Labels, seen: Mapping[int, Seen] = NONE, turns: Mapping[int, int] = NONE
) -> None:
    """The pit is the first label 0; behind all of a wrong chain's open steps stands its wrong answer."""
    found.labels.append(labels)
    found.seen.append(seen)
    found.turns.append(turns)
    steps = zip(case.walk.open, labels, strict=True)
    found.pits.append(next((i for i, label in steps if not label), len(labels) + 1) if case.wrong else None)
