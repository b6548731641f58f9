"""A chain under measurement: which chains have a pit to look for, and what an earlier measurement brings along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stepviz import pits
from stepviz.adaptive import Adaptive
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


def test_what_sampling_has_drawn_from_the_question_is_no_cost_of_the_walk() -> None:
    """Eight samples of a problem are more than a quarter of what a chain of four open steps costs, and each costs as
    much as any: the first draw is made all the same, the same one as without them."""

    chosen = Adaptive(pits.shipped())
    sampled, alone = (Walking(LONG, PROBLEM, WRONG, chosen, 8) for _ in range(2))
    sampled.remember(by_prefix([draw(PROBLEM, j, verdict="wrong") for j in range(8)]))
    assert sampled.walk.paid == 8
    assert sampled.wants().keys() == alone.wants().keys() != set()
    spent = replace(sampled.walk, paid=0)  # drawn by the strategy itself they are
    assert chosen(spent, sampled.seen()) == {}
