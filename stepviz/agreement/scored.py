"""A scorer's numbers against labels, with 95 % intervals: ranks, calibration, and what comes of a threshold.

Labels are 1 (well) and 0 (an error), a score is the chance of 1, and an *error* is what is to be found, as in `scores`.
Problems are drawn again, and the people whose labels these are, where they are several (`resampling`); every draw is
weights of the same labels, sorted once. The calibration error of a resample is larger than that of the sample, since
chance gaps only add to it: its interval leans upwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepviz.agreement import coefficients as co
from stepviz.agreement import step_labels as sl
from stepviz.agreement.resampling import Number, Values, at_once, draws, several
from stepviz.agreement.scores import BINS
from stepviz.agreement.tables import share

ONE_CLASS = "all of these steps have the same label: there is nothing to rank"
RANKS = ("roc_auc", "pr_auc")
HELD = ("brier", "ece")
# at a threshold; a is the reference, b the scorer
AT = {
    "accuracy": (co.observed, lambda _: ""),
    "balanced": (sl.balanced, lambda _: ONE_CLASS),
    "precision": (sl.precision, lambda _: "no step is at or below the threshold"),
    "recall": (sl.recall, lambda _: "no step is labelled an error"),
    "f1": (sl.f1, lambda _: "no step is an error, by the labels or by the threshold"),
    "kappa": (co.kappa, co.why_no_kappa),
    "flagged": (sl.errors_of_b, lambda _: ""),
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Steps as they were labelled, one entry a label: 1 or 0, the score, whose problem, and whose label."""

    labels: Sequence[int]
    scores: Sequence[float]
    problems: Sequence[str]
    judges: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)


def ranked(at: Labelled) -> dict[str, Number]:
    """Areas under ROC and precision-recall (the average precision)."""
    rows = _Rows(at)
    ranks = Ranks(at.labels, at.scores, rows.of)
    found = [ranks(weights) for weights in rows.drawn(len(at))]
    return _numbers(RANKS, ranks(np.ones((1, len(rows.rows)))), found, len(at), dict.fromkeys(RANKS, ONE_CLASS))


def held(at: Labelled) -> dict[str, Number]:
    """Do the numbers hold as chances? The Brier score, and the expected calibration error (Naeini 2015; Guo 2017): the
    mean gap of BINS bins, each by how much is in it."""
    y, p = np.asarray(at.labels, float), np.asarray(at.scores, float)
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    columns = np.zeros((len(at), 2 + BINS))
    columns[:, 0], columns[:, 1] = 1, (p - y) ** 2
    columns[np.arange(len(at)), 2 + place] = y - p
    rows = _Rows(at)
    sums = rows.summed(columns)

    def statistic(drawn: np.ndarray) -> np.ndarray:
        return share(np.stack([drawn[:, 1], np.abs(drawn[:, 2:]).sum(1)], -1), drawn[:, :1])

    found = [statistic(weights @ sums) for weights in rows.drawn(sums.shape[1])]
    return _numbers(HELD, statistic(sums.sum(0)[None]), found, len(at), {})


def at_threshold(at: Labelled, threshold: float) -> dict[str, Number]:
    """Of every step that was labelled, at or below the threshold or above; `flagged`: the share of the former."""
    wrong, flagged = np.asarray(at.labels) == 0, np.asarray(at.scores, float) <= threshold
    rows = _Rows(at)
    sums = rows.summed(np.eye(4)[2 * wrong + flagged])

    def statistic(drawn: np.ndarray) -> np.ndarray:
        tables = drawn.reshape(-1, 2, 2)
        return np.stack([statistic(tables) for statistic, _ in AT.values()], -1)

    whole = sums.sum(0)
    found = [statistic(weights @ sums) for weights in rows.drawn(4)]
    why = {name: because(whole.reshape(2, 2)) for name, (_, because) in AT.items()}
    numbers = _numbers(tuple(AT), statistic(whole[None]), found, len(at), why)
    of = {"precision": int(flagged.sum()), "recall": int(wrong.sum())}  # of which each is a share
    return numbers | {name: replace(numbers[name], n=n) for name, n in of.items()}


class _Rows:
    """Labels of one problem by one person are drawn together: a row. of: which row each label is in."""

    def __init__(self, at: Labelled) -> None:
        people = sorted(several(zip(at.judges, at.problems, strict=True)))
        numbers = {name: i for i, name in enumerate(people, 1)}
        problems = {name: i for i, name in enumerate(dict.fromkeys(at.problems))}
        pairs = [(problems[p], numbers.get(j, 0)) for p, j in zip(at.problems, at.judges, strict=True)]
        self.rows, of = np.unique(np.array(pairs, int).reshape(-1, 2), axis=0, return_inverse=True)
        self.of = of.ravel()
        self.groups = [tuple(numbers.values())] if people else []
        self.people, self.problems = len(people), len(problems)

    def summed(self, columns: np.ndarray) -> np.ndarray:
        """[labels, columns] → [rows, columns]."""
        return np.stack([np.bincount(self.of, column, len(self.rows)) for column in columns.T], -1)

    def drawn(self, cells: int) -> Iterator[np.ndarray]:
        """How often each row counts, [some draws, rows], in parts; cells: numbers that are held of a draw."""
        some = at_once(max(cells, self.problems, len(self.rows)))
        for weights, persons in draws(self.problems, self.groups, self.people, at_once=some, alone=True):
            yield weights[:, self.rows[:, 0]] * persons[:, self.rows[:, 1]] if self.groups else weights


class Ranks:
    """ROC's area and average precision of weighted labels: [draws, rows] → [draws, 2].

    Only scores that some error has are looked at: neither area changes elsewhere. of: the row of each label.
    """

    def __init__(self, labels: Sequence[int], scores: Sequence[float], of: np.ndarray) -> None:
        order = np.argsort(scores, kind="stable")
        ordered, errors = np.asarray(scores, float)[order], 1 - np.asarray(labels)[order]
        starts = np.flatnonzero(np.append(True, np.diff(ordered) > 0))  # of each run of equal scores
        ends = np.append(starts[1:], len(ordered))
        some = np.add.reduceat(errors, starts) > 0
        self.rows, self.starts, self.ends = of[order], starts[some], ends[some]
        self.errors = of[order][errors > 0]
        run = np.repeat(np.arange(len(starts)), ends - starts)[errors > 0]
        self.runs = np.flatnonzero(np.append(True, np.diff(run) > 0)) if len(run) else run

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        every = np.zeros((len(weights), len(self.rows) + 1))
        np.cumsum(weights[:, self.rows], axis=1, out=every[:, 1:])
        here = np.add.reduceat(weights[:, self.errors], self.runs, axis=1) if len(self.runs) else every[:, :0]
        errors = np.cumsum(here, axis=1)
        below, upto = every[:, self.starts], every[:, self.ends]
        total = here.sum(1)
        rest = every[:, -1] - total
        # of the others those above each error, and half of those with the same score
        above = rest[:, None] - (below + upto - 2 * errors + here) / 2
        area = share(np.einsum("dr,dr->d", here, above), total * rest)
        precision = np.divide(errors, upto, out=np.zeros_like(errors), where=upto > 0)
        average = share(np.einsum("dr,dr->d", here, precision), total)
        return np.stack([area, np.where(rest > 0, average, np.nan)], -1)


def _numbers(
    names: Sequence[str], whole: np.ndarray, found: Sequence[np.ndarray], n: int, why: dict[str, str]
) -> dict[str, Number]:
    drawn = np.concatenate(found)
    values = Values(whole[0], drawn, [n] * len(names), [why.get(name, "") for name in names])
    return {name: values.number(i) for i, name in enumerate(names)}
