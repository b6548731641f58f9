"""Two judges' agreement on the chains of a store: who, on which chains, at which threshold, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from db.store import Store
from db.study_values import adjudicator
from db.values import ProblemFilter
from stepviz.agree_scores import Side, labelled, of_scores, plain, swept
from stepviz.agree_sources import STUDY, Asked, Who, chains, opinions, scores_of, who
from stepviz.agreement.ceiling import ceiling
from stepviz.agreement.opinions import Opinion, Question
from stepviz.agreement.parts import Ceiling, Part
from stepviz.agreement.recalibration import Kind, Recalibration, fit
from stepviz.agreement.report import Report, report
from stepviz.agreement.split_up import by_arm, by_position, by_source
from stepviz.agreement.square import Square, square
from stepviz.agreement.thresholds import At, best
from stepviz.errors import StepvizError
from stepviz.refinement import THRESHOLD


@dataclass(frozen=True, slots=True)
class Settings:
    """threshold: of scorers; tune_split: where it is chosen instead, against a, by one of thresholds.CHOICES."""

    a: str
    b: str
    question: Question = "correct"
    source: str | None = None
    split: str | None = None
    threshold: float | None = None
    tune_split: str | None = None
    tune_by: str = "f1"

    @property
    def to_first(self) -> bool:
        """Whether a judge's steps after the first wrong one are missing."""
        return self.question == "correct"


@dataclass(frozen=True, slots=True)
class Tuned:
    """Where a threshold was chosen, by which of thresholds.CHOICES, what it gave there, and of how many chains."""

    split: str
    by: str
    at: At
    chains: int


Tick = Callable[[], None]  # called at every chain; what it raises ends the reading


@dataclass(frozen=True, slots=True)
class Heard:
    """Both judges on the chains of which both spoke; threshold: of scorers, as it was given or chosen."""

    settings: Settings
    a: Side
    b: Side
    threshold: float
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of a problem
    settled: list[Opinion] = field(default_factory=list)  # where a study's people disagreed
    tuned: Tuned | None = None

    @property
    def scored(self) -> list[tuple[Side, Side]]:
        """Each scorer with the other side."""
        sides = (self.a, self.b), (self.b, self.a)
        return [(side, other) for side, other in sides if side.who.kind == "scorer" and side.who != other.who]


@dataclass(frozen=True, slots=True)
class Compared:
    """scores: side → calibration and ranks of a scorer's numbers against the other side (agree_scores.of_scores);
    sweeps: its thresholds. by: "arm", "position", "source" → parts; ceiling: of people; tuned: how the threshold was
    chosen."""

    settings: Settings
    report: Report
    thresholds: dict[str, float]
    scores: dict[str, dict[str, Any]]
    sweeps: dict[str, tuple[At, ...]]
    by: dict[str, tuple[Part, ...]] = field(default_factory=dict)
    ceiling: Ceiling | None = None
    tuned: Tuned | None = None

    def told(self) -> dict[str, Any]:
        """As JSON."""
        s = self.settings
        asked = {"a": s.a, "b": s.b, "question": s.question, "source": s.source, "split": s.split}
        asked |= {"thresholds": self.thresholds, **self.report.told()}
        more = {
            "scores": self.scores,
            "sweeps": self.sweeps,
            "by": {name: [asdict(part) for part in parts] for name, parts in self.by.items()},
            "ceiling": asdict(self.ceiling) if self.ceiling else None,
            "tuned": asdict(self.tuned) if self.tuned else None,
        }
        return plain(asked | more)


def compare(store: Store, settings: Settings) -> Compared:
    """StepvizError: nobody of that name, or no chain that both spoke of."""
    return compared(store, heard(store, settings))


def heard(store: Store, settings: Settings, tick: Tick = lambda: None) -> Heard:
    """StepvizError: nobody of that name, or no threshold to be chosen."""
    judges = who(store, settings.a, settings.question), who(store, settings.b, settings.question)
    threshold = settings.threshold if settings.threshold is not None else THRESHOLD
    if settings.tune_split is None:
        return _sides(store, settings, judges, threshold, tick)
    tuned = _tuned(store, settings, judges, threshold, tick)
    return replace(_sides(store, settings, judges, tuned.at.threshold, tick), tuned=tuned)


def compared(store: Store, said: Heard) -> Compared:
    """StepvizError: there is no chain that both spoke of."""
    settings, a, b = said.settings, said.a, said.b
    found = report(a.opinions) if settings.a == settings.b else report(a.opinions, b.opinions)
    if not found.chains:
        where = " of these problems" if settings.source or settings.split else ""
        raise StepvizError(f"there is no chain{where} that both {settings.a} and {settings.b} spoke of")
    theirs = None if settings.a == settings.b else b.opinions
    return Compared(
        settings,
        found,
        {side.who.asked: said.threshold for side, _ in said.scored},
        {
            side.who.asked: known
            for side, other in said.scored
            if (known := of_scores(store, side, other, settings.question, said.threshold, settings.split))
        },
        {side.who.asked: swept(side, other) for side, other in said.scored},
        {
            "arm": tuple(by_arm(a.opinions, theirs)),
            "position": tuple(by_position(a.opinions, theirs)),
            "source": tuple(by_source(a.opinions, theirs, said.sources)),
        },
        _ceiling(said),
        said.tuned,
    )


def _ceiling(said: Heard) -> Ceiling | None:
    people, other = people_of(said)
    if people is None:
        return None
    return ceiling(
        people.opinions,
        other.opinions if other else (),
        said.settled,
        name=other.who.asked if other else "",
        to_first=said.settings.to_first,
    )


def people_of(said: Heard) -> tuple[Side | None, Side | None]:
    """The side that is a group of people, and the other one where that is a single judge and none of them."""
    sides = [(said.a, said.b), (said.b, said.a)]
    found = next(((x, y) for x, y in sides if x.who.people and len({o.judge for o in x.opinions}) > 1), None)
    if found is None:
        return None, None
    people, other = found
    judges = {o.judge for o in other.opinions}
    return people, other if len(judges) == 1 and not judges & people.who.names else None


def calibrate(store: Store, settings: Settings, kind: Kind) -> tuple[str, Recalibration, int]:
    """Learns from what `a` says of the steps that the scorer `b` has scored on `split`, and notes it in b's record.

    (the model's id, what was learnt, from how many steps). StepvizError: b is no scorer, or nothing can be learnt.
    """
    judges = who(store, settings.a, settings.question), who(store, settings.b, settings.question)
    if judges[1].kind != "scorer":
        raise StepvizError(f"{settings.b} is no scorer: only scores can be calibrated")
    heard = _sides(store, settings, judges, THRESHOLD)
    at = labelled(heard.b, heard.a)
    labels, given = at.labels, at.scores
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
    for at in chains(store, ProblemFilter(source=source, split=split), judges):
        tick()
        for judge, question, found in zip(judges, asked, said, strict=True):
            found += opinions(store, judge, at, question)
    found = square(*said)
    if not found.n:
        raise StepvizError(f"there is no step of which both {correct} and {solvable} spoke")
    return found


def _sides(
    store: Store, settings: Settings, judges: tuple[Who, Who], threshold: float, tick: Tick = lambda: None
) -> Heard:
    sides = Side(judges[0]), Side(judges[1])
    found = Heard(settings, *sides, threshold)
    asked = Asked(settings.question, threshold, to_first=settings.to_first)
    settler = next((_settler(judge) for judge in judges if judge.kind == "study"), None)
    for at in chains(store, ProblemFilter(source=settings.source, split=settings.split), judges):
        tick()
        said = [opinions(store, side.who, at, asked) for side in sides]
        if not all(said):
            continue
        for side, own in zip(sides, said, strict=True):
            side.opinions += own
            if side.who.kind == "scorer":
                side.scores[at.row.chain.id] = scores_of(side.who, at)
        if settler is not None:
            found.settled.extend(opinions(store, settler, at, asked))
        found.sources[at.problem.id] = tuple(
            dict.fromkeys(key.source for key in at.problem.sources if settings.source in (None, key.source))
        )
    return found


def _settler(judge: Who) -> Who:
    """Under whose name conflicts of this study are settled."""
    name = adjudicator(judge.asked.removeprefix(STUDY))
    return Who("annotators", name, frozenset([name]))


def _tuned(store: Store, settings: Settings, judges: tuple[Who, Who], threshold: float, tick: Tick) -> Tuned:
    if judges[1].kind != "scorer":
        raise StepvizError(f"--tune-split chooses the threshold of b, and {settings.b} is no scorer")
    there = replace(settings, split=settings.tune_split)
    heard = _sides(store, there, judges, threshold, tick)
    a, b = heard.a, heard.b
    chosen = best(swept(b, a), settings.tune_by)
    if chosen is None:
        raise StepvizError(
            f"no threshold can be chosen on {settings.tune_split}: {settings.a} and {settings.b} need chains there, "
            "some with an error and some without"
        )
    return Tuned(settings.tune_split or "", settings.tune_by, chosen, len({o.chain for o in a.opinions}))
