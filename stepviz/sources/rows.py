"""Raw rows out of a file: JSONL, a JSON array, CSV, TSV, Parquet, a `datasets` folder or a hub id.

What cannot be read is a Refusal with file, line and reason, and the reading goes on behind it; only where
nothing at all can be read (no such file, a folder, a binary file, …) an Unreadable is raised. JSON numbers that
JSON does not have (NaN) become null. Rows are numbered by the line they start on, or by row in Parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stepviz.sources import delimited, json_rows
from stepviz.sources.fields import BadRow
from stepviz.sources.files import BROKEN_OFF, Unreadable, layout, opened
from stepviz.types import Refusal, SourceItem


class Row(NamedTuple):
    line: int  # 1-based; the row's number in Parquet and in data sets
    index: int  # 0-based place among the rows, refused ones counted
    fields: dict[str, Any]
    split: str | None = None  # where the container names it


Build = Callable[[Row], SourceItem]
Numbered = tuple[int, dict[str, Any] | BadRow]


def items(path: Path | str, build: Build) -> Iterator[SourceItem | Refusal]:
    """Each row of `path` through `build`; a BadRow becomes the Refusal of its row."""
    for row in rows(path):
        if isinstance(row, Refusal):
            yield row
            continue
        try:
            yield build(row)
        except BadRow as reason:
            yield Refusal(str(path), row.line, str(reason))


def rows(path: Path | str) -> Iterator[Row | Refusal]:
    """The rows of a file, a `datasets` folder or a hub id ("owner/name", "owner/name:config")."""
    from stepviz.sources import hub

    if hub.is_hub_id(path) or Path(path).is_dir():
        yield from hub.rows(path)
        return
    path = Path(path)
    for index, (line, fields) in enumerate(_until_broken(_READERS[layout(path)](path))):
        try:
            if isinstance(fields, BadRow):
                raise fields
            yield Row(line, index, storable(fields))
        except BadRow as reason:
            yield Refusal(str(path), line, str(reason))


def _until_broken(found: Iterator[Numbered]) -> Iterator[Numbered]:
    """The rows, and where the file cannot be read on (cut-off gzip, half a character, a bad disk) the reason."""
    line = 0
    try:
        for line, fields in found:
            yield line, fields
    except BROKEN_OFF as error:
        yield line + 1, BadRow(f"the rest of the file cannot be read: {error}")


def count(path: Path | str) -> int | None:
    """How many rows there are, blank lines counted; None where counting means reading all, or cannot be done."""
    path = Path(path)
    if not path.is_file():
        return None
    kind = layout(path)
    if kind == "parquet":
        return _parquet_file(path).metadata.num_rows
    if kind != "jsonl" or path.suffix.lower() == ".gz":
        return None
    number, last = 0, b"\n"
    try:
        with opened(path) as file:
            while block := file.read(2**20):
                number, last = number + block.count(b"\n"), block[-1:]
    except BROKEN_OFF:
        return None  # a gzip by another name that was cut off, say: the rows themselves say where
    return number + (last != b"\n")


def storable(value: Any) -> Any:
    """`value`, or a BadRow where a text in it cannot be kept by a database."""
    if isinstance(value, str):
        if "\x00" in value:
            raise BadRow("holds a NUL character, which no database keeps")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadRow(
                    "holds bytes that are not UTF-8, or half of a surrogate pair; save the file as UTF-8"
                ) from None
    elif isinstance(value, dict):
        for name, inner in value.items():
            storable(name)
            storable(inner)
    elif isinstance(value, list):
        for inner in value:
            storable(inner)
    return value


def _parquet_file(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"{path}: a damaged Parquet file ({str(error).splitlines()[0]})") from None


def _parquet(path: Path) -> Iterator[Numbered]:
    import pyarrow as pa

    number = 0
    try:
        for batch in _parquet_file(path).iter_batches(batch_size=256):
            for fields in batch.to_pylist():
                number += 1
                yield number, plain(fields)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield number + 1, BadRow(f"the rest of the file cannot be read: {str(error).splitlines()[0]}")


def plain(value: Any) -> Any:
    """What a table holds as what JSON holds: dates and decimals as text, NaN as null."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not -1e308 <= value <= 1e308:
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


_READERS: dict[str, Callable[[Path], Iterator[Numbered]]] = {
    "jsonl": json_rows.jsonl,
    "array": json_rows.array,
    "csv": delimited.csv,
    "tsv": delimited.tsv,
    "parquet": _parquet,
}
