"""Typed access to a row of somebody's file: what is missing or of the wrong type is said by name.

Bad data is a value with a reason (a Refusal); inside a reader it travels as BadRow and ends in
`rows.items`, so that a row comes in whole or not at all.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepviz.types import digest

_TYPES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a whole number"}
_SPLITS = {"train": "train", "test": "test", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev"}


class BadRow(ValueError):
    """A row that cannot come in; the message is the reason, without file and line."""


def kind_of(value: Any) -> str:
    """How a message names a value's type; a bool is no number here."""
    if value is None:
        return "null"
    return _TYPES.get(type(value), "a number" if isinstance(value, float) else type(value).__name__)


def need(row: Mapping[str, Any], name: str, *types: type) -> Any:
    if name not in row:
        raise BadRow(f"the field {name!r} is missing")
    value = row[name]
    if type(value) not in types:
        wanted = " or ".join(_TYPES.get(t, "a number") for t in types)
        raise BadRow(f"{name!r} must be {wanted}, this is {kind_of(value)}")
    return value


def text(row: Mapping[str, Any], name: str) -> str:
    """A text with something in it, as the file writes it (white space at the ends kept)."""
    value = need(row, name, str)
    if not value.strip():
        raise BadRow(f"{name!r} is empty")
    return value


def maybe_text(row: Mapping[str, Any], name: str) -> str | None:
    """The same where the field may be absent or null."""
    return None if row.get(name) is None else need(row, name, str)


def whole(row: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """A whole number in [low, high]: indices are checked where they come in."""
    value = need(row, name, int)
    if not low <= value <= high:
        raise BadRow(f"{name!r} is {value}, out of range: it must lie in {low}…{high}")
    return value


def texts(row: Mapping[str, Any], name: str) -> list[str]:
    """A list of at least one text, none of them empty."""
    values = need(row, name, list)
    if not values:
        raise BadRow(f"{name!r} is an empty list")
    for i, value in enumerate(values):
        if type(value) is not str:
            raise BadRow(f"{name}[{i}] must be a text, this is {kind_of(value)}")
        if not value.strip():
            raise BadRow(f"{name}[{i}] is empty")
    return values


def objects(row: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of at least one object."""
    values = need(row, name, list)
    if not values:
        raise BadRow(f"{name!r} is an empty list")
    for i, value in enumerate(values):
        if type(value) is not dict:
            raise BadRow(f"{name}[{i}] must be an object, this is {kind_of(value)}")
    return values


def number_text(value: int | float) -> str:
    """51.0 → "51", 0.25 → "0.25": a JSON number as a person writes it; BadRow for one beyond a float's range."""
    if abs(value) > sys.float_info.max:
        digits = f"of {len(str(abs(value)))} digits is too long" if isinstance(value, int) else "is too large"
        raise BadRow(f"a number {digits} to be an answer; write it as a text if it is one")
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def split_of(path: Path | str) -> str | None:
    """The split that a file's name tells: "math500_test.json" → "test"."""
    words = re.findall(r"[a-z]+", Path(path).stem.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


class Occurrences:
    """Keys for rows without an id: the content's digest, and its occurrence within the file.

    Reading the file again, or with rows added anywhere, gives the same keys, and two equal samples stay two.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def number(self, *parts: str) -> int:
        """1 for the first time that the file brings these parts, 2 for the second, …"""
        name = digest(*parts)[:12]
        self._seen[name] += 1
        return self._seen[name]

    def key(self, *parts: str) -> str:
        number = self.number(*parts)
        return digest(*parts)[:12] + (f"/{number}" if number > 1 else "")
