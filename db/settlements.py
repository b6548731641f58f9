"""What an admin settles where a study's people disagree: further rows beside theirs, by an annotator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from db.caches import current_labels
from db.labels import append_label
from db.locks import lock_chains
from db.models import AnnotationTable, StudyItemTable, StudyTable
from db.rows import read_annotation
from db.session import Database
from db.studies import Said, last_stroke
from db.study_values import adjudicator
from db.values import AnnotationRow
from stepviz.errors import StepvizError
from stepviz.types import Annotation


class SettlementQueries(Database):
    def settle(self, study_id: int, chain_id: str, labels: Sequence[Annotation], by: str) -> int:
        """Append what is settled of one item, all or nothing; how many rows came of it. by: the admin.

        The labels' annotator becomes the study's (study_values.adjudicator). What was settled before and is not
        settled any more gets a row of its own that says nothing, so that one undo brings all of it back.
        StepvizError: there is no such item, its labels are known (gold), nothing is said, a label that cannot be.
        """
        if not labels:
            raise StepvizError("Nothing is settled yet: rate a step, or mark it as unsure.")
        with self.writing() as connection:
            who = _adjudicator_of(connection, study_id, chain_id)
            lock_chains(connection, [chain_id])
            rows = _rows(connection, study_id, chain_id, who)
            stroke = 1 + max((_stroke(row) for row in rows), default=0)
            meta = {"by": by, "study": study_id, "stroke": stroke}
            said = {(x.question, x.step): replace(x, chain_id=chain_id, annotator=who, meta=meta) for x in labels}
            for old in current_labels(rows):
                if "nothing" not in old.meta:
                    blank = Annotation(chain_id, who, old.question, old.step, None, meta=meta | {"nothing": True})
                    said.setdefault((old.question, old.step), blank)
            for label in said.values():
                append_label(connection, label)
            return len(said)

    def unsettle(self, study_id: int, chain_id: str, by: str) -> int:
        """Take back what was settled last and still stands: how many labels. What was settled before stands again."""
        with self.writing() as connection:
            who = _adjudicator_of(connection, study_id, chain_id)
            lock_chains(connection, [chain_id])
            rows = _rows(connection, study_id, chain_id, who)
            stroke, last = last_stroke([Said(row.question, row.step, row.undone, _stroke(row)) for row in rows])
            meta = {"by": by, "study": study_id, "stroke": stroke}
            for said in reversed(last):
                undo = Annotation(chain_id, who, said.question, said.step, None, meta=meta, undone=True)
                append_label(connection, undo)
            return len(last)

    def settlements(self, study_id: int, chain_id: str | None = None) -> dict[str, list[AnnotationRow]]:
        """Chain id → what is settled of it and stands, oldest first."""
        with self.reading() as connection:
            name = connection.execute(select(StudyTable.name).where(StudyTable.id == study_id)).scalar()
            rows = [] if name is None else _rows(connection, study_id, chain_id, adjudicator(name))
        found: dict[str, list[AnnotationRow]] = {}
        for row in current_labels(rows):
            found.setdefault(row.chain_id, []).append(AnnotationRow(row.id, read_annotation(row), row.created_at))
        return found


def _adjudicator_of(connection: Connection, study_id: int, chain_id: str) -> str:
    s, i = StudyTable, StudyItemTable
    query = select(s.name, i.gold).join(i, i.study_id == s.id).where(s.id == study_id, i.chain_id == chain_id)
    row = connection.execute(query).first()
    if row is None:
        raise StepvizError("This item is not of this study.")
    if row.gold:
        raise StepvizError("This is a gold item: its labels are known, and there is nothing to settle.")
    return adjudicator(row.name)


def _rows(connection: Connection, study_id: int, chain_id: str | None, who: str) -> list[Row[Any]]:
    """Every row that was settled in this study, undos too, in their order."""
    a = AnnotationTable.__table__
    query = select(a).where(a.c.annotator == who).order_by(a.c.id)
    if chain_id is not None:
        query = query.where(a.c.chain_id == chain_id)
    return [row for row in connection.execute(query) if row.meta.get("study") == study_id]


def _stroke(row: Row[Any]) -> int:
    return int(row.meta.get("stroke", 0))
