"""stepwise and human-pairs of what several people say, worked by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from db.study_values import adjudicator
from stepviz import sources
from stepviz.errors import StepvizError
from stepviz.recipes import MASK, RECIPES, Attempt, Case, Dropped, HumanPairs, Stepwise, human_pairs, stepwise
from stepviz.recipes.people import ADJUDICATED, Count, Vote, count, ratings
from stepviz.types import Annotation, SourceItem, Verdict
from tests.recipe_cases import QUESTION, attempt, case, labels
from tests.test_sources import OPENAI_ROW

LOST = "2*3=6\n6-4=2\n2+7=9\n#### 9"
FINAL = adjudicator("first")


def said(who: str, *values: int | str | None, text: str = LOST, key: str = "0", version: int = 1) -> list[Annotation]:
    """Ratings of step 1, 2, …; "-" for one that nobody rated."""
    at = attempt(text, key).chain.id
    meta = {"guideline": version}
    return [Annotation(at, who, "correct", i, v, meta=meta) for i, v in enumerate(values, 1) if v != "-"]  # type: ignore[arg-type]


def rows(*said_: list[Annotation], dropped: Dropped | None = None, **options: Any) -> list[dict[str, Any]]:
    given = tuple(label for some in said_ for label in some)
    chosen = Stepwise(**{"study": "first", **options})
    return list(stepwise(case(attempt(LOST, labels=given)), chosen, dropped or Dropped()))


# ---- several people, one label


def test_the_store_and_the_recipes_mean_the_same_by_an_adjudication():
    assert adjudicator("any").startswith(ADJUDICATED)


@pytest.mark.parametrize(
    ("cast", "found"),
    [
        ((), Count()),
        ((1, 0, -1), Count(2, 3, 1)),
        ((1, -1), Count(1, 2, 1)),
        ((-1, -1, 1), Count(1, 3, 1)),
    ],
)
def test_votes_are_counted(cast: tuple[int, ...], found: Count):
    assert count([Vote(str(i), rating) for i, rating in enumerate(cast)], False) == found


def test_labels_of_counts():
    """0 of 0 and 1 of 2 have none; 2 of 3 is right, 1 of 3 is wrong."""
    assert [Count(k, n).label for k, n in ((0, 0), (1, 2), (2, 3), (1, 3))] == [MASK, MASK, 1, 0]
    assert [Count(k, n).tie for k, n in ((0, 0), (1, 2), (2, 3))] == [False, True, False]


def test_ratings_of_steps_win_over_a_first_error():
    first = [Annotation("c", "ana", "first_error", 0, 2)]
    assert ratings(first, "correct", 4) == {1: 1, 2: -1}
    assert ratings([*first, Annotation("c", "ana", "correct", 2, 0)], "correct", 4) == {1: 1, 2: 0}
    assert ratings(first, "solvable", 4) == {}
    assert ratings([Annotation("c", "ana", "first_error", 0, None)], "correct", 3) == {1: 1, 2: 1, 3: 1}


# ---- stepwise


def test_most_people_decide_and_ties_have_no_label():
    """Step 1: 3 right. 2: one right, two wrong. 3: one each. 4: ben alone, 0, which is no error."""
    dropped = Dropped()
    (row,) = rows(said("ana", 1, -1, 1), said("ben", 0, 1, -1, 0), said("eve", 1, -1, None, version=2), dropped=dropped)
    assert row["labels"] == [1, 0, MASK, 1]
    assert dropped.reasons == {"a step on which as many people say right as wrong: it has no label": 1}
    origin = {k: row["origin"][k] for k in ("annotator", "study", "guideline")}
    assert origin == {"annotator": "ana, ben, eve", "study": "first", "guideline": "1, 2"}
    (row,) = rows(said("ben", 0, 1, -1, 0), neutral="mask")
    assert row["labels"] == [MASK, 1, 0, MASK]


def test_what_was_settled_counts_alone_and_leaves_open_what_people_disagree_about():
    """1: settled as wrong against two. 2: open, two agree. 3: open, two against one: no label. 4: settled as unsure."""
    people = [said("ana", 1, 1, 1, 1), said("ben", 1, 1, 1, 1), said("eve", 1, "-", -1, 1)]
    (row,) = rows(*people, said(FINAL, -1, "-", "-", None))
    assert row["labels"] == [0, 1, MASK, MASK]
    assert row["origin"]["annotator"] == f"{FINAL}, ana, ben, eve"


def test_labels_after_the_first_wrong_step_may_be_masked():
    assert labels(rows(said("ana", 1, -1, 1, -1))) == [[1, 0, 1, 0]]
    assert labels(rows(said("ana", 1, -1, 1, -1), after_error="mask")) == [[1, 0, MASK, MASK]]
    soft = rows(said("ana", 1, -1, 1, -1), after_error="mask", soft=True)[0]
    assert (soft["k"], soft["n"]) == ([1, 0, 0, 0], [1, 1, 0, 0])


def test_soft_labels_are_k_of_n_people():
    """A tie is 1/2, and 0 among the labels; what was settled is 1 of 1; of step 4 nobody says anything."""
    (row,) = rows(said("ana", 1, 1, -1), said("ben", 1, -1, -1), said("eve", -1), soft=True)
    assert (row["labels"], row["k"], row["n"]) == ([1, 0, 0, MASK], [2, 1, 0, 0], [3, 2, 2, 0])
    (row,) = rows(said("ana", 1, 1), said("ben", -1, -1), said(FINAL, 1), soft=True)
    assert (row["labels"], row["k"], row["n"]) == ([1, MASK, MASK, MASK], [1, 0, 0, 0], [1, 0, 0, 0])


def test_another_question_is_another_label():
    solvable = [Annotation(attempt(LOST).chain.id, "ana", "solvable", 2, 1)]
    (row,) = rows(said("ana", 1, -1), solvable, question="solvable")
    assert row["labels"] == [MASK, 1, MASK, MASK]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"annotator": "ana", "study": "first"}, "one of the three"),
        ({"study": "first", "oracle": True}, "one of the three"),
        ({"annotator": "ana", "soft": True}, "--soft is about the people of a study"),
        ({"annotator": "ana", "gold": True}, "--gold is about the people of a study"),
        ({"study": "first", "after_error": "drop"}, "after_error is one of keep, mask"),
    ],
)
def test_what_cannot_be_asked(options: dict[str, Any], message: str):
    with pytest.raises(StepvizError, match=message):
        Stepwise(**options)


# ---- human-pairs

OTHER = "2*3=6\n6+4=10\n#### 10"
SHORT = "2*3=6\n6+4=10 pens.\n#### 10"


def pairs(*attempts: Attempt, dropped: Dropped | None = None, **options: Any) -> list[dict[str, Any]]:
    chosen = HumanPairs(**({"study": "first"} | options))
    return list(human_pairs(case(*attempts), chosen, dropped or Dropped()))


def judged(text: str, key: str, *values: int | str | None, who: str = "ana") -> Attempt:
    return attempt(text, key, labels=tuple(said(who, *values, text=text, key=key)))


def test_the_first_wrong_step_against_a_right_one_from_the_same_steps():
    (row,) = pairs(judged(LOST, "w", 1, -1), judged(OTHER, "r", 1, 1, 1))
    assert {key: row[key] for key in ("prompt", "chosen", "rejected")} == {
        "prompt": f"{QUESTION}\n2*3=6\n", "chosen": "6+4=10", "rejected": "6-4=2",
    }  # fmt: skip
    origin = row["origin"]
    assert (origin["step"], origin["annotator"], origin["study"], origin["guideline"]) == (2, "ana", "first", "1")
    assert (origin["chain"], origin["chosen"]) == (attempt(LOST, "w").chain.id, attempt(OTHER, "r").chain.id)


def test_to_the_end_on_both_sides():
    """The right side needs every step called right; of SHORT nobody rated the answer."""
    chains = [judged(LOST, "w", 1, -1), judged(SHORT, "s", 1, 1), judged(OTHER, "r", 1, 1, 1)]
    (row,) = pairs(*chains, span="rest")
    assert (row["chosen"], row["rejected"]) == ("6+4=10\n#### 10", "6-4=2\n2+7=9\n#### 9")
    assert pairs(*chains[:2], span="rest") == []


def test_a_right_answer_will_do_where_asked_and_comes_after_what_people_judged():
    wrong, unrated = judged(LOST, "w", 1, -1), attempt(SHORT, "s")
    assert pairs(wrong, unrated) == []
    (row,) = pairs(wrong, unrated, chosen="right")
    assert row["chosen"] == "6+4=10 pens."
    (row,) = pairs(wrong, unrated, judged("2*3=6\nSo 6+4=10 pens there are.", "r", 1, 1), chosen="right")
    assert row["chosen"] == "So 6+4=10 pens there are."
    doubted = judged(SHORT, "d", 1, 1, -1)  # its answer is right, and people call its last step wrong
    assert pairs(wrong, Attempt(doubted.chain, doubted.verdict, labels=doubted.labels[2:]), chosen="right") == []


def test_which_of_several_right_steps():
    """+1 before PRM800K's 0, then one that is new to the prompt, then the shorter one."""
    right = [
        judged("2*3=6\n6+4=10 pens", "a", 1, 1),
        judged("2*3=6\n6+4=10", "b", 1, 0),
        judged("2*3=6\n6+4 = 10", "c", 1, 1),
    ]
    wrong = [judged(f"2*3=6\n6-{i}={6 - i}", str(i), 1, -1) for i in (1, 2, 3)]
    assert [row["chosen"] for row in pairs(*right, *wrong)] == ["6+4 = 10", "6+4=10 pens", "6+4 = 10"]
    assert [row["rejected"] for row in pairs(*right, *wrong)] == ["6-1=5", "6-2=4", "6-3=3"]


def test_what_gives_no_pair_is_counted():
    dropped = Dropped()
    chains = [
        judged(LOST, "w", 1, -1),
        judged("2*3=6\n6-4=2\n#### 2", "again", 1, -1),  # the same wrong step from the same steps
        judged("2*3=6\n6-5=1", "unsure", None, -1),  # ana is unsure of its first step; on LOST she was not
        judged("3+2=5\n5-5=0", "before", "-", -1),  # nobody rated its first step
        judged("6\n5", "held", -1),  # the only right first step, 2*3=6, holds its text
        judged("2*3=6\nhm", "none", 1, 0),
        attempt("7", "nobody"),
    ]
    assert [row["rejected"] for row in pairs(*chains, dropped=dropped)] == ["6-4=2", "6-5=1"]
    assert dropped.reasons == {
        "a chain without a label of this study": 1,
        "the same as another row of its question": 1,
        "a chain with a step before its first wrong one that nobody rated, or on which people are split": 1,
        "a chain in which people call no step wrong": 1,
        "a wrong step without a right one from the same steps that does not hold its text": 1,
    }


def test_people_who_are_split_say_nothing_until_it_is_settled():
    split = attempt(LOST, "w", labels=(*said("ana", 1, -1, key="w"), *said("ben", 1, 1, key="w")))
    right = judged(OTHER, "r", 1, 1)
    assert pairs(split, right) == []
    final = attempt(LOST, "w", labels=(*split.labels, *said(FINAL, 1, -1, key="w")))
    assert [row["rejected"] for row in pairs(final, right)] == ["6-4=2"]


def test_a_person_has_one_vote_on_a_step_that_several_chains_share():
    """Ana calls 2*3=6 right in two chains, ben and cyd call it wrong in one: two of three people."""
    wrong = [*said("ben", -1, key="w"), *said("cyd", -1, key="w")]
    split = attempt(LOST, "w", labels=tuple(wrong))
    ana = [judged(LOST, "a", 1, 1), judged(OTHER, "b", 1, 1), judged("7\n3", "r", 1)]
    assert [(row["chosen"], row["rejected"]) for row in pairs(*ana, split)] == [("7", "2*3=6")]
    assert pairs(ana[0], judged(LOST, "b", -1), ana[2]) == []  # ana has called it both


def test_whose_labels_of_pairs():
    other = HumanPairs(annotator="ben")
    (row,) = human_pairs(
        case(judged(LOST, "w", 1, -1, who="ben"), judged(OTHER, "r", 1, 1, who="ben")), other, Dropped()
    )
    assert {"study", "guideline"} & row["origin"].keys() == set()
    assert list(human_pairs(case(judged(LOST, "w", 1, -1), judged(OTHER, "r", 1, 1)), other, Dropped())) == []
    with pytest.raises(StepvizError, match="whose labels"):
        HumanPairs()


# ---- of PRM800K's own rows


def of_file(path: Path) -> dict[str, Case]:
    """A row's problem as a case, by its key; its split is not the file's, for test problems are refused."""
    found = [entry for entry in sources.read("prm800k", path, split="train") if isinstance(entry, SourceItem)]
    return {item.problem.key: as_case(item) for item in found}


def as_case(item: SourceItem) -> Case:
    unknown = Verdict("unknown", "", "stepviz/1")
    labels_ = {chain.id: tuple(a for a in item.annotations if a.chain_id == chain.id) for chain in item.chains}
    return Case(item.problem, tuple(Attempt(chain, unknown, labels=labels_[chain.id]) for chain in item.chains))


def test_an_alternative_stands_on_its_trunks_labels(tmp_path: Path):
    """OpenAI's shape, phase 2: step 1 is rated 0, step 2 is wrong, and the other way on is right."""
    (tmp_path / "phase2.jsonl").write_text(json.dumps(OPENAI_ROW) + "\n", encoding="utf-8")
    (read,) = of_file(tmp_path / "phase2.jsonl").values()
    (row,) = human_pairs(read, HumanPairs(annotator="prm800k"), Dropped())
    assert row["prompt"] == f"{OPENAI_ROW['question']['problem']}\nSeven is odd.\n\n"
    assert (row["rejected"], row["chosen"]) == ("$7 \\cdot 6 = 36$.", "$7 \\cdot 6 = 42$.")
    assert list(human_pairs(read, HumanPairs(annotator="prm800k", neutral="mask"), Dropped())) == []


def test_a_step_that_a_labeller_wrote_is_right(shared_data: Path):
    """p1test-0: five candidates of step 2 are rated −1, so the labeller wrote one; nothing else in it is wrong."""
    read = of_file(shared_data / "prm800k/phase1_test_trajectories.jsonl")["p1test-0"]
    dropped = Dropped()
    found = list(human_pairs(read, HumanPairs(annotator="prm800k"), dropped))
    assert {row["chosen"] for row in found} == {"We have $3p+e=1.24$ and $5p+e=1.82$."}
    assert Counter(row["rejected"][:41] for row in found) == {
        "The first equation is 3p + e = 124, and t": 1, "The first equation is 3p+e=124, and the s": 1,
        "The first equation is 3p + e = 124.": 1, "The first equation is $3p+e=124$. The sec": 1,
        "The first equation is $3p+e=124$.": 1,
    }  # fmt: skip
    first = "Let's call the price of a pencil p and the price of a jumbo eraser e. Then we can write two equations."
    assert {row["prompt"] for row in found} == {f"{read.problem.question}\n{first}\n\n"}
    assert dropped.reasons == {"a chain in which people call no step wrong": len(read.attempts) - 5}


def test_what_a_labeller_wrote_is_no_vote_among_others(shared_data: Path):
    """Ana, for whom step 2 as it was written is wrong, is not outvoted by the one who wrote it."""
    read = of_file(shared_data / "prm800k/phase1_test_trajectories.jsonl")["p1test-0"]
    trunk, rest = read.attempts[0], [Attempt(a.chain, a.verdict) for a in read.attempts[1:]]
    own = tuple(Annotation(trunk.chain.id, "ana", "correct", step, value) for step, value in ((1, 1), (2, -1)))
    for options in (HumanPairs(annotator="ana"), HumanPairs(study="first")):
        dropped = Dropped()
        given = Case(read.problem, (Attempt(trunk.chain, trunk.verdict, labels=own), *rest))
        assert list(human_pairs(given, options, dropped)) == []
        assert dropped.reasons["a wrong step without a right one from the same steps that does not hold its text"] == 1


def test_real_rows_give_pairs_that_their_labels_bear_out(shared_data: Path):
    """Each rejected text was rated −1, and each chosen one +1 or 0, or written by the labeller, at that step."""
    path, n = shared_data / "prm800k/phase1_test_trajectories.jsonl", 0
    cases = of_file(path)
    for raw in (json.loads(line) for line in path.open(encoding="utf-8")):
        for row in human_pairs(cases[raw["id"]], HumanPairs(annotator="prm800k"), Dropped()):
            step = raw["steps"][row["origin"]["step"] - 1]
            rated = {c["text"].strip(): c["rating"] for c in step["candidates"]}
            assert rated[row["rejected"]] == -1
            assert rated.get(row["chosen"]) in (1, 0) or row["chosen"] == step["human"].strip()
            assert row["prompt"].startswith(f"{raw['problem']}\n")
            n += 1
    assert n > 100


def test_every_recipe_that_reads_labels_says_whose():
    assert {name for name, recipe in RECIPES.items() if "study" in recipe.options.__dataclass_fields__} == {
        "stepwise", "human-pairs",
    }  # fmt: skip
    assert (RECIPES["human-pairs"].format, RECIPES["human-pairs"].branches) == ("preference", True)
