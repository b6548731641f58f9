"""Problems and people drawn again, and what comes of a statistic: its value, an interval, or why there is none.

Steps of one chain, and chains of one problem, are not independent: problems are what is drawn again. Where several
people labelled several problems each, people are drawn again, too, independently (the pigeonhole bootstrap of Owen,
2007): a pair of two different people counts as often as both were drawn together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
AT_ONCE = 200  # draws that are held in memory
CELLS = 1_000_000  # numbers that are held in memory
PEOPLE = 3  # from so many on they are drawn again
UNDEFINED = 0.05  # share of draws without a value, above which an interval would be of other data
TOO_FEW = "in too many of the resamples it has no value: too few problems for an interval"


@dataclass(frozen=True, slots=True)
class Number:
    """A statistic with its 95 % percentile interval; None where it is undefined, and `why`. n: how many things."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    why: str = ""


@dataclass(frozen=True, eq=False)
class Values:
    """A statistic of several layers: whole [layers], drawn [draws, layers], n and `why` (there is no value) of each."""

    whole: np.ndarray
    drawn: np.ndarray
    n: Sequence[int]
    why: Sequence[str]

    def number(self, layer: int = 0) -> Number:
        value, n = float(self.whole[layer]), int(self.n[layer])
        if np.isnan(value):
            return Number(None, n=n, why=self.why[layer])
        return _with_interval(value, self.drawn[:, layer], n)

    def difference(self, layer: int, base: int) -> Number:
        """layer − base, by the same draws; n: the things of both."""
        n = int(self.n[layer] + self.n[base])
        for one in (layer, base):
            if np.isnan(self.whole[one]):
                return Number(None, n=n, why=self.why[one])
        value = float(self.whole[layer] - self.whole[base])
        return _with_interval(value, self.drawn[:, layer] - self.drawn[:, base], n)


def _with_interval(value: float, drawn: np.ndarray, n: int) -> Number:
    if np.isnan(drawn).mean() > UNDEFINED:
        return Number(value, n=n, why=TOO_FEW)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Number(value, float(low), float(high), n)


def draws(
    problems: int, groups: Sequence[Sequence[int]], people: int, *, at_once: int = AT_ONCE, seed: int = 0,
    alone: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """DRAWS times how often each problem [some, problems] and each person [some, people + 1] was drawn, in parts.

    One problem drawn again is the same one: its draws have no value, for an interval would be of no width.
    groups: numbers of people that are drawn together; 0 is nobody, and who is in no group counts once in every draw.
    alone: one person may be drawn all the time, since they are judged against somebody else.
    """
    of_problems, of_people = (np.random.default_rng([seed, which]) for which in range(2))
    for start in range(0, DRAWS, at_once):
        some = min(at_once, DRAWS - start)
        weights = _drawn(of_problems, problems, some) if problems > 1 else np.full((some, problems), np.nan)
        persons = np.ones((some, people + 1))
        for group in groups:
            persons[:, list(group)] = _drawn_together(of_people, len(group), some, alone)
        yield weights, persons


def at_once(cells: int) -> int:
    """How many draws, of so many numbers each."""
    return int(np.clip(CELLS // max(cells, 1), 1, AT_ONCE))


def several(labels: Iterable[tuple[str, str]]) -> set[str]:
    """Of (judge, problem) those judges who are drawn again: of several problems each, where they are several. Else who
    it was plays no part: one or two judges are all there are, and one with a single problem is drawn again with it."""
    problems: dict[str, set[str]] = defaultdict(set)
    for judge, problem in labels:
        problems[judge].add(problem)
    found = {judge for judge, own in problems.items() if len(own) > 1}
    return found if len(found) >= PEOPLE else set()


def _drawn(rng: np.random.Generator, things: int, times: int) -> np.ndarray:
    """[times, things]: how often each of them is in each draw of as many."""
    if not things:
        return np.zeros((times, 0))
    chosen = rng.integers(things, size=(times, things)) + things * np.arange(times)[:, None]
    return np.bincount(chosen.ravel(), minlength=times * things).reshape(times, things).astype(float)


def _drawn_together(rng: np.random.Generator, people: int, times: int, alone: bool) -> np.ndarray:
    """One person drawn all the time has nobody to agree with: again."""
    found = _drawn(rng, people, times)
    while not alone and (lonely := (found > 0).sum(1) < 2).any():
        found[lonely] = _drawn(rng, people, int(lonely.sum()))
    return found
