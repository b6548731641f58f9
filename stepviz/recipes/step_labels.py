"""`stepwise`: labels of steps by people, or, as a named oracle arm, by the exact judge (a process reward model's data).

Decisions:
1. `annotator` names a labeller ("ana") or a data set whose rows have labellers of their own ("prm800k", "stepverify":
   all annotators "prm800k/…"). Each labeller's labels of a chain are a row of their own; they are never merged.
   `study` names a study instead: what its people said is one row a chain, by stepviz.recipes.people: adjudicated,
   else by majority, ties without a label.
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
7. `after_error="mask"` takes the labels of the steps behind the first wrong one away, as PRM800K (phase 2) and
   ProcessBench have none. By default they stay: whoever rated them meant them.
8. `soft` adds k of n: so many of a study's people call the step right. A tie then is no missing label but 1/2, and 0
   among the labels (above 1/2 or not, as soft labels are judged). An adjudicated step has 1/1 or 0/1.
9. Of a study's turns those at gold items are left out, whose labels were known before (`gold` takes them), and those
   that called the problem bad; with `blind` those in which a model's opinion was shown (stepviz.study_labels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from stepviz.errors import StepvizError
from stepviz.recipes.case import (
    MASK,
    NO_STEPS,
    NOT_IN_STUDY,
    NOT_LABELLED,
    Attempt,
    Case,
    Dropped,
    Row,
    one_of,
    origin,
    stepwise_row,
)
from stepviz.recipes.people import Count, Neutral, counted, guidelines, meaning, named, ratings, votes
from stepviz.types import Annotation
from stepviz.world import exact_for

NOT_OF_THE_WORLD = "a problem that is not of the embedded world: the exact judge knows no other"
NOTHING_SAID = "a chain of which no step is labelled for sure"
TIED = "a step on which as many people say right as wrong: it has no label"


@dataclass(frozen=True, slots=True)
class Stepwise:
    annotator: str | None = None
    study: str | None = None  # its people's labels, agreed
    oracle: bool = False
    question: Literal["correct", "solvable"] = "correct"
    neutral: Neutral = "correct"  # PRM800K's 0
    after_error: Literal["keep", "mask"] = "keep"
    soft: bool = False  # columns k and n; of a study
    gold: bool = False  # of a study: gold items, too
    blind: bool = False  # of a study: only labels of the blind arm
    balance: bool = False  # as many right as wrong labels at each prefix length
    seed: int = 0  # of the balance

    def __post_init__(self) -> None:
        one_of("question", self.question, ("correct", "solvable"))
        one_of("neutral", self.neutral, ("correct", "mask"))
        one_of("after_error", self.after_error, ("keep", "mask"))
        if bool(self.annotator) + bool(self.study) + self.oracle != 1:
            raise StepvizError(f"{WHOSE}, or --oracle for the exact judge of the embedded world: one of the three")
        of_a_study(self.study, soft=self.soft, gold=self.gold, blind=self.blind)


WHOSE = "whose labels? Give --study NAME, or --annotator NAME (a person, or a data set such as prm800k)"


def of_a_study(study: str | None, **given: bool) -> None:
    """StepvizError for options that mean something of a study's labels only."""
    if not study and (odd := [name for name, on in given.items() if on]):
        raise StepvizError(f"--{odd[0]} is about the people of a study: give --study NAME")


def is_of(annotator: str, named: str) -> bool:
    """Whether an annotator is the named one, or one of the named data set's."""
    return annotator == named or annotator.startswith(f"{named}/")


def stepwise(case: Case, options: Stepwise, dropped: Dropped) -> Iterator[Row]:
    """{prompt, completions, labels, origin}, with k and n where soft; the attempts carry the labels.

    A row a chain of a study, or a chain and labeller.
    """
    with_steps = [attempt for attempt in case.attempts if attempt.chain.n]
    dropped.add(NO_STEPS, len(case.attempts) - len(with_steps))
    if options.oracle:
        yield from _by_the_exact_judge(case, with_steps, options, dropped)
        return
    for attempt in with_steps:
        said = attempt.labels
        if not options.study:
            said = tuple(sorted((a for a in said if is_of(a.annotator, options.annotator or "")), key=_annotator))
        if not said:
            dropped.add(NOT_IN_STUDY if options.study else NOT_LABELLED)
        elif options.study:
            yield from _agreed(case, attempt, options, dropped)
        else:
            for annotator, labels in groupby(said, key=_annotator):
                found = human_labels(list(labels), attempt.chain.n, options)
                yield from _row(case, attempt, found, options, dropped, annotator=annotator)


def _agreed(case: Case, attempt: Attempt, options: Stepwise, dropped: Dropped) -> Iterator[Row]:
    """One row of what all people of the study say."""
    found = counted(votes(attempt.labels, options.question, attempt.chain.n, options.neutral))
    dropped.add(TIED, 0 if options.soft else sum(step.tie for step in found))
    by = {"study": options.study, "guideline": guidelines(attempt.labels)}
    labels = [0 if options.soft and step.tie else step.label for step in found]
    who = named(attempt.labels, options.question)
    yield from _row(case, attempt, labels, options, dropped, found if options.soft else None, annotator=who, **by)


def _row(
    case: Case,
    attempt: Attempt,
    labels: list[int],
    options: Stepwise,
    dropped: Dropped,
    counts: Sequence[Count] | None = None,
    **by: Any,
) -> Iterator[Row]:
    """The row, or none where no step has a label."""
    first = labels.index(0) + 1 if options.after_error == "mask" and 0 in labels else len(labels)
    labels = [label if i < first else MASK for i, label in enumerate(labels)]
    if set(labels) == {MASK}:
        dropped.add(NOTHING_SAID)
        return
    more = {}
    if counts is not None:
        known = [step if label != MASK else Count() for step, label in zip(counts, labels, strict=True)]
        more = {"k": [step.right for step in known], "n": [step.n for step in known]}
    yield stepwise_row(case, attempt, labels, **more, origin=origin(case.problem, attempt, **by))


def human_labels(said: list[Annotation], n: int, options: Stepwise) -> list[int]:
    """One labeller's labels of the n steps of a chain: 1, 0 or −100."""
    rated = ratings(said, options.question, n)
    return [meaning(rated.get(i), options.neutral) for i in range(1, n + 1)]


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
        yield from _row(case, attempt, labels, options, dropped, annotator="oracle")


def _annotator(label: Annotation) -> str:
    return label.annotator
