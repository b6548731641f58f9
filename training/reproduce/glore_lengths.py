"""Step accuracy with as many right as wrong steps at each prefix length, and what a score knows beyond the length.

The paper's test sets are 45 to 55 % positive and its SORM learns from labels that are balanced at each prefix length;
against all steps of a draft such a SORM gives away what the length alone says (early steps are mostly solvable, late
ones often lost). Two ways to look past that, decided after the first run on test problems, which showed the need:

1. Weights: of the labels of a length the surplus class counts less, so that both weigh the same (`weights`). The
   length alone is then right in half of the steps. The expected value of drawing the surplus at random.
2. A score together with the length: the log odds of both are added, the length's being those of development drafts
   (`with_length`). Bayes' rule where the score was learnt from labels that are balanced at each length; a SORM's are
   nearly so before the answer line, of S_8 and not of `solvable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import mean as average
from typing import Any

from training.reproduce import glore_judges as judges
from training.reproduce import statistics as st
from training.reproduce.glore_data import Judged
from training.reproduce.glore_judges import UNSCORED, Judge, Labels, Scores, before_answer, flat

ODDS = 0.01  # shares and scores are taken to be at least so far from 0 and 1
Weights = list[list[float]]


def weights(labels: Labels) -> Weights:
    """Of each label: min(positives, negatives) at its length over its class's number there; 0 without a label."""
    there: dict[tuple[int, int], int] = {}
    for row in labels:
        for i, label in enumerate(row):
            if label is not None:
                there[i, label] = there.get((i, label), 0) + 1

    def weight(i: int, label: int | None) -> float:
        if label is None:
            return 0.0
        return min(there.get((i, 0), 0), there.get((i, 1), 0)) / there[i, label]

    return [[weight(i, label) for i, label in enumerate(row)] for row in labels]


def tuned(dev: Sequence[Judged], scores: Scores) -> float:
    """The threshold with the best balanced accuracy on development drafts, by their weights."""
    labels = before_answer(dev, [d.solvable for d in dev])
    each = [w for row, there in zip(weights(labels), labels, strict=True)
            for w, label in zip(row, there, strict=True) if label is not None]  # fmt: skip
    return st.best_threshold(*flat(labels, scores), each)


def figures(judge: Judge, targets: Mapping[str, Labels]) -> dict[str, Any]:
    """A row: balanced accuracy and AUC of a judge against each target, each length's classes weighing the same."""
    row: dict[str, Any] = {"judge": judge.name, "threshold": round(average(judge.thresholds), 3)}
    for name, labels in targets.items():
        weight = weights(labels)
        sums = judges.counts(labels, judge, weight).sum(axis=1)
        row[f"balanced, {name}"] = round(100 * float(st.balanced(sums).mean()), 1)
        aucs = [_auc(labels, weight, scores) for scores in judge.scores]
        row[f"AUC, {name}"] = round(average(a for a in aucs if a is not None), 3) if set(aucs) - {None} else None
    return row


def _auc(labels: Labels, weight: Weights, scores: Scores) -> float | None:
    """None with one class alone."""
    from sklearn.metrics import roc_auc_score

    steps = [
        (label, found[i] if found else UNSCORED, w)
        for row, each, found in zip(labels, weight, scores, strict=False)
        for i, (label, w) in enumerate(zip(row, each, strict=True))
        if label is not None and w > 0
    ]
    if len({step[0] for step in steps}) < 2:
        return None
    return float(roc_auc_score(*([step[i] for step in steps] for i in (0, 1)), sample_weight=[s[2] for s in steps]))


def contrast(name: str, labels: Labels, a: Judge, b: Judge, paper: str = "") -> dict[str, Any]:
    """a − b in balanced accuracy by these weights, paired over drafts and seeds; the weights are those of all."""
    weight = weights(labels)
    found = st.difference(*(judges.counts(labels, judge, weight) for judge in (a, b)), st.balanced)
    steps = sum(w > 0 for row in weight for w in row)
    return {"contrast": name, "points [95 %]": found.text(), "paper": paper, "steps": steps, "drafts": len(labels)}


def with_length(scores: Scores, shares: Scores) -> Scores:
    """σ(log odds of the score + log odds of the share that is solvable after so many steps), for each step."""

    def odds(p: float) -> float:
        p = min(max(p, ODDS), 1 - ODDS)
        return log(p / (1 - p))

    return [
        [1 / (1 + exp(-odds(s) - odds(p))) for s, p in zip(row, share, strict=True)] if row else []
        for row, share in zip(scores, shares, strict=True)
    ]


def judge_with_length(
    name: str, test: Sequence[Scores], dev: Sequence[Scores], shares: tuple[Scores, Scores], drafts: Sequence[Judged]
) -> Judge:
    """A scorer, its scores of test and dev by seed, together with the length's `shares` of both.

    Thresholds are tuned on the development drafts, as those of all judges called tuned.
    """
    of_test, of_dev = shares
    thresholds = [judges.tuned(drafts, with_length(scores, of_dev)) for scores in dev]
    return Judge(name, [with_length(scores, of_test) for scores in test], thresholds)
