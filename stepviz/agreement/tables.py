"""Tables of what two judges said of the same things, a problem, and how a statistic of them varies.

Steps of one chain, and chains of one problem, are not independent: problems are what is drawn again. Where several
people labelled several problems each, people are drawn again, too, independently (the pigeonhole bootstrap of Owen,
2007): a pair of two different people counts as often as both were drawn together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

DRAWS = 2000
AT_ONCE = 200  # draws that are held in memory
PEOPLE = 3  # from so many on they are drawn again
UNDEFINED = 0.05  # share of draws without a value, above which an interval would be of other data
Statistic = Callable[[np.ndarray], np.ndarray]  # tables [..., C, C] → values [...], nan where there is none


@dataclass(frozen=True, slots=True)
class Number:
    """A statistic with its 95 % percentile interval; None where it is undefined, and `why`. n: how many things."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """One judge's label of one thing, a category's place in the list. thing: what others labelled, too."""

    problem: str
    thing: Hashable
    judge: str
    label: int


@dataclass(frozen=True, eq=False)
class Tables:
    """counts: float [pairs of judges, problems, C, C], the first judge's label by the second's.

    shared: the same, both ways round and each thing in all as often as it has labels (Krippendorff's coincidences).
    pairs: [pairs, 2] numbers of judges; groups: judges that are drawn again together; n: things labelled twice.
    """

    counts: np.ndarray
    shared: np.ndarray
    pairs: np.ndarray
    groups: tuple[tuple[int, ...], ...]
    n: int

    def whole(self) -> np.ndarray:
        """[C, C]."""
        return self.counts.sum((0, 1))

    def drawn(self, counts: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Iterator[np.ndarray]:
        """counts or shared, [draws, C, C], of problems and people drawn again, in parts."""
        rng, problems = np.random.default_rng(seed), counts.shape[1]
        for start in range(0, draws, AT_ONCE):
            some = min(AT_ONCE, draws - start)
            weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=some).astype(float)
            people = np.ones((some, int(self.pairs.max()) + 1))
            for group in self.groups:
                people[:, group] = _drawn_together(rng, len(group), some)
            yield sum(
                (people[:, i] * people[:, j])[:, None, None] * np.tensordot(weights, table, axes=1)
                for (i, j), table in zip(self.pairs, counts, strict=True)
            )

    def number(self, statistic: Statistic, why: Callable[[np.ndarray], str], *, shared: bool = False) -> Number:
        """why: of a table that has no value."""
        counts = self.shared if shared else self.counts
        whole = counts.sum((0, 1))
        value = float(statistic(whole)) if self.n else float("nan")
        if np.isnan(value):
            return Number(None, n=self.n, why=why(whole) if self.n else "nothing was labelled by both")
        found = np.concatenate([statistic(tables) for tables in self.drawn(counts)])
        if np.isnan(found).mean() > UNDEFINED:
            said = "in too many of the resamples it has no value: too few problems for an interval"
            return Number(value, n=self.n, why=said)
        low, high = np.nanpercentile(found, [2.5, 97.5])
        return Number(value, float(low), float(high), self.n)


def between(a: Iterable[Said], b: Iterable[Said], categories: int) -> Tables:
    """Every judge of a against every other one of b, on things that both labelled."""
    found = pairs_between(a, b)
    together = _several([x for x, _ in found]), _several([y for _, y in found])
    groups = [together[0] | together[1]] if together[0] & together[1] else [g for g in together if g]
    return _tables(found, categories, len({x.thing for x, _ in found}), Counter(), groups)


def among(labels: Iterable[Said], categories: int) -> Tables:
    """Every two judges of one group."""
    things = _of_several(labels)
    found = _in_twos(things)
    labelled = Counter({thing: len(said) for thing, said in things.items()})
    together = _several([one for said in things.values() for one in said])
    return _tables(found, categories, len(things), labelled, [together] if together else [])


def pairs_between(a: Iterable[Said], b: Iterable[Said]) -> list[tuple[Said, Said]]:
    """What `between` counts, one by one."""
    ours, theirs = _by_thing(a), _by_thing(b)
    return [
        (x, y)
        for thing in ours  # in their order, so that the same draws come again
        if thing in theirs
        for x, y in product(ours[thing], theirs[thing])
        if x.judge != y.judge
    ]


def pairs_among(labels: Iterable[Said]) -> list[tuple[Said, Said]]:
    """What `among` counts, one by one."""
    return _in_twos(_of_several(labels))


def _of_several(labels: Iterable[Said]) -> dict[Hashable, list[Said]]:
    return {thing: said for thing, said in _by_thing(labels).items() if len(said) > 1}


def _in_twos(things: Mapping[Hashable, Sequence[Said]]) -> list[tuple[Said, Said]]:
    return [pair for said in things.values() for pair in combinations(said, 2)]


def _by_thing(labels: Iterable[Said]) -> dict[Hashable, list[Said]]:
    found: dict[Hashable, list[Said]] = defaultdict(list)
    for said in labels:
        found[said.thing].append(said)
    return found


def _tables(
    found: Sequence[tuple[Said, Said]], categories: int, n: int, labels: Counter[Hashable], groups: Sequence[set[str]]
) -> Tables:
    """labels: of each thing, how many there are (2 where it is not in there). Who is in no group is nobody: 0."""
    numbers = {name: i for i, name in enumerate(sorted(set().union(*groups)), 1)}
    problems = {p: i for i, p in enumerate(dict.fromkeys(x.problem for x, _ in found))}
    pairs: dict[tuple[int, int], int] = {}
    for x, y in found:
        pairs.setdefault((numbers.get(x.judge, 0), numbers.get(y.judge, 0)), len(pairs))
    counts = np.zeros((max(len(pairs), 1), max(len(problems), 1), categories, categories))
    shared = np.zeros_like(counts)
    for x, y in found:
        at = pairs[numbers.get(x.judge, 0), numbers.get(y.judge, 0)], problems[x.problem]
        counts[at][x.label, y.label] += 1
        share = 1 / (labels.get(x.thing, 2) - 1)
        shared[at][x.label, y.label] += share
        shared[at][y.label, x.label] += share
    together = tuple(tuple(numbers[name] for name in sorted(group)) for group in groups)
    return Tables(counts, shared, np.array(list(pairs) or [(0, 0)]), together, n)


def _several(labels: Sequence[Said]) -> set[str]:
    """Those who are drawn again: several, of several problems each. Else who it was plays no part: one or two judges
    are all there are, and one with a single problem is drawn again with it."""
    problems: dict[str, set[str]] = defaultdict(set)
    for said in labels:
        problems[said.judge].add(said.problem)
    several = len(problems) >= PEOPLE and all(len(own) > 1 for own in problems.values())
    return set(problems) if several else set()


def _drawn_together(rng: np.random.Generator, people: int, draws: int) -> np.ndarray:
    """[draws, people]: how often each was drawn. One person drawn all the time has nobody to agree with: again."""
    found = rng.multinomial(people, np.full(people, 1 / people), size=draws).astype(float)
    while (alone := (found > 0).sum(1) < 2).any():
        found[alone] = rng.multinomial(people, np.full(people, 1 / people), size=int(alone.sum()))
    return found


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """nan of nothing."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
