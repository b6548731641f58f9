"""A chain under measurement: which chains have a pit to look for, and what an earlier measurement brings along."""

from __future__ import annotations

import pytest

from stepviz.measuring import Walking
from stepviz.rollouts import by_prefix
from stepviz.strategies import STRATEGIES, Seen
from stepviz.types import Verdict
from tests.job_cases import PROBLEM, WRONG
from tests.store_cases import draw
from tests.strategy_cases import LONG


@pytest.mark.parametrize(
    ("verdict", "asks"),
    [
        (Verdict("wrong", "", "", "16"), True),
        (Verdict("unknown", "no final answer found in the text", ""), True),
        (Verdict("unknown", "an answer is written in prose", "", "some sixteen"), False),
        (Verdict("correct", "", "", "15"), False),
    ],
)
def test_a_pit_is_looked_for_where_the_answer_was_missed(verdict: Verdict, asks: bool) -> None:
    """An answer that nobody can judge may be the right one, and then there is no pit."""
    for name in ("forward", "bisect"):
        assert bool(Walking(LONG, PROBLEM, verdict, STRATEGIES[name], 8).wants()) == asks


def test_earlier_draws_of_the_question_are_known_without_a_gap() -> None:
    walking = Walking(LONG, PROBLEM, WRONG, STRATEGIES["forward"], 8)
    verdicts = {0: "wrong", 1: "correct", 2: "wrong", 4: "correct", 8: "correct"}
    walking.remember(by_prefix([draw(PROBLEM, j, verdict=verdict) for j, verdict in verdicts.items()]))
    assert walking.seen() == {0: Seen(3, 1)}
