"""Who judges, by name, and what each says of the chains in a store.

    ana, processbench      a person, or a data set's people
    stepverify/*           every annotator whose name begins so: a group of unnamed people
    study:NAME             all people of a study: what they said in its turns, and submitted
    adjudicated:NAME       what was settled where a study's people disagreed
    embedded:sorm          a scorer, by its spec, its id, or the id without its revision; at a threshold
    rollouts               measured V, each chain by the draws of its own model: a step is well from which one succeeds
    exact                  the exact judge of the embedded world
    equations              sympy's judge of the equations that a step states

`annotator:NAME` and `scorer:NAME` say which is meant where a name is both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

from db.store import Store
from db.study_values import StudyRow
from db.values import AnnotationRow, ChainRow, ProblemFilter, ProblemRow
from stepviz.agreement.opinions import BAD, GOOD, NONE_WRONG, Opinion, Question, of_first_error, of_ratings, of_scores
from stepviz.equations import first_error
from stepviz.errors import StepvizError
from stepviz.refinement import THRESHOLD
from stepviz.reward.specs import ROLES
from stepviz.rollouts import by_prefix, values
from stepviz.types import Annotation, StepScore
from stepviz.world import exact_for

Kind = Literal["annotators", "study", "scorer", "rollouts", "exact", "equations"]
ALONE: dict[str, Kind] = {"rollouts": "rollouts", "exact": "exact", "equations": "equations"}
ASKS: dict[Kind, tuple[Question, ...]] = {"rollouts": ("solvable",), "equations": ("correct",)}
PAGE = 200  # problems read at once


STUDY = "study:"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one person said of a study's item, when it was submitted."""

    annotator: str
    arm: str
    labels: Sequence[Annotation]


@dataclass(frozen=True, slots=True)
class Who:
    """asked: as it was named; names: the annotators, or the one model's id. turns: of a study, by chain."""

    kind: Kind
    asked: str
    names: frozenset[str] = frozenset()
    turns: Mapping[str, Sequence[Turn]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def people(self) -> bool:
        return self.kind in ("annotators", "study")


@dataclass(frozen=True, slots=True)
class Chained:
    """A chain with what is known of it, and its problem."""

    problem: ProblemRow
    row: ChainRow
    labels: Sequence[AnnotationRow]
    scores: Sequence[StepScore]


def who(store: Store, asked: str, question: Question) -> Who:
    """StepvizError: nobody is called so (with those who are), or this judge says nothing of the question."""
    found = _who(store, asked)
    if question not in ASKS.get(found.kind, ("correct", "solvable")):
        what = " or ".join(ASKS[found.kind])
        raise StepvizError(f"{found.asked} says whether steps are {what}, not whether they are {question}: --question")
    return found


def _who(store: Store, asked: str) -> Who:
    kind, _, name = asked.partition(":")
    if asked in ALONE:
        return Who(ALONE[asked], asked)
    if kind == "study":
        return _study(store, asked, name)
    people, models = store.annotators(), [m for m in store.models() if m.role in ROLES]
    if kind != "scorer":
        wanted = name if kind == "annotator" else asked
        if named := [p for p in people if p == wanted] or [p for p in people if fnmatchcase(p, wanted)]:
            return Who("annotators", wanted, frozenset(named))
    if kind != "annotator":
        wanted = name if kind == "scorer" else asked
        for model in reversed(models):  # the newest of one name
            if wanted in (model.id, model.spec, model.id.partition("@")[0]):
                return Who("scorer", wanted, frozenset([model.id]))
    groups = dict.fromkeys(p.partition("/")[0] + "/*" if "/" in p else p for p in people)
    studies = [f"{STUDY}{row.name}" for row in store.studies()[:20] if row.submitted]
    there = dict.fromkeys([*ALONE, *list(groups)[:20], *(m.id.partition("@")[0] for m in models), *studies])
    raise StepvizError(f"nobody is called {asked!r} here; there are: {', '.join(there)}")


def _study(store: Store, asked: str, name: str) -> Who:
    """StepvizError: there is no such study, or nobody has submitted anything."""
    rows = store.studies()
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        raise StepvizError(f"there is no study {name!r}; there are: {', '.join(r.name for r in rows[:20]) or 'none'}")
    turns = submitted(store, found)
    if not turns:
        raise StepvizError(f"nobody has submitted an item of the study {name!r} yet")
    return Who("study", asked, frozenset(turn.annotator for some in turns.values() for turn in some), turns)


def submitted(store: Store, study: StudyRow) -> dict[str, list[Turn]]:
    """Chain → its turns that are submitted and in which something was said. One that called the problem bad says
    nothing of its steps, whatever it says."""
    labels, found = store.labels_of_study(study.id), dict[str, list[Turn]]()
    for slot in store.slots(study.id):
        if slot.state == "submitted" and slot.id in labels and "bad_problem" not in (slot.finish, *slot.flags):
            found.setdefault(slot.chain_id, []).append(Turn(slot.annotator, slot.arm, labels[slot.id]))
    return found


def chains(store: Store, wanted: ProblemFilter, judges: Iterable[Who] = ()) -> Iterator[Chained]:
    """All chains with steps of these problems, a page of problems at a time. judges: where one of them is a study's
    people, only what that study asks about is read."""
    asked = [set(judge.turns) for judge in judges if judge.kind == "study"]
    if asked:
        yield from _named(store, wanted, set.intersection(*asked))
        return
    start = 0
    while page := store.problems(wanted, limit=PAGE, offset=start):
        start += len(page)
        ids = [problem.id for problem in page]
        rows, labels, scores = store.chains_in(ids), store.annotations_in(ids), store.scores_in(ids)
        for problem in page:
            for row in rows.get(problem.id, ()):
                if row.chain.n:
                    yield Chained(problem, row, labels.get(row.chain.id, ()), scores.get(row.chain.id, ()))


def _named(store: Store, wanted: ProblemFilter, ids: set[str]) -> Iterator[Chained]:
    """In a fixed order. A problem passes where one of its sources does."""
    for id in sorted(ids):
        row = store.chain(id)
        problem = store.problem(row.chain.problem_id) if row else None
        if row is None or problem is None or not row.chain.n:
            continue
        fits = (
            (not wanted.source or key.source == wanted.source) and (not wanted.split or key.split == wanted.split)
            for key in problem.sources
        )
        if any(fits):
            yield Chained(problem, row, store.annotations(id), store.scores(id))


@dataclass(frozen=True, slots=True)
class Asked:
    """threshold: of scorers; to_first: what is said of the steps after a judge's first wrong one is left out."""

    question: Question = "correct"
    threshold: float = THRESHOLD
    to_first: bool = True


def opinions(store: Store, judge: Who, at: Chained, asked: Asked) -> list[Opinion]:
    """Of one chain: none, one, or of a group one of each."""
    return _SAYS[judge.kind](store, judge, at, asked)


def scores_of(judge: Who, at: Chained) -> tuple[float, ...]:
    """A scorer's numbers of a whole chain; () where it has none."""
    found = tuple(s.score for s in sorted(at.scores, key=lambda s: s.step) if s.model_id in judge.names)
    return found if len(found) == at.row.chain.n else ()


def _people(store: Store, judge: Who, at: Chained, asked: Asked) -> list[Opinion]:
    return _labelled((row.annotation for row in at.labels if row.annotation.annotator in judge.names), at, asked)


def _of_study(store: Store, judge: Who, at: Chained, asked: Asked) -> list[Opinion]:
    return [
        replace(opinion, arm=turn.arm)
        for turn in judge.turns.get(at.row.chain.id, ())
        for opinion in _labelled(turn.labels, at, asked)
    ]


def _labelled(labels: Iterable[Annotation], at: Chained, asked: Asked) -> list[Opinion]:
    """One opinion a person who said something of the question."""
    found: dict[str, dict[int, int | None]] = {}
    firsts: dict[str, int | None] = {}
    for label in labels:
        if label.question == asked.question and label.step:
            found.setdefault(label.annotator, {})[label.step] = label.value
        elif label.question == "first_error" and asked.question == "correct":
            firsts[label.annotator] = label.value
    place, n = (at.problem.id, at.row.chain.id), at.row.chain.n
    rated = [
        of_ratings(*place, name, [own.get(i) for i in range(1, n + 1)], to_first=asked.to_first)
        for name, own in found.items()
    ]
    return rated + [of_first_error(*place, name, n, first) for name, first in firsts.items() if name not in found]


def _scorer(store: Store, judge: Who, at: Chained, asked: Asked) -> list[Opinion]:
    scores = scores_of(judge, at)
    return (
        [of_scores(at.problem.id, at.row.chain.id, judge.asked, scores, asked.threshold, to_first=asked.to_first)]
        if scores
        else []
    )


def _rollouts(store: Store, judge: Who, at: Chained, asked: Asked) -> list[Opinion]:
    own = [m for m in store.measurements(at.problem.id) if m.model_id == at.row.model_id or at.row.model_id is None]
    if not own or not at.problem.answer:
        return []
    drawn = store.continuations_for(at.problem.id, own[0].model_id, own[0].sampling_id)
    separator = store.sampling(own[0].sampling_id).style.separator
    known = values(at.row.chain, by_prefix(drawn), at.row.verdict, separator)[1:]
    said = [None if v.value is None else GOOD if v.value > 0 else BAD for v in known]
    if all(label is None for label in said):
        return []
    return [of_ratings(at.problem.id, at.row.chain.id, judge.asked, said, to_first=asked.to_first)]


def _exact(store: Store, judge: Who, at: Chained, asked: Asked) -> list[Opinion]:
    """`solvable`: the first wrong step is the exact pit, one after the last from which it could still be solved."""
    exact = exact_for(at.problem.problem)
    if exact is None:
        return []
    found, place = exact.judge(at.row.chain.steps), (at.problem.id, at.row.chain.id, judge.asked)
    if asked.question == "correct":
        return [
            of_ratings(
                *place,
                [(GOOD if s.correct else BAD) if s.readable else None for s in found.steps],
                to_first=asked.to_first,
            )
        ]
    said = tuple((GOOD if s.solvable else BAD) if s.readable else None for s in found.steps)
    return [Opinion(*place, said, found.exact_pit or NONE_WRONG)]


def _equations(store: Store, judge: Who, at: Chained, asked: Asked) -> list[Opinion]:
    chain = at.row.chain
    return [of_first_error(at.problem.id, chain.id, judge.asked, chain.n, first_error(chain.steps))]


_SAYS: Mapping[Kind, Callable[[Store, Who, Chained, Asked], list[Opinion]]] = {
    "annotators": _people,
    "study": _of_study,
    "scorer": _scorer,
    "rollouts": _rollouts,
    "exact": _exact,
    "equations": _equations,
}
