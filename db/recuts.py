"""A chain is cut into other steps: what hangs on the old ones follows them, in the transaction that cuts.

Labels are appended only: a label whose step has another number now is taken back and said again of that number, and
so are the older ones beneath it, which an undo brings back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, select, update

from db.caches import label_stacks, refresh_chains
from db.models import AnnotationTable, ChainTable, ScoreTable, SlotTable, StudyItemTable, StudyTable
from db.rows import annotation_row, read_annotation, table
from stepviz.errors import StepvizError
from stepviz.label_rules import carried, carried_beneath
from stepviz.types import Annotation, Chain

NOTE = "cut into other steps"  # of the row that takes a label back from its old step


def follow(connection: Connection, old: Chain, new: Chain) -> int:
    """Labels and branches go over to the new steps, scores of the old ones go; says how many labels moved.

    StepvizError where a label would have to be guessed, a chain branches at a border that would vanish, or people
    label these steps in a study.
    """
    _check_studies(connection, old)
    moved = _carry_labels(connection, old, new)
    _move_branches(connection, old, new)
    connection.execute(table(ScoreTable).delete().where(ScoreTable.chain_id == old.id))
    return moved


def _check_studies(connection: Connection, old: Chain) -> None:
    """What is said in a turn is said of the steps that were shown, to everybody alike."""
    s, i = SlotTable, StudyItemTable
    query = select(StudyTable.name).join(i, i.study_id == StudyTable.id).join(s, s.item_id == i.id)
    if name := connection.execute(query.where(i.chain_id == old.id).limit(1)).scalar():
        raise StepvizError(
            f"The study {name!r} has people label these steps: their borders have to stay. "
            "Edit a step to branch a copy, and cut that."
        )


def _carry_labels(connection: Connection, old: Chain, new: Chain) -> int:
    """An undo after the cut brings back what it would have brought back before, on the new steps.

    Where steps became one, beneath their label lies nothing: what each of them was called before is said of no step.
    """
    a = AnnotationTable
    query = select(a.__table__).where(a.chain_id == old.id, a.question != "verdict").order_by(a.id)
    rows = label_stacks(connection.execute(query))
    # a key is its file's, and is used once
    before = [tuple(replace(read_annotation(row), key="") for row in stack) for stack in rows]
    standing = [stack[-1] for stack in before]
    carry = old.text, old.spans, new.spans
    now = carried(standing, *carry)
    after: dict[tuple[str, str, int], tuple[Annotation, ...]] = {}
    for stack, top in zip(before, now, strict=True):
        beneath = carried_beneath(stack[:-1], *carry)
        after[_slot(top)] = (top,) if _slot(top) in after else (*beneath, top)
    kept = {_slot(stack[-1]) for stack in before if after.get(_slot(stack[-1])) == stack}
    undos = [_undo(label) for stack in before if _slot(stack[-1]) not in kept for label in stack]
    said = [label for slot, stack in after.items() if slot not in kept for label in stack]
    _append(connection, [*undos, *said])
    refresh_chains(connection, [old.id] if undos else [])
    return sum(was != is_now for was, is_now in zip(standing, now, strict=True))


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
