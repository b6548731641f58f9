"""self-explore: form_gpair's pairs (papers.md 2.2, with the edge cases of 2.4), hand-worked."""

from __future__ import annotations

from stepviz import recipes
from stepviz.recipes import Attempt, Dropped, SelfExplore
from stepviz.recipes.pit_pairs import outcome_pairs
from stepviz.types import PromptStyle
from tests.recipe_cases import GOOD, PROBLEM, QUESTION, attempt, case

OTHER = "4+3=7\n7+3=10\n#### 10"
LOST = "2*3=6\n6-4=2\n2+7=9\n#### 9"
LONG, SHORT = "now 6+4=10 pens in all\n#### 10", "6+4=10\n#### 10"
BAD = ("#### 1", "#### 2")
AFTER = {"2*3=6\n": (LONG, SHORT), "2*3=6\n6-4=2\n": BAD, "2*3=6\n6-4=2\n2+7=9\n": (LONG, SHORT)}


def pairs(
    *attempts: Attempt, rollouts: dict, dropped: Dropped | None = None, style: PromptStyle | None = None, **options: int
) -> list[dict]:
    chosen = SelfExplore(**{"k": 2, **options})  # type: ignore[arg-type]
    found = case(*attempts, rollouts=rollouts, **({"style": style} if style else {}))
    return list(recipes.self_explore(found, chosen, dropped or Dropped()))


def test_a_pit_after_the_first_step():
    """The walk stops at step 2, the first with none of k right, though step 3 could be solved again."""
    (row,) = pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts=AFTER)
    assert row["prompt"] == f"{QUESTION}\n2*3=6\n"
    assert row["rejected"] == "6-4=2"
    assert row["chosen"] == SHORT  # the shortest right continuation
    origin = row["origin"]
    assert (origin["problem"], origin["chain"], origin["step"]) == (PROBLEM.id, attempt(LOST, "w").chain.id, 2)
    assert (origin["model"], origin["seed"]) == ("m", 7)
    (styled,) = pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts=AFTER, style=PromptStyle(template="{question} "))
    assert styled["prompt"] == f"{QUESTION} 2*3=6\n"


def test_a_pit_at_the_first_step_takes_the_whole_right_solution():
    astray = "2+3=5\n5+4=9\n#### 9"
    (row,) = pairs(attempt(GOOD, "r"), attempt(astray, "w"), rollouts={"2+3=5\n": BAD})
    assert (row["prompt"], row["chosen"], row["rejected"]) == (f"{QUESTION}\n", GOOD, "2+3=5")
    assert row["origin"]["step"] == 1
    # this one's first step stands in the right solution, too: to reject it would contradict the chosen text
    assert pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts=dict.fromkeys(AFTER, BAD)) == []


def test_no_pit_and_a_pit_at_the_answer_line_only_are_left_out():
    dropped = Dropped()
    solvable = dict.fromkeys(AFTER, (LONG, "#### 1"))
    assert pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts=solvable, dropped=dropped) == []
    assert dropped.reasons == {"a wrong chain whose only pit is its answer line": 1}


def test_what_is_not_measured_with_k_continuations_gives_nothing():
    dropped = Dropped()
    half = {**AFTER, "2*3=6\n": BAD[:1]}
    assert pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts=half, dropped=dropped) == []
    assert dropped.reasons == {"a chain not measured with enough rollouts a step": 1}
    # a right one is enough to know that step 1 is no pit: `measure --strategy forward` goes on there
    (row,) = pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts={**AFTER, "2*3=6\n": (LONG,)})
    assert (row["origin"]["step"], row["chosen"]) == (2, LONG)
    # of more than k continuations the first k are the walk's: step 2 is a pit, whatever draw 2 says
    more = {**AFTER, "2*3=6\n6-4=2\n": (*BAD, LONG)}
    assert pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts=more)[0]["origin"]["step"] == 2


def test_a_continuation_is_used_once_a_question():
    """Two wrong chains that differ in step 2: the first takes the shortest, the second the other, a third nothing."""
    texts = [LOST, "2*3=6\n6-3=3\n#### 3", "2*3=6\n6-5=1\n#### 1"]
    rollouts = {"2*3=6\n": (LONG, SHORT), **{text.rsplit("\n", 1)[0] + "\n": BAD for text in texts[1:]}, **AFTER}
    wrong = [attempt(text, f"w{i}") for i, text in enumerate(texts)]
    dropped = Dropped()
    rows = pairs(attempt(GOOD, "r"), *wrong, rollouts=rollouts, dropped=dropped, paired=False)
    assert [(r["rejected"], r["chosen"]) for r in rows] == [("6-4=2", SHORT), ("6-3=3", LONG)]
    assert len(dropped.reasons) == 1
    assert "new to the question" in next(iter(dropped.reasons))


def test_a_pair_stays_only_if_its_chosen_and_its_rejected_are_new():
    tail = "2*3=6\n6-4=2\n2*9=18\n#### 18"  # the same prefix, the same pit, another ending
    dropped = Dropped()
    rows = pairs(
        attempt(GOOD, "r"), attempt(LOST, "a"), attempt(tail, "b"), rollouts=AFTER, dropped=dropped, paired=False
    )
    assert [r["rejected"] for r in rows] == ["6-4=2"]
    assert dropped.reasons == {"the same as another row of its question": 1}


def test_a_chosen_text_must_not_contain_the_rejected_step():
    holding = "6-4=2, no: 6+4=10\n#### 10"
    (row,) = pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts={**AFTER, "2*3=6\n": (holding, LONG)})
    assert row["chosen"] == LONG
    assert pairs(attempt(GOOD, "r"), attempt(LOST, "w"), rollouts={**AFTER, "2*3=6\n": (holding, "#### 1")}) == []


def test_outcome_pairs_take_the_farthest_wrong_chain_once():
    right = [attempt(GOOD, "r0"), attempt(OTHER, "r1"), attempt("5+5=10\n#### 10", "r2")]
    near, far = attempt("2*3=6\n6+4=11\n#### 11", "near"), attempt("x" * 40 + "\n#### 3", "far")
    assert outcome_pairs(right, [near, far]) == [(right[0], far), (right[1], near)]


def test_only_the_wrong_chains_of_the_outcome_pairs_are_explored():
    second = "2*3=6\n6+5=11\n#### 11"  # two characters from the right one: the other is farther
    dropped = Dropped()
    rollouts = {**AFTER, "2*3=6\n6+5=11\n": BAD}
    rows = pairs(attempt(GOOD, "r"), attempt(LOST, "a"), attempt(second, "b"), rollouts=rollouts, dropped=dropped)
    assert [r["origin"]["chain"] for r in rows] == [attempt(LOST, "a").chain.id]
    assert dropped.reasons == {"a wrong chain that no right sample was paired with": 1}


def test_without_a_right_or_a_wrong_chain_there_is_no_pair():
    dropped = Dropped()
    assert pairs(attempt(LOST), rollouts=AFTER, dropped=dropped) == []
    assert pairs(attempt(GOOD), rollouts=AFTER, dropped=dropped) == []
    assert dropped.reasons == {"no right chain of the same question": 1, "no wrong chain of the same question": 1}
