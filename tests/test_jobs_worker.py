"""The worker as a real process with a real model: started on demand, one a store. Kills: tests/test_jobs_killed.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.steps import segment
from stepviz.types import (
    Chain,
    Problem,
    PromptStyle,
    Sampling,
    SourceItem,
    Verdict,
)
from stepviz.worker_process import ensure_worker, last_words, lock_file, log_file, worker_alive
from tests import tiny
from tests.job_cases import wait_for
from tests.store_cases import new_url

PROBLEM = Problem("Tom has 3 apples and buys 12 more. How many?", answer="15", source="mine", key="1")
TEXTS = ["Tom has 3 apples.\n3+12=16\n#### 16\n", "12-3=9\nHe eats 2.\nThen 9-2=7\n#### 7\n"]
CHAINS = [Chain(PROBLEM.id, "test", str(i), t, segment(t), "line/1") for i, t in enumerate(TEXTS)]
SAMPLING = Sampling(temperature=0.7, max_tokens=60, style=PromptStyle(stop=("e",)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"hf:{tiny.build(tmp_path_factory.mktemp('model'), hidden_size=64, num_hidden_layers=6)}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with filled(tmp_path) as store:
        yield store
        stop(store)


def filled(folder: Path) -> Store:
    store = open_store(new_url(folder))
    store.add_items([SourceItem(PROBLEM, tuple(CHAINS))], {c.id: Verdict("wrong", "", "test") for c in CHAINS})
    return store


def worker_pid(store: Store) -> int | None:
    """Who holds the lock file open, as /proc tells."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                files = [os.readlink(link) for link in (process / "fd").iterdir()]
            except OSError:
                continue
            if str(lock_file(store)) in files:
                return int(process.name)
    return None


def stop(store: Store) -> None:
    pid = worker_pid(store)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    for file in (lock_file(store), log_file(store)):
        file.unlink(missing_ok=True)


def draws(store: Store) -> dict[tuple[str, int], str]:
    return {(c.prefix_hash, c.j): c.text for c in store.continuations_for(PROBLEM.id)}


def test_one_worker_a_store_however_many_ask(store: Store, model: str) -> None:
    starts = [
        subprocess.Popen(
            [sys.executable, "-m", "stepviz.worker", "--idle", "60"],
            env={**os.environ, "STEPVIZ_DB": store.url},
            cwd=Path(__file__).parents[1],
        )
        for _ in range(3)
    ]
    wait_for(lambda: sum(p.poll() is None for p in starts) == 1)
    assert [p.returncode for p in starts if p.poll() is not None] == [0, 0]
    assert worker_alive(store)
    assert ensure_worker(store)
    (winner,) = [p for p in starts if p.poll() is None]
    assert worker_pid(store) == winner.pid
    winner.kill()
    winner.wait()
    assert not worker_alive(store)


def test_cancel_of_a_real_run(store: Store, model: str) -> None:
    """It ends two seconds later on an idle machine; anywhere with most of its draws not made."""
    run = jobs.start(store, "sample", {"problems": [PROBLEM.id], "n": 20_000, "engine": model, "sampling": SAMPLING})
    wait_for(lambda: draws(store))
    store.request_cancel(run)
    wait_for(lambda: store.run(run).state != "running")
    assert store.run(run).state == "cancelled"
    assert len(draws(store)) < 20_000
    wait_for(lambda: len(store.chains(PROBLEM.id)) == len(CHAINS) + len(draws(store)))  # its last batch becomes chains


def test_it_leaves_when_idle_and_stays_for_its_parent(store: Store) -> None:
    root, env = Path(__file__).parents[1], {**os.environ, "STEPVIZ_DB": store.url}
    command = [sys.executable, "-m", "stepviz.worker", "--idle", "0.5"]
    assert subprocess.run(command, env=env, cwd=root, timeout=240, check=False).returncode == 0
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    worker = subprocess.Popen([*command, "--parent", str(parent.pid)], env=env, cwd=root)
    wait_for(lambda: worker_alive(store))
    time.sleep(1.5)
    assert worker.poll() is None
    parent.kill()
    parent.wait()
    assert worker.wait(120) == 0


def test_a_worker_that_cannot_start_says_why(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "sqlalchemy").mkdir(parents=True)
    (broken / "sqlalchemy" / "__init__.py").write_text("raise RuntimeError('no such luck')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    run = store.add_run("import", {"format": "gsm8k", "path": "x"})
    with pytest.raises(StepvizError, match="no such luck"):
        jobs.wait(store, run)
    assert "no such luck" in last_words(store)
