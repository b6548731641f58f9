"""A number as people and models write it: read exactly, or left alone."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepviz.numbers import read_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        ("-1,234.50", Fraction("-1234.5")),
        ("$1,450,000", 1_450_000),
        ("14{,}916", 14916),
        ("32,\\! 349", 32349),
        ("\\$10", 10),
        ("-$5", -5),
        ("3/4", Fraction(3, 4)),
        ("-\\frac{10}{9}", Fraction(-10, 9)),
        ("\\dfrac{-1}{3}", Fraction(-1, 3)),
        ("\\frac12", Fraction(1, 2)),
        ("1 1/2", Fraction(3, 2)),
        ("-1\\frac{1}{2}", Fraction(-3, 2)),
        (".5", Fraction(1, 2)),
        ("3.54e-07", Fraction(354, 10**9)),
        ("3.54 \\times 10^{-7}", Fraction(354, 10**9)),
        ("1.8 billion", 1_800_000_000),
        ("2 dozen eggs", 24),
        ("17\\text{ m}^2", 17),
        ("1,000.99m²", Fraction("1000.99")),
        ("90^\\circ", 90),
        ("18 per day", 18),
        ("about 5 apples (red)", 5),
        ("**\\(\\boxed{40\\%}\\)**.", 40),
    ],
)
def test_numbers_are_read_exactly(text: str, value: Fraction | int):
    number = read_number(text)
    assert number is not None
    assert number.value == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "5x",
        "5 x",
        "1,22",
        "3 or 4",
        "3 and 4",
        "5²",
        "5!",
        "4:30",
        "1/0",
        "1e999",
        "(1, 2)",
        "2^3",
        "204_5",
        "٣",
        "1_000",
        "3-4",
    ],
)
def test_what_is_no_single_number_is_left_alone(text: str):
    assert read_number(text) is None


@given(st.fractions(min_value=-(10**12), max_value=10**12, max_denominator=10**6))
def test_fractions_survive_writing(value: Fraction):
    for text in (f"{value.numerator}/{value.denominator}", f"\\frac{{{value.numerator}}}{{{value.denominator}}}"):
        number = read_number(text)
        assert number is not None
        assert number.value == value


@given(
    st.integers(-(10**30), 10**30),
    st.integers(0, 10**6),
    st.sampled_from(["", "$", "€"]),
    st.sampled_from(["", " apples", "%"]),
)
def test_grouped_decimals_survive_writing(whole: int, part: int, currency: str, unit: str):
    number = read_number(f"{'-' if whole < 0 else ''}{currency}{abs(whole):,}.{part:06d}{unit}")
    assert number is not None
    assert number.value == Fraction(f"{whole if whole else 0}.{part:06d}")
    assert number.percent == (unit == "%")
