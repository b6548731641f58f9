"""Continuations, and what they depend on: samplings and models.

The key (problem, prefix, model, sampling, j) is unique, and inserting ignores what is there: a measurement
that was stopped goes on, and a prefix shared by two chains is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, func, select, update

from db.columns import now
from db.models import ContinuationTable, ModelTable, SamplingTable
from db.problems import in_source
from db.rows import (
    continuation_columns,
    continuation_row,
    insert_counted,
    insert_new,
    insert_or_ignore,
    read_continuation,
    table,
)
from db.session import Database
from db.values import ContinuationKey, Measurement, ModelRow, PrefixCount
from stepviz.errors import StepvizError
from stepviz.types import Continuation, Sampling, prefix_hash

NEWEST = 10_000  # draws that a mean over all problems looks at


class ContinuationQueries(Database):
    def add_continuations(self, continuations: Sequence[Continuation]) -> int:
        """Store draws and say how many were new. Their problem, model and sampling must be stored."""
        if not continuations:
            return 0
        # in the order of the key: two writers of the same draws never wait for each other in a circle
        ordered = sorted(continuations, key=lambda c: (c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j))
        rows = [continuation_row(continuation) for continuation in ordered]
        with self.writing() as connection:
            _check_known(connection, continuations)
            return insert_counted(connection, ContinuationTable, rows)

    def continuations(
        self, problem_id: str, prefix_hash: str, model_id: str, sampling_id: str, limit: int | None = None
    ) -> list[Continuation]:
        """The draws from one prefix, j = 0, 1, …"""
        k = ContinuationTable
        query = _draws(problem_id, model_id, sampling_id).where(k.prefix_hash == prefix_hash)
        with self.reading() as connection:
            return [read_continuation(row) for row in connection.execute(query.order_by(k.j).limit(limit))]

    def continuations_for(
        self,
        problem_id: str,
        model_id: str | None = None,
        sampling_id: str | None = None,
        up_to: int | None = None,
    ) -> list[Continuation]:
        """All draws from a problem's prefixes, in the order of their keys; up_to: see newest_continuation."""
        k = ContinuationTable
        query = _draws(problem_id, model_id, sampling_id)
        if up_to is not None:
            query = query.where(k.id <= up_to)
        query = query.order_by(k.prefix_hash, k.model_id, k.sampling_id, k.j)
        with self.reading() as connection:
            return [read_continuation(row) for row in connection.execute(query)]

    def newest_continuation(self, before: datetime | None = None) -> int:
        """The number of the draw that came last (before this time), which grows from draw to draw; 0: there is none.

        No machine's clock is in it. On PostgreSQL a draw that somebody is just storing may have a smaller number, and
        be seen after this.
        """
        k = ContinuationTable
        query = select(k.id).order_by(k.id.desc()).limit(1)
        if before is not None:
            query = query.where(k.created_at < before)
        with self.reading() as connection:
            return connection.execute(query).scalar() or 0

    def continuation_counts(
        self, problem_id: str, model_id: str | None = None, sampling_id: str | None = None
    ) -> dict[str, PrefixCount]:
        """Prefix hash → (n, k, unfinished), over the draws of one model and sampling, or of all.

        Counted as rollouts.aggregate counts: a draw cut off without an answer is unfinished.
        """
        k = ContinuationTable
        right, unfinished = k.verdict == "correct", and_(k.finish_reason == "length", k.answer.is_(None))
        query = select(
            k.prefix_hash,
            func.count(),
            func.sum(case((right, 1), else_=0)),
            func.sum(case((unfinished, 1), else_=0)),
        ).where(*_where(problem_id, model_id, sampling_id))
        with self.reading() as connection:
            rows = connection.execute(query.group_by(k.prefix_hash))
            return {prefix: PrefixCount(n, int(right), int(cut)) for prefix, n, right, cut in rows}

    def measurements(self, problem_id: str) -> list[Measurement]:
        """With which models and samplings the problem's prefixes were continued, most draws first."""
        k = ContinuationTable
        n = func.count().label("n")
        query = select(k.model_id, k.sampling_id, n).where(k.problem_id == problem_id)
        query = query.group_by(k.model_id, k.sampling_id).order_by(n.desc(), k.model_id, k.sampling_id)
        with self.reading() as connection:
            return [Measurement(*row) for row in connection.execute(query)]

    def mean_tokens(
        self, model_id: str, sampling_id: str | None = None, problem_id: str | None = None, prefix: str = ""
    ) -> float | None:
        """Tokens of a draw from this prefix, on average; None without a draw.

        Without a problem, over all problems, and over the newest draws of the store only: no index leads there.
        """
        k = ContinuationTable
        conditions = [k.model_id == model_id, k.prefix_hash == prefix_hash(prefix)]
        if sampling_id is not None:
            conditions.append(k.sampling_id == sampling_id)
        if problem_id is not None:
            conditions.append(k.problem_id == problem_id)
        else:
            conditions.append(k.id > select(func.coalesce(func.max(k.id), 0) - NEWEST).scalar_subquery())
        with self.reading() as connection:
            mean = connection.execute(select(func.avg(k.tokens)).where(*conditions)).scalar()
        return None if mean is None else float(mean)

    def measured_with(self, source: str | None = None, split: str | None = None) -> list[Measurement]:
        """With which models and samplings steps were continued (the bare question does not count), most draws first.

        source and split are those of the problems.
        """
        k = ContinuationTable
        n = func.count().label("n")
        query = select(k.model_id, k.sampling_id, n).where(k.prefix_hash != prefix_hash(""))
        if source is not None or split is not None:
            query = query.where(in_source(k.problem_id, source, split))
        query = query.group_by(k.model_id, k.sampling_id).order_by(n.desc(), k.model_id, k.sampling_id)
        with self.reading() as connection:
            return [Measurement(*row) for row in connection.execute(query)]

    def set_continuation_verdicts(self, continuations: Sequence[Continuation]) -> None:
        """Grade again: answer, verdict, reason and grader of stored draws; all else stays."""
        k = table(ContinuationTable)
        keys = ContinuationKey._fields
        grading = ("answer", "verdict", "reason", "grader")
        at = and_(*(k.c[name] == bindparam(f"at_{name}") for name in keys))
        rows = [
            {f"at_{name}": getattr(c, name) for name in keys} | {name: getattr(c, name) for name in grading}
            for c in continuations
        ]
        if rows:
            with self.writing() as connection:
                connection.execute(update(k).where(at), rows)

    def add_sampling(self, sampling: Sampling) -> str:
        """Store it, where it is new, and give its id: its hash."""
        with self.writing() as connection:
            insert_or_ignore(connection, SamplingTable, [{"id": sampling.hash, "spec": asdict(sampling)}])
        return sampling.hash

    def sampling(self, id: str) -> Sampling:
        """KeyError for an unknown id."""
        with self.reading() as connection:
            spec = connection.execute(select(SamplingTable.spec).where(SamplingTable.id == id)).scalar()
        if spec is None:
            raise KeyError(id)
        return Sampling.from_dict(spec)

    def samplings(self) -> dict[str, Sampling]:
        with self.reading() as connection:
            rows = connection.execute(select(SamplingTable.id, SamplingTable.spec)).all()
        return {row.id: Sampling.from_dict(row.spec) for row in rows}

    def add_model(self, model: ModelRow) -> bool:
        """Store a model's record; False where its id is known: a record is not changed."""
        row = {name: getattr(model, name) for name in ("id", "role", "spec", "run_id")}
        row |= {"parents": list(model.parents), "meta": dict(model.meta), "created_at": now()}
        with self.writing() as connection:
            return insert_new(connection, ModelTable, row) is not None

    def calibrate(self, id: str, calibration: Mapping[str, Any]) -> None:
        """Appends to what the record knows of how the model's scores are to be read: `meta["calibrations"]`, of which
        the last of a question counts. StepvizError: there is no such model."""
        m = ModelTable
        with self.writing() as connection:
            meta = connection.execute(select(m.meta).where(m.id == id).with_for_update()).scalar()
            if meta is None:
                raise StepvizError(f"there is no model {id!r} in this store")
            kept = [*meta.get("calibrations", ()), dict(calibration)]
            connection.execute(update(m).where(m.id == id).values(meta={**meta, "calibrations": kept}))

    def model(self, id: str) -> ModelRow | None:
        return next((model for model in self.models() if model.id == id), None)

    def models(self, role: str | None = None) -> list[ModelRow]:
        """In the order of arrival."""
        m = ModelTable
        query = select(m.__table__).order_by(m.created_at, m.id)
        if role is not None:
            query = query.where(m.role == role)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [ModelRow(row.id, row.role, row.spec, tuple(row.parents), row.run_id, row.meta) for row in rows]


def _where(problem_id: str, model_id: str | None, sampling_id: str | None) -> list[Any]:
    k = ContinuationTable
    conditions: list[Any] = [k.problem_id == problem_id]
    if model_id is not None:
        conditions.append(k.model_id == model_id)
    if sampling_id is not None:
        conditions.append(k.sampling_id == sampling_id)
    return conditions


def _draws(problem_id: str, model_id: str | None, sampling_id: str | None) -> Select[Any]:
    return select(*continuation_columns()).where(*_where(problem_id, model_id, sampling_id))


def _check_known(connection: Connection, continuations: Sequence[Continuation]) -> None:
    for model in {c.model_id for c in continuations}:
        known = connection.execute(select(ModelTable.id).where(ModelTable.id == model)).first()
        assert known, f"add_model({model!r}) comes before its continuations"
    for sampling in {c.sampling_id for c in continuations}:
        known = connection.execute(select(SamplingTable.id).where(SamplingTable.id == sampling)).first()
        assert known, f"add_sampling({sampling!r}) comes before its continuations"
