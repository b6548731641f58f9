"""Step judges of GLoRe's comparison on hand-made scores: all steps, and balanced at each prefix length."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.reproduce_cases import three_drafts
from training.reproduce import glore_judges as judges
from training.reproduce import glore_lengths as lengths
from training.reproduce.glore_data import Judged
from training.reproduce.glore_judges import Judge


@pytest.fixture(scope="module")
def drafts() -> list[Judged]:
    return three_drafts()


def test_steps_before_the_answer_and_the_answer_itself(drafts: list[Judged]) -> None:
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    assert labels == [[1, 1, None], [0, None], [1, 1, None]]
    assert judges.answers(drafts) == [[None, None, 1], [None, 0], [None, None, 1]]


def test_a_judges_row_and_a_contrast_by_hand(drafts: list[Judged]) -> None:
    good = Judge("good", [[[0.9, 0.9, 0.9], [0.1, 0.1], [0.8, 0.4, 0.9]]], [0.5])
    bad = Judge("bad", [[[0.9, 0.2, 0.1], [0.6, 0.9], [0.2, 0.9, 0.9]]], [0.5])
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    row = judges.figures(good, {"solvable": labels})
    # 3 of 4 positives and 1 of 1 negatives; every positive scores above the one negative
    assert (row["balanced, solvable"], row["AUC, solvable"], row["accuracy, solvable"]) == (87.5, 1.0, 80.0)
    assert (row["positive, solvable"], row["steps"]) == (80.0, 5)
    # the other: 2 of 4 and 0 of 1
    found = judges.contrast("good − bad", labels, good, bad, "8")
    assert found["points [95 %]"].startswith("62.5 [")
    assert (found["steps"], found["drafts"]) == (5, 3)
    last = judges.final(bad, drafts)
    # answer lines .1 (right), .9 (wrong), .9 (right): 1 of 2 and 0 of 1
    assert last["balanced, final answer"] == 25.0


def test_unscored_steps_are_bad_in_every_figure_and_counted(drafts: list[Judged]) -> None:
    """Labels 1 1 | 0 | 1 1; the first draft has no score, in one of two seeds.

    Then 2 of 4 positives and the negative are named, and of 4 pairs with the negative's .1 two are in order: .5; the
    other seed has all: 1. The negative without a score is named bad, and every positive ranks above it.
    """
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    some, whole = [[], [0.1, 0.1], [0.9] * 3], [[0.9] * 3, [0.1, 0.1], [0.9] * 3]
    row = judges.figures(Judge("some", [some, whole], [0.5, 0.5]), {"solvable": labels})
    assert (row["balanced, solvable"], row["AUC, solvable"]) == (87.5, 0.75)
    assert (row["steps"], row["unscored"]) == (5, 1.0)  # two steps before the answer line, in one seed of two
    row = judges.figures(Judge("no bad", [[[0.9] * 3, [], [0.9] * 3]], [0.5]), {"solvable": labels})
    assert (row["balanced, solvable"], row["AUC, solvable"], row["unscored"]) == (100.0, 1.0, 1)
    turned = judges.figures(Judge("turned", [[[0.1] * 3, [0.9, 0.9], [0.1] * 3]], [0.5]), {"solvable": labels})
    assert turned["AUC, solvable"] == 0.0  # every pair the wrong way round is a value, not a missing one


def test_position_knows_the_share_of_solvable_steps(drafts: list[Judged]) -> None:
    assert judges.position(drafts, drafts[:2]) == [[2 / 3, 1.0, 0.0], [2 / 3, 1.0]]


def test_balanced_at_each_length_by_hand(drafts: list[Judged]) -> None:
    """Length 1 has two positives, which weigh a half each, and one negative; length 2 has no negative and drops out."""
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    assert lengths.weights(labels) == [[0.5, 0.0, 0.0], [1.0, 0.0], [0.5, 0.0, 0.0]]
    good = Judge("good", [[[0.9, 0.9, 0.9], [0.1, 0.1], [0.8, 0.4, 0.9]]], [0.5])
    bad = Judge("bad", [[[0.9, 0.2, 0.1], [0.6, 0.9], [0.2, 0.9, 0.9]]], [0.5])
    row = lengths.figures(good, {"solvable": labels})
    assert (row["balanced, solvable"], row["AUC, solvable"]) == (100.0, 1.0)  # the .4 stands at length 2
    row = lengths.figures(bad, {"solvable": labels})
    assert (row["balanced, solvable"], row["AUC, solvable"]) == (25.0, 0.5)  # one positive of two, not the negative
    found = lengths.contrast("good − bad", labels, good, bad, "8")
    assert found["points [95 %]"].startswith("75.0 [")
    assert (found["steps"], found["drafts"]) == (3, 3)


def test_the_length_alone_is_a_coin_at_balanced_lengths() -> None:
    """Whatever it says of a length, it says of both classes alike."""
    labels = [[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]]
    for first, second, third in ((0.9, 0.9, 0.9), (0.9, 0.9, 0.1), (0.9, 0.1, 0.1), (0.1, 0.1, 0.1)):
        row = lengths.figures(Judge("position", [[[first, second, third]] * 4], [0.5]), {"solvable": labels})
        assert (row["balanced, solvable"], row["AUC, solvable"]) == (50.0, 0.5)


def test_a_chain_without_scores_is_bad_at_balanced_lengths_too(drafts: list[Judged]) -> None:
    labels = judges.before_answer(drafts, [d.solvable for d in drafts])
    row = lengths.figures(Judge("some", [[[], [0.1, 0.1], [0.9] * 3]], [0.5]), {"solvable": labels})
    assert (row["balanced, solvable"], row["AUC, solvable"]) == (75.0, 0.5)


def test_a_threshold_is_tuned_for_balanced_lengths_by_their_weights() -> None:
    """Length 1: 1, 0, 1 with scores .6, .4, .3; length 2, positives alone: .45 and .45.

    Of all steps alike .425 names 3 of 4 positives and the negative, 7/8. By weights length 2 does not count: .425 and
    .525 both name half of the positives and the negative, and .525 is nearer to a half.
    """
    three, scores = three_drafts(), [[0.6, 0.45, 0.0], [0.4, 0.0], [0.3, 0.45, 0.0]]
    assert judges.tuned(three, scores) == pytest.approx(0.425)
    assert lengths.tuned(three, scores) == pytest.approx(0.525)


def test_what_was_cut_off_ranks_last(drafts: list[Judged]) -> None:
    a = drafts[0]
    assert judges.last_score([0.2, 0.9], a) == 0.9
    assert judges.last_score([], a) == judges.UNSCORED
    cut = replace(a, row=type("Row", (), {"chain": type("Chain", (), {"terminal": False})})())
    assert judges.last_score([0.2, 0.9], cut) == judges.UNSCORED


def test_a_score_and_the_length_together_are_their_odds_multiplied() -> None:
    # odds 1 · 3 = 3, 4 · 1/4 = 1; a share of 1 is taken as .99, so odds 99 · 1/99 for a score of .01
    found = lengths.with_length([[0.5, 0.8, 0.01], []], [[0.75, 0.2, 1.0], [0.75]])
    assert found == [pytest.approx([0.75, 0.5, 0.5]), []]
    # of development drafts 1 | 0 the threshold .5 lies between .9 and .1
    a, b, _ = three_drafts()
    judge = lengths.judge_with_length(
        "x", [[[0.5] * 3]], [[[0.5] * 3, [0.5] * 2]], ([[0.75] * 3], [[0.9] * 3, [0.1] * 2]), [a, b]
    )
    assert judge.scores == [[[pytest.approx(0.75)] * 3]]
    assert judge.thresholds == [pytest.approx(0.5)]
