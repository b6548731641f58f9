"""The exact judge against cases worked by hand (design.md, section 5)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from stepviz.world.graph import Derivation, Graph, Quantity
from stepviz.world.judge import ExactJudge, Judgement

# Ann has 6 bags with 24 beads each: 18 red and 6 blue ones. She gives 12 away and sells the rest for $2 each.
# 45 is a distractor. Two routes to Ann's beads: 6*24, or (6*18) + (6*6).
GRAPH = Graph(
    quantities=(
        Quantity("bags", Fraction(6), given=True),  # 0
        Quantity("red beads a bag", Fraction(18), given=True),  # 1
        Quantity("blue beads a bag", Fraction(7), given=True),  # 2
        Quantity("beads in each bag", Fraction(25)),  # 3
        Quantity("red beads in all", Fraction(108)),  # 4
        Quantity("blue beads in all", Fraction(42)),  # 5
        Quantity("Ann's beads", Fraction(150)),  # 6
        Quantity("beads given away", Fraction(12), given=True),  # 7
        Quantity("beads left", Fraction(138)),  # 8
        Quantity("years of Tom", Fraction(45), given=True, distractor=True),  # 9
        Quantity("packets", Fraction(13)),  # 10: bags + blue a bag, of no use
    ),
    derivations=(
        Derivation(3, "#1+#2", "add"),
        Derivation(4, "#0*#1", "times"),
        Derivation(5, "#0*#2", "times"),
        Derivation(6, "#0*#3", "times"),
        Derivation(6, "#4+#5", "add"),
        Derivation(8, "#6-#7", "take", ("#6+#7",)),
        Derivation(10, "#0+#2", "add"),
    ),
    target=8,
)


def judge(*steps: str) -> Judgement:
    return ExactJudge(GRAPH).judge(steps)


def step(expression: str, value: int, name: str) -> str:
    return f"{expression}=<<{expression}={value}>>{value} {name}"


def test_a_right_chain_by_either_route() -> None:
    first = judge(
        step("18+7", 25, "beads in each bag"),
        step("6*25", 150, "Ann's beads"),
        step("150-12", 138, "beads left"),
        "#### 138",
    )
    assert [s.correct for s in first.steps] == [True] * 4
    assert [s.progress for s in first.steps] == [True] * 4
    assert first.solvable == (True,) * 5
    assert (first.right, first.first_error, first.exact_pit, first.lucky) == (True, None, None, False)
    second = judge(
        step("18*6", 108, "red beads in all") + "; " + step("6*7", 42, "blue beads in all"),
        step("42+108", 150, "Ann's beads"), step("150-12", 138, "beads left"), "#### 138",
    )  # fmt: skip
    assert second.right
    assert second.first_error is None
    assert len(second.steps[0].assertions) == 2


def test_a_slip_is_invalid_and_what_follows_is_inherited() -> None:
    j = judge(
        step("18+7", 26, "beads in each bag"),
        step("6*26", 156, "Ann's beads"),
        step("156-12", 144, "beads left"),
        "#### 144",
    )
    assert [s.correct for s in j.steps] == [False] * 4
    assert [s.valid for s in j.steps] == [False, True, True, True]
    assert [s.inherited for s in j.steps] == [False, True, True, True]
    # 26 in each bag is wrong, but red and blue beads in all still lead to Ann's beads: recoverable.
    assert j.solvable == (True, True, False, False, False)
    assert (j.first_error, j.exact_pit, j.first_unsolvable) == (1, 2, 2)


def test_recoverable_by_the_other_route_is_lucky_when_it_ends_right() -> None:
    j = judge(
        step("18+7", 26, "beads in each bag"),
        step("6*18", 108, "red beads in all"), step("6*7", 42, "blue beads in all"),
        step("108+42", 150, "Ann's beads"), step("150-12", 138, "beads left"), "#### 138",
    )  # fmt: skip
    assert j.solvable == (True,) * 7
    assert j.lucky
    assert (j.first_error, j.exact_pit) == (1, None)
    assert j.steps[1].progress


def test_a_repair_makes_it_solvable_again_and_the_pit_is_the_last_fall() -> None:
    j = judge(
        step("18+7", 25, "beads in each bag"), step("6*25", 140, "Ann's beads"),
        "No, that is wrong. " + step("6*25", 150, "Ann's beads"),
        step("150+12", 162, "beads left"), "#### 162",
    )  # fmt: skip
    assert j.solvable == (True, True, False, True, False, False)
    assert j.steps[2].repair
    assert j.steps[2].correct
    assert (j.first_error, j.exact_pit, j.first_unsolvable) == (2, 4, 2)


def test_a_true_step_that_leads_nowhere_or_was_known_is_no_error() -> None:
    j = judge(step("6+7", 13, "packets"), step("18+7", 25, "beads in each bag"), step("7+18", 25, "beads in each bag"))
    assert [s.correct for s in j.steps] == [True] * 3
    assert [s.progress for s in j.steps] == [False, True, False]
    assert not j.finished
    assert j.exact_pit is None


def test_answer_lines() -> None:
    stop = judge(step("18+7", 25, "beads in each bag"), step("6*25", 150, "Ann's beads"), "#### 150")
    assert stop.steps[-1].reason == "premature stop: 150 is Ann's beads"
    assert not stop.steps[-1].inherited
    assert stop.exact_pit == 3
    guessed = judge("#### 138")
    assert guessed.right
    assert not guessed.steps[0].correct  # C does not hold it
    assert guessed.lucky
    copied = judge(
        step("18+7", 25, "beads in each bag"),
        step("6*25", 150, "Ann's beads"),
        step("150-12", 137, "beads left"),
        "#### 137",
    )
    assert copied.steps[-1].inherited
    assert copied.exact_pit == 3


def test_a_distractor_and_a_strange_number_are_named() -> None:
    assert judge(step("150-45", 105, "beads left")).steps[0].reason == "a distractor was used: years of Tom"
    assert "77 is neither given nor derived" in judge(step("77-12", 65, "beads left")).steps[0].reason
    assert judge(step("18+7", 26, "beads in each bag")).steps[0].reason == "18+7 is 25, not 26"


def test_the_number_shown_after_the_mark_must_be_the_marks_number() -> None:
    j = judge("18+7=<<18+7=25>>52 beads in each bag")
    assert not j.steps[0].valid
    assert j.steps[0].assertions[0].value == 52


@pytest.mark.parametrize(
    "text", ["", "I do not know.", "<<=>>", "<<9**9**9=1>>", "<<((((((((((((((((((((1=1>>", "#### x"]
)
def test_unreadable_steps_have_their_own_verdict(text: str) -> None:
    j = judge(text)
    assert not j.steps[0].correct
    if "**" not in text and "(((" not in text:
        assert not j.steps[0].readable


@pytest.mark.parametrize(
    "line", ["#### 5/0", "#### 2.5/0", "#### " + "9" * 5000, "<<3+5=8>>8/0", "<<3+5=1e1000000>>8", "<<1/0=1>>1"]
)
def test_numbers_that_are_none_harm_nothing(line: str) -> None:
    j = judge(line)
    assert not j.right
    assert not j.steps[0].correct


def test_nothing_after_the_answer_changes_the_pit() -> None:
    j = judge(step("18+7", 25, "beads in each bag"), "#### 999", "Thank you.", step("6*25", 150, "Ann's beads"))
    assert j.solvable == (True, True, False, False, False)
    assert j.exact_pit == 2
    right = judge(step("18+7", 25, "beads in each bag"), "#### 138", step("6*25", 1, "Ann's beads"))
    assert right.solvable == (True, True, True, True)


def test_progress_is_one_assertion_that_is_new_and_of_use() -> None:
    j = judge(
        step("18+7", 25, "beads in each bag"), step("18+7", 25, "beads in each bag") + "; " + step("6+7", 13, "packets")
    )
    assert j.steps[1].correct
    assert not j.steps[1].progress


def test_an_unreadable_step_is_no_first_error() -> None:
    j = judge(
        "Hello.",
        step("18+7", 25, "beads in each bag"),
        step("6*25", 150, "Ann's beads"),
        step("150-12", 138, "beads left"),
        "#### 138",
    )
    assert (j.first_error, j.lucky, j.right) == (None, False, True)


def test_plain_equations_are_read_too() -> None:
    assert judge("So there are 18 + 7 = 25 beads in each bag.").steps[0].correct


def test_a_misreading_without_a_name_is_held_against_what_it_misreads() -> None:
    j = judge(step("18+7", 25, "beads in each bag"), step("6*25", 150, "Ann's beads"), "So 150+12=162.", "#### 162")
    assert j.solvable == (True, True, True, False, False)
    assert (j.first_error, j.exact_pit) == (3, 3)


def test_a_part_under_the_name_of_the_whole_is_false() -> None:
    j = judge(step("6*18", 108, "Ann's beads"), step("108-12", 96, "beads left"), "#### 96")
    assert j.steps[0].reason == "108 is red beads in all, not yet Ann's beads"
    assert (j.first_error, j.exact_pit) == (1, 1)
    assert j.steps[1].inherited


def test_siblings_that_swap_their_names_are_told_by_their_numbers() -> None:
    j = judge(
        step("6*18", 108, "blue beads in all"),
        step("6*7", 42, "red beads in all"),
        step("108+42", 150, "Ann's beads"),
        step("150-12", 138, "beads left"),
        "#### 138",
    )
    assert j.right
    assert j.first_error is None
    assert [s.reason for s in j.steps[:3]] == [
        "its numbers are red beads in all",
        "its numbers are blue beads in all",
        "",
    ]


def test_what_is_for_a_quantity_is_not_the_quantity() -> None:
    j = judge(
        step("18+7", 25, "beads in each bag"),
        step("6*25", 150, "Ann's beads"),
        "The dollars for Ann's beads are 150*2=<<150*2=300>>300.",
        step("150-12", 138, "beads left"),
        "#### 138",
    )
    assert [s.correct for s in j.steps] == [True, True, False, True, True]
    assert j.solvable == (True,) * 6
    assert j.lucky


# Ann has 90 beads; Tom takes 24 of them and Ben 36.
TAKEN = Graph(
    quantities=(
        Quantity("Ann's beads", Fraction(90), given=True),
        Quantity("beads for Tom", Fraction(24), given=True),
        Quantity("beads for Ben", Fraction(36), given=True),
        Quantity("beads taken", Fraction(60)),
        Quantity("beads after Tom", Fraction(66)),
        Quantity("beads still there", Fraction(30)),
    ),
    derivations=(
        Derivation(3, "#1+#2", "add"),
        Derivation(4, "#0-#1", "take"),
        Derivation(5, "#0-#3", "take", ("#0+#3",)),
        Derivation(5, "#4-#2", "take"),
    ),
    target=5,
)


@pytest.mark.parametrize(
    "steps", [["24+36=60", "90-60=30"], ["90-24=66", "66-36=30"], ["90-36=54", "54-24=30"]], ids=["both", "Tom", "Ben"]
)
def test_two_things_are_taken_away_in_any_order(steps: list[str]) -> None:
    j = ExactJudge(TAKEN).judge([*steps, "#### 30"])
    assert j.right
    assert all(s.correct and s.progress for s in j.steps)
