"""What one judge says of one chain: of each step, and where it goes wrong first.

People, data sets, scorers at a threshold, rollouts and the exact truth all become the same value, so that any two can
be compared. A step after a judge's first error is missing, not agreed (PRM800K and ProcessBench stop there), where the
question is whether steps are correct; whether the problem can still be solved is said of every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Question = Literal["correct", "solvable"]
GOOD, NEUTRAL, BAD = 1, 0, -1
NONE_WRONG = 0


@dataclass(frozen=True, slots=True)
class Opinion:
    """steps: of step 1 … n GOOD, NEUTRAL, BAD, or None where nothing is said.

    first: the first wrong step, NONE_WRONG where every step is well, None where that is not known.
    arm: of a study, in which it was given; "" elsewhere.
    """

    problem: str
    chain: str
    judge: str
    steps: tuple[int | None, ...]
    first: int | None
    arm: str = ""

    @property
    def error(self) -> bool | None:
        """Whether any step is wrong; None where that is not known. It may be, though not which is the first."""
        if self.first is not None:
            return self.first != NONE_WRONG
        return True if BAD in self.steps else None


def of_first_error(problem: str, chain: str, judge: str, n: int, first: int | None) -> Opinion:
    """A judge that names the first wrong step, 1 … n, or None: no step is wrong. ValueError for a step beyond n."""
    if first is not None and not 1 <= first <= n:
        raise ValueError(f"step {first} of a chain of {n} steps")
    if first is None:
        return Opinion(problem, chain, judge, (GOOD,) * n, NONE_WRONG)
    return Opinion(problem, chain, judge, ((GOOD,) * (first - 1) + (BAD,) + (None,) * (n - first)), first)


def of_ratings(
    problem: str, chain: str, judge: str, ratings: Sequence[int | None], *, to_first: bool = True
) -> Opinion:
    """A judge that rates steps; None: unrated, or unsure. The first wrong step is known where every step before it is
    rated, and that none is wrong where all are. to_first: what is said of the steps after it is left out."""
    first = next((i for i, said in enumerate(ratings, 1) if said == BAD), NONE_WRONG)
    looked_at = ratings[: first - 1] if first else ratings
    known = None not in looked_at
    said = tuple(ratings)
    if to_first and first:
        said = (*said[:first], *(None,) * (len(said) - first))
    return Opinion(problem, chain, judge, said, first if known else None)


def of_scores(
    problem: str, chain: str, judge: str, scores: Sequence[float], threshold: float, *, to_first: bool = True
) -> Opinion:
    """A scorer: a step at or below the threshold is wrong, as in `refine` and in Explore."""
    return of_ratings(
        problem, chain, judge, [BAD if score <= threshold else GOOD for score in scores], to_first=to_first
    )
