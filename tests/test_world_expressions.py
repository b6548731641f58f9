"""Expressions of the embedded world: read, counted out, written again, and compared by their form."""

from __future__ import annotations

from fractions import Fraction

import pytest

from stepviz.world.expressions import canonical, evaluate, number_text, parse, show


@pytest.mark.parametrize(
    "text, value, shown",
    [
        ("6*24", 144, "6*24"),
        ("(5+7)*6", 72, "(5+7)*6"),
        ("84*3/4", 63, "84*3/4"),
        ("12-(3-1)", 10, "12-(3-1)"),
        ("8/(2*2)", 2, "8/(2*2)"),
    ],
)
def test_expressions(text: str, value: int, shown: str) -> None:
    tree = parse(text)
    assert tree is not None
    assert evaluate(tree) == value
    assert show(tree, {}) == shown


def test_equal_readings_share_a_form() -> None:
    def form(text: str) -> object:
        tree = parse(text)
        assert tree is not None
        return canonical(tree)

    assert form("6*24") == form("24*6")
    assert form("84*3/4") == form("84/4*3")
    assert form("50-3-4") == form("50-4-3")
    assert form("50-3-4") != form("50-(3-4)")
    assert form("2*3") != form("6")


@pytest.mark.parametrize("text", ["", "6*", "(6", "6**2", "__import__('os')", "1e9", "6 7", "x", "9" * 500])
def test_no_expression(text: str) -> None:
    assert parse(text) is None


def test_number_text() -> None:
    assert [number_text(Fraction(n)) for n in ("144", "5/2", "3/4", "1/3", "-5/2")] == [
        "144",
        "2.5",
        "0.75",
        "1/3",
        "-2.5",
    ]
