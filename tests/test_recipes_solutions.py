"""sft, rft, orm, balanced-orm: hand-worked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepviz import recipes
from stepviz.errors import StepvizError
from stepviz.recipes import BalancedOrm, Case, Dropped, Orm, Rft
from stepviz.recipes.distances import edit_distance, spread
from stepviz.recipes.supervised import equation_list
from stepviz.types import Problem, PromptStyle
from tests.recipe_cases import GOOD, PROBLEM, QUESTION, attempt, case, labels


def test_sft_writes_the_reference_solution_to_the_letter():
    dropped = Dropped()
    (row,) = recipes.sft([PROBLEM, Problem("1+1?", "2", None)], dropped)
    assert row == {
        "prompt": QUESTION + "\n",
        "completion": GOOD,
        "origin": {"problem": PROBLEM.id, "source": "school", "key": "1"},
    }
    assert dropped.reasons == {"no reference solution": 1}
    style = PromptStyle(template="Q: {question}\nA: ", few_shot=(("1+1?", "#### 2"),))
    (row,) = recipes.sft([PROBLEM], dropped, style)
    assert row["prompt"] == f"Q: 1+1?\nA: #### 2\n\nQ: {QUESTION}\nA: "


@pytest.mark.parametrize("split", ["test", "Test", "test_easy"])
def test_a_case_of_a_test_problem_cannot_be_made(split: str):
    with pytest.raises(StepvizError, match="school/1 is a test problem"):
        Case(Problem(QUESTION, "10", source="school", key="1", split=split))
    places = (("school", "1", "train"), ("exam", "7", split))
    with pytest.raises(StepvizError, match=r"exam/7 is a test problem .*also stands in school/1"):
        Case(PROBLEM, places=places)
    assert Case(PROBLEM, places=(("school", "1", "train"), ("exam", "7", None))).prompt == QUESTION + "\n"


def test_equations_are_those_of_the_marks_else_those_in_the_text_else_the_text():
    assert equation_list("2*3=<<2*3=6>>6 pens\n6 + 4 = <<6+4=10>>10") == "2*3=6|6+4=10"
    assert equation_list("2 * 3 = 6\nso 6+4=10") == "2*3=6|6+4=10"
    assert equation_list("ten, of course") == "ten, of course"


# Same equations: a and b. c goes another way. d has a false equation. Of a and b, b differs more from c.
A = "2*3=6\n6+4=10\n#### 10"
B = "2 boxes hold 2*3=6 pens, and then\n6+4=10\n#### 10"
C = "4+3=7\n7+3=10\n#### 10"
D = "2*3=7\n6+4=10\n#### 10"
OFF = "2*3=6\n#### 6"


def test_rft_keeps_one_right_sample_for_each_list_of_equations():
    dropped = Dropped()
    found = case(*(attempt(text, str(i)) for i, text in enumerate((A, C, B, D, OFF, A))))
    assert edit_distance(B, C) > edit_distance(A, C)
    rows = list(recipes.rft(found, Rft(), dropped))
    assert [row["completion"] for row in rows] == [B, C]
    assert rows[0]["origin"] == {
        "problem": PROBLEM.id, "chain": attempt(B, "2").chain.id, "step": None, "model": "m", "seed": 7,
    }  # fmt: skip
    assert dropped.reasons == {
        "a right chain with an equation that does not hold": 1,
        "the same as another row of its question": 2,
    }


def test_rft_by_exact_text_with_a_limit_and_the_reference():
    dropped = Dropped()
    found = case(*(attempt(text, str(i)) for i, text in enumerate((A, B, A, D))))
    exact = Rft(distinct="exact", equations_hold=False, keep=None)
    assert [r["completion"] for r in recipes.rft(found, exact, dropped)] == [A, B, D]
    two = Rft(distinct="exact", equations_hold=False, keep=2)
    assert [r["completion"] for r in recipes.rft(found, two, dropped)] == [A, B]
    assert dropped.reasons["more right chains than are kept of a question"] == 1
    # the reference is A: with exact texts B stays, by equations A and B both are the reference's way
    union = Rft(distinct="exact", equations_hold=False, reference=True)
    assert [r["completion"] for r in recipes.rft(found, union, dropped)] == [A, B, D]
    assert [r["completion"] for r in recipes.rft(found, Rft(reference=True), dropped)] == [A]
    reference = next(iter(recipes.rft(found, union, dropped)))
    assert reference["origin"]["chain"] is None
    with pytest.raises(StepvizError, match="distinct is one of"):
        Rft(distinct="words")  # type: ignore[arg-type]


def test_rft_of_a_question_without_a_right_sample_is_empty():
    dropped = Dropped()
    assert list(recipes.rft(case(attempt(OFF), attempt("2*3=", "1")), Rft(), dropped)) == []
    assert dropped.reasons == {
        "no right chain of the same question": 1,
        "a chain whose answer cannot be judged, or that was cut off before it": 1,
    }


def _plain_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@given(st.text("abc\n", max_size=30), st.text("abcé", max_size=90))
def test_edit_distance_is_levenshteins(a: str, b: str):
    assert edit_distance(a, b) == edit_distance(b, a) == _plain_distance(a, b)


def test_spread_is_the_summed_distance():
    assert edit_distance("kitten", "sitting") == 3
    assert spread("flaw", ["lawn", "flaw", ""]) == 2 + 0 + 4


def test_orm_labels_every_step_with_the_outcome():
    dropped = Dropped()
    rows = list(recipes.orm(case(attempt(A), attempt(OFF, "1"), attempt("2*3=6", "2")), Orm(), dropped))
    assert labels(rows) == [[1, 1, 1], [0, 0]]
    assert rows[1]["prompt"] == QUESTION + "\n"
    assert rows[1]["completions"] == ["2*3=6", "#### 6"]
    assert dropped.reasons == {"a chain whose answer cannot be judged, or that was cut off before it": 1}


def test_balanced_orm_has_as_many_right_as_wrong_chains_of_each_question():
    right = [attempt(A, f"r{i}") for i in range(5)]
    wrong = [attempt(OFF, f"w{i}") for i in range(2)]
    dropped = Dropped()
    rows = list(recipes.balanced_orm(case(*right, *wrong), BalancedOrm(), dropped))
    assert labels(rows) == [[1, 1, 1], [0, 0]] * 2
    assert dropped.reasons == {"a chain of the majority of its question": 3}
    assert rows == list(recipes.balanced_orm(case(*right, *wrong), BalancedOrm(), Dropped()))
    seeds = {
        tuple(r["origin"]["chain"] for r in recipes.balanced_orm(case(*right, *wrong), BalancedOrm(s), Dropped()))
        for s in range(9)
    }
    assert len(seeds) > 1
    only = Dropped()
    assert list(recipes.balanced_orm(case(*right), BalancedOrm(), only)) == []
    assert only.reasons == {"no wrong chain of the same question": 5}
