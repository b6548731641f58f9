"""Between values and rows, and the two writes that every part of the store needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, FromClause, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

from db.columns import now
from db.models import Base, ContinuationTable
from stepviz.types import Annotation, Continuation, Problem, Span, Verdict

T = TypeVar("T")
CHUNK = 500  # values in one IN (…)


def table(model: type[Base]) -> Table:
    found: FromClause = model.__table__
    assert isinstance(found, Table)
    return found


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def insert_or_ignore(connection: Connection, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert what does not collide with a unique key; the others stay as they are."""
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table(model)).on_conflict_do_nothing(), list(rows))


def insert_counted(connection: Connection, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> int:
    """insert_or_ignore; says how many were new, whoever else writes at this moment."""
    if not rows:
        return 0
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    query = dialect.insert(table(model)).on_conflict_do_nothing().returning(table(model).c.id)
    return len(connection.execute(query, list(rows)).all())


def insert_new(connection: Connection, model: type[Base], row: Mapping[str, Any]) -> Any:
    """The id of the row, where it is new; None where it collides with a unique key, also of who wrote it just now."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    query = dialect.insert(table(model)).on_conflict_do_nothing().returning(table(model).c.id)
    return connection.execute(query, dict(row)).scalar()


def source_row(problem: Problem, stored_question: str) -> dict[str, Any]:
    return {
        "problem_id": problem.id,
        "source": problem.source,
        "split": problem.split or "",
        "key": problem.key,
        "question": None if problem.question == stored_question else problem.question,
        "answer": problem.answer,
        "solution": problem.solution,
        "meta": dict(problem.meta),
    }


def problem_row(problem: Problem) -> dict[str, Any]:
    return {
        "id": problem.id,
        "question": problem.question,
        "answer": problem.answer,
        "solution": problem.solution,
        "n_chains": 0,
        "n_correct": 0,
        "n_disputed": 0,
        "created_at": now(),
    }


def annotation_row(annotation: Annotation) -> dict[str, Any]:
    return {
        "chain_id": annotation.chain_id,
        "annotator": annotation.annotator,
        "question": annotation.question,
        "step": annotation.step,
        "value": annotation.value,
        "undone": annotation.undone,
        "key": annotation.key or None,
        "note": annotation.note,
        "meta": dict(annotation.meta),
        "created_at": now(),
    }


def read_annotation(row: Row[Any]) -> Annotation:
    return Annotation(
        chain_id=row.chain_id,
        annotator=row.annotator,
        question=row.question,
        step=row.step,
        value=row.value,
        note=row.note,
        meta=row.meta,
        key=row.key or "",
        undone=row.undone,
    )


def write_spans(spans: Iterable[Span]) -> list[list[Any]]:
    return [[span.start, span.end, span.kind] for span in spans]


def read_spans(spans: Iterable[Sequence[Any]]) -> tuple[Span, ...]:
    return tuple(Span(*span) for span in spans)


def verdict_columns(verdict: Verdict) -> dict[str, Any]:
    """The grader's part of a chain."""
    return {
        "graded": verdict.value,
        "reason": verdict.reason,
        "grader": verdict.grader,
        "answer": verdict.answer,
    }


CONTINUATION_COLUMNS = (
    "problem_id",
    "prefix_hash",
    "model_id",
    "sampling_id",
    "j",
    "seed",
    "text",
    "finish_reason",
    "tokens",
    "answer",
    "verdict",
    "reason",
    "grader",
)


def continuation_row(continuation: Continuation) -> dict[str, Any]:
    return {name: getattr(continuation, name) for name in CONTINUATION_COLUMNS} | {"created_at": now()}


def read_continuation(row: Row[Any]) -> Continuation:
    return Continuation(*(getattr(row, name) for name in CONTINUATION_COLUMNS))


def continuation_columns() -> list[Any]:
    return [getattr(ContinuationTable, name) for name in CONTINUATION_COLUMNS]
