"""How long a comparison may take: measured in the processor's time, bounded by the clock, and remembered."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepviz import answers
from stepviz.grader_pool import PATIENCE, SECONDS, GraderPool, Memory, Unsettled, Worker, shared_pool


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    shared_pool().warm_up()


@pytest.fixture
def pool() -> Iterator[GraderPool]:
    own = GraderPool(size=1)
    own.warm_up()
    yield own
    own.close()


# --- a busy machine --------------------------------------------------------------------------------------------------


def test_a_worker_that_gets_no_processor_for_a_while_judges_all_the_same(pool: GraderPool):
    pids = [worker.process.pid for worker in pool._idle]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    later = threading.Timer(2 * SECONDS, lambda: [os.kill(pid, signal.SIGCONT) for pid in pids])
    later.start()
    started = time.monotonic()
    assert pool.compare("x+1", "1+x").verdict == "equal"
    assert time.monotonic() - started >= 2 * SECONDS
    later.join()


def test_a_comparison_that_is_held_up_in_the_middle_for_longer_than_it_may_compute_is_judged():
    """A sixth of a second of computing where three are allowed, so that a slow machine is no other case."""
    own = GraderPool(size=1, seconds=3 * SECONDS)
    own.warm_up()
    pids = [worker.process.pid for worker in own._idle]
    held = threading.Timer(0.03, lambda: [os.kill(pid, signal.SIGSTOP) for pid in pids])
    later = threading.Timer(3.5 * SECONDS, lambda: [os.kill(pid, signal.SIGCONT) for pid in pids])
    held.start()
    later.start()
    started = time.monotonic()
    assert own.compare("(x+1)^{30}(x+2)^{30}", "(x^2+3x+2)^{30}").verdict == "equal"
    assert time.monotonic() - started > 3 * SECONDS
    later.join()
    own.close()


def test_the_first_comparison_pays_for_no_import():
    """It is limited like any other: a tenth of what the start of its process has taken, on whatever machine."""
    worker = Worker()
    worker.wait_ready()
    start = _computed(worker)
    assert worker.ask("(y+3)(y-3)", "y^2-9", 60, 60).verdict == "equal"
    assert _computed(worker) - start < start / 7
    worker.kill()


def _computed(worker: Worker) -> float:
    """Seconds of processor time."""
    user, system = Path(f"/proc/{worker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_what_computes_without_end_is_ended(pool: GraderPool):
    with pytest.raises(Unsettled, match="longer than"):
        pool.compare(_slow(3), _slow(4))


def test_a_worker_that_never_gets_a_processor_is_given_up():
    own = GraderPool(size=1)
    own.warm_up()
    for worker in own._idle:
        os.kill(worker.process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(Unsettled, match="too busy"):
        own.compare("x+1", "1+x", patience=1.5)
    assert 1.5 <= time.monotonic() - started < PATIENCE / 2  # what it has without being asked, and no stall lasts
    own.close()


# --- what is remembered ----------------------------------------------------------------------------------------------


def _slow(k: int) -> str:
    """Passes the filters, and needs longer than there is to compare with its like."""
    return "".join(f"(x+{j})^{{150}}" for j in (1, 2, k))


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What each comparison in a worker has taken by the clock, as they come."""
    seconds: list[float] = []
    compare = shared_pool().compare

    def timed(gold: str, answer: str, patience: float) -> answers.Equality:
        started = time.monotonic()
        try:
            return compare(gold, answer, patience)
        finally:
            seconds.append(time.monotonic() - started)

    monkeypatch.setattr(shared_pool(), "compare", timed)
    return seconds


def test_a_comparison_that_took_too_long_is_not_tried_again_at_once(seconds: list[float]):
    first = answers.equal(_slow(5), _slow(6))
    assert "longer than" in first.reason
    assert len(seconds) == 1
    assert all(answers.equal(_slow(5), _slow(6)) == first for _ in range(20))
    assert len(seconds) == 1


def test_clusters_of_slow_answers_are_bounded_and_remembered(seconds: list[float]):
    sample = [*(_slow(k) for k in range(13, 23)), "18", "x+1", "18.0", "1+x"]
    found = answers.cluster(sample)
    assert sum(seconds[:-1]) < answers.CLUSTER_SECONDS  # the last may overrun it
    assert len(seconds) <= answers.CLUSTER_SECONDS / SECONDS + 1  # of 45 that would overrun
    assert found[0].members == (10, 12)
    assert sorted(k for c in found for k in c.members) == list(range(14))
    tried = len(seconds)
    assert all(answers.cluster(sample) == found for _ in range(20))
    assert len(seconds) == tried


def test_what_cluster_gives_is_the_callers_own():
    found = answers.cluster(["1", "2"])
    found.clear()
    assert len(answers.cluster(["1", "2"])) == 2


def test_time_that_has_run_out_does_not_undo_what_is_known():
    known = ["x+41", "x+42", "41+x"]
    assert answers.equal("x+41", "41+x").verdict == "equal"
    assert answers.equal("x+42", "41+x").verdict == "different"
    assert answers.equal("x+41", "x+42").verdict == "different"
    assert [c.members for c in answers.cluster(known, seconds=0)] == [(0, 2), (1,)]
    assert [c.members for c in answers.cluster(["x+51", "51+x"], seconds=0)] == [(0,), (1,)]


def test_memory_forgets_the_oldest_and_what_has_expired():
    memory: Memory[int, str] = Memory(size=2)
    for k, value in enumerate("abc"):
        memory.keep(k, value)
    assert [memory.get(k) for k in range(3)] == [None, "b", "c"]
    memory.keep(2, "still", seconds=60)
    memory.keep(1, "over", seconds=0)
    assert (memory.get(1), memory.get(2)) == (None, "still")
