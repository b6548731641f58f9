"""sorm and its three post-processings, soft labels, and human or exact step labels: hand-worked."""

from __future__ import annotations

import pytest

from stepviz import recipes
from stepviz.errors import StepvizError
from stepviz.recipes import MASK, Attempt, Case, Dropped, PrefixBalance, Sorm, Stepwise
from stepviz.steps import segment
from stepviz.types import Annotation, Chain, Verdict
from stepviz.world import problem as world_problem
from tests.recipe_cases import attempt, case, chain, labels

# A wrong chain whose raw labels at K = 2 are 0, 1, 0 and then its wrong answer.
LOST = "2*3=6\n6-4=2\n2+7=9\n#### 9"
AFTER = {
    "2*3=6\n": ("no idea\n#### 9", "no idea\n#### 8"),
    "2*3=6\n6-4=2\n": ("2+8=10\n#### 10", "2+1=3\n#### 3"),
    "2*3=6\n6-4=2\n2+7=9\n": ("#### 9", "9-9=0\n#### 0"),
}
RAW = Sorm(k=2, consistent=False, carry_back=False, balance=False)


def sorm(options: Sorm, *attempts: Attempt, **fields: object) -> list[dict]:
    return list(recipes.sorm(case(*attempts, **fields), options, Dropped()))


def test_any_right_continuation_makes_a_positive_and_a_positive_is_carried_back():
    assert labels(sorm(RAW, attempt(LOST), rollouts=AFTER)) == [[0, 1, 0, 0]]
    carried = Sorm(k=2, consistent=False, balance=False)
    assert labels(sorm(carried, attempt(LOST), rollouts=AFTER)) == [[1, 1, 0, 0]]


def test_only_consistent_verifiers_count():
    """After 2*3=6, 6-4=2 the right trace 2+8=10 uses 6 (in step 2) and 2; one that computes 3+7 uses neither."""
    consistent = Sorm(k=2, balance=False)
    assert labels(sorm(consistent, attempt(LOST), rollouts=AFTER)) == [[1, 1, 0, 0]]
    bypass = {**AFTER, "2*3=6\n6-4=2\n": ("3+7=10\n#### 10", "2+1=3\n#### 3")}
    assert labels(sorm(consistent, attempt(LOST), rollouts=bypass)) == [[0, 0, 0, 0]]
    assert labels(sorm(Sorm(k=2, consistent=False, balance=False), attempt(LOST), rollouts=bypass)) == [[1, 1, 0, 0]]
    # "2" stands in "12" for the paper's plain string, and is no number there
    inside = {**AFTER, "2*3=6\n6-4=2\n": ("12-3=9\n9+1=10\n#### 10", "#### 3")}
    assert labels(sorm(consistent, attempt(LOST), rollouts=inside)) == [[0, 0, 0, 0]]
    assert labels(sorm(Sorm(k=2, plain=True, balance=False), attempt(LOST), rollouts=inside)) == [[1, 1, 0, 0]]


def test_the_last_result_alone_may_have_to_be_used():
    """After 2*3=6, 6-4=2 a trace that uses the 2 counts, although 5, of a step put before, is used nowhere."""
    last, every = (Sorm(k=2, results=r, balance=False) for r in ("last", "every"))
    needless = {"4+1=5\n" + prefix: traces for prefix, traces in AFTER.items()}
    assert labels(sorm(every, attempt("4+1=5\n" + LOST), rollouts=needless)) == [[MASK, 0, 0, 0, 0]]
    assert labels(sorm(last, attempt("4+1=5\n" + LOST), rollouts=needless)) == [[1, 1, 1, 0, 0]]
    bypass = {**AFTER, "2*3=6\n6-4=2\n": ("3+7=10\n#### 10", "2+1=3\n#### 3")}
    assert labels(sorm(last, attempt(LOST), rollouts=bypass)) == [[0, 0, 0, 0]]


def test_a_right_chain_is_its_own_verifier_where_it_is_consistent():
    good, odd = "2*3=6\n6+4=10\n#### 10", "2*5=11\n2*3=6\n6+4=10\n#### 10"  # 11 is never used
    options = Sorm(k=2, balance=False)
    assert labels(sorm(options, attempt(good))) == [[1, 1, 1]]
    # nothing measured and inconsistent from step 1 on: only the answer line's label is known, and that is no row
    assert sorm(options, attempt(odd)) == []
    # by rollouts step 1 can be solved, for they use the 11; the inconsistent end of the chain is a 0
    one = {"2*5=11\n": ("11-1=10\n#### 10", "#### 9")}
    assert labels(sorm(options, attempt(odd), rollouts=one)) == [[1, MASK, MASK, 0]]
    assert labels(sorm(Sorm(k=2, consistent=False, balance=False), attempt(odd))) == [[1, 1, 1, 1]]
    # of each prefix only its last result has to be used: 6 and 10 are, and a positive is carried back over the 11
    assert labels(sorm(Sorm(k=2, results="last", balance=False), attempt(odd))) == [[1, 1, 1, 1]]
    assert labels(sorm(Sorm(k=2, results="last", balance=False), attempt(good))) == [[1, 1, 1]]
    with pytest.raises(StepvizError, match="every"):
        Sorm(results="none")


def test_a_step_with_fewer_than_k_draws_is_not_measured_unless_one_succeeds():
    half = {**AFTER, "2*3=6\n6-4=2\n": ("2+1=3\n#### 3",)}
    assert labels(sorm(RAW, attempt(LOST), rollouts=half)) == [[0, MASK, 0, 0]]
    one = {**AFTER, "2*3=6\n6-4=2\n": ("2+8=10\n#### 10",)}
    assert labels(sorm(RAW, attempt(LOST), rollouts=one)) == [[0, 1, 0, 0]]
    # a success that the rule does not count decides nothing: it uses neither 6 nor 2
    bypass = {**AFTER, "2*3=6\n6-4=2\n": ("3+7=10\n#### 10",)}
    assert labels(sorm(Sorm(k=2, balance=False), attempt(LOST), rollouts=bypass)) == [[0, MASK, 0, 0]]
    more = {**AFTER, "2*3=6\n6-4=2\n2+7=9\n": ("#### 9", "#### 0", "9+1=10\n#### 10")}
    assert labels(sorm(RAW, attempt(LOST), rollouts=more)) == [[0, 1, 0, 0]]  # draw 2 is none of the first two
    dropped = Dropped()
    unmeasured = Attempt(chain("2*3=6\n6-4=2"), Verdict("wrong", "by hand", "person:ana"))  # no answer line
    assert list(recipes.sorm(case(unmeasured), RAW, dropped)) == []
    assert dropped.reasons == {"a chain not measured with enough rollouts a step": 1}


def test_what_backward_has_drawn_gives_the_labels_of_all_draws():
    """From the last step back: two failures after step 3, and after step 2 its first draw, which succeeds."""
    backward = {prefix: AFTER[prefix] for prefix in ("2*3=6\n6-4=2\n2+7=9\n",)}
    backward["2*3=6\n6-4=2\n"] = ("2+8=10\n#### 10",)
    for options in (Sorm(k=2, balance=False), Sorm(k=2, consistent=False, balance=False)):
        assert labels(sorm(options, attempt(LOST), rollouts=backward)) == [[1, 1, 0, 0]]
        assert labels(sorm(options, attempt(LOST), rollouts=AFTER)) == [[1, 1, 0, 0]]


def soft(*attempts: Attempt, rollouts: dict[str, tuple[str, ...]]) -> tuple[list[dict], dict[str, int]]:
    dropped = Dropped()
    return list(recipes.sorm(case(*attempts, rollouts=rollouts), SOFT, dropped)), dropped.reasons


SOFT = Sorm(k=2, soft=True, balance=False)
PARTLY = "a chain measured in part, or by a strategy that stops early: soft labels need all K rollouts of every step"


def test_a_chain_has_soft_labels_as_a_whole_or_not_at_all():
    """Step 2 stopped at its first success: 1 of 1 is no V, and the 0 of 2 after step 3 alone would be too low."""
    stopped = {**AFTER, "2*3=6\n6-4=2\n": ("2+8=10\n#### 10",)}
    assert soft(attempt(LOST), rollouts=stopped) == ([], {PARTLY: 1})
    (row,), left_out = soft(attempt(LOST), rollouts=AFTER)
    assert (row["n"], left_out) == ([2, 2, 2, 0], {})


def test_a_chain_that_a_strategy_found_hopeless_is_whole_by_its_outcome():
    """Backward draws all from the prefixes that fail and no more from one that succeeds: it must be told."""
    hopeless = dict.fromkeys(AFTER, ("#### 9", "#### 8"))
    (row,), _ = soft(attempt(LOST), rollouts=hopeless)
    assert (row["k"], row["n"]) == ([0, 0, 0, 0], [2, 2, 2, 0])
    assert soft(attempt(LOST, walked=True), rollouts=hopeless) == ([], {PARTLY: 1})
    # what one success says of a step is right however it was drawn
    assert labels(sorm(Sorm(k=2, balance=False), attempt(LOST, walked=True), rollouts=AFTER)) == [[1, 1, 0, 0]]


def test_a_right_chain_that_nobody_measured_still_says_what_its_answer_is_worth():
    """Its first step is another chain's, too, and has all its draws."""
    (row,), left_out = soft(attempt("2*3=6\n6+4=10\n#### 10"), rollouts={"2*3=6\n": AFTER["2*3=6\n"]})
    assert (row["labels"], row["k"], row["n"], left_out) == ([1, 1, 1], [0, 0, 0], [2, 0, 0], {})


def test_soft_labels_are_k_of_n_and_are_not_carried_back():
    (row,) = sorm(Sorm(k=2, soft=True, balance=False), attempt(LOST), rollouts=AFTER)
    assert (row["labels"], row["k"], row["n"]) == ([1, 1, 0, 0], [0, 1, 0, 0], [2, 2, 2, 0])
    with pytest.raises(StepvizError, match="k must be at least 1"):
        Sorm(k=0)


def test_balance_leaves_as_many_positives_as_negatives_at_each_length():
    rows = [[1, 1, 0], [1, 0], [1, MASK, 0], [0, 1], [1, 1, 1]]
    balance = PrefixBalance(seed=1)
    for row in rows:
        balance.see(row)
    masked = [balance.masked(i, row) for i, row in enumerate(rows)]
    assert masked[3][0] == 0  # the one negative at length 1 stays, with one of the four positives
    for length, (positive, negative) in enumerate([(1, 1), (1, 1), (1, 1)]):
        column = [row[length] for row in masked if len(row) > length]
        assert (column.count(1), column.count(0)) == (positive, negative)
    assert all(new in (old, MASK) for a, b in zip(masked, rows, strict=True) for new, old in zip(a, b, strict=True))


def test_balance_is_a_function_of_the_seed_and_masks_a_length_with_one_class():
    rows = [[1, 1] for _ in range(20)] + [[0, 1]]

    def masked(seed: int) -> list[list[int]]:
        balance = PrefixBalance(seed)
        for row in rows:
            balance.see(row)
        return [balance.masked(i, row) for i, row in enumerate(rows)]

    assert masked(0) == masked(0)
    assert len({str(masked(seed)) for seed in range(8)}) > 1
    assert all(row[1] == MASK for row in masked(0))  # at length 2 there is no negative


def said(annotator: str, question: str, step: int, value: int | None) -> Annotation:
    return Annotation(chain(LOST).id, annotator, question, step, value)  # type: ignore[arg-type]


def human(*labels_: Annotation, **options: object) -> list[dict]:
    return list(recipes.stepwise(case(attempt(LOST, labels=labels_)), Stepwise(**options), Dropped()))  # type: ignore[arg-type]


def test_human_labels_of_steps():
    given = [said("prm800k/7", "correct", i, v) for i, v in ((1, 1), (2, 0), (3, -1))]
    (row,) = human(*given, annotator="prm800k")
    assert row["labels"] == [1, 1, 0, MASK]
    assert (row["origin"]["annotator"], row["origin"]["model"]) == ("prm800k/7", "m")
    (row,) = human(*given, annotator="prm800k/7", neutral="mask")
    assert row["labels"] == [1, MASK, 0, MASK]
    assert human(*given, annotator="prm800") == []
    two = human(*given, said("prm800k/8", "correct", 1, -1), annotator="prm800k")
    assert labels(two) == [[1, 1, 0, MASK], [0, MASK, MASK, MASK]]
    (row,) = human(said("ana", "solvable", 2, 1), *given, annotator="ana", question="solvable")
    assert row["labels"] == [MASK, 1, MASK, MASK]


@pytest.mark.parametrize("value, expected", [(3, [1, 1, 0, MASK]), (1, [0, MASK, MASK, MASK]), (None, [1, 1, 1, 1])])
def test_a_first_error_labels_the_steps_before_it(value: int | None, expected: list[int]):
    (row,) = human(said("pb", "first_error", 0, value), annotator="pb")
    assert row["labels"] == expected


def test_unsure_is_no_label():
    dropped = Dropped()
    found = case(attempt(LOST, labels=(said("ana", "correct", 1, None),)))
    assert list(recipes.stepwise(found, Stepwise("ana"), dropped)) == []
    assert dropped.reasons == {"a chain of which no step is labelled for sure": 1}


def test_whose_labels_must_be_said():
    for options in ({}, {"annotator": "ana", "oracle": True}):
        with pytest.raises(StepvizError, match="whose labels"):
            Stepwise(**options)


def test_the_exact_judge_only_in_the_oracle_arm():
    """train/3: 16 shells in each of 9 jars, 5 of them empty. 9*16 is right; 9+5 is nothing of the problem."""
    made = world_problem("train", 3)
    text = "9*16=<<9*16=144>>144 shells if all were full\n144-5=<<144-5=139>>139 Ben's shells\n#### 139"
    one = Attempt(Chain(made.id, "m", "0", text, segment(text), "line/1"), Verdict("wrong", "", "stepviz/1"))
    (row,) = recipes.stepwise(Case(made, (one,)), Stepwise(oracle=True), Dropped())
    assert row["labels"] == [1, 0, 0]
    assert row["origin"]["annotator"] == "oracle"
    (row,) = recipes.stepwise(Case(made, (one,)), Stepwise(oracle=True, question="solvable"), Dropped())
    assert row["labels"][0] == 1
    assert row["labels"][-1] == 0
    dropped = Dropped()
    assert list(recipes.stepwise(case(attempt(LOST)), Stepwise(oracle=True), dropped)) == []
    assert "embedded world" in next(iter(dropped.reasons))
