"""CSV and TSV: each row by the names of the header, with the line it starts on."""

from __future__ import annotations

import csv as csv_module
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepviz.sources import files
from stepviz.sources.fields import BadRow


def _delimited(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    csv_module.field_size_limit(files.MAX_LINE)
    # a line too long to load is fed as one NUL, so that its row is refused wherever it stands
    lines = (b"\x00\n" if line is None else line for _, line in files.lines(path))
    reader = csv_module.reader(
        (line.decode(errors="surrogateescape") for line in lines), delimiter=delimiter, strict=True
    )
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv_module.Error as error:
            yield line, BadRow(f"malformed CSV: {error}")
            continue
        if not values:
            continue
        if header is None:
            header = _header(path, values)
        elif len(values) != len(header):
            yield line, BadRow(f"{len(values)} fields, but the header names {len(header)}")
        else:
            yield line, dict(zip(header, values, strict=True))


def _header(path: Path, names: list[str]) -> list[str]:
    """The columns' names; one without a name (an index that pandas wrote) is called by its place."""
    names = [name.strip() or f"column {i}" for i, name in enumerate(names, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise files.Unreadable(f"{path}: two columns are named {twice[0]!r}; the first line must name the columns")
    return names


def csv(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Comma, semicolon or tab, whichever the header has most of."""
    header = next((line for _, line in files.lines(path) if line is None or line.strip()), None) or b""
    delimiter = max(",;\t", key=lambda d: header.count(d.encode()))
    return _delimited(path, delimiter)


def tsv(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    return _delimited(path, "\t")
