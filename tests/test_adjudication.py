"""Where people disagree, worked by hand; and what a form of an admin settles."""

from __future__ import annotations

import pytest

from stepviz.adjudication import Conflict, Parting, Turn, agreed, conflict, settled
from stepviz.errors import StepvizError


def turn(name: str, *correct: int | None, solvable: tuple[int | None, ...] = (), flags: tuple[str, ...] = ()) -> Turn:
    """Ratings of step 1, 2, …"""
    ratings = {"correct": dict(enumerate(correct, 1)), "solvable": dict(enumerate(solvable, 1))}
    return Turn(name, ratings, flags)


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [turn("ana", 1, -1)],  # one person disagrees with nobody
        [turn("ana", 1, 1, 1), turn("bob", 1, 1, 1)],
        [turn("ana", 1, -1), turn("bob", 1, -1, 1)],  # behind the first error nothing counts
        [turn("ana", 1, -1, -1), turn("bob", 1, -1, 1)],
        [turn("ana", 1, None, 1), turn("bob", 1, -1)],  # who is unsure disagrees with nobody
        [turn("ana", 1), turn("bob", 1, -1)],  # nor does who stopped before
        [turn("ana", 1, solvable=(1, 1)), turn("bob", 1, solvable=(1, 1))],
    ],
)
def test_no_conflict(turns: list[Turn]) -> None:
    assert conflict(turns, 3) is None


def test_the_first_error_elsewhere() -> None:
    """ana sees it at 2, bob at 3, eve nowhere: at 2 it is −1 against +1, at 3 −1 against +1."""
    turns = [turn("ana", 1, -1), turn("bob", 1, 1, -1), turn("eve", 1, 1, 1)]
    found = conflict(turns, 3)
    assert found == Conflict((Parting("correct", ((2, (1, -1)), (3, (1, -1))), (0, 2, 3)),))
    assert found.words() == ["correct: first error none, 2 or 3"]
    assert found.steps == {("correct", 2), ("correct", 3)}


def test_a_step_alone_where_no_first_error_is_known() -> None:
    """bob has not rated step 1, so where he sees the first error is not known; he still calls 2 wrong."""
    found = conflict([turn("ana", 1, 1, 1), turn("bob", None, -1)], 3)
    assert found == Conflict((Parting("correct", ((2, (1, -1)),)),))
    assert found.words() == ["correct, step 2: +1 or −1"]


def test_helpful_against_neutral_is_a_conflict_and_no_error_is_in_it() -> None:
    found = conflict([turn("ana", 1, 0, 1), turn("bob", 1, 1, 0)], 3)
    assert found.words() == ["correct, step 2: +1 or 0 and 1 more"]
    assert found.parts[0].firsts == ()


def test_solvable_is_asked_behind_an_error_too() -> None:
    """A repair at step 3 brings it back: ana sees that, bob does not."""
    found = conflict([turn("ana", solvable=(1, -1, 1)), turn("bob", solvable=(1, -1, -1))], 3)
    assert found == Conflict((Parting("solvable", ((3, (1, -1)),)),))
    assert found.words() == ["solvable, step 3: +1 or −1"]


def test_a_flag_of_one_person_is_a_conflict() -> None:
    found = conflict([turn("ana", 1, 1, flags=("bad_problem",)), turn("bob", 1, 1)], 2)
    assert found == Conflict((), (("bad_problem", "ana"),))
    assert found.words() == ["flagged bad problem"]


def test_what_all_agree_on_who_speak() -> None:
    """Step 1: both +1; 2: ana unsure, bob +1; 3: they differ; 4: ana's is behind her error, and bob says 0."""
    turns = [turn("ana", 1, None, -1, 1), turn("bob", 1, 1, 1, 0)]
    assert agreed(turns, "correct", 4) == {1: 1, 2: 1}
    turns = [turn("ana", solvable=(1, -1, 1)), turn("bob", solvable=(1, 1, 1))]
    assert agreed(turns, "solvable", 3) == {1: 1, 3: 1}


def test_a_form_is_read() -> None:
    sent = {"correct-1": "1", "correct-2": "-1", "correct-3": "", "solvable-1": "unsure", "decides": "2", "other": "x"}
    labels = settled(sent, ["correct", "solvable", "decides"], 3, "  6 times 24 is 144 ")
    assert [(x.question, x.step, x.value, x.note) for x in labels] == [
        ("correct", 1, 1, ""), ("correct", 2, -1, "6 times 24 is 144"),
        ("solvable", 1, None, ""), ("decides", 0, 2, ""),
    ]  # fmt: skip
    assert [x.question for x in settled(sent, ["correct"], 3)] == ["correct", "correct"], "only what the study asks"
    assert settled({"correct-4": "1"}, ["correct"], 3) == []


def test_a_note_stands_with_the_last_rating_where_no_step_is_wrong() -> None:
    labels = settled({"correct-1": "1", "correct-2": "1"}, ["correct"], 2, "all well")
    assert [x.note for x in labels] == ["", "all well"]


@pytest.mark.parametrize(
    ("sent", "note", "why"),
    [
        ({"correct-1": "2"}, "", "1, 0, -1 or unsure, not 2"),
        ({"solvable-1": "0"}, "", "1, -1 or unsure, not 0"),
        ({"decides": "9"}, "", "no step 9"),
        ({"decides": "²"}, "", "no step ²"),
        ({"correct-1": "1"}, "x" * 10_001, "at most 10,000"),
    ],
)
def test_what_cannot_be_settled(sent: dict[str, str], note: str, why: str) -> None:
    with pytest.raises(StepvizError, match=why):
        settled(sent, ["correct", "solvable", "decides"], 3, note)
