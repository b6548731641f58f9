"""What a refinement changed, step by step and word by word; expectations marked by hand with «…»."""

from __future__ import annotations

import pytest

from stepviz.ui.differences import differences, words_changed


def marked(text: str, ranges: tuple[tuple[int, int], ...]) -> str:
    for start, end in reversed(ranges):
        text = f"{text[:start]}«{text[start:end]}»{text[end:]}"
    return text


@pytest.mark.parametrize(
    "before, after, left, right",
    [
        ("3+12=16 apples", "3+12=15 apples", "3+12=«16» apples", "3+12=«15» apples"),
        ("He has 1,200 cows.", "He has 1,250 cows.", "He has «1,200» cows.", "He has «1,250» cows."),
        ("6*2=<<6*2=12>>12", "6*3=<<6*3=18>>18", "6*«2»=«<<6*2=12>>12»", "6*«3»=«<<6*3=18>>18»"),
        ("She sells.", "She never sells.", "She sells.", "She «never» sells."),
        ("a b c", "a c", "a «b» c", "a c"),
        ("same", "same", "same", "same"),
        ("", "new words", "", "«new words»"),
        ("costs $5 now", "costs $6 now", "costs $«5» now", "costs $«6» now"),
    ],
)
def test_words(before: str, after: str, left: str, right: str) -> None:
    a, b = words_changed(before, after)
    assert (marked(before, a), marked(after, b)) == (left, right)


def test_a_formula_changes_as_a_whole() -> None:
    a, b = words_changed(r"So $\frac{1}{2}$ it is", r"So $\frac{1}{3}$ it is", tex=True)
    assert marked(r"So $\frac{1}{2}$ it is", a) == r"So «$\frac{1}{2}$» it is"
    assert marked(r"So $\frac{1}{3}$ it is", b) == r"So «$\frac{1}{3}$» it is"


def test_steps_that_stay_are_the_same_wherever_they_stand() -> None:
    draft = ["Tom has 3 apples.", "3+12=16", "#### 16"]
    refined = ["Tom has 3  apples. ", "He buys 12.", "3+12=15", "#### 15"]
    left, right = differences(draft, refined)
    assert left.same == (True, False, False)
    assert right.same == (True, False, False, False)
    assert [marked(draft[i], left.changed[i]) for i in (1, 2)] == ["3+12=«16»", "#### «16»"]
    assert [marked(refined[i], right.changed[i]) for i in (1, 2, 3)] == ["«He buys 12.»", "3+12=«15»", "#### «15»"]


def test_what_has_no_counterpart_is_new_as_a_whole() -> None:
    left, right = differences(["a", "b", "c"], ["a", "c", "and d"])
    assert (left.same, right.same) == ((True, False, True), (True, True, False))
    assert (marked("b", left.changed[1]), marked("and d", right.changed[2])) == ("«b»", "«and d»")


def test_nothing_and_very_long_steps() -> None:
    assert differences([], ["x"])[1].changed == (((0, 1),),)
    long = "word " * 5000
    left, _ = differences([long], [long + "more"])
    assert left.changed == (((0, len(long) - 1),),)
