"""The options that choose chains: one set for every command that works on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from db.store import Store, open_store
from stepviz.cli_chains import ChainChoice, of_chains
from stepviz.errors import StepvizError
from stepviz.steps import segment
from stepviz.types import Chain, SourceItem, Verdict
from tests.store_cases import chain, new_url, problem


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        p = problem()
        chains = tuple(chain(p, key) for key in ("a", "b", "c"))
        verdicts = {c.id: Verdict("wrong" if c.key == "b" else "correct", "", "test") for c in chains}
        opened.add_items([SourceItem(p, chains)], verdicts)
        yield opened


def test_the_options_stand_where_the_command_has_its_chains() -> None:
    got: list[tuple[str, ChainChoice, int]] = []

    @of_chains
    def colour(model: str, *, chains: ChainChoice, times: int = 1) -> None:
        got.append((model, chains, times))

    app = typer.Typer()
    app.command()(colour)
    said = CliRunner().invoke(app, ["red", "--chain", "x", "--chain", "y", "--limit", "3", "--times", "2"])
    assert said.exit_code == 0, said.output
    colour("blue", verdict="wrong")
    assert got == [("red", ChainChoice(chain=["x", "y"], limit=3), 2), ("blue", ChainChoice(verdict="wrong"), 1)]


def test_a_choice_is_by_id_or_by_filter(store: Store) -> None:
    keys = {row.chain.id: row.chain.key for row in store.chains_of()}
    ids = {key: id for id, key in keys.items()}
    assert [keys[id] for id in ChainChoice(verdict="wrong").ids(store)] == ["b"]
    assert len(ChainChoice(limit=2).ids(store)) == 2
    assert ChainChoice(chain=[ids["c"], ids["a"]], verdict="wrong").ids(store) == [ids["c"], ids["a"]]


def test_refinements_are_no_drafts_unless_they_are_asked_for(store: Store) -> None:
    p = problem()
    again = Chain(p.id, "refinement", "d/0", "4+4=8\n#### 8", segment("4+4=8\n#### 8"), "line/1")
    store.add_items([SourceItem(p, (again,))], {again.id: Verdict("wrong", "", "test")})
    wrong = {row.chain.key: row.chain.id for row in store.chains_of() if row.verdict.value == "wrong"}
    assert set(wrong) == {"b", "d/0"}
    assert set(ChainChoice(verdict="wrong").ids(store)) == set(wrong.values())
    assert ChainChoice(verdict="wrong").ids(store, without="refinement") == [wrong["b"]]
    assert ChainChoice(origin="refinement").ids(store, without="refinement") == [wrong["d/0"]]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ChainChoice(chain=["nobody"]), "no chain nobody"),
        (ChainChoice(verdict="maybe"), "--verdict is correct, wrong or unknown"),
        (ChainChoice(verdict="unknown"), "no chain fits"),
    ],
)
def test_what_fits_nothing_is_said(store: Store, choice: ChainChoice, said: str) -> None:
    with pytest.raises(StepvizError, match=said):
        choice.ids(store)
