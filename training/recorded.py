"""A training's own side of its Run: it keeps the row alive, writes how far it is, hears of a cancel, says how it ended.

Started by the trainer (stepviz.trainer) the run is there already and named in STEPVIZ_RUN; started by hand the
training makes one, so that the app shows it, or goes on with the interrupted run of the same command.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import RunRow, RunState
from stepviz import train_job, train_left
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.trainings import named
from training.watching import Cancelled, Watch

LEASE_S = 20.0
BEAT_S = 0.7
GRACE_S = 1.0  # a training that does not come to a step's end (it loads or compiles) is ended at once
KEPT = ("done", "total", "steps", "losses", "loss", "round", "rounds", "of_rounds", "notes")  # when it goes on
TOLD = ("note", "loss", "tokens", "tokens_per_s", "eta_s", "round", "rounds", "of_rounds")  # … of a report's row
POINTS = 240  # of the loss curve in the row
TOO_LATE = "the cancel came when the model was made: it is kept"
STOPPED = "it was stopped by Ctrl-C: resume, or the same command, goes on from its last checkpoint"
UNRECORDED = "the model is made, and was not put on record yet: resume does that"


class Recorded:
    """`with Recorded(store, spec) as record:` around the training; what it raises decides how the run ends."""

    def __init__(self, store: Store, spec: Mapping[str, Any], keep_every_s: float | None = None) -> None:
        self.store, self.spec = store, spec
        self.run, self.worker = _run_of(store, spec)
        self.role = named(spec["recipe"]).makes(spec["options"])
        self.state = "running"
        self.out, self.partial = Path(spec["out"]), train_left.partial(Path(spec["out"]))
        self.cancel, self.ended = threading.Event(), threading.Event()
        self.last, self.whole = threading.Lock(), False  # whole: the model has its name, a cancel comes too late
        before = {k: v for k, v in self.run.progress.items() if k in KEPT}
        self.progress: dict[str, Any] = {**before, "note": "starting", "unit": "steps"}
        self.spent = Spent.of(self.run.progress)
        self.watch = Watch(self.tell, self.cancel.is_set, keep_every_s)
        self.beat = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Recorded:
        self.beat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        """A cancel ends here; all else goes on to whoever called. A checkpoint outlives a failure, and Ctrl-C."""
        self.ended.set()
        self.beat.join()
        stopped = isinstance(error, KeyboardInterrupt)
        if error is None:
            self._finish("done")
        elif not self.whole and (isinstance(error, Cancelled) or (stopped and not train_left.keeps(self.partial))):
            self._clear()
            self._finish("cancelled")
        elif stopped and not self.whole:
            self._finish("failed", STOPPED)
        else:
            if not isinstance(error, StepvizError | KeyboardInterrupt):
                self.store.log(self.run.id, *"".join(traceback.format_exception(error)).splitlines())
            if not train_left.keeps(self.partial):
                self._clear()
            self._finish("failed", f"{UNRECORDED} ({said(error)})" if self.whole else said(error))
        return isinstance(error, Cancelled)

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        """Around the moment in which the model gets its name: the last one for a cancel is before it."""
        with self.last:
            self.watch.stop_if_asked()
            yield
            self.whole = True

    def finished(self) -> dict[str, Any] | None:
        """training.json of a model that this run made before it was killed, just short of the model's record."""
        if not train_left.finished_by(self.out, self.run.id):
            return None
        self.whole = True
        return json.loads((self.out / "training.json").read_text(encoding="utf-8"))

    def about(self) -> dict[str, Any]:
        """For training.json: the run, where it ran, and how large the model is."""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        return {"run": self.run.id, "device": device, "parameters": look(str(self.partial)).parameters}

    def tell(self, row: Mapping[str, Any]) -> None:
        """A row of the trainer's report: a line of JSON, and for the next heartbeat. Another thread reads it there.

        {"step", "of", …} of a training, {"draws", "of", …} of a sampling, {"note", …} of a new stage, {"warning"} of
        what went otherwise than was asked for.
        """
        print(json.dumps(row), flush=True)
        self.spent.hear(row)
        if "warning" in row:
            self.store.log(self.run.id, row["warning"])
            self.progress = {**self.progress, "notes": [*self.progress.get("notes", []), row["warning"]]}
        told = {k: row[k] for k in TOLD if k in row}
        if "step" in row:
            told |= {"note": row.get("note", ""), "done": row["step"], "total": row["of"], "unit": "steps"}
            told |= {"steps": row["of"], "losses": self._losses(row)}
        elif "draws" in row:
            told |= {"done": row["draws"], "total": row["of"], "unit": "draws"}
        elif "note" in row:
            told = {"done": 0, "total": None, "tokens_per_s": None, "eta_s": None, **told}
        self.progress = {**self.progress, **told}

    def _losses(self, row: Mapping[str, Any]) -> list[list[float]]:
        losses = self.progress.get("losses", [])
        if "loss" not in row:
            return losses
        before = [point for point in losses if point[0] < row["step"]]  # it may go on from an earlier checkpoint
        return thinned([*before, [row["step"], row["loss"]]])

    def note(self, text: str, **more: Any) -> None:
        self.progress = {**self.progress, "note": text, **more}

    def _told(self) -> dict[str, Any]:
        """What the run's row says of it."""
        return {**self.progress, "spent": self.spent.told()}

    def _beat(self) -> None:
        asked = 0.0
        while not self.ended.wait(BEAT_S):
            with contextlib.suppress(Exception):  # a database that is busy for a while: the next beat will do
                if self.store.heartbeat(self.run.id, self.worker, self._told(), LEASE_S):
                    asked = asked or time.monotonic()
                    self.cancel.set()
            if asked and time.monotonic() - asked > GRACE_S:
                self._leave()

    def _leave(self) -> None:
        """Ends this process from beside a main thread that hears nothing; no half model stays, a whole one does."""
        if self.last.acquire(blocking=False):
            try:
                if not self.whole and not self.ended.is_set():
                    with contextlib.suppress(Exception):  # what it cannot write down, the trainer or the lease will
                        self._clear()
                        self._finish("cancelled")
                    os._exit(1)
            finally:
                self.last.release()

    def _clear(self) -> None:
        """Removes what it has worked on, unless another process has taken the run up meanwhile."""
        run = self.store.run(self.run.id)
        if run.worker == self.worker or run.state == "cancelled":
            train_left.clear(self.spec)

    def _finish(self, state: RunState, error: str | None = None) -> None:
        self.state = state
        asked = self.store.heartbeat(self.run.id, self.worker, self._told(), LEASE_S) or self.cancel.is_set()
        if state == "done" and asked:
            self.note(TOO_LATE)
            self.store.heartbeat(self.run.id, self.worker, self._told(), LEASE_S)
        self.store.finish_run(self.run.id, state, error, worker=self.worker)


@dataclass
class Spent:
    """What a run has cost over all of its lives: tokens trained on, what a kill had it learn again included, tokens
    sampled, seconds. As of the last report before a kill."""

    trained: int = 0
    sampled: int = 0
    worked: float = 0.0  # before this life
    began: float = field(default_factory=time.monotonic)
    last: dict[str, int] = field(default_factory=dict)  # told by the stage at work

    @classmethod
    def of(cls, progress: Mapping[str, Any]) -> Spent:
        before = progress.get("spent") or {}
        numbers = (int(before.get(name, 0)) for name in ("trained", "sampled"))
        return cls(*numbers, worked=float(before.get("seconds", 0.0)))

    def hear(self, row: Mapping[str, Any]) -> None:
        """A stage tells how much it has done; the next one begins anew."""
        told = {"trained": row.get("trained"), "sampled": row.get("tokens") if "draws" in row else None}
        for name, tokens in told.items():
            if tokens is not None:
                before = self.last.get(name, 0)
                more = tokens - before if tokens >= before else tokens
                setattr(self, name, getattr(self, name) + more)
                self.last[name] = tokens

    def told(self) -> dict[str, Any]:
        seconds = round(self.worked + time.monotonic() - self.began, 1)
        return {"trained": self.trained, "sampled": self.sampled, "seconds": seconds}


def said(error: BaseException) -> str:
    """An exception for people."""
    name, text = type(error).__name__, str(error)
    if isinstance(error, StepvizError):
        return text
    if name == "OutOfMemoryError" or isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f"out of memory: take a smaller batch, shorter blocks or a smaller base model ({text.splitlines()[0]})"
    return f"{name}: {text}"


def thinned(losses: list[list[float]]) -> list[list[float]]:
    """At most POINTS: every second one goes when there are more, the newest stays."""
    return losses if len(losses) <= POINTS else [*losses[:-1:2], losses[-1]]


def _run_of(store: Store, spec: Mapping[str, Any]) -> tuple[RunRow, str]:
    """(the run, the name that its lease is held under)."""
    given = os.environ.get("STEPVIZ_RUN", "")
    if given:
        number, _, worker = given.partition(" ")
        run = store.run(int(number))
        assert run.spec == spec, (run.spec, spec)  # the command says all that the run does
        try:
            train_job.check(store, spec, run.id)
        except StepvizError as mistake:
            store.finish_run(run.id, "failed", str(mistake), worker=worker)
            raise
        return run, worker
    worker = f"{os.uname().nodename}:by hand:{os.getpid()}:{uuid.uuid4().hex[:6]}"
    id, new = train_job.enter(store, spec, worker, LEASE_S * 3)
    if new:
        return store.run(id), worker
    if store.run(id).state != "queued":
        with contextlib.suppress(StepvizError):  # it runs: said below
            store.resume_run(id)
    run = store.claim_run(worker, LEASE_S, (train_job.KIND,), id)
    if run is None:
        raise StepvizError(f"the name {spec['name']} is being trained by run {id}, of the same settings: see Runs")
    return run, worker
