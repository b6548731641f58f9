"""Files as bytes: what kind a file is, its lines, and what to do where it cannot be read at all."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from stepviz.errors import StepvizError

MAX_LINE = 16 * 2**20  # bytes of one line or one CSV field: longer ones are refused, not loaded


class Unreadable(StepvizError):
    """Nothing could be read; the command line ends with exit code 2."""


def layout(path: Path) -> str:
    """jsonl, array, csv, tsv or parquet; Unreadable, with what to do, where it is none of them."""
    if not path.exists():
        raise Unreadable(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise Unreadable(f"{path}: cannot be opened ({error.strerror})") from None
    if not head.removeprefix(codecs.BOM_UTF8):
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


def lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
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
