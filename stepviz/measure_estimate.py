"""What a measurement is expected to cost before it begins: continuations, and the tokens they take.

An exhaustive one is counted. The others depend on what will be drawn, so they are replayed on draws that the pit model
makes up: a pit from its posterior given the draws there are, a value for each prefix from its Beta, outcomes from that;
a few dozen times, with a fixed seed. The walk begins with the draws that are stored: they cost nothing, and decide as
they came.

A continuation is expected to be as long as those drawn from the same prefix; where there are none, as what the chain
itself goes on with, in characters, by the characters a token that stored draws of the same problem took, by the same
model.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from stepviz.measuring import Walking, lengths
from stepviz.posterior import PitModel, posterior
from stepviz.strategies import NOTHING, Seen, Strategy, Walk, Wanted, exhaustive
from stepviz.types import Chain, Continuation

RUNS = 32
MOST_TURNS = 10_000  # a strategy that never ends is a broken promise

# Of the embedded student's 1,864 draws in embedded/first_screen.jsonl: 195,618 characters, 112,773 tokens, of which
# 1,864 are end tokens. Larger tokenizers spend fewer tokens.
CHARACTERS_A_TOKEN = 1.76

Stored = Mapping[int, Mapping[int, bool]]  # step → draw j → whether it succeeds


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one chain or of several. exact: the continuations are counted; else a mean over made-up draws."""

    continuations: float = 0.0
    tokens: float = 0.0
    exact: bool = True

    def __add__(self, other: Expected) -> Expected:
        return Expected(
            self.continuations + other.continuations, self.tokens + other.tokens, self.exact and other.exact
        )


def expected(
    walking: Walking, draws: Mapping[int, Sequence[Continuation]], sizes: Mapping[int, float], model: PitModel,
    runs: int = RUNS, paid: Collection[int] = (),
) -> Expected:  # fmt: skip
    """draws: those stored of prefix 0 and the open ones; sizes: tokens of one continuation of each (token_lengths).

    paid: steps whose draws another chain brings, where all prefixes are drawn alike.
    """
    stored = {i: {c.j: walking.succeeds(i, c) for c in found} for i, found in draws.items()}
    return of_walk(walking.strategy, walking.walk, stored, sizes, model, runs, paid)


def of_walk(
    strategy: Strategy, walk: Walk, stored: Stored, sizes: Mapping[int, float], model: PitModel, runs: int = RUNS,
    paid: Collection[int] = (),
) -> Expected:  # fmt: skip
    """`expected` without texts."""
    if strategy is exhaustive:
        return _cost(_left({i: n for i, n in strategy(walk, {}).items() if i not in paid}, stored), sizes)
    begun = {i: _begun(stored[i], walk.k) for i in (0, *walk.open) if 0 in stored.get(i, {})}
    walk = replace(walk, paid=begun.get(0, NOTHING).n)
    if not strategy(walk, begun):
        return Expected()
    choose, rng = _remembered(strategy, walk), random.Random(0)
    seen = {i: Seen(len(found), sum(found.values())) for i, found in stored.items()}
    pits = posterior(model, walk, seen).pit if walk.wrong else None
    total = Expected()
    for _ in range(runs):
        values = _values(model, walk, seen, pits, rng)
        total += _cost(_left(_replayed(choose, walk, begun, stored, values, rng), stored), sizes)
    return Expected(total.continuations / runs, total.tokens / runs, exact=False)


def token_lengths(
    chain: Chain, open_: Sequence[int], draws: Mapping[int, Sequence[Continuation]],
    known: Iterable[Continuation] = (), most: int | None = None,
) -> dict[int, float]:  # fmt: skip
    """Expected tokens of one continuation of prefix 0 and of the open ones.

    known: draws of the same problem and model, for characters a token; most: the sampling's limit.
    """
    rate = characters_a_token(known) or CHARACTERS_A_TOKEN
    found = {}
    for i, rest in zip((0, *open_), lengths(chain, open_), strict=True):
        here = draws.get(i, ())
        size = sum(c.tokens for c in here) / len(here) if here else rest / rate + 1  # 1: the end token
        found[i] = min(size, float(most)) if most else size
    return found


def characters_a_token(draws: Iterable[Continuation]) -> float | None:
    """The end token has none; None without draws that say anything."""
    characters = tokens = 0
    for draw in draws:
        characters, tokens = characters + len(draw.text), tokens + draw.tokens - (draw.finish_reason == "stop")
    return characters / tokens if characters and tokens > 0 else None


def _values(
    model: PitModel, walk: Walk, seen: Mapping[int, Seen], pits: np.ndarray | None, rng: random.Random
) -> dict[int, float]:
    """A value for each open prefix: of a wrong chain around a pit, of a right one as if all were alive.

    A step whose result a right chain itself never uses (walk.own says so) is no success for a continuation that does
    not use it either, and most do not: its value counts as that of a dead prefix.
    """
    places = range(1, len(walk.open) + 2)
    pit = rng.choices(places, pits)[0] if pits is not None else places[-1]
    found = {}
    for place, i in enumerate(walk.open, start=1):
        unused = not walk.wrong and bool(walk.own) and not walk.own[i - 1]
        a, b = model.dead if place >= pit or unused else model.alive
        at = seen.get(i, Seen())
        found[i] = rng.betavariate(a + at.k, b + at.n - at.k)
    question, (a, b) = seen.get(0, Seen()), model.alive
    return found | {0: rng.betavariate(a + question.k, b + question.n - question.k)}


def _begun(there: Mapping[int, bool], k: int) -> Seen:
    """What a walk begins with, as stepviz.measuring.Walking.remember has it: the draws 0, 1, … without a gap."""
    n = next((j for j in range(k) if j not in there), k)
    return Seen(n, sum(there[j] for j in range(n)))


def _replayed(
    choose: Strategy, walk: Walk, begun: Mapping[int, Seen], stored: Stored, values: Mapping[int, float],
    rng: random.Random,
) -> dict[int, int]:  # fmt: skip
    """How many draws of each prefix there shall be when the strategy is done."""
    seen = dict(begun)
    made: dict[tuple[int, int], bool] = {}
    for _ in range(MOST_TURNS):
        wanted = choose(walk, seen)
        if not wanted:
            return {i: at.n for i, at in seen.items()}
        for i, n in wanted.items():
            there = stored.get(i, {})
            for j in range(n):
                if j not in there and (i, j) not in made:
                    made[i, j] = rng.random() < values[i]
            seen[i] = Seen(n, sum(there[j] if j in there else made[i, j] for j in range(n)))
    raise AssertionError("the strategy never ends")


def _remembered(strategy: Strategy, walk: Walk) -> Strategy:
    """Runs begin alike, and an adaptive strategy thinks long."""

    @cache
    def known(state: tuple[tuple[int, Seen], ...]) -> Wanted:
        return strategy(walk, dict(state))

    return lambda _walk, seen: known(tuple(sorted(seen.items())))


def _left(wanted: Mapping[int, int], stored: Stored) -> dict[int, int]:
    return {i: sum(j not in stored.get(i, {}) for j in range(n)) for i, n in wanted.items()}


def _cost(left: Mapping[int, int], sizes: Mapping[int, float]) -> Expected:
    return Expected(sum(left.values()), sum(n * sizes[i] for i, n in left.items()))
