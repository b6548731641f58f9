"""`bench agreement`: small, through the command; run again on its store it draws nothing, and says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db.store import open_store
from stepviz.agreement.tables import Number
from stepviz.bench_agreement import text
from stepviz.cli import app
from tests.store_cases import new_url


@pytest.mark.slow
def test_whole_on_a_few_problems(tmp_path: Path, shared_data: Path) -> None:
    url = new_url(tmp_path)
    first, drawn = run(url, shared_data)
    (people,) = first["stepverify: teachers among themselves, first errors"]
    assert (people["solutions"], people["pairs of labels"]) == (235, 679)
    assert [people[name][:4] for name in ("exact [95 %]", "within_one [95 %]", "alpha [95 %]")] == [
        "0.60",
        "0.86",
        "0.49",
    ]
    pairs = first["stepverify: two teachers, and each against what most of the others say"][0]
    assert (pairs["items"], pairs["first errors of both"]) == (235, 679)
    judges = first["embedded test chains, first pits against `solvable`"]
    assert [row["judge"] for row in judges] == ["SORM at 0.5", "SORM, threshold of dev", "rollouts, k = 8"]
    assert {row["chains"] for row in judges} == {16}
    steps = {row["steps"] for row in first["correct (exact) against solvable, steps"]}
    assert steps == {row["steps"] for row in first["the same, step by step"]}
    again, more = run(url, shared_data)
    assert (again, more) == (first, drawn)


def run(url: str, shared: Path) -> tuple[dict[str, Any], int]:
    """Its tables, and how many draws the store has then."""
    words = ["bench", "agreement", "--data", str(shared), "--each", "16", "--json", "--db", url]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    with open_store(url) as store:
        return json.loads(done.stdout), store.stats()["rollouts"]


def test_a_number_that_is_undefined_says_why() -> None:
    assert text(Number(0.5, 0.25, 0.75, 8)) == "0.500 [0.250, 0.750]"
    assert text(Number(None, n=8, why="one label alone")) == "undefined: one label alone"
    assert text(Number(0.5, n=8, why="too few problems")) == "0.500"
