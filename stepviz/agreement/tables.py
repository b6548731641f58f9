"""Tables of what two judges said of the same things, in layers, and how a statistic of them varies.

A layer is a part of all pairs of labels (an arm, a step position, a source, one pair of people); a pair may lie in
several. All layers are drawn again together, so that they can be compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal, NamedTuple

import numpy as np

from stepviz.agreement.resampling import Number, Values, at_once, draws, several

__all__ = ["Ask", "Layers", "Number", "Said", "Tables", "among", "between", "by_thing", "paired", "share"]

Statistic = Callable[[np.ndarray], np.ndarray]  # tables [..., C, C] → values [...], nan where there is none
Counted = Literal["pairs", "labels", "things"]
NOTHING = "nothing was labelled by both"


@dataclass(frozen=True, slots=True)
class Said:
    """One judge's label of one thing, a category's place in the list. thing: what others labelled, too.

    arm: of a study, in which the label was given; "" elsewhere.
    """

    problem: str
    thing: Hashable
    judge: str
    label: int
    arm: str = ""


class Ask(NamedTuple):
    """A statistic of tables, and what to say of one that has no value.

    counted: how often a thing that m judges labelled counts: each pair of labels once, the first judge's by the
    second's; "labels": m times, both ways round (Krippendorff's coincidences); "things": once, both ways round (Gwet).
    n: of a table, where it is not the number of things.
    """

    statistic: Statistic
    why: Callable[[np.ndarray], str] = lambda _: ""
    counted: Counted = "pairs"
    n: Callable[[np.ndarray], float] | None = None


class Layers(NamedTuple):
    """Names, and in which of them a pair of labels lies."""

    names: tuple[str, ...] = ("",)
    of: Callable[[Said, Said], Sequence[int]] = lambda _, __: (0,)


ALL = Layers()


@dataclass(frozen=True, eq=False)
class Tables:
    """Of each pair of labels its layer, problem, the two judges' numbers (0: who is not drawn again), the two labels,
    and how many labels the thing has in that layer. n: things labelled twice, a layer.

    groups: numbers of judges that are drawn again together. apart: they are judged against somebody else.
    """

    entries: np.ndarray  # int [pairs of labels, 7]
    names: tuple[str, ...]
    categories: int
    problems: int
    n: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    apart: bool = False

    def whole(self, counted: Counted = "pairs") -> np.ndarray:
        """[C, C] of all layers together."""
        return self.layers(counted).sum(0)

    def layers(self, counted: Counted = "pairs") -> np.ndarray:
        """[layers, C, C]."""
        cells, weights, _ = self._cells(counted)
        return np.bincount(cells, weights, self._size).reshape(self._shape)

    def ask(self, asked: Mapping[str, Ask]) -> dict[str, Values]:
        """All in one go: the draws are what takes long."""
        found = {name: [] for name in asked}
        wanted = {ask.counted for ask in asked.values()}
        for some in self._drawn(sorted(wanted)) if len(self.entries) else ():
            for name, ask in asked.items():
                found[name].append(ask.statistic(some[ask.counted]))
        return {name: self._values(ask, found[name]) for name, ask in asked.items()}

    def numbers(self, asked: Mapping[str, Ask]) -> dict[str, Number]:
        """Of the only layer."""
        return {name: values.number() for name, values in self.ask(asked).items()}

    def number(self, statistic: Statistic, why: Callable[[np.ndarray], str] = lambda _: "", counted: Counted = "pairs"
               ) -> Number:  # fmt: skip
        return self.numbers({"it": Ask(statistic, why, counted)})["it"]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return len(self.names), self.categories, self.categories

    @property
    def _size(self) -> int:
        return len(self.names) * self.categories**2

    def _cells(self, counted: Counted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each entry counts in the flat tables, how much, and which entry it is."""
        layer, _, _, _, a, b, labels = self.entries.T
        start = layer * self.categories**2
        there, back = start + a * self.categories + b, start + b * self.categories + a
        which = np.arange(len(self.entries))
        if counted == "pairs":
            return there, np.ones(len(there)), which
        each = 1 / (labels - 1) if counted == "labels" else 1 / (labels * (labels - 1))
        return np.concatenate([there, back]), np.tile(each, 2), np.tile(which, 2)

    def _drawn(self, wanted: Sequence[Counted]) -> Iterator[dict[Counted, np.ndarray]]:
        """Tables [draws, layers, C, C] of problems and people drawn again, in parts."""
        sums = {counted: self._sums(counted) for counted in wanted}
        people = int(self.entries[:, 2:4].max(initial=0))
        size = at_once(max(self._size * len(wanted), self.problems))
        for weights, persons in draws(self.problems, self.groups, people, at_once=size, alone=self.apart):
            found, drawn = {}, np.ascontiguousarray(weights.T)
            for counted in wanted:
                flat = np.zeros((self._size, len(weights)))
                for (i, j), used, matrix in sums[counted]:
                    flat[used] += (matrix @ drawn) * (persons[:, i] * persons[:, j])
                found[counted] = flat.T.reshape(-1, *self._shape)
            yield found

    def _sums(self, counted: Counted) -> list[tuple[tuple[int, int], np.ndarray, object]]:
        """Of every two who are drawn again: (who, which cells, a sparse matrix of problems → these cells)."""
        from scipy.sparse import csr_array

        cells, weights, which = self._cells(counted)
        entries = self.entries[which]
        both, of = np.unique(entries[:, 2:4], axis=0, return_inverse=True)
        found = []
        for pair, (i, j) in enumerate(both):
            here = of.ravel() == pair
            used, row = np.unique(cells[here], return_inverse=True)
            at = (row, entries[here, 1])
            found.append(((i, j), used, csr_array((weights[here], at), shape=(len(used), self.problems))))
        return found

    def _values(self, ask: Ask, found: list[np.ndarray]) -> Values:
        tables = self.layers(ask.counted)
        whole = np.where(np.asarray(self.n) > 0, ask.statistic(tables), np.nan)
        why = [ask.why(table) if n else NOTHING for table, n in zip(tables, self.n, strict=True)]
        n = self.n if ask.n is None else tuple(int(ask.n(table)) for table in tables)
        return Values(whole, np.concatenate(found) if found else np.zeros((0, len(self.n))), n, why)


def between(a: Iterable[Said], b: Iterable[Said], categories: int, layers: Layers = ALL) -> Tables:
    """Every judge of a against every other one of b, on things that both labelled."""
    found = [(x, y, layers.of(x, y)) for x, y in pairs_between(a, b)]
    together = several((x.judge, x.problem) for x, *_ in found), several((y.judge, y.problem) for _, y, _ in found)
    overlap = bool(together[0] & together[1])
    groups = [together[0] | together[1]] if overlap else [g for g in together if g]
    return paired(found, categories, layers.names, groups, apart=not overlap)


def among(labels: Iterable[Said], categories: int, layers: Layers = ALL) -> Tables:
    """Every two judges of one group."""
    found = [(x, y, layers.of(x, y)) for x, y in pairs_among(labels)]
    together = several({(one.judge, one.problem) for x, y, _ in found for one in (x, y)})
    return paired(found, categories, layers.names, [together] if together else [], within=True)


def pairs_between(a: Iterable[Said], b: Iterable[Said]) -> list[tuple[Said, Said]]:
    """What `between` counts, one by one: `cells` lists the chains behind a number by it."""
    ours, theirs = by_thing(a), by_thing(b)
    return [
        (x, y)
        for thing in ours  # in their order, so that the same draws come again
        if thing in theirs
        for x, y in product(ours[thing], theirs[thing])
        if x.judge != y.judge
    ]


def pairs_among(labels: Iterable[Said]) -> list[tuple[Said, Said]]:
    """What `among` counts, one by one."""
    return [pair for said in by_thing(labels).values() for pair in combinations(said, 2)]


def paired(
    found: Sequence[tuple[Said, Said, Sequence[int]]],
    categories: int,
    names: tuple[str, ...],
    groups: Sequence[set[str]] = (),
    *,
    within: bool = False,
    apart: bool = False,
) -> Tables:
    """Of these pairs of labels, each with its layers. within: all pairs of a thing's labels, which count in
    coincidences as one thing; else each pair is a thing of two labels. Who is in no group is nobody: 0."""
    numbers = {name: i for i, name in enumerate(sorted(set().union(*groups)), 1)}
    problems: dict[str, int] = {}
    things: dict[tuple[int, Hashable], int] = Counter()
    rows = []
    for x, y, layers in found:
        for layer in layers:
            things[layer, x.thing] += 1
            problem = problems.setdefault(x.problem, len(problems))
            rows.append((layer, problem, numbers.get(x.judge, 0), numbers.get(y.judge, 0), x.label, y.label, x.thing))
    entries = np.array([(*row[:6], _labels(things[row[0], row[6]]) if within else 2) for row in rows], int)
    each = Counter(layer for layer, _ in things)
    together = tuple(tuple(numbers[name] for name in sorted(group)) for group in groups)
    n = tuple(each[layer] for layer in range(len(names)))
    return Tables(entries.reshape(-1, 7), names, categories, len(problems), n, together, apart)


def _labels(pairs: int) -> int:
    """How many labels have so many pairs: m (m − 1) / 2 = pairs."""
    return round((1 + (1 + 8 * pairs) ** 0.5) / 2)


def by_thing(labels: Iterable[Said]) -> dict[Hashable, list[Said]]:
    found: dict[Hashable, list[Said]] = defaultdict(list)
    for said in labels:
        found[said.thing].append(said)
    return found


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """nan of nothing."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
