"""Files that cannot be read, or only in part: long lines, broken arrays, encodings, cells that do not fit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import pytest

from stepviz import sources
from stepviz.sources import Unreadable, files, rows
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


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]  # with a mark: utf-16, utf-32, -sig
WIDE = {"question": "Café “Ö”: 2 + 3? 😀", "answer": "2 + 3 = 5\n#### 5"}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_unicode_is_read_plain_and_packed(tmp_path: Path, encoding: str, packed: bool):
    def write(name: str, text: str) -> Path:
        path = tmp_path / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(text.encode(encoding)) if packed else text.encode(encoding))
        return path

    line = json.dumps(WIDE, ensure_ascii=False) + "\r\n"
    for path in (write("test.jsonl", line + "\n" + line), write("test.json", f"[\n{line},\n{line}]")):
        first, second = sources.read("gsm8k", path)
        assert (first.problem.question, first.problem.answer, first.problem.split) == (WIDE["question"], "5", "test")
        assert second.line == 3 + (path.name.startswith("test.json") and "jsonl" not in path.name)
    path = write("mine.csv", 'id;question;response\r\n7;Café 😀?;"one\r\ntwo"\r\n8;b?;c\r\n')
    first, second = sources.read("table", path)
    assert (first.problem.question, first.problem.source, first.problem.key) == ("Café 😀?", "mine/mine", "7")
    assert (first.chains[0].steps, second.line) == (("one", "two"), 4)


def test_a_long_file_in_utf_16_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """More characters than a block, of two and four bytes each, so that blocks end within a character."""
    given = [{"question": f"{i} " + "😀é" * (i % 97), "answer": f"#### {i}"} for i in range(3000)]
    path = tmp_path / "a.jsonl"
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in given).encode("utf-16"))
    monkeypatch.setattr(files, "_BLOCK", 4097)
    found = list(sources.read("gsm8k", path))
    assert [(item.problem.question, item.problem.answer) for item in found] == [
        (row["question"], str(i)) for i, row in enumerate(given)
    ]
    assert rows.count(path) == 3000


def test_half_a_surrogate_pair_in_utf_16_refuses_its_row_only(tmp_path: Path):
    body = "".join(json.dumps({**GOOD, "question": q}, ensure_ascii=False) + "\n" for q in ("a?", "b \ud83d?", "c?"))
    (tmp_path / "a.jsonl").write_bytes(body.encode("utf-16", "surrogatepass"))
    refusal = refused("gsm8k", tmp_path / "a.jsonl")
    assert refusal.line == 2
    assert "not UTF-8" in refusal.reason


def test_a_file_that_breaks_off_brings_what_stands_before(tmp_path: Path):
    body = "".join(json.dumps({**GOOD, "question": f"{i}: {random(i)}?"}) + "\n" for i in range(500)).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(body)[:-2000])
    *items, refusal = sources.read("gsm8k", tmp_path / "a.jsonl.gz")
    assert 0 < len(items) < 500
    assert items[-1].problem.question == f"{len(items) - 1}: {random(len(items) - 1)}?"
    assert refusal.line == len(items) + 1
    assert "the rest of the file cannot be read" in refusal.reason
    (tmp_path / "by-another-name.jsonl").write_bytes(gzip.compress(body)[:-2000])
    assert rows.count(tmp_path / "by-another-name.jsonl") is None  # and an import that shows its progress goes on
    (tmp_path / "b.jsonl").write_bytes((json.dumps(GOOD) + "\n" + json.dumps(GOOD)).encode("utf-16")[:-1])
    assert refused("gsm8k", tmp_path / "b.jsonl").line == 2


def random(seed: int) -> str:
    """40 letters that gzip cannot shorten much."""
    return Random(seed).randbytes(40).hex()


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
BINARIES = [
    ("image.jsonl", PNG, "this is a binary file, not JSONL, JSON, CSV, TSV or Parquet"),
    ("zero.csv", b"\x00\x01\x02\x03" * 100, "this is a binary file"),
    ("one.csv", b"a\x00\x00\x00" * 100, "this is a binary file"),  # not UTF-16, whose text has no such characters
    ("noise.txt", Random(1).randbytes(4000), "this is a binary file"),
    ("model.safetensors", b"\x50\x02" + bytes(6) + b'{"weight": {"dtype": "F32"}}' * 200, "this is a binary file"),
    ("model.pkl", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00}\x94(", "this is a binary file"),
    ("packed.csv.gz", gzip.compress(PNG), "this is a binary file"),
    ("table.parquet.gz", gzip.compress(b"PAR1" + bytes(90)), "this is a Parquet file inside gzip; unpack it first"),
    ("book.csv", b"PK\x03\x04\x14\x00", "a compressed file or a workbook; unpack it, or save the sheet as CSV"),
    ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of Excel"),
    ("store.db", b"SQLite format 3\x00\x10\x00", "a SQLite database"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BINARIES, ids=[name for name, *_ in BINARIES])
def test_a_binary_file_is_called_one(tmp_path: Path, name: str, content: bytes, reason: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable, match=reason) as error:
        list(sources.read("table", tmp_path / name))
    assert "UTF" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [("question,answer\nUn café ?,5\nDeux cafés ?,6\n", 2), ("énoncé,réponse\nHow many?,5\n", 1)],
)
def test_a_table_in_latin_1_is_told_to_be_saved_as_utf_8(tmp_path: Path, text: str, line: int):
    path = tmp_path / "french.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Unreadable, match=f"not UTF-8 at line {line}; save the file as UTF-8"):
        list(sources.read("table", path))


def test_text_with_a_few_odd_characters_is_no_binary_file(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"question,response\nfine?,yes\n\x1b[1mbold\x1b[0m?,yes\na NUL \x00?,no\ncaf\xe9?,no\n")
    found = list(sources.read("table", path))
    assert [entry.line for entry in found if isinstance(entry, SourceItem)] == [2, 3]


def test_a_table_in_a_file_with_another_ending(tmp_path: Path):
    (tmp_path / "a.txt").write_text("question\tresponse\n2 + 3?\t5\n")
    (tmp_path / "b.txt").write_text("broken, line\n" + json.dumps({"question": "2 + 3?", "response": "5"}) + "\n")
    (item,) = sources.read("table", tmp_path / "a.txt")
    assert (item.problem.question, item.chains[0].text) == ("2 + 3?", "5")
    first, second = sources.read("table", tmp_path / "b.txt")  # JSONL, whose first line is broken
    assert "malformed JSON" in first.reason
    assert second.problem.question == "2 + 3?"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.jsonl", None, "there is no such file"),
        ("empty.jsonl", b"", "the file is empty"),
        ("mark.csv", b"\xef\xbb\xbf", "the file is empty"),
        ("mark.tsv", b"\xef\xbb\xbf", "the file is empty"),
        ("mark.jsonl", b"\xef\xbb\xbf", "the file is empty"),
        ("packed.jsonl", b"\x1f\x8b\x08\x00", "a damaged gzip file"),
        ("packed.csv", b"\x28\xb5\x2f\xfd\x00\x00", "a compressed file; unpack it first"),
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
