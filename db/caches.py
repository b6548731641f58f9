"""The cached columns, computed again from what they summarise.

chains.verdict, overridden_by and disputed follow from the grader's verdict and the annotations;
problems.n_chains, n_correct and n_disputed follow from the chains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, select, update

from db.models import AnnotationTable, ChainTable, ProblemTable
from db.rows import chunks, table

OVERRIDES = {1: "correct", -1: "wrong", None: "unknown"}


def current_labels(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """What each annotator said last of each question and step and did not take back, oldest first."""
    return [stack[-1] for stack in label_stacks(rows)]


def label_stacks(rows: Iterable[Row[Any]]) -> list[list[Row[Any]]]:
    """For each annotator, question and step what was said and not taken back: the last label stands, and an undo
    brings back the one beneath. In the order of the labels that stand, oldest first.

    `rows` come in the order of their ids; an undo takes back the last label that still stands.
    """
    stacks: dict[tuple[str, str, str, int], list[Row[Any]]] = defaultdict(list)
    for row in rows:
        stack = stacks[row.chain_id, row.annotator, row.question, row.step]
        if not row.undone:
            stack.append(row)
        elif stack:
            stack.pop()
    return sorted((stack for stack in stacks.values() if stack), key=lambda stack: stack[-1].id)


def is_disputed(graded: str, labels: Sequence[Row[Any]]) -> bool:
    """Whether annotators disagree with each other, with the grader's verdict, or have changed it.

    "Unsure" disagrees with nobody; that no step is wrong (first_error None) disagrees with a wrong answer.
    """
    said: dict[tuple[str, int], set[int | None]] = defaultdict(set)
    for label in labels:
        if label.question == "first_error" or label.value is not None:
            said[label.question, label.step].add(label.value)
    return any(len(values) > 1 for values in said.values()) or any(_contradicts(graded, label) for label in labels)


def _contradicts(graded: str, label: Row[Any]) -> bool:
    if label.question == "first_error":
        return label.value is None and graded == "wrong"
    if label.question != "verdict" or OVERRIDES[label.value] == graded:
        return False
    return label.key is None or (label.value is not None and graded != "unknown")


def refresh_chains(connection: Connection, chain_ids: Iterable[str]) -> None:
    """After annotations or the grader's verdict of these chains changed. Ends with their problems' counts."""
    touched: set[str] = set()
    for ids in chunks(sorted(set(chain_ids))):
        labels = _labels_by_chain(connection, ids)
        columns = (
            ChainTable.seq,
            ChainTable.id,
            ChainTable.problem_id,
            ChainTable.graded,
            ChainTable.verdict,
            ChainTable.disputed,
            ChainTable.overridden_by,
            ChainTable.override_note,
        )
        changes = []
        for chain in connection.execute(select(*columns).where(ChainTable.id.in_(ids))):
            touched.add(chain.problem_id)
            new = _cached(chain.graded, labels.get(chain.id, []))
            if new != {name: getattr(chain, name) for name in new}:
                changes.append(new | {"at": chain.seq})
        if changes:
            chains = table(ChainTable)
            connection.execute(update(chains).where(chains.c.seq == bindparam("at")), changes)
    refresh_problems(connection, touched)


def _labels_by_chain(connection: Connection, ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    a = AnnotationTable
    query = select(a.id, a.chain_id, a.annotator, a.question, a.step, a.value, a.undone, a.key, a.note)
    rows = connection.execute(query.where(a.chain_id.in_(ids)).order_by(a.id))
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for label in current_labels(rows):
        found[label.chain_id].append(label)
    return found


def _cached(graded: str, labels: Sequence[Row[Any]]) -> dict[str, Any]:
    # Only a live label overrides the grader; a verdict that came with a file is an opinion beside it.
    person = next((x for x in reversed(labels) if x.question == "verdict" and x.key is None), None)
    return {
        "verdict": OVERRIDES[person.value] if person else graded,
        "overridden_by": person.annotator if person else None,
        "override_note": person.note if person else None,
        "disputed": is_disputed(graded, labels),
    }


def refresh_problems(connection: Connection, problem_ids: Iterable[str]) -> None:
    """After chains of these problems came or changed; the caller holds them (db.locks)."""
    c, problems = ChainTable, table(ProblemTable)
    for ids in chunks(sorted(set(problem_ids))):
        counts = connection.execute(
            select(
                c.problem_id.label("at"),
                func.count().label("n_chains"),
                func.sum(case((c.verdict == "correct", 1), else_=0)).label("n_correct"),
                func.sum(case((c.disputed, 1), else_=0)).label("n_disputed"),
            )
            .where(c.problem_id.in_(ids))
            .group_by(c.problem_id)
        )
        changes = [dict(row._mapping) for row in counts]
        if changes:
            connection.execute(update(problems).where(problems.c.id == bindparam("at")), changes)
