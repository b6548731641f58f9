"""The strategies on tables of draws: hand-worked walks, the papers' examples, and labels against their definitions."""

from __future__ import annotations

import random

import pytest

from stepviz import strategies
from stepviz.strategies import Seen, Walk, backward, bisect, bisected_pit, exhaustive, forward, replay


def walk_of(m: int, k: int = 4, **fields: object) -> Walk:
    return Walk(tuple(range(1, m + 1)), k, **fields)


def table_of(*rows: str) -> dict[int, list[bool]]:
    """ "0100" is a prefix whose second draw succeeds; the first row is step 1. V[0] always succeeds."""
    return {0: [True] * 16} | {i: [c == "1" for c in row] for i, row in enumerate(rows, start=1)}


def drawn(seen: dict[int, Seen]) -> dict[int, int]:
    return {i: at.n for i, at in seen.items()}


def test_exhaustive_draws_k_everywhere_the_question_included() -> None:
    assert drawn(replay(exhaustive, walk_of(3), table_of("1000", "0000", "1111"))) == {0: 4, 1: 4, 2: 4, 3: 4}


def test_backward_ends_at_its_first_success_and_a_prefix_too() -> None:
    # step 3 fails four times (1, 2, 4 drawn in turn); step 2 succeeds with its second; step 1 is never drawn
    assert replay(backward, walk_of(3), table_of("0000", "0100", "0000")) == {3: Seen(4, 0), 2: Seen(2, 1)}
    assert replay(backward, walk_of(3), table_of("0000", "1000", "1111")) == {3: Seen(1, 1)}


def test_backward_asks_nothing_of_a_chain_that_is_right_and_consistent() -> None:
    right = walk_of(3, wrong=False, own=(True, True, True, True))
    assert replay(backward, right, table_of("0000", "0000", "0000")) == {}
    # its last step is not used later: that prefix is drawn, and the one before stands by the chain itself
    unused = walk_of(3, wrong=False, own=(True, True, False, False))
    assert drawn(replay(backward, unused, table_of("0000", "0000", "0000"))) == {3: 4}


def test_forward_ends_at_the_first_pit() -> None:
    assert drawn(replay(forward, walk_of(4), table_of("1000", "0010", "0000", "1111"))) == {1: 1, 2: 4, 3: 4}
    assert replay(forward, walk_of(2, wrong=False), table_of("0000", "0000")) == {}


@pytest.mark.parametrize(("rows", "pit"), [("1010", 2), ("10100", 4)])
def test_bisect_errs_where_labels_are_not_monotone(rows: str, pit: int) -> None:
    """papers.md, 6.1: 1,0,1,0 has its pit at 2 for OmegaPRM, 1,0,1,0,0 at 4; GLoRe says 4 both times."""
    walk, table = walk_of(len(rows)), table_of(*(row * 4 for row in rows))
    seen = replay(bisect, walk, table)
    assert bisected_pit(walk, seen) == pit
    assert len(seen) <= 3
    assert bisected_pit(walk, {}) is None


def test_bisect_finds_every_pit_of_monotone_labels() -> None:
    for m in range(1, 9):
        for pit in range(1, m + 2):
            walk = walk_of(m)
            table = table_of(*("1111" if i < pit else "0000" for i in range(1, m + 1)))
            assert bisected_pit(walk, replay(bisect, walk, table)) == pit


def test_a_prefix_that_cannot_be_continued_is_passed_over() -> None:
    seen = {3: Seen(0, 0, failed=True)}
    assert backward(walk_of(3), seen) == {2: 1}
    assert exhaustive(walk_of(3), seen) == {0: 4, 1: 4, 2: 4}


def carried_back(positive: list[bool]) -> list[bool]:
    return [any(positive[i:]) for i in range(len(positive))]


def test_backward_gives_the_labels_of_all_draws_on_five_hundred_recorded_tables() -> None:
    """The definition (papers.md, 1.2) on all k draws, against what the walk has seen; and it saw less."""
    rng = random.Random(7)
    spent = whole = 0
    for _ in range(500):
        m, k = rng.randint(1, 9), 8
        values = [rng.choice((0.0, 0.05, 0.3, 0.9)) for _ in range(m)]
        table = {0: [True] * k} | {i: [rng.random() < v for _ in range(k)] for i, v in enumerate(values, start=1)}
        own = tuple(rng.random() < 0.2 for _ in range(m))
        seen = replay(backward, walk_of(m, k, own=own), table)
        found = [own[i - 1] or seen.get(i, Seen()).k > 0 for i in range(1, m + 1)]
        expected = [own[i - 1] or any(table[i]) for i in range(1, m + 1)]
        assert carried_back(found) == carried_back(expected)
        spent, whole = spent + sum(drawn(seen).values()), whole + (m + 1) * k
    assert 0 < spent < whole / 2


def test_a_table_that_is_too_short_is_said() -> None:
    with pytest.raises(ValueError, match="2 draws of prefix 1, 4 are asked for"):
        replay(forward, walk_of(1), {1: [False, False]})


def test_every_name_is_a_strategy() -> None:
    assert set(strategies.NAMES) == {*strategies.STRATEGIES, "adaptive"}
