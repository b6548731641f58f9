"""Problems: find them, read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, distinct, exists, func, or_, select

from db.models import ChainTable, ProblemSourceTable, ProblemTable
from db.rows import chunks
from db.session import Database
from db.values import ProblemFilter, ProblemRow, SourceKey
from stepviz.types import Problem

EVERY = ProblemFilter()
PAGE = 500


class ProblemQueries(Database):
    def problems(self, filter: ProblemFilter = EVERY, limit: int = 100, offset: int = 0) -> list[ProblemRow]:
        """A page, in the order of arrival."""
        p = ProblemTable
        with self.reading() as connection:
            query = select(p.__table__).where(*self._conditions(filter)).order_by(p.seq).limit(limit).offset(offset)
            return _with_sources(connection, connection.execute(query).all())

    def problems_of(self, filter: ProblemFilter = EVERY) -> Iterator[ProblemRow]:
        """All problems that pass, in the order of arrival, page by page: no transaction stays open between."""
        p, last = ProblemTable, 0
        while True:
            query = select(p.__table__).where(p.seq > last, *self._conditions(filter)).order_by(p.seq).limit(PAGE)
            with self.reading() as connection:
                rows = connection.execute(query).all()
                found = _with_sources(connection, rows)
            yield from found
            if len(rows) < PAGE:
                return
            last = rows[-1].seq

    def count_problems(self, filter: ProblemFilter = EVERY) -> int:
        query = select(func.count()).select_from(ProblemTable).where(*self._conditions(filter))
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def problem(self, id: str) -> ProblemRow | None:
        with self.reading() as connection:
            rows = connection.execute(select(ProblemTable.__table__).where(ProblemTable.id == id)).all()
            return next(iter(_with_sources(connection, rows)), None)

    def branches(self, ids: Iterable[str], origin: str | None = None) -> dict[str, tuple[int, int]]:
        """Problem → how many of its chains grew out of another one, and how many of those are right; {} where none.

        They begin with a prefix that somebody chose, so they are no draws of the question and enter no rate of it.
        """
        c = ChainTable
        right = func.sum(case((c.verdict == "correct", 1), else_=0))
        query = select(c.problem_id, func.count(), right).where(c.parent.is_not(None)).group_by(c.problem_id)
        query = query if origin is None else query.where(c.origin == origin)
        with self.reading() as connection:
            rows = [r for some in chunks(ids) for r in connection.execute(query.where(c.problem_id.in_(some)))]
        return {id: (int(n), int(k)) for id, n, k in rows}

    def readings(self, id: str) -> list[Problem]:
        """The problem as each of its sources has it, in the order of arrival; [] for an unknown one."""
        p, s = ProblemTable, ProblemSourceTable
        question = func.coalesce(s.question, p.question)
        query = select(question, s.answer, s.solution, s.source, s.key, s.split, s.meta)
        query = query.join(p, p.id == s.problem_id).where(p.id == id).order_by(s.id)
        with self.reading() as connection:
            return [Problem(*words, split or None, meta) for *words, split, meta in connection.execute(query)]

    def find_problem(self, source: str, key: str) -> ProblemRow | None:
        """The problem that a source keeps under this key."""
        s = ProblemSourceTable
        query = select(s.problem_id).where(s.source == source, s.key == key).order_by(s.id).limit(1)
        with self.reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else self.problem(found)

    def sources(self) -> list[tuple[str, int]]:
        """Every source with the number of its problems, by name."""
        s = ProblemSourceTable
        query = select(s.source, func.count(distinct(s.problem_id))).group_by(s.source).order_by(s.source)
        with self.reading() as connection:
            return [(name, count) for name, count in connection.execute(query)]

    def splits(self, source: str) -> list[tuple[str, int]]:
        """The splits of a source with the number of their problems, by name."""
        s = ProblemSourceTable
        query = select(s.split, func.count(distinct(s.problem_id))).where(s.source == source, s.split != "")
        with self.reading() as connection:
            return [(name, count) for name, count in connection.execute(query.group_by(s.split).order_by(s.split))]

    def _conditions(self, filter: ProblemFilter) -> list[ColumnElement[bool]]:
        p = ProblemTable
        conditions = [] if filter.result is None else [_RESULTS[filter.result]]
        if filter.source is not None or filter.split is not None:
            conditions.append(in_source(p.id, filter.source, filter.split))
        if filter.search.strip():
            conditions.append(self._matches(filter.search.strip()))
        return conditions

    def _matches(self, search: str) -> ColumnElement[bool]:
        p, s = ProblemTable, ProblemSourceTable
        # SQLite's LIKE knows no case of ASCII letters already; lower() would copy every question
        contains = p.question.contains if self.engine.dialect.name == "sqlite" else p.question.icontains
        words = and_(*(contains(word, autoescape=True) for word in search.split()))
        return or_(words, p.id == search, p.id.in_(select(s.problem_id).where(s.key == search)))


# Without a gold answer nothing is graded, and a chain cut off before its answer is not wrong.
_HAS_WRONG = exists().where(ChainTable.problem_id == ProblemTable.id, ChainTable.verdict == "wrong")
_GOLD = func.coalesce(ProblemTable.answer, "") != ""
_RESULTS = {
    "solved": ProblemTable.n_correct > 0,
    "unsolved": and_(ProblemTable.n_chains > 0, ProblemTable.n_correct == 0, or_(_GOLD, _HAS_WRONG)),
    "mixed": and_(ProblemTable.n_correct > 0, _HAS_WRONG),
    "unsampled": ProblemTable.n_chains == 0,
    "disputed": ProblemTable.n_disputed > 0,
}


def in_source(problem_id: Any, source: str | None, split: str | None) -> ColumnElement[bool]:
    """Whether a source (in a split) has the problem."""
    s = ProblemSourceTable
    condition = s.problem_id == problem_id
    if source is not None:
        condition &= s.source == source
    if split is not None:
        condition &= s.split == split
    return exists(select(s.id).where(condition))


def _with_sources(connection: Connection, rows: Sequence[Row[Any]]) -> list[ProblemRow]:
    s = ProblemSourceTable
    sources: dict[str, list[SourceKey]] = {}
    meta: dict[str, dict[str, Any]] = {}
    for ids in chunks(row.id for row in rows):
        query = select(s.problem_id, s.source, s.key, s.split, s.meta).where(s.problem_id.in_(ids)).order_by(s.id)
        for found in connection.execute(query):
            sources.setdefault(found.problem_id, []).append(SourceKey(found.source, found.key, found.split or None))
            # the first that any source says, as with answers: a world's graph is found whoever came before
            meta[found.problem_id] = found.meta | meta.get(found.problem_id, {})
    return [
        ProblemRow(
            row.id,
            row.question,
            row.answer,
            row.solution,
            tuple(sources[row.id]),
            meta[row.id],
            row.n_chains,
            row.n_correct,
            row.n_disputed,
        )
        for row in rows
    ]
