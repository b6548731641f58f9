"""Intervals of a measured value: Wilson's for a number of draws that was fixed, a confidence sequence for any other."""

from __future__ import annotations

from functools import cache

import pytest

from stepviz.types import StepValue

MOST = 300


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 8, 0.0, 0.4389),  # (1 − p)^8 ≥ 0.05 · C(16, 8)/4^8 = 0.05 · 12870/65536 = 0.009819, its 8th root .5611
        (8, 8, 0.5611, 1.0),
        (1, 1, 0.025, 1.0),  # B(3/2, 1/2) = π/2 and B(1/2, 1/2) = π: p ≥ 0.05/2
        (1, 2, 0.00629, 0.99371),  # B(3/2, 3/2) = π/8: p(1 − p) ≥ 0.05/8, so p = (1 ± √0.975)/2
    ],
)
def test_the_any_time_interval_worked_by_hand(k: int, n: int, low: float, high: float) -> None:
    assert StepValue(1, k, n).any_time_interval() == pytest.approx((low, high), abs=5e-5)


def test_without_a_sample_there_is_none() -> None:
    assert StepValue(1, 0, 0).any_time_interval() is None
    assert StepValue(4, 0, 0, terminal="wrong").any_time_interval() is None


def test_a_smaller_alpha_asks_for_more() -> None:
    low, high = StepValue(1, 3, 8).any_time_interval(0.05)
    wider = StepValue(1, 3, 8).any_time_interval(0.01)
    assert wider[0] < low < 3 / 8 < high < wider[1]


@cache
def bounds(kind: str, k: int, n: int) -> tuple[float, float]:
    value = StepValue(1, k, n)
    return value.interval() if kind == "wilson" else value.any_time_interval()


def ever_missed(kind: str, p: float) -> float:
    """The chance that the interval excludes p at some n ≤ MOST: all paths of draws, weighted; none is simulated.

    So it stops at the worst moment that there is: when the truth has just left the interval.
    """
    inside, missed = {0: 1.0}, 0.0  # successes → chance of being there and never having been outside
    for n in range(1, MOST + 1):
        after: dict[int, float] = {}
        for k, chance in inside.items():
            after[k] = after.get(k, 0.0) + chance * (1 - p)
            after[k + 1] = after.get(k + 1, 0.0) + chance * p
        inside = {}
        for k, chance in after.items():
            low, high = bounds(kind, k, n)
            if low <= p <= high:
                inside[k] = chance
            else:
                missed += chance
    return missed


@pytest.mark.parametrize("p", [0.03, 0.3, 0.9])
def test_the_worst_moment_to_stop_breaks_wilsons_and_not_the_confidence_sequence(p: float) -> None:
    assert ever_missed("any time", p) <= 0.05
    assert ever_missed("wilson", p) > 0.2
