"""What a recipe reads, one problem at a time, and what all recipes share: origins, prompts, counts of what was dropped.

A *case* is a problem with its chains, their verdicts and labels, and the continuations of their prefixes by one
model and sampling. A case of a test problem cannot be made: so none can enter a training set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepviz import rollouts
from stepviz.engines.prompts import render
from stepviz.errors import StepvizError
from stepviz.types import Annotation, Chain, Continuation, Problem, PromptStyle, StepValue, Verdict, prefix_hash

Row = dict[str, Any]
PLAIN = PromptStyle()
MASK = -100  # a step without a label: it gives context, and costs nothing

# Why something gave no row; the build says what to do about it where nothing else is left.
NO_SOLUTION = "no reference solution"
NO_CHAIN = "no chain"
NO_STEPS = "a chain without steps"
NOT_JUDGED = "a chain whose answer cannot be judged, or that was cut off before it"
NOT_MEASURED = "a chain not measured with enough rollouts a step"
PARTLY = "a chain measured in part, or by a strategy that stops early: soft labels need all K rollouts of every step"
NOT_LABELLED = "a chain without a label of this annotator"
NOT_IN_STUDY = "a chain without a label of this study"
NO_RIGHT = "no right chain of the same question"
NO_WRONG = "no wrong chain of the same question"
DUPLICATE = "the same as another row of its question"


@dataclass
class Dropped:
    """How many inputs gave no row, by reason."""

    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str, n: int = 1) -> None:
        if n:
            self.reasons[reason] = self.reasons.get(reason, 0) + n


@dataclass(frozen=True, slots=True)
class Attempt:
    """A chain with its verdict; `model` and `seed` where it was sampled, `labels` those of the chosen annotator.

    walked: a strategy has drawn from its prefixes, and how often hung on what came (stepviz.datasets_walked).
    """

    chain: Chain
    verdict: Verdict
    model: str | None = None
    seed: int | None = None
    labels: tuple[Annotation, ...] = ()
    walked: bool = False

    @property
    def solution(self) -> str:
        return self.chain.text.strip()

    @property
    def right(self) -> bool:
        return self.verdict.value == "correct"

    @property
    def wrong(self) -> bool:
        return self.verdict.value == "wrong"


@dataclass(frozen=True, slots=True)
class Case:
    """A problem and what is known of it. `places` are all (source, key, split) under which its question stands.

    `draws`: prefix hash → continuations in the order of j, of one model and sampling whose separator is `separator`.
    """

    problem: Problem
    attempts: tuple[Attempt, ...] = ()
    draws: Mapping[str, Sequence[Continuation]] = field(default_factory=dict)
    style: PromptStyle = PLAIN
    separator: str = "\n"
    places: tuple[tuple[str, str, str | None], ...] = ()

    def __post_init__(self) -> None:
        refuse_test(self.problem, self.places)

    @property
    def prompt(self) -> str:
        return render(self.style, self.problem.question)

    def judged(self, dropped: Dropped) -> list[Attempt]:
        """The chains that have steps and are right or wrong; the others are counted."""
        found = [a for a in self.attempts if a.chain.n and (a.right or a.wrong)]
        empty = sum(not a.chain.n for a in self.attempts)
        dropped.add(NO_STEPS, empty)
        dropped.add(NOT_JUDGED, len(self.attempts) - len(found) - empty)
        return found

    def measured(self, k: int) -> Case:
        """With draws 0 … k-1 of each prefix. One that has fewer is not measured, unless a draw is right: a strategy
        stops there, for one success is all that a label asks for (stepviz.strategies)."""
        first = {prefix: [c for c in draws if c.j < k] for prefix, draws in self.draws.items()}
        kept = {prefix: draws for prefix, draws in first.items() if len(draws) == k or _any_right(draws)}
        return Case(self.problem, self.attempts, kept, self.style, self.separator, self.places)

    def values(self, attempt: Attempt) -> list[StepValue]:
        """V[0 … n] of one of its chains."""
        return rollouts.values(attempt.chain, self.draws, attempt.verdict, self.separator)

    def after(self, attempt: Attempt, i: int) -> tuple[str, Sequence[Continuation]]:
        """prefix(i) as it was continued, and its continuations."""
        prefix = rollouts.prefix_of(attempt.chain, i, self.separator)
        return prefix, self.draws.get(prefix_hash(prefix), ())


def _any_right(draws: Iterable[Continuation]) -> bool:
    return any(draw.verdict == "correct" for draw in draws)


def is_test(split: str | None) -> bool:
    return split is not None and split.strip().lower().startswith("test")


def refuse_test(problem: Problem, places: Iterable[tuple[str, str, str | None]] = ()) -> None:
    """StepvizError for a problem that is in any source's test split."""
    for source, key, split in ((problem.source, problem.key, problem.split), *places):
        if is_test(split):
            elsewhere = "" if is_test(problem.split) else f" (it also stands in {problem.source}/{problem.key})"
            raise StepvizError(
                f"{source}/{key} is a test problem and cannot enter a training set{elsewhere}; "
                "choose another split (--split train), or leave such problems out (--test-overlap drop)"
            )


def origin(problem: Problem, attempt: Attempt | None = None, step: int | None = None, **more: Any) -> Row:
    """Where a row comes from; None where something does not apply."""
    return {
        "problem": problem.id,
        "chain": attempt.chain.id if attempt else None,
        "step": step,
        "model": attempt.model if attempt else None,
        "seed": attempt.seed if attempt else None,
        **more,
    }


def stepwise_row(case: Case, attempt: Attempt, labels: Sequence[int], **more: Any) -> Row:
    """{prompt, completions, labels}: a label a step, "\\n" between the steps stands outside them."""
    assert len(labels) == attempt.chain.n, (labels, attempt.chain)
    return {"prompt": case.prompt, "completions": list(attempt.chain.steps), "labels": list(labels), **more}


def one_of(name: str, value: Any, choices: Sequence[Any]) -> None:
    """StepvizError for an option that is none of the choices."""
    if value not in choices:
        raise StepvizError(f"{name} is one of {', '.join(map(str, choices))}, not {value!r}")


def at_least(name: str, value: int | None, low: int) -> None:
    """StepvizError for a number that is too small."""
    if value is not None and value < low:
        raise StepvizError(f"{name} must be at least {low}, not {value}")
