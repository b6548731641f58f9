"""What a run costs, over kills and resumes, and what its engines note: a batch that the memory was too small for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from db.store import open_store
from stepviz import engines, jobs
from stepviz.engines.decode import Decoder
from stepviz.job import Job
from stepviz.reward import load_scorer
from stepviz.types import Completion, Request
from stepviz.worker import Worker
from tests import tiny, tiny_scorers
from tests.job_cases import CHAIN, NOBODY, OTHER, PROBLEM, Bench, SlowEngine, expected_draws, finish_lease
from tests.store_cases import new_url

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield Bench(store)


class Killed(BaseException):
    """As little caught as a signal 9."""


def spent(run: object) -> tuple[int, int]:
    told = run.progress["spent"]
    return told["sampled"], told["read"]


def test_a_run_pays_for_what_it_draws_and_not_for_what_was_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of SlowEngine's draws has 6 tokens; a prompt of 7 is read once, however many continuations it has."""
    monkeypatch.setattr(
        SlowEngine, "complete", lambda self, request: Completion("#### 15\n", "stop", 6, prompt_tokens=7)
    )
    first = bench.do("sample", problems=[PROBLEM.id, OTHER.id], n=6)
    assert spent(first) == (72, 14)
    assert first.progress["tokens"] == 72
    assert spent(bench.do("sample", problems=[PROBLEM.id, OTHER.id], n=8)) == (24, 14)
    assert spent(bench.do("sample", problems=[PROBLEM.id, OTHER.id], n=8)) == (0, 0)
    assert spent(bench.do("measure", chains=[CHAIN.id], n=4)) == (2 * 4 * 6, 14)  # of the question 8 are there


def test_the_cost_goes_on_after_a_kill_and_what_was_lost_is_paid_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepviz.worker.LEASE_S", 1.2)
    monkeypatch.setattr("stepviz.worker.BEAT_S", 60.0)  # no heartbeat but those that come with the draws
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 40}, **NOBODY)
    add = bench.store.add_continuations

    def record(new: list[object]) -> int:
        if len(bench.draws(OTHER)) >= 16:
            raise Killed  # drawn, and not stored
        return add(new)

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "add_continuations", record)
        with pytest.raises(Killed):
            bench.worker.run_next(None)
    assert len(bench.draws(OTHER)) == 16
    assert spent(bench.store.run(run))[0] == 20 * 6
    finish_lease(bench.store, run)
    jobs.resume(bench.store, run, **NOBODY)
    Worker(bench.store, bench.load).run_next(None)
    ended = bench.store.run(run)
    assert len(bench.draws(OTHER)) == 40
    assert spent(ended)[0] == ended.progress["tokens"] == (40 + 4) * 6
    assert ended.progress["spent"]["seconds"] < 60  # at work, without the time in which nobody was


def test_what_was_told_later_is_not_written_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat has looked up the bill and waits for the database; meanwhile the job pays and saves."""
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 1}, **NOBODY)
    claimed = bench.store.claim_run("w")
    job = Job(claimed, bench.store, bench.load, bench.load, lambda: None, "w", 60.0)
    write, waits, go_on = bench.store.heartbeat, threading.Event(), threading.Event()

    def slow(*told: object) -> bool:
        if threading.current_thread().name == "beat":
            waits.set()
            assert go_on.wait(60)
        return write(*told)

    monkeypatch.setattr(bench.store, "heartbeat", slow)
    threads = [threading.Thread(target=job.beat, name="beat"), threading.Thread(target=job.save, name="job")]
    threads[0].start()
    assert waits.wait(60)
    job.bill.sampled = 7
    threads[1].start()
    threads[1].join(0.5)  # without a lock it is through by now
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert spent(bench.store.run(run))[0] == 7


def test_a_click_between_the_batches_pays_for_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clicks: list[int] = []
    generate = SlowEngine.generate

    def clicked(self: SlowEngine, requests: list[Request], *rest: object, **more: object) -> list[Completion]:
        if not clicks:
            clicks.append(jobs.start(bench.store, "measure", {"chains": [CHAIN.id], "n": 2}, **NOBODY))
        return generate(self, requests, *rest, **more)

    monkeypatch.setattr(SlowEngine, "generate", clicked)
    run = jobs.start(bench.store, "sample", {"problems": [OTHER.id], "n": 600}, **NOBODY)
    bench.worker.run_next(None)
    assert spent(bench.store.run(clicks[0]))[0] == len(expected_draws(2)) * 6
    assert spent(bench.store.run(run))[0] == 600 * 6


def test_scoring_costs_the_tokens_that_were_read(bench: Bench, tmp_path: Path) -> None:
    scorer = load_scorer(f"hf:{tiny_scorers.lines(tmp_path / 'sorm', role='sorm')}", "cpu")
    bench.worker.load_scorer = lambda *_: scorer
    run = bench.do("score", chains=[CHAIN.id], model=scorer.spec)
    read = len(scorer.encode(PROBLEM.question, CHAIN.steps).ids)
    assert read > 10
    assert spent(run) == (0, read)
    assert run.progress["tokens"] == read
    assert run.progress["tokens_per_s"] > 0
    assert spent(bench.do("score", chains=[CHAIN.id], model=scorer.spec)) == (0, 0)


# ---- memory


def test_a_batch_that_does_not_fit_is_halved_and_the_run_says_so(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is really loaded, and a memory in which three rows have room."""
    engine = engines.load(f"hf:{tiny.build(tmp_path / 'student')}", "cpu")
    bench.worker.load = lambda *_, **__: engine
    rows: list[int] = []
    new_batch = type(engine)._new_batch

    def small(self: object) -> object:
        batch = new_batch(self)
        step = batch.step

        def stepping(tokens: torch.Tensor) -> torch.Tensor:
            rows.append(len(tokens))
            if len(tokens) > 3:
                raise FULL
            return step(tokens)

        batch.step = stepping
        return batch

    monkeypatch.setattr(type(engine), "_new_batch", small)
    spec = {"problems": [PROBLEM.id, OTHER.id], "n": 6, "engine": engine.spec}
    run = bench.do("sample", **spec)
    assert (run.state, run.progress["done"]) == ("done", 12)
    assert len(bench.store.chains(OTHER.id)) == 6
    notes = [
        f"the memory of cpu was too small for {n} continuations at once: it goes on with {n // 2}" for n in (12, 6)
    ]
    assert run.progress["notes"] == notes
    assert [line for _, line in bench.store.log_lines(run.id)] == notes
    rows.clear()
    assert "notes" not in bench.do("sample", **(spec | {"n": 12})).progress
    assert max(rows) == 3, "the engine has learnt what fits"


def test_so_is_a_batch_of_chains_that_are_scored(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = load_scorer(f"hf:{tiny_scorers.lines(tmp_path / 'sorm', role='sorm')}", "cpu")
    bench.worker.load_scorer = lambda *_: scorer
    bench.do("sample", problems=[PROBLEM.id], n=7)
    ids = [row.chain.id for row in bench.store.chains(PROBLEM.id)]
    read = scorer.read

    def small(batch: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        if len(batch) > 4:
            raise FULL
        return read(batch, *more)

    scorer.read = small
    run = bench.do("score", chains=ids, model=scorer.spec)
    assert (run.state, len(bench.store.scores_for(PROBLEM.id))) == ("done", 8)
    assert run.progress["notes"] == ["the memory of cpu was too small for 8 chains at once: it goes on with 4"]
    assert scorer.notes == []


def test_a_decoder_of_one_row_has_nothing_to_halve() -> None:
    from tests.test_engine_parts import count_up

    rows, decoder = count_up(limit=0)
    assert isinstance(decoder, Decoder)
    assert all(row.reason == "error" for row in rows)
    assert [note.rpartition(" ")[2] for note in decoder.notes] == ["4", "2", "1"]
