"""What GLoRe's comparison needs beside stepviz.statistics: thresholds tuned on development problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stepviz.statistics import NEGATIVE as NEGATIVE
from stepviz.statistics import POSITIVE as POSITIVE
from stepviz.statistics import TN as TN
from stepviz.statistics import TP as TP
from stepviz.statistics import Estimate as Estimate
from stepviz.statistics import accuracy as accuracy
from stepviz.statistics import any_of as any_of
from stepviz.statistics import auc as auc
from stepviz.statistics import balanced as balanced
from stepviz.statistics import best_of as best_of
from stepviz.statistics import bootstrap as bootstrap
from stepviz.statistics import counts as counts
from stepviz.statistics import difference as difference
from stepviz.statistics import mean as mean
from stepviz.statistics import ones as ones


def best_threshold(labels: Sequence[int], scores: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """T for which "score > T is positive" has the highest balanced accuracy; of equals the one nearest to 0.5.

    All positive and all negative are tried, too. A score below 0 is of what could not be scored: negative at any T.
    weights: how much each label counts (None: 1).
    """
    labels, scores = np.asarray(labels, float), np.asarray(scores, float)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, float)
    if not len(scores):
        return 0.5
    order = np.argsort(scores, kind="stable")
    scores, good, bad = scores[order], (labels * weights)[order], ((1 - labels) * weights)[order]
    cuts = np.flatnonzero(scores[1:] > scores[:-1]) + 1  # so many scores are at or below T
    between = (scores[cuts - 1] + scores[cuts]) / 2
    cuts = np.concatenate([[0], cuts, [len(scores)]])
    thresholds = np.concatenate([[min(0.5, np.nextafter(scores[0], -1))], between, [max(0.5, scores[-1])]])
    if scores[0] < 0:  # no threshold calls it positive
        cuts, thresholds = cuts[1:], thresholds[1:]
    lost, caught = (np.concatenate([[0], np.cumsum(x)])[cuts] for x in (good, bad))  # called negative
    quality = ((good.sum() - lost) / (good.sum() or 1) + caught / (bad.sum() or 1)) / 2
    best = np.flatnonzero(np.isclose(quality, quality.max()))
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])


def vote(answers: Sequence[str | None], right: Sequence[bool], sizes: Sequence[int]) -> list[float]:
    """Accuracy of the most frequent answer of n samples, for each n: the mean over disjoint runs of n samples.

    What states no answer has no vote; of equal numbers of votes the answer that came first wins.
    """
    found = []
    for n in sizes:
        starts = range(0, len(answers) - n + 1, n)
        found.append(sum(_voted(answers[s : s + n], right[s : s + n]) for s in starts) / len(starts))
    return found


def _voted(answers: Sequence[str | None], right: Sequence[bool]) -> bool:
    votes = Counter(answer for answer in answers if answer is not None)  # in the order of arrival
    return bool(votes) and right[answers.index(votes.most_common(1)[0][0])]
