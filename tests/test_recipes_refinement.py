"""The refiner's prompt, refine-global and refine-local with the edge cases of papers.md 1.7: hand-worked."""

from __future__ import annotations

import pytest

from stepviz import recipes
from stepviz.errors import StepvizError
from stepviz.recipes import Attempt, Dropped, RefineGlobal, RefineLocal
from stepviz.refining import BAD, refine_prompt
from stepviz.types import Verdict
from tests.recipe_cases import GOOD, QUESTION, attempt, case, chain

OTHER = "4+3=7\n7+3=10\n#### 10"
LOST = "2*3=6\n6-4=2\n2+7=9\n#### 9"
TRACE = "6+4=10\n#### 10"
AFTER = {
    "2*3=6\n": ("6*4=24\n#### 24", TRACE),
    "2*3=6\n6-4=2\n": ("2+1=3\n#### 3", "#### 2"),
    "2*3=6\n6-4=2\n2+7=9\n": ("#### 9", "#### 9"),
}


def test_the_mark_stands_before_the_bad_step_or_at_the_very_start():
    steps = ["2*3=6", "6-4=2"]
    assert refine_prompt("How many?", steps, 2) == "How many?\nDraft:\n2*3=6\n[BAD] 6-4=2\nRefinement:\n"
    assert refine_prompt("How many?", steps, None) == "How many?\nDraft:\n[BAD] 2*3=6\n6-4=2\nRefinement:\n"
    assert refine_prompt("How many?", steps, 1) == refine_prompt("How many?", steps)
    with pytest.raises(StepvizError, match="no steps"):
        refine_prompt("How many?", [])
    for bad in (0, 3, -1):
        with pytest.raises(StepvizError, match="steps 1 … 2"):
            refine_prompt("How many?", steps, bad)


def test_a_text_cannot_set_the_mark_or_move_the_draft():
    made = refine_prompt("{draft} {question} [BAD]", ["{question}", "[BAD] 1+1=3"], 1)
    assert made.count(BAD) == 1
    assert made == "{draft} {question} [bad]\nDraft:\n[BAD] {question}\n[bad] 1+1=3\nRefinement:\n"


def test_global_pairs_each_wrong_chain_with_right_ones_in_turn():
    wrong = [attempt(LOST, "w0"), attempt("2+3=5\n#### 5", "w1"), attempt("3+4=7\n#### 7", "w2")]
    right = [attempt(GOOD, "r0"), attempt(GOOD, "r1"), attempt(OTHER, "r2")]  # two distinct solutions
    dropped = Dropped()
    rows = list(recipes.refine_global(case(*wrong, *right), RefineGlobal(), dropped))
    assert [row["completion"] for row in rows] == [GOOD, OTHER, GOOD]
    assert rows[0]["prompt"] == f"{QUESTION}\nDraft:\n[BAD] 2*3=6\n6-4=2\n2+7=9\n#### 9\nRefinement:\n"
    assert rows[0]["origin"]["chain"] == wrong[0].chain.id
    assert rows[0]["origin"]["step"] is None
    assert rows[1]["origin"]["target"] == right[2].chain.id
    both = list(recipes.refine_global(case(*wrong, *right), RefineGlobal(targets=5), dropped))
    assert [row["completion"] for row in both] == [GOOD, OTHER, OTHER, GOOD, GOOD, OTHER]
    assert dropped.reasons == {}


def test_global_without_a_right_or_a_wrong_chain():
    dropped = Dropped()
    assert list(recipes.refine_global(case(attempt(LOST)), RefineGlobal(), dropped)) == []
    assert list(recipes.refine_global(case(attempt(GOOD)), RefineGlobal(), dropped)) == []
    assert dropped.reasons == {"no right chain of the same question": 1, "no wrong chain of the same question": 1}


def test_equal_rows_are_written_once():
    twice = case(attempt(LOST, "a"), attempt(LOST, "b"), attempt(GOOD, "r"))
    dropped = Dropped()
    assert len(list(recipes.refine_global(twice, RefineGlobal(), dropped))) == 1
    assert dropped.reasons == {"the same as another row of its question": 1}


def local(*attempts: Attempt, rollouts: dict, dropped: Dropped | None = None, **options: object) -> list[dict]:
    chosen = RefineLocal(**{"k": 2, **options})  # type: ignore[arg-type]
    return list(recipes.refine_local(case(*attempts, rollouts=rollouts), chosen, dropped or Dropped()))


def test_local_marks_the_first_negative_step_and_goes_on_from_the_one_before():
    (row,) = local(attempt(LOST), rollouts=AFTER)
    assert row["prompt"] == f"{QUESTION}\nDraft:\n2*3=6\n[BAD] 6-4=2\n2+7=9\n#### 9\nRefinement:\n"
    assert row["completion"] == "2*3=6\n6+4=10\n#### 10"
    assert row["origin"]["step"] == 2
    assert row["origin"]["target"] == "draw 1 after step 1"
    (suffix,) = local(attempt(LOST), rollouts=AFTER, target="suffix")
    assert (suffix["completion"], suffix["prompt"]) == (TRACE, row["prompt"])


def test_labels_are_monotone_before_the_first_negative_is_looked_for():
    """Raw labels 1, 0, 1, and the wrong answer: E = 4 (papers.md 1.7; Self-Explore would say 2)."""
    again = {**AFTER, "2*3=6\n6-4=2\n2+7=9\n": ("9+1+2+6=10\n#### 10", "#### 9")}
    (row,) = local(attempt(LOST), rollouts=again, consistent=False)
    assert row["origin"]["step"] == 4
    assert row["completion"] == "2*3=6\n6-4=2\n2+7=9\n9+1+2+6=10\n#### 10"


def test_every_prefix_can_be_solved_and_the_answer_is_wrong():
    """The last prefix holds the answer: its label is 0, so E is the answer line."""
    slip = "2*3=6\n6+4=10\n#### 11"
    (row,) = local(attempt(slip), rollouts={"2*3=6\n": (TRACE, "#### 1"), "2*3=6\n6+4=10\n": ("#### 10", "#### 11")})
    assert row["origin"]["step"] == 3
    assert "\n[BAD] #### 11\n" in row["prompt"]
    assert row["completion"] == "2*3=6\n6+4=10\n#### 10"


def test_a_bad_first_step_takes_a_right_chain_of_the_question():
    nothing = dict.fromkeys(AFTER, ("#### 1", "#### 2"))
    (row,) = local(attempt(LOST), attempt(GOOD, "r"), rollouts=nothing)
    assert row["completion"] == GOOD
    assert (row["origin"]["step"], row["origin"]["target"]) == (1, attempt(GOOD, "r").chain.id)
    assert row["prompt"] == refine_prompt(QUESTION, LOST.split("\n"))  # as a global one
    dropped = Dropped()
    assert local(attempt(LOST), attempt(GOOD, "r"), rollouts=nothing, at_start="skip", dropped=dropped) == []
    assert dropped.reasons == {"a draft whose first step is negative already": 1}
    assert local(attempt(LOST), rollouts=nothing) == []  # no right chain to take
    (row,) = local(attempt(LOST), rollouts={**nothing, "": ("#### 1", OTHER)})  # but a right draw of V[0]
    assert (row["completion"], row["origin"]["target"]) == (OTHER, "draw 1 after step 0")


def test_only_consistent_traces_are_targets():
    bypass = {**AFTER, "2*3=6\n": ("3+7=10\n#### 10", TRACE)}
    assert [r["completion"] for r in local(attempt(LOST), rollouts=bypass, targets=5)] == [f"2*3=6\n{TRACE}"]
    free = local(attempt(LOST), rollouts=bypass, targets=5, consistent=False)
    assert [r["completion"] for r in free] == ["2*3=6\n3+7=10\n#### 10", f"2*3=6\n{TRACE}"]
    assert len(local(attempt(LOST), rollouts=bypass, consistent=False)) == 1  # one target a draft


def test_where_e_is_not_known_there_is_no_row():
    dropped = Dropped()
    gap = {prefix: texts for prefix, texts in AFTER.items() if prefix != "2*3=6\n"}
    assert local(attempt(LOST), rollouts=gap, dropped=dropped) == []
    assert dropped.reasons == {"a draft of which a step before the first negative one was not measured": 1}
    unmeasured = Dropped()
    assert local(attempt(LOST), rollouts={}, dropped=unmeasured) == []
    assert unmeasured.reasons == {"a chain not measured with enough rollouts a step": 1}
    # a chain that a person called wrong, without an answer line: every step can be solved, so no step is negative
    endless = Attempt(chain("2*3=6"), Verdict("wrong", "by hand", "person:ana"))
    none = Dropped()
    assert local(endless, rollouts={"2*3=6\n": (TRACE, TRACE)}, dropped=none) == []
    assert none.reasons == {"a draft without a negative step": 1}
