"""Chains: read them with their whole text, add sampled ones, cut them into other steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, exists, func, insert, not_, or_, select, update

from db.caches import refresh_chains, refresh_problems
from db.items import UNGRADED, chain_row, check_parents, numbered
from db.locks import lock_chains, lock_problems
from db.models import ChainTable, ContinuationTable, ProblemTable, ScoreTable
from db.problems import in_source
from db.recuts import follow
from db.rows import CHUNK, chunks, read_spans, table, verdict_columns, write_spans
from db.session import Database
from db.values import ChainFilter, ChainRow, ContinuationKey
from stepviz.errors import StepvizError
from stepviz.types import Chain, Span, StepScore, Verdict, prefix_hash

EVERY = ChainFilter()
PAGE = 500


class ChainQueries(Database):
    def chains(self, problem_id: str, origin: str | None = None) -> list[ChainRow]:
        """A problem's chains in the order of arrival."""
        query = _chains().where(ChainTable.problem_id == problem_id)
        if origin is not None:
            query = query.where(ChainTable.origin == origin)
        with self.reading() as connection:
            return [_read(row) for row in connection.execute(query.order_by(ChainTable.seq))]

    def chains_in(self, problem_ids: Sequence[str]) -> dict[str, list[ChainRow]]:
        """Problem id → its chains, of a page of problems, at most CHUNK of them; without chains it is left out."""
        assert len(problem_ids) <= CHUNK
        query = _chains().where(ChainTable.problem_id.in_(problem_ids)).order_by(ChainTable.seq)
        found: dict[str, list[ChainRow]] = {}
        with self.reading() as connection:
            for row in map(_read, connection.execute(query)):
                found.setdefault(row.chain.problem_id, []).append(row)
        return found

    def chain(self, id: str) -> ChainRow | None:
        with self.reading() as connection:
            row = connection.execute(_chains().where(ChainTable.id == id)).first()
        return None if row is None else _read(row)

    def chains_of(self, filter: ChainFilter = EVERY) -> Iterator[ChainRow]:
        """All chains that pass, in the order of arrival, page by page: no transaction stays open between."""
        last = 0
        while True:
            query = _chains().where(ChainTable.seq > last, *_conditions(filter)).order_by(ChainTable.seq).limit(PAGE)
            with self.reading() as connection:
                rows = connection.execute(query).all()
            yield from map(_read, rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].seq

    def count_chains(self, filter: ChainFilter = EVERY) -> int:
        query = select(func.count()).select_from(ChainTable).where(*_conditions(filter))
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def origins(self, problem_id: str | None = None) -> list[tuple[str, int]]:
        """Every origin with the number of its chains (of one problem, or of all), by name."""
        query = select(ChainTable.origin, func.count()).group_by(ChainTable.origin).order_by(ChainTable.origin)
        if problem_id is not None:
            query = query.where(ChainTable.problem_id == problem_id)
        with self.reading() as connection:
            return [(name, count) for name, count in connection.execute(query)]

    def add_chain(
        self, chain: Chain, verdict: Verdict = UNGRADED, continuation_key: ContinuationKey | None = None
    ) -> bool:
        """Store a chain; False where it is stored already. Its problem and its parent must be stored.

        continuation_key: the stored draw that the chain's text ends with; then only the prefix before it
        is stored with the chain (nothing, for a sample from the question).
        """
        return self.add_chains([(chain, verdict, continuation_key)]) == 1

    def add_chains(self, chains: Sequence[tuple[Chain, Verdict, ContinuationKey | None]]) -> int:
        """add_chain for many in one transaction; says how many were new."""
        new = 0
        with self.writing() as connection:
            lock_problems(connection, (chain.problem_id for chain, _, _ in chains))
            check_parents(connection, (chain for chain, _, _ in chains))
            numbers = numbered(connection, {chain.problem_id for chain, _, _ in chains})
            for chain, verdict, key in chains:
                assert chain.problem_id in numbers, f"the problem {chain.problem_id} is stored before its chains"
                if connection.execute(select(ChainTable.seq).where(ChainTable.id == chain.id)).first():
                    continue
                numbers[chain.problem_id] += 1
                own_text, continuation_id = (chain.text, None) if key is None else _split_draw(connection, chain, key)
                row = chain_row(chain, verdict, numbers[chain.problem_id], own_text, continuation_id)
                connection.execute(insert(table(ChainTable)).values(row))
                new += 1
            refresh_problems(connection, numbers)
        return new

    def set_spans(self, chain_id: str, spans: Sequence[Span], rule: str, was: Sequence[Span] | None = None) -> int:
        """Cut the chain into other steps, and say how many labels changed places with their steps.

        was: the steps that the new ones were made from. Scores of the old steps go. The borders that a source gave
        are kept in meta["given"], so that its row can be written out again. StepvizError where a label would have to
        be guessed (stepviz.label_rules.carried), where another chain branches at a border that would vanish, and
        where the chain is no longer cut as it `was`.
        """
        with self.writing() as connection:
            lock_chains(connection, [chain_id])
            row = connection.execute(_chains().where(ChainTable.id == chain_id)).first()
            if row is None:
                raise StepvizError(f"There is no chain {chain_id}.")
            old = _read(row).chain
            if was is not None and tuple(was) != old.spans:
                raise StepvizError("This chain was cut another way meanwhile: look at its steps again.")
            new = replace(old, spans=tuple(spans), rule=rule)
            assert all(a.end <= b.start for a, b in zip(new.spans, new.spans[1:], strict=False)), "spans overlap"
            assert not new.spans or (new.spans[0].start >= 0 and new.spans[-1].end <= len(new.text)), "span outside"
            moved = follow(connection, old, new) if new.spans != old.spans else 0
            values = {"spans": write_spans(new.spans), "n_steps": new.n, "rule": rule}
            if old.rule.startswith("given/") and "given" not in old.meta:
                values["meta"] = {**old.meta, "given": write_spans(old.spans)}
            connection.execute(update(table(ChainTable)).where(ChainTable.id == chain_id).values(values))
        return moved

    def graded_before(self, grader: str) -> list[str]:
        """Problems with chains or draws that an older version of `grader` ("stepviz/2") judged, in order of arrival.

        "+file:…" behind the grader's name says that it left the judgement to a file's flag; "file:…" alone is older.
        """
        p, name = ProblemTable, grader.partition("/")[0] + "/"
        older = [
            exists().where(
                t.problem_id == p.id,
                or_(t.grader.startswith(name, autoescape=True), t.grader.startswith("file:")),
                t.grader != grader,
                not_(t.grader.startswith(grader + "+", autoescape=True)),
            )
            for t in (ChainTable, ContinuationTable)
        ]
        with self.reading() as connection:
            return list(connection.execute(select(p.id).where(or_(*older)).order_by(p.seq)).scalars())

    def set_verdicts(self, verdicts: Mapping[str, Verdict]) -> None:
        """Grade again: chain id → the grader's verdict. A person's stays above it."""
        chains = table(ChainTable)
        with self.writing() as connection:
            lock_chains(connection, verdicts)
            for some in chunks(verdicts.items()):
                rows = [verdict_columns(verdict) | {"at": id_} for id_, verdict in some]
                connection.execute(update(chains).where(chains.c.id == bindparam("at")), rows)
            refresh_chains(connection, verdicts)

    def add_scores(
        self, chain_id: str, model_id: str, scores: Sequence[float], spans: Sequence[Span] | None = None
    ) -> bool:
        """A model's probability after each step, from step 1 on; takes the place of its earlier ones.

        spans: the steps that were scored. False, and nothing is stored, where the chain is cut otherwise by now.
        """
        rows = [
            {"chain_id": chain_id, "model_id": model_id, "step": i, "score": score}
            for i, score in enumerate(scores, start=1)
        ]
        s = table(ScoreTable)
        with self.writing() as connection:
            lock_chains(connection, [chain_id])
            stored = select(ChainTable.spans).where(ChainTable.id == chain_id)
            if spans is not None and read_spans(connection.execute(stored).scalar_one()) != tuple(spans):
                return False
            connection.execute(s.delete().where(s.c.chain_id == chain_id, s.c.model_id == model_id))
            if rows:
                connection.execute(insert(s), rows)
        return True

    def scores_for(self, problem_id: str) -> dict[str, list[StepScore]]:
        """Chain id → its scores, for all scored chains of a problem, in one look."""
        return self.scores_in([problem_id])

    def scores_in(self, problem_ids: Sequence[str]) -> dict[str, list[StepScore]]:
        """The same of a page of problems, at most CHUNK of them."""
        assert len(problem_ids) <= CHUNK
        s = ScoreTable
        query = select(s.chain_id, s.step, s.score, s.model_id).join(ChainTable, ChainTable.id == s.chain_id)
        query = query.where(ChainTable.problem_id.in_(problem_ids)).order_by(s.chain_id, s.model_id, s.step)
        found: dict[str, list[StepScore]] = {}
        with self.reading() as connection:
            for id_, *score in connection.execute(query):
                found.setdefault(id_, []).append(StepScore(*score))
        return found

    def scores(self, chain_id: str) -> list[StepScore]:
        """All models' scores, by model and step."""
        s = ScoreTable
        query = select(s.step, s.score, s.model_id).where(s.chain_id == chain_id).order_by(s.model_id, s.step)
        with self.reading() as connection:
            return [StepScore(*row) for row in connection.execute(query)]

    def scored_steps(self) -> dict[str, tuple[int, float]]:
        """Model → how many steps it has scored, and the sum of these scores: it changes when they are made anew."""
        s = ScoreTable
        query = select(s.model_id, func.count(), func.sum(s.score)).group_by(s.model_id)
        with self.reading() as connection:
            return {model: (n, total) for model, n, total in connection.execute(query)}


def _chains() -> Select[Any]:
    """Rows that _read understands."""
    c, k = ChainTable, ContinuationTable
    return select(
        c.__table__,
        k.text.label("drawn_text"),
        k.prefix_hash,
        k.model_id,
        k.sampling_id,
        k.j,
        k.seed,
    ).outerjoin(k, k.id == c.continuation_id)


def _read(row: Row[Any]) -> ChainRow:
    chain = Chain(
        problem_id=row.problem_id,
        origin=row.origin,
        key=row.key,
        text=row.own_text + (row.drawn_text or ""),
        spans=read_spans(row.spans),
        rule=row.rule,
        meta=row.meta,
        parent=row.parent,
        branch_step=row.branch_step,
    )
    graded = Verdict(row.graded, row.reason, row.grader, row.answer)
    verdict = graded
    if row.overridden_by is not None:
        verdict = Verdict(row.verdict, row.override_note, f"person:{row.overridden_by}", row.answer)
    key = None
    if row.continuation_id is not None:
        key = ContinuationKey(row.problem_id, row.prefix_hash, row.model_id, row.sampling_id, row.j)
    return ChainRow(
        chain,
        verdict,
        row.created_at,
        row.number,
        graded,
        row.disputed,
        key,
        row.model_id,
        row.sampling_id,
        row.seed,
    )


def _conditions(filter: ChainFilter) -> list[Any]:
    c = ChainTable
    equal = {c.origin: filter.origin, c.problem_id: filter.problem_id, c.verdict: filter.verdict}
    conditions: list[Any] = [column == value for column, value in equal.items() if value is not None]
    if filter.source is not None or filter.split is not None:
        conditions.append(in_source(c.problem_id, filter.source, filter.split))
    return conditions


def _split_draw(connection: Connection, chain: Chain, key: ContinuationKey) -> tuple[str, int]:
    """What the chain says before the stored draw that it ends with, and that draw's row."""
    k = ContinuationTable
    at = (getattr(k, name) == value for name, value in zip(ContinuationKey._fields, key, strict=True))
    drawn = connection.execute(select(k.id, k.text, k.prefix_hash).where(*at)).first()
    assert drawn is not None, f"a chain of a draw that is not stored: {key}"
    assert chain.text.endswith(drawn.text), "the chain does not end with its continuation"
    own_text = chain.text[: len(chain.text) - len(drawn.text)]
    assert prefix_hash(own_text) == drawn.prefix_hash, "the chain does not start with the drawn prefix"
    return own_text, drawn.id
