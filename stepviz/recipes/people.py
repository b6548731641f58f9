"""What several people say of the same steps, as one: what was adjudicated, else what most of them say.

1. An adjudication (a study's own annotator, "adjudicated:NAME") settles the steps that it rates: one that it calls
   unsure has no label. Of the steps that it leaves open only those count on which everybody agrees.
2. Elsewhere a step has the label of most of those who rated it. As many of each: it has none. Who is unsure of a step,
   or did not rate it, is no vote.
3. A first error at step e is a vote for each step before it, and against e; of the steps behind it it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stepviz.recipes.case import MASK
from stepviz.types import Annotation

ADJUDICATED = "adjudicated:"
Neutral = Literal["correct", "mask"]


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's rating of one step: 1, 0 or −1. settles: it is an adjudication's, which may also be None, unsure."""

    who: str
    rating: int | None
    settles: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """right of n votes call the step right; helps: those of them that are +1, where 0 is "no error, no use"."""

    right: int = 0
    n: int = 0
    helps: int = 0

    @property
    def label(self) -> int:
        """1, 0, or −100 where nobody says, or as many say right as wrong."""
        return MASK if 2 * self.right == self.n else int(2 * self.right > self.n)

    @property
    def tie(self) -> bool:
        return self.n > 0 and 2 * self.right == self.n


def ratings(said: Iterable[Annotation], question: str, n: int) -> dict[int, int | None]:
    """Step → one labeller's rating, None where they are unsure. Ratings of single steps win over a first error."""
    said, found = list(said), dict[int, int | None]()
    if question == "correct":
        for label in said:
            if label.question == "first_error":
                wrong = n + 1 if label.value is None else label.value
                found = {i: 1 if i < wrong else -1 for i in range(1, min(wrong, n) + 1)}
    return found | {x.step: x.value for x in said if x.question == question and 1 <= x.step <= n}


def meaning(rating: int | None, neutral: Neutral) -> int:
    """A rating as a label; PRM800K's 0 by `neutral`."""
    if rating is None or (rating == 0 and neutral == "mask"):
        return MASK
    return int(rating >= 0)


def votes(said: Iterable[Annotation], question: str, n: int, neutral: Neutral) -> list[list[Vote]]:
    """Of step 1 … n, the votes of all who labelled the chain, by name."""
    own: dict[str, list[Annotation]] = {}
    for label in said:
        own.setdefault(label.annotator, []).append(label)
    cast: list[list[Vote]] = [[] for _ in range(n)]
    for who, labels in sorted(own.items()):
        settles = who.startswith(ADJUDICATED)
        spoken = [label for label in labels if not label.meta.get("nothing")]  # settled before, and open again
        for step, rating in ratings(spoken, question, n).items():
            if meaning(rating, neutral) != MASK or (settles and rating is None):
                cast[step - 1].append(Vote(who, rating, settles))
    return cast


def one_each(cast: Iterable[Vote]) -> list[Vote]:
    """One vote a person, of the same step met in several chains: the lower rating; none of who called it both right
    and wrong."""
    own: dict[str, list[Vote]] = {}
    for vote in cast:
        own.setdefault(vote.who, []).append(vote)
    return [
        min(some, key=lambda vote: vote.rating or 0)
        for some in own.values()
        if len({vote.rating if vote.rating is None else vote.rating >= 0 for vote in some}) == 1
    ]


def count(cast: Sequence[Vote], adjudicated: bool) -> Count:
    """Of one step. adjudicated: its chain is, whatever was said of this step."""
    settled = [vote for vote in cast if vote.settles]
    voices = [vote.rating for vote in settled or cast if vote.rating is not None]
    if adjudicated and not settled and len({rating >= 0 for rating in voices}) > 1:
        return Count()
    return Count(sum(r >= 0 for r in voices), len(voices), sum(r > 0 for r in voices))


def counted(cast: Sequence[Sequence[Vote]]) -> list[Count]:
    """Of a chain's steps."""
    adjudicated = any(vote.settles for step in cast for vote in step)
    return [count(step, adjudicated) for step in cast]


def named(said: Iterable[Annotation], question: str) -> str:
    """Who labels, for a row's origin: "ana, bob"."""
    asked = (question, "first_error") if question == "correct" else (question,)
    return ", ".join(sorted({label.annotator for label in said if label.question in asked}))


def guidelines(said: Iterable[Annotation]) -> str:
    """The versions that they went by, for a row's origin: "1, 2"."""
    return ", ".join(str(v) for v in sorted({_version(x.meta) for x in said} - {0}))


def _version(meta: Mapping[str, object]) -> int:
    found = meta.get("guideline", 0)
    return found if isinstance(found, int) else 0
