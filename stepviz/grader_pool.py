"""Worker processes for math-verify: kept warm, killed when they overrun, replaced at once; from any thread.

A plain `subprocess` and pipes instead of `multiprocessing`: it needs no guarded `__main__`, works inside daemonic
processes, threads and event loops, and nothing of the caller's state is copied into the worker. Each caller holds
one worker for its comparison, so killing that worker touches nobody else. math-verify's own timeouts are off: they
use SIGALRM, work in the main thread only, and turn into "different" elsewhere.

A comparison is limited by the processor time that it takes, which the kernel counts in the worker: on a machine that
is busy with training it only takes longer by the clock, and is judged all the same. The clock is a backstop, and for
those who cannot wait.

What a comparison gave is remembered, a timeout too (for a while): pages ask the same again with every poll.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Generic, TypeVar

from stepviz.hostile import too_hard
from stepviz.quantities import Equality

SECONDS = 1.0  # of processor time for one comparison in a warm worker; those of real answers take 0.15 at most
PATIENCE = 60.0  # seconds by the clock for the same: so little of a processor may be left for the worker
START_SECONDS = 60.0  # for the imports of a new worker, on a machine that is busy with training
UNSETTLED_SECONDS = 600.0  # how long a timeout is taken for the answer, before the pair is tried again
BUSY_SECONDS = 60.0  # the same where the machine may have been at fault
HEADER = struct.Struct(">I")

K = TypeVar("K")
V = TypeVar("V")


class Unsettled(Exception):
    """No verdict, for a reason that may not hold at another try (a timeout): remembered for `seconds` only."""

    def __init__(self, reason: str, seconds: float = UNSETTLED_SECONDS) -> None:
        super().__init__(reason)
        self.seconds = seconds


class OutOfTime(Exception):
    """The worker took all the processor time it was given, and the kernel ended it."""


class Worker:
    """One process and its pipes; used by one thread at a time."""

    def __init__(self) -> None:
        root = str(Path(__file__).parents[1])
        kept = {
            k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
        }
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stepviz.grader_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=os.sep,
            start_new_session=True,  # Ctrl-C ends the app, and with it the pipe; not the worker first
        )
        self.ready = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def warm(self) -> bool:
        """Whether the imports are done."""
        return self.ready or bool(select.select([self.process.stdout], [], [], 0)[0])

    def wait_ready(self) -> None:
        """Returns once the imports are done; TimeoutError or EOFError if that never happens."""
        if not self.ready:
            self._read(time.monotonic() + START_SECONDS)
            self.ready = True

    def ask(self, gold: str, answer: str, seconds: float, patience: float) -> Equality:
        """The worker's judgement; OutOfTime after `seconds` of its processor time.

        TimeoutError after `patience` seconds by the clock, EOFError if the process died.
        """
        self.wait_ready()
        body = json.dumps({"gold": gold, "answer": answer, "seconds": seconds, "patience": patience}).encode()
        try:
            self.process.stdin.write(HEADER.pack(len(body)) + body)
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise EOFError from error
        try:
            reply = self._read(time.monotonic() + patience)
        except EOFError:
            if self.process.wait() == -signal.SIGPROF:
                raise OutOfTime from None
            raise
        return Equality(reply["verdict"], reply["reason"])

    def _read(self, deadline: float) -> dict[str, str]:
        header = self._exactly(HEADER.size, deadline)
        return json.loads(self._exactly(HEADER.unpack(header)[0], deadline))

    def _exactly(self, count: int, deadline: float) -> bytes:
        data, descriptor = b"", self.process.stdout.fileno()
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise TimeoutError
            piece = os.read(descriptor, count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def kill(self) -> None:
        """Ends the process, closes its pipes, and leaves no zombie."""
        with contextlib.suppress(OSError):
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self.process.wait()


class GraderPool:
    """`size` comparisons at a time over `size` + 1 workers, the spare ready to step in; started when first needed.

    `compare` may be called from any thread, and blocks; from an event loop, call it through a thread.
    """

    def __init__(self, size: int = 2, seconds: float = SECONDS) -> None:
        self.size, self.seconds = size, seconds
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._closed = False

    def compare(self, gold: str, answer: str, patience: float = PATIENCE) -> Equality:
        """math-verify's judgement, within `patience` seconds by the clock once a worker is free.

        Unsettled if it needs too long or its process dies.
        """
        with self._slots:
            worker = self._take()
            healthy = False
            try:
                result = worker.ask(gold, answer, self.seconds, patience)
                healthy = True
            except OutOfTime:
                raise Unsettled(f"comparing took longer than {self.seconds:g} s of computing") from None
            except TimeoutError:
                raise Unsettled("the machine was too busy to compare them in time", BUSY_SECONDS) from None
            except EOFError:
                raise Unsettled("the process that compared them died (memory or a crash)") from None
            finally:
                self._put_back(worker, healthy)
            return result

    def warm_up(self) -> None:
        """Starts the workers and waits for their imports, so that the first comparison does not have to."""
        with self._slots:
            workers = [self._take() for _ in range(self.size)]
            for worker in workers:
                worker.wait_ready()
                self._put_back(worker, True)

    def close(self) -> None:
        """Ends all workers; comparisons that are under way or come later are unsettled."""
        with self._lock:
            self._closed = True
            workers, self._idle = [*self._idle, *self._busy], []
        for worker in workers:
            worker.kill()

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise Unsettled("the program is shutting down")
            for worker in [w for w in self._idle if not w.alive]:
                self._idle.remove(worker)
                worker.kill()
            while len(self._idle) + len(self._busy) <= self.size or not self._idle:
                self._idle.append(Worker())
            worker = max(self._idle, key=lambda w: w.warm)
            self._idle.remove(worker)
            self._busy.add(worker)
            return worker

    def _put_back(self, worker: Worker, healthy: bool) -> None:
        """A healthy worker is kept; any other is killed, and a successor's imports start while nobody waits."""
        if not healthy:
            worker.kill()
        with self._lock:
            self._busy.discard(worker)
            if not self._closed:
                self._idle.append(worker if healthy else Worker())


_shared: GraderPool | None = None
_shared_lock = threading.Lock()


def shared_pool() -> GraderPool:
    """The pool of this process, closed at exit; a forked child makes its own."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = GraderPool(size=min(8, max(2, (os.cpu_count() or 2) // 2)))
            atexit.register(_shared.close)
        return _shared


def _forget() -> None:
    """After a fork: the parent's pipes are not ours to use, nor its workers ours to kill."""
    global _shared, _shared_lock
    if _shared is not None:
        atexit.unregister(_shared.close)
    _shared, _shared_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


class Memory(Generic[K, V]):
    """At most `size` values, each for good or for some seconds; the oldest goes first.

    Callable from any thread: each method is one step on the dictionary, so that no lock can be held across a fork.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def get(self, key: K) -> V | None:
        value, until = self._kept.get(key, (None, 0.0))
        return value if time.monotonic() < until else None

    def keep(self, key: K, value: V, seconds: float = math.inf) -> None:
        self._kept[key] = (value, time.monotonic() + seconds)
        if len(self._kept) > self.size:
            self._kept.popitem(last=False)


_judged: Memory[tuple[str, str], Equality] = Memory(8192)


def remembered(gold: str, answer: str) -> Equality | None:
    """What `math_verify` said of this pair, if it still stands; never starts a comparison."""
    return _judged.get((gold, answer))


def math_verify(gold: str, answer: str, pool: GraderPool | None = None, patience: float = PATIENCE) -> Equality:
    """Whether two expressions are equal, by math-verify in a worker; "unknown" where the filters refuse them.

    Remembered where the shared pool judges; what it could not settle for a while only.
    """
    for side, text in (("gold answer", gold), ("answer", answer)):
        if problem := too_hard(text):
            return Equality("unknown", f"the {side} is not compared: {problem}")
    if pool is None and (known := remembered(gold, answer)):
        return known
    result, seconds = _compared(gold, answer, pool or shared_pool(), patience)
    if pool is None:
        _judged.keep((gold, answer), result, seconds)
    return result


def _compared(gold: str, answer: str, pool: GraderPool, patience: float) -> tuple[Equality, float]:
    """The judgement, and for how many seconds it holds."""
    try:
        return pool.compare(gold, answer, patience), math.inf
    except Unsettled as unsettled:
        return Equality("unknown", str(unsettled)), unsettled.seconds
