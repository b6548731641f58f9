"""What an import says of itself: each sentence true, the numbers adding up, no flood of the same refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz.import_report import named, source_of, told
from stepviz.importing import import_path
from stepviz.sources import Unreadable
from stepviz.types import Refusal
from tests.source_rows import CHOICE, GOOD, LABELLED, SAMPLES, TAUGHT, TREE, lines
from tests.test_cli import run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'a.db'}") as opened:
        yield opened


def says(store: Store, format: str, path: Path, **options: Any) -> list[str]:
    """The sentences of an import; its chains add up."""
    report = import_path(store, format, path, **options)
    assert report.correct + report.wrong + report.unknown + report.partial == report.chains
    return told(report.format, report.counts())


def test_one_is_no_plural_and_no_chains_are_not_judged(store: Store, tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", GOOD)
    assert says(store, "gsm8k", path) == [
        "1 row read as gsm8k: 1 problem (new).",
        "There are no chains yet: sample some, or import a file with solutions.",
    ]
    assert says(store, "gsm8k", path) == [
        "1 row read as gsm8k: 1 problem (here already).",
        "All of it was here already: nothing changed.",
    ]
    path = lines(tmp_path / "b.jsonl", GOOD, {**GOOD, "question": "Another?"}, {"question": "Which?"})
    assert says(store, "gsm8k", path)[0] == "3 rows read as gsm8k, 1 refused: 2 problems (1 new)."
    assert says(store, "gsm8k-solutions", lines(tmp_path / "c.jsonl", SAMPLES)) == [
        "1 row read as gsm8k-solutions: 1 problem (here already) and 1 chain (new).",
        "1 chain: 1 correct.",
    ]


def test_a_solution_that_three_teachers_saw_is_one_chain(store: Store, tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", *[TAUGHT] * 3)
    assert says(store, "stepverify", path) == [
        "3 rows read as stepverify: 1 problem (new), 1 chain (new) and 3 labels (all new).",
        "1 chain: 1 wrong.",
    ]


def test_real_solutions_that_several_teachers_saw(store: Store, shared_data: Path):
    """1,002 rows, 612 different solutions (the README beside the file), all of which go wrong."""
    report = import_path(store, "stepverify", shared_data / "stepverify/dataset.json")
    assert (report.rows, report.problems, report.chains, report.annotations) == (1002, 612, 612, 1002)
    assert (report.correct, report.partial, report.wrong + report.unknown) == (0, 0, 612)
    assert told("stepverify", report.counts())[0] == (
        "1,002 rows read as stepverify: 612 problems (all new), 612 chains (all new) and 1,002 labels (all new)."
    )


TREE_OF_TWO = {
    "id": "t-0",
    "problem": "How much is 2 + 3?",
    "steps": [
        {"candidates": [{"text": "Add.", "rating": 1}, {"text": "Take.", "rating": -1}], "chosen": 0, "human": None},
        {"candidates": [{"text": "So 5.", "rating": 1, "answer": "5"}], "chosen": 0, "human": None},
    ],
}


def test_prm800k_has_no_gold_answers_and_its_alternatives_are_no_whole_chains(store: Store, tmp_path: Path):
    tree = lines(tmp_path / "a.jsonl", TREE_OF_TWO)
    assert says(store, "prm800k", tree) == [
        "1 row read as prm800k: 1 problem (new), 2 chains (all new) and 3 labels (all new).",
        "1 chain ends before an answer: nothing to judge there.",
        "1 whole chain: 1 without a gold answer to judge by.",
        "Import math, where prm800k has its problems from: then we judge them.",
    ]
    math = lines(tmp_path / "math.jsonl", {"problem": "How much is 2 + 3?", "solution": "It is $\\boxed{5}$."})
    assert says(store, "math", math) == [
        "1 row read as math: 1 problem (here already).",
        "1 chain that was here before is judged now, by the gold answers that came in.",
    ]
    assert says(store, "prm800k", tree)[2:] == [
        "1 chain ends before an answer: nothing to judge there.",
        "1 whole chain: 1 correct.",
    ]


def test_a_gold_answer_further_down_in_the_same_file(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stepviz.importing.BATCH", 1)
    given = [{"question": "2 + 3?", "response": "#### 5"}, {"question": "2 + 3?", "answer": "5", "response": "#### 6"}]
    assert says(store, "table", lines(tmp_path / "mine.jsonl", *given)) == [
        "2 rows read as table: 1 problem (new) and 2 chains (all new).",
        "2 chains: 1 correct, 1 wrong.",
    ]
    bare = lines(tmp_path / "bare.jsonl", {"question": "Why?", "response": "Because.\n#### 7"})
    assert says(store, "table", bare)[1:] == [
        "1 chain: 1 without a gold answer to judge by.",
        "Say which column is the answer, or import a data set that has the answers: then we judge them.",
    ]


def test_where_we_decide_otherwise_than_the_file(store: Store, tmp_path: Path):
    wrong = {**SAMPLES, "6b_finetuning": {"is_correct": False, "solution": "2 + 3 = 5\nA: 5"}}
    path = lines(tmp_path / "a.jsonl", wrong)
    assert says(store, "gsm8k-solutions", path)[1:] == [
        "1 chain: 1 correct.",
        "On 1 chain we decide otherwise than the file does.",
    ]


def test_a_verdict_that_is_the_files_own_is_called_so(store: Store, tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", LABELLED, {**LABELLED, "id": "q-1", "final_answer_correct": True})
    assert says(store, "processbench", path)[1:] == [
        "2 chains: 1 correct, 1 wrong.",
        "2 verdicts are the file's own, because ours needs a gold answer and an answer that it can read.",
        "Import gsm8k or math, where processbench has its problems from: then we judge them.",
    ]
    import_path(store, "gsm8k", lines(tmp_path / "gold.jsonl", GOOD))
    assert says(store, "processbench", path)[2:] == [
        "2 chains: 2 wrong.",
        "On 1 chain we decide otherwise than the file does.",
    ]


def test_which_source_an_import_is_seen_under(tmp_path: Path):
    assert source_of("table", tmp_path / "traces.csv.gz") == "mine/traces"
    assert source_of("prm800k", "x.jsonl") == "prm800k"
    assert source_of("stepviz", "x.jsonl") is None


def test_many_rows_refused_for_one_reason_are_three_examples_and_a_count():
    same = [Refusal("a.jsonl", i, f"malformed JSON: Expecting value (column {i})") for i in range(1, 103)]
    other = [Refusal("a.jsonl", 200, "the field 'question' is missing")]
    assert named([*same, *other], 3) == [
        "a.jsonl:1: malformed JSON: Expecting value (column 1)",
        "a.jsonl:2: malformed JSON: Expecting value (column 2)",
        "a.jsonl:3: malformed JSON: Expecting value (column 3)",
        "… and 99 more for the same reason",
        "a.jsonl:200: the field 'question' is missing",
    ]
    assert named(same[:20], 20) == [str(refusal) for refusal in same[:20]]
    different = [Refusal("a.jsonl", i, "x" * i) for i in range(1, 10)]
    assert named(different, 3) == [*map(str, different[:6]), "… and 3 more for other reasons"]


def test_the_wrong_format_names_three_rows_and_keeps_all(store: Store, tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", *[CHOICE] * 102)
    with pytest.raises(Unreadable) as error:
        import_path(store, "gsm8k", path)
    assert str(error.value).splitlines() == [
        f"{path}: none of 102 rows could be read as gsm8k. It looks like aqua: import it as aqua.",
        *[f"{path}:{i}: the field 'answer' is missing" for i in (1, 2, 3)],
        "… and 99 more for the same reason",
    ]
    assert len(error.value.refused) == 102


def test_a_format_is_recommended_only_where_it_reads_the_file(store: Store, tmp_path: Path):
    broken = lines(tmp_path / "a.jsonl", *[{**TREE, "id": ""}] * 3)  # looks like prm800k, but no row of it comes in
    with pytest.raises(Unreadable, match=r"none of 3 rows could be read as gsm8k\.\n"):
        import_path(store, "gsm8k", broken)
    one = tmp_path / "one.jsonl"
    one.write_text('{\n  "question": "2 + 3?",\n  "answer": "#### 5"\n}\n')
    with pytest.raises(Unreadable, match="Each line must be one JSON object, or the whole file one list of them"):
        import_path(store, "gsm8k", one)


def test_the_command_line_finds_the_format_and_says_what_it_decides_otherwise(tmp_path: Path):
    wrong = {**SAMPLES, "6b_finetuning": {"is_correct": False, "solution": "2 + 3 = 5\nA: 5"}}
    lines(tmp_path / "mine.jsonl", wrong, *[{**SAMPLES, "question": ""}] * 30)
    done = run(tmp_path, "import", "auto", "mine.jsonl")
    assert done.stdout.splitlines() == [
        "31 rows read as gsm8k-solutions, 30 refused: 1 problem (new) and 1 chain (new).",
        "1 chain: 1 correct.",
        "On 1 chain we decide otherwise than the file does.",
        "  line 1: the file says wrong, we say correct: the same text",
        "Why rows were refused stands above, with their lines; --json lists every one.",
        "To look at them: make app, then the source gsm8k-solutions.",
    ]
    assert done.stderr.splitlines() == [
        *[f"mine.jsonl:{i}: 'question' is empty" for i in (2, 3, 4)],
        "… and 27 more for the same reason",
    ]
    lines(tmp_path / "table.jsonl", {"q": "2 + 3?"})
    assert "say which of q it is (--map question=COLUMN)" in run(tmp_path, "import", "table", "table.jsonl").stderr
