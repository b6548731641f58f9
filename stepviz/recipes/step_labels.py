"""`stepwise`: labels of steps by people, or, as a named oracle arm, by the exact judge (a process reward model's data).

Decisions:
1. `annotator` names a labeller ("ana") or a data set whose rows have labellers of their own ("prm800k", "stepverify":
   all annotators "prm800k/…"). Each labeller's labels of a chain are a row of their own; they are never merged.
2. PRM800K's ratings: 1 → 1, −1 → 0; 0 (neither wrong nor of use) → 1, since it is no error, or −100 with
   `neutral="mask"`. Unsure and unlabelled steps are −100.
3. A first error at step e ("first_error", ProcessBench): steps before e are 1, e is 0, those after e are −100,
   since nobody judged them. No step wrong: all are 1. Where a labeller gave both, the labels of single steps win.
4. The oracle arm (`oracle`) asks stepviz.world's exact judge, for problems of the embedded world. What it cannot read
   is −100. Such a dataset is a ceiling: its name, its configuration and each row's origin say "oracle", and nothing
   but a named oracle arm may be trained on it.
5. `question` is what the label answers: "correct" (people and PRMs) or "solvable" (V*, what SORMs estimate).
6. `balance` masks the surplus class at each prefix length, as for a SORM (stepviz.recipes.balance): without it such
   a model, too, learns how far the step stands from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from stepviz.errors import StepvizError
from stepviz.recipes.case import (
    MASK,
    NO_STEPS,
    NOT_LABELLED,
    Attempt,
    Case,
    Dropped,
    Row,
    one_of,
    origin,
    stepwise_row,
)
from stepviz.types import Annotation
from stepviz.world import exact_for

NOT_OF_THE_WORLD = "a problem that is not of the embedded world: the exact judge knows no other"
NOTHING_SAID = "a chain of which no step is labelled for sure"


@dataclass(frozen=True, slots=True)
class Stepwise:
    annotator: str | None = None
    oracle: bool = False
    question: Literal["correct", "solvable"] = "correct"
    neutral: Literal["correct", "mask"] = "correct"  # PRM800K's 0
    balance: bool = False  # as many right as wrong labels at each prefix length
    seed: int = 0  # of the balance

    def __post_init__(self) -> None:
        one_of("question", self.question, ("correct", "solvable"))
        one_of("neutral", self.neutral, ("correct", "mask"))
        if bool(self.annotator) == self.oracle:
            raise StepvizError(
                "whose labels? Give --annotator NAME (a person, or a data set such as prm800k), "
                "or --oracle for the exact judge of the embedded world"
            )


def is_of(annotator: str, named: str) -> bool:
    """Whether an annotator is the named one, or one of the named data set's."""
    return annotator == named or annotator.startswith(f"{named}/")


def stepwise(case: Case, options: Stepwise, dropped: Dropped) -> Iterator[Row]:
    """{prompt, completions, labels, origin}: a row a chain and labeller; the attempts carry the labels."""
    with_steps = [attempt for attempt in case.attempts if attempt.chain.n]
    dropped.add(NO_STEPS, len(case.attempts) - len(with_steps))
    if options.oracle:
        yield from _by_the_exact_judge(case, with_steps, options, dropped)
        return
    for attempt in with_steps:
        said = sorted((a for a in attempt.labels if is_of(a.annotator, options.annotator or "")), key=_annotator)
        if not said:
            dropped.add(NOT_LABELLED)
        for annotator, labels in groupby(said, key=_annotator):
            found = human_labels(list(labels), attempt.chain.n, options)
            if set(found) == {MASK}:
                dropped.add(NOTHING_SAID)
                continue
            yield stepwise_row(case, attempt, found, origin=origin(case.problem, attempt, annotator=annotator))


def human_labels(said: list[Annotation], n: int, options: Stepwise) -> list[int]:
    """One labeller's labels of the n steps of a chain: 1, 0 or −100."""
    labels = [MASK] * n
    if options.question == "correct":
        for label in said:
            if label.question == "first_error":
                wrong = n + 1 if label.value is None else label.value
                labels = [1 if i < wrong else 0 if i == wrong else MASK for i in range(1, n + 1)]
    meaning = {1: 1, -1: 0, 0: 1 if options.neutral == "correct" else MASK, None: MASK}
    for label in said:
        if label.question == options.question and label.step >= 1:
            labels[label.step - 1] = meaning[label.value]
    return labels


def _by_the_exact_judge(case: Case, attempts: list[Attempt], options: Stepwise, dropped: Dropped) -> Iterator[Row]:
    judge = exact_for(case.problem)
    if judge is None:
        dropped.add(NOT_OF_THE_WORLD, len(attempts))
        return
    for attempt in attempts:
        judged = judge.judge(attempt.chain.steps).steps
        if options.question == "solvable":
            labels = [int(step.solvable) for step in judged]
        else:
            labels = [int(step.correct) if step.readable else MASK for step in judged]
        if set(labels) == {MASK}:
            dropped.add(NOTHING_SAID)
            continue
        yield stepwise_row(case, attempt, labels, origin=origin(case.problem, attempt, annotator="oracle"))


def _annotator(label: Annotation) -> str:
    return label.annotator
