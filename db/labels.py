"""Annotations: people's labels and data sets'. Appended, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, func, insert, select

from db.caches import current_labels, refresh_chains
from db.locks import lock_chains
from db.models import AnnotationTable, ChainTable
from db.rows import CHUNK, annotation_row, read_annotation, table
from db.session import Database
from db.values import AnnotationRow
from stepviz.errors import StepvizError
from stepviz.label_rules import check_label
from stepviz.types import Annotation, VerdictValue

_OVERRIDE = {"correct": 1, "wrong": -1, "unknown": None}


class LabelQueries(Database):
    def add_annotation(self, annotation: Annotation) -> int:
        """Append a label and give its id; one whose key the annotator has used already changes nothing.

        `undone` takes back the last label of that annotator, question and step that still stands
        (StepvizError where none does). A live "verdict" (without a key) overrides the grader's.
        """
        with self.writing() as connection:
            return append_label(connection, annotation)

    def override_verdict(self, chain_id: str, value: VerdictValue, reason: str, annotator: str) -> int:
        """A person's verdict stands in for the grader's, until taken back; the grader's is kept."""
        if not reason.strip():
            raise StepvizError("Say why the verdict is changed.")
        return self.add_annotation(Annotation(chain_id, annotator, "verdict", 0, _OVERRIDE[value], reason))

    def withdraw_verdict(self, chain_id: str, annotator: str) -> int:
        """Takes back this person's last verdict; StepvizError where none stands."""
        return self.add_annotation(Annotation(chain_id, annotator, "verdict", 0, None, undone=True))

    def annotations(
        self, chain_id: str | None = None, annotator: str | None = None, *, history: bool = False
    ) -> list[AnnotationRow]:
        """What stands, oldest first: per annotator, chain, question and step the last label not taken back.

        history=True gives every row, undos too.
        """
        query = select(AnnotationTable.__table__).order_by(AnnotationTable.id)
        if chain_id is not None:
            query = query.where(AnnotationTable.chain_id == chain_id)
        if annotator is not None:
            query = query.where(AnnotationTable.annotator == annotator)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [_read(row) for row in (rows if history else current_labels(rows))]

    def annotations_for(self, problem_id: str) -> dict[str, list[AnnotationRow]]:
        """Chain id → what stands of it, for all labelled chains of a problem, in one look."""
        return self.annotations_in([problem_id])

    def annotations_in(self, problem_ids: Sequence[str]) -> dict[str, list[AnnotationRow]]:
        """The same of a page of problems, at most CHUNK of them."""
        assert len(problem_ids) <= CHUNK
        query = (
            select(AnnotationTable.__table__)
            .join(ChainTable, ChainTable.id == AnnotationTable.chain_id)
            .where(ChainTable.problem_id.in_(problem_ids))
            .order_by(AnnotationTable.id)
        )
        found: dict[str, list[AnnotationRow]] = {}
        with self.reading() as connection:
            rows = connection.execute(query).all()
        for row in current_labels(rows):
            found.setdefault(row.chain_id, []).append(_read(row))
        return found

    def annotators(self) -> list[str]:
        """Who has a label of steps that stands, by name. A verdict is of the whole chain and counts nobody in."""
        a = AnnotationTable
        named = select(a.annotator).where(a.question != "verdict").distinct()
        took_back = named.where(a.undone)  # people, of few labels: a data set takes none back
        standing = (
            named.where(a.annotator.in_(took_back))
            .group_by(a.annotator, a.chain_id, a.question, a.step)
            .having(func.count() > 2 * func.count().filter(a.undone))  # an undo takes back one label
        )
        with self.reading() as connection:
            asked = set(connection.execute(took_back).scalars())
            kept = set(connection.execute(standing).scalars()) if asked else set()
            return sorted(set(connection.execute(named).scalars()) - asked | kept)

    def label_counts(self) -> dict[str, int]:
        """How many labels of steps each annotator gave and did not take back."""
        a = AnnotationTable
        query = select(a.annotator, func.count() - 2 * func.count().filter(a.undone)).where(a.question != "verdict")
        with self.reading() as connection:
            return {name: n for name, n in connection.execute(query.group_by(a.annotator)) if n > 0}


def append_label(connection: Connection, annotation: Annotation, slot_id: int | None = None) -> int:
    """See LabelQueries.add_annotation; slot_id: whose turn at a study's item it was given in."""
    lock_chains(connection, [annotation.chain_id])
    n_steps = connection.execute(select(ChainTable.n_steps).where(ChainTable.id == annotation.chain_id)).scalar()
    if annotation.key:
        known = _find_key(connection, annotation)
        if known is not None:
            return known
    check_label(annotation, n_steps)
    if annotation.undone and not _stands(connection, annotation):
        raise StepvizError("There is no label left to take back.")
    row = insert(table(AnnotationTable)).values(annotation_row(annotation) | {"slot_id": slot_id})
    new = connection.execute(row.returning(AnnotationTable.id)).scalar_one()
    refresh_chains(connection, [annotation.chain_id])
    return new


def _read(row: Row) -> AnnotationRow:
    return AnnotationRow(row.id, read_annotation(row), row.created_at)


def _find_key(connection: Connection, label: Annotation) -> int | None:
    a = AnnotationTable
    query = select(a.id).where(a.annotator == label.annotator, a.key == label.key)
    return connection.execute(query).scalar()


def _stands(connection: Connection, label: Annotation) -> bool:
    a = AnnotationTable
    query = select(a.__table__).where(
        a.chain_id == label.chain_id,
        a.annotator == label.annotator,
        a.question == label.question,
        a.step == label.step,
    )
    return bool(current_labels(connection.execute(query.order_by(a.id))))
