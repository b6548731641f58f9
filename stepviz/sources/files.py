"""Files as bytes: what kind a file is, its lines as UTF-8, and what to do where it cannot be read at all.

UTF-16 and UTF-32 are turned into UTF-8, and gzip is unpacked, block by block while reading.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from stepviz.errors import StepvizError
from stepviz.types import Refusal

MAX_LINE = 16 * 2**20  # bytes of one line or one CSV field: longer ones are refused, not loaded
BROKEN_OFF = (EOFError, OSError, zlib.error, UnicodeError)  # what reading on may raise in the middle of a file

_HEAD, _BLOCK = 4096, 2**16
_GZIP = b"\x1f\x8b"
_MARKS = (  # UTF-32 first: its mark begins with UTF-16's
    *((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")),
    *((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF8, "utf-8")),
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\ufffe\uffff]")
_KNOWN = (
    (b"PK\x03\x04", "a compressed file or a workbook; unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel or another binary document; save the sheet as CSV"),
    (b"\x28\xb5\x2f\xfd", "a compressed file; unpack it first"),
    (b"\xfd7zXZ", "a compressed file; unpack it first"),
    (b"BZh", "a compressed file; unpack it first"),
    (b"ARROW1", "an Arrow file; give the `datasets` folder around it, or save it as Parquet"),
    (b"SQLite format 3\x00", "a SQLite database; export the table as CSV"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data; fetch the data with: git lfs pull"),
)


class Unreadable(StepvizError):
    """Nothing could be read; the command line ends with exit code 2. refused: why not, row by row."""

    refused: tuple[Refusal, ...] = ()


def layout(path: Path) -> str:
    """jsonl, array, csv, tsv or parquet; Unreadable, with what to do, where it is none of them."""
    if not path.exists():
        raise Unreadable(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:
            raw = file.read(_HEAD)
    except OSError as error:
        raise Unreadable(f"{path}: cannot be opened ({error.strerror})") from None
    if raw.startswith(b"PAR1"):
        return "parquet"
    try:
        with opened(path) as file:
            head = file.read(_HEAD)
    except BROKEN_OFF as error:
        what = "a damaged gzip file" if raw.startswith(_GZIP) else "cannot be read"
        raise Unreadable(f"{path}: {what} ({error})") from None
    if not head:
        raise Unreadable(f"{path}: the file is empty")
    _refuse_binary(path, head)
    ending = _ending(path)
    if ending in {".csv", ".tsv"}:
        return ending[1:]
    start = head.lstrip()
    if start.startswith(b"["):
        return "array"
    named = ending in {".jsonl", ".json", ".ndjson"}
    columns = re.match(rb"[^\n]*[,;\t]", start) and not re.search(rb"^\s*\{", head, re.M)
    return "csv" if columns and not named else "jsonl"


def stem(path: Path | str) -> str:
    """The file's name without its endings: "traces.csv.gz" → "traces"."""
    name = Path(path).name
    return Path(name[:-3] if name.lower().endswith(".gz") else name).stem


def _ending(path: Path) -> str:
    return Path(path.name[:-3] if path.name.lower().endswith(".gz") else path.name).suffix.lower()


def _refuse_binary(path: Path, head: bytes) -> None:
    for magic, what in _KNOWN:
        if head.startswith(magic):
            raise Unreadable(f"{path}: this is {what}")
    controls = len(_CONTROLS.findall(head))
    if controls > len(head) // 10 or head[:8].count(0) > 1 or (controls > len(head) // 50 and not _is_utf8(head)):
        inside = "a Parquet file inside gzip; unpack it first" if head.startswith(b"PAR1") else ""
        raise Unreadable(f"{path}: this is {inside or 'a binary file, not JSONL, JSON, CSV, TSV or Parquet'}")


def _is_utf8(head: bytes) -> bool:
    """Whether it can be the beginning of a text in UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def encoding(head: bytes) -> tuple[str, int]:
    """What a file that begins so is written in, and how many bytes of it are the byte order mark.

    UTF-16 without a mark is known by its first character, which in rows and headers is ASCII.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    for name, ascii_at, zero_at in (("utf-16-le", 0, 1), ("utf-16-be", 1, 0)):
        if len(head) > 3 and head[zero_at] == 0 and 0x09 <= head[ascii_at] < 0x7F and _reads_as(name, head):
            return name, 0
    return "utf-8", 0


def _reads_as(name: str, head: bytes) -> bool:
    try:
        return not _NO_TEXT.search(codecs.getincrementaldecoder(name)().decode(head))
    except UnicodeDecodeError:
        return False


def opened(path: Path) -> BinaryIO:
    """The file's bytes in UTF-8, without a byte order mark; gzip unpacked. Reading may raise BROKEN_OFF."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    inner = cast(BinaryIO, gzip.open(path, "rb") if packed else path.open("rb"))  # noqa: SIM115 (the caller closes it)
    try:
        name, mark = encoding(inner.read(_HEAD))
        inner.seek(mark)
    except BaseException:
        inner.close()
        raise
    return inner if name == "utf-8" else cast(BinaryIO, io.BufferedReader(_AsUtf8(inner, name), _BLOCK))


class _AsUtf8(io.RawIOBase):
    """A file in another encoding, as UTF-8."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._rest = file, memoryview(b"")
        self._cut_off = b""  # what stands for a character of which the file has only a part
        # half of a surrogate pair becomes bytes that are not UTF-8, so that its row is refused and no other
        self._decoder = codecs.getincrementaldecoder(name)("surrogatepass")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = self._file.read(_BLOCK)
            if not block:
                self._rest, self._cut_off = memoryview(self._cut_off), b""
                break
            text = self._decoder.decode(block)
            self._rest = memoryview(text.encode("utf-8", "surrogatepass"))
            self._cut_off = b"\xff" if self._decoder.getstate()[0] else b""
        n = min(len(buffer), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n

    def close(self) -> None:
        self._file.close()
        super().close()


def lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """(1-based number, the line with its end); None for a line longer than MAX_LINE, which is never loaded."""
    with opened(path) as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if len(line) < MAX_LINE or line.endswith(b"\n"):
                yield number, line
                continue
            while (rest := file.readline(2**20)) and not rest.endswith(b"\n"):
                pass
            yield number, None


def not_utf8(path: Path) -> int | None:
    """The first line that is not UTF-8, as in a file that was saved as Latin-1; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return None
    return next((number for number, line in lines(path) if line is not None and not _is_utf8(line)), None)
