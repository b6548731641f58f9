"""Statistics of comparisons (design.md, section 5): paired bootstrap over problems and seeds, step judges, pass@n.

Arrays are [seeds, problems, …]: the same problems for every method and seed, so that differences are paired. A step
judge's counts are kept a problem: its steps are not independent, so problems are what is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

DRAWS = 2000
AT_ONCE = 200  # draws of the bootstrap that are held in memory
REMEMBERED = 10_000  # problems up to which all draws are
TP, POSITIVE, TN, NEGATIVE = range(4)  # columns of a judge's counts
Statistic = Callable[[np.ndarray], np.ndarray]  # sums [..., columns] → values [...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its percentile interval (95 %)."""

    value: float
    low: float
    high: float

    def text(self, digits: int = 1) -> str:
        """In per cent, or points: "12.3 [11.0, 13.5]"."""
        return f"{100 * self.value:.{digits}f} [{100 * self.low:.{digits}f}, {100 * self.high:.{digits}f}]"


def mean(sums: np.ndarray) -> np.ndarray:
    """Of columns (sum, count)."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1)


def balanced(sums: np.ndarray) -> np.ndarray:
    """Balanced accuracy of a judge's counts: the mean of the shares of positives and of negatives that it names.

    Where one class is missing, the other one's share; 0 without any label.
    """
    positives, negatives = sums[..., POSITIVE], sums[..., NEGATIVE]
    shares = sums[..., TP] / np.maximum(positives, 1) + sums[..., TN] / np.maximum(negatives, 1)
    return shares / np.maximum((positives > 0).astype(float) + (negatives > 0), 1)


def accuracy(sums: np.ndarray) -> np.ndarray:
    """Plain accuracy of a judge's counts."""
    return (sums[..., TP] + sums[..., TN]) / np.maximum(sums[..., POSITIVE] + sums[..., NEGATIVE], 1)


def counts(
    labels: Sequence[Sequence[int | None]],
    said: Sequence[Sequence[bool]],
    weights: Sequence[Sequence[float]] | None = None,
) -> np.ndarray:
    """[problems, 4] of a judge: what it said of each step against its label; None is not judged.

    weights: how much each step counts (None: 1).
    """
    rows = np.zeros((len(labels), 4))
    for row, truth, calls, each in zip(rows, labels, said, weights or labels, strict=True):
        for label, call, weight in zip(truth, calls, each, strict=True):
            if label is None:
                continue
            step = 1 if weights is None else weight
            row[POSITIVE if label else NEGATIVE] += step
            if bool(label) == bool(call):
                row[TP if label else TN] += step
    return rows


def ones(values: np.ndarray) -> np.ndarray:
    """[…] of values → […, 2] of (value, 1), for `mean`."""
    values = np.asarray(values, float)
    return np.stack([values, np.ones_like(values)], axis=-1)


def bootstrap(columns: np.ndarray, statistic: Statistic, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """A statistic of [seeds, problems, columns], averaged over seeds; both are drawn again."""
    return difference(columns, None, statistic, seed, draws)


def difference(
    a: np.ndarray, b: np.ndarray | None, statistic: Statistic, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """statistic(a) − statistic(b), paired: every draw takes the same problems and seeds of both (b None: 0)."""
    both = [np.asarray(x, float) for x in ((a,) if b is None else (a, b))]
    seeds, problems = both[0].shape[:2]
    assert all(x.shape[:2] == (seeds, problems) for x in both), [x.shape for x in both]

    def gap(sums: Sequence[np.ndarray], chosen: np.ndarray) -> np.ndarray:
        """sums: [draws, seeds, columns] each; chosen: [draws, seeds]."""
        values = [np.take_along_axis(statistic(s), chosen, axis=1).mean(axis=1) for s in sums]
        return values[0] - values[1] if len(values) == 2 else values[0]

    whole = gap([x.sum(axis=1)[None] for x in both], np.arange(seeds)[None])[0]
    found = []
    for weights, chosen in (_same_draws if problems <= REMEMBERED else _draws)(seed, problems, seeds, draws):
        weights = weights.astype(float)
        found.append(gap([np.einsum("dp,spc->dsc", weights, x, optimize=True) for x in both], chosen))
    low, high = np.nanpercentile(np.concatenate(found), [2.5, 97.5])
    return Estimate(float(whole), float(low), float(high))


def _draws(seed: int, problems: int, seeds: int, draws: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(how often each problem, which seeds) of the draws, in parts."""
    rng = np.random.default_rng(seed)
    for start in range(0, draws, AT_ONCE):
        some = min(AT_ONCE, draws - start)
        weights = _drawn_again(rng, problems, some)
        yield weights, rng.integers(seeds, size=(some, seeds))


@lru_cache(maxsize=2)
def _same_draws(seed: int, problems: int, seeds: int, draws: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For pages of tables, which ask for the same draws many times; small numbers, in an eighth of the memory."""
    return [(w.astype(np.uint8), c) for w, c in _draws(seed, problems, seeds, draws)]


def means(values: np.ndarray, seed: int = 0, draws: int = DRAWS) -> list[Estimate]:
    """The mean of each column of [problems, columns]; every draw takes the same problems of all columns."""
    values = np.asarray(values, float)
    rng, problems = np.random.default_rng(seed), len(values)
    found = _drawn_again(rng, problems, draws) @ values / problems
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    return [Estimate(*map(float, row)) for row in zip(values.mean(axis=0), low, high, strict=True)]


def _drawn_again(rng: np.random.Generator, problems: int, draws: int) -> np.ndarray:
    """[draws, problems]: how often each problem is in each draw."""
    return rng.multinomial(problems, np.full(problems, 1 / problems), size=draws).astype(float)


def auc(labels: Sequence[int], scores: Sequence[float]) -> float | None:
    """The chance that a positive scores above a negative, ties counting half; None with one class alone."""
    if len(set(labels)) != 2:
        return None
    return float(_auc(np.ones((1, len(labels))), np.asarray(labels, float), np.asarray(scores, float))[0])


def auc_difference(
    labels: Sequence[Sequence[int]],
    a: Sequence[Sequence[float]],
    b: Sequence[Sequence[float]] | None,
    seed: int = 0,
    draws: int = DRAWS,
) -> Estimate | None:
    """AUC(a) − AUC(b), paired (b None: 0), of [problems][steps]; problems are drawn again. None with one class alone.

    A draw that holds one class alone says nothing and is left out.
    """  # fmt: skip
    flat = np.array([label for row in labels for label in row], float)
    if len(set(flat.tolist())) != 2:
        return None
    owner = np.repeat(np.arange(len(labels)), [len(row) for row in labels])
    given = [np.array([score for row in side for score in row], float) for side in ((a,) if b is None else (a, b))]

    def gap(weights: np.ndarray) -> np.ndarray:
        found = [_auc(weights, flat, scores) for scores in given]
        return found[0] - found[1] if len(found) == 2 else found[0]

    rng, found = np.random.default_rng(seed), []
    for start in range(0, draws, AT_ONCE):
        found.append(gap(_drawn_again(rng, len(labels), min(AT_ONCE, draws - start))[:, owner]))
    low, high = np.nanpercentile(np.concatenate(found), [2.5, 97.5])
    return Estimate(float(gap(np.ones((1, len(flat))))[0]), float(low), float(high))


def _auc(weights: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AUC for each row of weights [draws, n]; NaN where one class has no weight."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) > 0]))  # of each run of equal scores
    ordered, is_positive = weights[:, order], labels[order]
    positive = np.add.reduceat(ordered * is_positive, starts, axis=1)
    negative = np.add.reduceat(ordered * (1 - is_positive), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (positive * (below + negative / 2)).sum(axis=1) / np.where(pairs > 0, pairs, np.nan)


def mcnemar(lost: int, gained: int) -> float:
    """The exact two-sided p of McNemar's test: a split of the changed pairs as uneven as this, by chance alone."""
    changed, fewer = lost + gained, min(lost, gained)
    return min(1.0, 2 * sum(comb(changed, i) for i in range(fewer + 1)) / 2**changed)


def any_of(right: Sequence[bool], sizes: Sequence[int]) -> list[float]:
    """pass@n, unbiased: 1 − C(N−c, n) / C(N, n)."""
    total, hits = len(right), sum(right)
    return [1 - comb(total - hits, n) / comb(total, n) for n in sizes]


def best_of(scores: Sequence[float], right: Sequence[bool], sizes: Sequence[int]) -> list[float]:
    """Expected accuracy of the best-scored of n of these samples, for each n, over all choices of n of them.

    Sorted by score, the sample of rank r (0, 1, …) is the best of a choice with chance C(N−1−r, n−1) / C(N, n).
    Of equal scores the earlier sample comes first.
    """
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    total = len(order)
    return [
        sum(comb(total - 1 - rank, n - 1) for rank, i in enumerate(order) if right[i]) / comb(total, n) for n in sizes
    ]
