"""Comparing two models: numbers on trials worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stepviz import compare
from stepviz import statistics as st
from stepviz.compare import Pair, Trial
from stepviz.steps import segment
from stepviz.types import Chain, Continuation, FirstPit, StepValue, Verdict, prefix_hash

GOLD = "Tom has 3.\n3+12=15\n#### 15"
BAD = "Tom has 3.\n3+12=16\n#### 16"


def measured(*ks: int, n: int = 8, end: str | None = None) -> tuple[StepValue, ...]:
    """V[0 …] with these successes of n, and a terminal last step."""
    found = [StepValue(i, k, n) for i, k in enumerate(ks)]
    return (*found, StepValue(len(ks), 0, 0, terminal=end)) if end else tuple(found)  # type: ignore[arg-type]


def one(verdict: str, pit: int | None = None, values: tuple[StepValue, ...] = (), samples: str = "") -> Trial:
    """A trial; `samples` as "10": right, wrong."""
    pits = {"self-explore": FirstPit(pit, "self-explore", "")}
    return Trial(
        "c", verdict, steps=max(1, len(values) - 1), values=values or measured(8, 8), pits=pits, whole=True,
        samples=tuple(s == "1" for s in samples),
    )  # fmt: skip


RIGHT, WRONG = one("correct"), one("wrong", 2)


def pairs(*verdicts: str) -> list[Pair]:
    """ "rw": right before, wrong after."""
    of = {"r": RIGHT, "w": WRONG, "u": one("unknown"), "?": Trial("c", "unknown", "a set", steps=2)}
    return [Pair(str(i), "?", of[b], of[a]) for i, (b, a) in enumerate(verdicts)]


# ---- accuracy


def test_the_four_counts_and_what_follows_from_them() -> None:
    found = compare.accuracy(pairs("rr", "rr", "rr", "rw", "wr", "wr", "wr", "wr", "wr", "ww"))
    assert (found.both, found.lost, found.gained, found.neither, found.n) == (3, 1, 5, 1, 10)
    assert (found.before.value, found.after.value) == (0.4, 0.8)
    assert found.difference.value == pytest.approx(0.4)
    # of 6 that changed 1 went the other way: 2 (C(6,0) + C(6,1)) / 2^6
    assert found.p == pytest.approx(2 * 7 / 64)
    # each draw's difference is a mean of ten values with mean .4 and variance 1/10 + 5/10 - .4^2 = .44
    half = 1.96 * (0.44 / 10) ** 0.5
    assert found.difference.low == pytest.approx(0.4 - half, abs=0.08)
    assert found.difference.high == pytest.approx(0.4 + half, abs=0.08)
    # Wilson's interval of 4 of 10
    assert (found.before.low, found.before.high) == (pytest.approx(0.168, abs=0.001), pytest.approx(0.687, abs=0.001))


def test_the_interval_is_of_pairs() -> None:
    """Where the two differ nowhere, nothing is uncertain about the difference, however uncertain each is."""
    found = compare.accuracy(pairs("rr", "ww", "rr", "ww"))
    assert (found.difference.value, found.difference.low, found.difference.high, found.p) == (0, 0, 0, 1)
    assert found.before.high - found.before.low > 0.5


def test_what_was_not_judged_is_not_right_and_is_counted() -> None:
    cut = Trial("c", "unknown", steps=2, cut_off=True)
    found = compare.accuracy([*pairs("ru", "uu", "rr", "r?"), Pair("x", "?", RIGHT, cut)])
    assert (found.before.value, found.after.value) == (0.8, 0.2)
    assert (found.no_answer, found.unjudged, found.cut_off) == ((1, 2), (0, 1), (0, 1))


def test_mcnemar() -> None:
    assert st.mcnemar(0, 0) == 1
    assert st.mcnemar(3, 3) == 1
    assert st.mcnemar(0, 5) == pytest.approx(2 / 32)


# ---- pass@n


def test_pass_at_n_is_unbiased_and_paired() -> None:
    found = compare.pass_at(
        [
            Pair("a", "?", one("wrong", samples="1000"), one("wrong", samples="1100")),
            Pair("b", "?", one("wrong", samples="0000"), one("wrong", samples="1111")),
        ]
    )
    assert [row.n for row in found] == [1, 2, 4]
    # of 4 samples c are right: 1 - C(4-c, n)/C(4, n)
    assert [row.before for row in found] == [pytest.approx(x) for x in ((1 / 4) / 2, (1 / 2) / 2, 1 / 2)]
    assert [row.after for row in found] == [pytest.approx(x) for x in ((1 / 2 + 1) / 2, (5 / 6 + 1) / 2, 1.0)]
    assert found[1].difference.value == pytest.approx((5 / 6 - 1 / 2 + 1) / 2)


def test_a_problem_without_all_its_samples_is_in_no_pass_at_n() -> None:
    whole = Pair("a", "?", one("wrong", samples="100"), one("wrong", samples="111"))
    found = compare.pass_at([whole, Pair("b", "?", one("wrong"), one("wrong", samples="000"))])
    assert [(row.n, row.problems) for row in found] == [(1, 1), (2, 1), (3, 1)]
    assert compare.pass_at(pairs("rr")) == []
    assert compare.pass_at([Pair("a", "?", one("wrong", samples="1"), one("wrong", samples="1"))]) == []


# ---- pits


def test_each_class_of_pits() -> None:
    unmeasured = Trial(
        "c", "wrong", steps=3, values=measured(2, 0, n=2), pits={"self-explore": FirstPit(None, "self-explore", "")}
    )
    found = [
        Pair("vanished", "?", WRONG, RIGHT),
        Pair("new", "?", RIGHT, one("wrong", 1)),
        Pair("still", "?", one("wrong", 1), one("wrong", 3)),
        Pair("never", "?", RIGHT, RIGHT),
        Pair("undecided", "?", WRONG, unmeasured),
        Pair("undecided", "?", RIGHT, Trial("c", "unknown", steps=2)),
    ]
    for pair in found:
        assert pair.pit_class("self-explore") == pair.problem
    assert compare.pits(found, "self-explore") == {"vanished": 1, "new": 1, "still": 1, "never": 1, "undecided": 2}


def test_a_cut_off_chain_from_which_every_step_still_reaches_the_answer_has_no_pit() -> None:
    cut = Trial("c", "unknown", steps=2, cut_off=True, values=measured(8, 4, 1))
    assert Pair("p", "?", WRONG, cut).pit_class("self-explore") == "vanished"
    empty = Trial("c", "unknown", steps=0, cut_off=True, values=measured(8))
    assert Pair("p", "?", WRONG, empty).pit_class("self-explore") == "undecided"


# ---- one trial, from draws


def chain(text: str) -> Chain:
    return Chain("p", "model", "k", text, segment(text), "line/1")


def draw(of: Chain, step: int, j: int, right: bool) -> Continuation:
    verdict = "correct" if right else "wrong"
    return Continuation("p", prefix_hash(of.prefix(step)), "m", "s", j, 0, "so 15\n#### 15", "stop", 4, "15", verdict)


def test_a_trial_reads_v_and_both_pits_off_the_first_k_draws() -> None:
    bad = chain(BAD)
    draws = [draw(bad, 0, j, j < 5) for j in range(8)]
    draws += [draw(bad, 1, j, j < 2) for j in range(8)]
    draws += [draw(bad, 2, j, False) for j in range(8)] + [draw(bad, 2, 8, True)]  # the ninth is not asked for
    found = compare.trial(bad, Verdict("wrong", "", "t", "16"), draws, ["wrong", "correct"], 8, "\n")
    assert [v.value for v in found.values] == [5 / 8, 2 / 8, 0, 0]
    assert (found.pit("self-explore"), found.pits["self-explore"].evidence) == (2, "0/8")
    # "Tom has 3." is used by nobody: no trace repeats the 3, so GLoRe's rule accepts none of the two
    assert (found.pit("glore"), found.pits["glore"].evidence) == (1, "0 consistent of 2/8")
    assert (found.samples, found.whole, found.steps) == ((False, True), True, 3)
    short = compare.trial(bad, Verdict("wrong", "", "t", "16"), draws[:-8], [], 8, "\n")
    assert not short.whole


def test_without_measuring_there_are_no_values_and_a_wrong_chains_pit_is_not_known() -> None:
    found = compare.trial(chain(BAD), Verdict("wrong", "", "t", "16"), [], [], 0, "\n")
    assert found.values == ()
    assert Pair("p", "?", RIGHT, found).pit_class("self-explore") == "undecided"
    right = compare.trial(chain(GOLD), Verdict("correct", "", "t", "15"), [], [], 0, "\n")
    assert Pair("p", "?", right, right).pit_class("glore") == "never"


def test_with_two_continuations_a_step_two_failures_are_a_pit() -> None:
    bad = chain(BAD)
    draws = [draw(bad, i, j, i == 0) for i in range(3) for j in range(2)]
    found = compare.trial(bad, Verdict("wrong", "", "t", "16"), draws, [], 2, "\n")
    assert (found.pit("self-explore"), found.pits["self-explore"].evidence) == (1, "0/2")


# ---- curves


def test_a_curve_by_step_keeps_the_last_value_of_what_has_ended() -> None:
    short, long = measured(4, end="correct"), measured(8, 4, 0, end="wrong")
    found = compare.curve([Pair("a", "?", one("correct", values=short), one("wrong", 2, long))], "step")
    assert found.xs == (0, 1, 2, 3)
    assert [p.value for p in found.before] == [0.5, 1, 1, 1]
    assert [p.value for p in found.after] == [1, 0.5, 0, 0]


def test_a_curve_by_share_of_the_way() -> None:
    values = measured(8, 6, 4, 2, end="wrong")  # four steps: x .25 a step
    pair = Pair("a", "?", one("wrong", 4, values), one("correct", values=measured(4, end="correct")))
    found = compare.curve([pair], "share")
    assert found.xs == (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
    assert [p.value for p in found.before] == [1, 1, 1, 0.75, 0.75, 0.5, 0.5, 0.5, 0.25, 0.25, 0]
    assert [p.value for p in found.after] == [*[0.5] * 10, 1]


def test_a_curve_is_a_mean_over_problems_with_its_interval() -> None:
    flat = [measured(k, k) for k in (0, 8)]
    found = compare.curve(
        [Pair(str(i), "?", one("wrong", 1, v), one("wrong", 1, v)) for i, v in enumerate(flat)], "step"
    )
    point = found.before[0]
    assert (point.value, point.low, point.high) == (0.5, 0, 1)  # both problems are the same one in half of the draws
    assert found.problems == 2


def test_a_problem_that_is_not_measured_whole_is_in_no_curve() -> None:
    half = Trial("c", "wrong", steps=2, values=measured(4, 4, n=5), whole=False)
    assert compare.curve([Pair("a", "?", RIGHT, half)], "step") is None
    found = compare.curve([Pair("a", "?", RIGHT, half), Pair("b", "?", RIGHT, RIGHT)], "step")
    assert found.problems == 1


def test_a_few_long_chains_do_not_stretch_the_curve() -> None:
    long = one("wrong", 1, measured(*[1] * 40))
    found = compare.curve([Pair(str(i), "?", RIGHT, long if i == 0 else RIGHT) for i in range(40)], "step")
    assert found.xs == (0, 1)  # 39 of the 40 have ended there


# ---- statistics that are shared with the papers' comparisons


def test_auc_by_hand_with_ties() -> None:
    # positives .9 and .5, negatives .5 and .1: three pairs won, one tie
    assert st.auc([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert st.auc([1, 1], [0.9, 0.5]) is None


def test_a_difference_of_aucs_is_paired_over_problems() -> None:
    labels = [[1, 0], [1, 0]] * 20
    good, bad = [[0.9, 0.1]] * 40, [[0.1, 0.9]] * 40
    same = st.auc_difference(labels, good, good)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert st.auc_difference(labels, good, bad).value == 1
    assert st.auc_difference(labels, good, None).value == 1
    assert st.auc_difference([[1], [1]], [[0.1], [0.2]], None) is None
    mixed = [[0.9, 0.1], [0.1, 0.9]] * 20  # 40 positives: half at .9, half at .1, and the negatives the same
    assert st.auc_difference(labels, mixed, None).value == pytest.approx(0.5)


def test_means_of_columns_share_their_draws() -> None:
    rng = np.random.default_rng(1)
    column = rng.random(50)
    left, right = st.means(np.stack([column, column + 1], axis=1))
    assert right.value == pytest.approx(left.value + 1)
    assert (right.low, right.high) == (pytest.approx(left.low + 1), pytest.approx(left.high + 1))
