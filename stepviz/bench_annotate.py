"""`bench annotate`: people who label over HTTP, a label a second each, while a long measurement runs beside them.

The app is `app.py` as people start it, with accounts; the measurement is a run of its own worker with the embedded
student. Told are the times of requests, and whether every label that was acknowledged is in the store, once.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from db.store import Store, open_store
from stepviz import jobs
from stepviz.bench_annotate_check import Found, compare
from stepviz.bench_annotate_people import Diary, work
from stepviz.bench_annotate_store import PEOPLE, Prepared, prepare
from stepviz.bench_app import Running, app
from stepviz.errors import StepvizError
from stepviz.results import Rows
from stepviz.worker_process import last_words, log_file

AIMS = {"label": 50.0, "next": 200.0}  # ms, the 95th percentile
MEASURED, DRAWS = 2000, 200  # chains of the run beside, and draws a prefix: hours of it
BEGINS_S = 300.0  # until it draws: the worker loads its model first
LOCKED = "database is locked"


@dataclass(frozen=True, slots=True)
class Beside:
    """The run that measured meanwhile: how much of it was done in the time, and whether it ran all along."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    running: bool


def tables(
    annotators: int = 20,
    seconds: float = 120.0,
    steps: int = 1_000_000,
    db: str | None = None,
    engine: str = "embedded",
) -> dict[str, Rows]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with open_store(db or f"sqlite:///{folder}/bench.db") as store:
            made = prepare(store, annotators, steps)
            with app(store.url, folder, "--engine", engine) as running, measuring(store, made, engine) as run:
                before = Machine.now(running), store.run(run).progress
                diaries = work(running.url, made.study, made.accounts, seconds)
                after, now = Machine.now(running), store.run(run)
            log = running.said() + _read(log_file(store))
            beside = Beside(before[1], now.progress, now.state == "running")
            return told(store, made, diaries, log, beside, after.since(before[0]))


@contextmanager
def measuring(store: Store, made: Prepared, engine: str) -> Iterator[int]:
    """A run that draws while this lasts, and is cancelled then. StepvizError where it does not begin."""
    spec = {"chains": list(made.chains[:MEASURED]), "n": DRAWS, "engine": engine}
    run = jobs.start(store, "measure", spec, worker=False)
    until = time.monotonic() + BEGINS_S
    while not store.run(run).progress.get("done"):
        state = store.run(run).state
        if time.monotonic() > until or state not in ("queued", "running"):
            raise StepvizError(f"the measurement beside does not begin ({state}): {last_words(store)}")
        time.sleep(0.2)
    try:
        yield run
    finally:
        jobs.cancel(store, run)


@dataclass(frozen=True, slots=True)
class Machine:
    """At a moment: the load of a minute, and processor seconds so far of the app, of its worker and of the people."""

    at: float
    load: float
    app: float
    worker: float
    people: float

    @classmethod
    def now(cls, running: Running) -> Machine:
        own = psutil.Process().cpu_times()
        return cls(time.monotonic(), os.getloadavg()[0], *running.cpu_s(), own.user + own.system)

    def since(self, before: Machine) -> dict[str, Any]:
        """Of a core, each; and the load before and at the end."""
        lasted = self.at - before.at
        shares = {name: (getattr(self, name) - getattr(before, name)) / lasted for name in ("app", "worker", "people")}
        return {
            "cores": os.cpu_count(),
            "load before": round(before.load, 2),
            "load at the end": round(self.load, 2),
            **{f"of a core, {name}": round(share, 2) for name, share in shares.items()},
        }


def told(
    store: Store, made: Prepared, diaries: Sequence[Diary], log: str, beside: Beside, machine: Mapping[str, Any]
) -> dict[str, Rows]:
    found = compare(store, made.study, PEOPLE, diaries)
    troubles = [{"who": diary.name, "trouble": trouble} for diary in diaries for trouble in diary.troubles]
    timed = requests(diaries)
    stats = store.stats()
    shown = {name: stats[name] for name in ("steps", "chains", "problems", "annotations")}
    drawn = {name: int(beside.after.get(name, 0)) - int(beside.before.get(name, 0)) for name in ("done", "tokens")}
    found_tables: dict[str, Rows] = {
        "aims": aims(timed, found, diaries, log, beside),
        "requests": timed,
        "labels in the store against those that were acknowledged": [found.row()],
        "the store": [{"database": store.engine.dialect.name, **shown, "seconds to fill": round(made.seconds, 1)}],
        "the measurement beside": [
            {"ran all along": beside.running, "continuations": drawn["done"], "tokens": drawn["tokens"]}
        ],
        "the machine": [dict(machine)],
    }
    return found_tables | ({"troubles": troubles[:20]} if troubles else {})


def requests(diaries: Sequence[Diary]) -> list[dict[str, Any]]:
    """Milliseconds as who asks sees them, a row a kind."""
    rows = []
    for name in ("label", "next", "submit", "sign in"):
        ms = [x for diary in diaries for x in diary.ms.get(name, [])]
        if ms:
            p50, p95, p99 = np.percentile(ms, (50, 95, 99))
            row = {"request": name, "number": len(ms), "p50, ms": p50, "p95, ms": p95, "p99, ms": p99, "most": max(ms)}
            rows.append({key: round(float(x), 1) if isinstance(x, float) else x for key, x in row.items()})
    return rows


def aims(
    timed: Sequence[Mapping[str, Any]], found: Found, diaries: Sequence[Diary], log: str, beside: Beside
) -> list[dict[str, Any]]:
    """Each with what was found, and whether it is met."""
    p95 = {row["request"]: row["p95, ms"] for row in timed}
    rows = [
        {"aim": f"{name}, p95 in ms", "found": p95.get(name), "at most": most, "met": p95.get(name, most + 1) < most}
        for name, most in AIMS.items()
    ]
    none = {
        "labels lost, doubled or never sent, turns of others, items over their people": found.mistakes,
        "requests refused, or without an answer": sum(len(diary.troubles) for diary in diaries),
        f'"{LOCKED}" in the logs of app and worker': log.count(LOCKED),
        "tracebacks in them": log.count("Traceback"),
        "seconds in which the measurement was not running": 0 if beside.running else None,
    }
    return rows + [{"aim": name, "found": n, "at most": 0, "met": n == 0} for name, n in none.items()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
