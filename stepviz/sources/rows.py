"""Raw rows out of a file: JSONL, a JSON array, CSV, TSV, Parquet, a `datasets` folder or a hub id.

What cannot be read is a Refusal with file, line and reason, and the reading goes on behind it; only where
nothing at all can be read (no such file, a folder, UTF-16, …) an Unreadable is raised. JSON numbers that
JSON does not have (NaN) become null. Rows are numbered by the line they start on, or by row in Parquet.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stepviz.errors import StepvizError
from stepviz.sources.fields import BadRow, kind_of
from stepviz.types import Refusal, SourceItem

MAX_LINE = 16 * 2**20  # bytes of one line or one CSV field: longer ones are refused, not loaded
MAX_ARRAY = 2**30  # bytes of a JSON array, which is read as a whole

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)
_GAP = re.compile(r"[\s,]*")


class Unreadable(StepvizError):
    """Nothing could be read; the command line ends with exit code 2."""


class Row(NamedTuple):
    line: int  # 1-based; the row's number in Parquet and in data sets
    index: int  # 0-based place among the rows, refused ones counted
    fields: dict[str, Any]
    split: str | None = None  # where the container names it


Build = Callable[[Row], SourceItem]


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
    layout = _layout(path)
    for index, (line, fields) in enumerate(_READERS[layout](path)):
        try:
            if isinstance(fields, BadRow):
                raise fields
            yield Row(line, index, storable(fields))
        except BadRow as reason:
            yield Refusal(str(path), line, str(reason))


def count(path: Path | str) -> int | None:
    """How many rows there are at most, for a progress bar; None where counting means reading all."""
    path = Path(path)
    if not path.is_file():
        return None
    layout = _layout(path)
    if layout == "parquet":
        return _parquet_file(path).metadata.num_rows
    if layout != "jsonl":
        return None
    with path.open("rb") as file:
        blocks = iter(lambda: file.read(2**20), b"")
        return sum(block.count(b"\n") for block in blocks) + 1


def storable(value: Any) -> Any:
    """`value`, or a BadRow where a text in it cannot be kept by a database."""
    if isinstance(value, str):
        if "\x00" in value:
            raise BadRow("holds a NUL character, which no database keeps")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadRow("holds bytes that are not UTF-8, or half of a surrogate pair") from None
    elif isinstance(value, dict):
        for name, inner in value.items():
            storable(name)
            storable(inner)
    elif isinstance(value, list):
        for inner in value:
            storable(inner)
    return value


def _layout(path: Path) -> str:
    """jsonl, array, csv, tsv or parquet; Unreadable, with what to do, where it is none of them."""
    if not path.exists():
        raise Unreadable(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise Unreadable(f"{path}: cannot be opened ({error.strerror})") from None
    if not head:
        raise Unreadable(f"{path}: the file is empty")
    if head.startswith(b"PAR1"):
        return "parquet"
    _refuse_encodings(path, head)
    if path.suffix.lower() in {".csv", ".tsv"}:
        return path.suffix.lower()[1:]
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return "array" if start.startswith(b"[") else "jsonl"


def _refuse_encodings(path: Path, head: bytes) -> None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or head[:2].count(0) == 1:
        raise Unreadable(f"{path}: this is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8 IN > OUT)")
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        raise Unreadable(f"{path}: this is a compressed file; unpack it first")
    if head.startswith(b"version https://git-lfs"):
        raise Unreadable(f"{path}: this is a Git LFS pointer, not the data; fetch the data with: git lfs pull")


def _lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """(1-based number, the line with its end); None for a line longer than MAX_LINE, which is never loaded."""
    with path.open("rb") as file:
        if file.read(3) != codecs.BOM_UTF8:
            file.seek(0)
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if len(line) < MAX_LINE or line.endswith(b"\n"):
                yield number, line
                continue
            while (rest := file.readline(2**20)) and not rest.endswith(b"\n"):
                pass
            yield number, None


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    for number, line in _lines(path):
        if line is None:
            yield number, BadRow(f"the line is longer than {MAX_LINE // 2**20} MiB")
        elif line.strip():
            try:
                yield number, _object(line.strip())
            except BadRow as reason:
                yield number, reason


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        found = f"byte {error.start + 1} is 0x{line[error.start]:02x}"
        raise BadRow(f"not UTF-8: {found}; save the file as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from None
    return _row(value)


def _row(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRow(f"a row must be a JSON object {{…}}, this is {kind_of(value)}")
    return value


def _malformed(error: Exception) -> BadRow:
    if isinstance(error, json.JSONDecodeError):
        return BadRow(f"malformed JSON: {error.msg} (column {error.colno})")
    if isinstance(error, RecursionError):
        return BadRow("malformed JSON: nested too deeply")
    return BadRow(f"malformed JSON: {error}")  # a number of thousands of digits


def _array(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """The elements of a JSON array; behind a broken one it goes on at the next line that opens an object."""
    if path.stat().st_size > MAX_ARRAY:
        raise Unreadable(f"{path}: a JSON array of more than 1 GiB; write it as JSONL, one object a line")
    text = path.read_bytes().removeprefix(codecs.BOM_UTF8).decode(errors="surrogateescape")
    at = text.index("[") + 1
    line, counted = 1, 0
    opens: re.Pattern[str] | None = None
    while True:
        at = _GAP.match(text, at).end()
        line, counted = line + text.count("\n", counted, at), at
        if text[at : at + 1] == "]":
            return
        if at >= len(text):
            yield line, BadRow("malformed JSON: the array is not closed, the file may be cut off")
            return
        if opens is None:  # the first element shows how far elements are indented
            indent = text[text.rfind("\n", 0, at) + 1 : at]
            opens = re.compile(r"\n" + re.escape(indent) + r"\{") if not indent.strip() else re.compile("(?!)")
        try:
            value, at = _DECODER.raw_decode(text, at)
            yield line, _row(value)
        except BadRow as reason:
            yield line, reason
        except (ValueError, RecursionError) as error:
            further = opens.search(text, at + 1)
            lost = "" if further else "; nothing behind it could be read"
            yield line, BadRow(f"{_malformed(error)}{lost}")
            if not further:
                return
            at = further.end() - 1


def _delimited(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    csv.field_size_limit(MAX_LINE)
    # a line too long to load is fed as one NUL, so that its row is refused wherever it stands
    lines = (b"\x00\n" if line is None else line for _, line in _lines(path))
    reader = csv.reader((line.decode(errors="surrogateescape") for line in lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
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
    names = [name.strip() for name in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        problem = f"two columns are named {twice[0]!r}" if twice else "a column has no name"
        raise Unreadable(f"{path}: {problem}; the first line must name the columns")
    return names


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Comma, semicolon or tab, whichever the header has most of."""
    header = next(iter(_lines(path)))[1] or b""
    delimiter = max(",;\t", key=lambda d: header.count(d.encode()))
    return _delimited(path, delimiter)


def _tsv(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    return _delimited(path, "\t")


def _parquet_file(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"{path}: a damaged Parquet file ({str(error).splitlines()[0]})") from None


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
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


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, dict[str, Any] | BadRow]]]] = {
    "jsonl": _jsonl,
    "array": _array,
    "csv": _csv,
    "tsv": _tsv,
    "parquet": _parquet,
}
