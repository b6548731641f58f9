"""Where the sides of an equation lie in a sentence: tokens → pairs of sides around each "=".

Words are what makes this hard. After a number they are its unit ("24 candles"), unless another number follows
("3 rows of 4 + 5"); between two numbers they may spell an operator ("times", "20% of"); before one they are prose;
next to an operator they are a name, as in algebra. What may reach beyond the part we see is marked `cut`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from stepviz.arithmetic import Kind, Token

MAX_SIDE = 120  # tokens of one side of an equation

_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "x": "*"}
_HEDGES = frozenset(("about", "approximately", "around", "roughly", "nearly", "almost"))
_FILLERS = frozenset(("a", "total", "of", "only", "just", "exactly", "the", "usd", "rs")) | _HEDGES
_CLAUSE_WORDS = (
    "and so then is was are were has had have costs cost makes make he she they it we which that for if there because"
    " since now will would can got gets bought sold paid spent spends left remaining equals therefore"
)
_CLAUSE = frozenset(_CLAUSE_WORDS.split())  # something new begins: what stands before is not part of the expression
_RATE_WORDS = (
    "hour hours hr hrs h day week month year minute minutes min second sec s person lb lbs pound kg gallon each piece"
    " item mile km box bag pack dozen ticket unit student child visit serving gram liter foot inch"
)
_RATES = frozenset(_RATE_WORDS.split())


@dataclass(frozen=True, slots=True)
class Side:
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


def links(tokens: list[Token]) -> Iterator[tuple[Side, Side]]:
    """The two sides of every "=" (or "≈") that has something on both; a chain a = b = c gives two pairs."""
    for run in _runs(_resolved(tokens)):
        yield from pairwise(_sides(run))


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


def _sides(run: list[Token]) -> list[Side]:
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
        sides.append(Side(tuple(trimmed), approximate[k], cut, first))
    return sides if all(s.tokens for s in sides) else _unbroken(sides)


def _unbroken(sides: list[Side]) -> list[Side]:
    """The longest stretch of sides that are not empty; "= 5 + 3 = 8" has an empty first side."""
    best: list[Side] = []
    current: list[Side] = []
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
