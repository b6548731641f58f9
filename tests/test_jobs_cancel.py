"""A cancel takes effect within two seconds, whatever the kind, on real worker and trainer processes.

Every one of TRIES: a run is cancelled, resumed and cancelled again. Where others work beside it, the time for which one
of its threads was ready and no core was free, by the kernel's account, does not count. A build is through too soon to
be caught here: tests/test_datasets_large.py stops one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz import jobs
from stepviz.job import LOOK_S
from stepviz.measuring import Walking
from stepviz.rollouts import Want
from stepviz.steps import segment
from stepviz.types import Chain, Problem, Sampling, SourceItem, Verdict, prefix_hash
from tests import tiny, tiny_scorers
from tests import training_cases as cases
from tests.job_cases import CHAIN, wait_for
from tests.killed_worker import Workers, workers
from tests.store_cases import new_url
from tests.strategy_cases import LONG, RIGHT, new_bench, wanted

WITHIN_S = 2.0
TRIES = 5
N = 60  # problems, and four times as many chains
LINES = 60  # of a chain
SIZE = {"hidden_size": 192, "num_hidden_layers": 6, "max_position_embeddings": 1024}
QUICK = Sampling(temperature=0.7, max_tokens=200)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    made = {
        role: f"hf:{tiny_scorers.lines(folder / role, sizes=tiny_scorers.SIZES | SIZE, role=role)}"
        for role in ("orm", "sorm")
    }
    return made | {"student": f"hf:{tiny.build(folder / 'student', sharp=1.0, **SIZE)}"}


@pytest.fixture(scope="module")
def real() -> Iterator[Workers]:
    with workers(hashing=False, short=False) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


def long_chains(store: Store) -> list[str]:
    """Each takes its scorer a while."""
    items = []
    for i in range(N):
        problem = Problem(f"Tom has {i} apples and buys 12 more. How many?", answer="15", solution="3+12=15\n#### 15",
                          source="mine", split="train")  # fmt: skip
        texts = ["".join(f"{n}+{i}={n + i}\n" for n in range(j, j + LINES)) + f"#### {i}" for j in range(4)]
        chains = [Chain(problem.id, "test", str(j), text, segment(text), "line/1") for j, text in enumerate(texts)]
        items.append(SourceItem(problem, tuple(chains)))
    verdicts = {chain.id: Verdict("wrong", "", "test") for item in items for chain in item.chains}
    store.add_items(items, verdicts)
    return list(verdicts)


def waits(process: int | None) -> dict[str, int]:
    """Thread → nanoseconds for which it was ready and had no core: Linux' account (Documentation/scheduler/
    sched-stats.rst). Empty of a process that is gone, and where there is no such account."""
    found = {}
    for thread in Path(f"/proc/{process}/task").glob("*"):
        with contextlib.suppress(OSError, IndexError):
            found[thread.name] = int((thread / "schedstat").read_text().split()[1])
    return found


def waited_s(before: Mapping[int | None, Mapping[str, int]]) -> float:
    """Since then, of the thread that waited most: threads wait at the same time, and their sum is no time at all."""
    found = ((was, waits(process)) for process, was in before.items())
    return max((now[t] - was[t] for was, now in found for t in now.keys() & was.keys()), default=0) / 1e9


def test_waits_at_the_same_time_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four threads of two processes wait for a second beside each other, and one of these for half a second more."""
    before = {1: {"1": 0, "11": 5_000_000_000}, 2: {"2": 0, "21": 0}}
    after = {1: {"1": 10**9, "11": 6_000_000_000}, 2: {"2": 10**9, "21": 1_500_000_000, "22": 9 * 10**9}}
    monkeypatch.setitem(globals(), "waits", after.__getitem__)
    assert waited_s(before) == 1.5  # not 4.5; thread 22 has come since


def cancelled_in_time(
    store: Store,
    run: int,
    begun: Callable[[Mapping[str, Any]], bool],
    go_on: Callable[[], object],
    processes: Callable[[], Sequence[int | None]],
) -> None:
    """Cancels it once it has begun, and measures until its row says so; TRIES times, and each must be in time."""
    took: list[tuple[float, float]] = []
    for number in range(TRIES):
        if number:
            go_on()
        wait_for(lambda: store.run(run).state != "queued" and begun(store.run(run).progress))
        assert store.run(run).state == "running", (store.run(run).state, store.run(run).error)
        before = {process: waits(process) for process in (os.getpid(), *processes())}
        asked = time.monotonic()
        jobs.cancel(store, run)
        wait_for(lambda: store.run(run).state != "running")
        took.append((time.monotonic() - asked, waited_s(before)))
        assert store.run(run).state == "cancelled", store.run(run).error
    print("seconds, and of these without a core:", [f"{s:.2f} {w:.2f}" for s, w in took])
    assert max(seconds - waited for seconds, waited in took) <= WITHIN_S, took


@pytest.mark.parametrize("kind", ["sample", "measure", "score", "refine", "compare"])
def test_by_a_real_worker(kind: str, store: Store, real: Workers, models: dict[str, str]) -> None:
    """A click comes in between; then a cancel, and the worker is free for the next click."""
    ids, problems = long_chains(store), [row.id for row in store.problems(limit=N)]
    drawing = {"engine": models["student"], "device": "cpu", "sampling": QUICK}
    scoring = {"orm": models["orm"], "sorm": models["sorm"], "device": "cpu"}
    spec: dict[str, Any] = {
        "sample": {"problems": problems, "n": 200, **drawing},
        "measure": {"chains": ids, "n": 8, **drawing},
        "score": {"chains": ids, "model": models["sorm"], "device": "cpu"},
        "refine": {"chains": ids, "refiner": models["student"], **scoring},
        "compare": {"before": models["student"], "after": "embedded:student", "source": "mine", "split": "train",
                    "limit": N, "samples": 64, "k": 8, "device": "cpu", "sampling": QUICK},
    }[kind]  # fmt: skip
    run = jobs.start(store, kind, spec, worker=False)
    real.start(store.url)

    def begun(progress: Mapping[str, Any]) -> bool:
        return "done" in progress and "loading" not in str(progress.get("note", ""))

    wait_for(lambda: begun(store.run(run).progress) or store.run(run).error)
    served(store, ids[0])
    assert store.run(run).state == "running", "the click was served between its batches"
    cancelled_in_time(store, run, begun, lambda: jobs.resume(store, run, worker=False), lambda: [real.last])
    served(store, ids[1])
    real.kill()


@pytest.mark.parametrize("chains", [[LONG], [CHAIN, LONG, RIGHT]])
def test_a_click_is_served_while_a_strategy_thinks(
    chains: list[Chain], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It measures a step of the very chain by the same engine, and is done before the next chain is thought about, and
    before the turn is drawn. The strategy then draws what it would have drawn, and what is there not again."""
    bench, think, clicks, states = new_bench(store), Walking.wants, [], []

    def slowly(walk: Walking) -> dict[int, Want]:
        states.extend(store.run(id).state for id in clicks)
        if not clicks:
            spec = {"chains": [LONG.id], "steps": [3], "n": 3}
            clicks.append(jobs.start(store, "measure", spec, worker=False))
            time.sleep(LOOK_S * 1.5)
        return think(walk)

    monkeypatch.setattr(Walking, "wants", slowly)
    spec = {"chains": [chain.id for chain in chains], "n": 8, "strategy": "backward"}
    run = jobs.start(store, "measure", spec, worker=False)
    bench.worker.run_next(None)
    assert (store.run(run).state, set(states)) == ("done", {"done"})
    assert [request.prefix for request in bench.engine.seen[:3]] == [LONG.prefix(3)] * 3
    monkeypatch.undo()
    walked = {prefix_hash(chain.prefix(i)) for chain in chains for i in range(chain.n)}
    assert set(bench.draws()) == {(prefix, j) for prefix, j in wanted(bench, "backward") if prefix in walked}
    assert len(bench.engine.seen) == len(bench.draws())


def served(store: Store, chain: str) -> None:
    """A click."""
    spec = {"chains": [chain], "model": "embedded:sorm", "device": "cpu"}
    click = jobs.start(store, "score", spec, worker=False)
    wait_for(lambda: store.run(click).state == "done")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("begun", ["before it has read its code", "at its steps"])
def test_by_a_real_training(begun: str, store: Store, models: dict[str, str], tmp_path: Path) -> None:
    spec = cases.spec(cases.solutions(store, 400), models["student"].removeprefix("hf:"), **cases.LONG)
    run = jobs.start(store, "train", spec)
    early = begun == "before it has read its code"
    out = tmp_path / "models" / "mine"

    def at_work(progress: Mapping[str, Any]) -> bool:
        return early or progress.get("done", 0) > 3

    def processes() -> list[int | None]:
        return [cases.trainer_process(store), cases.training_process(out)]

    try:
        cancelled_in_time(store, run, at_work, lambda: jobs.resume(store, run), processes)
        wait_for(lambda: cases.training_process(out) is None)
    finally:
        cases.stop_all(store)
