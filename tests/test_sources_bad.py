"""What cannot come in is reported with file, line and reason, and everything else comes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepviz import sources
from stepviz.errors import StepvizError
from stepviz.sources import Unreadable, rows
from stepviz.types import Refusal, SourceItem

GOOD = {"question": "How much is 2 + 3?", "answer": "2 + 3 = 5\n#### 5"}
LABELLED = {
    "id": "q-0",
    "generator": "m",
    "problem": "How much is 2 + 3?",
    "steps": ["2 + 3 = 6", "The answer is 6."],
    "final_answer_correct": False,
    "label": 0,
}
TAUGHT = {
    "problem": "How much is 2 + 3?",
    "reference_solution": "2 + 3 = 5\n 5",
    "student_incorrect_solution": ["2 + 3 = 6", " 6"],
    "incorrect_index": 0,
    "incorrect_step": "2 + 3 = 6",
}
TREE = {
    "id": "t-0",
    "problem": "How much is 2 + 3?",
    "steps": [{"candidates": [{"text": "2 + 3 = 5", "rating": 1}], "chosen": 0, "human": None}],
}
SAMPLES = {
    "question": "How much is 2 + 3?",
    "ground_truth": "2 + 3 = 5\nA: 5",
    "6b_finetuning": {"is_correct": True, "solution": "2 + 3 = 5\nA: 5"},
}
CHOICE = {"question": "2 + 3?", "options": ["A)4", "B)5"], "rationale": "", "correct": "B"}
SHEPHERD = {"input": "Q? Step 1: a ки", "label": "Q? Step 1: a +", "task": "t"}
STEPWISE = {"prompt": "Q?", "completions": ["a"], "labels": [True]}
SUM = {"ID": "c", "Body": "Ann has 3 pens.", "Question": "How many?", "Answer": 3.0}
BOXED = {"problem": "2 + 3?", "solution": "\\boxed{5}", "answer": "5"}


def lines(path: Path, *raw: Any) -> Path:
    path.write_bytes(b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in raw))
    return path


def refused(name: str, path: Path) -> Refusal:
    """The only refusal; the good rows around it came in."""
    found = list(sources.read(name, path))
    (refusal,) = [entry for entry in found if isinstance(entry, Refusal)]
    assert sum(isinstance(entry, SourceItem) for entry in found) == len(found) - 1 >= 1
    assert refusal.file == str(path)
    return refusal


BAD_LINES = [
    (b'{"question": "cut off', "malformed JSON"),
    (b"not JSON at all", "malformed JSON"),
    (b"[1, 2]", "must be a JSON object"),
    (b"17", "must be a JSON object"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"question": ' + b"9" * 10_000 + b"}", "malformed JSON"),
    (b'{"question": "caf\xe9?", "answer": "#### 5"}', "not UTF-8: byte 18 is 0xe9"),
    (b'{"question": "half \\ud83d?", "answer": "#### 5"}', "surrogate"),
    (b'{"question": "nul \\u0000?", "answer": "#### 5"}', "NUL"),
    (b'{"answer": "#### 5"}', "the field 'question' is missing"),
    (b'{"question": 5, "answer": "#### 5"}', "'question' must be a text, this is a whole number"),
    (b'{"question": null, "answer": "#### 5"}', "this is null"),
    (b'{"question": "  ", "answer": "#### 5"}', "'question' is empty"),
    (b'{"question": "Q?", "answer": "no mark"}', "no last line '#### N'"),
    (b'{"question": "Q?", "answer": "####  "}', "no last line '#### N'"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_LINES, ids=[str(i) for i in range(len(BAD_LINES))])
def test_a_bad_line_is_named_and_the_others_come_in(tmp_path: Path, bad: bytes, reason: str):
    refusal = refused("gsm8k", lines(tmp_path / "a.jsonl", GOOD, bad, b"", GOOD))
    assert refusal.line == 2
    assert reason in refusal.reason


BAD_FIELDS = [
    ("processbench", LABELLED, {"label": 2}, "'label' is 2, out of range: it must lie in -1…1"),
    ("processbench", LABELLED, {"label": -2}, "out of range"),
    ("processbench", LABELLED, {"label": "0"}, "'label' must be a whole number, this is a text"),
    ("processbench", LABELLED, {"label": True}, "'label' must be a whole number, this is true or false"),
    ("processbench", LABELLED, {"steps": []}, "'steps' is an empty list"),
    ("processbench", LABELLED, {"steps": ["a", " "]}, "steps[1] is empty"),
    ("processbench", LABELLED, {"steps": ["a", 3]}, "steps[1] must be a text"),
    ("processbench", LABELLED, {"steps": "a"}, "'steps' must be a list"),
    ("processbench", LABELLED, {"final_answer_correct": "no"}, "'final_answer_correct' must be true or false"),
    ("processbench", LABELLED, {"id": "first"}, "stands already on line 1"),
    ("stepverify", TAUGHT, {"incorrect_index": 2}, "'incorrect_index' is 2, out of range"),
    ("stepverify", TAUGHT, {"incorrect_index": -1}, "out of range"),
    ("stepverify", TAUGHT, {"incorrect_index": 1}, "'incorrect_step' is not the text of step 1"),
    ("stepverify", TAUGHT, {"reference_solution": ""}, "'reference_solution' is empty"),
    ("prm800k", TREE, {"id": "first"}, "stands already"),
    ("prm800k", TREE, {"steps": [{**TREE["steps"][0], "chosen": 1}]}, "step 1: 'chosen' is 1, out of range"),
    ("prm800k", TREE, {"steps": [{"candidates": [{"text": "a", "rating": 2}]}]}, "rating of candidate 0 is 2"),
    ("prm800k", TREE, {"steps": [{"candidates": [{"text": "", "rating": 1}]}]}, "step 1: 'text' is empty"),
    ("prm800k", TREE, {"steps": [{"candidates": [7]}]}, "candidate 0 must be an object"),
    ("prm800k", TREE, {"steps": [{"candidates": [], "chosen": None}]}, "no step has a candidate"),
    ("prm800k", TREE, {"steps": []}, "no row of PRM800K"),
    ("gsm8k-solutions", SAMPLES, {"6b_finetuning": {"solution": "A: 5"}}, "'6b_finetuning': the field 'is_correct'"),
    ("gsm8k-solutions", SAMPLES, {"6b_finetuning": None}, "no samples"),
    ("gsm8k-solutions", SAMPLES, {"ground_truth": "5"}, "no last line 'A: N'"),
    ("aqua", CHOICE, {"correct": "C"}, "'correct' is 'C', but the options are A, B"),
    ("aqua", CHOICE, {"options": []}, "'options' is an empty list"),
    ("math-shepherd", SHEPHERD, {"label": "Q? Step 1: a ?"}, "it must be + or -"),
    ("math-shepherd", SHEPHERD, {"label": "Q? Step 1: b +"}, "does not repeat the text"),
    ("math-shepherd", SHEPHERD, {"label": "Q? Step 1: a + more"}, "goes on behind the end"),
    ("math-shepherd", SHEPHERD, {"input": "Step 1: a ки", "label": "Step 1: a +"}, "no question before"),
    ("math-shepherd", SHEPHERD, {"input": "Q?", "label": "Q?"}, "no step tag"),
    ("trl", STEPWISE, {"labels": [True, False]}, "2 labels for 1 completions"),
    ("trl", STEPWISE, {"labels": [2]}, "labels[0] is 2, out of range"),
    ("trl", STEPWISE, {"labels": ["+"]}, "labels[0] must be true, false or a number"),
    ("svamp", SUM, {"Answer": None}, "'Answer' must be"),
    ("svamp", SUM, {"Body": ""}, "'Body' is empty"),
    ("math", BOXED, {"answer": None, "solution": "5"}, "has no \\boxed"),
    ("stepviz", {"stepviz": 1, "problem": {}, "chains": [], "annotations": []}, {}, "the field 'question' is missing"),
]


@pytest.mark.parametrize(("name", "good", "change", "reason"), BAD_FIELDS)
def test_a_bad_field_is_named(tmp_path: Path, name: str, good: dict, change: dict, reason: str):
    first = {**good, "id": "first"} if "id" in good else good
    if name == "stepviz":
        first = {**good, "problem": own()["problem"]}
    refusal = refused(name, lines(tmp_path / "a.jsonl", first, {**good, **change}))
    assert refusal.line == 2
    assert reason in refusal.reason


def own() -> dict[str, Any]:
    """A row of our own format, as it is documented."""
    problem = {
        "question": "2 + 3?",
        "answer": "5",
        "solution": None,
        "source": "s",
        "key": "1",
        "split": None,
        "meta": {},
    }
    item = sources.stepviz.Problem(**problem)
    chain = {
        "problem_id": item.id,
        "origin": "o",
        "key": "1",
        "text": "a\n5",
        "spans": [[0, 1, "step"], [2, 3, "answer"]],
        "rule": "line/1",
        "meta": {},
        "parent": None,
        "branch_step": None,
    }
    label = {
        "chain_id": sources.stepviz.Chain(item.id, "o", "1", "", (), "").id,
        "annotator": "ana",
        "question": "correct",
        "step": 1,
        "value": 1,
        "note": "",
        "meta": {},
        "key": "",
        "undone": False,
    }
    return {"stepviz": 1, "problem": problem, "chains": [chain], "annotations": [label]}


OWN_CHANGES = [
    (("stepviz",), 2, "another version"),
    (("chains", 0, "spans"), [[0, 9, "step"]], "step 1 is not"),
    (("chains", 0, "spans"), [[2, 3, "step"]], "leaves out text"),
    (("chains", 0, "spans"), [[0, 1, "step"]], "text is left over"),
    (("chains", 0, "problem_id"), "x", "not the id of the row's question"),
    (("chains", 0, "parent"), "x", "which the row does not bring"),
    (("annotations", 0, "step"), 3, "'step' is 3, out of range"),
    (("annotations", 0, "value"), 2, "value is 2, out of range"),
    (("annotations", 0, "question"), "nice", "must be one of"),
    (("annotations", 0, "chain_id"), "x", "which the row does not bring"),
]


@pytest.mark.parametrize(("place", "value", "reason"), OWN_CHANGES)
def test_our_own_format_is_checked_too(tmp_path: Path, place: tuple, value: object, reason: str):
    changed: Any = own()
    inner = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    assert reason in refused("stepviz", lines(tmp_path / "a.jsonl", own(), changed)).reason


def test_a_line_too_long_is_refused_without_being_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "MAX_LINE", 2**20)
    long = {"question": "x" * 2**21, "answer": "#### 1"}
    refusal = refused("gsm8k", lines(tmp_path / "a.jsonl", GOOD, long, GOOD))
    assert (refusal.line, refusal.reason) == (2, "the line is longer than 1 MiB")


def test_a_broken_element_of_an_array_does_not_hide_the_others(tmp_path: Path):
    pretty = json.dumps([LABELLED, {**LABELLED, "id": "q-1"}, {**LABELLED, "id": "q-2"}], indent=2)
    path = tmp_path / "a.json"
    path.write_text(pretty.replace('"id": "q-1",', '"id": "q-1"'))  # a comma is gone
    refusal = refused("processbench", path)
    assert (refusal.line, "malformed JSON" in refusal.reason) == (13, True)
    path.write_text(pretty[: pretty.index('"q-2"')])  # the file is cut off
    assert refused("processbench", path).line == 24
    path.write_text(pretty.rstrip("] \n"))
    assert "not closed" in refused("processbench", path).reason
    path.write_text(json.dumps([LABELLED, 7]))
    assert "must be a JSON object" in refused("processbench", path).reason


def test_byte_order_marks(tmp_path: Path):
    body = json.dumps(GOOD).encode() + b"\n"
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + body)
    (item,) = sources.read("gsm8k", tmp_path / "bom.jsonl")
    assert isinstance(item, SourceItem)
    for name in ("utf-16", "utf-16-le", "utf-16-be"):
        (tmp_path / "wide.jsonl").write_bytes(json.dumps(GOOD).encode(name))
        with pytest.raises(Unreadable, match="this is UTF-16; save it as UTF-8"):
            list(sources.read("gsm8k", tmp_path / "wide.jsonl"))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.jsonl", None, "there is no such file"),
        ("empty.jsonl", b"", "the file is empty"),
        ("packed.jsonl", b"\x1f\x8b\x08\x00", "compressed"),
        ("pointer.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("broken.parquet", b"PAR1 and nothing else", "a damaged Parquet file"),
        ("twice.csv", b"question,question\na,b\n", "two columns are named 'question'"),
    ],
)
def test_nothing_to_read_says_what_to_do(tmp_path: Path, name: str, content: bytes | None, reason: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        list(sources.read("table", tmp_path / name))
    assert sources.detect(tmp_path / name) is None


def test_a_folder_names_the_files_in_it(tmp_path: Path):
    lines(tmp_path / "test.jsonl", GOOD)
    with pytest.raises(Unreadable, match=r"this is a folder, not a file; give one of its files: test\.jsonl"):
        list(sources.read("gsm8k", tmp_path))


def test_unknown_formats_and_options_say_what_there_is(tmp_path: Path):
    with pytest.raises(StepvizError, match="Did you mean processbench"):
        sources.named("procesbench")
    with pytest.raises(StepvizError, match="takes no option 'rule'; it takes split"):
        sources.read("gsm8k", tmp_path / "a.jsonl", rule="line")
    assert sources.named("gsm8k_solutions").NAME == "gsm8k-solutions"
    assert sources.named("CSV").NAME == "table"


def test_cells_of_a_csv_that_do_not_fit(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'question,response\n"two\nlines",ok\ntoo,many,cells\ncaf\xe9,ok\ngood,ok\nnever closed,"...\nswallowed,ok\n'
    )
    found = list(sources.read("table", path))
    refusals = {entry.line: entry.reason for entry in found if isinstance(entry, Refusal)}
    assert [entry.line for entry in found if isinstance(entry, SourceItem)] == [2, 6]
    assert refusals.keys() == {4, 5, 7}
    assert refusals[4] == "3 fields, but the header names 2"
    assert "not UTF-8" in refusals[5]
    assert "malformed CSV" in refusals[7]


def _places(value: Any, at: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [place for key, v in inner for place in _places(v, (*at, key))]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        *(("gsm8k", GOOD), ("processbench", LABELLED), ("stepverify", TAUGHT), ("prm800k", TREE), ("aqua", CHOICE)),
        *(
            ("gsm8k-solutions", SAMPLES),
            ("math-shepherd", SHEPHERD),
            ("trl", STEPWISE),
            ("svamp", SUM),
            ("math", BOXED),
        ),
        *(("stepviz", None), ("table", LABELLED), ("table", {**GOOD, "response": ["a", "b"], "labels": [[1], [0]]})),
    ],
)
def test_a_wrong_value_anywhere_is_an_item_or_a_refusal_never_a_crash(tmp_path: Path, name: str, good: dict | None):
    good = good or own()
    wrong = [None, True, -1, 2.5, 10**30, "", "x", "#### ", [], [None], [[]], {}, {"text": []}, [{"role": "user"}]]
    rows_ = []
    for place in _places(good):
        for value in wrong:
            row = json.loads(json.dumps(good))
            inner = row
            for part in place[:-1]:
                inner = inner[part]
            inner[place[-1]] = value
            rows_.append(row)
    mapping = {"mapping": sources.table.guess_mapping(list(good), [good])} if name == "table" else {}
    found = list(sources.read(name, lines(tmp_path / "a.jsonl", *rows_), **mapping))
    assert len(found) == len(rows_)
    assert any(isinstance(entry, Refusal) for entry in found)
    for entry in found:  # what comes in holds together
        for label in getattr(entry, "annotations", ()):
            (n,) = {chain.n for chain in entry.chains if chain.id == label.chain_id}
            assert 0 <= label.step <= n
            assert label.question != "first_error" or label.value is None or 1 <= label.value <= n
        for chain in getattr(entry, "chains", ()):
            assert chain.problem_id == entry.problem.id
