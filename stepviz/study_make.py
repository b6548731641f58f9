"""A study from chains of the store: its items in their order, with items of known labels among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from db.store import Store
from stepviz.agree_sources import Asked, Chained, opinions, scores_of, who
from stepviz.errors import StepvizError
from stepviz.rollouts import by_prefix, values
from stepviz.studies import Candidate, StudyConfig, ordered, with_gold

GUIDELINE = """Read the problem first, then the solution step by step.

+1: the step is correct and helps. 0: it is correct, but does not help, or the text does not tell. -1: it is wrong.
A step that only repeats an earlier mistake is wrong, too. If you cannot decide in half a minute, mark it as unsure.
"""


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
    name = " ".join(name.split())
    if not 0 < len(name) <= 100:
        raise StepvizError("a study needs a name of at most 100 characters")
    if not guideline.strip():
        raise StepvizError("a study needs a guideline: it is what its people agree on")
    if config.scorer:
        config = replace(config, scorer=next(iter(who(store, f"scorer:{config.scorer}", "solvable").names)))
    found = list(_chained(store, chains))
    candidates = [_candidate(store, at, config) for at in found]
    if config.needs_a_scorer and not any(c.scores for c in candidates):
        raise StepvizError(f"{config.scorer} has scored none of these chains: run `score --model` first")
    gold = _gold(store, found, config, gold_by)
    items = with_gold(ordered(candidates, config), gold, config)
    if not items:
        raise StepvizError("a study needs chains")
    return store.add_study(name, {**config.told(), "gold_by": gold_by}, guideline, items, created_by)


def _chained(store: Store, chains: Sequence[str]) -> Iterator[Chained]:
    """In their order; those that are not cut into steps cannot be labelled."""
    for id in dict.fromkeys(chains):
        row = store.chain(id)
        problem = store.problem(row.chain.problem_id) if row else None
        if row is None or problem is None:
            raise StepvizError(f"there is no chain {id} in this store")
        if row.chain.n:
            yield Chained(problem, row, store.annotations(id), store.scores(id))


def _candidate(store: Store, at: Chained, config: StudyConfig) -> Candidate:
    scores: tuple[float, ...] = ()
    if config.scorer:
        scores = scores_of(who(store, f"scorer:{config.scorer}", "solvable"), at)
    measured = _measured(store, at) if config.order == "disputed" else ()
    return Candidate(at.row.chain.id, scores, measured, at.row.verdict.value == "wrong", at.row.disputed)


def _measured(store: Store, at: Chained) -> tuple[float | None, ...]:
    """V after each step, by the draws of the model that most were made with; () without any."""
    known = store.measurements(at.problem.id) if at.problem.answer else []
    own = [m for m in known if m.model_id == at.row.model_id] or known
    if not own:
        return ()
    drawn = by_prefix(store.continuations_for(at.problem.id, own[0].model_id, own[0].sampling_id))
    separator = store.sampling(own[0].sampling_id).style.separator
    return tuple(v.value for v in values(at.row.chain, drawn, at.row.verdict, separator)[1:])


def _gold(store: Store, found: Sequence[Chained], config: StudyConfig, gold_by: str) -> list[str]:
    """Chains of which that judge says where the first error is, or that there is none."""
    if not config.gold_share:
        return []
    if not gold_by:
        raise StepvizError("gold items have known labels: say whose (--gold-by, such as exact or processbench)")
    judge = who(store, gold_by, "correct")
    if judge.kind == "scorer":
        raise StepvizError("a scorer's numbers are no known labels: take a person's, a data set's or exact")
    said = ((at, opinions(store, judge, at, Asked("correct"))) for at in found)
    return [at.row.chain.id for at, known in said if any(o.first is not None for o in known)]
