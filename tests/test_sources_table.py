"""My traces in a minute: any table, with a guess of its columns that the user corrects."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepviz import sources
from stepviz.errors import StepvizError
from stepviz.sources import table
from stepviz.sources.mapping import Mapping, guess_mapping, said
from stepviz.sources.rows import rows
from stepviz.types import Refusal, SourceItem

TRACES = [
    {"question": "2 + 3?", "answer": "5", "model": "tiny", "response": "2 + 3 = 5\nso 5\n#### 5", "score": 0.5},
    {"question": "2 + 4?", "answer": "6", "model": "tiny", "response": "2 + 4 = 7\nso 7\n#### 7", "score": 0.25},
]


def jsonl(path: Path, *values: Any) -> Path:
    path.write_text("".join(json.dumps(v) + "\n" for v in values))
    return path


def read(path: Path, **options: Any) -> list[SourceItem]:
    found = list(sources.read("table", path, **options))
    assert all(isinstance(entry, SourceItem) for entry in found), found
    return found  # type: ignore[return-value]


def as_jsonl(path: Path) -> Path:
    return jsonl(path.with_suffix(".jsonl"), *TRACES)


def as_array(path: Path) -> Path:
    path.with_suffix(".json").write_text(json.dumps(TRACES, indent=1))
    return path.with_suffix(".json")


def as_csv(path: Path, suffix: str = ".csv", delimiter: str = ",") -> Path:
    with path.with_suffix(suffix).open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(TRACES[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(TRACES)
    return path.with_suffix(suffix)


def as_parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(TRACES), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@pytest.mark.parametrize(
    "write",
    [as_jsonl, as_array, as_csv, lambda p: as_csv(p, ".tsv", "\t"), lambda p: as_csv(p, ".csv", ";"), as_parquet],
    ids=["jsonl", "array", "csv", "tsv", "semicolons", "parquet"],
)
def test_the_same_traces_in_any_file(tmp_path: Path, write: Any):
    path = write(tmp_path / "traces_test")
    first, second = read(path)
    assert (first.problem.question, first.problem.answer, first.problem.split) == ("2 + 3?", "5", "test")
    assert first.problem.source == "mine/traces_test"
    (chain,) = second.chains
    assert (chain.origin, chain.steps, chain.rule) == ("tiny", ("2 + 4 = 7", "so 7", "#### 7"), "line/1")
    assert float(chain.meta["columns"]["score"]) == 0.25
    assert chain.terminal


def test_real_traces_come_in_by_the_guess(shared_data: Path):
    found = read(shared_data / "samples/math_best_of_8.jsonl")
    assert sum(len(item.chains) for item in found) == 800
    raw = [row.fields for row in rows(shared_data / "samples/math_best_of_8.jsonl")]
    for item, row in zip(found, raw, strict=True):
        assert [chain.text for chain in item.chains] == row["response"]
        assert [chain.meta["flag"] for chain in item.chains] == row["correct"]
        assert [chain.meta["columns"]["rm_score"] for chain in item.chains] == row["rm_score"]
    labelled = read(shared_data / "processbench/gsm8k.json")
    by_format = list(sources.read("processbench", shared_data / "processbench/gsm8k.json"))
    assert [i.annotations[0].value for i in labelled] == [i.annotations[0].value for i in by_format]


def test_the_guess_can_be_corrected(tmp_path: Path):
    rows_ = [{"q": "2 + 3?", "model_answer": "2 + 3 = 5. So 5.", "truth": 5, "who": "m"}]
    guessed = guess_mapping(list(rows_[0]), rows_)
    assert guessed.question is None
    path = jsonl(tmp_path / "mine.jsonl", *rows_)
    with pytest.raises(StepvizError, match="say which of q, model_answer, truth, who it is"):
        read(path)
    changes = {"question": "q", "response": "model_answer", "answer": "truth", "origin": "who", "rule": "sentence"}
    mapping = guessed.corrected({**changes, "pred": ""}, rows_[0])
    (item,) = read(path, mapping=mapping)
    assert (item.problem.answer, item.chains[0].steps) == ("5", ("2 + 3 = 5.", "So 5."))
    assert item.chains[0].origin == "m"
    (again,) = read(path, mapping=mapping, rule="line")
    assert (again.chains[0].n, again.chains[0].rule) == (1, "line/1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": "problme"}, r"no column 'problme'; the columns are problem\. Did you mean 'problem'\?"),
        ({"queston": "problem"}, "no role 'queston'.*Did you mean 'question'"),
        ({"rule": "paragraph"}, "choose one of line, blank"),
        ({"answer_rule": "guess"}, "choose one of auto"),
        ({"label_kind": "half"}, "choose one of per_step"),
    ],
)
def test_a_wrong_correction_says_what_there_is(changes: dict, message: str):
    with pytest.raises(StepvizError, match=message):
        Mapping().corrected(changes, ["problem"])


def test_nested_columns_and_messages(tmp_path: Path):
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 3?"},
        {"role": "assistant", "content": "2 + 3 = 5\n#### 5"},
    ]
    nested = {"item": {"problem": "2 + 4?", "gold": "6"}, "choices": [{"text": "2 + 4 = 6\n#### 6"}]}
    (item,) = read(jsonl(tmp_path / "chat.jsonl", {"messages": chat, "id": "c-1"}))
    assert (item.problem.question, item.problem.key) == ("2 + 3?", "c-1")
    assert item.chains[0].steps == ("2 + 3 = 5", "#### 5")
    sharegpt = [
        {"from": "human", "value": "2 + 3?"},
        {"from": "gpt", "value": "#### 5"},
        {"from": "human", "value": "Ta."},
    ]
    assert (said(sharegpt, "user"), said(sharegpt, "assistant")) == ("2 + 3?", "#### 5")
    path = jsonl(tmp_path / "nested.jsonl", nested)
    mapping = table.guess(path).corrected({"response": "choices.0.text"}, ["item", "choices"])
    assert (mapping.question, mapping.answer) == ("item.problem", "item.gold")
    (item,) = read(path, mapping=mapping)
    assert (item.problem.question, item.problem.answer, item.chains[0].n) == ("2 + 4?", "6", 2)


@pytest.mark.parametrize(
    ("labels", "kind", "values"),
    [
        ([1, 0, -1], "per_step", [1, 0, -1]),  # PRM800K's: 0 is neutral
        ([1, 1, 0], "right_wrong", [1, 1, -1]),  # no -1 anywhere: 0 is wrong
        ([True, False, None], "per_step", [1, -1, None]),
    ],
)
def test_labels_a_step(tmp_path: Path, labels: list, kind: str, values: list):
    path = jsonl(tmp_path / "labels.jsonl", {"question": "Q?", "steps": ["a", "b", "c"], "labels": labels})
    assert table.guess(path).label_kind == kind
    (item,) = read(path)
    assert [(a.question, a.step, a.value) for a in item.annotations] == [
        ("correct", i, value) for i, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(("kind", "expected"), [("first_error_0", [2, None, 1]), ("first_error_1", [1, None, None])])
def test_first_errors_are_converted_from_either_base(tmp_path: Path, kind: str, expected: list):
    steps = ["a", "b"]
    given = [{"question": f"{i}?", "steps": steps, "label": label} for i, label in enumerate((1, -1, 0))]
    path = jsonl(tmp_path / "labels.jsonl", *given)
    guessed = table.guess(path)
    assert guessed.label_kind == "first_error_0"
    found = list(sources.read("table", path, mapping=guessed.corrected({"label_kind": kind})))
    if kind == "first_error_1":  # counted from 1 there is no step 0
        assert isinstance(found[2], Refusal)
        assert "'label' is 0, out of range: it must lie in 1…2" in found[2].reason
        found, expected = found[:2], expected[:2]
    assert [item.annotations[0].value for item in found] == expected


def test_equal_samples_stay_and_rows_added_above_change_nothing(tmp_path: Path):
    row = {"question": "2 + 3?", "responses": ["#### 5", "#### 5", "#### 6"]}
    before = read(jsonl(tmp_path / "a.jsonl", row, row))
    ids = [chain.id for item in before for chain in item.chains]
    assert len(set(ids)) == 6
    after = read(jsonl(tmp_path / "a.jsonl", {"question": "1?", "responses": ["#### 1"]}, row, row))
    assert [chain.id for item in after[1:] for chain in item.chains] == ids


def test_preview_is_what_would_come_in(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", *TRACES, {"question": ""})
    found = table.preview(path, table.guess(path), 3)
    assert [type(entry) for entry in found] == [SourceItem, SourceItem, Refusal]
    assert found[:2] == read(jsonl(tmp_path / "a.jsonl", *TRACES))


def test_lists_in_cells_and_numbers_as_answers(tmp_path: Path):
    path = tmp_path / "cells.csv"
    path.write_text('question,steps,answer\nQ?,"[""a"", ""b""]","[3, 4]"\n')
    (item,) = read(path)
    assert (item.chains[0].steps, item.problem.answer) == (("a", "b"), "[3, 4]")
    (item,) = read(jsonl(tmp_path / "n.jsonl", {"question": "Q?", "answer": 5.0, "response": "x"}))
    assert item.problem.answer == "5"


@pytest.mark.parametrize(
    ("name", "file"),
    [("processbench", "processbench/gsm8k.json"), ("prm800k", "prm800k/phase1_test_trajectories.jsonl")],
)
def test_public_formats_are_read_from_parquet_too(shared_data: Path, tmp_path: Path, name: str, file: str):
    raw = [row.fields for row in rows(shared_data / file)]
    pq.write_table(pa.Table.from_pylist(raw), tmp_path / "test.parquet")
    found = list(sources.read(name, tmp_path / "test.parquet"))
    expected = list(sources.read(name, shared_data / file))
    assert [(i.problem.id, len(i.chains), i.annotations) for i in found] == [
        (i.problem.id, len(i.chains), i.annotations) for i in expected
    ]
