"""How sure `adaptive` is: what the posterior foretells of further draws, by hand."""

from __future__ import annotations

import pytest

from stepviz import bench_measure_sure as sure
from stepviz import pits
from stepviz.bench_measure_ways import Reading
from stepviz.posterior import PitModel, posterior
from stepviz.strategies import Seen, Walk
from stepviz.world import embedded_problems
from tests.test_bench_measure import case_of

# Each of two steps is the pit as likely as not; alive V ~ Beta(1, 1), dead V ~ Beta(1, 9).
EVEN = PitModel((1.0, 1.0), (1.0, 9.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0, 0.0))


def test_further_draws_are_counted_by_the_two_betas() -> None:
    """Two draws: from Beta(1, 1) 0, 1 or 2 succeed with 1/3 each; from Beta(1, 9) none with 9/10 · 10/11, both with
    1/10 · 2/11. Step 1 is dead with 1/2."""
    now = posterior(EVEN, Walk((1,), 8, tokens=(2.0, 1.0)), {})
    none, both = (1 / 3 + 9 / 11) / 2, (1 / 3 + 1 / 55) / 2
    assert sure.counts(now, 2)[0] == pytest.approx([none, 1 - none - both, both])
    assert sure.counts(now)[0].sum() == pytest.approx(1)


def test_draws_that_no_model_foretells_lie_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps 1 and 3 fail sixteen times, as the failures of their first eight say; step 2 succeeds only afterwards.

    Beta(1, 10⁶) calls it dead after eight failures: of eight more it foretells none, where five succeed.
    """
    monkeypatch.setattr(pits, "shipped", lambda: PitModel((1e6, 1.0), (1.0, 1e6), (0.0,) * 3, (0.0,) * 5))
    problem = next(p for p in embedded_problems("test", 300) if len((p.solution or "").split("\n")) == 4)
    case = case_of({2: "0" * 8 + "11111000"}, problem)
    seen = {i: Seen(8, 0) for i in (1, 2, 3)}
    (row,) = sure.foretold({"by hand": Reading("by hand", [[0, 0, 0]], [1], [seen])}, [case])
    assert (row["prefixes"], row["inside its 95 %, %"], row["foretold inside, %"]) == (3, 66.7, 100.0)
    assert row["mean V drawn"] == pytest.approx(5 / 24, abs=5e-4)
    assert row["mean V foretold"] == 0.0


def test_errors_that_cancel_show_by_what_is_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 1 is foretold nearly sure successes and brings five of eight, the others none and bring two and none."""
    monkeypatch.setattr(pits, "shipped", lambda: PitModel((1e6, 1.0), (1.0, 1e6), (0.0,) * 3, (0.0,) * 5))
    problem = next(p for p in embedded_problems("test", 300) if len((p.solution or "").split("\n")) == 4)
    case = case_of({1: "1" * 8 + "11111000", 2: "0" * 8 + "11000000"}, problem)
    seen = {1: Seen(8, 8), 2: Seen(8, 0), 3: Seen(8, 0)}
    low, high = sure.foretold_by_value(Reading("by hand", [[1, 0, 0]], [2], [seen]), [case])
    assert (low["V foretold"], low["prefixes"], low["foretold"], low["drawn"]) == ("0 to 0.05", 2, 0.0, 0.125)
    assert (high["V foretold"], high["prefixes"], high["foretold"], high["drawn"]) == ("0.4 to 1", 1, 1.0, 0.625)
    assert high["drawn − foretold, points [95 %]"].startswith("-37.5 ")
