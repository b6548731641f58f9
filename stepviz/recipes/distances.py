"""Edit distance between solutions, fast enough to compare hundreds of samples of a question."""

from __future__ import annotations

from collections.abc import Iterable


def edit_distance(a: str, b: str) -> int:
    """Levenshtein's distance by bit vectors (Myers 1999, Hyyrö 2003): a few integer operations a character."""
    if len(a) > len(b):
        a, b = b, a
    if not a:
        return len(b)
    positions: dict[str, int] = {}
    for i, char in enumerate(a):
        positions[char] = positions.get(char, 0) | 1 << i
    full, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    plus, minus, distance = full, 0, len(a)  # where a column's neighbours differ by +1 and by −1
    for char in b:
        equal = positions.get(char, 0)
        vertical = equal | minus
        diagonal = ((equal & plus) + plus ^ plus) | equal
        up, down = minus | ~(diagonal | plus) & full, plus & diagonal
        distance += bool(up & last) - bool(down & last)
        up, down = (up << 1 | 1) & full, down << 1 & full
        plus, minus = (down | ~(vertical | up)) & full, up & vertical
    return distance


def spread(text: str, others: Iterable[str]) -> int:
    """Summed edit distance to other texts."""
    return sum(edit_distance(text, other) for other in others)
