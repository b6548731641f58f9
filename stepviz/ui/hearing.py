"""What takes seconds, beside the pages: it is computed once in a thread, watched, and can be stopped.

A comparison takes seconds, and on a large store a minute; a page waits for a moment, shows how far it is, and asks
again. What came of it is kept as long as the store stays as it is. A thread is enough: the other pages go on answering
beside it, and a process would have to hand over all that it has read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from db.store import Store
from stepviz.errors import StepvizError

AT_ONCE = 2  # computations; more would take the processor from the pages
KEPT = 6  # results
FRESH_S = 1.0  # so long new scores may go unnoticed
STOPPED = "This was stopped before it was done."


class Stopped(StepvizError):
    """Somebody has pressed Stop."""


@dataclass
class Job:
    """One computation. done: chains read so far, of `total`."""

    future: Future[Any]
    began: float
    total: int
    done: int = 0
    stopped: bool = False

    def tick(self) -> None:
        self.done += 1
        if self.stopped:
            raise Stopped(STOPPED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A computation that is not done."""

    key: str
    done: int
    total: int
    seconds: float


@dataclass
class Hearing:
    """Of one store, for all pages. Keys name what is computed; the store's state is added to them here."""

    of: ReferenceType[Store]  # weak: what is kept goes with its store
    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))
    jobs: dict[Hashable, Job] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    scored: tuple[float, Hashable] = (float("-inf"), None)  # when it was looked at

    @property
    def store(self) -> Store:
        found = self.of()
        assert found is not None, "a page outlived its store"
        return found

    def ask(
        self,
        key: Hashable,
        compute: Callable[[Callable[[], None]], Any],
        total: int = 0,
        wait_s: float = 1.0,
        anew: bool = True,
    ) -> Any:
        """What compute(tick) gives, or how far it is after a moment: Waiting. What it raises is raised here.

        compute calls tick() now and then, which raises where somebody has stopped it. anew: then it begins again; a
        page that only watches must not do that, for it may have asked before it heard of the stop.
        """
        job = self._job((key, self.state()), compute, total, anew)
        try:
            return job.future.result(timeout=wait_s)
        except CancelledError:
            raise Stopped(STOPPED) from None
        except TimeoutError:
            return Waiting(name_of(key), job.done, job.total, time.monotonic() - job.began)

    def keep(self, key: Hashable, state: Hashable, value: Any) -> None:
        """What was computed on the way, of the store as it was."""
        future: Future[Any] = Future()
        future.set_result(value)
        with self.lock:
            self._put((key, state), Job(future, time.monotonic(), 0))

    def stop(self, name: str) -> None:
        """Every computation of this name (`Waiting.key`)."""
        with self.lock:
            jobs = [job for (key, _), job in self.jobs.items() if name_of(key) == name and not job.future.done()]
        for job in jobs:
            job.stopped = True
            job.future.cancel()  # one that waits for its turn

    def state(self) -> Hashable:
        """Changes with whatever a judge can speak of."""
        learnt = sum(len(model.meta.get("calibrations", ())) for model in self.store.models())
        submitted = tuple((study.id, study.submitted) for study in self.store.studies())
        return self.store.stamp(), self._scores(), learnt, submitted

    def _scores(self) -> Hashable:
        """Of a million steps this takes a third of a second, and a page that waits asks twice a second."""
        now = time.monotonic()
        if now - self.scored[0] > FRESH_S:
            self.scored = now, tuple(sorted(self.store.scored_steps().items()))
        return self.scored[1]

    def _job(self, key: tuple[Hashable, Hashable], compute: Callable[..., Any], total: int, anew: bool) -> Job:
        with self.lock:
            known = self.jobs.get(key)
            if known is None or (anew and _gone(known)):
                known = Job(Future(), time.monotonic(), total)
                # a daemon: an app that is ended waits for no computation
                threading.Thread(target=self._run, args=(known, compute), name="hearing", daemon=True).start()
            self._put(key, known)
            return known

    def _run(self, job: Job, compute: Callable[..., Any]) -> None:
        with self.turns:
            if not job.future.set_running_or_notify_cancel():  # stopped while it waited for its turn
                return
            try:
                job.future.set_result(compute(job.tick))
            except BaseException as error:  # whoever asked hears of it
                job.future.set_exception(error)

    def _put(self, key: Hashable, job: Job) -> None:
        """The last one asked for stands last."""
        self.jobs.pop(key, None)
        self.jobs[key] = job
        for old in [k for k, job in self.jobs.items() if job.future.done()][: max(0, len(self.jobs) - KEPT)]:
            del self.jobs[old]


def name_of(key: Hashable) -> str:
    """In a page's button: it is compared, never evaluated."""
    return str(key)[:1000]


def _gone(job: Job) -> bool:
    """Stopped, so that whoever asks now wants it anew."""
    return job.stopped or job.future.cancelled()


_OF: WeakKeyDictionary[Store, Hearing] = WeakKeyDictionary()
_MAKING = threading.Lock()


def hearing_of(store: Store) -> Hearing:
    with _MAKING:
        if store not in _OF:
            _OF[store] = Hearing(ref(store))
        return _OF[store]
