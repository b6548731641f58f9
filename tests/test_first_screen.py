"""The first screen: put once into a store without it, by the app and by commands, and finished after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ChainFilter
from stepviz import cli_jobs, first_screen
from stepviz.cli_chains import ChainChoice
from stepviz.errors import StepvizError
from stepviz.reward import load_scorer
from stepviz.types import SourceItem
from stepviz.world import embedded_problems
from tests.store_cases import chain, new_url, problem


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


def test_an_empty_store_is_filled_once(store: Store) -> None:
    assert first_screen.seed(store)
    counts = store.stats()
    assert counts["chains"] == first_screen.SHOWN * first_screen.CHAINS
    assert counts["rollouts"] > counts["chains"]
    assert not first_screen.seed(store)
    assert store.stats() == counts


@pytest.mark.parametrize("step", ["add_items", "add_model", "add_continuations", "add_chains"])
def test_killed_in_between_the_next_start_finishes_it(store: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store, step, killed)
        with pytest.raises(KeyboardInterrupt):
            first_screen.seed(store)
    assert first_screen.seed(store)
    assert store.stats()["chains"] == first_screen.SHOWN * first_screen.CHAINS


def test_embedded_problems_of_ones_own_are_left_alone(store: Store) -> None:
    store.add_items([SourceItem(problem()), *(SourceItem(p) for p in embedded_problems("test", 3))])
    assert not first_screen.seed(store)
    assert store.stats()["problems"] == 4


def test_after_an_import_the_embedded_problems_come_all_the_same(store: Store) -> None:
    p = problem()
    store.add_items([SourceItem(p, (chain(p),)), *(SourceItem(t) for t in embedded_problems("train", 2))])
    assert first_screen.seed(store)
    counts = store.stats()
    assert counts["chains"] == 1 + first_screen.SHOWN * first_screen.CHAINS
    assert not first_screen.seed(store)
    assert store.stats() == counts


@pytest.mark.parametrize("command", ["sample", "chains"])
def test_the_command_line_finds_embedded_problems_in_a_new_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """What README says under "Without a browser", as far as to the worker."""
    url, started = new_url(tmp_path), []
    monkeypatch.setattr(cli_jobs, "through", lambda _store, kind, spec, _json: started.append((kind, spec)))
    if command == "sample":
        cli_jobs.sample(db=url, source="embedded", limit=20)
        assert [(kind, len(spec["problems"])) for kind, spec in started] == [("sample", 20)]
    else:
        cli_jobs.measure(db=url, source="embedded", verdict="wrong", limit=5)
        cli_jobs.score("embedded:orm", db=url, source="embedded", limit=7)
        assert [(kind, len(spec["chains"])) for kind, spec in started] == [("measure", 5), ("score", 7)]
        with open_store(url) as store:
            assert {store.chain(id).verdict.value for id in started[0][1]["chains"]} == {"wrong"}


def test_other_sources_bring_no_embedded_problem(store: Store) -> None:
    with pytest.raises(StepvizError, match="no chain fits"):
        ChainChoice(source="gsm8k", limit=5).ids(store)
    assert store.stats()["problems"] == 0


def test_the_chains_come_with_the_scores_of_the_shipped_scorers(store: Store) -> None:
    """A score after each step of each chain, by the models that ship now: others would be of weights that are gone."""
    first_screen.seed(store)
    ids = {role: load_scorer(f"embedded:{role}", device="cpu").model_id for role in ("orm", "sorm")}
    assert {model.role: model.id for model in store.models() if model.role in ids} == ids
    for row in store.chains_of(ChainFilter(source="embedded")):
        scores = store.scores(row.chain.id)
        for id in ids.values():
            assert [score.step for score in scores if score.model_id == id] == list(range(1, row.chain.n + 1))
