"""Commands and the app on one store: all at once, and killed with signal 9 in the middle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ProblemFilter
from stepviz.worker_process import worker_alive
from tests.job_cases import wait_for
from tests.store_cases import sqlite_only
from tests.test_jobs_worker import stop, worker_pid

pytestmark = sqlite_only
ROOT = Path(__file__).parents[1]
BUSY = ("locked", "Traceback", "OperationalError")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield f"sqlite:///{tmp_path}/side.db"
    with open_store(f"sqlite:///{tmp_path}/side.db") as store:
        stop(store)


def command(folder: Path, url: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "STEPVIZ_DB": url, "PYTHONPATH": str(ROOT)}
    start = [sys.executable, "-m", "stepviz", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(start, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def finished(process: subprocess.Popen[str]) -> dict[str, object]:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert not any(word in error for word in BUSY), error
    return json.loads(out)


def rows(folder: Path, name: str, count: int) -> Path:
    """A table of `count` problems, each with a chain of its own."""
    lines = [json.dumps({"question": f"{name}: {i}+1=?", "response": f"{i}+1={i + 1}\n#### {i + 1}", "answer": i + 1})
             for i in range(count)]  # fmt: skip
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def app(tmp_path: Path, url: str) -> Iterator[tuple[str, Path]]:
    """`python app.py` on the store, its address and its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "app.log"
    words = [sys.executable, str(ROOT / "app.py"), "--db", url, "--port", str(port), "--device", "cpu"]
    with log.open("w") as out:
        process = subprocess.Popen(words, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}/"
    wait_for(lambda: process.poll() is not None or _answers(address))
    assert process.poll() is None, log.read_text()
    yield address, log
    process.terminate()
    process.wait(120)


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def test_two_imports_a_sampling_and_the_app_at_once(tmp_path: Path, url: str, app: tuple[str, Path]) -> None:
    address, log = app
    jobs = [
        command(tmp_path, url, "import", "table", str(rows(tmp_path, name, 1500)), "--json") for name in ("one", "two")
    ]
    jobs.append(command(tmp_path, url, "sample", "--source", "embedded", "--n", "12", "--limit", "6", "--json"))
    served = 0
    while any(job.poll() is None for job in jobs):
        served += _answers(address)
        time.sleep(0.2)
    one, two, sampled = (finished(job) for job in jobs)
    assert (one["problems_new"], two["problems_new"], sampled["state"]) == (1500, 1500, "done")
    assert served >= 2
    assert not any(word in log.read_text() for word in BUSY), log.read_text()
    with open_store(url) as store:
        assert store.stats()["chains"] >= 3000 + 6 * 12
        embedded = list(store.problems(ProblemFilter(source="embedded"), limit=6))
        assert all(p.n_chains >= 12 for p in embedded)


Draw = tuple[str, str, str, str, int, str]


def draws(store: Store) -> list[Draw]:
    """Every stored continuation: its key and its text."""
    found = [c for p in store.problems(ProblemFilter(), limit=100) for c in store.continuations_for(p.id)]
    return [(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j, c.text) for c in found]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["command", "worker", "both"])
def test_sample_and_measure_killed_in_the_middle_go_on_with_the_same_command(
    tmp_path: Path, url: str, who: str
) -> None:
    finished(command(tmp_path, url, "world", "problems", "dev", "--count", "4", "--json"))
    with open_store(url) as store:
        for words in (("sample", "--n", "48", "--json"), ("measure", "--k", "64", "--limit", "2", "--json")):
            kept = kill_in_the_middle(store, command(tmp_path, url, *words), who)
            done = finished(command(tmp_path, url, *words))
            after = draws(store)
            assert done["state"] == "done"
            assert kept < set(after)
            assert len({draw[:-1] for draw in after}) == len(after)  # none was drawn twice
            if words[0] == "sample":
                assert len(after) == 4 * 48


def kill_in_the_middle(store: Store, process: subprocess.Popen[str], who: str) -> set[Draw]:
    """Signal 9 once the first draws are in; gives what the store held then."""
    before = store.stats()["rollouts"]
    wait_for(lambda: store.stats()["rollouts"] > before or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    if who in ("command", "both"):
        process.kill()
    pid = worker_pid(store)
    if who in ("worker", "both") and pid is not None:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not worker_alive(store))
    kept = set(draws(store))
    process.communicate(timeout=300)
    return kept
