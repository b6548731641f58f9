"""Column types: text that comes back exactly, times that know their zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

# No database takes half a surrogate pair, and PostgreSQL takes no NUL; models and files bring both. Each such
# character is stored as one of the last private plane, so that offsets stay true in SQL; a character that
# really is of that block is stored behind an escape.
_BASE, _ESCAPE = 0x10F000, "\U0010fffd"  # U+10F000…U+10F7FF: D800…DFFF; U+10F800: NUL
_NUL = chr(_BASE + 0x800)
_OUT = re.compile("[\x00\ud800-\udfff\U0010f000-\U0010f800\U0010fffd]")
_IN = re.compile("\U0010fffd(.)|[\U0010f000-\U0010f800]", re.DOTALL)


def encode_text(text: str) -> str:
    """Any Python string as one that every database stores."""
    return text if text.isascii() and "\0" not in text else _OUT.sub(_encode, text)


def decode_text(text: str) -> str:
    """The inverse of encode_text."""
    return text if text.isascii() else _IN.sub(_decode, text)


def _encode(found: re.Match[str]) -> str:
    char = found[0]
    if char == "\0":
        return _NUL
    return chr(_BASE + ord(char) - 0xD800) if "\ud800" <= char <= "\udfff" else _ESCAPE + char


def _decode(found: re.Match[str]) -> str:
    if found[1] is not None:
        return found[1]
    return "\0" if found[0] == _NUL else chr(ord(found[0]) - _BASE + 0xD800)


class ExactText(TypeDecorator[str]):
    """Text of models and files: every Python string comes back as it went in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else encode_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else decode_text(value)


class Instant(TypeDecorator[datetime]):
    """A moment, aware and in UTC on this side, in UTC in the database (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        assert value is None or value.tzinfo is not None, "times in the store are aware"
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    return datetime.now(UTC)
