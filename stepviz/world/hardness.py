"""Which operations a small student finds hard: multi-digit products and quotients; trailing zeros cost nothing."""

from __future__ import annotations

from fractions import Fraction

from stepviz.world.expressions import Expr, Op, evaluate
from stepviz.world.graph import Graph


def hard(graph: Graph, derivation: int) -> bool:
    """Whether a derivation multiplies or divides with two significant digits and more than a small factor."""
    return _hard(graph.trees[derivation], graph.truth)


def _hard(tree: Expr, values: dict[int, Fraction]) -> bool:
    if not isinstance(tree, Op):
        return False
    if _hard(tree.left, values) or _hard(tree.right, values):
        return True
    left, right = evaluate(tree.left, values), evaluate(tree.right, values)
    if left is None or right is None or tree.symbol in "+-":
        return False
    a, b = (left, right) if tree.symbol == "*" else (left / right, right)
    many, few = sorted((_significant(a), _significant(b)), reverse=True)
    return many >= 10 and few >= 3


def _significant(value: Fraction) -> int:
    """The digits without point and trailing zeros: 2.50 → 25, 140 → 14."""
    digits = abs(value.numerator if value.denominator == 1 else int(value * 10_000))
    while digits and digits % 10 == 0:
        digits //= 10
    return digits
