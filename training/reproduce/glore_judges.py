"""GLoRe's tables 1, 2 and figure 4: step accuracy, final-answer accuracy, rerank curves.

Decided before the first run: the primary contrast is SORM − ORM in balanced accuracy against `solvable`, over the
steps before the answer line (the answer line is table 2's), at the paper's threshold 0.5. Thresholds are tuned on
development drafts against `solvable`, for ORM and SORM alike. A rerank takes the score after the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean as average
from typing import Any

import numpy as np

from stepviz.reward import load_scorer
from stepviz.types import digest
from training.language_model import bfloat16_products
from training.reproduce import statistics as st
from training.reproduce.glore_arms import Trained
from training.reproduce.glore_data import Judged, Shared
from training.reproduce.work import Work

T = 0.5
SIZES = (1, 2, 4, 8, 16, 32)
EASY = 3  # steps of a shortest solution, at most
UNSCORED = -1.0  # below every score: a chain that could not be scored is called bad, and ranks last
RERANKED = ("orm", "sorm", "sorm-any-verifier", "sorm-as-drawn", "sorm-unbalanced")
Labels = list[list[int | None]]
Scores = list[list[float]]


@dataclass(frozen=True, slots=True)
class Judge:
    """A way to call steps good: its scores of every test draft by seed, and its thresholds by seed."""

    name: str
    scores: list[Scores]  # seeds × drafts × steps
    thresholds: list[float]
    tokens: int = 0  # learnt from


def score(work: Work, name: str, model: Trained, chains: Sequence[Judged]) -> Scores:
    """A score after each step of each chain; equal chains are scored once, and the result is kept.

    Products are in bfloat16 where the processor has them, as in training: within 0.01 of the app's scores on a CPU, in
    two thirds of the time.
    """
    asked = [(c.problem.question, c.steps) for c in chains]
    products = bfloat16_products()
    of = digest(model.id, str(products), *(digest(question, *steps) for question, steps in asked))

    def make() -> Scores:
        import torch

        scorer = load_scorer(model.spec)
        distinct = list(dict.fromkeys(asked))
        with torch.autocast(scorer.device.split(":")[0], dtype=torch.bfloat16, enabled=products):
            scores = scorer.score(distinct, on_refused=lambda index, why: None)
        found = dict(zip(distinct, scores, strict=True))
        scorer.close()
        return [found[one] for one in asked]

    return work.kept(f"{name}/{model.arm}", of, make)


def position(dev: Sequence[Judged], test: Sequence[Judged]) -> Scores:
    """The control that reads nothing: the share of development drafts that are solvable after step i."""
    share: dict[int, float] = {}
    for i in range(max(len(d.steps) for d in [*dev, *test])):
        there = [d.solvable[i] for d in dev if i < d.open]
        share[i] = average(there) if there else 0.0  # type: ignore[type-var,assignment]
    return [[share[i] for i in range(len(d.steps))] for d in test]


def before_answer(drafts: Sequence[Judged], labels: Labels) -> Labels:
    """The labels with those of answer lines left out."""
    return [
        [label if i < draft.open else None for i, label in enumerate(row)]
        for draft, row in zip(drafts, labels, strict=True)
    ]


def answers(drafts: Sequence[Judged]) -> Labels:
    """Of each finished draft, the last step: whether the answer is right."""
    return [
        [int(d.right) if d.judgement.finished and i == len(d.steps) - 1 else None for i in range(len(d.steps))]
        for d in drafts
    ]


def tuned(dev: Sequence[Judged], scores: Scores) -> float:
    """The threshold with the best balanced accuracy on development drafts."""
    labels = before_answer(dev, [d.solvable for d in dev])
    return st.best_threshold(*flat(labels, scores))


def flat(labels: Labels, scores: Scores) -> tuple[list[int], list[float]]:
    """Labels with scores, of the same steps as `counts` has."""
    pairs = [
        (label, s)
        for row, found in zip(labels, scores, strict=True)
        for label, s in zip(row, found or [UNSCORED] * len(row), strict=True)
        if label is not None
    ]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def counts(labels: Labels, judge: Judge, weights: Sequence[Sequence[float]] | None = None) -> np.ndarray:
    """[seeds, drafts, 4] of a judge against labels of the first drafts; each step counts its weight, or 1."""
    return np.stack(
        [
            st.counts(labels, [_called(row, s, t) for row, s in zip(labels, scores, strict=False)], weights)
            for scores, t in zip(judge.scores, judge.thresholds, strict=True)
        ]
    )


def _called(row: Sequence[int | None], scores: Sequence[float], threshold: float) -> list[bool]:
    """Good or bad for each step; a chain that could not be scored is called bad throughout."""
    return [s > threshold for s in scores] if scores else [False] * len(row)


def figures(judge: Judge, targets: Mapping[str, Labels]) -> dict[str, Any]:
    """A row: balanced accuracy, AUC and base rate against each target, with accuracy and steps of the first.

    "unscored" says for how many of those steps there was no score (over seeds, on average): bad in all figures.
    """
    row: dict[str, Any] = {"judge": judge.name, "threshold": round(average(judge.thresholds), 3)}
    for i, (name, labels) in enumerate(targets.items()):
        found = counts(labels, judge)
        aucs = [st.auc(*flat(labels, scores[: len(labels)])) for scores in judge.scores]
        row[f"balanced, {name}"] = round(100 * float(st.balanced(found.sum(axis=1)).mean()), 1)
        row[f"AUC, {name}"] = round(average(a for a in aucs if a is not None), 3) if set(aucs) - {None} else None
        whole = found[0].sum(axis=0)
        row[f"positive, {name}"] = round(100 * float(whole[st.POSITIVE] / (whole[st.POSITIVE] + whole[st.NEGATIVE])), 1)
        if i == 0:
            row[f"accuracy, {name}"] = round(100 * float(st.accuracy(found.sum(axis=1)).mean()), 1)
            row["steps"] = int(whole[st.POSITIVE] + whole[st.NEGATIVE])
            row["unscored"] = round(average(_unscored(labels, scores) for scores in judge.scores), 1)
    row["learnt tokens"] = judge.tokens or None
    return row


def _unscored(labels: Labels, scores: Scores) -> int:
    return sum(label is not None for row, s in zip(labels, scores, strict=False) if not s for label in row)


def targets(shared: Shared) -> dict[str, Labels]:
    """What step judges are held against, before the answer line; S_8 for the first drafts."""
    test = shared.test
    return {
        "solvable": before_answer(test, [d.solvable for d in test]),
        "S_8": before_answer(test[: len(shared.s8)], shared.s8),
        "correct": before_answer(test, [d.correct for d in test]),
    }


def contrast(name: str, labels: Labels, a: Judge, b: Judge, paper: str = "") -> dict[str, Any]:
    """a − b in balanced accuracy, in points, paired over drafts and seeds."""
    found = st.difference(counts(labels, a), counts(labels, b), st.balanced)
    steps = sum(label is not None for row in labels for label in row)
    return {"contrast": name, "points [95 %]": found.text(), "paper": paper, "steps": steps, "drafts": len(labels)}


def final(judge: Judge, test: Sequence[Judged]) -> dict[str, Any]:
    """How a judge's last score says whether the answer is right."""
    return figures(judge, {"final answer": answers(test)})


Contrast = Callable[[str, Labels, Judge, Judge, str], dict[str, Any]]


def by_difficulty(shared: Shared, a: Judge, b: Judge, by: Contrast = contrast) -> list[dict[str, Any]]:
    """The contrast on problems of two and three steps, on the longer ones, and on all, with the AUC of both."""
    labels = targets(shared)["solvable"]
    easy = [d.problem.meta["steps"] <= EASY for d in shared.test]
    rows = []
    for name, chosen in (("two and three steps", True), ("four to seven steps", False)):
        some = [row if e == chosen else [None] * len(row) for row, e in zip(labels, easy, strict=True)]
        rows.append(by(f"{a.name} − {b.name}, {name}", some, a, b, "SVAMP: about 0" if chosen else "8"))
        rows[-1] |= {"drafts": sum(e == chosen for e in easy)}
        if by is contrast:
            rows[-1] |= {f"AUC, {which}": _auc(some, judge) for which, judge in (("first", a), ("second", b))}
    rows.append(by(f"{a.name} − {b.name}, all", labels, a, b, "8"))
    return rows


def _auc(labels: Labels, judge: Judge) -> float | None:
    """Over seeds, on average; None with one class alone."""
    found = [st.auc(*flat(labels, scores)) for scores in judge.scores]
    return round(average(a for a in found if a is not None), 3) if set(found) - {None} else None


# ---- rerank


def last_score(scores: Sequence[float], chain: Judged) -> float:
    """By which a chain is picked; what could not be scored, or was cut off, ranks last."""
    return scores[-1] if scores and chain.whole else UNSCORED


def rerank(work: Work, seeds: Sequence[Mapping[str, Trained]], shared: Shared) -> dict[str, np.ndarray]:
    """Scorer → [seeds, problems, sizes] accuracy of the best of n; "any of n" is the ceiling, "vote" asks no scorer."""
    groups = [group for group in shared.samples if len(group) >= max(SIZES)]
    if not groups:
        return {}
    right = [[c.right for c in group] for group in groups]
    sizes = [n for n in SIZES if n <= len(groups[0])]
    curves = {"any of n": np.array([[st.any_of(r, sizes) for r in right]] * len(seeds))}
    answers = [[c.row.verdict.answer if c.row else None for c in group] for group in groups]
    votes = [st.vote(said, r, sizes) for said, r in zip(answers, right, strict=True)]
    curves["vote"] = np.array([votes] * len(seeds))
    for name in RERANKED:
        if name not in seeds[0]:
            continue
        found = []
        for s, models in enumerate(seeds):
            flat = score(work, f"seed-{s}/samples", models[name], [c for group in groups for c in group])
            last = iter(flat)
            scores = [[last_score(next(last), c) for c in group] for group in groups]
            found.append([st.best_of(x, r, sizes) for x, r in zip(scores, right, strict=True)])
        curves[name] = np.array(found)
    return curves


def rerank_rows(curves: Mapping[str, np.ndarray], shared: Shared) -> list[dict[str, Any]]:
    """A row a size: accuracy of each scorer in per cent, and the sampled tokens."""
    if not curves:
        return []
    tokens = average(c.tokens for group in shared.samples if len(group) >= max(SIZES) for c in group)
    return [
        {"n": n, "tokens a question": round(n * tokens)}
        | {name: round(100 * float(curve[:, :, i].mean()), 1) for name, curve in curves.items()}
        for i, n in enumerate(SIZES)
    ]


def rerank_contrasts(curves: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """At the largest n: the SORM against the ORM, a vote, and itself without each post-processing."""
    rows = []
    for other, paper in (
        ("orm", "slightly below"),
        ("sorm-any-verifier", "above"),
        ("sorm-as-drawn", ""),
        ("sorm-unbalanced", "above"),
        ("vote", ""),
    ):
        if "sorm" in curves and other in curves:
            a, b = (st.ones(curves[name][:, :, -1]) for name in ("sorm", other))
            found = st.difference(a, b, st.mean)
            rows.append({"contrast": f"best of {SIZES[-1]}: sorm − {other}", "points [95 %]": found.text(),
                         "paper": paper, "drafts": a.shape[1]})  # fmt: skip
    return rows
