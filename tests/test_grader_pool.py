"""No answer can do harm: hostile texts end in time, run nothing, and cost no worker but their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepviz import answers
from stepviz.grader_pool import GraderPool, Unsettled, Worker, shared_pool

# Each of these ends in time and is not equal to anything sane. {0} is a file that must not appear.
HOSTILE = {
    "tower": "9**9**9**9",
    "tex tower": "9^{9^{9^{9}}}",
    "ten to the ten to the ten": "10^(10^10)",
    "megabyte of brackets": "(" * 1_000_000,
    "megabyte of nested lists": "[" * 500_000 + "]" * 500_000,
    "code": '__import__("os").system("touch {0}")',
    "code in text": '\\text{__import__("os").system("touch {0}")}',
    "code in a box": '\\boxed{__import__("os").system("touch {0}")}',
    "nan": "NaN",
    "inf": "inf",
    "minus infinity": "-inf",
    "empty": "",
    "blank": " \n\t ",
    "huge fractions": "\\frac{1}{" * 3000 + "2" + "}" * 3000,
    "twelve fractions": "\\frac{1}{" * 12 + "2" + "}" * 12,
    "arabic digits": "١٨",
    "wide digits": "１８",
    "scientific": "1e999999999",
    "factorial": "99999999!",
    "binomial": "\\binom{99999999}{4999999}",
    "large power of a sum": "(x+y+z+w)^{199}",
    "exponentials": "\\exp(\\exp(\\exp(\\exp(99))))",
    "large sum": "\\sum_{i=1}^{199} i^{199^{i}}",
    "null": "18\x00",
    "backwards": "\u202e81",
    "half a character": "\ud800",
    "many digits": "18" * 5000,
    "division by zero": "1/0",
    "nothing over nothing": "\\frac{0}{0}",
}


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    shared_pool().warm_up()


@pytest.fixture
def pool() -> Iterator[GraderPool]:
    own = GraderPool(size=2)
    own.warm_up()
    yield own
    own.close()


# Two seconds are the promise for an idle machine. A busy or slow one takes several times as long, and starts a worker
# anew in between; what nobody stops takes minutes, or for ever.
IN_TIME = 100.0


# --- hostile texts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_ends_in_time_is_not_equal_and_runs_nothing(name: str, tmp_path: Path):
    trace = tmp_path / "ran"
    hostile = HOSTILE[name].replace("{0}", str(trace))
    results: list[tuple[str, float]] = []

    def compare(*pairs: tuple[str, str]) -> None:
        for gold, answer in pairs:
            started = time.monotonic()
            verdict = answers.equal(gold, answer).verdict
            results.append((verdict, time.monotonic() - started))

    compare(("18", hostile), ("18", f"so\n#### {hostile}"))
    thread = threading.Thread(target=compare, args=((hostile, "18"), ("x+1", hostile)))
    thread.start()
    thread.join()
    assert len(results) == 4
    assert all(verdict != "equal" for verdict, _ in results)
    assert max(seconds for _, seconds in results) < IN_TIME
    assert not trace.exists()
    assert answers.grade("18", f"so\n#### {hostile}").value != "correct"
    assert answers.equal("x+2", "2+x").verdict == "equal"


@pytest.mark.parametrize(
    "name", ["tower", "megabyte of brackets", "code", "ten to the ten to the ten", "factorial", "nan"]
)
def test_the_worker_itself_survives_what_the_filters_would_have_stopped(pool: GraderPool, name: str, tmp_path: Path):
    trace = tmp_path / "ran"
    started = time.monotonic()
    try:
        verdict = pool.compare("18", HOSTILE[name].replace("{0}", str(trace))).verdict
    except Unsettled:
        verdict = "unknown"
    assert verdict != "equal"
    assert time.monotonic() - started < IN_TIME
    assert not trace.exists()
    assert pool.compare("x+2", "2+x").verdict == "equal"


def test_nan_is_not_even_equal_to_itself():
    assert answers.equal("NaN", "NaN").verdict == "unknown"
    assert "equal to nothing" in answers.equal("nan", "nan").reason


def test_a_worker_may_not_run_programs_or_write(tmp_path: Path):
    """The same confinement that `grader_worker` puts on itself, tried from inside."""
    program = (
        "import os, sys\nfrom stepviz import grader_worker\ngrader_worker._confine()\nblocked = 0\n"
        f"for act in (lambda: os.system('touch {tmp_path}/a'), lambda: open('{tmp_path}/b', 'w'), os.fork,\n"
        f"            lambda: os.open('{tmp_path}/c', os.O_CREAT | os.O_WRONLY), lambda: bytearray(1 << 31)):\n"
        "    try:\n        act()\n    except (PermissionError, MemoryError):\n        blocked += 1\n"
        "os._exit(blocked)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(Path.cwd())}, check=False
    )
    assert done.returncode == 5
    assert list(tmp_path.iterdir()) == []


# --- processes -------------------------------------------------------------------------------------------------------


def test_killing_one_comparison_leaves_those_under_way_unharmed(pool: GraderPool):
    results: dict[int, str] = {}

    def compare(k: int) -> None:
        try:
            hostile = k % 4 == 0
            results[k] = (
                pool.compare("1", "(" * 90_000).verdict if hostile else pool.compare(f"x+{k}", f"{k}+x").verdict
            )
        except Unsettled:
            results[k] = "timeout"

    threads = [threading.Thread(target=compare, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: "timeout" if k % 4 == 0 else "equal" for k in range(12)}


def test_a_worker_that_dies_is_replaced_and_leaves_no_zombie(pool: GraderPool):
    before = {w.process.pid for w in pool._idle}
    for worker in list(pool._idle):
        os.kill(worker.process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, worker.process.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and left for the pool to find
    assert pool.compare("x+1", "1+x").verdict == "equal"
    assert not before & {w.process.pid for w in pool._idle}
    for pid in before:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_a_closed_pool_ends_its_workers_and_says_so():
    own = GraderPool(size=1)
    own.warm_up()
    workers = [w.process for w in own._idle]
    own.close()
    assert all(w.returncode is not None for w in workers)
    with pytest.raises(Unsettled, match="shutting down"):
        own.compare("1", "x")


def test_callable_from_an_event_loop():
    async def both() -> list[str]:
        jobs = (asyncio.to_thread(answers.equal, f"x+{k}", f"{k}+x") for k in range(20, 24))
        return [result.verdict for result in await asyncio.gather(*jobs)] + [answers.equal("y+1", "1+y").verdict]

    assert asyncio.run(both()) == ["equal"] * 5


def _in_a_daemon(results: multiprocessing.Queue) -> None:
    results.put(answers.equal("z+1", "1+z").verdict)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_callable_from_a_daemonic_process(method: str):
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_in_a_daemon, args=(results,), daemon=True)
    process.start()
    assert results.get(timeout=200) == "equal"
    process.join(60)
    assert process.exitcode == 0


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("end", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_script_needs_no_main_guard_and_leaves_no_worker_behind(end: str):
    program = (
        "from stepviz import answers, grader_pool\nprint(answers.equal('x+1', '1+x').verdict)\n"
        f"print(*[w.process.pid for w in grader_pool.shared_pool()._idle], flush=True)\n{end}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    verdict, pids = done.stdout.splitlines()
    assert verdict == "equal", done.stderr
    deadline = time.monotonic() + 60
    while any(_alive(int(pid)) for pid in pids.split()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(int(pid)) for pid in pids.split())


def test_a_worker_starts_within_seconds():
    """Of the processor's time, for the machine may be busy: one is usual."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = Worker()
    worker.wait_ready()
    worker.kill()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 0 < after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20
