"""A study's settings, the order of its items and its arms, worked by hand."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from stepviz.errors import StepvizError
from stepviz.studies import Candidate, StudyConfig, ordered, read, with_gold

CHAINS = [
    Candidate("a", (0.9, 0.8), (1.0, 0.5), wrong=True),
    Candidate("b", (0.9, 0.1), (1.0, 0.9), disputed=True),
    Candidate("c", (0.55, 0.9), (None, 0.9), wrong=True),
    Candidate("d"),
]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("given", "abcd"),
        ("disputed", "bacd"),  # gaps .8, .3, 0, and nothing to tell
        ("uncertain", "cabd"),  # from .5: .05, .3, .4
        ("people", "bacd"),
        ("convincing", "acbd"),  # wrong ones by their weakest step: .8, .55
    ],
)
def test_orders(order: str, found: str) -> None:
    assert "".join(ordered(CHAINS, StudyConfig(order=order, scorer="sorm@1"))) == found


def test_a_random_order_is_the_same_again_and_another_by_another_seed() -> None:
    many = [Candidate(str(i)) for i in range(30)]
    first = ordered(many, StudyConfig())
    assert first == ordered(many, StudyConfig()) != ordered(many, StudyConfig(seed=1))
    assert sorted(first) == sorted(c.chain for c in many)


def test_arms_are_drawn_by_item_and_person_and_by_their_weights() -> None:
    config = StudyConfig(arms={"blind": 3, "scores": 1, "pit": 0}, scorer="sorm@1")
    drawn = Counter(config.arm(item, who) for item in range(1000) for who in ("ana", "bob"))
    assert set(drawn) == {"blind", "scores"}
    assert drawn["blind"] / 2000 == pytest.approx(0.75, abs=0.04)
    assert config.arm(7, "ana") == config.arm(7, "ana")
    assert [config.arm(i, "ana") for i in range(50)] != [config.arm(i, "bob") for i in range(50)]


def test_gold_items_are_spread_among_the_others() -> None:
    """A fifth gold of ten items: eight others, gold before the third and the seventh of them, amid their halves."""
    items = with_gold("abcdefghxy", "xy", StudyConfig(gold_share=0.2))
    assert "".join(chain if not gold else "*" for chain, gold in items) == "ab*cdef*gh"
    assert {chain for chain, gold in items if gold} == {"x", "y"}
    assert with_gold("abx", "x", StudyConfig()) == [("a", False), ("b", False), ("x", False)]
    with pytest.raises(StepvizError, match="takes 2 chains of known labels, and there are 1"):
        with_gold("abcdefghx", "x", StudyConfig(gold_share=0.2))


def test_chains_that_are_known_and_not_drawn_are_items_like_the_others() -> None:
    """The exact judge knows all of them."""
    items = with_gold("abcdefghij", "abcdefghij", StudyConfig(gold_share=0.2))
    assert sorted(chain for chain, _ in items) == list("abcdefghij")
    assert [place for place, (_, gold) in enumerate(items) if gold] == [2, 7]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"questions": ("nice",)}, "questions are correct, solvable, decides"),
        ({"questions": ()}, "questions are"),
        ({"questions": ("correct", "correct")}, "questions are"),
        ({"people": 0}, "people is 1 to 100"),
        ({"order": "best"}, "order is given, random"),
        ({"arms": {"loud": 1}}, "arms are blind, scores, pit"),
        ({"arms": {"blind": 0}}, "arms are"),
        ({"arms": {"scores": 1}}, "a scorer is needed"),
        ({"order": "disputed"}, "a scorer is needed"),
        ({"gold_share": 1.0}, "gold_share is a share below 1"),
        ({"lease_minutes": 0.5}, "lease_minutes is 1 to 1440"),
        ({"threshold": 7}, "threshold is a score"),
    ],
)
def test_what_cannot_be_asked(given: dict[str, object], said: str) -> None:
    with pytest.raises(StepvizError, match=said):
        StudyConfig(**given)


def test_settings_come_back_from_json() -> None:
    config = StudyConfig(("correct", "solvable"), 3, "random", {"blind": 1, "pit": 1}, 0.1, 20, "sorm@1", 0.4, 5)
    assert read(json.loads(json.dumps(config.told()))) == config
    with pytest.raises(StepvizError, match="no setting 'colour'"):
        read({"colour": "red"})
