"""Lines of the ledger that a file of our own brings, with the models and samplings that they name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from db.columns import now
from db.models import ModelTable, RefinementCandidateTable, RefinementTable, SamplingTable
from db.rows import chunks, insert_new, insert_or_ignore, table
from stepviz.types import SourceItem


def add_ledger(connection: Connection, items: Sequence[SourceItem], foreign: Collection[tuple[int, str]]) -> list[int]:
    """Store the lines that no draft has under their key; for each its item's index. Records are not changed.

    `foreign`: (index of item, chain) where the item's chain is not the stored one: what speaks of it stays out.
    """
    lines = [
        (i, line)
        for i, item in enumerate(items)
        for line in item.ledger.get("refinements", ())
        if not any((i, candidate["chain"]) in foreign for candidate in line["candidates"])
    ]
    known = _stored(connection, {line["draft"] for _, line in lines})
    new: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    for i, line in lines:
        if (line["draft"], line["key"]) not in known:
            new.setdefault((line["draft"], line["key"]), (i, line))
    if new:
        _add_named(connection, items, {i for i, _ in new.values()})
    return [i for i, line in new.values() if _add_line(connection, line)]


def _stored(connection: Connection, drafts: Collection[str]) -> set[tuple[str, str]]:
    r = RefinementTable
    return {
        (draft, key)
        for some in chunks(sorted(drafts))
        for draft, key in connection.execute(select(r.draft, r.key).where(r.draft.in_(some)))
    }


def _add_named(connection: Connection, items: Sequence[SourceItem], indices: Collection[int]) -> None:
    """Models and samplings; a model's run is another store's, and is not brought."""
    models = {model["id"]: model for i in indices for model in items[i].ledger["models"]}
    samplings = {sampling["id"]: sampling for i in indices for sampling in items[i].ledger["samplings"]}
    stamp = {"run_id": None, "created_at": now()}
    insert_or_ignore(connection, ModelTable, [model | stamp for model in models.values()])
    insert_or_ignore(connection, SamplingTable, list(samplings.values()))


def _add_line(connection: Connection, line: dict[str, Any]) -> bool:
    """False where a job has written it meanwhile."""
    values = {name: value for name, value in line.items() if name not in ("candidates", "when", "where")}
    values |= {"score": line["when"], "step": line["where"]}
    id_ = insert_new(connection, RefinementTable, values)
    if id_ is None:
        return False
    rows = [{"refinement_id": id_, "number": n, **candidate} for n, candidate in enumerate(line["candidates"])]
    connection.execute(insert(table(RefinementCandidateTable)), rows)
    return True
