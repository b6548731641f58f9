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
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from stepviz.arithmetic import MAX_TEXT, Kind, Token, Unreadable, evaluate, tokenize
from stepviz.quantities import measure

MAX_SIDE = 120  # tokens of one side of an equation

_MARK = re.compile(r"<<([^<>\n]{1,200})>>")
_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "x": "*"}
_HEDGES = frozenset(("about", "approximately", "around", "roughly", "nearly", "almost"))
_FILLERS = frozenset(("a", "total", "of", "only", "just", "exactly", "the", "usd", "rs")) | _HEDGES
_CLAUSE = frozenset(  # a word that begins something new: what stands before it is not part of the expression
    "and so then is was are were has had have costs cost makes make he she they it we which that for if there".split()
    + "because since now will would can got gets bought sold paid spent spends left remaining equals therefore".split()
)
_RATES = frozenset(
    "hour hours hr hrs h day week month year minute minutes min second sec s person lb lbs pound kg gallon each".split()
    + "piece item mile km box bag pack dozen ticket unit student child visit serving gram liter foot inch".split()
)


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
    for run in _runs(_resolved(tokens)):
        for left, right in pairwise(_sides(run)):
            if check := _link(left, right):
                start, end = left.tokens[0].start + offset, right.tokens[-1].end + offset
                yield EquationCheck(step[start:end], start, end, *check)


@dataclass(frozen=True, slots=True)
class _Side:
    """The tokens of one side of "="; `cut`: a number beside it, or words that join it to one, may belong to it."""

    tokens: tuple[Token, ...]
    approximate: bool = False  # the sign before it is ≈, or "about" stands there
    cut: bool = False
    first: bool = False  # of its run

    @property
    def units(self) -> list[str]:
        return [t.text for t in self.tokens if t.kind == "unit"]

    @property
    def literal(self) -> Token | None:
        """The number this side consists of, if it is nothing else."""
        numbers = [t for t in self.tokens if t.kind == "number"]
        rest = [t for t in self.tokens if t.kind not in ("number", "unit", "%", "(", ")")]
        signs_only = all(t.kind == "op" and t.text in "+-" for t in rest) and len(rest) <= 1
        return numbers[0] if len(numbers) == 1 and signs_only and (not rest or self.tokens[0] is rest[0]) else None


def _resolved(tokens: list[Token]) -> list[Token]:
    """Words become operators, units (dropped from the value), names, or stops, by what stands around them."""
    out: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.kind == "word":
            i = _phrase(tokens, i, out)
            continue
        if token.kind == "(" and out and out[-1].kind in ("number", "unit", ")", "%"):
            close = _words_only(tokens, i)
            if close:  # "8 (apples)" is a unit, ".1(minutes)" algebra
                kind: Kind = "name" if out[-1].end == token.start else "unit"
                out.append(Token(kind, token.start, tokens[close].end, tokens[i + 1].text))
                i = close + 1
                continue
        if token.kind == "op" and token.text == "/" and _rate(tokens, i, out):
            out.append(Token("unit", token.start, tokens[i + 1].end, "per " + tokens[i + 1].text))
            i += 2
            continue
        if token.kind == "op" and token.text == "^" and out and out[-1].kind == "unit":
            i += 2  # cm^2
            continue
        mixed, used = _mixed(tokens, i)
        out.append(mixed or token)
        i += used
    return out


def _phrase(tokens: list[Token], i: int, out: list[Token]) -> int:
    """Settles the words from i on; returns the index after them."""
    j = i
    while j < len(tokens) and tokens[j].kind == "word" and (j == i or tokens[j].text not in _OPERATORS):
        j += 1
    words = [t.text for t in tokens[i:j]]
    letters = [w for w in words if len(w) == 1 and w not in "ai"]  # algebra: "11/20 we get X ="
    start, end = tokens[i].start, tokens[j - 1].end
    after = tokens[j] if j < len(tokens) else None
    operand_before = bool(out) and out[-1].kind in ("number", ")", "%", "unit")
    operand_after = after is not None and after.kind in ("number", "(", "frac")
    named_before = bool(out) and out[-1].kind == "name"
    if (operand_before or named_before) and operand_after and (sign := _spoken(words, out)):
        out.append(Token("op", start, end, sign))
    elif out and out[-1].kind == "=" and set(words) <= _FILLERS and operand_after:
        if set(words) & _HEDGES:
            out[-1] = replace(out[-1], text="≈")
    elif operand_before and not operand_after and not letters:
        out.append(Token("unit", start, end, " ".join(words)))
    elif operand_after and not (out and out[-1].kind == "op"):
        out.append(Token("stop", start, end, " ".join(words)))
    else:
        out.append(Token("name", start, end, " ".join(words)))
    return j


def _spoken(words: list[str], out: list[Token]) -> str | None:
    """The operator that words between two numbers spell: "times", "divided by", "20% of", "1/2 of the"."""
    if len(words) == 1 and words[0] in _OPERATORS:
        return _OPERATORS[words[0]]
    if words in (["divided", "by"], ["multiplied", "by"]):
        return "/" if words[0] == "divided" else "*"
    share = out[-1].kind == "%" or (len(out) > 1 and out[-2].kind == "op" and out[-2].text == "/")
    share = share or (out[-1].kind == ")" and any(t.kind == "frac" for t in out[-8:]))
    return "of" if words in (["of"], ["of", "the"]) and share else None


def _words_only(tokens: list[Token], i: int) -> int | None:
    j = i + 1
    while j < len(tokens) and tokens[j].kind == "word":
        j += 1
    return j if j > i + 1 and j < len(tokens) and tokens[j].kind == ")" else None


def _rate(tokens: list[Token], i: int, out: list[Token]) -> bool:
    """Whether "/" begins a unit: miles/hour, $5/hour."""
    if i + 1 >= len(tokens) or tokens[i + 1].kind != "word" or not out:
        return False
    word = tokens[i + 1].text
    return (out[-1].kind == "unit" and len(word) > 1) or (out[-1].kind == "number" and word in _RATES)


def _mixed(tokens: list[Token], i: int) -> tuple[Token | None, int]:
    """1 1/2, or 1 and 1/2, as one number; with the count of tokens it takes."""
    spelled = i + 1 < len(tokens) and tokens[i + 1].kind == "word" and tokens[i + 1].text == "and"
    four = [*tokens[i : i + 1], *tokens[i + 1 + spelled : i + 4 + spelled]]
    if [t.kind for t in four] != ["number", "number", "op", "number"] or four[2].text != "/":
        return None, 1
    whole, top, _, bottom = (t.value or Fraction(0) for t in four)
    if four[1].end != four[2].start or any(t.decimals for t in four) or not 0 < top < bottom:
        return None, 1
    return Token("number", four[0].start, four[3].end, "mixed", whole + top / bottom), 4 + spelled


def _runs(tokens: list[Token]) -> Iterator[list[Token]]:
    """Stretches without a stop, and without two numbers side by side.

    Where a stretch may go on beyond its end, a stop stays at that end: its first side or its last is *cut*.
    """
    run: list[Token] = []
    for token in tokens:
        beside = bool(run) and token.kind in ("number", "frac") and run[-1].kind in ("number", ")", "%", "unit")
        beside = beside and not (token.kind == "frac" and run[-1].kind == "number")
        if token.kind != "stop" and not beside:
            run.append(token)
            continue
        border = replace(token, kind="stop")
        yield [*run, border] if beside else run
        run = [border, token] if beside else [border] if _joins(run, token) else []
    yield run


def _joins(run: list[Token], stop: Token) -> bool:
    """Whether "3 rows of 4 + 5": the words of `stop` may tie the number before to the expression after."""
    words = stop.text.split()
    after_number = bool(run) and run[-1].kind == "number" and bool(words) and words[0].isalpha()
    return after_number and len(words) <= 3 and not set(words) & _CLAUSE


def _sides(run: list[Token]) -> list[_Side]:
    if not any(t.kind == "=" for t in run):
        return []
    cuts = run[0].kind == "stop", run[-1].kind == "stop"
    parts: list[list[Token]] = [[]]
    approximate = [False]
    for token in run:
        if token.kind == "=":
            parts.append([])
            approximate.append(token.text == "≈")
        elif token.kind != "stop":
            parts[-1].append(token)
    sides = []
    for k, part in enumerate(parts):
        first, last = k == 0, k == len(parts) - 1
        trimmed = _trim(part, first, last)
        cut = len(trimmed) == len(part) and ((first and cuts[0]) or (last and cuts[1]))
        sides.append(_Side(tuple(trimmed), approximate[k], cut, first))
    return sides if all(s.tokens for s in sides) else _unbroken(sides)


def _unbroken(sides: list[_Side]) -> list[_Side]:
    """The longest stretch of sides that are not empty; "= 5 + 3 = 8" has an empty first side."""
    best: list[_Side] = []
    current: list[_Side] = []
    for side in sides:
        current = [*current, side] if side.tokens else []
        best = max(best, current, key=len)
    return best


def _trim(part: list[Token], first: bool, last: bool) -> list[Token]:
    """Takes off brackets that belong to the sentence: "(so 5 + 3", "8)", and a dash after the result."""
    if len(part) > MAX_SIDE:
        return []
    if first:
        depth = 0
        for k in range(len(part) - 1, -1, -1):
            depth += (part[k].kind == ")") - (part[k].kind == "(")
            if depth < 0:
                part = part[k + 1 :]
                break
        while part and part[0].kind == "op" and part[0].text in "+*":
            part = part[1:]
    if last:
        depth = 0
        for k, token in enumerate(part):
            depth += (token.kind == "(") - (token.kind == ")")
            if depth < 0:
                part = part[:k]
                break
        if len(part) > 1 and part[-1].kind == "op":
            part = part[:-1]
        if len(part) > 2 and part[-2].text == "-" and part[-1].text.split()[0] in _CLAUSE:
            part = part[:-2]  # "= 8 - which is"
        if len(part) > 1 and part[-1].kind == "(":
            part = part[:-1]
    return part


def _link(left: _Side, right: _Side) -> tuple[bool | None, str] | None:
    """(holds, reason) for `left = right`; None where nothing is asserted: "Total = 8", "x = 5", "60 minutes = 1 hour"."""
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


def _judge(left: _Side, right: _Side, percent: Fraction) -> tuple[bool | None, str]:
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


def _excused(left: _Side, right: _Side) -> tuple[None, str] | None:
    """Why a link that does not hold as arithmetic may still be right as it is meant."""
    tokens = (*left.tokens, *right.tokens)
    if left.cut or right.cut:
        return None, "what stands beside it may belong to it"
    if left.first and left.literal:
        return None, "the number on its left may be a label"
    signs = [t.text for t in tokens if t.kind == "op"]
    if signs == ["/"] and left.units and right.units and left.units[-1:] != right.units[-1:]:
        return None, "its two sides have different units"  # "1/2 a cup = 4 ounces"
    if any(pair == ("/", "/") for pair in pairwise(signs)):
        return None, "two divisions in a row can be read in two ways"
    if any(t.text == "of" for t in right.tokens) or ("of" in signs and {"+", "-"} & set(signs)):
        return None, "what “of” refers to is not clear"
    if any(t.kind == "unit" and re.match(r"(?:remainder|r|rem|with)\b", t.text) for t in right.tokens):
        return None, "a division with a remainder"
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
