"""One worker process a store, and one trainer: each is who holds its lock; the lock ends with the process.

The lock is a file in the temporary directory, named after the store's URL and the user, held by flock; so it
says who works on this machine. Workers of other machines on one PostgreSQL do no harm: a run has one claimant.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from db.store import Store
from stepviz.types import digest

Warm = tuple[str, str | None, str | None]  # an engine's canonical spec, its device, its tokenizer
TRIES = 3  # starts that fail in a row before ensure_worker gives up

# The two processes that do runs: `python -m stepviz.worker` draws and scores, `python -m stepviz.trainer` trains.
Who = Literal["worker", "trainer"]

_children: dict[Path, list[subprocess.Popen[bytes]]] = {}  # the workers this process has started


def lock_file(store: Store, who: Who = "worker") -> Path:
    return Path(tempfile.gettempdir()) / f"stepviz-{os.getuid()}-{digest(who, store.url)}.lock"


def log_file(store: Store, who: Who = "worker") -> Path:
    return lock_file(store, who).with_suffix(".log")


def worker_alive(store: Store, who: Who = "worker") -> bool:
    """Whether some process holds the store's worker lock."""
    with _opened(store, who) as descriptor:
        return not _lock(descriptor, fcntl.LOCK_SH)


@contextlib.contextmanager
def worker_lock(store: Store, patience_s: float = 2.0, who: Who = "worker") -> Iterator[bool]:
    """True while this process is the worker; False where another one is. Waits out those who only look."""
    with _opened(store, who) as descriptor:
        deadline = time.monotonic() + patience_s
        while not (held := _lock(descriptor, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield held


def ensure_worker(store: Store, stay: bool = False, warm: Warm | None = None, who: Who = "worker") -> bool:
    """Starts a worker where none lives; False where it failed to start several times in a row.

    For the app: `stay` keeps it as long as this process lives, where else it leaves when it was idle for a
    while; `warm` names an engine that it loads at once.
    """
    children = _children.setdefault(lock_file(store, who), [])
    if worker_alive(store, who):
        children[:] = [child for child in children if child.poll() is None]
        return True
    if any(child.poll() is None for child in children):
        return True  # on its way
    children[:] = [child for child in children if child.returncode > 0]  # the others left, or were killed
    if len(children) >= TRIES:
        children.clear()
        return False
    children.append(_spawn(store, os.getpid() if stay else None, warm, who))
    return True


def last_words(store: Store, who: Who = "worker") -> str:
    """The end of the worker's log."""
    try:
        return log_file(store, who).read_text(errors="replace")[-1500:].strip() or "it left no message"
    except OSError:
        return "it left no message"


def _spawn(store: Store, parent: int | None, warm: Warm | None, who: Who) -> subprocess.Popen[bytes]:
    """The URL, which may hold a password, travels in the environment, where other users cannot read it."""
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
    command = [sys.executable, "-m", f"stepviz.{who}"]
    command += ["--parent", str(parent)] if parent else []
    if warm:
        spec, device, tokenizer = warm
        command += ["--warm", spec, *(["--device", device] if device else [])]
        command += ["--tokenizer", tokenizer] if tokenizer else []
    with log_file(store, who).open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": path, "STEPVIZ_DB": store.url},
            start_new_session=True,  # Ctrl-C in a terminal ends the command, which cancels its run; not the worker
        )


@contextlib.contextmanager
def _opened(store: Store, who: Who) -> Iterator[int]:
    descriptor = os.open(lock_file(store, who), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
