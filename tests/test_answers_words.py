"""Words beside a number that change it, and times of day: never equal by the digits alone."""

from __future__ import annotations

import pytest

from stepviz import answers
from stepviz.grader_pool import shared_pool
from stepviz.numbers import read_number


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    shared_pool().warm_up()


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("5 p.m.", "5 a.m.", "different"),
        ("5 pm", "5 PM", "equal"),
        ("5 p.m.", "5:00 pm", "equal"),
        ("5 p.m.", "17:00", "equal"),
        ("5:00", "5 p.m.", "equal"),
        ("5", "5 p.m.", "equal"),  # half of the day on one side only
        ("6", "5 p.m.", "different"),
        ("12 a.m.", "12 p.m.", "different"),
        ("12 noon", "12 p.m.", "equal"),
        ("0:30", "12:30 a.m.", "equal"),
        ("5 in the morning", "5 in the evening", "different"),
        ("5 p.m. on Friday", "5 a.m. on Friday", "different"),
        ("5 o'clock", "5 p.m.", "equal"),
        ("5 p.m.", "5 apples", "unknown"),
        ("5 p.m.", "5 m", "unknown"),
        ("65 a.m.", "65 p.m.", "unknown"),
        ("5:30 p.m.", "so it is\n5:30 a.m.", "unknown"),
        ("17:00", "5:00 a.m.", "different"),
    ],
)
def test_times_of_day(gold: str, answer: str, verdict: str):
    assert answers.equal(gold, answer).verdict == verdict
    assert answers.equal(answer, gold).verdict == verdict


@pytest.mark.parametrize(
    "text",
    [
        "#### 5 a.m.",
        "The answer is 5 a.m.",
        "The answer is 5 a.m. on Friday.",
        "Final answer: The train leaves at 5 a.m.",
        "The train leaves at 5 a.m.",
    ],
)
def test_half_a_day_is_not_lost_on_the_way(text: str):
    assert answers.grade("5 p.m.", text, "auto").value != "correct"
    assert answers.equal("5 p.m.", text).verdict != "equal"
    assert answers.equal("5 a.m.", text).verdict == "equal"


def test_half_a_day_on_the_last_line():
    assert [answers.grade(gold, "so it is\n5 a.m.").value for gold in ("5 a.m.", "5 p.m.", "5")] == [
        *("correct", "wrong", "correct")
    ]
    assert answers.equal("5 p.m.", "so it is\n5 a.m.").verdict == "unknown"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("4", "4 squared"),
        ("4", "$4$ squared"),
        ("4", "4-squared"),
        ("4", "4 (squared)"),
        ("4", "4 \\text{ cubed}"),
        ("5", "5 factorial"),
        ("10", "10 below zero"),
        ("10", "10 degrees below zero"),
        ("5", "5 negative"),
        ("5", "5 less"),
        ("5", "5 more apples"),
        ("5", "5 or more"),
        ("5", "5 over"),
        ("5", "5 under par"),
        ("20", "20% less"),
        ("3", "3 quarters"),
        ("1", "1 third"),
        ("7", "7 hundredths"),
        ("0.3", "0.3 repeating"),
        ("5", "5 doubled"),
        ("5", "5 lakh"),
        ("2", "2 million million"),
        ("4", "The answer is 4 squared."),
        ("10", "The answer is 10 below zero, so it is cold"),
        ("10", "It is 10 degrees below zero outside"),
        ("5", "The final value is negative 5 dollars"),
        ("25", "It is the square root of 25"),
        ("5", "There are more than 5 dogs"),
        ("4", "so\n#### 4 squared"),
    ],
)
def test_words_that_change_a_number_are_no_units(gold: str, answer: str):
    result = answers.equal(gold, answer)
    assert result.verdict != "equal"
    assert result.reason
    assert answers.equal(answer, gold).verdict != "equal"
    assert answers.equal(answer, answer).verdict == "equal"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        *(("5", f"{relation} 5") for relation in (">", "<", "\\ge", "\\geq", "\\leqslant", "\\neq", "≥")),
        *(("5", answer) for answer in ("5 (or 6)", "5 (wrong; 6)", "5 (6)", "5 (approx. 6)", "5 (maybe)", "5..6")),
        *(("5", answer) for answer in ("5+", "5 days (or 6 days)", "5 (or 6 m)", "5 (or 500)")),
        *(
            ("5", answer)
            for answer in ("5 -", "$5 + tax", "5+ apples", "5‰", "5 per mille", "5 ppm", "5 \\ldots", "5…")
        ),
        *(("5", answer) for answer in ("5...6", "5?", "5'", "5^", "5/", "5 =", "5~6", "5 tens", "five past two")),
        *(("2\\sqrt{3}", answer) for answer in ("> 2\\sqrt{3}", "2\\sqrt{3} +", "2\\sqrt{3} \\ldots")),
        *(("50", answer) for answer in ("5 tens", "five tens")),
        *(("1/2", "half past two"), ("5", "5 past two"), ("10", "10 past")),
        *(("5", f"The answer is {answer}.") for answer in ("5 (or 6)", "5 (wrong; 6)", "> 5", "$5 + tax", "5‰", "5+")),
        ("5", "There are 5+ dogs in the yard now"),
        ("5", "There are > 5 dogs in the yard"),
    ],
)
def test_marks_that_change_a_number_are_not_dropped(gold: str, answer: str):
    for result in (answers.equal(gold, answer), answers.equal(answer, gold)):
        assert result.verdict != "equal", result.reason
        assert result.reason
    assert answers.grade(gold, f"#### {answer}").value != "correct"


@pytest.mark.parametrize("tens", ["5 tens", "five tens"])
def test_tens_are_not_called_wrong_either(tens: str):
    assert answers.equal("50", tens).verdict == "unknown"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("14", "14 days (2 weeks)"),
        ("5", "5 (five)"),
        ("5", "5 (not 6)"),  # says 5
        ("5", "5 (correct)"),
        ("0.5", "1/2 (or 0.5)"),
        ("40%", "40% (or 0.4)"),
        ("14", "14 days (or 2 weeks)"),
        ("25", "25 miles (about 40 km)"),
        ("25", "The answer is $25 ($5 each for 5)."),
        ("5", "x = 5"),
        ("5", "\\sqrt{25}"),
        ("5", "5 pairs of socks"),
        ("1/2", "half of the cake"),
        ("18", "The answer is 18..."),  # a sentence that trails off
    ],
)
def test_what_changes_nothing_is_still_read_past(gold: str, answer: str):
    assert answers.equal(gold, answer).verdict == "equal"


@pytest.mark.parametrize(
    ("text", "value"), [("2 dozens", 24), ("3 hundreds", 300), ("5 thousands of dollars", 5000), ("4 seconds", 4)]
)
def test_a_scale_may_be_a_plural(text: str, value: int):
    number = read_number(text)
    assert number is not None
    assert number.value == value
