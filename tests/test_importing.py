"""Import into a real SQLite: what comes in, twice, interrupted, wrong; and what goes out again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from db.values import ChainFilter
from stepviz import exporting
from stepviz.answers import GRADER
from stepviz.importing import import_path
from stepviz.sources import Unreadable
from stepviz.sources.mapping import Mapping
from stepviz.sources.rows import rows
from stepviz.steps import segment
from stepviz.types import Annotation, Problem
from tests.source_rows import lines

ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'a.db'}") as opened:
        yield opened


def jsonl(path: Path, *values: Any) -> Path:
    path.write_text("".join(json.dumps(v) + "\n" for v in values))
    return path


def raw_rows(path: Path) -> list[dict[str, Any]]:
    return [row.fields for row in rows(path)]


def test_gsm8k_with_its_sample_solutions(store: Store, shared_data: Path):
    start = time.process_time()  # not the clock: the machine may be busy
    problems = import_path(store, "gsm8k", shared_data / "gsm8k/test.jsonl")
    chains = import_path(store, "gsm8k-solutions", shared_data / "gsm8k/example_model_solutions.jsonl")
    seconds = time.process_time() - start
    assert (problems.problems_new, problems.chains_new, problems.refused) == (1319, 0, [])
    assert (chains.problems_new, chains.chains_new, chains.refused) == (0, 5276, [])
    assert chains.correct == 2001
    assert chains.disagreements == []  # our checker and the file's flags agree on every chain
    stats = store.stats()
    assert (stats["problems"], stats["chains"], stats["correct_chains"]) == (1319, 5276, 2001)
    graders = Counter(row.verdict.grader for row in store.chains_of(ChainFilter(verdict="correct")))
    assert graders == {GRADER: 2001}  # none is correct only because the file says so
    correct = Counter(row.chain.origin for row in store.chains_of(ChainFilter(verdict="correct")))
    assert sorted(correct.values()) == [286, 458, 515, 742]
    again = import_path(store, "gsm8k-solutions", shared_data / "gsm8k/example_model_solutions.jsonl")
    assert (again.problems_new, again.chains_new, again.annotations_new, again.unchanged) == (0, 0, 0, 1319)
    assert store.stats() == stats
    assert seconds < 90  # of this process; 4 s are usual


KILLED = """
import sys
from db.store import open_store
from stepviz.importing import import_path
report = import_path(open_store(sys.argv[1]), "gsm8k-solutions", sys.argv[2],
                     on_progress=lambda p: print(p["done"], flush=True))
print("new", report.chains_new, "unchanged", report.unchanged)
"""


def test_killed_in_the_middle_the_same_command_goes_on(shared_data: Path, tmp_path: Path):
    url, path = f"sqlite:///{tmp_path / 'killed.db'}", shared_data / "gsm8k/example_model_solutions.jsonl"
    command = [sys.executable, "-c", KILLED, url, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert [process.stdout.readline().strip() for _ in range(2)] == ["200", "400"]
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with open_store(url) as store:
        before = store.stats()["chains"]
        assert 1600 <= before < 5276
        assert before % 800 == 0  # whole batches of 200 problems with four chains
    second = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert second.stdout.splitlines()[-1] == f"new {5276 - before} unchanged {before // 4}"
    with open_store(url) as store:
        assert store.stats()["chains"] == 5276


def test_cancelled_between_batches_what_is_stored_stays(store: Store, shared_data: Path):
    seen: list[dict[str, Any]] = []
    path = shared_data / "gsm8k/test.jsonl"
    report = import_path(store, "gsm8k", path, on_progress=seen.append, cancelled=lambda: len(seen) == 2)
    assert report.cancelled
    assert store.stats()["problems"] == report.problems_new == 400
    assert [(p["done"], p["unit"]) for p in seen] == [(200, "rows"), (400, "rows")]
    assert seen[0]["total"] >= 1319
    rest = import_path(store, "gsm8k", path)
    assert (rest.problems_new, rest.unchanged) == (919, 400)


def test_labels_come_in_and_the_files_go_out_equal(store: Store, shared_data: Path):
    bench, trees = shared_data / "processbench/gsm8k.json", shared_data / "prm800k/phase1_test_trajectories.jsonl"
    # GSM8K first: its wording of the questions is the store's
    import_path(store, "gsm8k", shared_data / "gsm8k/test.jsonl")
    first = import_path(store, "processbench", bench)
    assert (first.problems_new, first.chains_new, first.annotations_new) == (0, 400, 400)
    # two rows whose file calls an answer wrong that is the gold answer of GSM8K
    assert {(d.flag, d.verdict.answer, d.gold) for d in first.disagreements} == {(False, "59", "59"), (False, "2", "2")}
    second = import_path(store, "prm800k", trees)
    assert (second.problems_new, second.chains_new, second.annotations_new) == (101, 3695, 5192)
    for name, path in (("processbench", bench), ("prm800k", trees)):
        out = [json.dumps(row) for row in exporting.EXPORTS[name](store)]
        assert out == [json.dumps(row) for row in raw_rows(path)]
        assert import_path(store, name, path).unchanged == len(out)
    # a person's later labels are not the source's
    chain = next(store.chains_of(ChainFilter(origin="prm800k/chosen"))).chain
    store.add_annotation(Annotation(chain.id, "ana", "correct", 1, -1))
    assert list(exporting.export_prm800k(store)) == raw_rows(trees)
    (row,) = exporting.export_prm800k(store, annotator="ana")
    assert row["question"]["problem"] == raw_rows(trees)[0]["problem"]
    assert [step["completions"][0]["rating"] for step in row["label"]["steps"]] == [-1] + [None] * (chain.n - 1)
    (row,) = exporting.export_processbench(store, annotator="ana")
    assert (row["label"], row["steps"]) == (0, list(chain.steps))


def test_prm800k_goes_out_equal_after_a_step_was_cut_by_hand(store: Store, tmp_path: Path):
    said = {"text": "Seven times six.\nThat is 42.", "rating": None, "source": "human", "flagged": False}
    tried = [
        {"text": "Add them.", "rating": -1, "flagged": False},
        {"text": "Multiply.", "rating": 1, "flagged": False},
    ]
    row = {
        "labeler": "340d89bc", "timestamp": "2022-07-17T16:56:51",
        "question": {"problem": "What is 6 times 7?", "ground_truth_answer": "42"},
        "label": {"steps": [{"completions": tried, "human_completion": said, "chosen_completion": 1}], "total_time": 9,
                  "finish_reason": "solution"},
    }  # fmt: skip
    import_path(store, "prm800k", jsonl(tmp_path / "phase1.jsonl", row))
    (written,) = (r.chain for r in store.chains_of() if "Seven" in r.chain.text)  # nobody rated it, so it may be cut
    store.set_spans(written.id, segment(written.text, "line"), "line/1")
    store.set_spans(written.id, segment(written.text, "sentence"), "sentence/1")
    assert store.chain(written.id).chain.n == 2
    assert list(exporting.export_prm800k(store)) == [row]


def test_verdicts_without_and_then_with_a_gold_answer(store: Store, shared_data: Path):
    """PRM800K's rows have answers but no gold: MATH brings it, and the chains stored before are graded then."""
    trees = shared_data / "prm800k/phase1_test_trajectories.jsonl"
    first = import_path(store, "prm800k", trees)
    assert (first.chains, first.partial, first.unknown, first.no_gold) == (3695, 3369, 326, 326)
    whole = [row for row in store.chains_of() if not row.chain.meta.get("partial")]  # the others state no answer
    assert {row.verdict.reason for row in whole} == {"the problem has no gold answer"}
    report = import_path(store, "math", shared_data / "math/math500_test.json")
    assert report.regraded == len(whole) == 326
    assert import_path(store, "math", shared_data / "math/math500_test.json").regraded == 0
    # the last step of 90 paths is marked as a solution; one of them says 585000 where 650 * 90 is 58,500
    solved = {r["id"] for r in raw_rows(trees) for c in r["steps"][-1]["candidates"] if c.get("is_solution")}
    verdicts = {row.chain.key: row.verdict for row in store.chains_of(ChainFilter(origin="prm800k/chosen"))}
    assert len(solved) == 90
    wrong = [verdicts[key] for key in solved if verdicts[key].value != "correct"]
    assert [(verdict.value, verdict.answer) for verdict in wrong] == [("wrong", "585000")]
    unfinished = next(row for row in store.chains_of() if row.chain.meta.get("partial"))
    assert (unfinished.verdict.value, unfinished.verdict.reason) == ("unknown", "the chain ends before its answer")


def test_what_the_file_says_counts_where_we_cannot_judge(store: Store, tmp_path: Path):
    steps = {"steps": ["It is five."], "label": -1, "generator": "m", "problem": "How much is 2 + 3?"}
    path = jsonl(tmp_path / "a.jsonl", {"id": "q-0", "final_answer_correct": True, **steps})
    assert import_path(store, "processbench", path).correct == 1
    (row,) = store.chains_of()
    assert row.verdict.grader == f"{GRADER}+file:processbench"
    assert "no gold answer" in row.verdict.reason
    assert "the file says that the answer is right" in row.verdict.reason


def test_our_own_format_carries_a_store_over(store: Store, shared_data: Path, tmp_path: Path):
    import_path(store, "prm800k", shared_data / "prm800k/phase1_test_trajectories.jsonl")
    chains = list(store.chains_of(ChainFilter(origin="prm800k/chosen")))[:3]
    store.add_annotation(Annotation(chains[0].chain.id, "ana", "solvable", 1, 0, "hm"))
    store.override_verdict(chains[1].chain.id, "wrong", "it guesses", "ana")
    out = tmp_path / "all.jsonl"
    assert exporting.write_jsonl(exporting.export_stepviz(store), out) == 106  # five problems have two rows
    with open_store(f"sqlite:///{tmp_path / 'b.db'}") as other:
        report = import_path(other, "auto", out)
        assert (report.format, report.refused) == ("stepviz", [])
        assert other.stats() == store.stats()
        assert list(exporting.export_stepviz(other)) == list(exporting.export_stepviz(store))
        assert other.chain(chains[1].chain.id).verdict.grader == "person:ana"
        again = import_path(other, "stepviz", out)
        assert (again.unchanged, again.annotations_new) == (106, 0)


def test_a_row_that_the_store_refuses_does_not_take_the_batch_with_it(store: Store, tmp_path: Path):
    def row(key: str, **changes: Any) -> dict[str, Any]:
        problem = Problem("2 + 3?", "5", source="s", key=key)
        chain = {"problem_id": problem.id, "origin": "o", "key": key, "text": f"a{key}", "spans": [[0, 2, "step"]]}
        chain |= {"rule": "line/1", "meta": {}, "parent": None, "branch_step": None} | changes
        given = {"question": problem.question, "answer": "5", "solution": None, "source": "s", "key": key}
        return {"stepviz": 1, "problem": {**given, "split": None, "meta": {}}, "chains": [chain], "annotations": []}

    changed = row("1", text="b1")  # the same chain with another text
    report = import_path(store, "stepviz", jsonl(tmp_path / "a.jsonl", row("1"), row("2"), changed, {"stepviz": 1}))
    assert report.chains_new == 2
    assert {refusal.line: refusal.reason for refusal in report.refused} == {
        3: "its chain is stored with another text, which stays, because labels may hang on it; its own labels stay out",
        4: "the field 'problem' is missing",
    }
    assert {r.chain.text for r in store.chains_of()} == {"a1", "a2"}


def test_the_wrong_format_says_which_it_looks_like(store: Store, shared_data: Path, tmp_path: Path):
    with pytest.raises(Unreadable, match=r"none of 400 rows could be read as gsm8k\. It looks like processbench"):
        import_path(store, "gsm8k", shared_data / "processbench/gsm8k.json")
    with pytest.raises(Unreadable, match=r"none of the first 2,000 rows could be read as svamp\. It looks like gsm8k"):
        import_path(store, "svamp", shared_data / "gsm8k/train.jsonl")
    assert store.stats()["problems"] == 0
    with pytest.raises(Unreadable, match=r"It has rows with id, gold, .*: import it as a table, and say which"):
        import_path(store, "math", shared_data / "equivalence/cases.jsonl")
    with pytest.raises(Unreadable, match="As a table it can be read: question=question, response=reasoning"):
        import_path(store, "math", lines(tmp_path / "a.jsonl", {"question": "2 + 3?", "reasoning": "#### 5"}))
    with pytest.raises(Unreadable, match="there is no such file"):
        import_path(store, "gsm8k", shared_data / "nothing.jsonl")


def test_good_rows_behind_thousands_of_bad_ones_come_in(store: Store, tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text("{broken\n" * 3000 + json.dumps({"question": "2 + 3?", "answer": "#### 5"}) + "\n")
    report = import_path(store, "gsm8k", path)
    assert (report.problems_new, len(report.refused), report.refused[-1].line) == (1, 3000, 3000)


def test_a_table_with_a_mapping_of_ones_own(store: Store, tmp_path: Path):
    given = [{"q": "2 + 3?", "truth": "5", "out": ["so 5", "so 6"], "model": "m"}, {"q": "", "truth": "1"}]
    mapping = Mapping("q", "truth", response="out", origin="model", answer_rule="last-number")
    report = import_path(store, "table", jsonl(tmp_path / "mine.jsonl", *given), mapping=mapping, split="test")
    assert (report.correct, report.wrong, report.problems_new) == (1, 1, 1)
    assert [str(refusal) for refusal in report.refused] == [
        f"{tmp_path / 'mine.jsonl'}:2: 'q' (question) is missing or empty"
    ]
    (problem,) = store.problems()
    assert problem.sources == (("mine/mine", problem.sources[0].key, "test"),)
