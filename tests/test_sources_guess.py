"""Which column is what: the guess for real files, and for tables with awkward rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepviz import sources
from stepviz.sources import table
from stepviz.sources.mapping import Mapping, guess_mapping
from tests.source_rows import LABELLED, lines

# the guess for each real file: what a person who reads its README would say
GUESSES = [
    ("realcritic/gsm8k.jsonl", Mapping("question", "answer", "gt_cot", "reasoning", flag="previous_score", key="idx",
                                       origin="model", pred="pred", rule="blank")),
    ("samples/math_best_of_8.jsonl", Mapping("question", "gt", "gt_cot", "response", flag="correct", key="idx",
                                             pred="pred", rule="blank")),
    ("processbench/gsm8k.json", Mapping("problem", steps="steps", labels="label", flag="final_answer_correct", key="id",
                                        origin="generator", label_kind="first_error_0")),
    ("gsm8k/test.jsonl", Mapping("question", "answer", "answer")),
    ("math/math500_test.json", Mapping("problem", "answer", "solution", key="unique_id")),
    ("aqua/test.jsonl", Mapping("question", None, "rationale")),
]  # fmt: skip


@pytest.mark.parametrize(("file", "expected"), GUESSES, ids=[file for file, _ in GUESSES])
def test_the_guess_for_real_files(shared_data: Path, file: str, expected: Mapping):
    assert table.guess(shared_data / file) == expected


GOOD_ROW = {"Question": "2 + 3?", "Gold Answer": "5", "responses": ["#### 5", "#### 6"], "correct": [True, False]}
AWKWARD = [
    {"Question": 7},
    {"Question": None, "responses": None, "correct": None},
    {"Question": ["2 + 3?"], "Gold Answer": [5]},
    {"Question": {"text": "2 + 3?"}, "responses": {"text": "#### 5"}},
    {"responses": [["#### 5"], ["#### 6"]], "correct": [[True]]},
    {"responses": ["#### 5", None], "correct": "both"},
    {"Question": "  ", "Gold Answer": "", "responses": []},
]


@pytest.mark.parametrize("change", AWKWARD, ids=[str(i) for i in range(len(AWKWARD))])
def test_one_malformed_row_at_the_top_does_not_take_the_guess_away(change: dict):
    rows_ = [{**GOOD_ROW, **change}, *[GOOD_ROW] * 3]
    guessed = guess_mapping(list(GOOD_ROW), rows_)
    assert guessed == guess_mapping(list(GOOD_ROW), [GOOD_ROW] * 4)
    assert (guessed.question, guessed.answer) == ("Question", "Gold Answer")
    assert (guessed.response, guessed.flag) == ("responses", "correct")


def test_what_half_the_rows_contradict_is_no_guess_but_a_question_by_its_name_is():
    rows_ = [{"question": "2 + 3?", "response": "5"}, {"question": 5, "response": {"text": "5"}}]
    assert guess_mapping(["question", "response"], rows_) == Mapping("question")
    assert guess_mapping(["question"], [{"question": 5}, {"question": [5]}]).question is None


def test_labels_are_guessed_from_most_rows():
    per_step = {"problem": "Q?", "steps": ["a", "b"], "labels": [1, 0]}
    guessed = guess_mapping(list(per_step), [{**per_step, "labels": 1}, *[per_step] * 3])
    assert (guessed.labels, guessed.label_kind) == ("labels", "right_wrong")
    odd = [{**per_step, "labels": ["yes", 2]}, *[per_step] * 3]
    assert guess_mapping(list(per_step), odd).label_kind == "right_wrong"
    first = {"problem": "Q?", "steps": ["a", "b"], "label": 0}
    guessed = guess_mapping(list(first), [{**first, "label": ["x"]}, *[first] * 3])
    assert (guessed.labels, guessed.label_kind) == ("label", "first_error_0")


def test_several_chains_a_row_that_are_cut_into_steps(tmp_path: Path):
    row = {"problem": "2 + 3?", "steps": [["2 + 3 = 5", "#### 5"], ["#### 6"]], "labels": [[1, 1], [0]]}
    (item,) = sources.read("table", lines(tmp_path / "a.jsonl", row))
    assert [chain.steps for chain in item.chains] == [("2 + 3 = 5", "#### 5"), ("#### 6",)]
    assert [a.value for a in item.annotations] == [1, 1, -1]


def test_an_awkward_csv(tmp_path: Path):
    """An index of pandas without a name, an empty line, an empty first row, a number where the question stands."""
    path = tmp_path / "traces.csv"
    path.write_text(
        '\n,Question; or task,Expected Answer,Model Output,Model\n0,,,,\n1,17,,,\n2,2 + 3?,5,"2 + 3 = 5\n#### 5",m\n'
    )
    guessed = table.guess(path)
    assert guessed.corrected({"question": "Question; or task"}).question == "Question; or task"
    path.write_text(path.read_text().replace("Question; or task", "Problem"))
    assert table.guess(path) == Mapping("Problem", "Expected Answer", response="Model Output", origin="Model")
    empty, number, whole = sources.read("table", path)
    assert (empty.line, empty.reason) == (3, "'Problem' (question) is missing or empty")
    assert (number.problem.question, number.chains) == ("17", ())
    assert (whole.problem.answer, whole.chains[0].origin, whole.chains[0].n) == ("5", "m", 2)
    assert whole.chains[0].meta["columns"] == {"column 1": "2"}


def test_a_malformed_row_at_the_top_does_not_hide_the_format(tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", {"id": "q-0", "problem": "cut off"}, *[LABELLED] * 4)
    assert sources.detect(path) == "processbench"
    assert sources.detect(lines(tmp_path / "b.jsonl", {"problem": "Q?"}, LABELLED)) == "table"
