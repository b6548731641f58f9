"""A chain is cut into other steps: what hangs on the old ones follows them, in the transaction that cuts.

Labels are appended only: a label whose step has another number now is taken back and said again of that number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, select, update

from db.caches import current_labels, refresh_chains
from db.models import AnnotationTable, ChainTable, ScoreTable
from db.rows import annotation_row, read_annotation, table
from stepviz.errors import StepvizError
from stepviz.label_rules import carried
from stepviz.types import Annotation, Chain

NOTE = "cut into other steps"  # of the row that takes a label back from its old step


def follow(connection: Connection, old: Chain, new: Chain) -> int:
    """Labels and branches go over to the new steps, scores of the old ones go; says how many labels moved.

    StepvizError where a label would have to be guessed, or a chain branches at a border that would vanish.
    """
    moved = _carry_labels(connection, old, new)
    _move_branches(connection, old, new)
    connection.execute(table(ScoreTable).delete().where(ScoreTable.chain_id == old.id))
    return moved


def _carry_labels(connection: Connection, old: Chain, new: Chain) -> int:
    a = AnnotationTable
    query = select(a.__table__).where(a.chain_id == old.id, a.question != "verdict").order_by(a.id)
    rows = connection.execute(query).all()
    standing = [read_annotation(row) for row in current_labels(rows)]
    before = [replace(label, key="") for label in standing]  # a key is its file's, and is used once
    after = carried(before, old.text, old.spans, new.spans)
    depths = {_slot(label): 0 for label in standing}
    for row in rows:
        slot = _slot(read_annotation(row))
        depths[slot] = max(0, depths.get(slot, 0) + (-1 if row.undone else 1))
    # below a first error that stays may lie an older one, whose number would mean another step after an undo
    stays = [
        was == now and (was.question not in ("decides", "first_error") or depths[_slot(was)] == 1)
        for was, now in zip(before, after, strict=True)
    ]
    kept = [now for now, keep in zip(after, stays, strict=True) if keep]
    moving = [(was, now) for was, now, keep in zip(before, after, stays, strict=True) if not keep]
    undos = [_undo(was) for was, _ in moving for _ in range(depths[_slot(was)])]
    said = [now for k, (_, now) in enumerate(moving) if now not in kept and now not in [x for _, x in moving[:k]]]
    _append(connection, [*undos, *said])
    refresh_chains(connection, [old.id] if moving else [])
    return len(moving)


def _slot(label: Annotation) -> tuple[str, str, int]:
    """What an undo takes the last label of."""
    return label.annotator, label.question, label.step


def _undo(label: Annotation) -> Annotation:
    return replace(label, value=None, note=NOTE, meta={}, undone=True)


def _append(connection: Connection, labels: Sequence[Annotation]) -> None:
    if labels:
        connection.execute(insert(table(AnnotationTable)), [annotation_row(label) for label in labels])


def _move_branches(connection: Connection, old: Chain, new: Chain) -> None:
    """Chains that branch after step i of this one now branch after the step that ends at the same place."""
    chains = table(ChainTable)
    query = select(chains.c.id, chains.c.branch_step).where(
        chains.c.parent == old.id, chains.c.branch_step.is_not(None)
    )
    borders = {len(new.prefix(i)): i for i in range(new.n + 1)}
    for id_, step in connection.execute(query).all():
        border = len(old.prefix(step))
        if border not in borders:
            raise StepvizError(f"Another chain branches after step {step}: that border has to stay.")
        connection.execute(update(chains).where(chains.c.id == id_).values(branch_step=borders[border]))
