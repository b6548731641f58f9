"""Import: problems, chains and labels of a file's rows, stored whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select, tuple_, update

from db.caches import refresh_chains, refresh_problems
from db.columns import now
from db.labels import check_label
from db.locks import lock_chains, lock_imports, lock_problems
from db.models import AnnotationTable, ChainTable, ProblemSourceTable, ProblemTable
from db.rows import (
    annotation_row,
    chunks,
    insert_or_ignore,
    problem_row,
    source_row,
    table,
    verdict_columns,
    write_spans,
)
from db.session import Database
from db.values import ItemCounts
from stepviz.errors import StepvizError
from stepviz.types import Annotation, Chain, SourceItem, Verdict

UNGRADED = Verdict("unknown", "not graded", "")


@dataclass(slots=True)
class _News:
    """What this import changes, by the index of the item that brings it."""

    problems: int = 0
    chains: int = 0
    annotations: int = 0
    items: set[int] = field(default_factory=set)
    kept: list[int] = field(default_factory=list)
    relabelled: set[str] = field(default_factory=set)  # chains whose caches are to be computed again


class ItemQueries(Database):
    def add_items(self, items: Sequence[SourceItem], verdicts: Mapping[str, Verdict] | None = None) -> ItemCounts:
        """Store all items in one transaction; what is there already stays as it is.

        A problem's gold answer and solution are the first that any source brings. verdicts: chain id →
        the grader's verdict; for a chain that is stored already, a verdict that differs (a newer grader,
        a gold answer that came later) replaces the grader's old one, never a person's. Labels without a
        key get one from what they judge, so that an import can be repeated.
        StepvizError: a label that judges a step its chain has not, or a chain nobody has.
        """
        news = _News()
        for item in items:
            assert all(chain.problem_id == item.problem.id for chain in item.chains), "a chain of another problem"
        with self.writing() as connection:
            lock_imports(connection)
            lock_problems(connection, (item.problem.id for item in items))
            lock_chains(connection, (label.chain_id for item in items for label in item.annotations))
            _add_problems(connection, items, news)
            _add_chains(connection, items, verdicts or {}, news)
            _add_annotations(connection, items, news)
            refresh_problems(connection, (item.problem.id for i, item in enumerate(items) if i in news.items))
            refresh_chains(connection, news.relabelled)
        unchanged = len(items) - len(news.items)
        return ItemCounts(news.problems, news.chains, news.annotations, unchanged, tuple(news.kept))


def _add_problems(connection: Connection, items: Sequence[SourceItem], news: _News) -> None:
    ids = [item.problem.id for item in items]
    p = ProblemTable
    stored = {row.id: row for row in _lookup(connection, (p.id, p.question, p.answer, p.solution), p.id, ids)}
    questions = {id_: row.question for id_, row in stored.items()}
    new: dict[str, dict[str, Any]] = {}
    gold: dict[str, dict[str, Any]] = {}
    for i, (id_, item) in enumerate(zip(ids, items, strict=True)):
        problem = item.problem
        if id_ not in questions:
            questions[id_] = problem.question
            new[id_] = problem_row(problem)
            news.items.add(i)
            continue
        known = new.get(id_) or gold.get(id_) or {"answer": stored[id_].answer, "solution": stored[id_].solution}
        brought = {name: getattr(problem, name) for name in ("answer", "solution") if known[name] is None}
        if any(value is not None for value in brought.values()):
            (new if id_ in new else gold)[id_] = known | brought
            news.items.add(i)
    insert_or_ignore(connection, p, list(new.values()))
    if gold:
        problems = table(p)
        rows = [{"at": id_, **values} for id_, values in gold.items()]
        connection.execute(update(problems).where(problems.c.id == bindparam("at")), rows)
    news.problems = len(new)
    _add_sources(connection, items, ids, questions, news)


def _add_sources(
    connection: Connection, items: Sequence[SourceItem], ids: Sequence[str], questions: Mapping[str, str], news: _News
) -> None:
    s = ProblemSourceTable
    columns = (s.problem_id, s.source, s.split, s.key)
    known = {tuple(row) for row in _lookup(connection, columns, s.problem_id, ids)}
    rows = []
    for i, (id_, item) in enumerate(zip(ids, items, strict=True)):
        problem = item.problem
        identity = (id_, problem.source, problem.split or "", problem.key)
        if identity not in known:
            known.add(identity)
            rows.append(source_row(problem, questions[id_]))
            news.items.add(i)
    insert_or_ignore(connection, s, rows)


def _add_chains(
    connection: Connection, items: Sequence[SourceItem], verdicts: Mapping[str, Verdict], news: _News
) -> None:
    c = ChainTable
    chains = [(i, chain, chain.id) for i, item in enumerate(items) for chain in item.chains]
    columns = (c.id, c.own_text, c.continuation_id, c.graded, c.reason, c.grader, c.answer)
    stored = {row.id: row for row in _lookup(connection, columns, c.id, [id_ for _, _, id_ in chains])}
    numbers = numbered(connection, [chain.problem_id for _, chain, _ in chains])
    new: dict[str, dict[str, Any]] = {}
    regraded = []
    for i, chain, id_ in chains:
        row = stored.get(id_)
        if row is None and id_ not in new:
            numbers[chain.problem_id] += 1
            new[id_] = chain_row(chain, verdicts.get(id_, UNGRADED), numbers[chain.problem_id])
            news.items.add(i)
        elif (row.own_text if row is not None else new[id_]["own_text"]) != chain.text and (
            row is None or row.continuation_id is None
        ):
            news.kept.append(items[i].line)
        elif row is not None and id_ in verdicts:
            grading = verdict_columns(verdicts[id_])
            if grading != {name: getattr(row, name) for name in grading}:
                regraded.append(grading | {"at": id_})
                news.items.add(i)
                news.relabelled.add(id_)
    check_parents(connection, (chain for _, chain, _ in chains))
    insert_or_ignore(connection, c, list(new.values()))
    if regraded:
        chains_table = table(c)
        connection.execute(update(chains_table).where(chains_table.c.id == bindparam("at")), regraded)
    news.chains = len(new)


def chain_row(
    chain: Chain, verdict: Verdict, number: int, own_text: str | None = None, continuation_id: int | None = None
) -> dict[str, Any]:
    return {
        "id": chain.id,
        "problem_id": chain.problem_id,
        "number": number,
        "n_steps": chain.n,
        "verdict": verdict.value,
        "disputed": False,
        "created_at": now(),
        "continuation_id": continuation_id,
        "parent": chain.parent,
        "branch_step": chain.branch_step,
        "origin": chain.origin,
        "key": chain.key,
        "rule": chain.rule,
        "overridden_by": None,
        "override_note": None,
        "spans": write_spans(chain.spans),
        "own_text": chain.text if own_text is None else own_text,
        "meta": dict(chain.meta),
        **verdict_columns(verdict),
    }


def numbered(connection: Connection, problem_ids: Iterable[str]) -> dict[str, int]:
    """How many chains these problems have: the next one's number less one; the caller holds them (db.locks)."""
    p = ProblemTable
    counts = {}
    for some in chunks(sorted(set(problem_ids))):
        query = select(p.id, p.n_chains).where(p.id.in_(some))
        counts |= {row.id: row.n_chains for row in connection.execute(query)}
    return counts


def _add_annotations(connection: Connection, items: Sequence[SourceItem], news: _News) -> None:
    a, c = AnnotationTable, ChainTable
    labels = [(i, _with_key(label)) for i, item in enumerate(items) for label in item.annotations]
    if not labels:
        return
    steps = {chain.id: chain.n for item in items for chain in item.chains}
    elsewhere = {label.chain_id for _, label in labels} - steps.keys()
    steps |= {row.id: row.n_steps for row in _lookup(connection, (c.id, c.n_steps), c.id, elsewhere)}
    identity = tuple_(a.annotator, a.key)
    known = set()
    for some in chunks((label.annotator, label.key) for _, label in labels):
        known |= {tuple(row) for row in connection.execute(select(a.annotator, a.key).where(identity.in_(some)))}
    rows = []
    for i, label in labels:
        if (label.annotator, label.key) in known:
            continue
        try:
            check_label(label, steps.get(label.chain_id))
        except StepvizError as e:
            raise StepvizError(f"line {items[i].line}: {e}") from e
        known.add((label.annotator, label.key))
        rows.append(annotation_row(label))
        news.items.add(i)
        news.relabelled.add(label.chain_id)
    insert_or_ignore(connection, a, rows)
    news.annotations = len(rows)


def _with_key(label: Annotation) -> Annotation:
    if label.key:
        return label
    return Annotation(
        label.chain_id,
        label.annotator,
        label.question,
        label.step,
        label.value,
        label.note,
        label.meta,
        key=f"{label.chain_id}/{label.question}/{label.step}",
        undone=label.undone,
    )


def check_parents(connection: Connection, chains: Iterable[Chain]) -> None:
    """StepvizError where a chain branches from one that is neither stored nor among these."""
    some = list(chains)
    missing = {chain.parent for chain in some if chain.parent is not None}
    if missing:
        missing -= {chain.id for chain in some}
        missing -= {row.id for row in _lookup(connection, (ChainTable.id,), ChainTable.id, missing)}
    if missing:
        raise StepvizError(f"A chain branches from a chain that nobody has: {min(missing)}. Import that one first.")


def _lookup(connection: Connection, columns: Sequence[Any], by: Any, values: Iterable[str]) -> Iterable[Any]:
    for some in chunks(dict.fromkeys(values)):
        yield from connection.execute(select(*columns).where(by.in_(some)))
