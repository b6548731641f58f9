"""A scorer's numbers against what the other side said of the same steps: curves, calibration, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from db.store import Store
from stepviz.agree_sources import Who
from stepviz.agreement import scored, scores
from stepviz.agreement.opinions import BAD, Opinion, Question
from stepviz.agreement.recalibration import read
from stepviz.agreement.scored import Labelled
from stepviz.agreement.scores import Curve
from stepviz.agreement.tables import Number
from stepviz.agreement.thresholds import At, sweep


@dataclass
class Side:
    """One judge's opinions, by chain; of a scorer its numbers, too."""

    who: Who
    opinions: list[Opinion] = field(default_factory=list)
    scores: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredStep:
    """A step that somebody labelled, 1: it is well, 0: an error, and its score."""

    problem: str
    chain: str
    step: int
    judge: str
    label: int
    score: float


def scored_steps(side: Side, reference: Side) -> list[ScoredStep]:
    """Each step that the reference spoke of, one entry a label."""
    return [
        ScoredStep(opinion.problem, opinion.chain, i, opinion.judge, int(label != BAD), score)
        for opinion in reference.opinions
        for i, (label, score) in enumerate(zip(opinion.steps, side.scores.get(opinion.chain, ()), strict=False), 1)
        if label is not None
    ]


def labelled(side: Side, reference: Side) -> Labelled:
    """Of each step that the reference spoke of: 1 where it is well or 0, and its score by the side."""
    found = [(at.label, at.score, at.problem, at.judge) for at in scored_steps(side, reference)]
    return Labelled(*zip(*found, strict=True)) if found else Labelled((), (), (), ())


def swept(side: Side, reference: Side) -> tuple[At, ...]:
    known = [o for o in reference.opinions if o.first is not None and o.chain in side.scores]
    at = labelled(side, reference)
    firsts = [o.first or 0 for o in known]
    return sweep(firsts, [side.scores[o.chain] for o in known], labels=at.labels, given=at.scores)


def of_scores(
    store: Store, side: Side, reference: Side, question: Question, threshold: float, split: str | None = None
) -> dict[str, Any]:
    """Of steps that the reference spoke of; {} where there is none. As JSON, except for Numbers.

    roc_auc, pr_auc, brier, ece: plain values; `intervals` has them with 95 % intervals, `at_threshold` what comes of
    the threshold; roc, pr: points of the curves; reliability: bins. recalibrated: the same of what was learnt, and
    whether it is `in_sample`: told of the split that it was learnt from (split None: of all), where it flatters itself.
    """
    at = labelled(side, reference)
    if not len(at):
        return {}
    ranked = scored.ranked(at)
    held = _held(at)
    told: dict[str, Any] = {
        "n": len(at),
        "roc_auc": ranked["roc_auc"].value,
        "pr_auc": ranked["pr_auc"].value,
        **held,
        "intervals": ranked | held["intervals"],
        "at_threshold": scored.at_threshold(at, threshold),
        "roc": _points(scores.roc(at.labels, at.scores)),
        "pr": _points(scores.precision_recall(at.labels, at.scores)),
    }
    if (known := _newest(store, side.who, question)) is not None:
        made = {name: known.get(name) for name in ("kind", "against", "split", "steps", "date")}
        again = Labelled(at.labels, read(known)(at.scores), at.problems, at.judges)
        told["recalibrated"] = {**made, "in_sample": split in (None, known.get("split")), **_held(again)}
    return told


def plain(told: Any) -> Any:
    """As JSON: Numbers as objects, and what is not a number as null."""
    if isinstance(told, Number | At):
        return plain(asdict(told))
    if isinstance(told, Mapping):
        return {name: plain(value) for name, value in told.items()}
    if isinstance(told, tuple | list):
        return [plain(value) for value in told]
    return None if isinstance(told, float) and told != told else told


def _held(at: Labelled) -> dict[str, Any]:
    intervals = scored.held(at)
    bins = scores.reliability(at.labels, at.scores)
    return {
        **{name: number.value for name, number in intervals.items()},
        "reliability": [{"low": b.low, "score": b.score, "share": b.share, "n": b.n} for b in bins],
        "intervals": intervals,
    }


def _points(curve: Curve | None) -> dict[str, Sequence[float]] | None:
    """At most scores.POINTS; None with one class alone."""
    if curve is None:
        return None
    found = scores.bounded(curve)
    return {"x": found.x, "y": found.y, "thresholds": found.thresholds}


def _newest(store: Store, scorer: Who, question: Question) -> Mapping[str, Any] | None:
    (id,) = scorer.names
    model = store.model(id)
    noted = model.meta.get("calibrations", ()) if model else ()
    return next((known for known in reversed(noted) if known["question"] == question), None)
