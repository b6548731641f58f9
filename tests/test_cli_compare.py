"""`compare` from a shell: a comparison whose draws are stored is printed at once, and mistakes are said."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest

from db.store import open_store
from tests.compare_cases import BEFORE, Students
from tests.test_cli import run, value


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store has a whole comparison, so that no model is loaded and no worker started."""
    folder = tmp_path_factory.mktemp("compare")
    with open_store(f"sqlite:///{folder}/cli.db") as store:
        assert Students(store).compare(samples=2).state == "done"
    return folder


def compared(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    where = ("--before", BEFORE, "--after", "embedded:student", "--source", "sums", "--split", "dev", "--k", "4")
    return run(folder, "compare", *where, *words)


def test_what_is_there_is_compared_without_drawing(drawn: Path) -> None:
    with open_store(f"sqlite:///{drawn}/cli.db") as store:
        runs = len(store.runs())
    found = value(compared(drawn, "--samples", "2", "--json", "--out", "table.csv"))
    assert isinstance(found, dict)
    assert (found["compared"], found["problems"], found["without_gold"]) == (3, 3, 1)
    accuracy = found["accuracy"]
    assert (accuracy["wrong_to_right"], accuracy["right_to_wrong"], accuracy["wrong_in_both"]) == (2, 0, 1)
    assert found["pits"]["self-explore"] == {"vanished": 2, "new": 0, "still": 1, "never": 0, "undecided": 0}
    assert [row["n"] for row in found["pass_at"]] == [1, 2]
    assert found["address"].startswith("/compare?before=embedded%3Abase&after=embedded&source=sums&split=dev")
    with (drawn / "table.csv").open(newline="") as file:
        assert [row["pit"] for row in csv.DictReader(file)] == ["vanished", "vanished", "still"]
    with open_store(f"sqlite:///{drawn}/cli.db") as store:
        assert len(store.runs()) == runs


def test_the_words_for_people(drawn: Path) -> None:
    told = compared(drawn, "--pit", "glore").stdout
    assert "embedded/base → embedded/student, 3 problems, greedy" in told
    assert "wrong → right  2    right → wrong  0" in told
    assert "vanished 2, new 0, still there 1, never 0, cannot be told 0 (glore)" in told
    assert "1 without a gold answer" in told
    assert "training       of embedded/student: loss" in told
    assert json.dumps(told)


@pytest.mark.parametrize(
    "words, said",
    [
        (("--pit", "mine"), "--pit is self-explore or glore"),
        (("--out", "table.xlsx"), "end it with .csv or .jsonl"),
        (("--out", "nowhere/table.csv"), "cannot be written"),
        (("--temperature", "0"), "take one above 0"),
        (("--threshold", "nan"), "--threshold is a score between 0 and 1, not nan"),
        (("--source", "nothing"), "no problem of nothing dev has a gold answer"),
        (("--after", "embedded:base"), "before and after are the same model"),
        (("--after", "hf:./gone"), "there is no model 'hf:./gone'"),
    ],
)
def test_mistakes_are_said(drawn: Path, words: tuple[str, str], said: str) -> None:
    result = compared(drawn, *words)
    assert (result.returncode, result.stdout) == (1, "")
    assert said in result.stderr
