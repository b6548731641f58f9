"""How many draws an engine is brought at once, and what becomes of those that were there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from db.store import open_store
from stepviz import job_draws, jobs, measure_job
from stepviz.types import Completion, Problem, Request, SourceItem
from tests.job_cases import CHAIN, NOBODY, OTHER, PROBLEM, Bench, SlowEngine
from tests.store_cases import new_url
from tests.strategy_cases import LONG, RIGHT, new_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield new_bench(store)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each call of the engine brings."""
    sizes: list[int] = []
    generate = SlowEngine.generate

    def counted(self: SlowEngine, requests: Sequence[Request], *rest: object, **more: object) -> list[Completion]:
        sizes.append(len(requests))
        return generate(self, requests, *rest, **more)

    monkeypatch.setattr(SlowEngine, "generate", counted)
    return sizes


@pytest.mark.parametrize(("at_once", "brought"), [(None, [12, 12, 12]), (1, [24, 12]), (2, [36])])
def test_an_engine_with_many_requests_at_once_is_brought_many_times_as_many(
    bench: Bench, calls: list[int], at_once: int | None, brought: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three prefixes of twelve draws. A chunk is of 8 at least, and of 16 for each that the engine has at once; it ends
    with the prefix that fills it."""
    monkeypatch.setattr(job_draws, "CHUNK", 8)
    if at_once is not None:
        monkeypatch.setattr(SlowEngine, "at_once", at_once, raising=False)
    run = bench.do("measure", chains=[CHAIN.id], n=12)
    assert (calls, len(bench.draws())) == (brought, 36)
    assert (run.progress["done"], run.progress["total"]) == (36, 36)


@pytest.mark.parametrize(("at_once", "first"), [(None, 1), (1, 2)])
def test_so_are_more_chains_under_way_by_a_strategy(
    bench: Bench, calls: list[int], at_once: int | None, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first turn of backward asks for a draw of each wrong chain, and for none of the right one."""
    monkeypatch.setattr(measure_job, "WINDOW", 1)
    if at_once is not None:
        monkeypatch.setattr(SlowEngine, "at_once", at_once, raising=False)
    bench.do("measure", chains=[CHAIN.id, LONG.id, RIGHT.id], n=8, strategy="backward")
    assert calls[0] == first


def test_a_draw_becomes_a_chain_once_whether_it_was_there_or_is_new(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []
    add = bench.store.add_chains

    def counted(chains: Sequence[object]) -> int:
        added.append(len(chains))
        return add(chains)

    monkeypatch.setattr(bench.store, "add_chains", counted)
    bench.do("sample", problems=[OTHER.id], n=6)
    assert sum(added) == 6
    bench.do("measure", chains=[CHAIN.id], n=5)
    added.clear()
    monkeypatch.setattr(job_draws, "PIECE", 2)
    bench.do("sample", problems=[PROBLEM.id], n=8)
    assert sum(added) == 8  # three that are new, and the five of the measurement by twos
    assert added[-3:] == [2, 2, 1]
    assert [c.continuation.j for c in bench.store.chains(PROBLEM.id, "scripted@1")] == [5, 6, 7, 0, 1, 2, 3, 4]


def test_a_cancel_is_heard_while_thousands_of_draws_become_chains(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.do("measure", chains=[CHAIN.id], n=40)
    monkeypatch.setattr(job_draws, "PIECE", 4)
    run = jobs.start(bench.store, "sample", {"problems": [PROBLEM.id], "n": 40}, **NOBODY)
    add, cancel = bench.store.add_chains, measure_job.Job.cancelled
    added: list[int] = []
    monkeypatch.setattr(bench.store, "add_chains", lambda chains: added.append(add(chains)))
    monkeypatch.setattr(measure_job.Job, "cancelled", lambda job: cancel(job) or len(added) == 2)
    bench.worker.run_next(None)
    assert (added, bench.store.run(run).state) == ([4, 4], "cancelled")
    monkeypatch.undo()
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert len(bench.store.chains(PROBLEM.id, "scripted@1")) == 40


@pytest.mark.parametrize(
    ("kind", "looked_up"), [("sample", "problem"), ("sample", "continuation_counts"), ("measure", "chain")]
)
def test_so_it_is_while_what_is_asked_for_is_looked_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str, looked_up: str
) -> None:
    """Of three problems or chains: it is cancelled at the second, the third is not looked at, and nothing is drawn."""
    third = Problem("How many?", answer="15", source="mine", key="3")
    bench.store.add_items([SourceItem(third)])
    spec = (
        {"problems": [PROBLEM.id, OTHER.id, third.id]}
        if kind == "sample"
        else {"chains": [CHAIN.id, LONG.id, RIGHT.id]}
    )
    run = jobs.start(bench.store, kind, {**spec, "n": 2}, **NOBODY)
    ask, cancel = getattr(bench.store, looked_up), measure_job.Job.cancelled
    asked: list[str] = []
    monkeypatch.setattr(bench.store, looked_up, lambda id, *more: (asked.append(id), ask(id, *more))[1])
    monkeypatch.setattr(measure_job.Job, "cancelled", lambda job: cancel(job) or len(asked) >= 2)
    bench.worker.run_next(None)
    assert (len(asked), bench.engine.seen, bench.store.run(run).state) == (2, [], "cancelled")
    monkeypatch.undo()
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    left = bench.store.run(run)
    assert left.state == "done"
    assert left.progress["done"] == left.progress["total"] == len(bench.engine.seen)


def test_a_click_is_served_while_what_is_asked_for_is_looked_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes when the first problem of a long job is looked at, and is done before anything of that is drawn."""
    monkeypatch.setattr("stepviz.job.LOOK_S", -1.0)
    monkeypatch.setattr(job_draws, "CHUNK", 4)
    ask = bench.store.problem
    clicks: list[int] = []

    def clicked(id: str) -> object:
        if not clicks:
            clicks.append(jobs.start(bench.store, "measure", {"chains": [CHAIN.id], "n": 1}, **NOBODY))
        return ask(id)

    monkeypatch.setattr(bench.store, "problem", clicked)
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id, PROBLEM.id], "n": 300}, **NOBODY)
    bench.worker.run_next(None)
    assert [bench.store.run(id).state for id in (run, *clicks)] == ["done", "done"]
    assert [request.question for request in bench.engine.seen[:3]] == [PROBLEM.question] * 3
    assert bench.engine.seen[3].question == OTHER.question
