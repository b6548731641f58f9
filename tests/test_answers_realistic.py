"""Answers as people and models write them on GSM8K and MATH, judged by hand: right ones are not called wrong, nor wrong
ones right; where a reader could not tell either, neither can we."""

from __future__ import annotations

import pytest

from stepviz import answers
from stepviz.grader_pool import shared_pool
from stepviz.readings import read

E, D, U = "equal", "different", "unknown"


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    shared_pool().warm_up()


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("12", "twelve", E), ("12", "twelve apples", E), ("21", "twenty-one", E), ("100", "a hundred", E),
        ("12", "eleven", D), ("2/3", "two-thirds", E), ("1/2", "one half", E), ("24", "two dozen", E),
        ("0.75", "three quarters", U), ("2.5", "two and a half", U), ("2", "twice", U), ("5", "none", U),
        ("-7", "negative 7", E), ("-7", "minus seven", E), ("7", "negative seven", D),
        ("5000", "5k", E), ("5000", "$5k", E), ("1200000", "1.2M", E), ("1500", "1.5K", E), ("k+4k", "5k", E),
        ("7/2", "3½", E), ("1/3", "0.\\overline{3}", E), ("1/3", "0.333...", E), ("1/6", "0.1666…", E),
        ("0.12345", "0.12...", U), ("200 minutes", "3 hours and 20 minutes", E), ("66 inches", "5 feet 6 inches", E),
        ("200 minutes", "3 hours 30 minutes", D), ("1234.50", "1,234 dollars and 50 cents", E),
        ("5", "5 feet 6 inches", D), ("50", "50 cents", E), ("2", "130 minutes", D),
        ("2", "120 minutes", U), ("60", "1 hour", U), ("50", "$0.50", U),  # the same in a unit that is not named
        ("10", "10:00", U), ("8", "8–10", U), ("12", "(C) 12", E), ("13", "(C) 12", D),
        ("14", "14 days (2 weeks)", E), ("3", "14 days (2 weeks)", D), ("4", "4 (squared)", U), ("5", "5 = x", E),
        ("10", "7 apples + 3 pears = 10 fruits", E), ("7", "7 apples + 3 pears = 10 fruits", D),
        ("19", "a_3 = 2, a_{37} = 19", D),
    ],
)  # fmt: skip
def test_numbers_that_are_not_written_as_one(gold: str, answer: str, verdict: str):
    assert answers.equal(gold, answer).verdict == verdict
    assert answers.equal(answer, gold).verdict == verdict


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("1000 g", "1 kg", E), ("999 g", "1 kg", D), ("500 ml", "0.5 L", E), ("500 ml", "5 L", D),
        ("24 months", "2 years", E), ("12 months", "1 year", E), ("13 months", "1 year", D),
        ("2 decades", "20 years", E),
        ("1 year", "365 days", U), ("1 year", "52 weeks", U), ("1 month", "4 weeks", U),  # not exactly
        ("1 ton", "2000 pounds", U), ("1 tonne", "1000 kg", E), ("1 gallon", "4 quarts", E),
        ("1 gallon", "3 quarts", D), ("1 gallon", "4 liters", U),
        ("1 litre", "1000 cm^3", E), ("3 yd", "9 ft", E), ("2 pints", "1 quart", E),
        ("1 m^2", "10000 cm^2", E), ("1 m²", "10000 cm²", E), ("1 m^2", "100 cm^2", D), ("1 m^2", "100 cm", U),
        ("2 square feet", "288 in^2", E), ("5 square meters", "5 m^2", E), ("5 kg", "5 g", D),
        ("60 km/hr", "1 km/min", E), ("60 km/h", "60 km/min", D), ("36 km/h", "10 m/s", E), ("60 mph", "88 ft/s", E),
        ("60 mph", "60 miles per hour", E), ("$5 per hour", "5", E), ("2", "24 months", U), ("1", "10000 cm^2", U),
        ("60 minutes", "an hour", E), ("61 minutes", "an hour", D), ("7 days", "a week", E), ("60", "an hour", U),
        ("30 minutes", "half an hour", E), ("40 minutes", "half an hour", D), ("6", "half a dozen", E),
        ("100 cents", "a dollar", E), ("1.5", "one point five", E), ("1.4", "one point five", D),
        ("3.14", "three point one four", E), ("1", "one point", E), ("25", "5²", E), ("24", "5²", D),
        ("2\\sqrt{3}", "2√3", E), ("3\\sqrt{2}", "2√3", D), ("4", "√16", E), ("0.001", "10⁻³", E), ("x^2", "x²", E),
        ("5000", "5 × 10³", E), ("12", "3·4", E), ("x \\le 5", "x ≤ 5", E), ("17\\text{ m}^2", "17 m²", E),
        ("\\frac{\\pi}{4}", "45^\\circ", U), ("\\pi", "180 degrees", U), ("45^\\circ", "60^\\circ", D),
    ],
)  # fmt: skip
def test_the_same_in_other_units_and_signs(gold: str, answer: str, verdict: str):
    assert answers.equal(gold, answer).verdict == verdict
    assert answers.equal(answer, gold).verdict == verdict


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("Monday", "on Monday", U), ("\\text{no solution}", "no solutions", U), ("DNE", "does not exist", U),
        ("\\text{odd}", "odd function", U), ("Evelyn", "Bob", D), ("oddd", "odd", D), ("Monday", "Tuesday", D),
        ("6", "not 5 but 6", U), ("0.75", "0.75 or 75%", U), ("25", "25 or 26", U), ("50", "10+John's age", D),
        ("[2,5)", "2 \\le x < 5", U), ("0.5", "\\sin 30^\\circ", U), ("\\varnothing", "\\emptyset", E),
        ("$x > 5$", "Therefore $x < 5$ is the solution.", D), ("19, 46, and 82", "21, 36, and 82", D),
    ],
)  # fmt: skip
def test_words_are_no_mathematics(gold: str, answer: str, verdict: str):
    result = answers.equal(gold, answer)
    assert result.verdict == verdict, result.reason


@pytest.mark.parametrize(
    ("gold", "text", "value"),
    [
        ("5", "The answer is 5 or 6.", U), ("5", "The answer is 5, 6, and 7.", "not right"),
        ("3", "Answer: 3 hours and 20 minutes", D), ("200 minutes", "Answer: 3 hours and 20 minutes", E),
        ("1,234", "The answer is 1,234 dollars and 50 cents", D), ("8", "The answer is 8 to 10 apples.", U),
        ("8", "The answer is 8–10.", U), ("10", "The answer is 7 apples + 3 oranges = 10 fruits.", E),
        ("7", "The answer is 7 apples + 3 oranges = 10 fruits.", D), ("12", "The answer is $5 + $7 = $12.", E),
        ("12", "The answer is twelve.", E), ("6", "The answer is not 5 but 6.", U),
        ("18", "The answer is 18 dollars for 9 eggs.", E), ("12", "The answer is 12 boxes of 24 pencils.", E),
        ("25", "The answer is 25, so Tom has 25 and Jane has 30.", E), ("25", "The answer is $25 ($5 each for 5).", E),
        ("12", "The answer is 12 (3 * 4 = 12).", E), ("7", "Thus, the answer is 3 + 4 = 7.", E),
        ("1/3", "The answer is 0.333...", E), ("18", "The answer is 18...", E),
        ("17", "12 and 5.\n#### 12 + 5 = 17", E), ("12", "12 and 5.\n#### 12 + 5 = 17", D),
    ],
)  # fmt: skip
def test_what_belongs_to_a_stated_answer(gold: str, text: str, value: str):
    verdict = answers.grade(gold, text)
    if value == "not right":
        assert verdict.value != "correct"
    else:
        assert verdict.value == {E: "correct", D: "wrong", U: "unknown"}[value], (verdict.answer, verdict.reason)


@pytest.mark.parametrize(
    "text",
    [
        *("two three", "twenty ten", "twenty third", "thousand", "second", "no", "a", "5m", "3 apples and 2 pears"),
        *("20 minutes 3 hours", "x = 5, y = 6", "five more", "3.14159...", "x = 5"),
        *("one" * 200, "two-" * 60, "a " * 59, "1+" * 59 + "="),
    ],
)
def test_what_says_no_number(text: str):
    assert read(text) is None


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("5", "five, maybe six"), ("1", "one in five"), ("5", "five x two"), ("3", "three of four"), ("5", "$5m")],
)
def test_a_second_number_or_a_scale_is_not_read_past(gold: str, answer: str) -> None:
    assert answers.grade(gold, f"#### {answer}").value != "correct"


@pytest.mark.parametrize(
    ("gold", "answer"), [("5000000", "$5m"), ("12000000", "$12 M"), ("2000000000", "$2 B"), ("300", "300 K")]
)
def test_money_has_short_scales_and_kelvin_has_none(gold: str, answer: str) -> None:
    assert answers.grade(gold, f"#### {answer}").value == "correct"
