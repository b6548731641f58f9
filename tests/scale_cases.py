"""vLLM's servers of the embedded student, and behind one URL those of docs/scale.md; `python -m tests.scale_cases`
prints what one and what two of them do a second. It runs where vLLM is installed.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from db.store import open_store
from stepviz import embedded
from stepviz.bench_server import READY_S, command, free_port, whole_prompts
from stepviz.engines.vllm_here import ANYWHERE

ROOT = Path(__file__).parents[1]
MANUAL = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
QUIET = ("--disable-log-stats", "--disable-uvicorn-access-log")
ENVIRONMENT = {**ANYWHERE, "OMP_NUM_THREADS": "1"}


class Program:
    """A process with all that it starts; what it writes goes to a file."""

    def __init__(self, command: Sequence[str | Path], log: Path, **environment: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=out, env=os.environ | environment, start_new_session=True
            )

    def wait_for(self, url: str) -> None:
        """Until the URL answers 200."""
        deadline = time.monotonic() + READY_S
        while not _answers(url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not come up:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.3)

    def kill(self) -> None:
        """With signal 9, all of it at once, as a machine that loses its power."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def cpu_s(self) -> float:
        """Processor time so far, of it and of what it started."""
        mine = psutil.Process(self.process.pid)
        return sum(sum(p.cpu_times()[:2]) for p in (mine, *mine.children(recursive=True)))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def server(folder: Path, port: int, core: int | None, *more: str) -> Iterator[Program]:
    """vLLM's server of the student, as "student", on one core of this machine where that is said; not ready yet."""
    pinned = () if core is None else ("taskset", "-c", str(core))
    options = ("--served-model-name", "student", *whole_prompts(), *QUIET, *more)
    whole = (*pinned, *command(embedded.path("student"), port, *options))
    program = Program(whole, folder / f"server-{port}.log", **ENVIRONMENT)
    try:
        yield program
    finally:
        program.kill()


def proxy_text(front: int, stats: int, ports: Sequence[int]) -> str:
    """The manual's haproxy.cfg, at ports that are free here."""
    found = re.search(r"```haproxy\n(.*?)```", MANUAL, re.S)
    assert found is not None, "docs/scale.md holds the proxy's configuration"
    text = found[1].replace("0.0.0.0:8000", f"127.0.0.1:{front}").replace("127.0.0.1:8404", f"127.0.0.1:{stats}")
    rest, servers = text.split("    server ", 1)
    assert len(servers.splitlines()) == 2, "two servers, and nothing after them"
    return rest + "".join(f"    server s{i} 127.0.0.1:{port}\n" for i, port in enumerate(ports))


class Proxy:
    """HAProxy as the manual sets it up, before these ports."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        front, self.stats = free_port(), free_port()
        self.url = f"http://127.0.0.1:{front}/v1"
        (folder / "haproxy.cfg").write_text(proxy_text(front, self.stats, ports))
        self.program = Program(["haproxy", "-db", "-f", folder / "haproxy.cfg"], folder / "haproxy.log")
        self.program.wait_for(f"http://127.0.0.1:{front}/health")

    def counts(self, column: str) -> list[int]:
        """What it counts of each server, by a name of its statistics."""
        return [int(row[column] or 0) for row in self._statistics() if re.fullmatch(r"s\d+", row["svname"])]

    def refused(self) -> int:
        """Answers of an error that it gave to who asked it."""
        return next(int(row["hrsp_5xx"]) for row in self._statistics() if row["svname"] == "FRONTEND")

    def _statistics(self) -> list[dict[str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stats}/;csv", timeout=10) as answer:
            return list(csv.DictReader(io.StringIO(answer.read().decode().removeprefix("# "))))


@contextmanager
def proxy(folder: Path, ports: Sequence[int]) -> Iterator[Proxy]:
    made = Proxy(folder, ports)
    try:
        yield made
    finally:
        made.program.kill()


@contextmanager
def servers(folder: Path, cores: Sequence[int | None]) -> Iterator[list[tuple[Program, int]]]:
    """A server on each of these cores, ready, with its port."""
    with ExitStack() as stack:
        ports = [free_port() for _ in cores]
        begun = [stack.enter_context(server(folder, port, core)) for port, core in zip(ports, cores, strict=True)]
        for one, port in zip(begun, ports, strict=True):
            one.wait_for(f"http://127.0.0.1:{port}/health")
        yield list(zip(begun, ports, strict=True))


class Measuring:
    """`python -m stepviz measure` with a worker of its own, which leaves soon after."""

    def __init__(self, db: Path, url: str, limit: int, k: int = 8) -> None:
        self.db = db
        stepviz = (sys.executable, "-m")
        where = ("--db", f"sqlite:///{db}")
        self.worker = Program([*stepviz, "stepviz.worker", *where, "--idle", "20"], db.with_suffix(".worker.log"))
        self.drawing_s = 0.0  # processor time of the worker, from the first draws to the end
        words = ("--source", "embedded", "--split", "test", "--limit", str(limit), "--k", str(k), "--json")
        command = [*stepviz, "stepviz", "measure", *where, *words, "--engine", f"openai:{url}#student"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def _drawn(self) -> bool:
        with open_store(f"sqlite:///{self.db}") as store:
            return any(run.progress.get("done") for run in store.runs(1, "measure many"))

    def end(self) -> Mapping[str, Any]:
        """What it prints. RuntimeError where it fails."""
        try:
            while not self._drawn() and self.process.poll() is None:
                time.sleep(0.1)
            begun = self.worker.cpu_s()
            out, err = self.process.communicate(timeout=600)
            self.drawing_s = self.worker.cpu_s() - begun
        finally:
            self.process.kill()
            self.worker.kill()
        if self.process.returncode:
            raise RuntimeError(err)
        return json.loads(out)


def stored_chains(db: Path, problems: int, n: int = 4) -> None:
    """A store with embedded test problems and chains of the student, by our own engine."""
    stepviz, where = (sys.executable, "-m"), ("--db", f"sqlite:///{db}")
    words = ("--source", "embedded", "--split", "test", "--limit", str(problems), "--n", str(n))
    worker = Program([*stepviz, "stepviz.worker", *where, "--idle", "20"], db.with_suffix(".log"))
    try:
        subprocess.run([*stepviz, "stepviz", "sample", *where, *words], cwd=ROOT, check=True, capture_output=True)
    finally:
        worker.kill()


class Rates:
    """One server on core 0, and two, one on each core: tokens a second, in turns."""

    def __init__(self, folder: Path, rounds: int, limit: int) -> None:
        self.folder, self.limit, self.found = folder, limit, {"one": [], "two": []}
        stored_chains(folder / "chains.db", problems=max(limit // 3, 2))
        with servers(folder, (0, 1)) as both, proxy(folder, [port for _, port in both]) as before:
            self.servers = [program for program, _ in both]
            urls = {"one": f"http://127.0.0.1:{both[0][1]}/v1", "two": before.url}
            for which in ("one", "two"):
                self.measure(f"warm-{which}", urls[which], 4)
            for turn in range(rounds):
                for which in ("one", "two"):
                    self.found[which].append(self.measure(f"{which}-{turn}", urls[which], limit))

    def measure(self, name: str, url: str, limit: int) -> float:
        db = self.folder / f"{name}.db"
        shutil.copy(self.folder / "chains.db", db)
        before = [server.cpu_s() for server in self.servers]
        measuring = Measuring(db, url, limit)
        ended = measuring.end()
        rate = ended["tokens_per_s"]
        seconds = ended["tokens"] / rate
        busy = [server.cpu_s() - b for server, b in zip(self.servers, before, strict=True)]
        cores = ", ".join(f"{s / seconds:.2f}" for s in (*busy, measuring.drawing_s))
        print(
            f"{name}: {ended['done']} continuations, {ended['tokens']} tokens, {rate} a second; of a core the first "
            f"server, the second and who asks had {cores}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        return rate


def main(rounds: int = 3, limit: int = 24) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = Rates(Path(folder), rounds, limit).found
    one, two = (statistics.median(found[which]) for which in ("one", "two"))
    times = statistics.median(b / a for a, b in zip(found["one"], found["two"], strict=True))  # turn against turn
    print(f"medians of {rounds} turns: one server {one:.0f} tokens a second, two {two:.0f}, {times:.2f} times as many")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
