"""Import: problems, chains and labels of a file's rows, stored whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, or_, select, update

from db.caches import refresh_chains, refresh_problems
from db.columns import encode_text, now
from db.item_labels import new_labels
from db.item_refinements import add_ledger
from db.locks import lock_chains, lock_imports
from db.models import AnnotationTable, ChainTable, ContinuationTable, ProblemSourceTable, ProblemTable
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
from stepviz.types import Chain, SourceItem, Verdict

UNGRADED = Verdict("unknown", "not graded", "")
NAMES = 2000  # bytes that rows are found by; an entry of an index takes 2,704 on PostgreSQL


@dataclass(slots=True)
class _News:
    """What this import changes, by the index of the item that brings it."""

    problems: int = 0
    chains: int = 0
    annotations: int = 0
    items: set[int] = field(default_factory=set)
    gold: dict[int, dict[str, str]] = field(default_factory=dict)  # answer and solution that the problem had not
    foreign: set[tuple[int, str]] = field(default_factory=set)  # with the chain's id: it is stored with another text
    relabelled: set[str] = field(default_factory=set)  # chains whose caches are to be computed again


class ItemQueries(Database):
    def add_items(self, items: Sequence[SourceItem], verdicts: Mapping[str, Verdict] | None = None) -> ItemCounts:
        """Store all items in one transaction; what is there already stays as it is.

        A problem's gold answer and solution are the first that any source brings. verdicts: chain id →
        the grader's verdict; for a chain that is stored already, a verdict that differs (a newer grader,
        a gold answer that came later) replaces the grader's old one, never a person's. Labels without a
        key were given live in another store: they count here as if given now, once. Steps are those of the
        item's chain, and are found again where the stored one was cut anew.
        StepvizError: a label that judges a step its chain has not, or a chain nobody has; a key too long for an index.
        """
        news = _News()
        for item in items:
            assert all(chain.problem_id == item.problem.id for chain in item.chains), "a chain of another problem"
            _check_names(item)
        with self.writing() as connection:
            lock_imports(connection)
            labelled = (label.chain_id for item in items for label in item.annotations)
            lock_chains(connection, labelled, (item.problem.id for item in items))
            _add_problems(connection, items, news)
            _add_chains(connection, items, verdicts or {}, news)
            _add_annotations(connection, items, news)
            refined = add_ledger(connection, items, news.foreign)
            news.items.update(refined)
            refresh_problems(connection, (item.problem.id for i, item in enumerate(items) if i in news.items))
            refresh_chains(connection, news.relabelled)
        unchanged = len(items) - len(news.items)
        kept = tuple(items[i].line for i, _ in sorted(news.foreign))
        return ItemCounts(news.problems, news.chains, news.annotations, unchanged, kept, len(refined))

    def waiting_for_gold(self, problem_ids: Iterable[str], reason: str) -> list[str]:
        """Those of these problems that have a gold answer, and draws or chains that are not graded against it:
        nobody graded them, or the grader gave a reason that begins with `reason`."""
        p, c, k = ProblemTable, ChainTable, ContinuationTable
        found: list[str] = []
        with self.reading() as connection:
            for some in chunks(sorted(set(problem_ids))):
                waits = [
                    exists().where(t.problem_id == p.id, or_(t.grader == UNGRADED.grader, t.reason.startswith(reason)))
                    for t in (c, k)
                ]
                query = select(p.id).where(p.id.in_(some), func.trim(p.answer) != "", or_(*waits))
                found += connection.execute(query).scalars()
        return found


def _check_names(item: SourceItem) -> None:
    problem = item.problem
    indexed = [
        ("source, split and key", (problem.source, problem.split or "", problem.key)),
        *(("origin", (chain.origin,)) for chain in item.chains),
        *(("annotator and key", (label.annotator, label.key)) for label in item.annotations),
    ]
    for what, names in indexed:
        size = sum(len(encode_text(name).encode()) for name in names)
        if size > NAMES:
            raise StepvizError(f"line {item.line}: {what} are {size} bytes long; no more than {NAMES} can be stored")


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
        given = {"answer": problem.answer, "solution": problem.solution}
        brought = {name: value for name, value in given.items() if value is not None and known[name] is None}
        if brought:
            (new if id_ in new else gold)[id_] = known | brought
            news.gold[i] = brought
            news.items.add(i)
    insert_or_ignore(connection, p, list(new.values()))
    if gold:
        problems = table(p)
        rows = [{"at": id_, **values} for id_, values in gold.items()]
        connection.execute(update(problems).where(problems.c.id == bindparam("at")), rows)
    news.problems = len(new)
    _add_sources(connection, items, questions, news)


def _add_sources(
    connection: Connection, items: Sequence[SourceItem], questions: Mapping[str, str], news: _News
) -> None:
    """What each source says; of one that is known, only the gold that it is the first of all to bring."""
    s = ProblemSourceTable
    columns = (s.problem_id, s.source, s.split, s.key, s.id)
    known = {tuple(row[:4]): row.id for row in _lookup(connection, columns, s.problem_id, questions)}
    new: dict[tuple[str, ...], dict[str, Any]] = {}
    for i, item in enumerate(items):
        problem = item.problem
        identity = (problem.id, problem.source, problem.split or "", problem.key)
        if identity in new:
            new[identity] |= news.gold.get(i, {})
        elif identity not in known:
            new[identity] = source_row(problem, questions[problem.id])
            news.items.add(i)
        elif i in news.gold:
            connection.execute(update(table(s)).where(s.id == known[identity]).values(news.gold[i]))
    insert_or_ignore(connection, s, list(new.values()))


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
            news.foreign.add((i, id_))
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
    found = new_labels(connection, items, news.foreign)
    insert_or_ignore(connection, AnnotationTable, [annotation_row(label) for _, label in found])
    news.items.update(i for i, _ in found)
    news.relabelled.update(label.chain_id for _, label in found)
    news.annotations = len(found)


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
