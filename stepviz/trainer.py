"""The trainer: starts each queued training as a process of its own, and says why one died. `python -m stepviz.trainer`.

Why not the worker: a training takes hours, and the worker is what answers clicks, one run at a time. So trainings
have a queue beside it, and this small process (no torch, no model) does nothing but start `python -m training …`
and watch it. The training itself keeps its Run row alive and hears of a cancel (training.recorded): should this
process die, or the app, it goes on. Should the training die (kill -9, out of memory, a crash in a library), this
one marks the run failed, with the last lines of what it printed; should both die, the lease runs out, and the run
reads as interrupted. Either way it can be resumed, from its last checkpoint.

One training at a time on one machine, those started by hand included: two would share one memory and half the speed
each. A training yields to the worker (a higher nice value), so that Explore stays quick.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from db.store import Store, open_store
from db.values import RunRow
from stepviz import train_job, train_left
from stepviz.worker_process import lock_file, worker_lock

START_S = 180.0  # the lease while a training starts: it loads libraries before its first heartbeat
IDLE_S = 30.0
POLL_S = 0.2
GRACE_S = 8.0  # a training that has not ended so long after a cancel is killed
RECORD_S = 300.0  # … whose model is made, and which only puts it on record
NICE = 10
TAIL = 1500  # characters of a log
OUT_OF_MEMORY = ("OutOfMemoryError", "out of memory", "can't allocate memory", "MemoryError")


class Trainer:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = f"{os.uname().nodename}:trainer:{os.getpid()}:{uuid.uuid4().hex[:6]}"

    def serve(self, idle_s: float) -> None:
        """Until nothing was asked for idle_s."""
        last = time.monotonic()
        while time.monotonic() - last < idle_s:
            if self.run_next():
                last = time.monotonic()
            else:
                last = time.monotonic() if self._another() else last
                time.sleep(POLL_S)

    def run_next(self) -> bool:
        """Does the oldest training that waits; False where none does, or where one is at work already."""
        run = None if self._another() else self.store.claim_run(self.name, START_S, (train_job.KIND,))
        if run is not None:
            self._do(run)
        return run is not None

    def _another(self) -> bool:
        """Whether a training runs on this machine that was started by hand, or by a trainer before this one."""
        here = f"{os.uname().nodename}:"
        runs = self.store.runs(100, train_job.KIND)
        return any(r.state == "running" and r.worker != self.name and (r.worker or "").startswith(here) for r in runs)

    def _do(self, run: RunRow) -> None:
        root = str(Path(__file__).parents[1])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        told = {"PYTHONPATH": path, "STEPVIZ_DB": self.store.url, "STEPVIZ_RUN": f"{run.id} {self.name}"}
        with log_file(self.store).open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "training", *train_job.words(run.spec)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TOKENIZERS_PARALLELISM": "false", **told},
                start_new_session=True,
                preexec_fn=_yield_to_others,
            )
        self._watch(run, child)
        self._end(run, child.returncode)

    def _watch(self, claimed: RunRow, child: subprocess.Popen[bytes]) -> None:
        cancelled: float | None = None
        while child.poll() is None:
            time.sleep(POLL_S)
            run = self.store.run(claimed.id)
            if run.cancel_requested or run.worker != self.name:
                cancelled = cancelled or time.monotonic()
                made = train_left.finished_by(Path(run.spec["out"]), run.id)
                heard = run.progress != claimed.progress  # else it still reads its code, and hears of nothing
                patience = RECORD_S if made else GRACE_S if heard else 0.0
                if time.monotonic() - cancelled > patience:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()

    def _end(self, run: RunRow, code: int) -> None:
        """What the training itself could not write down any more."""
        now = self.store.run(run.id)
        if now.worker != self.name or now.state not in ("running", "interrupted"):
            return
        made = train_left.finished_by(Path(run.spec["out"]), run.id)
        if now.cancel_requested and not made:
            train_left.clear(run.spec)
            self.store.finish_run(run.id, "cancelled", worker=self.name)
            return
        said = last_lines(self.store)
        if said:
            self.store.log(run.id, *said.splitlines())
        self.store.finish_run(run.id, "failed", died(code, said, made, train_left.can_go_on(run)), worker=self.name)


def died(code: int, said: str, made: bool = False, kept: bool = True) -> str:
    """Why a training ended without a word in its row, for people. made: only the record of its model is missing."""
    last = said.splitlines()[-1] if said else ""
    if code == 1 and last.startswith("training: "):
        return last.removeprefix("training: ")
    if any(sign in said for sign in OUT_OF_MEMORY):
        why = "the training ran out of memory: take a smaller batch, shorter blocks or a smaller base model"
    elif code == -signal.SIGKILL:
        why = (
            "the training was killed (signal 9), as the system does when memory runs out: a smaller batch, shorter "
            "blocks or a smaller base model need less"
        )
    elif code < 0:
        why = f"the training was ended by signal {-code} ({signal.Signals(-code).name})"
    else:
        why = f"the training ended with code {code} and without a result"
    tail = "\n".join(said.splitlines()[-6:])
    if made:
        then = "Its model is made, and resume puts it on record."
    else:
        then = "Resume goes on from its last checkpoint." if kept else "No checkpoint was kept: resume begins anew."
    return f"{why}. {then}" + (f"\nIts last lines:\n{tail}" if tail else "")


def log_file(store: Store) -> Path:
    """What the last training of this store printed."""
    return lock_file(store, "trainer").with_suffix(".training.log")


def last_lines(store: Store) -> str:
    try:
        return log_file(store).read_text(errors="replace")[-TAIL:].strip()
    except OSError:
        return ""


def _yield_to_others() -> None:
    os.nice(NICE)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m stepviz.trainer", description=__doc__)
    parser.add_argument("--db", help="the store's URL; default: STEPVIZ_DB, else stepviz.db")
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds without work after which it leaves")
    options: Any = parser.parse_args(arguments)
    with open_store(options.db) as store, worker_lock(store, who="trainer") as held:
        if held:
            Trainer(store).serve(options.idle)


if __name__ == "__main__":
    main()
