"""What there is of studies to read: their items, guidelines, turns and labels."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, null, or_, select

from db.caches import current_labels
from db.models import AnnotationTable, ChainTable, GuidelineTable, SlotTable, StudyItemTable, StudyTable
from db.rows import read_annotation
from db.session import Database
from db.study_values import GuidelineRow, ItemRow, SlotRow, StudyRow
from db.values import AnnotationRow
from stepviz.errors import StepvizError
from stepviz.types import Annotation


class StudyReads(Database):
    def studies(self, id: int | None = None) -> list[StudyRow]:
        """The newest first; or the one."""
        s, i, t = StudyTable, StudyItemTable, SlotTable
        items = select(func.count()).where(i.study_id == s.id).correlate(s).scalar_subquery()
        done = select(func.count()).where(t.study_id == s.id, t.state == "submitted").correlate(s).scalar_subquery()
        gold = select(func.count()).where(i.study_id == s.id, i.gold).correlate(s).scalar_subquery()
        turns = select(func.count()).select_from(t).join(i, i.id == t.item_id)
        turns = turns.where(t.study_id == s.id, t.state == "submitted", i.gold)
        counts = {
            "items": items,
            "submitted": done,
            "gold": gold,
            "gold_submitted": turns.correlate(s).scalar_subquery(),
        }
        query = _studies(*(count.label(name) for name, count in counts.items())).order_by(s.id.desc())
        if id is not None:
            query = query.where(s.id == id)
        with self.reading() as connection:
            return [_read_study(row) for row in connection.execute(query)]

    def study_stamp(self, study_id: int) -> tuple[Any, ...]:
        """Changes with every label that comes in anywhere, and every turn at this study; quick, for who keeps a sum."""
        s = SlotTable
        turns = select(
            func.count(), func.count().filter(s.state == "open"), func.max(s.opened_at), func.max(s.ended_at)
        ).where(s.study_id == study_id)
        with self.reading() as connection:
            newest = connection.execute(select(func.max(AnnotationTable.id))).scalar()
            return (newest, *connection.execute(turns).one())

    def study(self, study_id: int) -> StudyRow | None:
        """Every label asks for it, so its items and turns are not counted."""
        uncounted = (null().label(name) for name in ("items", "submitted", "gold", "gold_submitted"))
        query = _studies(*uncounted).where(StudyTable.id == study_id)
        with self.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _read_study(row)

    def slot(self, slot_id: int) -> SlotRow | None:
        with self.reading() as connection:
            row = connection.execute(slots_of_items().where(SlotTable.id == slot_id)).first()
        return None if row is None else read_slot(row)

    def labels_of_slot(self, slot_id: int) -> list[Annotation]:
        """What stands of what was said in this turn, oldest first."""
        a = AnnotationTable.__table__
        with self.reading() as connection:
            rows = connection.execute(select(a).where(a.c.slot_id == slot_id).order_by(a.c.id)).all()
        return [read_annotation(row) for row in current_labels(rows)]

    def guideline(self, study_id: int, version: int) -> str:
        """StepvizError for a version there is not."""
        g = GuidelineTable
        with self.reading() as connection:
            text = connection.execute(select(g.text).where(g.study_id == study_id, g.version == version)).scalar()
        if text is None:
            raise StepvizError(f"there is no guideline {version} of this study")
        return text

    def guidelines(self, study_id: int) -> list[GuidelineRow]:
        """All versions, the newest first."""
        g = GuidelineTable
        query = select(g.version, g.text, g.created_by, g.created_at).where(g.study_id == study_id)
        with self.reading() as connection:
            return [GuidelineRow(*row) for row in connection.execute(query.order_by(g.version.desc()))]

    def items(self, study_id: int) -> list[ItemRow]:
        """In the order in which they are offered."""
        i, c = StudyItemTable, ChainTable
        query = select(i.id, i.position, i.chain_id, i.gold, c.n_steps).join(c, c.id == i.chain_id)
        query = query.where(i.study_id == study_id).order_by(i.position)
        with self.reading() as connection:
            return [ItemRow(*row) for row in connection.execute(query)]

    def labels_of_study(self, study_id: int) -> dict[int, list[Annotation]]:
        """Slot id → what stands of what was said in that turn, oldest first; turns without a label are left out."""
        return {id_: [row.annotation for row in rows] for id_, rows in self.label_rows_of_study(study_id).items()}

    def label_rows_of_study(self, study_id: int) -> dict[int, list[AnnotationRow]]:
        """The same, with when each was said."""
        a = AnnotationTable.__table__
        query = select(a).join(SlotTable, SlotTable.id == a.c.slot_id).where(SlotTable.study_id == study_id)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(a.c.id)).all()
        found: dict[int, list[AnnotationRow]] = {}
        for row in current_labels(rows):
            label = AnnotationRow(row.id, read_annotation(row), row.created_at)
            found.setdefault(row.slot_id, []).append(label)
        return found

    def labels_outside(self, study_id: int, chain_id: str) -> list[AnnotationRow]:
        """What stands of a chain if nothing of what was said in this study's turns is counted, oldest first."""
        a = AnnotationTable.__table__
        inside = select(SlotTable.id).where(SlotTable.study_id == study_id)
        query = select(a).where(a.c.chain_id == chain_id, or_(a.c.slot_id.is_(None), a.c.slot_id.not_in(inside)))
        with self.reading() as connection:
            rows = connection.execute(query.order_by(a.c.id)).all()
        return [AnnotationRow(row.id, read_annotation(row), row.created_at) for row in current_labels(rows)]

    def submitted(self, study_id: int, annotator: str) -> int:
        s = SlotTable
        query = select(func.count()).where(s.study_id == study_id, s.annotator == annotator, s.state == "submitted")
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def slots(self, study_id: int, annotator: str | None = None) -> list[SlotRow]:
        """In the order in which they were opened."""
        query = slots_of_items().where(SlotTable.study_id == study_id).order_by(SlotTable.id)
        if annotator is not None:
            query = query.where(SlotTable.annotator == annotator)
        with self.reading() as connection:
            return [read_slot(row) for row in connection.execute(query)]


def _studies(*counts: ColumnElement[Any]) -> Select[Any]:
    """With the newest guideline."""
    s, g = StudyTable, GuidelineTable
    newest = select(func.max(g.version)).where(g.study_id == s.id).correlate(s).scalar_subquery()
    return select(s.__table__, g.text, g.version, *counts).join(g, and_(g.study_id == s.id, g.version == newest))


def slots_of_items() -> Select[Any]:
    i = StudyItemTable
    return select(SlotTable.__table__, i.chain_id, i.position, i.gold).join(i, i.id == SlotTable.item_id)


def read_slot(row: Row[Any]) -> SlotRow:
    return SlotRow(
        row.id, row.study_id, row.item_id, row.chain_id, row.position, row.gold, row.annotator, row.arm, row.guideline,
        row.state, row.opened_at, row.lease_until, row.ended_at, row.seconds, row.finish, tuple(row.flags), row.note,
    )  # fmt: skip


def _read_study(row: Row[Any]) -> StudyRow:
    return StudyRow(
        row.id, row.name, row.open, row.config, row.created_by, row.created_at, row.text, row.version, row.items,
        row.submitted, row.gold, row.gold_submitted,
    )  # fmt: skip
