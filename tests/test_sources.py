"""Public formats: the real files come in whole, with the counts their README gives, and go out equal."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from stepviz import sources
from stepviz.sources import math_shepherd, prm800k, processbench, stepviz, trl, wording
from stepviz.sources.rows import rows
from stepviz.types import Refusal, SourceItem, problem_id


def items(name: str, path: Path, **options: object) -> list[SourceItem]:
    found = list(sources.read(name, path, **options))
    assert [entry for entry in found if isinstance(entry, Refusal)] == []
    return [entry for entry in found if isinstance(entry, SourceItem)]


def write_lines(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


# what the README beside the files says of each: rows, problems, chains, labels
REAL = [
    ("gsm8k", "gsm8k/test.jsonl", 1319, 1319, 0, 0),
    ("gsm8k", "gsm8k/train.jsonl", 7473, 7473, 0, 0),
    ("gsm8k-solutions", "gsm8k/example_model_solutions.jsonl", 1319, 1319, 5276, 0),
    ("svamp", "svamp/SVAMP.json", 1000, 1000, 0, 0),
    ("math", "math/math500_test.json", 500, 500, 0, 0),
    ("aqua", "aqua/test.jsonl", 254, 254, 0, 0),
    ("aqua", "aqua/dev.jsonl", 254, 254, 0, 0),
    ("processbench", "processbench/gsm8k.json", 400, 375, 400, 400),
    ("stepverify", "stepverify/dataset.json", 1002, 612, 612, 1002),
    ("prm800k", "prm800k/phase1_test_trajectories.jsonl", 106, 101, 3695, 5192),
]


@pytest.mark.parametrize(("name", "file", "n_rows", "problems", "chains", "labels"), REAL)
def test_a_real_file_comes_in_whole(
    shared_data: Path, name: str, file: str, n_rows: int, problems: int, chains: int, labels: int
):
    found = items(name, shared_data / file)
    assert len(found) == n_rows
    assert len({item.problem.id for item in found}) == problems
    ids = {chain.id for item in found for chain in item.chains}
    assert len(ids) == chains
    annotations = [a for item in found for a in item.annotations]
    assert len({(a.annotator, a.key) for a in annotations}) == len(annotations) == labels
    assert all(a.chain_id in ids for a in annotations)
    assert sources.detect(shared_data / file) == name


def test_gsm8k_gold_is_behind_the_hashes(tmp_path: Path):
    path = write_lines(tmp_path / "test.jsonl", {"question": "2 + 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 1,005"})
    (item,) = items("gsm8k", path)
    assert (item.problem.answer, item.problem.split, item.chains) == ("1,005", "test", ())
    assert item.problem.solution == "2 + 3 = <<2+3=5>>5\n#### 1,005"


def test_gsm8k_solutions_are_four_chains_a_problem_and_repeats_stay(shared_data: Path):
    found = items("gsm8k-solutions", shared_data / "gsm8k/example_model_solutions.jsonl")
    assert all(len(item.chains) == 4 for item in found)
    repeats = sum(4 - len({chain.text for chain in item.chains}) for item in found)
    assert repeats == 8
    flags = Counter(chain.origin for item in found for chain in item.chains if chain.meta["flag"])
    assert flags == {
        "gsm8k/6b_finetuning": 286,
        "gsm8k/6b_verification": 515,
        "gsm8k/175b_finetuning": 458,
        "gsm8k/175b_verification": 742,
    }


def test_svamp_joins_body_and_question(tmp_path: Path):
    row = {"ID": "chal-9", "Body": "Ann has 3 pens. ", "Question": "How many?", "Equation": "( 3.0 )", "Answer": 3.0}
    (tmp_path / "SVAMP.json").write_text(json.dumps([row, {**row, "ID": "chal-10", "Answer": 0.25}]))
    first, second = items("svamp", tmp_path / "SVAMP.json")
    assert (first.problem.question, first.problem.answer) == ("Ann has 3 pens. How many?", "3")
    assert (first.problem.key, first.problem.meta["Equation"], second.problem.answer) == ("chal-9", "( 3.0 )", "0.25")


def test_math_without_an_answer_takes_the_box(tmp_path: Path):
    row = {"problem": "Half of 3?", "solution": "It is $\\boxed{\\frac{3}{2}}$.", "level": "Level 1", "type": "Algebra"}
    (item,) = items("math", write_lines(tmp_path / "train.jsonl", row))
    assert (item.problem.answer, item.problem.meta["type"]) == ("\\frac{3}{2}", "Algebra")


def test_aqua_carries_its_options_and_its_rationale_is_no_chain(shared_data: Path):
    raw = next(iter(rows(shared_data / "aqua/test.jsonl"))).fields
    first = items("aqua", shared_data / "aqua/test.jsonl")[0]
    assert first.problem.question.splitlines()[-5:] == raw["options"]
    assert (first.problem.answer, first.problem.solution) == (raw["correct"], raw["rationale"])
    assert first.chains == ()


def test_processbench_labels_count_from_one_inside(shared_data: Path):
    found = items("processbench", shared_data / "processbench/gsm8k.json")
    values = Counter(a.value for item in found for a in item.annotations)
    assert values[None] == 193
    assert sum(values.values()) - values[None] == 207
    first = found[0]  # its row says "label": 1, the second of four steps
    (label,) = first.annotations
    assert (label.question, label.step, label.value, label.annotator) == ("first_error", 0, 2, "processbench")
    assert first.chains[0].n == 4
    assert first.problem.split == "test"
    assert first.chains[0].meta["flag"] is False


def test_stepverify_shows_one_solution_to_several_teachers(shared_data: Path):
    found = items("stepverify", shared_data / "stepverify/dataset.json")
    repeated = [row.fields for row in rows(shared_data / "stepverify/repeated_labels.jsonl")]
    labels: dict[str, dict[str, int | None]] = {}
    for item in found:
        for label in item.annotations:
            labels.setdefault(label.chain_id, {})[label.annotator] = label.value
    by_row = [item.chains[0].id for item in found]
    for solution in repeated:
        expected = {f"stepverify/{one['row']}": one["first_error"] + 1 for one in solution["labels"]}
        assert labels[by_row[solution["labels"][0]["row"]]] == expected
    raw = next(iter(rows(shared_data / "stepverify/dataset.json"))).fields
    first, label = found[0], found[0].annotations[0]
    assert (first.problem.answer, label.value, label.note) == ("10", 1, raw["error_description"])
    assert (label.meta["category"], label.meta["dialogue"]) == (raw["error_category"], raw["dialog_history"])
    assert first.chains[0].terminal


def test_problems_are_shared_between_sources(shared_data: Path):
    """Questions coincide after NFC and folding white space; no apostrophe or dash keeps two apart."""
    files = {name: shared_data / file for name, file, *_ in REAL if name != "gsm8k"}
    ids = {name: {item.problem.id for item in items(name, path)} for name, path in files.items()}
    ids["train"] = {item.problem.id for item in items("gsm8k", shared_data / "gsm8k/train.jsonl")}
    ids["test"] = {item.problem.id for item in items("gsm8k", shared_data / "gsm8k/test.jsonl")}
    assert ids["gsm8k-solutions"] == ids["test"]
    assert ids["processbench"] <= ids["test"]
    assert len(ids["processbench"]) == 375
    assert len(ids["stepverify"] & ids["test"]) == 45
    assert len(ids["stepverify"] & ids["train"]) == 567
    assert ids["prm800k"] <= ids["math"]


@pytest.mark.parametrize(
    ("name", "file"),
    [("processbench", "processbench/gsm8k.json"), ("prm800k", "prm800k/phase1_test_trajectories.jsonl")],
)
def test_what_went_in_comes_out_equal(shared_data: Path, name: str, file: str):
    raw = [row.fields for row in rows(shared_data / file)]
    out = list(sources.named(name).write(sources.read(name, shared_data / file)))
    assert [json.dumps(row) for row in out] == [json.dumps(row) for row in raw]  # values, their types, their order


def test_prm800k_is_a_tree(shared_data: Path):
    found = {
        item.problem.key: item for item in items("prm800k", shared_data / "prm800k/phase1_test_trajectories.jsonl")
    }
    ratings = Counter(a.value for item in found.values() for a in item.annotations)
    assert ratings == {1: 2245, 0: 867, -1: 1970, None: 110}
    item = found["p1test-0"]  # six steps; five alternatives at the second, which the person wrote; four at the last
    trunk, *branches = item.chains
    assert trunk.n == 6
    assert trunk.meta["path"] == [0, "human", 0, 0, 0, 4]
    assert Counter(chain.branch_step for chain in branches) == {1: 5, 5: 4}
    for chain in branches:
        assert chain.parent == trunk.id
        assert chain.text.startswith(trunk.prefix(chain.branch_step))
        assert chain.n == chain.branch_step + 1
    assert trunk.terminal
    assert trunk.meta["answer"] == "29"
    labels = {(a.chain_id, a.step): a.value for a in item.annotations}
    assert (trunk.id, 2) not in labels  # nobody rated the person's own step
    assert labels[trunk.id, 6] == 1
    assert labels[branches[0].id, 2] == -1
    assert {a.annotator for a in item.annotations} == {"prm800k/p1test-0"}


OPENAI_ROW = {
    "labeler": "340d89bc-0000-0000-0000-000000000000",
    "timestamp": "2023-01-22T04:34:27.052924",
    "generation": 9,
    "is_quality_control_question": False,
    "is_initial_screening_question": False,
    "question": {
        "problem": "What is\u00a0 $7 \\cdot 6$?\n",
        "ground_truth_solution": "It is $\\boxed{42}$.",
        "ground_truth_answer": "42",
        "pre_generated_steps": ["Seven is odd.", "$7 \\cdot 6 = 36$.", "So it is 36.\n\n# Answer\n\n36"],
        "pre_generated_answer": "36",
        "pre_generated_verifier_score": 0.01,
    },
    "label": {
        "steps": [
            {
                "completions": [{"text": "Seven is odd.", "rating": 0, "flagged": None}],
                "human_completion": None,
                "chosen_completion": 0,
            },
            {
                "completions": [
                    {"text": "$7 \\cdot 6 = 36$.", "rating": -1, "flagged": None},
                    {"text": "$7 \\cdot 6 = 42$.", "rating": 1, "flagged": False},
                ],
                "human_completion": None,
                "chosen_completion": None,
            },
        ],
        "total_time": 1000,
        "finish_reason": "found_error",
    },
}


def test_prm800k_phase_2_keeps_the_whole_solution(tmp_path: Path):
    path = write_lines(tmp_path / "phase2_train.jsonl", OPENAI_ROW)
    (item,) = items("prm800k", path)
    trunk, branch = item.chains
    assert trunk.steps == tuple(OPENAI_ROW["question"]["pre_generated_steps"])
    assert trunk.meta["answer"] == "36"
    assert [(a.chain_id, a.step, a.value) for a in item.annotations] == [
        (trunk.id, 1, 0),
        (trunk.id, 2, -1),
        (branch.id, 2, 1),
    ]
    assert (branch.parent, branch.branch_step, branch.meta["partial"]) == (trunk.id, 1, True)
    assert (item.problem.answer, item.problem.split) == ("42", "train")
    assert item.annotations[0].annotator == "prm800k/340d89bc"
    assert list(prm800k.write([item])) == [OPENAI_ROW]


def test_prm800k_phase_1_with_a_step_that_the_labeller_wrote(tmp_path: Path):
    row = json.loads(json.dumps(OPENAI_ROW))
    row["question"]["pre_generated_steps"] = None
    human = {"text": "Six sevens are 42.", "rating": None, "source": "human", "flagged": False}
    row["label"]["steps"][1] |= {"human_completion": human}
    plain = json.loads(json.dumps(row))
    plain["label"]["steps"][1]["human_completion"] = "Six sevens are 42."
    first, second = items("prm800k", write_lines(tmp_path / "phase1.jsonl", row, plain))
    assert first.chains[0].steps == ("Seven is odd.", "Six sevens are 42.")
    assert len(first.chains) == 3
    assert list(prm800k.write([first, second])) == [row, plain]


SHEPHERD = "Ann has 2 pens.  How many are 3 times as many? Step 1: 3 * 2 = 5 ки\nStep 2: The answer is: 5 ки"


def test_math_shepherd_labels_are_solvability(tmp_path: Path):
    label = SHEPHERD.replace("ки", "+", 1).replace("ки", "-")
    odd = "Q?\nStep 1: a  ки Step 2: b ки\n"  # another white space than usual, and a tail
    usual = {"input": SHEPHERD, "label": label, "task": "GSM8K"}
    strange = {"input": odd, "label": odd.replace("ки", "-"), "task": "MATH", "more": [1]}
    path = write_lines(tmp_path / "math-shepherd.jsonl", usual, usual, strange)
    found = items("math-shepherd", path)
    assert found[0].problem.question == "Ann has 2 pens.  How many are 3 times as many?"
    assert found[0].chains[0].steps == ("Step 1: 3 * 2 = 5", "Step 2: The answer is: 5")
    assert [(a.question, a.step, a.value) for a in found[0].annotations] == [("solvable", 1, 1), ("solvable", 2, -1)]
    assert found[0].chains[0].id != found[1].chains[0].id  # equal samples are two chains
    assert list(math_shepherd.write(found)) == [usual, usual, strange]


def test_trl_stepwise_labels_of_every_type(tmp_path: Path):
    given = [
        {"prompt": "1 + 1?\n", "completions": ["1 + 1 = 2", "#### 2"], "labels": [True, False]},
        {"prompt": "1 + 1?", "completions": ["1 + 1 = 3", "#### 3"], "labels": [1, -100]},
        {"prompt": "1 + 1?", "completions": ["1 + 1 = 4"], "labels": [0.375], "id": 7},
    ]
    path = write_lines(tmp_path / "stepwise.jsonl", *given)
    found = items("trl", path)
    assert [[a.value for a in item.annotations] for item in found] == [[1, -1], [1], [-1]]
    assert found[2].annotations[0].meta["share"] == 0.375
    assert [json.dumps(row) for row in trl.write(found)] == [json.dumps(row) for row in given]
    asked = items("trl", path, asked="solvable")
    assert {a.question for item in asked for a in item.annotations} == {"solvable"}


def test_our_own_format_loses_nothing(shared_data: Path, tmp_path: Path):
    for name, file, *_ in REAL[7:]:
        found = items(name, shared_data / file)[:50]
        path = write_lines(tmp_path / f"{name}.jsonl", *stepviz.write(found))
        again = items("stepviz", path)
        assert [(i.problem, i.chains, i.annotations) for i in again] == [
            (i.problem, i.chains, i.annotations) for i in found
        ]


@pytest.mark.parametrize("question", ["plain", "  two  spaces\nand a line ", "\u00a0", "e\u0301 is not NFC", "a\t b"])
def test_a_rows_own_wording_comes_back_from_any_wording_of_the_problem(question: str):
    kept = wording.difference(question)
    for other in (question, wording.fold(question), f" {wording.fold(question)}\n".replace(" ", "  ")):
        assert problem_id(other) == problem_id(question)
        assert wording.restore(other, json.loads(json.dumps(kept))) == question


def test_any_chain_can_be_written_as_a_row_of_processbench(shared_data: Path):
    chain = items("gsm8k-solutions", shared_data / "gsm8k/example_model_solutions.jsonl")[0].chains[0]
    row = processbench.row_of("Q?", chain, 3, False)
    assert (row["label"], row["generator"], row["problem"]) == (2, "gsm8k/6b_finetuning", "Q?")
    assert processbench.row_of("Q?", chain, None, None)["label"] == -1
