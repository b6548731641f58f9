"""Two judges' agreement on the chains of a store: who, on which chains, at which threshold, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from db.store import Store
from db.values import ProblemFilter
from stepviz.agree_sources import Asked, Who, chains, opinions, scores_of, who
from stepviz.agreement import scores as sc
from stepviz.agreement.opinions import BAD, Opinion, Question
from stepviz.agreement.recalibration import Kind, Recalibration, fit, read
from stepviz.agreement.report import Report, report
from stepviz.agreement.square import Square, square
from stepviz.agreement.thresholds import At, best, sweep
from stepviz.errors import StepvizError
from stepviz.refinement import THRESHOLD


@dataclass(frozen=True, slots=True)
class Settings:
    """threshold: of scorers; tune_split: where it is chosen instead, against a."""

    a: str
    b: str
    question: Question = "correct"
    source: str | None = None
    split: str | None = None
    threshold: float | None = None
    tune_split: str | None = None


@dataclass
class Side:
    """One judge's opinions, by chain; of a scorer its numbers, too."""

    who: Who
    opinions: list[Opinion] = field(default_factory=list)
    scores: dict[str, tuple[float, ...]] = field(default_factory=dict)


Tick = Callable[[], None]  # called at every chain; what it raises ends the reading


@dataclass(frozen=True, slots=True)
class Heard:
    """Both judges on the chains of which both spoke; threshold: of scorers, as it was given or chosen."""

    settings: Settings
    a: Side
    b: Side
    threshold: float

    @property
    def scored(self) -> list[tuple[Side, Side]]:
        """Each scorer with the other side."""
        sides = (self.a, self.b), (self.b, self.a)
        return [(side, other) for side, other in sides if side.who.kind == "scorer" and side.who != other.who]


@dataclass(frozen=True, slots=True)
class Compared:
    """scores: side → calibration and ranks of a scorer's numbers against the other side; sweeps: its thresholds."""

    settings: Settings
    report: Report
    thresholds: dict[str, float]
    scores: dict[str, dict[str, Any]]
    sweeps: dict[str, tuple[At, ...]]

    def told(self) -> dict[str, Any]:
        """As JSON."""
        s = self.settings
        asked = {"a": s.a, "b": s.b, "question": s.question, "source": s.source, "split": s.split}
        return asked | {"thresholds": self.thresholds, **self.report.told(), "scores": self.scores}


def compare(store: Store, settings: Settings) -> Compared:
    """StepvizError: nobody of that name, or no chain that both spoke of."""
    return compared(store, heard(store, settings))


def heard(store: Store, settings: Settings, tick: Tick = lambda: None) -> Heard:
    """StepvizError: nobody of that name, or no threshold to be chosen."""
    judges = who(store, settings.a, settings.question), who(store, settings.b, settings.question)
    threshold = settings.threshold if settings.threshold is not None else THRESHOLD
    if settings.tune_split is not None:
        threshold = _tuned(store, settings, judges, threshold, tick)
    return Heard(settings, *_sides(store, settings, judges, threshold, tick), threshold)


def compared(store: Store, said: Heard) -> Compared:
    """StepvizError: there is no chain that both spoke of."""
    settings, a, b = said.settings, said.a, said.b
    found = report(a.opinions) if settings.a == settings.b else report(a.opinions, b.opinions)
    if not found.chains:
        where = " of these problems" if settings.source or settings.split else ""
        raise StepvizError(f"there is no chain{where} that both {settings.a} and {settings.b} spoke of")
    return Compared(
        settings,
        found,
        {side.who.asked: said.threshold for side, _ in said.scored},
        {
            side.who.asked: known
            for side, other in said.scored
            if (known := _of_scores(store, side, other, settings.question))
        },
        {side.who.asked: _sweep(side, other) for side, other in said.scored},
    )


def calibrate(store: Store, settings: Settings, kind: Kind) -> tuple[str, Recalibration, int]:
    """Learns from what `a` says of the steps that the scorer `b` has scored on `split`, and notes it in b's record.

    (the model's id, what was learnt, from how many steps). StepvizError: b is no scorer, or nothing can be learnt.
    """
    judges = who(store, settings.a, settings.question), who(store, settings.b, settings.question)
    if judges[1].kind != "scorer":
        raise StepvizError(f"{settings.b} is no scorer: only scores can be calibrated")
    a, b = _sides(store, settings, judges, THRESHOLD)
    labels, given = _labelled(b, a)
    try:
        learnt = fit(kind, labels, given)
    except ValueError:
        some = "none" if not labels else "all of them are well" if labels[0] else "all of them are errors"
        raise StepvizError(
            f"of the steps that {settings.b} has scored here {settings.a} says too little ({some}): label or score more"
        ) from None
    (model,) = judges[1].names
    made = {"question": settings.question, "against": settings.a, "source": settings.source, "split": settings.split}
    store.calibrate(model, {**learnt.told(), **made, "steps": len(labels), "date": date.today().isoformat()})
    return model, learnt, len(labels)


def crossed(
    store: Store,
    correct: str,
    solvable: str,
    source: str | None,
    split: str | None,
    threshold: float = THRESHOLD,
    tick: Tick = lambda: None,
) -> Square:
    """What one judge says of whether steps are correct against what one says of whether it can still be solved.

    StepvizError: nobody of that name, a group, or no step that both spoke of.
    """
    judges = who(store, correct, "correct"), who(store, solvable, "solvable")
    for judge in judges:
        if len(judge.names) > 1:
            raise StepvizError(f"{judge.asked} are several people: name one")
    asked = Asked("correct", threshold, to_first=False), Asked("solvable", threshold, to_first=False)
    said: tuple[list[Opinion], list[Opinion]] = ([], [])
    for at in chains(store, ProblemFilter(source=source, split=split)):
        tick()
        for judge, question, found in zip(judges, asked, said, strict=True):
            found += opinions(store, judge, at, question)
    found = square(*said)
    if not found.n:
        raise StepvizError(f"there is no step of which both {correct} and {solvable} spoke")
    return found


def _sides(
    store: Store, settings: Settings, judges: tuple[Who, Who], threshold: float, tick: Tick = lambda: None
) -> tuple[Side, Side]:
    sides = Side(judges[0]), Side(judges[1])
    asked = Asked(settings.question, threshold, to_first=settings.question == "correct")
    for at in chains(store, ProblemFilter(source=settings.source, split=settings.split)):
        tick()
        said = [opinions(store, side.who, at, asked) for side in sides]
        if not all(said):
            continue
        for side, own in zip(sides, said, strict=True):
            side.opinions += own
            if side.who.kind == "scorer":
                side.scores[at.row.chain.id] = scores_of(side.who, at)
    return sides


def _tuned(store: Store, settings: Settings, judges: tuple[Who, Who], threshold: float, tick: Tick) -> float:
    if judges[1].kind != "scorer":
        raise StepvizError(f"--tune-split chooses the threshold of b, and {settings.b} is no scorer")
    there = replace(settings, split=settings.tune_split)
    a, b = _sides(store, there, judges, threshold, tick)
    chosen = best(_sweep(b, a))
    if chosen is None:
        raise StepvizError(
            f"no threshold can be chosen on {settings.tune_split}: {settings.a} and {settings.b} need chains there, "
            "some with an error and some without"
        )
    return chosen.threshold


def _sweep(side: Side, reference: Side) -> tuple[At, ...]:
    known = [o for o in reference.opinions if o.first is not None and o.chain in side.scores]
    return sweep([o.first or 0 for o in known], [side.scores[o.chain] for o in known])


def _of_scores(store: Store, side: Side, reference: Side, question: Question) -> dict[str, Any]:
    """Of steps that the reference spoke of; {} where there is none."""
    labels, given = _labelled(side, reference)
    if not labels:
        return {}
    roc, pr = sc.roc(labels, given), sc.precision_recall(labels, given)
    told: dict[str, Any] = {
        "n": len(labels),
        "roc_auc": roc.area if roc else None,
        "pr_auc": pr.area if pr else None,
        **_held(labels, given),
    }
    if (known := _newest(store, side.who, question)) is not None:
        made = {name: known.get(name) for name in ("kind", "against", "split", "steps", "date")}
        told["recalibrated"] = {**made, **_held(labels, read(known)(given))}
    return told


def _held(labels: Sequence[int], scores: Sequence[float]) -> dict[str, Any]:
    bins = sc.reliability(labels, scores)
    return {
        "brier": sc.brier(labels, scores),
        "ece": sc.ece(labels, scores),
        "reliability": [{"score": b.score, "share": b.share, "n": b.n} for b in bins],
    }


def _newest(store: Store, scorer: Who, question: Question) -> Mapping[str, Any] | None:
    (id,) = scorer.names
    model = store.model(id)
    noted = model.meta.get("calibrations", ()) if model else ()
    return next((known for known in reversed(noted) if known["question"] == question), None)


def _labelled(side: Side, reference: Side) -> tuple[list[int], list[float]]:
    """Of each step that the reference spoke of: 1 where it is well, and its score."""
    pairs = [
        (int(label != BAD), score)
        for opinion in reference.opinions
        for label, score in zip(opinion.steps, side.scores.get(opinion.chain, ()), strict=False)
        if label is not None
    ]
    return [label for label, _ in pairs], [score for _, score in pairs]
