"""A study as a store has it: the row by its name, and what stepviz.study_summary sums up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from db.store import Store
from db.study_values import ItemRow, StudyRow
from stepviz.agree_sources import Asked, Chained, Who, opinions, who
from stepviz.agreement.opinions import Question
from stepviz.errors import StepvizError
from stepviz.studies import stored
from stepviz.study_summary import Material, Settled, Summary, summary

KEPT = 8  # studies whose sums stay


def study_named(store: Store, name: str) -> StudyRow:
    """StepvizError, with those that there are."""
    rows = store.studies()
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        there = ", ".join(row.name for row in rows[:20])
        raise StepvizError(f"there is no study {name!r}; {f'there are: {there}' if rows else 'make one: study create'}")
    return found


def summed(store: Store, study: StudyRow) -> Summary:
    return summary(material(store, study))


class Summaries:
    """Of one store: what was read stays, until something comes in."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._kept: dict[int, tuple[tuple[object, ...], Material, Summary]] = {}

    def of(self, study: StudyRow) -> tuple[Material, Summary]:
        stamp = (study, *self.store.study_stamp(study.id))
        kept = self._kept.get(study.id)
        if kept is None or kept[0] != stamp:
            made = material(self.store, study)
            kept = stamp, made, summary(made)
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[study.id] = kept
        return kept[1], kept[2]


def material(store: Store, study: StudyRow) -> Material:
    items = store.items(study.id)
    settled = {
        chain: Settled(
            tuple(row.annotation for row in rows), str(rows[-1].annotation.meta.get("by", "")), rows[-1].created_at
        )
        for chain, rows in store.settlements(study.id).items()
    }
    slots, labels = store.slots(study.id), store.labels_of_study(study.id)
    return Material(study, items, slots, labels, dict(_known(store, study, items)), settled)


def known_first(store: Store, judge: Who, at: Chained, question: Question) -> int | None:
    """Where the first wrong step is known to be (0: there is none); None where they do not say, or disagree."""
    said = {o.first for o in opinions(store, judge, at, Asked(question))} - {None}
    return said.pop() if len(said) == 1 else None


def _known(store: Store, study: StudyRow, items: Sequence[ItemRow]) -> Iterator[tuple[str, int]]:
    """Of gold items. Whose labels these are may have gone since: then nothing is known.

    Who gave them may label in the study, too: what they say there is told right or not by what they said elsewhere.
    """
    question, gold_by = stored(study.config).gold_question, str(study.config.get("gold_by") or "")
    if question is None or not gold_by or not any(item.gold for item in items):
        return
    try:
        judge = who(store, gold_by, question)
    except StepvizError:
        return
    for item in items:
        row = store.chain(item.chain_id) if item.gold else None
        problem = store.problem(row.chain.problem_id) if row else None
        if row is None or problem is None:
            continue
        at = Chained(problem, row, store.labels_outside(study.id, item.chain_id), ())
        if (first := known_first(store, judge, at, question)) is not None:
            yield item.chain_id, first
