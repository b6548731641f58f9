"""JSONL and JSON arrays: each object with the line it starts on, or the reason why there is none.

Numbers that JSON does not have (NaN, Infinity) become null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepviz.sources import files
from stepviz.sources.fields import BadRow, kind_of

MAX_ARRAY = 2**30  # bytes of a JSON array, which is read as a whole

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)
_GAP = re.compile(r"[\s,]*")


def jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    for number, line in files.lines(path):
        if line is None:
            yield number, BadRow(f"the line is longer than {files.MAX_LINE // 2**20} MiB")
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


def array(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """The elements of a JSON array; behind a broken one it goes on at the next line that opens an object."""
    with files.opened(path) as file:
        whole = file.read(MAX_ARRAY + 1) if path.stat().st_size <= MAX_ARRAY else b""
    if not 0 < len(whole) <= MAX_ARRAY:  # unpacked or turned into UTF-8 it may be longer than the file
        raise files.Unreadable(f"{path}: a JSON array of more than 1 GiB; write it as JSONL, one object a line")
    text = whole.decode(errors="surrogateescape")
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
