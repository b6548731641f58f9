"""What `bench annotate` finds in the store afterwards, against what people were told: no label lost, none twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from db.store import Store
from stepviz.bench_annotate_people import Diary, Label

Said = tuple[str, str, int, int | None, str]  # (who, chain, step, value, note)


@dataclass(frozen=True, slots=True)
class Found:
    """All but the first are mistakes, and 0 in a store that is right.

    lost: acknowledged and not stored; doubled: stored more than once; never_sent: stored, and nobody had sent it;
    others_slot: turns that two people were given, or that are another's in the store; over: items with more turns than
    the study wants; submits_lost: acknowledged, and the turn is not submitted.
    """

    labels: int
    lost: int = 0
    doubled: int = 0
    never_sent: int = 0
    others_slot: int = 0
    over: int = 0
    submits_lost: int = 0

    @property
    def mistakes(self) -> int:
        return sum(self.row().values()) - self.labels

    def row(self) -> dict[str, int]:
        return asdict(self)


def compare(store: Store, study: int, people: int, diaries: Sequence[Diary]) -> Found:
    slots = {slot.id: slot for slot in store.slots(study)}
    chains = {id: slot.chain_id for id, slot in slots.items()}
    told = Counter(said(diary.name, label, chains) for diary in diaries for label in diary.labels)
    maybe = Counter(said(diary.name, label, chains) for diary in diaries for label in diary.doubtful)
    stored = Counter(of for diary in diaries for of in in_store(store, diary.name))
    given = Counter(slot for diary in diaries for slot in set(diary.slots))
    owners = {id: slot.annotator for id, slot in slots.items()}
    others = [slot for diary in diaries for slot in diary.slots if owners.get(slot) != diary.name]
    taken = Counter(slot.item_id for slot in slots.values() if slot.state != "released" and not slot.gold)
    ended = {id for id, slot in slots.items() if slot.state == "submitted"}
    return Found(
        labels=told.total(),
        lost=(told - stored).total(),
        doubled=sum(n - 1 for n in stored.values()),
        never_sent=sum(n for of, n in stored.items() if of not in told and of not in maybe),
        others_slot=len(others) + sum(n > 1 for n in given.values()),
        over=sum(n > people for n in taken.values()),
        submits_lost=sum(slot not in ended for diary in diaries for slot in diary.submitted),
    )


def said(who: str, label: Label, chains: Mapping[int, str]) -> Said:
    return who, chains.get(label.slot, ""), label.step, label.value, label.note


def in_store(store: Store, who: str) -> list[Said]:
    """Every row by this person, taken back or not."""
    rows: list[Any] = [row.annotation for row in store.annotations(annotator=who, history=True)]
    return [(of.annotator, of.chain_id, of.step, of.value, of.note) for of in rows]
