"""What cannot come in is reported with file, line and reason, and everything else comes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepviz import sources
from stepviz.errors import StepvizError
from stepviz.types import Refusal
from tests.source_rows import (
    BOXED,
    CHOICE,
    GOOD,
    LABELLED,
    SAMPLES,
    SHEPHERD,
    STEPWISE,
    SUM,
    TAUGHT,
    TREE,
    lines,
    refused,
)

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
    ("prm800k", TREE, {"steps": [{**TREE["steps"][0], "chosen": None}] * 2}, "step 2 follows step 1, at which nothing"),
    ("gsm8k-solutions", SAMPLES, {"6b_finetuning": {"solution": "A: 5"}}, "'6b_finetuning': the field 'is_correct'"),
    ("gsm8k-solutions", SAMPLES, {"6b_finetuning": {"is_correct": True}}, "'6b_finetuning': the field 'solution'"),
    ("gsm8k-solutions", SAMPLES, {"6b_finetuning": None}, "no samples"),
    ("gsm8k-solutions", SAMPLES, {"6b_finetuning": {"temperature": 1}}, "no samples"),
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
    ("svamp", SUM, {"Answer": 10**309}, "a number of 310 digits"),
    ("svamp", SUM, {"Answer": -(10**400)}, "a number of 401 digits"),
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
    (("annotations", 0, "step"), 3, "a label of step 3, of a chain of 2 steps"),
    (("annotations", 0, "value"), 2, '"correct" cannot be 2 on a chain of 2 steps'),
    (("annotations", 0, "question"), "nice", "unknown question 'nice'"),
    (("annotations", 0, "question"), "verdict", "step must be 0, not 1"),
    (("annotations", 0, "undone"), True, "takes a label back"),
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


def test_unknown_formats_and_options_say_what_there_is(tmp_path: Path):
    with pytest.raises(StepvizError, match="Did you mean processbench"):
        sources.named("procesbench")
    with pytest.raises(StepvizError, match="takes no option 'rule'; it takes split"):
        sources.read("gsm8k", tmp_path / "a.jsonl", rule="line")
    assert sources.named("gsm8k_solutions").NAME == "gsm8k-solutions"
    assert sources.named("CSV").NAME == "table"


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
    wrong: list[Any] = [None, True, -1, 2.5, 10**30, 10**400, "", "x", "²", "9" * 5000]
    wrong += ["#### ", [], [None], [[]], {}, {"text": []}, [{"role": "user"}]]
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
