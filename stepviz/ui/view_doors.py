"""What Explore shows behind a number of agreement: the chains it counts, and what both judges say of their steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from db.values import ChainRow, ProblemRow
from stepviz.agree_sources import Asked, Chained, Kind, opinions, who
from stepviz.agreement.cells import Listed, Place
from stepviz.agreement.opinions import Opinion
from stepviz.errors import StepvizError
from stepviz.refinement import THRESHOLD
from stepviz.types import VerdictValue
from stepviz.ui.address import Address
from stepviz.ui.agreement_at import Door, door
from stepviz.ui.hearing import Waiting
from stepviz.ui.rows import Scorer, Voice
from stepviz.ui.view_agreement import Agreements, Spoken
from stepviz.ui.views import place
from stepviz.ui.workbench import PAGE, Workbench

SHAPES: Mapping[Kind, Literal["person", "predicted", "measured", "exact"]] = {
    "scorer": "predicted", "rollouts": "measured", "exact": "exact", "equations": "exact"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DoorLine:
    """A chain of the list. a, b: where each side sees the first error (0: nowhere, None: not known)."""

    problem: str
    chain: str
    place: str
    number: int
    verdict: VerdictValue
    steps: tuple[int, ...] = ()
    a: tuple[int | None, ...] = ()
    b: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class DoorList:
    """A page of the chains behind a number; found: all of it, or how far the reading is, or why there is none."""

    door: Door
    found: Listed | Waiting | str
    lines: tuple[DoorLine, ...] = ()
    skip: int = 0
    limit: int = PAGE
    selected: str = ""


def door_of(at: Address) -> Door | None:
    return door(at.agree, at.cell) if at.agree else None


def behind(bench: Workbench, of: Door, wait_s: float = 0.8) -> Listed | Waiting | str:
    try:
        return Agreements(bench.store).behind(of, wait_s)
    except StepvizError as error:
        return str(error)


def door_list(bench: Workbench, of: Door, at: Address) -> DoorList:
    found = behind(bench, of)
    if not isinstance(found, Listed):
        return DoorList(of, found)
    skip = at.passed if at.passed < found.chains else 0
    said = _firsts(bench, of)
    lines = tuple(_lines(bench, found.places[skip : skip + PAGE], said))
    return DoorList(of, found, lines, skip, PAGE, at.chain)


def opening(bench: Workbench, of: Door, at: Address) -> Place | None:
    """The first chain of the page that the address shows, as soon as it is known."""
    found = behind(bench, of)
    if not isinstance(found, Listed) or not found.places:
        return None
    return found.places[at.passed if at.passed < found.chains else 0]


def steps_behind(bench: Workbench, of: Door, chain: str) -> tuple[int, ...]:
    """Of one chain the steps that the number is about, where that is known by now."""
    found = behind(bench, of, 0.0)
    places = found.places if isinstance(found, Listed) else ()
    return next((place.steps for place in places if place.chain == chain), ())


def scorer_of(of: Door | None, known: Sequence[Scorer]) -> str:
    """Whose scores are drawn behind a number of theirs; "" where no scorer of a chain is one of the two."""
    named = () if of is None else of.crossed or (of.b, of.a)
    return next((s.id for name in named for s in known if name in (s.id, s.spec, s.name)), "")


def threshold_of(of: Door | None) -> float | None:
    """At which the number was counted, where it hangs on one."""
    return float(of.threshold) if of is not None and of.threshold else None


def voices(bench: Workbench, of: Door, problem: ProblemRow, chain: ChainRow) -> tuple[Voice, ...]:
    """Both judges on this chain, as they were compared; () where it has no steps, or a name means nobody by now."""
    if not chain.chain.n:
        return ()
    labels = bench.store.annotations_for(problem.id).get(chain.chain.id, ())
    scores = bench.store.scores_for(problem.id).get(chain.chain.id, ())
    at = Chained(problem, chain, labels, scores)
    found: list[Voice] = []
    for side, name, asked in sides(of):
        try:
            judge = who(bench.store, name, asked.question)
        except StepvizError:
            continue
        said = sorted(opinions(bench.store, judge, at, asked), key=lambda o: o.judge)
        found += [
            Voice(side, o.judge, SHAPES.get(judge.kind, "person"), o.steps, o.first, asked.question) for o in said
        ]
    return tuple(found)


def sides(of: Door) -> list[tuple[str, str, Asked]]:
    """(side, who, what they are asked); a group among themselves is one side."""
    threshold = of.settings.threshold
    threshold = THRESHOLD if threshold is None else threshold
    if (judges := of.crossed) is not None:
        asked = Asked("correct", threshold, to_first=False), Asked("solvable", threshold, to_first=False)
        return [("A", judges[0], asked[0]), ("B", judges[1], asked[1])]
    asked_both = Asked(of.settings.question, threshold, to_first=of.question == "correct")
    names = (of.a,) if of.a == of.b else (of.a, of.b)
    return [(side, name, asked_both) for side, name in zip("AB", names, strict=False)]


def _firsts(bench: Workbench, of: Door) -> tuple[Mapping[str, list[Opinion]], Mapping[str, list[Opinion]]]:
    """Chain → what each side said, from the comparison that was just read."""
    if of.crossed is not None:
        return {}, {}
    spoken = Agreements(bench.store).spoken(of.settings)
    if not isinstance(spoken, Spoken):
        return {}, {}
    found: tuple[dict[str, list[Opinion]], dict[str, list[Opinion]]] = (defaultdict(list), defaultdict(list))
    among = of.a == of.b
    for side, known in zip((spoken.heard.a, spoken.heard.b)[: 1 if among else 2], found, strict=False):
        for opinion in side.opinions:
            known[opinion.chain].append(opinion)
    return found


def _lines(
    bench: Workbench, places: Sequence[Place], said: tuple[Mapping[str, list[Opinion]], Mapping[str, list[Opinion]]]
) -> list[DoorLine]:
    problems: dict[str, ProblemRow | None] = {}
    lines = []
    for at in places:
        problem = problems.setdefault(at.problem, bench.store.problem(at.problem))
        chain = bench.store.chain(at.chain)
        if problem is None or chain is None:
            continue
        a, b = (tuple(o.first for o in side.get(at.chain, ())) for side in said)
        lines.append(DoorLine(problem.id, at.chain, place(problem), chain.number, chain.verdict.value, at.steps, a, b))
    return lines
