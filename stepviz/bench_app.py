"""The app as people start it, a process on a free port with a log of its own, for benchmarks and tests over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from stepviz.bench_server import end, free_port
from stepviz.errors import StepvizError

ROOT = Path(__file__).parents[1]
READY_S = 180.0  # on a busy machine; some ten seconds on two idle cores


@dataclass(frozen=True, slots=True)
class Running:
    """url: without a slash at its end; log: what the app says, on either stream; pid: of its process."""

    url: str
    log: Path
    pid: int

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def cpu_s(self) -> tuple[float, float]:
        """Processor time so far: of the app, and of what it started, which is the worker."""
        own = psutil.Process(self.pid)
        return _used(own), sum(_used(child) for child in own.children(recursive=True))


@contextmanager
def app(db: str, folder: Path, *words: str) -> Iterator[Running]:
    """`app.py` over this store, ended with its worker at the end; uploads go into the folder, too.

    words: of its command line. StepvizError with its last words where it does not come up.
    """
    port, log = free_port(), folder / "app.log"
    # the URL may hold a password: other users see a command line
    environment = {**os.environ, "STEPVIZ_DB": db, "GRADIO_TEMP_DIR": str(folder / "gradio"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), *words]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=environment)
    running = Running(f"http://127.0.0.1:{port}", log, process.pid)
    try:
        _wait(process, running)
        yield running
    finally:
        end(process.pid)
        process.wait()


def _wait(process: subprocess.Popen[bytes], running: Running) -> None:
    until = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < until:
        if "stepviz: ready" in running.said() and _answers(running.url):
            return
        time.sleep(0.2)
    raise StepvizError(f"the app did not come up: {running.said()[-1500:]}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/robots.txt", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _used(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:
        return 0.0
