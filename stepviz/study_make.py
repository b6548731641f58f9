"""A study from chains of the store: its items in their order, with items of known labels among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from db.store import Store
from db.values import ChainRow
from stepviz.agree_sources import Chained, Who, scores_of, who
from stepviz.errors import StepvizError
from stepviz.rollouts import by_prefix, values
from stepviz.studies import Candidate, StudyConfig, Unfit, ordered, with_gold
from stepviz.study_read import known_first

LONGEST_NAME, LONGEST_GUIDELINE = 100, 20_000  # characters

GUIDELINE = """Read the problem first, then the solution step by step.

+1: the step is correct and helps. 0: it is correct, but does not help, or the text does not tell. -1: it is wrong.
A step that only repeats an earlier mistake is wrong, too. If you cannot decide in half a minute, mark it as unsure.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A study before it is made. items: (chain, gold) in the order in which they are offered."""

    name: str
    config: StudyConfig
    guideline: str
    gold_by: str
    items: tuple[tuple[str, bool], ...]

    @property
    def gold(self) -> int:
        return sum(gold for _, gold in self.items)

    @property
    def turns(self) -> int:
        """Labelled items that make it complete, gold ones aside: everybody gets those."""
        return (len(self.items) - self.gold) * self.config.people


def make(
    store: Store,
    name: str,
    config: StudyConfig,
    chains: Sequence[str],
    created_by: str,
    guideline: str = GUIDELINE,
    gold_by: str = "",
) -> int:
    """The new study's id. gold_by: whose labels gold items have (agree_sources: a person, exact, …).

    StepvizError: the name is taken, a scorer that is needed has scored none of them, too few gold chains.
    """
    rows = [_row(store, id) for id in chains]
    plan = planned(store, checked_name(name), config, rows, checked_guideline(guideline), gold_by)
    config_told = {**plan.config.told(), "gold_by": gold_by}
    return store.add_study(plan.name, config_told, plan.guideline, plan.items, created_by)


def usual_people(store: Store) -> int:
    """How many label an item if nobody says: without accounts there is one person, and a second turn stays open."""
    return 2 if store.users() else 1


def checked_name(name: str) -> str:
    """With single spaces. StepvizError: none, too long, or with what cannot be shown."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise Unfit("name", f"a study needs a name of at most {LONGEST_NAME} characters")
    if not name.isprintable():
        raise Unfit("name", "a study's name has characters that no page can show")
    if "/" in name:  # of annotators, NAME/… are the people of NAME
        raise Unfit("name", "a study's name has no slash")
    return name


def checked_guideline(text: str) -> str:
    """StepvizError: none, or too long."""
    if not text.strip():
        raise Unfit("guideline", "a study needs a guideline: it is what its people agree on")
    if len(text) > LONGEST_GUIDELINE:
        raise Unfit("guideline", f"a guideline has at most {LONGEST_GUIDELINE:,} characters")
    return text


def planned(
    store: Store, name: str, config: StudyConfig, chains: Sequence[ChainRow], guideline: str, gold_by: str = ""
) -> Plan:
    """What `make` would make; nothing is written. StepvizError as there.

    Chains that are not cut into steps are left out: they cannot be labelled.
    """
    config = replace(config, scorer=scorer_id(store, config.scorer) if config.scorer else "")
    judge = gold_judge(store, config, gold_by)
    rows = [row for row in {row.chain.id: row for row in chains}.values() if row.chain.n]
    scorer = who(store, f"scorer:{config.scorer}", "solvable") if config.scorer else None
    candidates = [_candidate(store, row, config, scorer) for row in rows]
    if config.needs_a_scorer and not any(c.scores for c in candidates):
        raise Unfit("scorer", f"{config.scorer} has scored none of these chains: run `score --model` first")
    gold = _gold(store, rows, config, judge) if judge else []
    items = with_gold(ordered(candidates, config), gold, config)
    if not items:
        raise Unfit("chains", "a study needs chains that are cut into steps")
    return Plan(name, config, guideline, gold_by, tuple(items))


def scorer_id(store: Store, named: str) -> str:
    """Of a scorer by its spec, its id, or the id without its revision. StepvizError: nobody is called so."""
    try:
        return next(iter(who(store, f"scorer:{named}", "solvable").names))
    except StepvizError as error:
        raise Unfit("scorer", str(error)) from None


def gold_judge(store: Store, config: StudyConfig, gold_by: str) -> Who | None:
    """Whose labels gold items have; None where there are none. StepvizError: who this is cannot be told, or used."""
    if not config.gold_share:
        return None
    if not gold_by:
        raise Unfit("gold_by", "gold items have known labels: say whose (--gold-by, such as exact or processbench)")
    if config.gold_question is None:
        raise Unfit("gold_by", "gold items are told right by the first wrong step: ask correct or solvable, too")
    try:
        judge = who(store, gold_by, config.gold_question)
    except StepvizError as error:
        raise Unfit("gold_by", str(error)) from None
    if judge.kind == "scorer":
        raise Unfit("gold_by", "a scorer's numbers are no known labels: take a person's, a data set's or exact")
    return judge


def _row(store: Store, id: str) -> ChainRow:
    row = store.chain(id)
    if row is None:
        raise StepvizError(f"there is no chain {id} in this store")
    return row


def _chained(store: Store, row: ChainRow, labels: bool = False, scores: bool = False) -> Chained:
    problem = store.problem(row.chain.problem_id)
    assert problem is not None, "a chain's problem is there as long as it is"
    id = row.chain.id
    return Chained(problem, row, store.annotations(id) if labels else (), store.scores(id) if scores else ())


def _candidate(store: Store, row: ChainRow, config: StudyConfig, scorer: Who | None) -> Candidate:
    scores: tuple[float, ...] = ()
    measured: tuple[float | None, ...] = ()
    if scorer is not None:
        at = _chained(store, row, scores=True)
        scores = scores_of(scorer, at)
        measured = _measured(store, at) if config.order == "disputed" else ()
    return Candidate(row.chain.id, scores, measured, row.verdict.value == "wrong", row.disputed)


def _measured(store: Store, at: Chained) -> tuple[float | None, ...]:
    """V after each step, by the draws of the model that most were made with; () without any."""
    known = store.measurements(at.problem.id) if at.problem.answer else []
    own = [m for m in known if m.model_id == at.row.model_id] or known
    if not own:
        return ()
    drawn = by_prefix(store.continuations_for(at.problem.id, own[0].model_id, own[0].sampling_id))
    separator = store.sampling(own[0].sampling_id).style.separator
    return tuple(v.value for v in values(at.row.chain, drawn, at.row.verdict, separator)[1:])


def _gold(store: Store, rows: Sequence[ChainRow], config: StudyConfig, judge: Who) -> list[str]:
    """Chains of which that judge says where the first error is, or that there is none."""
    question = config.gold_question
    assert question is not None, "gold_judge has looked"
    known = ((row, known_first(store, judge, _chained(store, row, labels=True), question)) for row in rows)
    return [row.chain.id for row, first in known if first is not None]
