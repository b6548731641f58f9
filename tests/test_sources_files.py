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
