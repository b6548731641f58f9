"""Training sets: frozen rows under a name and a version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from db.columns import now
from db.locks import lock_datasets
from db.models import DatasetRowTable, DatasetTable
from db.rows import chunks, table
from db.session import Database
from db.spool import Spool
from db.values import DatasetRow
from stepviz.errors import StepvizError
from stepviz.types import digest

PAGE = 1000


class DatasetQueries(Database):
    def add_dataset(
        self,
        name: str,
        recipe: str,
        config: Mapping[str, Any],
        rows: Iterable[Mapping[str, Any]],
        *,
        format: str = "",
        counts: Mapping[str, Any] | None = None,
        dropped: Mapping[str, int] | None = None,
    ) -> DatasetRow:
        """Freeze rows as the next version of `name`; the same rows made the same way are the version they were.

        The rows are made before the transaction and kept on disk, not in memory; all of them are stored, or none.
        `counts` and `dropped` are read after the last row was made, so what makes the rows may still fill them.
        """
        with Spool() as frozen:
            hashed = digest(recipe, json.dumps(config, sort_keys=True))
            for row in rows:
                hashed = digest(hashed, frozen.add(row))
            record = {"format": format, "counts": dict(counts or {}), "dropped": dict(dropped or {})}
            return self._freeze(name, recipe, config, hashed, frozen, record)

    def _freeze(
        self, name: str, recipe: str, config: Mapping[str, Any], hashed: str, frozen: Spool, record: Mapping[str, Any]
    ) -> DatasetRow:
        d = table(DatasetTable)
        with self.writing() as connection:
            lock_datasets(connection)
            same = select(d).where(d.c.name == name, d.c.hash == hashed)
            if known := connection.execute(same).first():
                return _read(known)
            version = connection.execute(select(func.max(d.c.version)).where(d.c.name == name)).scalar() or 0
            values = {
                "name": name,
                "version": version + 1,
                "recipe": recipe,
                "config": dict(config),
                "hash": hashed,
                "n_rows": len(frozen),
                "created_at": now(),
                **record,
            }
            id_ = connection.execute(insert(d).values(values).returning(d.c.id)).scalar_one()
            numbered = ({"dataset_id": id_, "number": i, "row": row} for i, row in enumerate(frozen))
            for some in chunks(numbered, PAGE):
                connection.execute(insert(table(DatasetRowTable)), some)
            return _read(_row(connection, id_))

    def dataset(self, id: int) -> DatasetRow:
        """StepvizError for an unknown id."""
        with self.reading() as connection:
            return _read(_row(connection, id))

    def datasets(self) -> list[DatasetRow]:
        """Newest first."""
        query = select(DatasetTable.__table__).order_by(DatasetTable.id.desc())
        with self.reading() as connection:
            return [_read(row) for row in connection.execute(query)]

    def dataset_rows(self, id: int, start: int = 0, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """The rows in their order from number `start` (0, 1, …) on, page by page: memory stays bounded."""
        r = DatasetRowTable
        end = self.dataset(id).n_rows if limit is None else start + limit
        for first in range(start, end, PAGE):
            page = select(r.row).where(r.dataset_id == id, r.number >= first, r.number < min(first + PAGE, end))
            with self.reading() as connection:
                rows = connection.execute(page.order_by(r.number)).scalars().all()
            yield from rows


def _row(connection: Connection, id: int) -> Row[Any]:
    row = connection.execute(select(DatasetTable.__table__).where(DatasetTable.id == id)).first()
    if row is None:
        raise StepvizError(f"There is no dataset {id}. `python -m stepviz dataset list` shows those there are.")
    return row


def _read(row: Row[Any]) -> DatasetRow:
    return DatasetRow(
        row.id,
        row.name,
        row.version,
        row.recipe,
        row.config,
        row.hash,
        row.n_rows,
        row.created_at,
        row.format,
        row.counts,
        row.dropped,
    )
