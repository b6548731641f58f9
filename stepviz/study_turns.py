"""What was said in a study, an item at a time: its chain, the turns of its people, and what was settled of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from db.store import Store
from db.study_values import ItemRow, SlotRow, StudyRow
from db.values import AnnotationRow, ChainRow, ProblemRow
from stepviz.types import digest


@dataclass(frozen=True, slots=True)
class Turn:
    """person: as the export calls them; labels: what stands, oldest first."""

    slot: SlotRow
    person: str
    labels: Sequence[AnnotationRow]


@dataclass(frozen=True, slots=True)
class Item:
    """trunk: what its chain branches from."""

    item: ItemRow
    problem: ProblemRow
    row: ChainRow
    trunk: ChainRow | None
    turns: Sequence[Turn]
    settled: Sequence[AnnotationRow]


class People:
    """What an export calls a study's people: by name, or by the order in which they began."""

    def __init__(self, study: StudyRow, slots: Sequence[SlotRow], anonymous: bool = False) -> None:
        self.study, self.anonymous = study, anonymous
        self.numbers = {name: i for i, name in enumerate(dict.fromkeys(slot.annotator for slot in slots), 1)}

    def named(self, annotator: str) -> str:
        return f"person-{self.numbers[annotator]}" if self.anonymous else annotator

    def labeler(self, annotator: str) -> str:
        """As PRM800K has labelers: a UUID for who has no name here. The same one in every export of this study."""
        return uuid_of(self.study, "person", str(self.numbers[annotator])) if self.anonymous else annotator


def uuid_of(study: StudyRow, *parts: str) -> str:
    """A UUID that tells nothing of a name, and is the same again for the same part of the study."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, digest("study", study.name, study.created_at.isoformat(), *parts)))


def items(store: Store, study: StudyRow, people: People) -> Iterator[Item]:
    """In the order in which they are offered; those that nobody ever had are left out."""
    labels, settled = store.label_rows_of_study(study.id), store.settlements(study.id)
    turns: dict[str, list[Turn]] = {}
    for slot in store.slots(study.id):
        turn = Turn(slot, people.named(slot.annotator), labels.get(slot.id, ()))
        turns.setdefault(slot.chain_id, []).append(turn)
    for item in store.items(study.id):
        own, final = turns.get(item.chain_id, ()), settled.get(item.chain_id, ())
        if not own and not final:
            continue
        row = store.chain(item.chain_id)
        problem = store.problem(row.chain.problem_id) if row else None
        assert row is not None and problem is not None, item.chain_id
        trunk = store.chain(row.chain.parent) if row.chain.parent else None
        yield Item(item, problem, row, trunk, own, final)
