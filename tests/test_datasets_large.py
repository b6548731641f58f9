"""Builds that are long: in bounded memory, stopped on the way, as jobs of the worker."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.spool import Spool
from db.store import Store, open_store
from stepviz.datasets import Stopped, build
from stepviz.errors import StepvizError
from stepviz.job import Job
from tests import dataset_cases as cases
from tests.job_cases import Bench
from tests.store_cases import new_url


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def school(store: Store) -> Store:
    cases.school(store)
    return store


def test_a_large_set_is_never_in_memory(store: Store):
    """60 MB of rows go through; a list of them would take more than that."""
    big = ({"prompt": "p" * 10_000, "completion": str(i), "origin": {}} for i in range(6_000))
    tracemalloc.start()
    made = store.add_dataset("big", "sft", {}, big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.n_rows == 6_000
    assert peak < 40e6, f"{peak / 1e6:.0f} MB"
    assert [row["completion"] for row in store.dataset_rows(made.id, 1998, 4)] == ["1998", "1999", "2000", "2001"]


def test_spool_gives_back_what_it_got():
    rows_ = [{"text": "a\u2028b\x00\ud800\nc", "n": [1, None, 2**62]}, {}]
    with Spool(rows_) as spool:
        assert (list(spool), list(spool), len(spool)) == (rows_, rows_, 2)
        spool.add({"more": 1})
        assert list(spool)[2] == {"more": 1}


def test_a_build_is_a_job_like_any_other(school: Store):
    bench = Bench(school)
    run = bench.do("dataset", recipe="sorm", config={"soft": True}, name="mine")
    (made,) = school.datasets()
    assert (run.state, run.progress["dataset"], run.progress["done"]) == ("done", made.id, 6)
    assert (made.name, made.config["soft"], made.n_rows) == ("mine", True, 18)
    failed = bench.do("dataset", recipe="sorm", config={"k": 16})
    assert failed.state == "failed"
    assert "the balance left no label" in failed.error  # no wrong chain has 16 rollouts a step
    with pytest.raises(StepvizError, match="a dataset job needs recipe"):
        bench.do("dataset", config={})


def test_a_stopped_build_leaves_nothing(school: Store):
    seen = []
    with pytest.raises(Stopped, match="nothing was stored"):
        build(school, "sorm", on_progress=seen.append, cancelled=lambda: len(seen) >= 0)
    calls = iter(range(10_000))
    with pytest.raises(Stopped):  # within the second pass, when rows are on their way into the store
        build(school, "sorm", cancelled=lambda: next(calls) > 30)
    assert school.datasets() == []
    build(school, "sorm", on_progress=seen.append, cancelled=lambda: False)
    assert seen[-1] == {"done": 6, "total": 6, "unit": "problems", "rows": 18}


def test_a_cancelled_build_is_a_cancelled_run(school: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Job, "cancelled", lambda job: True)
    assert Bench(school).do("dataset", recipe="orm").state == "cancelled"
    assert school.datasets() == []
