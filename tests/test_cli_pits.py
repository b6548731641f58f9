"""`pits`: the model of pits from a store whose chains and draws are made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db.store import Store, open_store
from db.values import ModelRow
from stepviz import pits
from stepviz.cli import app
from stepviz.errors import StepvizError
from stepviz.types import Chain, Continuation, SourceItem
from tests.store_cases import SAMPLING, WRONG, chain, draw, problem

TEXT = "2+3=5\n5+1=6\n6+1=7\nA: 7"


def measured(store: Store, number: int) -> Chain:
    """A wrong chain whose first prefix succeeds in three of four draws, and whose second and third in none."""
    of = problem(f"What is {number} + 3?", key=f"test/{number}")
    made = chain(of, text=TEXT)
    store.add_items([SourceItem(of, (made,))], {made.id: WRONG})
    draws: list[Continuation] = []
    for i, right in ((1, 3), (2, 0), (3, 0)):
        for j in range(4):
            verdict, text = ("correct", "A: 5") if j < right else ("wrong", "A: 6")
            draws.append(draw(of, j, text, verdict, prefix=made.prefix(i)))
    store.add_continuations(draws)
    return made


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["pits", *arguments])
    return done.exit_code, done.stdout, str(done.exception)


def test_fitted_to_what_was_measured(url: str, tmp_path: Path) -> None:
    with open_store(url) as store:
        store.add_model(ModelRow("embedded/student", "generator", "embedded"))
        store.add_model(ModelRow("sorm@1", "sorm", "hf:sorm"))
        store.add_sampling(SAMPLING)
        chains = [measured(store, number) for number in range(60)]
        for made in chains[:30]:
            store.add_scores(made.id, "sorm@1", [0.9, 0.1, 0.1, 0.1])
    out = tmp_path / "pits.json"
    code, said, _ = run("--db", url, "--source", "gsm8k", "--out", str(out), "--json")
    assert code == 0
    told = json.loads(said)
    assert (told["chains"], told["scored"], told["draws"]) == (60, 30, 60 * 12)
    model = pits.load(out)
    assert model.alive[0] / sum(model.alive) == pytest.approx(0.75, abs=0.03)  # 3 of 4
    assert model.dead[0] / sum(model.dead) < 0.02  # none of 8
    assert json.loads(out.read_text())["made"]["engine"] == "embedded/student"


def test_too_few_chains_say_what_to_do(url: str, tmp_path: Path) -> None:
    with open_store(url) as store:
        store.add_model(ModelRow("embedded/student", "generator", "embedded"))
        store.add_sampling(SAMPLING)
        measured(store, 1)
    code, _, said = run("--db", url, "--source", "gsm8k", "--out", str(tmp_path / "pits.json"))
    assert code == 1
    assert "1 wrong chains are measured" in said
    assert "measure --verdict wrong" in said
    assert not (tmp_path / "pits.json").exists()


def test_nothing_drawn_with_this_engine(url: str, tmp_path: Path) -> None:
    with open_store(url) as store:
        store.add_model(ModelRow("embedded/student", "generator", "embedded"))
        store.add_sampling(SAMPLING)
        measured(store, 1)
    code, _, said = run("--db", url, "--source", "gsm8k", "--engine", "hf:other", "--out", str(tmp_path / "pits.json"))
    assert code == 1
    assert "nothing was drawn with hf:other" in said


def test_the_shipped_model_is_one_and_tells_what_it_was_made_from() -> None:
    model = pits.shipped()
    assert model.dead[0] / sum(model.dead) < 0.05 < model.alive[0] / sum(model.alive)
    made = json.loads(pits.SHIPPED.read_text(encoding="utf-8"))["made"]
    assert made["chains"] >= 500
    assert made["engine"].startswith("embedded/student@")


def test_what_is_no_pit_model_is_a_users_error(tmp_path: Path) -> None:
    for text in (
        "",
        "[]",
        '{"model": {}}',
        '{"model": {"alive": [1, 1], "dead": [1, 1], "unscored": [0], "scored": [0]}}',
    ):
        (tmp_path / "pits.json").write_text(text)
        with pytest.raises(StepvizError, match="no pit model"):
            pits.load(tmp_path / "pits.json")
