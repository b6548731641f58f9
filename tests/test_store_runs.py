"""Runs: leases, heartbeats, cancelling, resuming."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz.errors import StepvizError
from tests.store_cases import new_url


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


def test_a_run_from_queue_to_end(store: Store):
    first, second = store.add_run("sample", {"n": 8}), store.add_run("measure", {"k": 4})
    assert [run.id for run in store.runs()] == [second, first]
    run = store.claim_run("w1")
    assert (run.id, run.kind, run.spec, run.state, run.worker) == (first, "sample", {"n": 8}, "running", "w1")
    assert store.heartbeat(first, "w1", {"done": 3, "total": 8}) is False
    assert store.run(first).progress == {"done": 3, "total": 8}
    assert store.finish_run(first, "done", worker="w1") is True
    ended = store.run(first)
    assert (ended.state, ended.error, ended.created_at <= ended.started_at <= ended.finished_at) == ("done", None, True)
    assert store.claim_run("w1").id == second
    assert store.claim_run("w1") is None
    store.finish_run(second, "failed", error="out of memory")
    assert (store.run(second).state, store.run(second).error) == ("failed", "out of memory")
    assert len(store.runs(limit=1)) == 1


def test_kinds_can_be_chosen(store: Store):
    store.add_run("train", {})
    assert store.claim_run("w", kinds=("sample", "measure")) is None
    assert store.claim_run("w", kinds=("train",)).kind == "train"


def test_an_expired_lease_reads_as_interrupted_and_can_be_resumed(store: Store):
    id_ = store.add_run("measure", {})
    store.claim_run("lost", lease_s=0.05)
    store.heartbeat(id_, "lost", {"done": 5}, lease_s=0.05)
    time.sleep(0.1)
    assert store.run(id_).state == store.runs()[0].state == "interrupted"
    assert store.claim_run("w2") is None  # nobody takes it unasked
    store.resume_run(id_)
    assert store.run(id_).state == "queued"
    again = store.claim_run("w2")
    assert (again.id, again.progress) == (id_, {"done": 5})
    assert store.heartbeat(id_, "lost", {"done": 6}) is True  # the old worker hears that it is not its any more
    assert store.finish_run(id_, "done", worker="lost") is False
    assert (store.run(id_).state, store.run(id_).progress) == ("running", {"done": 5})


def test_a_late_heartbeat_keeps_a_run_that_nobody_took(store: Store):
    id_ = store.add_run("measure", {})
    store.claim_run("w", lease_s=0.01)
    time.sleep(0.05)
    assert store.heartbeat(id_, "w", {}) is False
    assert store.run(id_).state == "running"


def test_cancel(store: Store):
    waiting, running, lost = (store.add_run("sample", {}) for _ in range(3))
    store.request_cancel(waiting)
    assert store.run(waiting).state == "cancelled"
    assert store.claim_run("w").id == running
    store.request_cancel(running)
    assert (store.run(running).state, store.run(running).cancel_requested) == ("running", True)
    assert store.heartbeat(running, "w", {}) is True
    store.finish_run(running, "cancelled")
    store.claim_run("w", lease_s=-1)
    store.request_cancel(lost)
    assert store.run(lost).state == "cancelled"
    store.resume_run(running)
    assert store.claim_run("w").cancel_requested is False
    store.finish_run(running, "done")
    store.request_cancel(running)
    assert store.run(running).state == "done"


def test_only_a_run_that_stopped_can_be_resumed(store: Store):
    id_ = store.add_run("sample", {})
    with pytest.raises(StepvizError, match="is queued"):
        store.resume_run(id_)
    store.claim_run("w")
    with pytest.raises(StepvizError, match="is running"):
        store.resume_run(id_)
    store.finish_run(id_, "done")
    with pytest.raises(StepvizError, match="is done"):
        store.resume_run(id_)
    with pytest.raises(StepvizError, match="no run 99"):
        store.run(99)


def test_two_that_do_the_same_are_one_run_while_it_is_live(store: Store):
    first = store.join_run("train", {"name": "a"})
    assert first == (1, True)
    assert store.join_run("train", {"name": "a"}) == (1, False)
    assert store.join_run("train", {"name": "b"}) == (2, True)
    assert store.join_run("sample", {"name": "a"}) == (3, True)
    store.claim_run("lost", lease_s=-1, id=1)
    assert store.run(1).state == "interrupted"
    assert store.join_run("train", {"name": "a"}) == (1, False)
    assert [run.id for run in store.live_runs("train")] == [1, 2]
    store.finish_run(1, "failed")
    assert store.join_run("train", {"name": "a"}) == (4, True)
    with pytest.raises(StepvizError, match="Run 4 does the same as run 1 and is queued"):
        store.resume_run(1)
    store.finish_run(4, "done")
    store.resume_run(1)
    assert store.run(1).state == "queued"


def test_what_a_check_refuses_is_not_there(store: Store):
    store.join_run("train", {"name": "a"})

    def never(live: object) -> None:
        raise StepvizError(f"{len(live)} live")

    with pytest.raises(StepvizError, match="1 live"):
        store.join_run("train", {"name": "b"}, check=never)
    assert store.join_run("train", {"name": "a"}, check=never) == (1, False)
    assert len(store.runs()) == 1


def test_many_that_ask_at_once_get_the_same_run(store: Store):
    barrier, found = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        found.append(store.join_run("train", {"name": "a"}, "by hand"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(1, False)] * 7 + [(1, True)]
    assert len(store.runs()) == 1


def test_log(store: Store):
    id_, other = store.add_run("sample", {}), store.add_run("sample", {})
    store.log(id_, "one")
    store.log(other, "elsewhere")
    store.log(id_, "two\x00", "three")
    lines = store.log_lines(id_)
    assert [line for _, line in lines] == ["one", "two\x00", "three"]
    assert [line for _, line in store.log_lines(id_, after=lines[0][0])] == ["two\x00", "three"]


def test_runs_are_found_by_kind_and_state_page_by_page(store: Store):
    """One that is long is of its kind all the same; a lease that ran out is an interruption, and nothing running."""
    ids = [store.add_run(kind, {"n": i}) for i, kind in enumerate(("sample", "sample many", "train", "sample"))]
    store.claim_run("w", id=ids[0])
    store.claim_run("w", lease_s=-1, id=ids[1])
    store.finish_run(ids[2], "failed", error="out of memory")

    def found(**chosen: object) -> list[int]:
        rows = [run.id for run in store.runs(**chosen)]
        assert store.count_runs(**{k: v for k, v in chosen.items() if k in ("kind", "state")}) == len(rows)
        return rows

    assert found() == ids[::-1]
    assert found(kind="sample") == [ids[3], ids[1], ids[0]]
    assert found(state="running") == [ids[0]]
    assert found(state="interrupted") == [ids[1]]
    assert found(state="queued", kind="sample") == [ids[3]]
    assert found(state="failed", kind="sample") == []
    assert [run.id for run in store.runs(2, offset=1)] == [ids[2], ids[1]]
    assert store.run_kinds() == ["sample", "train"]
