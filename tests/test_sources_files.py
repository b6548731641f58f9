"""Files that cannot be read, or only in part: long lines, broken arrays, encodings, cells that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepviz import sources
from stepviz.sources import Unreadable, files
from stepviz.types import Refusal, SourceItem
from tests.source_rows import GOOD, LABELLED, lines, refused


def test_a_line_too_long_is_refused_without_being_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "MAX_LINE", 2**20)
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
        ("mark.csv", b"\xef\xbb\xbf", "the file is empty"),
        ("mark.tsv", b"\xef\xbb\xbf", "the file is empty"),
        ("mark.jsonl", b"\xef\xbb\xbf", "the file is empty"),
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


def test_numbers_of_hundreds_of_digits_are_refused_and_the_others_come_in(tmp_path: Path):
    given = [{"question": f"{n}?", "answer": n, "response": "x"} for n in (5, 10**16 + 1, 10**309, -(10**400), 0.25)]
    path = lines(tmp_path / "n.jsonl", *given)
    path.write_text(path.read_text() + '{"question": "inf?", "answer": 1e999, "response": "x"}\n')
    found = list(sources.read("table", path))
    assert [entry.problem.answer for entry in found if isinstance(entry, SourceItem)] == [
        "5", "10000000000000001", "0.25"
    ]  # fmt: skip
    assert [(entry.line, entry.reason) for entry in found if isinstance(entry, Refusal)] == [
        (3, "a number of 310 digits is too long to be an answer; write it as a text if it is one"),
        (4, "a number of 401 digits is too long to be an answer; write it as a text if it is one"),
        (6, "a number is too large to be an answer; write it as a text if it is one"),
    ]


TRACES_OF_MATH = {"problem": "2 + 3?", "solution": "\\boxed{5}", "answer": "5", "generations": ["#### 5"], "model": "m"}
TRACES_OF_GSM8K = {"question": "2 + 3?", "ground_truth": "5", "response": "#### 5", "metadata": {"temperature": 1}}


@pytest.mark.parametrize("row", [TRACES_OF_MATH, TRACES_OF_GSM8K])
def test_ones_own_traces_are_a_table_though_a_public_format_has_their_columns(tmp_path: Path, row: dict):
    path = lines(tmp_path / "mine.jsonl", row)
    assert sources.detect(path) == "table"
    (item,) = sources.read("table", path)
    assert ([chain.text for chain in item.chains], item.problem.answer) == (["#### 5"], "5")
