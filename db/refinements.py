"""The ledger of refinements: appended, never changed, and a draft under one setting stands in it once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, insert, null, select
from sqlalchemy.orm import aliased

from db.columns import now
from db.models import ChainTable, RefinementCandidateTable, RefinementTable
from db.rows import chunks, insert_new, table
from db.session import Database
from db.values import Candidate, RefinementFilter, RefinementRow
from stepviz.errors import StepvizError

EVERY = RefinementFilter()
_GAINS = {"fixed": 1, "same": 0, "broken": -1}
# as they are called in the table and in RefinementRow
_SAME = (
    "draft", "key", "refiner", "orm", "locator", "sampling_id", "how", "gate", "threshold", "no_flag", "at", "samples",
    "chosen", "pick", "note",
)  # fmt: skip


class RefinementQueries(Database):
    def add_refinement(self, made: RefinementRow) -> int:
        """Write a line with its candidates; the id, also where the draft stands under that key already.

        The chains, models and the sampling that it names must be stored.
        """
        r, values = table(RefinementTable), {name: getattr(made, name) for name in _SAME}
        values |= {"score": made.when, "step": made.where, "created_at": now()}
        with self.writing() as connection:
            id_ = insert_new(connection, RefinementTable, values)
            if id_ is None:  # the line is there, with its candidates
                same = select(r.c.id).where(r.c.draft == made.draft, r.c.key == made.key)
                return connection.execute(same).scalar_one()
            rows = [
                {"refinement_id": id_, "number": i, "name": c.name, "chain": c.chain, "score": c.score}
                for i, c in enumerate(made.candidates)
            ]
            connection.execute(insert(table(RefinementCandidateTable)), rows)
        return id_

    def refined(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Those of these (draft, key) that stand in the ledger, with their lines' ids."""
        r, found = RefinementTable, {}
        with self.reading() as connection:
            for some in chunks(dict.fromkeys(keys)):
                query = select(r.draft, r.key, r.id).where(r.draft.in_({draft for draft, _ in some}))
                found |= {(draft, key): id_ for draft, key, id_ in connection.execute(query)}
        return {key: found[key] for key in dict.fromkeys(keys) if key in found}

    def refinement_lines(self, ids: Sequence[int]) -> list[RefinementRow]:
        """The lines of these ids, oldest first."""
        with self.reading() as connection:
            rows = [
                row
                for some in chunks(sorted(set(ids)))
                for row in connection.execute(_lines().where(RefinementTable.id.in_(some)).order_by(RefinementTable.id))
            ]
            return _read(rows, connection)

    def refinements_of(self, problem_ids: Sequence[str]) -> dict[str, list[RefinementRow]]:
        """By problem the lines of its chains, oldest first; a problem without one is left out."""
        found: dict[str, list[RefinementRow]] = defaultdict(list)
        with self.reading() as connection:
            for some in chunks(dict.fromkeys(problem_ids)):
                rows = connection.execute(
                    _lines().where(_Draft.problem_id.in_(some)).order_by(RefinementTable.id)
                ).all()
                for line in _read(rows, connection):
                    found[line.problem_id].append(line)
        return dict(found)

    def refinement(self, id: int) -> RefinementRow:
        """StepvizError for an unknown id."""
        with self.reading() as connection:
            row = connection.execute(_lines().where(RefinementTable.id == id)).first()
            if row is None:
                raise StepvizError(f"There is no refinement {id} in this store.")
            return _read([row], connection)[0]

    def refinements(
        self, filter: RefinementFilter = EVERY, limit: int | None = 100, offset: int = 0
    ) -> list[RefinementRow]:
        """Newest first."""
        query = _lines().where(*_conditions(filter)).order_by(RefinementTable.id.desc())
        with self.reading() as connection:
            return _read(connection.execute(query.limit(limit).offset(offset)).all(), connection)

    def count_refinements(self, filter: RefinementFilter = EVERY) -> int:
        lines = _lines().where(*_conditions(filter)).subquery()
        with self.reading() as connection:
            return connection.execute(select(func.count()).select_from(lines)).scalar_one()


_Draft, _Kept, _Pick = aliased(ChainTable), aliased(ChainTable), aliased(RefinementCandidateTable)


def _lines() -> Select[Any]:
    """The ledger beside each draft and each pick, whose present verdicts make the gain."""
    r = RefinementTable
    return (
        select(r.__table__, _Draft.problem_id)
        .join(_Draft, _Draft.id == r.draft)
        .join(_Pick, and_(_Pick.refinement_id == r.id, _Pick.name == r.pick))
        .join(_Kept, _Kept.id == _Pick.chain)
    )


def _conditions(filter: RefinementFilter) -> list[Any]:
    r = RefinementTable
    equal = {
        r.draft: filter.draft, _Draft.problem_id: filter.problem_id, r.refiner: filter.refiner, r.how: filter.how
    }  # fmt: skip
    conditions: list[Any] = [column == value for column, value in equal.items() if value is not None]
    if filter.when is not None:
        conditions.append(r.chosen.is_(_one_of(filter.when, {"refined": True, "spared": False})))
    if filter.where is not None:
        given, flagged = r.at.is_not(None), r.step.is_not(None)
        unflagged = and_(r.chosen, r.how != "global", ~flagged)
        places = {"hand": given, "flagged": and_(flagged, ~given), "unflagged": unflagged}
        conditions.append(_one_of(filter.where, places))
    if filter.gain is not None:
        unjudged = (_Draft.verdict == "unknown") | (_Kept.verdict == "unknown")
        right = {chain: case((chain.verdict == "correct", 1), else_=0) for chain in (_Draft, _Kept)}
        gain = case((unjudged, null()), else_=right[_Kept] - right[_Draft])
        wanted = _one_of(filter.gain, {**_GAINS, "unknown": None})
        conditions.append(unjudged if wanted is None else gain == wanted)
    return conditions


def _one_of(name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise StepvizError(f"{name!r} is none of {', '.join(known)}")
    return known[name]


def _read(rows: Sequence[Row[Any]], connection: Connection) -> list[RefinementRow]:
    c, found = RefinementCandidateTable, defaultdict(list)
    for ids in chunks([row.id for row in rows]):
        query = select(c.refinement_id, c.name, c.chain, c.score, ChainTable.verdict)
        query = query.join(ChainTable, ChainTable.id == c.chain).where(c.refinement_id.in_(ids)).order_by(c.number)
        for id_, *candidate in connection.execute(query):
            found[id_].append(Candidate(*candidate))
    return [
        RefinementRow(
            **{name: getattr(row, name) for name in _SAME},
            when=row.score,
            where=row.step,
            candidates=tuple(found[row.id]),
            id=row.id,
            problem_id=row.problem_id,
            created_at=row.created_at,
        )
        for row in rows
    ]
