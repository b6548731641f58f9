"""Arithmetic as it is written between words: text → tokens, tokens → an exact value.

A small parser of our own over fractions: numbers, + - * / ^, brackets, \\frac, per cent, units after numbers.
Nothing is ever evaluated by anyone else, and every size is limited: text, depth, exponents, digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from stepviz.numbers import GROUPED

MAX_TEXT = 20_000  # characters of a step
MAX_DEPTH = 30
MAX_EXPONENT = 64
MAX_BITS = 4_096  # of a value's numerator and denominator
MAX_DIGITS = 60

Kind = Literal["number", "op", "(", ")", "frac", "=", "%", "word", "name", "stop", "unit"]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a step, [start, end) in its text. `text` is normal: one of + - * / ^ of for an op, = or ≈ for "="."""

    kind: Kind
    start: int
    end: int
    text: str
    value: Fraction | None = None
    decimals: int = 0  # digits after the point
    money: bool = False


class Unreadable(Exception):
    """Tokens that are no arithmetic; the message says what stands in the way."""


_WRAPPED = (
    r"\\(?:text|mathrm|textbf|mathbf|mbox|textit|operatorname|textrm|mathit)\s*\{(?P<inner>[^{}]*)\}"
    r"(?P<below>_\{?\w{1,12}\}?)?"
)
_TOKEN = re.compile(
    rf"(?P<wrapped>{_WRAPPED})"
    r"|(?P<degree>\^\s*\{?\s*\\circ(?![a-zA-Z])\s*\}?|\\degree(?![a-zA-Z])|°)"
    r"|(?P<clock>[0-9]+:[0-9]+)"
    rf"|(?P<number>{GROUPED}(?:\.[0-9]+)?(?![0-9])|[0-9]+\.[0-9]+|(?<![0-9])\.[0-9]+|[0-9]+(?!,?[0-9]))"
    r"|(?P<odd>[0-9]+(?:,[0-9]+)+|[A-Za-wyzA-WYZ][0-9]+(?:\.[0-9]+)?)"
    r"|(?P<frac>\\[dtc]?frac(?![a-zA-Z]))"
    r"|(?P<stop>\\\\|\\(?:quad|qquad|implies|Rightarrow|Longrightarrow|rightarrow|to|leq?|geq?|neq?|lt|gt|ldots|dots|mid)"
    r"(?![a-zA-Z])|\\(?:begin|end)\{[^{}]*\}|[=!<>-]+>|[<>≤≥≠→⇒≡]=?|!=|\\equiv(?![a-zA-Z])|[;:?!\n|\"“”#…]|[.,](?![0-9]))"
    r"|(?P<equal>={1,2}|≈|≃|≅|\\(?:approx|simeq|cong)(?![a-zA-Z]))"
    r"|(?P<op>\*\*|[+*/×÷·⋅∗∕⁄−–—-]|\\(?:times|cdot|ast|div)(?![a-zA-Z])|\^)"
    r"|(?P<percent>\\?%)"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<skip>\s+|\\(?:left|right|displaystyle|boxed|fbox|big|Big|bigg|Bigg)(?![a-zA-Z])"
    r"|\\[,;:! ()\[\]]|[$€£¥~&`'’‘]|\.|,)"
    r"|(?P<command>\\[dt]?binom\s*\{[^{}]{0,20}\}\s*\{[^{}]{0,20}\}|\\[a-zA-Z]+\*?(?:_\{?\w{1,12}\}?)?|√|π|∑)"
    r"|(?P<backslash>\\)"
    r"|(?P<word>[^\W\d_²³]+(?:['’-][^\W\d_²³]+)*(?P<sub>_\{?\w{1,12}\}?)?)"
    r"|(?P<power>[²³])"
    r"|(?P<other>[\s\S])"
)
_FUNCTIONS = frozenset(("sin", "cos", "tan", "log", "ln", "sqrt", "mod"))
_OPS = {"×": "*", "·": "*", "⋅": "*", "∗": "*", "\\times": "*", "\\cdot": "*", "\\ast": "*", "÷": "/", "\\div": "/"}
_OPS |= {"∕": "/", "⁄": "/", "−": "-", "–": "-", "—": "-", "**": "^"}


def tokenize(text: str) -> list[Token]:
    """All tokens of `text`, prose included; linear in its length."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text[:MAX_TEXT]):
        kind, start, end = match.lastgroup or "other", match.start(), match.end()
        if match["wrapped"] is not None:
            tokens += _wrapped(match)
        elif kind == "number":
            tokens.append(_number(text, start, end))
        elif kind == "op":
            tokens += _operator(text, start, end)
        elif match["word"] is not None:
            tokens.append(_word(text, match, tokens))
        elif kind == "power":
            tokens += _superscript(match, tokens)
        elif kind not in ("skip", "degree", "backslash"):
            tokens.append(_plain(kind, start, end, match.group()))
    return tokens


def _plain(kind: str, start: int, end: int, text: str) -> Token:
    names: dict[str, tuple[Kind, str]] = {
        "frac": ("frac", "frac"),
        "equal": ("=", "=" if text.startswith("=") else "≈"),
        "percent": ("%", "%"),
        "open": ("(", "("),
        "close": (")", ")"),
        "command": ("name", text),
        "clock": ("name", text),
        "odd": ("name", text),
    }
    return Token(names[kind][0], start, end, names[kind][1]) if kind in names else Token("stop", start, end, text)


def _wrapped(match: re.Match[str]) -> list[Token]:
    inner, offset = match["inner"], match.start("inner")
    if match["below"] or re.search(r"[0-9]", inner):
        return [Token("name", match.start(), match.end(), inner.strip())]
    words = list(re.finditer(r"[^\W\d_]+", inner))
    last = len(words) - 1  # the command belongs to its first word, the brace to its last
    return [
        Token(
            "word",
            offset + w.start() if k else match.start(),
            offset + w.end() if k < last else match.end(),
            w.group().lower(),
        )
        for k, w in enumerate(words)
    ]


def _number(text: str, start: int, end: int) -> Token:
    digits = re.sub(r"[^0-9.]", "", text[start:end])
    if len(digits) > MAX_DIGITS or re.match(r"0[0-9]", digits):  # 0730 is a time
        return Token("name", start, end, text[start:end])
    whole, _, fraction = digits.partition(".")
    value = Fraction(int((whole or "0") + fraction), 10 ** len(fraction))
    money = text[max(0, start - 2) : start].rstrip(" ").endswith(("$", "€", "£"))
    return Token("number", start, end, text[start:end], value, len(fraction), money)


def _operator(text: str, start: int, end: int) -> list[Token]:
    sign = text[start:end]
    before, after = text[start - 1 : start], text[end : end + 1]
    if sign == "**" and not (re.match(r"[0-9)]", before) and re.match(r"[0-9(]", after)):
        return []  # bold, not a power
    line = text[text.rfind("\n", 0, start) + 1 : start]
    if sign in "*-–—+" and not line.strip() and after == " ":
        return [Token("stop", start, end, sign)]  # a bullet
    return [Token("op", start, end, _OPS.get(sign, sign))]


def _word(text: str, match: re.Match[str], before: Sequence[Token]) -> Token:
    """A word of prose; a "name" where it is a function, or a variable (subscripted; a letter that touches a number)."""
    start, end = match.span("word")
    word = match["word"].lower()
    touches = bool(before) and before[-1].end == start and before[-1].kind in ("number", ")")
    if (text[end : end + 1] == "(" or (touches and len(word) == 1)) and not _is_times(text, word, end):
        return Token("name", start, end, word)
    if match["sub"] or word in _FUNCTIONS:
        return Token("name", start, end, word)
    return Token("word", start, end, word)


def _is_times(text: str, word: str, end: int) -> bool:
    return word == "x" and re.match(r"\s*[$€£(]?\s*\.?[0-9]", text[end : end + 8]) is not None


def _superscript(match: re.Match[str], before: Sequence[Token]) -> list[Token]:
    """5² is a power; m² is a unit, whose exponent says nothing here."""
    if not before or before[-1].kind not in ("number", ")"):
        return []
    exponent = Fraction("²³".index(match.group()) + 2)
    middle = match.start()
    return [Token("op", middle, middle, "^"), Token("number", middle, match.end(), match.group(), exponent)]


def evaluate(tokens: Sequence[Token], percent: Fraction) -> Fraction:
    """The exact value; `percent` is what "%" stands for, 1/100 or 1. Raises Unreadable."""
    parser = _Parser([t for t in tokens if t.kind != "unit"], percent)
    value = parser.sum(0)
    if parser.at < len(parser.tokens):
        raise Unreadable(f"“{parser.tokens[parser.at].text}” stands where an operation should")
    return value


class _Parser:
    """Recursive descent; `at` is the next token."""

    def __init__(self, tokens: Sequence[Token], percent: Fraction) -> None:
        self.tokens, self.percent, self.at = tokens, percent, 0

    def peek(self, *kinds: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].kind in kinds

    def op(self, *signs: str) -> str | None:
        if self.peek("op") and self.tokens[self.at].text in signs:
            self.at += 1
            return self.tokens[self.at - 1].text
        return None

    def sum(self, depth: int) -> Fraction:
        if depth > MAX_DEPTH:
            raise Unreadable("brackets are nested too deeply")
        value = self.product(depth)
        while sign := self.op("+", "-"):
            right = self.product(depth)
            value = _limited(value + right if sign == "+" else value - right)
        return value

    def product(self, depth: int) -> Fraction:
        value = self.signed(depth)
        while True:
            sign = self.op("*", "/", "of")
            if sign is None and not self.peek("("):  # 2(3 + 4), (2)(3)
                return value
            right = self.signed(depth)
            if sign == "/" and right == 0:
                raise Unreadable("division by zero")
            value = _limited(value / right if sign == "/" else value * right)

    def signed(self, depth: int) -> Fraction:
        signs = 0
        while sign := self.op("+", "-"):
            signs += sign == "-"
        value = self.power(depth)
        return -value if signs % 2 else value

    def power(self, depth: int) -> Fraction:
        base = self.atom(depth)
        if not self.op("^"):
            return base
        if depth > MAX_DEPTH:
            raise Unreadable("powers are nested too deeply")
        exponent = self.signed(depth + 1)
        if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT or (base == 0 and exponent < 0):
            raise Unreadable(f"an exponent that is not a whole number up to {MAX_EXPONENT}")
        return _limited(base ** int(exponent))

    def atom(self, depth: int) -> Fraction:
        if self.at >= len(self.tokens):
            raise Unreadable("a number is missing at the end")
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "number":
            value = token.value or Fraction(0)
            if self.peek("frac") and token.decimals == 0:  # 1\\frac{1}{2}
                self.at += 1
                value += self.fraction(depth)
        elif token.kind == "frac":
            value = self.fraction(depth)
        elif token.kind == "(":
            value = self.sum(depth + 1)
            self.close()
        else:
            raise Unreadable(f"“{token.text}” is not a number")
        while self.peek("%"):
            self.at += 1
            value *= self.percent
        return _limited(value)

    def fraction(self, depth: int) -> Fraction:
        top, bottom = self.group(depth), self.group(depth)
        if bottom == 0:
            raise Unreadable("division by zero")
        return top / bottom

    def group(self, depth: int) -> Fraction:
        if not self.peek("("):
            raise Unreadable("a fraction without braces")
        self.at += 1
        value = self.sum(depth + 1)
        self.close()
        return value

    def close(self) -> None:
        if not self.peek(")"):
            raise Unreadable("a bracket is not closed")
        self.at += 1


def _limited(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise Unreadable("a number is too large")
    return value
