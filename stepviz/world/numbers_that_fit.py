"""Numbers for an operation, drawn so that its values stay in range; Unusable where none fits."""

from __future__ import annotations

from fractions import Fraction

from stepviz.world.story import Story, Unusable


def divisors(value: Fraction, low: int, high: int) -> list[int]:
    if value.denominator != 1:
        return []
    return [d for d in range(low, high + 1) if value.numerator % d == 0 and value.numerator // d >= 2]


def draw(s: Story, low: int, high: int) -> int:
    if high < low:
        raise Unusable("no number fits")
    return s.rng.randint(low, high)


def pick(s: Story, numbers: list[int]) -> int:
    if not numbers:
        raise Unusable("no number fits")
    return s.rng.choice(numbers)


def need(s: Story, *kinds: str) -> None:
    if s.kind not in kinds:
        raise Unusable(s.kind)
