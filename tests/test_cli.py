"""The command line as a script sees it: stdout, stderr, exit codes, JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.store import open_store
from stepviz.types import Annotation, SourceItem
from tests.store_cases import chain, problem

ROOT = Path(__file__).parents[1]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STEPVIZ_DB": f"sqlite:///{folder}/cli.db", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "stepviz", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def value(result: subprocess.CompletedProcess[str]) -> object:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_an_empty_store_counts_zero(tmp_path: Path) -> None:
    assert value(run(tmp_path, "stats", "--json")) == {
        "problems": 0, "chains": 0, "correct_chains": 0, "steps": 0, "annotations": 0, "rollouts": 0, "datasets": 0,
    }  # fmt: skip


def test_a_name_from_a_file_says_nothing_to_the_terminal(tmp_path: Path) -> None:
    """Names of annotators come with imported labels; \x1b[2J would clear the screen."""
    of, who = problem(), "\x1b[2Jana\u202e"
    one = chain(of)
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        store.add_items([SourceItem(of, (one,), (Annotation(one.id, who, "correct", 1, 1),))])
    told = run(tmp_path, "agree", "--a", who, "--b", "equations")
    assert told.stdout.startswith("ana\ufffd")
    refused = run(tmp_path, "agree", "--a", "nobody", "--b", "equations")
    assert "equations, ana\ufffd" in refused.stderr
    assert not {"\x1b", "\u202e"} & {*told.stdout, *refused.stderr}


def test_import_reports_what_did_not_come_in_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    rows = ['{"question": "What is 1+1?", "answer": "1+1=2\\n#### 2"}', "{broken", '{"question": "no answer"}']
    (tmp_path / "g.jsonl").write_text("\n".join(rows))
    first = run(tmp_path, "import", "gsm8k", "g.jsonl", "--json")
    counts = value(first)
    assert isinstance(counts, dict)
    assert counts["problems_new"] == 1
    assert [r["line"] for r in counts["refused"]] == [2, 3]
    assert "g.jsonl:2:" in first.stderr
    again = value(run(tmp_path, "import", "gsm8k", "g.jsonl", "--json"))
    assert isinstance(again, dict)
    assert (again["problems_new"], again["unchanged"]) == (0, 1)


def test_a_table_with_its_own_columns(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text('task,reply,truth\n"What is 2+3?","2+3=5\n#### 5",5\n')
    mapped = run(
        tmp_path,
        "import",
        "table",
        "mine.csv",
        "--map",
        "question=task",
        "--map",
        "response=reply",
        "--map",
        "answer=truth",
        "--json",
    )
    counts = value(mapped)
    assert isinstance(counts, dict)
    assert (counts["chains_new"], counts["correct"]) == (1, 1)


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("import", "gsm8k", "nowhere.jsonl"), 2, "nowhere.jsonl"),
        (("import", "nonsense", "x"), 1, "formats are"),
        (("equal", "1"), 1, "give GOLD and ANSWER"),
        (("sample",), 1, "no problem fits"),
        (("measure",), 1, "no chain fits"),
        (("bench", "nothing"), 1, "no benchmark"),
        (("bench", "equations"), 1, "--data"),
        (("dataset", "build", "sft"), 1, "no problem of split"),
        (("export", "nothing", "x"), 1, "no export"),
        (("export", "processbench", "no/such/folder/x.jsonl"), 1, "cannot be written"),
        (("run", "cancel", "7"), 1, "7"),
        (("equal", "--file", "nowhere.jsonl"), 2, "nowhere.jsonl"),
        (("results",), 1, "root of the repository"),
    ],
)
def test_mistakes_are_one_line_on_stderr(words: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    result = run(tmp_path, *words)
    assert (result.returncode, result.stdout) == (code, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_equal_says_why(tmp_path: Path) -> None:
    found = value(run(tmp_path, "equal", "1/2", "0.5", "--json"))
    assert isinstance(found, dict)
    assert found["verdict"] == "equal"
    assert found["reason"]
    cases = '{"gold": "3", "pred": "4"}\n\n{"gold": "1,000", "pred": "$1000", "note": "a\u2028b"}\n'
    (tmp_path / "cases.jsonl").write_text(cases, encoding="utf-8")
    many = value(run(tmp_path, "equal", "--file", "cases.jsonl", "--json"))
    assert isinstance(many, list)
    assert [m["verdict"] for m in many] == ["different", "equal"]


def test_a_run_is_cancelled_and_says_so_in_json(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        queued = store.add_run("import", {"format": "gsm8k", "path": "x"})
    said = {"run": queued, "state": "cancelled"}
    assert value(run(tmp_path, "run", "cancel", str(queued), "--json")) == said


def test_world_problems_become_a_frozen_dataset(tmp_path: Path) -> None:
    assert value(run(tmp_path, "world", "problems", "train", "--count", "12", "--json")) == {
        "split": "train",
        "problems": 12,
        "new": 12,
    }
    one = value(run(tmp_path, "dataset", "build", "sft", "--source", "embedded", "--json"))
    two = value(run(tmp_path, "dataset", "build", "sft", "--source", "embedded", "--json"))
    assert isinstance(one, dict)
    assert one == two
    assert one["rows"] == 12
    run(tmp_path, "world", "problems", "test", "--count", "2")
    refused = run(tmp_path, "dataset", "build", "sft", "--split", "test")
    assert refused.returncode == 1
    assert "test problem" in refused.stderr


def test_sample_and_measure_go_on_where_they_were(tmp_path: Path) -> None:
    run(tmp_path, "world", "problems", "test", "--count", "2")
    first = value(run(tmp_path, "sample", "--n", "2", "--json"))
    assert isinstance(first, dict)
    assert first["state"] == "done"
    stats = value(run(tmp_path, "stats", "--json"))
    assert isinstance(stats, dict)
    assert (stats["chains"], stats["rollouts"]) == (4, 4)
    value(run(tmp_path, "sample", "--n", "3", "--json"))
    value(run(tmp_path, "sample", "--n", "3", "--json"))
    stats = value(run(tmp_path, "stats", "--json"))
    assert isinstance(stats, dict)
    assert stats["chains"] == 6
    value(run(tmp_path, "measure", "--k", "2", "--limit", "1", "--json"))
    measured = value(run(tmp_path, "stats", "--json"))
    value(run(tmp_path, "measure", "--k", "2", "--limit", "1", "--json"))
    assert value(run(tmp_path, "stats", "--json")) == measured


def test_a_test_problem_of_any_source_enters_no_training_set(tmp_path: Path) -> None:
    """The same question as PRM800K's training set and as MATH's test set: it stays out."""
    row = {"question": "What is 2+3?", "solution": "2+3=5\n#### 5", "answer": "5"}
    for source, split in (("mine", "train"), ("theirs", "test")):
        (tmp_path / f"{source}.jsonl").write_text(json.dumps(row))
        done = run(tmp_path, "import", "table", f"{source}.jsonl", "--split", split, "--json")
        assert done.returncode == 0, done.stderr
    built = run(tmp_path, "dataset", "build", "sft", "--split", "train", "--json")
    assert built.returncode == 1
    assert "test problem" in built.stderr
    assert value(run(tmp_path, "stats", "--json"))["datasets"] == 0


def test_an_empty_dataset_is_not_stored(tmp_path: Path) -> None:
    built = run(tmp_path, "dataset", "build", "sft", "--json")
    assert built.returncode == 1
    assert "import some first" in built.stderr
    assert value(run(tmp_path, "stats", "--json"))["datasets"] == 0
