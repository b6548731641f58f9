"""Rows on disk: made once, read as often as needed, never all in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Spool:
    """An append-only list of JSON objects in a temporary file; use it in a `with`."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="ascii", newline="\n")  # noqa: SIM115
        self._n = 0
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> str:
        """The row as it is kept: one line of JSON with sorted keys."""
        line = json.dumps(row, sort_keys=True)  # ASCII: a half surrogate pair goes through
        self._file.seek(0, 2)
        self._file.write(line + "\n")
        self._n += 1
        return line

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One reader at a time."""
        self._file.flush()
        self._file.seek(0)
        while line := self._file.readline():
            yield json.loads(line)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._file.close()
