"""What a refinement changed, step by step and word by word; expectations marked by hand with «…»."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest

from stepviz.ui import differences as module
from stepviz.ui.common_words import Looks, in_common
from stepviz.ui.differences import compared, differences, words_changed


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
        ("one two three", "1 2 three", "«one two» three", "«1 2» three"),
        ("a  b\tc", "a b c", "a  b\tc", "a b c"),
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


# ---- bounded work


def hard(seed: int, steps: int = 20, words: int = 190) -> list[str]:
    """Steps of a few words in any order: all are a little alike, and none is the same."""
    some = random.Random(seed)
    return [" ".join(some.choice(("so", "he", "has", "3", "of", "them")) for _ in range(words)) for _ in range(steps)]


def test_twenty_by_twenty_long_steps_are_few_looks_and_the_rest_is_marked_whole() -> None:
    draft, refined = hard(1), hard(2)
    looks = Looks(module.LOOKS)
    started = time.thread_time()
    left, right = compared(draft, refined, False, looks)
    assert module.LOOKS == 200_000
    assert looks.left >= 0
    assert time.thread_time() - started < 3  # 5 s before the looks were counted; 0.05 s now
    whole = [((0, len(step)),) for step in draft]
    assert left.changed[-1] == whole[-1]
    assert not any(left.same + right.same)
    partly = [len(ranges) > 1 for ranges in left.changed]
    assert partly[0]
    assert partly == sorted(partly, reverse=True)  # as long as the looks last, word by word


def test_without_a_look_left_every_change_is_whole_and_equal_steps_at_one_place_stay() -> None:
    draft, refined = ["He has 3.", "3+12=16", "#### 16"], ["He has 3.", "3+12=15", "#### 15"]
    left, right = compared(draft, refined, False, Looks(0))
    assert (left.same, right.same) == ((True, False, False),) * 2
    assert left.changed == ((), ((0, 7),), ((0, 7),))


def test_more_text_than_is_compared_still_says_which_steps_stay() -> None:
    long = ["word " * 15_000, "3+12=16", "stays"]
    left, right = differences(long, ["other " * 15_000, "3+12=15", "stays"])
    assert (left.same, left.changed[1]) == ((False, False, True), ((0, 7),))
    assert right.changed[2] == ()


def test_a_pair_of_chains_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[str]] = []

    def counted(draft: Sequence[str], *rest: object) -> object:
        seen.append(draft)
        return compared(draft, *rest)

    monkeypatch.setattr(module, "compared", counted)
    draft, refined = ["only here: 3+12=16"], ["only here: 3+12=15"]
    first = differences(draft, refined)
    assert differences(list(draft), list(refined)) == first
    assert len(seen) == 1
    differences(draft, ["only here: 3+12=14"])
    differences(draft, refined, tex=True)
    assert len(seen) == 3


def longest(a: str, b: str) -> int:
    """The textbook's table."""
    row = [0] * (len(b) + 1)
    for x in a:
        above = row[:]
        for j, y in enumerate(b):
            row[j + 1] = above[j] + 1 if x == y else max(above[j + 1], row[j])
    return row[-1]


def test_what_is_in_common_is_a_longest_common_subsequence() -> None:
    some = random.Random(3)
    for _ in range(400):
        a, b = ("".join(some.choice("abcd") for _ in range(some.randrange(12))) for _ in "ab")
        found = in_common(a, b, Looks(10_000))
        assert found is not None
        assert [a[i] for i, _ in found] == [b[j] for _, j in found]
        assert all(i < k and j < m for (i, j), (k, m) in pairwise(found))
        assert len(found) == longest(a, b), (a, b)


def test_looks_are_counted_and_too_many_are_refused() -> None:
    looks = Looks(100)
    assert in_common("abc", "abc", looks) == [(0, 0), (1, 1), (2, 2)]
    assert 100 - looks.left == 6 + 4  # each item once to see what stands on both sides, then one diagonal of three
    assert in_common("ab" * 30, "ba" * 30, looks) is None
    assert not looks.take(looks.left + 1)
