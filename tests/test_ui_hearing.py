"""What takes long is computed beside the pages: once for all who ask, kept while the store stays, and stopped."""

from __future__ import annotations

import threading
from weakref import ref

import pytest

from db.store import Store
from stepviz.ui.hearing import Hearing, Stopped, Waiting
from tests import agreement_cases


@pytest.fixture
def hearing(store: Store) -> Hearing:
    return Hearing(ref(store))


def test_what_takes_long_is_waited_for_elsewhere_and_can_be_stopped(hearing: Hearing) -> None:
    go = threading.Event()

    def slow(tick: object) -> str:
        while not go.wait(0.01):
            tick()
        return "there"

    waiting = hearing.ask("slow", slow, 100, 0.05)
    assert isinstance(waiting, Waiting)
    assert waiting.total == 100
    assert hearing.ask("slow", lambda tick: "another", 0, 0.05).done >= waiting.done  # one computation for all who ask
    hearing.stop(waiting.key)
    with pytest.raises(Stopped):
        hearing.jobs["slow", hearing.state()].future.result(30)
    with pytest.raises(Stopped):
        hearing.ask("slow", slow, 100, 30, anew=False)  # a page that only watches does not begin it again
    go.set()
    assert hearing.ask("slow", slow, 100, 30) == "there"
    assert hearing.ask("slow", lambda tick: "another", 0, 30) == "there"  # kept


def test_what_is_kept_is_of_the_store_as_it_is(hearing: Hearing, store: Store) -> None:
    assert hearing.ask("n", lambda tick: store.count_problems(), 0, 30) == 0
    agreement_cases.fill(store)
    assert hearing.ask("n", lambda tick: store.count_problems(), 0, 30) == 1
    state = hearing.state()
    store.calibrate("tiny/sorm@1", {"kind": "temperature", "t": 2.0, "question": "correct"})
    assert hearing.state() != state
