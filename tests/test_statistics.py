"""The statistics of comparisons, on tables worked out by hand."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from stepviz.svg import chart
from stepviz.types import Problem
from stepviz.world import exact_for, problem
from training.reproduce import label_errors as le
from training.reproduce import statistics as st
from training.reproduce.work import Work

# ---- judges


def test_a_judges_counts_by_hand() -> None:
    labels = [[1, 1, 0, None], [0, 0]]
    said = [[True, False, False, True], [True, False]]
    assert st.counts(labels, said).tolist() == [[1, 2, 1, 1], [0, 0, 1, 2]]
    whole = st.counts(labels, said).sum(axis=0)
    assert st.balanced(whole) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert st.accuracy(whole) == pytest.approx(3 / 5)
    assert st.balanced(np.array([3.0, 4.0, 0.0, 0.0])) == pytest.approx(3 / 4)  # no negative


def test_the_threshold_with_the_best_balanced_accuracy() -> None:
    # scores .1 0, .2 1, .3 0, .4 0, .8 1, .9 1: above .6 all negatives are named and 2 of 3 positives: 5/6
    assert st.best_threshold([0, 1, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9]) == pytest.approx(0.6)
    # equals: nothing can be cut between 0.5 and 0.5
    assert st.best_threshold([0, 1], [0.5, 0.5]) == 0.5
    # both .25 and .65 give 3/4; the one nearer to a half is taken
    assert st.best_threshold([0, 1, 0, 1], [0.2, 0.3, 0.6, 0.7]) == pytest.approx(0.65)


def test_a_threshold_of_weighted_labels() -> None:
    # the positive at .2 weighs 3, those at .8 and .9 a half each: all good is 1/2, above .1 it is 1/2 + 1/6
    # (one negative of three), and above .4, where three quarters of the positives are lost, 1/8 + 1/2
    labels, scores, weights = [0, 1, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9], [1, 3, 1, 1, 0.5, 0.5]
    assert st.best_threshold(labels, scores, weights) == pytest.approx(0.15)


def test_a_judge_worse_than_chance_is_best_called_one_way() -> None:
    # every cut between the scores is below 1/2, which all good and all bad have; 0.5 is above all of them, or below
    assert st.best_threshold([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]) == 0.5
    assert st.best_threshold([1, 1, 0, 0], [0.6, 0.7, 0.8, 0.9]) == 0.5
    # all bad is .7 or more, all good is just below .45, which is nearer to 0.5
    found = st.best_threshold([1, 0, 0], [0.45, 0.6, 0.7])
    assert found == pytest.approx(0.45)
    assert found < 0.45
    # one class alone: all good, or all bad
    assert st.best_threshold([1, 1], [0.2, 0.9]) < 0.2
    assert st.best_threshold([0, 0], [0.2, 0.9]) == 0.9
    assert st.best_threshold([], []) == 0.5


def test_what_could_not_be_scored_is_negative_at_any_threshold() -> None:
    # the two positives are unscored: 1/4 where .3 is called good, 1/2 where nothing is, and never all good
    assert st.best_threshold([1, 1, 0], [-1, -1, 0.3]) == 0.5
    # the scored ones are told apart by .6; the unscored positive costs every T the same
    assert st.best_threshold([1, 0, 1], [-1, 0.4, 0.8]) == pytest.approx(0.6)


# ---- intervals


def test_a_difference_is_paired_and_its_value_is_exact() -> None:
    a = st.ones(np.array([[1, 1, 0, 1], [1, 0, 0, 1]]))
    b = st.ones(np.array([[0, 1, 0, 0], [0, 0, 0, 1]]))
    found = st.difference(a, b, st.mean)
    assert found.value == pytest.approx((3 / 4 - 1 / 4 + 2 / 4 - 1 / 4) / 2)
    assert found.low >= 0.0  # a is never below b on any problem: no draw can turn the sign
    assert found.high <= 1.0
    same = st.difference(a, a, st.mean)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_interval_of_a_mean_is_the_binomials() -> None:
    right = np.array([[1] * 400 + [0] * 600])
    found = st.bootstrap(st.ones(right), st.mean)
    half = 1.96 * (0.4 * 0.6 / 1000) ** 0.5
    assert found.value == pytest.approx(0.4)
    assert found.low == pytest.approx(0.4 - half, abs=0.004)
    assert found.high == pytest.approx(0.4 + half, abs=0.004)
    assert found.text() == f"40.0 [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def test_seeds_are_drawn_again_too() -> None:
    apart = np.array([[1.0] * 50, [0.0] * 50])  # all of the spread is between seeds: 0, 1/2 or 1
    found = st.bootstrap(st.ones(apart), st.mean)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


# ---- best of n


def test_best_of_n_against_every_choice() -> None:
    scores, right = [0.3, 0.9, 0.9, 0.1, 0.5], [True, False, True, True, False]
    for n in (1, 2, 3, 5):
        best = [max(some, key=lambda i: (scores[i], -i)) for some in combinations(range(5), n)]
        assert st.best_of(scores, right, [n]) == [pytest.approx(sum(right[i] for i in best) / len(best))]
        hit = [any(right[i] for i in some) for some in combinations(range(5), n)]
        assert st.any_of(right, [n]) == [pytest.approx(sum(hit) / len(hit))]


def test_a_vote_is_of_each_run_of_n_samples_and_the_first_of_equals_wins() -> None:
    answers = ["7", "3", None, "7", "3", "3", None, None]
    right = [a == "7" for a in answers]
    # singly: 7 is right twice, the others are not, and None has no vote
    assert st.vote(answers, right, [1]) == [2 / 8]
    # 7 3 | – 7 | 3 3 | – –: the first of two equals, the only one, wrong, none
    assert st.vote(answers, right, [2]) == [2 / 4]
    # 7 3 – 7 | 3 3 – –, then all eight: three votes for 3 against two
    assert st.vote(answers, right, [4, 8]) == [1 / 2, 0]


# ---- wrong labels of K rollouts


def prefix(solvable: bool, right: int, consistent: int, n: int = 4, **causes: int) -> le.Measured:
    return le.Measured(solvable, n, right, consistent, Counter(causes), Counter(causes))


def test_each_cause_of_a_wrong_label_by_hand() -> None:
    chain = [prefix(True, 0, 0), prefix(True, 1, 0), prefix(False, 2, 2, repair=1, luck=1), prefix(False, 0, 0)]
    # K = 2 of 4 draws: one hit is missed with 3/6, two hits with 1/6
    found = le.errors([chain], 2, rule=False, carry_back=False)
    assert found.labels == 4
    assert found.incapacity == 1
    assert found.finite == pytest.approx(1 / 2)
    assert found.rule == 0
    assert found.false == {"repair": pytest.approx(5 / 12), "luck": pytest.approx(5 / 12)}
    assert found.positive == pytest.approx(1 / 2 + 5 / 6)
    assert found.wrong == pytest.approx(1 + 1 / 2 + 5 / 6)
    # by the rule nothing of the second prefix counts: where one of the K was right, the rule is what makes it wrong
    ruled = le.errors([chain], 2, rule=True, carry_back=False)
    assert (ruled.finite, ruled.rule) == (pytest.approx(1 / 2), pytest.approx(1 / 2))
    assert ruled.wrong == pytest.approx(1 + 1 + 5 / 6)


def test_carried_back_a_later_positive_counts() -> None:
    chain = [prefix(True, 0, 0), prefix(False, 1, 1, bypass=1), prefix(True, 2, 2), prefix(False, 0, 0)]
    found = le.errors([chain], 2, rule=False, carry_back=True)
    # misses: 1, 1/2, 1/6, 1. Step 1 is missed with 1/12, step 3 with 1/6; step 2 is called positive with 11/12,
    # of which the bypass has the weight 1/2 and the chain's own repair 5/6
    assert found.finite == pytest.approx(1 / 12 + 1 / 6)
    assert found.incapacity == 0
    assert found.false["bypass"] == pytest.approx(11 / 12 * (1 / 2) / (1 / 2 + 5 / 6))
    assert found.false["repair"] == pytest.approx(11 / 12 * (5 / 6) / (1 / 2 + 5 / 6))
    assert found.wrong == pytest.approx(1 / 12 + 1 / 6 + 11 / 12)


def test_a_row_a_k_in_per_cent() -> None:
    rows = le.table([[prefix(True, 2, 1)], [prefix(False, 0, 0)]])
    assert [r["K"] for r in rows] == [1, 2, 4] * 4  # not beyond the four draws
    one = rows[0]
    assert (one["labels"], one["positive"], one["finite K"], one["wrong"]) == (2, 25.0, 25.0, 25.0)
    last = next(r for r in rows if r["K"] == 4 and r["consistency rule"] and not r["carried back"])
    assert (last["positive"], last["wrong"]) == (50.0, 0.0)


def test_why_an_unsolvable_prefix_was_solved() -> None:
    """On a problem of the world: its reference steps, the first of them falsified."""
    p = _with_two_steps()
    judge = exact_for(p)
    assert judge is not None
    first, *rest = (p.solution or "").split("\n")
    head, _, tail = first.partition("=<<")
    expression, _, value = tail.partition("=")
    false = f"{head}=<<{expression}=7777>>7777 {value.partition('>>')[2].lstrip('0123456789. ')}"
    assert not judge.judge([false]).solvable[1]
    assert le.cause(judge, [false], [first, *rest]) == "repair"
    assert le.cause(judge, [false], [f"#### {p.answer}"]) == "luck"


def _with_two_steps() -> Problem:
    for i in range(300):
        p = problem("train", i)
        lines = (p.solution or "").split("\n")
        if p.meta["steps"] == 2 and len(lines) == 3 and lines[0].count("=<<") == 1 and "No, that" not in lines[0]:
            judge = exact_for(p)
            first = lines[0]
            assert judge is not None
            head, _, tail = first.partition("=<<")
            false = f"{head}=<<{tail.partition('=')[0]}=7777>>7777 {tail.partition('>>')[2].lstrip('0123456789. ')}"
            if not judge.judge([false]).solvable[1]:
                return p
    raise AssertionError("no such problem")


# ---- what is kept, what is drawn


def test_kept_values_are_made_anew_only_where_they_must(tmp_path: Path) -> None:
    work, made = Work(tmp_path / "w"), []

    def make() -> list[int]:
        made.append(1)
        return [len(made)]

    assert work.kept("seed-0/a", "x", make) == [1]
    assert Work(tmp_path / "w").kept("seed-0/a", "x", make) == [1]
    assert work.kept("seed-0/a", "y", make) == [2]
    assert len(made) == 2
    assert not list((tmp_path / "w").rglob("*.partial"))


def test_a_chart_holds_its_lines_and_escapes_their_names() -> None:
    svg = chart("A <b>", "n", "%", {"one & two": [(1, 40.0), (2, 50.0), (4, 55.0)], "three": [(1, 42.0), (4, 43.0)]})
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 5
    assert "one &amp; two" in svg
    assert "A &lt;b&gt;" in svg
    import xml.etree.ElementTree as tree

    assert tree.fromstring(svg).tag.endswith("svg")


def test_shares_of_labels_come_with_the_spread_of_chains() -> None:
    """Two kinds of chains, half each: all labels wrong by incapacity, or none; a share of 100 such chains is ± 10."""
    lost, good = [prefix(True, 0, 0)] * 3, [prefix(True, 4, 4)] * 3
    (row,) = [r for r in le.table([lost, good] * 50, sizes=(4,)) if not r["carried back"] and not r["consistency rule"]]
    assert (row["wrong"], row["incapacity"], row["finite K"]) == (50, 50, 0)
    value, low, high = (float(x.strip("[],")) for x in row["incapacity, % [95 %]"].split())
    assert value == 50
    assert low == pytest.approx(50 - 9.8, abs=1.6)
    assert high == pytest.approx(50 + 9.8, abs=1.6)
    assert row["finite K, % [95 %]"] == "0.0 [0.0, 0.0]"
