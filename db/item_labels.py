"""Which labels of imported rows are new, and which steps of the stored chains they mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, select, tuple_

from db.models import AnnotationTable, ChainTable
from db.rows import chunks, read_annotation, read_spans
from stepviz.errors import StepvizError
from stepviz.label_rules import check_label, moved
from stepviz.types import Annotation, SourceItem, Span


def new_labels(
    connection: Connection, items: Sequence[SourceItem], foreign: Collection[tuple[int, str]]
) -> list[tuple[int, Annotation]]:
    """The labels to be stored, each with the index of its item, on the stored chains' steps.

    A label with a key is new where its annotator has not used the key; a live one (no key) where its annotator
    never said it, even if it was taken back or changed since. `foreign`: (index of item, chain) where the item's
    chain is not the stored one: its labels stay out. StepvizError: a label that cannot be, or of a step that the
    stored chain has not.
    """
    labels = [(i, x) for i, item in enumerate(items) for x in item.annotations if (i, x.chain_id) not in foreign]
    if not labels:
        return []
    stored = _stored_spans(connection, {label.chain_id for _, label in labels})
    used = _used_keys(connection, {(label.annotator, label.key) for _, label in labels if label.key})
    said = _history(connection, {label.chain_id for _, label in labels if not label.key})
    given = {(i, chain.id): chain.spans for i, item in enumerate(items) for chain in item.chains}
    found = []
    for i, label in labels:
        assert not label.undone, "an import brings labels, and takes none back"
        if label.key and (label.annotator, label.key) in used:
            continue
        spans = stored.get(label.chain_id)
        try:
            label = _on_stored(label, given.get((i, label.chain_id), spans), spans)
        except StepvizError as e:
            raise StepvizError(f"line {items[i].line}: {e}") from e
        if label.key:
            used.add((label.annotator, label.key))
        elif label in said[label.chain_id]:
            continue
        else:
            said[label.chain_id].append(label)
        found.append((i, label))
    return found


def _on_stored(label: Annotation, given: tuple[Span, ...] | None, stored: tuple[Span, ...] | None) -> Annotation:
    check_label(label, None if given is None else len(given))
    if given is None or stored is None or given == stored:
        return label
    return moved(label, given, stored)


def _stored_spans(connection: Connection, chain_ids: Iterable[str]) -> dict[str, tuple[Span, ...]]:
    c = ChainTable
    found = {}
    for some in chunks(chain_ids):
        for row in connection.execute(select(c.id, c.spans).where(c.id.in_(some))):
            found[row.id] = read_spans(row.spans)
    return found


def _used_keys(connection: Connection, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    a = AnnotationTable
    found: set[tuple[str, str]] = set()
    for some in chunks(keys):
        query = select(a.annotator, a.key).where(tuple_(a.annotator, a.key).in_(some))
        found |= {(row.annotator, row.key) for row in connection.execute(query)}
    return found


def _history(connection: Connection, chain_ids: Iterable[str]) -> dict[str, list[Annotation]]:
    """Chain id → every live label that was ever given there, undos aside."""
    a = AnnotationTable
    found: dict[str, list[Annotation]] = defaultdict(list)
    for some in chunks(chain_ids):
        for row in connection.execute(select(a.__table__).where(a.chain_id.in_(some), a.key.is_(None), ~a.undone)):
            found[row.chain_id].append(read_annotation(row))
    return found
