"""The first screen: put into an empty store once, finished where a kill interrupted it, and never into another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz import first_screen
from stepviz.types import SourceItem
from stepviz.world import embedded_problems
from tests.store_cases import new_url, problem


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


def test_a_store_of_ones_own_is_left_alone(store: Store) -> None:
    store.add_items([SourceItem(problem()), *(SourceItem(p) for p in embedded_problems("test", 3))])
    assert not first_screen.seed(store)
    assert store.stats()["problems"] == 4
