"""Where the people of a study disagree about an item, and what an admin settles there. Pure.

People disagree where two rate a step otherwise, or see the first wrong step elsewhere; who is unsure, or says nothing,
disagrees with nobody. Whether steps are correct is asked up to a person's first wrong one, as in the statistics
(stepviz.agreement): what is said behind it is left out. Whether the problem can still be solved is asked of each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from stepviz.agreement.opinions import BAD, NONE_WRONG, Opinion, Question, of_ratings
from stepviz.errors import StepvizError
from stepviz.studies import RATINGS
from stepviz.types import Annotation

RATED: tuple[Question, ...] = get_args(Question)  # a step at a time; "decides" names one step, and parts nobody
LONGEST_NOTE = 10_000  # characters
SAID = {"1": 1, "0": 0, "-1": -1, "unsure": None}
_MARK = {1: "+1", 0: "0", -1: "−1"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one person said of an item that is submitted. ratings: question → step → +1, 0, −1, or None for unsure."""

    annotator: str
    ratings: Mapping[str, Mapping[int, int | None]]
    flags: tuple[str, ...] = ()

    def opinion(self, question: Question, n: int) -> Opinion:
        """n: steps of the chain."""
        own = self.ratings.get(question, {})
        said = [own.get(step) for step in range(1, n + 1)]
        return of_ratings("", "", self.annotator, said, to_first=question == "correct")


@dataclass(frozen=True, slots=True)
class Parting:
    """One question that parts them. steps: (step, the ratings that were given); firsts: 0 for "none is wrong"; ()
    where nobody who tells the first wrong step tells another than the others."""

    question: Question
    steps: tuple[tuple[int, tuple[int, ...]], ...]
    firsts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """flags: (flag, who raised it)."""

    parts: tuple[Parting, ...]
    flags: tuple[tuple[str, str], ...] = ()

    @property
    def steps(self) -> frozenset[tuple[str, int]]:
        return frozenset((part.question, step) for part in self.parts for step, _ in part.steps)

    def words(self) -> list[str]:
        """Without names: `correct: first error 2 or 4`, `solvable, step 3: +1 or −1`, `flagged bad problem`."""
        return [*(_worded(part) for part in self.parts), *dict.fromkeys(f"flagged {_plain(f)}" for f, _ in self.flags)]


def conflict(turns: Sequence[Turn], n: int) -> Conflict | None:
    """None where they agree as far as they speak. n: steps of the chain."""
    parts = [part for question in RATED if (part := _parting(turns, question, n)) is not None]
    flags = tuple((flag, turn.annotator) for turn in turns for flag in turn.flags)
    return Conflict(tuple(parts), flags) if parts or flags else None


def _parting(turns: Sequence[Turn], question: Question, n: int) -> Parting | None:
    said = [turn.opinion(question, n) for turn in turns]
    steps = []
    for i in range(n):
        values = {opinion.steps[i] for opinion in said} - {None}
        if len(values) > 1:
            steps.append((i + 1, tuple(sorted((v for v in values if v is not None), reverse=True))))
    known = {opinion.first for opinion in said if opinion.first is not None}
    firsts = tuple(sorted(known)) if len(known) > 1 else ()
    return Parting(question, tuple(steps), firsts) if steps or firsts else None


def agreed(turns: Iterable[Turn], question: Question, n: int) -> dict[int, int]:
    """Step → what all say who rate it; of `correct` up to where they part, for what follows hangs on that."""
    said = [turn.opinion(question, n) for turn in turns]
    found = {}
    for i in range(n):
        values = {opinion.steps[i] for opinion in said} - {None}
        if len(values) == 1:
            found[i + 1] = int(values.pop() or 0)
        elif values and question == "correct":
            break
    return found


def ratings(question: str) -> list[str]:
    """What a form may say of a step, as `settled` reads it."""
    return [word for word, value in SAID.items() if value in RATINGS[question]]


def settled(sent: Mapping[str, Any], questions: Sequence[str], n: int, note: str = "") -> list[Annotation]:
    """What a form says: `correct-3` is one of ratings(), `decides` a step; empty says nothing.

    The note goes with the first wrong step, else with the last one that is rated. Chain and annotator are the store's
    to fill in. StepvizError for what cannot be said.
    """
    if len(note) > LONGEST_NOTE:
        raise StepvizError(f"A note has at most {LONGEST_NOTE:,} characters.")
    labels = []
    for question in (q for q in RATED if q in questions):
        for step in range(1, n + 1):
            value = str(sent.get(f"{question}-{step}") or "")
            if value and value not in ratings(question):
                raise StepvizError(f"A rating is {_listed(ratings(question))}, not {value[:20]}.")
            if value:
                labels.append(Annotation("", "", question, step, SAID[value]))
    decides = str(sent.get("decides") or "")
    if decides and "decides" in questions:
        if not (decides.isascii() and decides.isdigit() and 1 <= int(decides[:9]) <= n):
            raise StepvizError(f"There is no step {decides[:20]} here: 1 to {n}.")
        labels.append(Annotation("", "", "decides", 0, int(decides)))
    if note.strip() and labels:
        at = next((i for i, x in enumerate(labels) if x.value == BAD and x.step), len(labels) - 1)
        x = labels[at]
        labels[at] = Annotation("", "", x.question, x.step, x.value, note.strip())
    return labels


def _worded(part: Parting) -> str:
    if part.firsts:
        return f"{part.question}: first error {_listed(['none' if f == NONE_WRONG else str(f) for f in part.firsts])}"
    first, values = part.steps[0]
    more = f" and {len(part.steps) - 1} more" if len(part.steps) > 1 else ""
    return f"{part.question}, step {first}: {_listed([_MARK[v] for v in values])}{more}"


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _plain(word: str) -> str:
    return word.replace("_", " ")
