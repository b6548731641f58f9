"""How far a study is: by person, how items ended, gold items told right, where people disagree. Pure.

What the Studies page shows and `study list`, `study show` and `study conflicts` tell; stepviz.study_read fills it from
a store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from db.study_values import ItemRow, SlotRow, StudyRow
from stepviz.adjudication import Conflict, Turn, conflict
from stepviz.studies import FLAGS, stored
from stepviz.types import Annotation


@dataclass(frozen=True, slots=True)
class Settled:
    """That an item is settled: the rows that stand, who wrote the last of them and when."""

    labels: tuple[Annotation, ...]
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Material:
    """What a summary is made of.

    labels: slot id → what stands of that turn; known: gold chain → its first wrong step (0: none is), where that is
    known; settled: by chain.
    """

    study: StudyRow
    items: Sequence[ItemRow]
    slots: Sequence[SlotRow]
    labels: Mapping[int, Sequence[Annotation]]
    known: Mapping[str, int]
    settled: Mapping[str, Settled]


@dataclass(frozen=True, slots=True)
class PersonLine:
    """seconds: the median of an item that was submitted; gold: of gold items submitted, those told right."""

    name: str
    submitted: int
    open: int
    seconds: float | None
    arms: Mapping[str, int]
    finishes: Mapping[str, int]
    flags: Mapping[str, int]
    gold_right: int
    gold: int

    @property
    def accuracy(self) -> float | None:
        return self.gold_right / self.gold if self.gold else None


@dataclass(frozen=True, slots=True)
class Remark:
    """A flag or a note that a person left with an item. notes: (step or 0 for the whole item, text)."""

    name: str
    item: ItemRow
    flags: tuple[str, ...]
    notes: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class ItemLine:
    """An item that people disagree about, or that was settled. people: how many submitted it."""

    item: ItemRow
    conflict: Conflict | None
    people: int
    settled: Settled | None


@dataclass(frozen=True, slots=True)
class Summary:
    """wanted, labelled: turns of items that are not gold (everybody gets those)."""

    study: StudyRow
    wanted: int
    labelled: int
    gold_items: int
    people: tuple[PersonLine, ...]
    finishes: Mapping[str, int]
    conflicts: tuple[ItemLine, ...]
    remarks: tuple[Remark, ...]

    @property
    def open(self) -> list[ItemLine]:
        return [line for line in self.conflicts if line.settled is None]

    @property
    def settled(self) -> list[ItemLine]:
        return [line for line in self.conflicts if line.settled is not None]

    def told(self) -> dict[str, Any]:
        """As JSON."""
        row = self.study
        return {
            "name": row.name, "open": row.open, "items": row.items, "gold_items": self.gold_items,
            "submitted": row.submitted, "wanted": self.wanted, "labelled": self.labelled,
            "finishes": dict(self.finishes), "people": [_person_told(p) for p in self.people],
            "conflicts": {"open": len(self.open), "settled": len(self.settled)},
            "config": dict(row.config), "guideline": row.guideline, "guideline_version": row.version,
            "created_by": row.created_by, "created_at": row.created_at.isoformat(),
        }  # fmt: skip


def summary(m: Material) -> Summary:
    done = [slot for slot in m.slots if slot.state == "submitted"]
    plain = sum(not item.gold for item in m.items)
    return Summary(
        study=m.study,
        wanted=plain * stored(m.study.config).people,
        labelled=sum(not slot.gold for slot in done),
        gold_items=len(m.items) - plain,
        people=tuple(_person(m, name) for name in sorted({slot.annotator for slot in m.slots}, key=str.casefold)),
        finishes=_counted(slot.finish for slot in done),
        conflicts=tuple(_conflicts(m, done)),
        remarks=tuple(_remarks(m, done)),
    )


def turn(slot: SlotRow, labels: Sequence[Annotation]) -> Turn:
    """A submitted turn as it counts. That it ended as a bad problem, or was given up, is a flag as well."""
    ratings: dict[str, dict[int, int | None]] = {}
    for label in labels:
        ratings.setdefault(label.question, {})[label.step] = label.value
    return Turn(slot.annotator, ratings, flags(slot))


def flags(slot: SlotRow) -> tuple[str, ...]:
    return tuple(flag for flag in FLAGS if flag in slot.flags or flag == slot.finish)


def _person(m: Material, name: str) -> PersonLine:
    own = [slot for slot in m.slots if slot.annotator == name]
    done = [slot for slot in own if slot.state == "submitted"]
    seconds = [slot.seconds for slot in done if slot.seconds is not None]
    told = [first == m.known[slot.chain_id] for slot, first in _firsts_of_gold(m, done)]
    return PersonLine(
        name=name,
        submitted=len(done),
        open=sum(slot.state == "open" for slot in own),
        seconds=median(seconds) if seconds else None,
        arms=_counted(slot.arm for slot in done),
        finishes=_counted(slot.finish for slot in done),
        flags=_counted(flag for slot in done for flag in flags(slot)),
        gold_right=sum(told),
        gold=len(told),
    )


def _firsts_of_gold(m: Material, done: Sequence[SlotRow]) -> list[tuple[SlotRow, int | None]]:
    """The first wrong step that the person sees, of those that are known; None where it was left open."""
    question, steps = stored(m.study.config).gold_question, {item.id: item.n for item in m.items}
    if question is None:
        return []
    gold = [slot for slot in done if slot.gold and slot.chain_id in m.known]
    said = [turn(slot, m.labels.get(slot.id, ())).opinion(question, steps[slot.item_id]) for slot in gold]
    return [(slot, opinion.first) for slot, opinion in zip(gold, said, strict=True)]


def _conflicts(m: Material, done: Sequence[SlotRow]) -> list[ItemLine]:
    """In the order of the items."""
    by_item: dict[int, list[SlotRow]] = {}
    for slot in done:
        by_item.setdefault(slot.item_id, []).append(slot)
    lines = []
    for item in m.items:
        slots = by_item.get(item.id, [])
        found = None if item.gold else conflict([turn(s, m.labels.get(s.id, ())) for s in slots], item.n)
        if found or item.chain_id in m.settled:
            lines.append(ItemLine(item, found, len(slots), m.settled.get(item.chain_id)))
    return lines


def _remarks(m: Material, done: Sequence[SlotRow]) -> list[Remark]:
    """The newest first."""
    items, found = {item.id: item for item in m.items}, []
    for slot in reversed(done):
        notes = [(0, slot.note)] if slot.note.strip() else []
        notes += [(x.step or x.value or 0, x.note) for x in m.labels.get(slot.id, ()) if x.note.strip()]
        if notes or flags(slot):
            found.append(Remark(slot.annotator, items[slot.item_id], flags(slot), tuple(notes)))
    return found


def _counted(values: Any) -> dict[str, int]:
    """The most frequent first."""
    return dict(Counter(str(value) for value in values if value is not None).most_common())


def _person_told(p: PersonLine) -> dict[str, Any]:
    return {
        "annotator": p.name, "submitted": p.submitted, "open": p.open, "median_seconds": p.seconds,
        "arms": dict(p.arms), "finishes": dict(p.finishes), "flags": dict(p.flags),
        "gold": {"right": p.gold_right, "n": p.gold, "accuracy": p.accuracy},
    }  # fmt: skip
