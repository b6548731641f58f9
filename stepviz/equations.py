"""Does each equation written in a step hold? A judge of steps that needs no model, and knows only arithmetic.

Equations are found between words: calculator marks `<<5*3=15>>`, "5 boxes * 3 pens = 15 pens", chains `a = b = c`
(each link is judged), LaTeX. A link is True, False, or None where it cannot be judged: names and algebra, units that
would have to be converted, sentences cut in the middle. Common sense about what people write:
1. a result may be rounded to the decimals it is written with; to a whole number of three or more digits, too
2. "≈" and "about" allow rounding to whole numbers, and two per cent
3. a per cent sign is a hundredth or a unit, whichever makes the link hold; "80 + 20%" alone is not judged
4. a result off by less than 0.2 % is not judged where an operand is a decimal that may have been rounded
5. "5 * 2 = 10 + 3 = 13" runs on: the first link is not judged
6. "= 3 remainder 1", "= 7" for 50/8 boxes: whole numbers next to an inexact quotient are not judged
7. a number alone at the start may be a label ("Day 2 = 7 + 2"), 12 / 1/4 may mean either: true, or not judged
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from stepviz.arithmetic import MAX_TEXT, Token, Unreadable, evaluate, tokenize
from stepviz.equation_sides import Side, links
from stepviz.quantities import measure

_SCALES = frozenset(("dozen", "hundred", "thousand", "million", "billion", "trillion", "squared", "cubed"))
_MODULO = re.compile(r"[\s(\\{]*(?:p?mod|bmod|modulo)\b")
_MARK = re.compile(r"<<([^<>\n]{1,200})>>")


@dataclass(frozen=True, slots=True)
class EquationCheck:
    """One link `left = right` of a step, [start, end) in it; `holds` is None where it cannot be judged."""

    text: str
    start: int
    end: int
    holds: bool | None
    reason: str


def check_step(step: str) -> list[EquationCheck]:
    """Every equation in the step, in the order in which it is written."""
    step = step[:MAX_TEXT]
    checks, plain = [], step
    for mark in _MARK.finditer(step):
        checks += _checks(step, tokenize(mark[1]), mark.start(1))
        plain = plain[: mark.start()] + " " * len(mark.group()) + plain[mark.end() :]
    checks += _checks(step, tokenize(plain), 0)
    return sorted(checks, key=lambda c: (c.start, c.end))


def first_error(steps: Sequence[str]) -> int | None:
    """The first step (1-based) with an equation that does not hold; None if there is none."""
    return next((i for i, step in enumerate(steps, 1) if any(c.holds is False for c in check_step(step))), None)


def _checks(step: str, tokens: list[Token], offset: int) -> Iterator[EquationCheck]:
    for left, right in links(tokens):
        if check := _link(left, right):
            start, end = left.tokens[0].start + offset, right.tokens[-1].end + offset
            if check[0] is False and _MODULO.match(step, end):
                check = None, "it is said modulo a number"
            yield EquationCheck(step[start:end], start, end, *check)


def _link(left: Side, right: Side) -> tuple[bool | None, str] | None:
    """(holds, reason) for `left = right`; None where nothing is asserted: "Total = 8", "60 minutes = 1 hour"."""
    for side in (left, right):
        if all(t.kind in ("name", "unit") for t in side.tokens):
            return None
    names = [t.text for side in (left, right) for t in side.tokens if t.kind == "name"]
    if names:
        return None, f"“{names[0][:30]}” is a name, not a number"
    if left.literal and right.literal and (left.units or right.units):
        return None
    results = []
    for percent in (Fraction(1, 100), Fraction(1)):
        try:
            results.append(_judge(left, right, percent))
        except Unreadable as problem:
            return None, str(problem)
        if results[-1][0] or not any(t.kind == "%" for t in (*left.tokens, *right.tokens)):
            break
    held = next((r for r in results if r[0]), None) or next((r for r in results if r[0] is None), None)
    return held or _excused(left, right) or results[0]


def _judge(left: Side, right: Side, percent: Fraction) -> tuple[bool | None, str]:
    a, b = evaluate(left.tokens, percent), evaluate(right.tokens, percent)
    if a == b:
        return True, "holds exactly"
    written, exact, value = (right, a, b) if right.literal or not left.literal else (left, b, a)
    difference = abs(a - b)
    literal = written.literal
    unit = Fraction(1, 10**literal.decimals) if literal else Fraction(0)
    if literal and any(t.kind == "%" for t in written.tokens):
        unit *= percent
    if literal and literal.decimals and (2 * difference <= unit or (literal.decimals > 1 and difference < unit)):
        return True, "holds after rounding"
    if right.approximate:
        return _approximately(difference, max(abs(a), abs(b)), literal is not None)
    if literal and not literal.decimals and exact.denominator != 1 and difference < 1:
        if 2 * difference <= 1 and abs(value) >= 100:
            return True, "holds after rounding to a whole number"
        return None, f"{_show(exact)} may have been rounded to a whole number"
    operands = [t for t in (*left.tokens, *right.tokens) if t.kind == "number" and t.decimals > 1 and t is not literal]
    if operands and difference * 500 <= max(abs(a), abs(b)):
        return None, "off by less than 0.2 %, which the rounding of its numbers can explain"
    return False, f"the left side is {_show(a)}, the right side {_show(b)}"


def _approximately(difference: Fraction, size: Fraction, literal: bool) -> tuple[bool | None, str]:
    if difference * 50 <= size or (literal and difference < 1):
        return True, "holds approximately"
    if difference * 10 <= size:
        return None, "approximate, and off by less than a tenth"
    return False, "off by more than a tenth"


def _excused(left: Side, right: Side) -> tuple[None, str] | None:
    """Why a link that does not hold as arithmetic may still be right as it is meant."""
    tokens = (*left.tokens, *right.tokens)
    if left.cut or right.cut:
        return None, "what stands beside it may belong to it"
    if left.first and left.literal:
        return None, "the number on its left may be a label"
    signs = [t.text for t in tokens if t.kind == "op"]
    if signs == ["/"] and left.units and right.units and left.units[-1:] != right.units[-1:]:
        return None, "its two sides have different units"  # "1/2 a cup = 4 ounces"
    if any(("/", "/") in pairwise(t.text for t in side.tokens if t.kind == "op") for side in (left, right)):
        return None, "two divisions in a row can be read in two ways"
    if any(t.text == "of" for t in right.tokens) or ("of" in signs and {"+", "-"} & set(signs)):
        return None, "what “of” refers to is not clear"
    if any(t.kind == "unit" and re.match(r"(?:remainder|r|rem|with)\b", t.text) for t in right.tokens):
        return None, "a division with a remainder"
    scales = [{w for text in side.units for w in text.split() if w in _SCALES} for side in (left, right)]
    if scales[0] != scales[1]:
        return None, "a word on one side makes another number of it (dozen, million, squared)"
    measures = {m for t in tokens if t.kind == "unit" for word in t.text.split() if (m := measure(word))}
    if any(t.money for t in tokens):
        measures |= {("money", Fraction(1))}
    for dimension in {d for d, _ in measures}:
        if len({size for d, size in measures if d == dimension}) > 1:
            return None, f"units of {dimension} would have to be converted"
    if any(
        b.kind == "number" and a.text in ("+", "-") and c.kind == "%"
        for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False)
    ):
        return None, "a per cent of what is not said"
    try:
        start = right.tokens[0]
        if start.kind == "number" and not right.literal and start.value == evaluate(left.tokens, Fraction(1, 100)):
            return None, "it runs on: the result, and the next operation on it"
    except Unreadable:
        pass
    return None


def _show(value: Fraction) -> str:
    if value.denominator == 1:
        return f"{value.numerator:,}" if value.numerator.bit_length() < 200 else "a very large number"
    return f"{float(value):.6g}" if abs(value) < 10**15 else "a very large number"
