"""Arithmetic of a step, exactly: text → tree → Fraction, and one canonical form for equal readings.

Nothing is ever evaluated as code: a small recursive-descent parser over digits, + - * / and parentheses.
Two expressions are the same reading when they differ only in the order of summands or factors
(6*24 and 24*6, 84*3/4 and 3*84/4), which `canonical` decides; 2*3 and 6 are not the same reading.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

MAX_LENGTH = 120  # characters; a step's expression in this world has fewer than forty
MAX_DEPTH = 16

Canonical = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction


@dataclass(frozen=True, slots=True)
class Ref:
    """A quantity of the problem, by its index in the graph."""

    quantity: int


@dataclass(frozen=True, slots=True)
class Op:
    symbol: str  # one of + - * /
    left: Expr
    right: Expr


Expr = Number | Ref | Op

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<ref>#\d+)|(?P<symbol>[-+*/()]))")


@lru_cache(maxsize=65536)  # a generator asks for the same few thousand derivations again and again
def parse(text: str) -> Expr | None:
    """The tree of `text`, or None where it is no expression. "#3" stands for quantity 3."""
    if len(text) > MAX_LENGTH:
        return None
    tokens: list[str] = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        tokens.append(match.group().strip())
        position = match.end()
    try:
        tree, rest = _sum(tokens, 0)
    except (IndexError, ValueError):
        return None
    return tree if rest == len(tokens) else None


def _sum(tokens: list[str], at: int, depth: int = 0) -> tuple[Expr, int]:
    left, at = _product(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "+-":
        right, after = _product(tokens, at + 1, depth)
        left, at = Op(tokens[at], left, right), after
    return left, at


def _product(tokens: list[str], at: int, depth: int) -> tuple[Expr, int]:
    left, at = _atom(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "*/":
        right, after = _atom(tokens, at + 1, depth)
        left, at = Op(tokens[at], left, right), after
    return left, at


def _atom(tokens: list[str], at: int, depth: int) -> tuple[Expr, int]:
    token = tokens[at]
    if token == "(":
        if depth >= MAX_DEPTH:
            raise ValueError("nested too deeply")
        tree, at = _sum(tokens, at + 1, depth + 1)
        if tokens[at] != ")":
            raise ValueError("a parenthesis is not closed")
        return tree, at + 1
    if token[0] == "#":
        return Ref(int(token[1:])), at + 1
    if token[0].isdigit() or token[0] == ".":
        return Number(Fraction(token)), at + 1
    raise ValueError(f"unexpected {token!r}")


def evaluate(tree: Expr, values: Mapping[int, Fraction] | None = None) -> Fraction | None:
    """The exact value, or None for a division by zero or a quantity without a value."""
    if isinstance(tree, Number):
        return tree.value
    if isinstance(tree, Ref):
        return None if values is None else values.get(tree.quantity)
    left, right = evaluate(tree.left, values), evaluate(tree.right, values)
    if left is None or right is None or (tree.symbol == "/" and right == 0):
        return None
    return {"+": left.__add__, "-": left.__sub__, "*": left.__mul__, "/": left.__truediv__}[tree.symbol](right)


def canonical(tree: Expr, values: Mapping[int, Fraction] | None = None) -> Canonical:
    """Equal for equal readings: sums as sorted signed terms, products as sorted factors with exponent ±1."""
    if isinstance(tree, Number):
        return ("n", tree.value)
    if isinstance(tree, Ref):
        return ("n", values[tree.quantity]) if values is not None else ("q", tree.quantity)
    kind = "+" if tree.symbol in "+-" else "*"
    parts: list[tuple[int, Canonical]] = []
    for child, sign in ((tree.left, 1), (tree.right, -1 if tree.symbol in "-/" else 1)):
        form = canonical(child, values)
        parts += [(s * sign, f) for s, f in form[1]] if form[0] == kind else [(sign, form)]
    return (kind, tuple(sorted(parts, key=repr)))


def leaves(form: Canonical) -> list[Fraction]:
    """The numbers of a canonical form, whatever is done with them."""
    return [form[1]] if form[0] == "n" else [n for _, part in form[1] for n in leaves(part)]


@lru_cache(maxsize=65536)
def refs(tree: Expr) -> tuple[int, ...]:
    """The quantities an expression reads, in order of appearance."""
    if isinstance(tree, Ref):
        return (tree.quantity,)
    return () if isinstance(tree, Number) else refs(tree.left) + refs(tree.right)


def show(tree: Expr, values: Mapping[int, Fraction]) -> str:
    """The expression with numbers put in, as a solution writes it: 84*3/4, (5+7)*6."""
    if isinstance(tree, Number):
        return number_text(tree.value)
    if isinstance(tree, Ref):
        return number_text(values[tree.quantity])
    left, right = show(tree.left, values), show(tree.right, values)
    if tree.symbol in "*/":
        left = f"({left})" if isinstance(tree.left, Op) and tree.left.symbol in "+-" else left
        right = f"({right})" if isinstance(tree.right, Op) else right
    elif tree.symbol == "-" and isinstance(tree.right, Op) and tree.right.symbol in "+-":
        right = f"({right})"
    return f"{left}{tree.symbol}{right}"


def number_text(value: Fraction) -> str:
    """144, 2.5, 0.75; a value that does not end in four decimals is written a/b."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = value * 10_000
    if scaled.denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(scaled.numerator) // 10_000}.{abs(scaled.numerator) % 10_000:04d}".rstrip("0")
