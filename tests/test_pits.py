"""First pits, labels, critical steps: the traces of papers.md (1.7, 2.4, 3.6, 6.1), worked by hand."""

from __future__ import annotations

import pytest

from stepviz import glore, gpo, self_explore
from stepviz.rollouts import by_prefix
from stepviz.steps import segment
from stepviz.types import Chain, Continuation, StepValue, Verdict, prefix_hash


def values(*successes: float, n: int = 4, terminal: str | None = None) -> list[StepValue]:
    """V[0] = 1, then a step a number; `terminal` adds the answer line."""
    found = [StepValue(i, k=int(s * n), n=n) for i, s in enumerate((1, *successes))]
    return [*found, StepValue(len(found), 0, 0, terminal=terminal)] if terminal else found


RIGHT = Verdict("correct", "", "test")
WRONG = Verdict("wrong", "", "test")


# ---- Self-Explore and GLoRe on the same traces


@pytest.mark.parametrize(
    ("raw", "self_explores", "glores"),
    [
        ((1, 0, 1, 0), 2, 4),  # papers.md 6.1: the definitions disagree
        ((1, 0, 1, 0, 0), 2, 4),
        ((1, 1, 0, 0), 3, 3),
        ((0, 0), 1, 1),  # negative from the first step on
        ((0, 1), 1, None),
        ((1, 1, 1), None, None),
        ((0.25, 0.5, 0, 0.25, 0), 3, 5),  # one success of four is enough for both
    ],
)
def test_pits_of_both_papers(raw: tuple[float, ...], self_explores: int | None, glores: int | None) -> None:
    assert self_explore.first_pit(values(*raw)).step == self_explores
    assert glore.first_pit(values(*raw)).step == glores


def test_the_evidence_says_what_was_counted() -> None:
    assert self_explore.first_pit(values(1, 0, 1, 0)).evidence == "0/4"
    assert glore.first_pit(values(1, 0, 1, 0, n=8)).evidence == "0/8"
    assert glore.first_pit([StepValue(0, 4, 4), StepValue(1, 3, 8, consistent=0)]).evidence == "0 consistent of 3/8"


def test_a_wrong_answer_line_is_a_pit_at_the_latest() -> None:
    """papers.md 1.7: recoverable up to the last step, whose label is 0 by definition; 2.4: pit on the answer line."""
    trace = values(1, 1, terminal="wrong")
    assert self_explore.first_pit(trace).step == glore.first_pit(trace).step == 3
    assert glore.sorm_labels(trace) == (1, 1, 0)
    assert self_explore.first_pit(trace).evidence == "wrong answer"


def test_a_right_chain_has_no_pit() -> None:
    trace = values(1, 0, terminal="correct")
    assert self_explore.first_pit(trace).step is glore.first_pit(trace).step is None
    assert glore.sorm_labels(trace) == (1, 1, 1)  # monotone from the right answer


def test_an_answer_nobody_can_judge_decides_nothing() -> None:
    trace = values(1, 1, terminal="unknown")
    assert self_explore.first_pit(trace).step is glore.first_pit(trace).step is None
    assert glore.sorm_labels(trace) == (1, 1, None)


def test_steps_that_were_not_measured() -> None:
    trace = [StepValue(0, 4, 4), StepValue(1, 2, 4), StepValue(2, 0, 0), StepValue(3, 0, 4), StepValue(4, 0, 0)]
    assert self_explore.first_pit(trace).step is None
    assert glore.first_pit(trace).step is None
    assert glore.sorm_labels(trace) == (1, None, 0, None)
    later = [*trace[:4], StepValue(4, 1, 4)]
    assert glore.sorm_labels(later) == (1, 1, 1, 1)  # a later success makes all earlier ones positive


def test_self_explore_wants_k_failures_and_takes_any_success() -> None:
    assert self_explore.first_pit([StepValue(0, 1, 1), StepValue(1, 0, 3), StepValue(2, 0, 4)]).step is None
    assert self_explore.first_pit([StepValue(0, 1, 1), StepValue(1, 1, 2), StepValue(2, 0, 4)]).step == 2
    assert self_explore.first_pit([StepValue(0, 1, 1), StepValue(1, 0, 2)], k=2).step == 1


# ---- GLoRe's consistency


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("3*4 = 12 eggs a day", "12"),
        ("She sells 16 - 3 - 4 = <<16-3-4=9>>9 duck eggs.", "9"),
        ("This means he eats 6 / 8 = 0.75 packs", "0.75"),
        ("so 1/2 + 1/4 = 3/4 of a cup", "3/4"),
        ("That is $1,250.50 in all.", "1,250.50"),
        ("Tom has 3 apples and 5 pears", "5"),
        ("x = y + z, hence 7 = the sum", "7"),  # nothing to read after the last "=": the last number
        ("He starts again.", None),
        ("half of them is 3/4 of a box", "3/4"),
        ("half of 12 is 6", "6"),
    ],
)
def test_the_result_of_a_step(step: str, expected: str | None) -> None:
    assert glore.result(step) == expected


@pytest.mark.parametrize(
    ("steps", "trace", "bordered", "plain"),
    [
        (["2*3 = 6"], "6 / 8 = 0.75", True, True),
        (["2*3 = 6"], "16 / 8 = 2", False, True),  # papers.md 1.7: "5" in "15" is a false match
        (["2*500 = 1,000"], "1000 - 1 = 999", True, False),
        (["1/2 + 1/4 = 3/4"], "0.75 * 8 = 6", True, False),
        (["2*3 = 6", "6+1 = 7"], "7*2 = 14", True, True),  # 6 was used up within the prefix
        (["2*3 = 6", "4+1 = 5"], "5*2 = 10", False, False),  # 6 was never used
        (["2*3 = 6"], "", False, False),
        (["2*3 = 6"], "#### 6", True, True),
        (["No number here."], "5*2 = 10", True, True),
        (["2*0.5 = 1.0"], "1 + 1 = 2", True, False),
        (["4+1 = 5"], "3.5 + 2 = 5.5", False, True),
        (["4+1 = 5"], "He has 5. Then", True, True),
    ],
)
def test_consistency(steps: list[str], trace: str, bordered: bool, plain: bool) -> None:
    assert glore.consistent(steps, trace) is bordered
    assert glore.consistent(steps, trace, plain=True) is plain


def test_a_number_of_ten_thousand_digits_is_no_trouble() -> None:
    assert glore.consistent(["1 = " + "7" * 10_000], "8" * 10_000 + " 1/0") in (True, False)


TEXT = "2*3 = 6\n6+1 = 7\n#### 7\n"


def chain_of(text: str) -> Chain:
    return Chain("p", "test", "1", text, segment(text), "line/1")


def continuation(prefix: str, j: int, text: str, verdict: str) -> Continuation:
    return Continuation("p", prefix_hash(prefix), "m", "s", j, j, text, "stop", 5, verdict=verdict)


def test_only_consistent_successes_count_towards_a_label() -> None:
    chain = chain_of("2*3 = 6\n6+1 = 7\n#### 8\n")
    drawn = by_prefix(
        [
            continuation("", 0, "1+1 = 2\n#### 2", "correct"),
            continuation("2*3 = 6\n", 0, "9-1 = 8\n#### 8", "correct"),  # does not use 6
            continuation("2*3 = 6\n", 1, "6*2 = 12\n#### 12", "wrong"),
            continuation("2*3 = 6\n6+1 = 7\n", 0, "7*2 = 14\n#### 14", "correct"),
            continuation("2*3 = 6\n6+1 = 7\n", 1, "9*2 = 18\n#### 18", "correct"),  # does not use 7
        ]
    )
    measured = [StepValue(0, 1, 1), StepValue(1, 1, 2), StepValue(2, 2, 2), StepValue(3, 0, 0, terminal="wrong")]
    counted = glore.with_consistency(chain, measured, drawn)
    assert [v.consistent for v in counted] == [1, 0, 1, None]
    assert glore.sorm_labels(measured[:2]) == (1,)
    assert glore.sorm_labels(counted[:2]) == (0,)
    assert glore.sorm_labels(counted) == (1, 1, 0)
    assert glore.first_pit(counted).step == 3


def test_the_chains_own_suffix_counts_where_right_and_consistent() -> None:
    assert glore.own_suffix(chain_of(TEXT), RIGHT) == (True, True, True)
    assert glore.own_suffix(chain_of(TEXT), WRONG) == (False, False, False)
    unused = chain_of("2*3 = 6\n4+1 = 5\n6+1 = 7\n#### 7\n")  # step 2's 5 is used by nothing
    assert glore.own_suffix(unused, RIGHT) == (True, False, False, False)
    measured = [StepValue(i, 0, 8) for i in range(4)] + [StepValue(4, 0, 0, terminal="correct")]
    assert glore.sorm_labels(measured, glore.own_suffix(unused, RIGHT)) == (1, 0, 0, 0)
    assert glore.sorm_labels(measured, (False,) * 4) == (0, 0, 0, 0)
    assert glore.sorm_labels(measured) == (1, 1, 1, 1)


def test_chance_of_a_positive_label() -> None:
    """1 − C(n−c, K)/C(n, K): of 4 draws with 1 success, 2 hold it in 3 of 6 cases."""
    assert glore.chance_of_positive(1, 4, 2) == pytest.approx(0.5)
    assert glore.chance_of_positive(0, 8) == 0
    assert glore.chance_of_positive(1, 8) == 1
    assert glore.chance_of_positive(2, 32) == pytest.approx(1 - (24 * 23) / (32 * 31))
    assert glore.chance_of_positive(3, 7) is None


# ---- GPO


def test_the_critical_step_gains_most() -> None:
    trace = values(0.25, 0.75, 0.5, n=4)  # V = 1, 1/4, 3/4, 1/2: gains −3/4, +1/2, −1/4
    assert gpo.critical_step(trace) == gpo.CriticalStep(2, 0.5)
    assert gpo.critical_step(trace, "abs_max") == gpo.CriticalStep(1, -0.75)
    assert gpo.critical_step(trace, "min") == gpo.CriticalStep(1, -0.75)
    assert gpo.critical_step(trace, "value_argmax").step == 1  # the prefix before step 1 has the highest value, 1


def test_ties_go_to_the_earliest_step() -> None:
    tied = [StepValue(0, 0, 4), StepValue(1, 1, 4), StepValue(2, 2, 4), StepValue(3, 1, 4), StepValue(4, 2, 4)]
    assert gpo.critical_step(tied).step == 1
    assert gpo.critical_step(tied, "value_argmax").step == 3
    fifths = [StepValue(0, 1, 5), StepValue(1, 2, 5), StepValue(2, 3, 5)]  # equal gains, though not as floats
    assert gpo.critical_step(fifths).step == 1


@pytest.mark.parametrize("k", [0, 4])
def test_all_equal_has_no_critical_step(k: int) -> None:
    flat = [StepValue(i, k, 4) for i in range(4)]
    for rule in ("signed_max", "abs_max", "min", "value_argmax", "random"):
        assert gpo.critical_step(flat, rule) == gpo.CriticalStep(None, None)


def test_unknown_values_have_no_advantage_and_terminal_ones_do() -> None:
    holes = [StepValue(0, 2, 4), StepValue(1, 0, 0), StepValue(2, 4, 4), StepValue(3, 0, 0, terminal="wrong")]
    assert gpo.advantages(holes) == {3: -1}
    assert gpo.critical_step(holes) == gpo.CriticalStep(3, -1.0)
    assert gpo.critical_step(holes[:3]) == gpo.CriticalStep(None, None)


def test_random_depends_on_its_seed_alone_and_reaches_every_step() -> None:
    trace = values(0.25, 0.75, 0.5)
    picks = {seed: gpo.critical_step(trace, "random", seed).step for seed in range(60)}
    assert set(picks.values()) == {1, 2, 3}
    assert picks == {seed: gpo.critical_step(trace, "random", seed).step for seed in range(60)}
