"""`sorm`: can this prefix still be solved? (GLoRe, arXiv 2402.10963, steps 7 to 10.)

l_i = 1 if any of K = 8 continuations of P_i reaches the right answer; then three post-processings, in this order,
each of which can be switched off: (a) only consistent verifiers count (`consistent`; `plain` for the paper's plain
string, `results` for which results have to be used), (b) a positive makes all earlier steps positive (`carry_back`),
(c) balance at each prefix length (`balance`, see stepviz.recipes.balance). The labels are stepviz.glore's, with its
deviations.

Decisions:
1. Draws 0 … K−1 of a prefix count, whatever else was drawn; a prefix with fewer than K is not measured, unless a
   success by (a) is among them: then its label is 1, as with all K (so `measure --strategy backward` gives the labels
   of `exhaustive`). Otherwise its label is −100 unless a later positive is carried back to it. A chain of which no
   step before its answer has a label gives no row: of an unmeasured chain only the outcome is known, and that is an
   ORM's label.
2. A prefix that holds the final answer is not continued: its label is 1 for a right answer (with (a): of a
   consistent chain), else 0. So every wrong chain has a negative.
3. The chain's own suffix is one more trace where the chain is right (with (a): and consistent), so that a right
   chain needs no rollouts where it is consistent.
4. Soft labels (`soft`) are k successes, counted by (a), of n = K independent continuations of P_i. They are
   measured values: neither the chain's own suffix nor (b) changes them. Where nothing was sampled (n = 0) the hard
   label of a terminal prefix holds; of a step it says no V, and the trainer masks it. A chain counts as a whole or not
   at all: one of which a step has draws, but fewer than K, and one along which a strategy has walked give no row. For
   a strategy stops at a success, and of its prefixes only those that failed have all K: V would come out too low.
5. A chain that was cut off before its answer, or whose answer cannot be judged, gives no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, get_args

from stepviz import glore
from stepviz.recipes.case import (
    MASK,
    NOT_MEASURED,
    PARTLY,
    Attempt,
    Case,
    Dropped,
    Row,
    at_least,
    one_of,
    origin,
    stepwise_row,
)
from stepviz.types import StepValue


@dataclass(frozen=True, slots=True)
class Sorm:
    k: int = glore.K  # rollouts a step
    consistent: bool = True  # (a)
    plain: bool = False  # (a) by the plain string
    results: glore.Results = "every"  # (a) of the prefix, that have to be used: every one, or the last
    carry_back: bool = True  # (b)
    balance: bool = True  # (c)
    soft: bool = False  # columns k and n
    seed: int = 0  # of (c)

    def __post_init__(self) -> None:
        at_least("k", self.k, 1)
        one_of("results", self.results, get_args(glore.Results))


def sorm(case: Case, options: Sorm, dropped: Dropped) -> Iterator[Row]:
    """{prompt, completions, labels, origin}, with k and n where soft; before the balance."""
    drawn, case = case, case.measured(options.k)
    for attempt in case.judged(dropped):
        values = verified(case, attempt, options)
        labels = step_labels(attempt, values, options)
        open_steps = [i for i, value in enumerate(values[1:]) if value.terminal is None]
        if open_steps and all(labels[i] is None for i in open_steps):
            dropped.add(NOT_MEASURED)
            continue
        if options.soft and (attempt.walked or _partly(drawn, attempt, options.k)):
            dropped.add(PARTLY)
            continue
        whole = [value if value.n >= options.k else _unmeasured(value) for value in values]
        more = {"k": _successes(whole), "n": [value.n for value in whole[1:]]} if options.soft else {}
        hard = [MASK if label is None else label for label in labels]
        yield stepwise_row(case, attempt, hard, **more, origin=origin(case.problem, attempt))


class Rule(Protocol):
    """(a) of a recipe's options, and its K."""

    @property
    def k(self) -> int: ...
    @property
    def consistent(self) -> bool: ...
    @property
    def plain(self) -> bool: ...
    @property
    def results(self) -> glore.Results: ...


def verified(case: Case, attempt: Attempt, rule: Rule) -> list[StepValue]:
    """V[0 … n], with the consistent successes counted where they are asked for; of fewer than K draws without a
    success nothing is known."""
    values = case.values(attempt)
    if rule.consistent:
        values = glore.with_consistency(attempt.chain, values, case.draws, case.separator, rule.plain, rule.results)
    return [value if value.n >= rule.k or _counted(value) else _unmeasured(value) for value in values]


def step_labels(attempt: Attempt, values: Sequence[StepValue], options: Sorm) -> tuple[int | None, ...]:
    """l_1 … l_n after (a) and (b)."""
    if options.consistent:
        own = glore.own_suffix(attempt.chain, attempt.verdict, options.plain, options.results)
    else:
        own = (attempt.right,) * attempt.chain.n
    return glore.sorm_labels(values, own, carry_back=options.carry_back)


def _partly(case: Case, attempt: Attempt, k: int) -> bool:
    """Whether there are draws after a step of it, and not all of the first k."""
    counts = [len({draw.j for draw in case.after(attempt, i)[1] if draw.j < k}) for i in range(1, attempt.chain.n + 1)]
    return any(0 < count < k for count in counts)


def _successes(values: Sequence[StepValue]) -> list[int]:
    return [_counted(value) for value in values[1:]]


def _counted(value: StepValue) -> int:
    return value.k if value.consistent is None else value.consistent


def _unmeasured(value: StepValue) -> StepValue:
    return replace(value, k=0, n=0, unfinished=0, consistent=None if value.consistent is None else 0)
