"""Studies: which chains people label, whose turn it is at which, and the labels that are given in a turn.

A turn is a slot: one person, one item, for as long as a lease lasts; each label renews it. No two people get more slots
of an item than the study wants, however many ask at once: who takes one holds the item's row (PostgreSQL) or the
database (SQLite) until it is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from db.columns import now
from db.labels import append_label
from db.locks import lock_person
from db.models import AnnotationTable, GuidelineTable, SlotTable, StudyItemTable, StudyTable
from db.rows import chunks, table
from db.study_reads import StudyReads, read_slot, slots_of_items
from db.study_values import SlotRow
from stepviz.errors import StepvizError
from stepviz.types import Annotation, Arm

TRIES, TRY_S = 50, 0.02
_LATE = "This item's time ran out and it may be somebody else's now. What you labelled is kept; take the next one."


class Late(StepvizError):
    """A turn whose lease ran out: it may be taken again, while nobody else has its item."""


class StudyQueries(StudyReads):
    def add_study(
        self, name: str, config: Mapping[str, Any], guideline: str, items: Sequence[tuple[str, bool]], created_by: str
    ) -> int:
        """items: (chain id, gold) in the order in which they are offered. StepvizError: the name is taken."""
        at = now()
        with self.writing() as connection:
            if connection.execute(select(StudyTable.id).where(StudyTable.name == name)).scalar() is not None:
                raise StepvizError(f"there is a study {name!r} already: choose another name")
            row = {"name": name, "open": True, "config": dict(config), "created_by": created_by, "created_at": at}
            id_ = connection.execute(insert(table(StudyTable)).values(row).returning(StudyTable.id)).scalar_one()
            _add_guideline(connection, id_, 1, guideline, created_by)
            rows = [
                {"study_id": id_, "position": i, "chain_id": chain, "gold": gold, "taken": 0}
                for i, (chain, gold) in enumerate(items)
            ]
            for some in chunks(rows):
                connection.execute(insert(table(StudyItemTable)), some)
            return id_

    def revise_guideline(self, study_id: int, text: str, created_by: str) -> int:
        """The new version's number; slots that are open keep the one they began with."""
        with self.writing() as connection:
            version = 1 + int(connection.execute(_newest_version(study_id)).scalar() or 0)
            _add_guideline(connection, study_id, version, text, created_by)
            return version

    def open_study(self, study_id: int, is_open: bool) -> None:
        with self.writing() as connection:
            connection.execute(update(StudyTable).where(StudyTable.id == study_id).values(open=is_open))

    def next_slot(
        self,
        study_id: int,
        annotator: str,
        people: int,
        lease_s: float,
        arm: Callable[[int], Arm],
        again: int | None = None,
    ) -> SlotRow | None:
        """This person's turn: the one that is open, else the next item that wants one; None: there is none left.

        people: slots that an item wants, of different people (a gold one has no limit); arm: by the item's id, drawn
        once and kept if the turn is released and taken again; again: the turn that they had, and want back if nobody
        else has taken its item since.
        """
        for _ in range(TRIES):
            slot = self._next_slot(study_id, annotator, people, lease_s, arm, again)
            if slot is not None or not self.left(study_id, annotator, people):
                return slot
            time.sleep(TRY_S)  # on PostgreSQL, while somebody held the last items, to take one or to give it back
        return None

    def _next_slot(
        self,
        study_id: int,
        annotator: str,
        people: int,
        lease_s: float,
        arm: Callable[[int], Arm],
        again: int | None,
    ) -> SlotRow | None:
        with self.writing() as connection:
            at = now()
            lock_person(connection, study_id, annotator)
            s = SlotTable
            mine = (s.study_id == study_id, s.annotator == annotator, s.state == "open")
            # held before others' are: of two who ask when both are late none waits for the other then
            connection.execute(select(s.id).where(*mine).with_for_update()).all()
            _release_late(connection, study_id, at)
            until = at + timedelta(seconds=lease_s)
            own = connection.execute(slots_of_items().where(*mine)).first()
            if own is not None:
                connection.execute(update(s).where(s.id == own.id).values(lease_until=until))
                return _slot(connection, own.id)
            item = connection.execute(_free(study_id, annotator, people, again)).first()
            if item is None:
                return None
            i = StudyItemTable
            connection.execute(update(i).where(i.id == item.id).values(taken=i.taken + 1))
            return _slot(connection, _taken(connection, study_id, item.id, annotator, arm, at, until))

    def left(self, study_id: int, annotator: str, people: int) -> int:
        """Items that this person has open, or could still be given."""
        s, wanted = SlotTable, _wanted(study_id, annotator, people).subquery()
        own = select(func.count()).where(s.study_id == study_id, s.annotator == annotator, s.state == "open")
        with self.reading() as connection:
            free = connection.execute(select(func.count()).select_from(wanted)).scalar_one()
            return free + connection.execute(own).scalar_one()

    def label_in_slot(
        self, slot_id: int, annotator: str, labels: Sequence[Annotation], lease_s: float, key: str = ""
    ) -> list[int]:
        """Append what was said at one stroke of a key in one's own turn, all or nothing, and renew the lease.

        key: the stroke's own name; one that was said already is not said again, for a browser that got no answer.
        StepvizError: the turn is not theirs, or ended; a label is of another chain, or cannot be (stepviz.label_rules).
        """
        with self.writing() as connection:
            slot = _own(connection, slot_id, annotator)
            if any(label.annotator != annotator or label.chain_id != slot.chain_id for label in labels):
                raise StepvizError("This label is not of the item that you have open.")
            said = _said(connection, slot_id)
            _renew(connection, slot_id, lease_s)
            if key and any(row.key == key for row in said):
                return []
            meta = _stroke(1 + max((row.stroke for row in said), default=0), key)
            return [append_label(connection, replace(label, meta={**label.meta, **meta}), slot_id) for label in labels]

    def undo_in_slot(self, slot_id: int, annotator: str, lease_s: float, key: str = "") -> int:
        """Take back what the last stroke of a key said that still stands: how many labels. As above."""
        with self.writing() as connection:
            slot = _own(connection, slot_id, annotator)
            said = _said(connection, slot_id)
            if key and (done := sum(row.key == key for row in said)):
                return done
            stroke, last = last_stroke(said)
            for row in reversed(last):
                append_label(connection, Annotation(
                    slot.chain_id, annotator, row.question, row.step, None, meta=_stroke(stroke, key), undone=True
                ), slot_id)  # fmt: skip
            _renew(connection, slot_id, lease_s)
            return len(last)

    def end_slot(
        self, slot_id: int, annotator: str, *, finish: str, seconds: float, flags: Sequence[str] = (), note: str = ""
    ) -> None:
        """Submit: the item is done for this person; the same again is no error. StepvizError as in label_in_slot."""
        said = {"finish": finish, "seconds": seconds, "flags": list(flags), "note": note}
        with self.writing() as connection:
            row = connection.execute(slots_of_items().where(SlotTable.id == slot_id)).first()
            if row and (row.annotator, row.state) == (annotator, "submitted") and _ended_so(row) == said:
                return
            _own(connection, slot_id, annotator)
            values = {"state": "submitted", "ended_at": now(), **said}
            connection.execute(update(SlotTable).where(SlotTable.id == slot_id).values(values))

    def release_slot(self, slot_id: int, annotator: str) -> None:
        """Give it back without an answer: somebody else may take it."""
        with self.writing() as connection:
            slot = _own(connection, slot_id, annotator)
            _released(connection, [(slot.id, slot.item_id)])


def _add_guideline(connection: Connection, study_id: int, version: int, text: str, by: str) -> None:
    row = {"study_id": study_id, "version": version, "text": text, "created_by": by, "created_at": now()}
    connection.execute(insert(table(GuidelineTable)).values(row))


def _newest_version(study_id: int) -> Select[Any]:
    return select(func.max(GuidelineTable.version)).where(GuidelineTable.study_id == study_id)


def _free(study_id: int, annotator: str, people: int, again: int | None = None) -> Select[Any]:
    """The first item that this person has neither open nor done, and that wants one more; that of `again` before it."""
    i, s = StudyItemTable, SlotTable
    order = [i.position]
    if again is not None:
        had = select(s.item_id).where(s.id == again, s.annotator == annotator).scalar_subquery()
        order.insert(0, case((i.id == had, 0), else_=1))
    return _wanted(study_id, annotator, people).order_by(*order).limit(1).with_for_update(skip_locked=True)


def _wanted(study_id: int, annotator: str, people: int) -> Select[Any]:
    """Gold items only for who has others beside them: who came when those are done would know them by that."""
    i, s, other = StudyItemTable, SlotTable, aliased(StudyItemTable)
    begun = exists().where(s.study_id == study_id, s.annotator == annotator)
    others = exists().where(other.study_id == study_id, ~other.gold)
    gold = and_(i.gold, or_(begun, others.where(other.taken < people), ~others))
    theirs = exists().where(s.item_id == i.id, s.annotator == annotator, s.state != "released")
    return select(i.id).where(i.study_id == study_id, or_(gold, i.taken < people), ~theirs)


def _taken(
    connection: Connection, study_id: int, item_id: int, annotator: str, arm: Callable[[int], Arm], at: Any, until: Any
) -> int:
    """The slot's id: one that was released is opened again, in its arm; with labels by the guideline that they had."""
    s, a = SlotTable, AnnotationTable
    opened = {"state": "open", "opened_at": at, "lease_until": until, "ended_at": None}
    version = connection.execute(_newest_version(study_id)).scalar_one()
    said = exists().where(a.slot_id == s.id)
    again = update(s).where(s.item_id == item_id, s.annotator == annotator).returning(s.id)
    known = connection.execute(again.values(opened | {"guideline": case((said, s.guideline), else_=version)})).scalar()
    if known is not None:
        return known
    new = {"study_id": study_id, "item_id": item_id, "annotator": annotator, "arm": arm(item_id), "guideline": version}
    row = {**new, **opened, "flags": [], "note": ""}
    return connection.execute(insert(table(s)).values(row).returning(s.id)).scalar_one()


class Said(NamedTuple):
    """A label; stroke: with which it came, beside others or alone; key: the browser's name of that."""

    question: Any
    step: int
    undone: bool
    stroke: int
    key: str = ""


def last_stroke(said: Sequence[Said]) -> tuple[int, list[Said]]:
    """The last one that still stands, with its labels; said: in their order. StepvizError: none stands."""
    standing: dict[int, list[Said]] = {}
    for row in said:
        if row.undone:
            standing.pop(row.stroke, None)
        else:
            standing.setdefault(row.stroke, []).append(row)
    if not standing:
        raise StepvizError("There is no label left to take back.")
    return max(standing.items())


def _said(connection: Connection, slot_id: int) -> list[Said]:
    """In their order."""
    a = AnnotationTable
    query = select(a.question, a.step, a.undone, a.meta).where(a.slot_id == slot_id).order_by(a.id)
    return [
        Said(q, step, undone, int(meta.get("stroke", 0)), str(meta.get("key", "")))
        for q, step, undone, meta in connection.execute(query)
    ]


def _stroke(number: int, key: str) -> dict[str, Any]:
    return {"stroke": number, "key": key} if key else {"stroke": number}


def _ended_so(row: Row[Any]) -> dict[str, Any]:
    return {"finish": row.finish, "seconds": row.seconds, "flags": list(row.flags), "note": row.note}


def _renew(connection: Connection, slot_id: int, lease_s: float) -> None:
    until = now() + timedelta(seconds=lease_s)
    connection.execute(update(SlotTable).where(SlotTable.id == slot_id).values(lease_until=until))


def _own(connection: Connection, slot_id: int, annotator: str) -> Row[Any]:
    row = connection.execute(slots_of_items().where(SlotTable.id == slot_id).with_for_update(of=SlotTable)).first()
    if row is None or row.annotator != annotator:
        raise StepvizError("This is not your item.")
    if row.state == "submitted":
        raise StepvizError("You have submitted this item already: take the next one.")
    if row.state == "released" or row.lease_until < now():
        raise Late(_LATE)
    return row


def _release_late(connection: Connection, study_id: int, at: Any) -> None:
    s = SlotTable
    late = select(s.id, s.item_id).where(s.study_id == study_id, s.state == "open", s.lease_until < at)
    _released(connection, [tuple(row) for row in connection.execute(late.with_for_update(skip_locked=True))])


def _released(connection: Connection, slots: Sequence[tuple[int, int]]) -> None:
    """In the order of their items, whose rows are held from here on: two who release at once wait in no circle."""
    for slot_id, item_id in sorted(slots, key=lambda slot: slot[1]):
        connection.execute(update(SlotTable).where(SlotTable.id == slot_id).values(state="released", ended_at=now()))
        i = StudyItemTable
        connection.execute(update(i).where(i.id == item_id).values(taken=i.taken - 1))


def _slot(connection: Connection, slot_id: int) -> SlotRow:
    return read_slot(connection.execute(slots_of_items().where(SlotTable.id == slot_id)).one())
