"""The worker: the one process that owns the engine. `python -m stepviz.worker [--db URL]`.

It claims runs, does them (stepviz.job_kinds), and leaves when it was idle for a while, unless the app that
started it still lives. A second thread renews the lease and hears of cancels, so that neither waits for the
engine. Between the batches of a long job, quick ones are let in.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from db.store import Store, open_store
from db.values import RunRow
from stepviz import engines, reward
from stepviz.checkpoints import look
from stepviz.engines import Engine, memory
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.job_kinds import JOBS
from stepviz.jobs import QUICK, far
from stepviz.reward.specs import plain
from stepviz.worker_process import worker_lock

if TYPE_CHECKING:
    from stepviz.reward.scorer import Scorer

LEASE_S = 8.0
BEAT_S = 0.8
GRACE_S = 0.8  # a job that does not hear of its cancel in this time (it loads a model) is marked cancelled at once
POLL_S = 0.2
IDLE_S = 180.0
HELD = 2  # light engines held loaded, and as many scorers; of heavy models those that are at work, else the newest
LIGHT = 50_000_000  # parameters

Load = Callable[..., Any]


class Worker:
    """Does one run at a time, and inside a long one the quick ones that wait."""

    def __init__(self, store: Store, load: Load = engines.load, load_scorer: Load = reward.load_scorer) -> None:
        self.store, self.load, self.load_scorer = store, load, load_scorer
        self.name = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self.engines: dict[tuple[str | None, ...], Engine] = {}  # least recently used first
        self.scorers: dict[tuple[str | None, ...], Scorer] = {}
        self.handed: set[tuple[str | None, ...]] = set()  # to the run at work: keys of engines and scorers
        self.depth = 0

    def serve(self, idle_s: float, parent: int | None) -> None:
        """Until nothing was asked for idle_s, and the parent, if there is one, is gone."""
        last = time.monotonic()
        while time.monotonic() - last < idle_s or _lives(parent):
            if self.run_next(QUICK) or self.run_next(None):
                last = time.monotonic()
            else:
                time.sleep(POLL_S)

    def run_next(self, kinds: Sequence[str] | None) -> bool:
        """Claims and does the oldest run of these kinds (None: all but trainings); False where none waits."""
        run = self.store.claim_run(self.name, LEASE_S, tuple(JOBS) if kinds is None else kinds)
        if run is not None:
            if run.progress:  # it was at work before
                self.store.log(run.id, f"taken up again by {self.name}")
            self._do(run)
        return run is not None

    def let_in(self) -> None:
        """Does the quick runs that wait. They let nobody in themselves."""
        if self.depth == 1:
            while self.run_next(QUICK):
                pass

    def engine(self, spec: str, device: str | None, tokenizer: str | None) -> Engine:
        """Loaded, or loaded before. A switch frees the one before, unless both are light or it is at work."""
        key = spec, device, tokenizer, _stamp(spec)
        kept = [k for k in self.engines if _light(str(k[0]))][1 - HELD :] if _light(spec) else []
        return self._held(self.engines, key, kept, lambda: self.load(spec, device=device, tokenizer=tokenizer))

    def scorer(self, spec: str, device: str | None) -> Scorer:
        """The same for scorers, of which a refinement needs two at once: the one used longest ago gives way.

        Beside a heavy one no other heavy one stays but what this run has asked for.
        """
        fits = _light(spec)
        kept = [k for k in self.scorers if fits or _light(str(k[0])) or k in self.handed][1 - HELD :]
        return self._held(self.scorers, (spec, device, _stamp(spec)), kept, lambda: self.load_scorer(spec, device))

    def _held(
        self, held: dict[tuple[str | None, ...], Any], key: tuple[str | None, ...], kept: Sequence[Any], load: Load
    ) -> Any:
        if key not in held:
            if self.depth <= 1:
                self._make_room(held, kept, heavy=not _light(str(key[0])))
            held[key] = load()
        held[key] = held.pop(key)
        self.handed.add(key)
        return held[key]

    def _make_room(self, held: dict[tuple[str | None, ...], Any], kept: Sequence[Any], heavy: bool) -> None:
        """Closes what gives way before the new one is loaded, so that both never fill the memory. For a heavy one the
        heavy models of the other kind go too, student or scorer, but what this run works with."""
        going = [(held, key) for key in held if key not in kept]
        other: dict[tuple[str | None, ...], Any] = self.scorers if held is self.engines else self.engines
        if heavy:
            going += [(other, key) for key in other if key not in self.handed and not _light(str(key[0]))]
        for place, key in going:
            place.pop(key).close()
        if going:
            memory.release()

    def let_go(self) -> None:
        """What the run at work has asked for so far, it does not need any more."""
        self.handed.clear()

    def _do(self, run: RunRow) -> None:
        self.depth += 1
        before, self.handed = self.handed, set(self.handed) if self.depth > 1 else set()
        job = Job(run, self.store, self.engine, self.scorer, self.let_in, self.name, LEASE_S, let_go=self.let_go)
        beat = Beat(job, self.store, self.name)
        beat.start()
        error = None
        try:
            JOBS[run.kind](job)
        except StepvizError as mistake:
            error = str(mistake)
        except Exception as failure:
            if memory.is_full(failure):
                error = str(memory.full(failure, "there was not enough memory"))
            else:
                error = f"{type(failure).__name__}: {failure}"
                self.store.log(run.id, traceback.format_exc())
        finally:
            beat.end()
            self.depth -= 1
            self.handed = before
        state = "failed" if error else "cancelled" if job.cancelled() else "done"
        self.store.heartbeat(run.id, self.name, job.told(), LEASE_S)
        if state == "cancelled":
            note_cancel(self.store, run.id, self.name)
        self.store.finish_run(run.id, state, error, worker=self.name)


class Beat(threading.Thread):
    """Renews the lease and writes the progress; tells the job of a cancel."""

    def __init__(self, job: Job, store: Store, worker: str) -> None:
        super().__init__(daemon=True)
        self.job, self.store, self.worker = job, store, worker
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(BEAT_S):
            with contextlib.suppress(Exception):  # a database that is busy for a while: the next beat will do
                if self.job.beat():
                    self.job.cancel.set()
                    if not self.ended.wait(GRACE_S):
                        note_cancel(self.store, self.job.run.id, self.worker)
                        self.store.finish_run(self.job.run.id, "cancelled", worker=self.worker)
                    return

    def end(self) -> None:
        self.ended.set()
        self.join()


def note_cancel(store: Store, run_id: int, worker: str) -> None:
    """Into the log of a run that is still this worker's, and before it ends: who looks at it looks no more then."""
    run = store.run(run_id)
    if run.worker == worker and run.state == "running":
        store.log(run_id, f"cancelled {far(run.progress)}")


def _stamp(spec: str) -> str:
    """Of the weights' files where they lie in a folder, or of what a server serves; loading says what is wrong."""
    if spec.startswith("openai:"):
        from stepviz.engines.openai import stamp

        return stamp(plain(spec))
    with contextlib.suppress(StepvizError, OSError):
        return str(look(plain(spec)).weights_stamp)
    return ""


def _light(spec: str) -> bool:
    """Whether a second model beside it costs next to nothing; what is not on this machine yet may be any size."""
    kind = spec.partition(":")[0]
    if kind in ("openai", "vllm"):  # a server holds nothing here; vLLM takes its share of the device, however small
        return kind == "openai"
    try:
        return (look(plain(spec)).parameters or LIGHT + 1) <= LIGHT
    except StepvizError:
        return False


def _lives(process: int | None) -> bool:
    if process is None:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m stepviz.worker", description=__doc__)
    parser.add_argument("--db", help="the store's URL; default: STEPVIZ_DB, else stepviz.db")
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds without work after which it leaves")
    parser.add_argument("--parent", type=int, help="a process for whose life it stays")
    parser.add_argument("--warm", metavar="SPEC", help="an engine to load at once")
    parser.add_argument("--device", help="where to load it")
    parser.add_argument("--tokenizer", help="its tokenizer, where it brings none")
    options: Any = parser.parse_args(arguments)
    with open_store(options.db) as store, worker_lock(store) as held:
        if not held:
            return
        os.nice(5)
        cores = len(os.sched_getaffinity(0))
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores - 1)))  # read when torch is loaded
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        worker = Worker(store)
        if options.warm:
            with contextlib.suppress(StepvizError):  # the run that needs it will say what is wrong
                worker.engine(engines.canonical(options.warm), options.device, options.tokenizer)
        worker.serve(options.idle, options.parent)


if __name__ == "__main__":
    main()
