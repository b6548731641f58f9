"""Addresses of agreement: the page's own, and the doors that lead from its numbers to chains in Explore."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode

from stepviz.agree import Settings
from stepviz.agreement.cells import DETECTED, FIRSTS, STEPS
from stepviz.agreement.opinions import Question
from stepviz.agreement.square import CELLS
from stepviz.agreement.thresholds import CHOICES
from stepviz.errors import StepvizError

QUESTIONS = ("correct", "solvable")
BY = next(iter(CHOICES))
_DEFAULTS = (("question", QUESTIONS[0]), ("tune_by", BY))
SQUARE = dict(zip(("right_open", "dead_end", "recoverable", "wrong_lost"), CELLS, strict=True))
_ASKED = ("a", "b", "question", "source", "split", "threshold", "tune_split", "tune_by")


@dataclass(frozen=True, slots=True)
class At:
    """Who is held against whom, of what, where; threshold: of scorers, tune_split: where it is chosen instead.

    right, solved: who says what is correct, and what can still be solved, in the table of the two questions.
    Empty: the default.
    """

    a: str = ""
    b: str = ""
    question: str = QUESTIONS[0]
    source: str = ""
    split: str = ""
    threshold: str = ""
    tune_split: str = ""
    tune_by: str = BY
    right: str = ""
    solved: str = ""

    def query(self, **changes: object) -> str:
        pairs = [(f.name, str(changes.get(f.name, getattr(self, f.name)) or "")) for f in fields(self)]
        kept = [(name, value) for name, value in pairs if value and (name, value) not in _DEFAULTS]
        return "?" + urlencode(kept) if kept else "?"

    @property
    def settings(self) -> Settings:
        """StepvizError where they cannot be meant."""
        threshold = _share(self.threshold)
        if self.threshold and threshold is None:
            raise StepvizError(f"A threshold is a score between 0 and 1, not {self.threshold[:20]!r}.")
        if self.tune_split and self.split in ("", self.tune_split):
            raise StepvizError(
                f"The threshold is chosen on {self.tune_split}: then another split must be looked at, chosen above."
            )
        return Settings(
            self.a, self.b, _question(self.question), self.source or None, self.split or None,
            None if self.tune_split else threshold, self.tune_split or None, self.tune_by,
        )  # fmt: skip


def parse(query: str) -> At:
    """An address written by anyone: unknown names and unusable values are left out."""
    given = dict(parse_qsl(query.removeprefix("?")[:4000]))
    at = At(**{f.name: given.get(f.name, f.default)[:500] for f in fields(At)})
    at = at if at.question in QUESTIONS else replace(at, question=QUESTIONS[0])
    return at if at.tune_by in CHOICES else replace(at, tune_by=BY)


@dataclass(frozen=True, slots=True)
class Door:
    """Some of the chains that two judges spoke of: `cell` is a name of agreement.cells, or of SQUARE. part:
    "arm:blind", "position:3", …, all where it is empty; of SQUARE who says what is correct, and what can be solved.

    The threshold is the one the number was counted at, though it was chosen on tune_split, by tune_by. "scored": the
    steps that a scorer is held against, in parts "flagged", "errors", "hits", "bin:3". "ceiling": the
    items of a row of the human ceiling, "pair:ana|bob", "others:ana".
    """

    a: str
    b: str
    question: str = QUESTIONS[0]
    source: str = ""
    split: str = ""
    threshold: str = ""
    tune_split: str = ""
    tune_by: str = BY
    cell: str = "known"
    part: str = ""

    @property
    def packed(self) -> str:
        """The comparison as one word of an address: `ana|exact|correct|||0.5|`."""
        return "|".join(quote(getattr(self, name), safe=":/*@ .#") for name in _ASKED)

    @property
    def named(self) -> str:
        """The cell, with its part, as one word."""
        return f"{self.cell}@{self.part}" if self.part else self.cell

    @property
    def query(self) -> str:
        """In Explore."""
        return "/?" + urlencode({"agree": self.packed, "cell": self.named})

    @property
    def page(self) -> str:
        """The page that the number stands on."""
        threshold = "" if self.tune_split else self.threshold
        asked = At(self.a, self.b, self.question, self.source, self.split, threshold, self.tune_split, self.tune_by)
        right, solved = self.crossed or ("", "")
        return "/agreement" + asked.query(right=right, solved=solved)

    @property
    def crossed(self) -> tuple[str, str] | None:
        """Of the table of the two questions: who says what is correct, and what can still be solved."""
        if self.cell not in SQUARE:
            return None
        right, _, solved = self.part.partition("|")
        return unquote(right), unquote(solved)

    @property
    def settings(self) -> Settings:
        """At the threshold that was chosen: nothing is chosen again."""
        return Settings(
            self.a, self.b, _question(self.question), self.source or None, self.split or None, _share(self.threshold)
        )


def crossing(right: str, solved: str) -> str:
    """A door's part in the table of the two questions."""
    return f"{_quoted(right)}|{_quoted(solved)}"


def row(kind: str, *names: str) -> str:
    """A door's part: a row of the human ceiling."""
    return f"{kind}:{'|'.join(map(_quoted, names))}"


def _quoted(name: str) -> str:
    return quote(name, safe="/*:")


def door(agree: str, cell: str) -> Door | None:
    """Of an address written by anyone; None where it names no cell of a comparison."""
    words = [unquote(word)[:500] for word in agree.split("|")]
    name, _, part = cell.partition("@")
    if (
        len(words) != len(_ASKED)
        or not all(words[:2])
        or name not in ("chains", "scored", "ceiling", *DETECTED, *FIRSTS, *STEPS, *SQUARE)
    ):
        return None
    found = Door(*words, name, part)
    known = found.question in QUESTIONS and (not found.threshold or _share(found.threshold) is not None)
    return found if known and (found.crossed is None or all(found.crossed)) else None


def _question(text: str) -> Question:
    return "solvable" if text == "solvable" else "correct"


def _share(text: str) -> float | None:
    try:
        value = float(text) if len(text) < 25 else math.nan
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
