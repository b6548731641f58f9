"""Jobs that fail, wait, are cancelled, asked for twice or killed between two writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from db.store import open_store
from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.steps import segment
from stepviz.types import Chain, PromptStyle, Sampling
from stepviz.worker import Worker
from tests.job_cases import (
    CHAIN,
    NOBODY,
    OTHER,
    PROBLEM,
    WRONG,
    Bench,
    SlowEngine,
    expected_draws,
    finish_lease,
    wait_for,
)
from tests.store_cases import new_url


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield Bench(store)


def test_a_crash_in_a_job_is_written_down_and_the_worker_lives(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowEngine, "complete", lambda *_: 1 / 0)
    run = bench.do("sample", problems=[PROBLEM.id], n=1)
    assert run.state == "failed"
    assert run.error == "ZeroDivisionError: division by zero"
    assert any("Traceback" in line for _, line in bench.store.log_lines(run.id))
    monkeypatch.undo()
    assert bench.do("sample", problems=[PROBLEM.id], n=1).state == "done"


def test_a_prefix_too_long_is_reported_and_the_others_are_measured(bench: Bench) -> None:
    text = "fine\nthis is too long\n#### 16"
    long = Chain(PROBLEM.id, "test", "2", text, segment(text), "line/1")
    bench.store.add_chain(long, WRONG)
    run = bench.do("measure", chains=[long.id], n=2)
    assert run.state == "done"
    assert run.progress["note"] == (
        "1 of the prefixes could not be continued: the prompt has 101 tokens, the model reads 100"
    )
    assert len(bench.draws()) == 4
    run = bench.do("measure", chains=[long.id], steps=[2], n=2)
    assert (run.state, "could not continue any" in run.error) == ("failed", True)


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("paint", {}, "no job 'paint'"),
        ("sample", {"problems": ["p"], "n": 1, "colour": 1}, "does not know colour"),
        ("sample", {"n": 1}, "needs problems"),
        ("sample", {"problems": ["p"]}, "needs either n"),
        ("sample", {"problems": ["p"], "n": 1, "add": 1}, "needs either n"),
        ("measure", {"chains": ["c"], "n": 0}, "1 or above"),
        ("continue", {"chain": "c"}, "needs step"),
        ("sample", {"problems": ["p"], "n": 1, "sampling": "abc"}, "no sampling 'abc'"),
    ],
)
def test_a_job_that_is_asked_for_wrongly_is_a_users_error(
    bench: Bench, kind: str, spec: dict[str, object], message: str
) -> None:
    with pytest.raises(StepvizError, match=message):
        jobs.start(bench.store, kind, spec, **NOBODY)
    assert bench.store.runs() == []


# ---- order, cancel, resume


def test_the_same_job_twice_is_one_run(bench: Bench) -> None:
    sampling = Sampling(temperature=1.0, style=PromptStyle(stop=("x",)))
    spec = {"problems": [PROBLEM.id], "n": 2, "sampling": sampling}
    first = jobs.start(bench.store, "sample", spec, **NOBODY)
    assert jobs.start(bench.store, "sample", spec, **NOBODY) == first
    assert jobs.start(bench.store, "sample", spec | {"n": 3}, **NOBODY) != first
    bench.worker.run_next(None)
    assert bench.store.run(first).state == "done"
    assert jobs.start(bench.store, "sample", spec, **NOBODY) != first


def test_big_jobs_are_of_another_kind(bench: Bench) -> None:
    def kind(of: str, **spec: object) -> str:
        return jobs.normalised(bench.store, of, spec)[0]

    assert kind("sample", problems=["p"], n=64) == "sample"
    assert kind("sample", problems=["p"] * 100, n=8) == "sample many"
    assert kind("measure", chains=["c"], n=32) == "measure"
    assert kind("measure", chains=["c"], steps=[3], add=500) == "measure"
    assert kind("measure", chains=["c"] * 20, n=8) == "measure many"


def test_a_click_is_served_between_the_batches_of_a_long_job(bench: Bench) -> None:
    bench.pause = 0.05
    long = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 5000}, **NOBODY)  # a minute and more
    thread = threading.Thread(target=bench.worker.run_next, args=(None,))
    thread.start()
    wait_for(lambda: bench.engine is not None and len(bench.engine.seen) > 8)
    click = jobs.start(bench.store, "measure", {"chains": [CHAIN.id], "n": 2}, **NOBODY)
    wait_for(lambda: bench.store.run(click).state == "done")
    assert bench.store.run(long).state == "running"
    bench.store.request_cancel(long)
    thread.join()
    assert set(bench.draws()) == expected_draws(2)


def test_cancel_is_heard_between_two_batches_and_what_is_done_stays(bench: Bench) -> None:
    """Two seconds later on an idle machine; the whole job would take at least half a minute anywhere."""
    bench.pause = 0.2
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 600}, **NOBODY)
    thread = threading.Thread(target=bench.worker.run_next, args=(None,))
    thread.start()
    wait_for(lambda: len(bench.draws(OTHER)) > 8)
    bench.store.request_cancel(run)
    wait_for(lambda: bench.store.run(run).state == "cancelled")
    thread.join()
    drawn = {j for _, j in bench.draws(OTHER)}
    assert 8 < len(drawn) < 600
    assert len(bench.store.chains(OTHER.id)) == len(drawn)
    assert bench.store.run(run).progress["done"] <= len(drawn)  # not the 600 that were asked for
    bench.pause = bench.engine.pause = 0.0
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert sorted(j for _, j in bench.draws(OTHER)) == [*range(600)]
    assert len(bench.engine.seen) == 600  # none was drawn twice


def log_of(bench: Bench, run: int) -> list[str]:
    return [line for _, line in bench.store.log_lines(run)]


def test_the_log_tells_each_cancel_and_each_resume(bench: Bench) -> None:
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 8}, **NOBODY)
    jobs.cancel(bench.store, run)
    jobs.resume(bench.store, run, **NOBODY)
    bench.store.claim_run("lost", 3600, id=run)
    bench.store.heartbeat(run, "lost", {"done": 2, "total": 8, "unit": "continuations"}, 0.0)
    finish_lease(bench.store, run)
    assert jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 8}, **NOBODY) == run  # the same command
    again = ["cancelled before it began", "resumed before it began"]
    again.append("worker lost lost at 2 of 8 continuations; queued again")
    assert log_of(bench, run) == again
    bench.worker.run_next(None)
    again.append(f"taken up again by {bench.worker.name}")
    assert (bench.store.run(run).state, log_of(bench, run)) == ("done", again)


def test_a_later_life_that_loads_its_model_has_begun_before(bench: Bench) -> None:
    run = bench.store.add_run("sample", {"problems": [OTHER.id], "n": 8})
    bench.store.claim_run("w", id=run)
    bench.store.heartbeat(run, "w", {"note": "loading e", "spent": {"sampled": 60, "read": 9, "seconds": 2}}, 0.0)
    finish_lease(bench.store, run)
    jobs.cancel(bench.store, run)
    assert log_of(bench, run) == ["cancelled before it went on"]


def test_the_log_tells_how_far_a_run_was_when_it_was_cancelled_at_work(bench: Bench) -> None:
    bench.pause = 0.2
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 600}, **NOBODY)
    thread = threading.Thread(target=bench.worker.run_next, args=(None,))
    thread.start()
    wait_for(lambda: len(bench.draws(OTHER)) > 8)
    jobs.cancel(bench.store, run)
    thread.join()
    done = bench.store.run(run).progress["done"]
    assert 0 < done < 600
    assert log_of(bench, run) == [f"cancelled at {done} of 600 continuations"]
    jobs.resume(bench.store, run, **NOBODY)
    assert log_of(bench, run)[1:] == [f"resumed at {done} of 600 continuations"]


def test_a_job_that_loads_a_model_is_cancelled_all_the_same(bench: Bench) -> None:
    loading, go = threading.Event(), threading.Event()
    load = bench.load

    def slow(*spec: object, **more: object) -> SlowEngine:
        loading.set()
        go.wait(200)
        return load(*spec, **more)

    bench.worker.load = slow
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 9}, **NOBODY)
    thread = threading.Thread(target=bench.worker.run_next, args=(None,))
    thread.start()
    assert loading.wait(60)
    bench.store.request_cancel(run)
    wait_for(lambda: bench.store.run(run).state == "cancelled")
    assert thread.is_alive()  # it still loads
    go.set()
    thread.join()
    assert bench.store.run(run).state == "cancelled"
    assert bench.draws(OTHER) == []


def test_so_many_more_is_planned_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed halfway through "32 more": the rest is drawn, not another 32."""
    monkeypatch.setattr("stepviz.worker.LEASE_S", 1.2)
    bench.do("measure", chains=[CHAIN.id], n=4)
    run = jobs.start(bench.store, "measure", {"chains": [CHAIN.id], "steps": [1], "add": 32}, **NOBODY)

    class Killed(BaseException):
        """As little caught as a signal 9."""

    def record(new: list[object]) -> int:
        stored = add(new)
        if len(bench.draws()) >= 12 + 8:
            raise Killed
        return stored

    add = bench.store.add_continuations
    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "add_continuations", record)
        with pytest.raises(Killed):
            bench.worker.run_next(None)
    assert len(bench.draws()) == 20
    finish_lease(bench.store, run)
    jobs.resume(bench.store, run, **NOBODY)
    Worker(bench.store, bench.load).run_next(None)
    assert bench.store.run(run).state == "done"
    assert set(bench.draws()) == expected_draws(4) | expected_draws(36, range(1, 2))


def test_a_kill_between_a_draw_and_its_chain_loses_no_chain(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.worker.LEASE_S", 1.2)

    class Killed(BaseException): ...

    def fall(*_: object) -> int:
        raise Killed

    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 6}, **NOBODY)
    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "add_chains", fall)
        with pytest.raises(Killed):
            bench.worker.run_next(None)
    assert len(bench.draws(OTHER)) == 4
    assert bench.store.chains(OTHER.id) == []
    finish_lease(bench.store, run)
    jobs.resume(bench.store, run, **NOBODY)
    bench.worker.run_next(None)
    assert len(bench.store.chains(OTHER.id)) == 6


def test_a_model_that_was_trained_anew_under_its_old_name_is_loaded_anew(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    weights = folder / "model.safetensors"
    save_file({"w": np.zeros(2)}, weights)
    loaded: list[str] = []
    worker = Worker(bench.store, load=lambda spec, **_: loaded.append(spec) or SlowEngine(spec, 0.0))
    first = worker.engine(f"hf:{folder}", None, None)
    assert worker.engine(f"hf:{folder}", None, None) is first
    save_file({"w": np.zeros(3)}, weights)
    assert worker.engine(f"hf:{folder}", None, None) is not first
    assert len(loaded) == 2


@pytest.mark.parametrize("kind", ["hf", "qwen-prm"])
def test_so_is_a_scorer_whatever_its_kind(bench: Bench, tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    worker = Worker(bench.store, load_scorer=lambda spec, device: SlowEngine(spec, 0.0))
    save_file({"w": np.zeros(2)}, tmp_path / "model.safetensors")
    first = worker.scorer(f"{kind}:{tmp_path}", None)
    assert worker.scorer(f"{kind}:{tmp_path}", None) is first
    save_file({"w": np.zeros(3)}, tmp_path / "model.safetensors")
    assert worker.scorer(f"{kind}:{tmp_path}", None) is not first
