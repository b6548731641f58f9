"""What a step's text asserts: expressions with their values, and the quantity that is named beside each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

NUMBER = r"-?\d{1,15}(?:\.\d{1,15})?(?:/\d{1,15})?(?!\d)"
_MARK = re.compile(rf"<<([^<>=]*)=([^<>=]*)>>\s*\$?({NUMBER})?")
_PLAIN = re.compile(rf"((?:\d|\()[\d.+\-*/() ]*[+\-*/][\d.+\-*/() ]*?)\s*=\s*\$?({NUMBER})")


def read(text: str, names: Sequence[tuple[str, int]]) -> list[tuple[str, Fraction, Fraction | None, int | None]]:
    """(expression, value in the mark, value written after it, quantity named) of every assertion in a step."""
    found = [(m.start(), m.end(), m[1], m[2], m[3]) for m in _MARK.finditer(text)]
    if not found:
        found = [(m.start(), m.end(), m[1], m[2], None) for m in _PLAIN.finditer(text)]
    result = []
    for n, (start, end, expression, written, shown) in enumerate(found):
        value = number(written.strip().lstrip("$"))
        if value is None:
            continue
        left = found[n - 1][1] if n else 0
        right = found[n + 1][0] if n + 1 < len(found) else len(text)
        after = text[end:right].split(";")[0]
        before = text[left:start].split(";")[-1]
        named = _named(after, names)
        result.append(
            (
                expression.strip(),
                value,
                number(shown) if shown else None,
                named if named is not None else _named(before, names),
            )
        )
    return result


def number(text: str) -> Fraction | None:
    """12, 2.5, 3/4, 2.5/4; None for what is no number here, among it a division by zero and a wall of digits."""
    if not re.fullmatch(NUMBER, text):
        return None
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or 1) if Fraction(below or 1) else None


def _named(text: str, names: Sequence[tuple[str, int]]) -> int | None:
    """The quantity whose name stands in the text; the longest name wins."""
    lowered = text.lower()
    # "the dollars for Rosa's buttons" are not Rosa's buttons
    return next((i for name, i in names if re.search(rf"(?<!\w)(?<!for ){re.escape(name)}(?!\w)", lowered)), None)
