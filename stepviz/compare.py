"""Two models on the same problems: accuracy, pass@n, V along the chain, and which first pits vanished or are new.

Pure: values in, values out. A *trial* is one model at one problem: its greedy chain, V measured by its own rollouts at
each prefix of that chain, the first pits by each paper's rule, and its further samples. A *pair* is two trials at one
problem, so every difference is paired, and its interval is a percentile bootstrap over problems.

What is counted how:
1. Right is what the grader, or a person over it, calls correct. A chain that was cut off, that states no answer, or
   whose answer cannot be judged is not right, and is counted apart.
2. A step of one chain is not the same step of another: a pit that stays is "still" there wherever it stands now, and
   both steps are given.
3. Along the chain, V of a chain that has ended stays at its last value (right 1, wrong 0), so every problem stands in
   every point of a curve; by share of the way, the value at x is that of the last step at or before x.
4. A wrong chain whose pit cannot be told (not measured, cut off, no steps) is "undecided" and in no other class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np

from stepviz import glore, self_explore
from stepviz.rollouts import by_prefix, values
from stepviz.statistics import Estimate, any_of, difference, mcnemar, mean, means, ones
from stepviz.types import Chain, Continuation, FirstPit, StepValue, Verdict, VerdictValue

T = TypeVar("T")
RULES = ("self-explore", "glore")
Along = Literal["step", "share"]
PitClass = Literal["vanished", "new", "still", "never", "undecided"]
CLASSES: tuple[PitClass, ...] = ("vanished", "new", "still", "never", "undecided")
SHARES = tuple(i / 10 for i in range(11))
ENDED = 0.95  # a curve by step goes on until this share of the chains have ended


@dataclass(frozen=True, slots=True)
class Trial:
    """`values`: V[0 … n]; empty where nothing was to be measured; `whole`: each by all the draws that were asked for.

    samples: which of the further draws are right.
    """

    chain: str
    verdict: VerdictValue
    answer: str | None = None
    steps: int = 0
    cut_off: bool = False
    values: tuple[StepValue, ...] = ()
    pits: Mapping[str, FirstPit] = field(default_factory=dict)  # by rule
    samples: tuple[bool, ...] = ()
    whole: bool = False

    @property
    def right(self) -> bool:
        return self.verdict == "correct"

    def pit(self, rule: str) -> int | None:
        return self.pits[rule].step if rule in self.pits else None

    def undecided(self, rule: str) -> bool:
        """Whether a pit might be there that nobody has measured. From a right chain the answer was reached."""
        if self.right or self.pit(rule) is not None:
            return False
        return not self.steps or not self.values or any(not v.value for v in self.values[1:])


@dataclass(frozen=True, slots=True)
class Pair:
    """One problem; `place` is where it stands in its source."""

    problem: str
    question: str
    before: Trial
    after: Trial
    place: str = ""

    def pit_class(self, rule: str) -> PitClass:
        if self.before.undecided(rule) or self.after.undecided(rule):
            return "undecided"
        before, after = (side.pit(rule) is not None for side in (self.before, self.after))
        return "still" if before and after else "vanished" if before else "new" if after else "never"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Greedy accuracy. `lost`: right before, not after; `gained`: the other way; p: McNemar's exact test of the two.

    before and after have Wilson's interval, the difference a paired bootstrap's.
    """

    n: int
    before: Estimate
    after: Estimate
    difference: Estimate
    both: int
    lost: int
    gained: int
    neither: int
    p: float
    cut_off: tuple[int, int]
    no_answer: tuple[int, int]
    unjudged: tuple[int, int]


@dataclass(frozen=True, slots=True)
class AtN:
    """pass@n, unbiased, over the problems whose samples are there on both sides."""

    n: int
    before: float
    after: float
    difference: Estimate
    problems: int


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean V at each x: steps 0 … m, or shares 0 … 1 of the way."""

    xs: tuple[float, ...]
    before: tuple[Estimate, ...]
    after: tuple[Estimate, ...]
    problems: int


# ---- one model at one problem


def trial(
    chain: Chain,
    verdict: Verdict,
    draws: Sequence[Continuation],
    samples: Sequence[VerdictValue],
    k: int,
    separator: str,
    cut_off: bool = False,
) -> Trial:
    """`draws`: the model's continuations of this problem's prefixes under one sampling; the first k of each count.

    Both models are read by as many draws, however many there are: a pit at 0/8 is no pit at 0/8 of 40.
    """
    made = Trial(
        chain.id, verdict.value, verdict.answer, chain.n, cut_off, samples=tuple(s == "correct" for s in samples)
    )
    if k == 0:
        return made
    found = by_prefix(draw for draw in draws if draw.j < k)
    measured = values(chain, found, verdict, separator)
    counted = glore.with_consistency(chain, measured, found, separator) if verdict.value != "correct" else measured
    pits = {
        "self-explore": self_explore.first_pit(measured, min(k, self_explore.K)),
        "glore": glore.first_pit(counted, glore.own_suffix(chain, verdict)),
    }
    whole = all(v.n >= k or v.terminal in ("correct", "wrong") for v in measured)
    return replace(made, values=tuple(measured), pits=pits, whole=whole)


# ---- all problems


def accuracy(pairs: Sequence[Pair]) -> Accuracy:
    """At least one pair."""
    before, after = _sides(pairs, lambda t: t.right)
    both, n = sum(b and a for b, a in zip(before, after, strict=True)), len(pairs)
    lost, gained = sum(before) - both, sum(after) - both
    return Accuracy(
        n=n,
        before=share(sum(before), n),
        after=share(sum(after), n),
        difference=_difference(after, before),
        both=both,
        lost=lost,
        gained=gained,
        neither=n - both - lost - gained,
        p=mcnemar(lost, gained),
        cut_off=_how_many(pairs, lambda t: t.cut_off),
        no_answer=_how_many(pairs, lambda t: t.verdict == "unknown" and t.answer is None and not t.cut_off),
        unjudged=_how_many(pairs, lambda t: t.verdict == "unknown" and t.answer is not None),
    )


def _sides(pairs: Sequence[Pair], of: Callable[[Trial], T]) -> tuple[list[T], list[T]]:
    return [of(p.before) for p in pairs], [of(p.after) for p in pairs]


def _how_many(pairs: Sequence[Pair], of: Callable[[Trial], bool]) -> tuple[int, int]:
    before, after = _sides(pairs, of)
    return sum(before), sum(after)


def share(k: int, n: int) -> Estimate:
    """k of n with Wilson's interval."""
    value = StepValue(0, k, n)
    return Estimate(k / n, *(value.interval() or (0.0, 1.0)))


def _difference(a: Sequence[float], b: Sequence[float]) -> Estimate:
    return difference(ones(np.array([a], float)), ones(np.array([b], float)), mean)


def pass_at(pairs: Sequence[Pair]) -> list[AtN]:
    """For n = 1, 2, 4, … and the number of samples itself, over the problems that have that many on both sides."""
    most = max((len(p.before.samples) for p in pairs), default=0)
    kept = [p for p in pairs if len(p.before.samples) == len(p.after.samples) == most]
    if most < 2 or not kept:
        return []
    found = []
    for n in sorted({*(2**i for i in range(most.bit_length()) if 2**i <= most), most}):
        before, after = _sides(kept, lambda t, n=n: any_of(t.samples, [n])[0])
        gap = _difference(after, before)
        found.append(AtN(n, sum(before) / len(kept), sum(after) / len(kept), gap, len(kept)))
    return found


def pits(pairs: Sequence[Pair], rule: str) -> dict[PitClass, int]:
    """How many problems are of each class."""
    found = [p.pit_class(rule) for p in pairs]
    return {name: found.count(name) for name in CLASSES}


def curve(pairs: Sequence[Pair], along: Along) -> Curve | None:
    """Over the problems whose two chains are measured at every step; None where there is none."""
    kept = [p for p in pairs if p.before.whole and p.after.whole]
    if not kept:
        return None
    xs = SHARES if along == "share" else tuple(range(_last(kept) + 1))
    read = at_share if along == "share" else at_step
    before, after = (means(np.array(side)) for side in _sides(kept, lambda t: [read(t.values, x) for x in xs]))
    return Curve(tuple(map(float, xs)), tuple(before), tuple(after), len(kept))


def _last(pairs: Sequence[Pair]) -> int:
    """The step at which ENDED of the chains of either side have ended."""
    lengths = (sorted(side) for side in _sides(pairs, lambda t: len(t.values) - 1))
    return max(1, *(of[math.ceil(ENDED * len(of)) - 1] for of in lengths))


def at_step(values: Sequence[StepValue], step: float) -> float:
    """V[step]; of a chain that has ended, its last value."""
    return _known(values[min(int(step), len(values) - 1)])


def at_share(values: Sequence[StepValue], x: float) -> float:
    """V at the last step at or before x of the way from the question (0) to the end (1)."""
    return _known(values[int(x * (len(values) - 1) + 1e-9)])


def _known(value: StepValue) -> float:
    assert value.value is not None, value
    return value.value
