"""Statistics of a comparison (design.md, section 5): paired bootstrap over problems and seeds, judges, best of n.

Arrays are [seeds, problems, …]: the same problems for every method and seed, so that differences are paired. A step
judge's counts are kept a problem: its steps are not independent, so problems are what is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

DRAWS = 2000
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


def counts(labels: Sequence[Sequence[int | None]], said: Sequence[Sequence[bool]]) -> np.ndarray:
    """[problems, 4] of a judge: what it said of each step against its label; None is not judged."""
    rows = np.zeros((len(labels), 4))
    for row, truth, calls in zip(rows, labels, said, strict=True):
        for label, call in zip(truth, calls, strict=True):
            if label is None:
                continue
            row[POSITIVE if label else NEGATIVE] += 1
            if bool(label) == bool(call):
                row[TP if label else TN] += 1
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

    rng = np.random.default_rng(seed)
    whole = gap([x.sum(axis=1)[None] for x in both], np.arange(seeds)[None])[0]
    found = []
    for start in range(0, draws, 200):
        some = min(200, draws - start)
        weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=some).astype(float)
        chosen = rng.integers(seeds, size=(some, seeds))
        found.append(gap([np.einsum("dp,spc->dsc", weights, x, optimize=True) for x in both], chosen))
    low, high = np.nanpercentile(np.concatenate(found), [2.5, 97.5])
    return Estimate(float(whole), float(low), float(high))


def auc(labels: Sequence[int], scores: Sequence[float]) -> float | None:
    """The chance that a positive scores above a negative, ties counting half; None with one class alone."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores)) if len(set(labels)) == 2 else None


def best_threshold(labels: Sequence[int], scores: Sequence[float]) -> float:
    """T for which "score > T is positive" has the highest balanced accuracy; of equals the one nearest to 0.5.

    All positive and all negative are tried, too. A score below 0 is of what could not be scored: negative at any T.
    """
    labels, scores = np.asarray(labels, float), np.asarray(scores, float)
    if not len(scores):
        return 0.5
    order = np.argsort(scores, kind="stable")
    labels, scores = labels[order], scores[order]
    cuts = np.flatnonzero(scores[1:] > scores[:-1]) + 1  # so many scores are at or below T
    between = (scores[cuts - 1] + scores[cuts]) / 2
    cuts = np.concatenate([[0], cuts, [len(scores)]])
    thresholds = np.concatenate([[min(0.5, np.nextafter(scores[0], -1))], between, [max(0.5, scores[-1])]])
    if scores[0] < 0:  # no threshold calls it positive
        cuts, thresholds = cuts[1:], thresholds[1:]
    below = np.concatenate([[0], np.cumsum(labels)])[cuts]  # positives that are called negative
    positives, negatives = max(labels.sum(), 1), max((1 - labels).sum(), 1)
    quality = ((labels.sum() - below) / positives + (cuts - below) / negatives) / 2
    best = np.flatnonzero(np.isclose(quality, quality.max()))
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])


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


def any_of(right: Sequence[bool], sizes: Sequence[int]) -> list[float]:
    """pass@n, unbiased: 1 − C(N−c, n) / C(N, n)."""
    total, hits = len(right), sum(right)
    return [1 - comb(total - hits, n) / comb(total, n) for n in sizes]
