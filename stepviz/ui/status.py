"""Runs as the pages show them, and the header's state of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from db.values import ChainRow, ProblemRow, RunRow
from stepviz import jobs, run_report
from stepviz.compare_address import link_of as compare_link
from stepviz.types import Sampling
from stepviz.ui.address import Address
from stepviz.ui.rows import Head, RunLine
from stepviz.ui.workbench import Workbench
from stepviz.worker_process import ensure_worker, last_words, worker_alive

RECENT = 30  # runs looked at for a header and a page's bar
_QUIET = timedelta(minutes=10)  # after this a stopped run is found on Runs only


def head_of(bench: Workbench, page: str) -> Head:
    """Read it before what the page shows: a run that ends in between is then asked for again, not shown forever."""
    runs = tuple(run_line(row) for row in bench.store.runs(RECENT))
    state, note = engine_state(bench, runs)
    kind, _, name = bench.engine.partition(":")
    name = Path(name).name if Path(name).is_absolute() else name or ("student" if bench.embedded else "")
    return Head(page, " · ".join(p for p in (kind, name, bench.device) if p), state, note, runs)


def engine_state(bench: Workbench, runs: tuple[RunLine, ...]) -> tuple[str, str]:
    """The header's dot and what it says. A run that waits while no worker lives gets one started."""
    waiting_to_train = any(run.state == "queued" and run.kind == jobs.TRAIN for run in runs)
    if waiting_to_train and not jobs.ensure(bench.store, jobs.TRAIN):
        return "bad", f"The trainer process does not start: {last_words(bench.store, 'trainer')}"
    runs = tuple(run for run in runs if run.kind != jobs.TRAIN)  # those are no work of the engine
    if any(run.state == "running" for run in runs):
        return "on", "at work"
    waiting = any(run.state == "queued" for run in runs)
    if waiting and not ensure_worker(bench.store, stay=True, warm=bench.warm):
        return "bad", f"The worker process does not start: {last_words(bench.store)}"
    return (
        ("on", "ready") if worker_alive(bench.store) else ("idle", "loads with the first run, in a process of its own")
    )


def run_here(bench: Workbench, problem: ProblemRow | None, chain: ChainRow | None) -> RunLine | None:
    """The run that works on what is open, else the last one that stopped there and was not dismissed.

    A cancelled one only until the next run begins, wherever: whoever cancelled it knows.
    """
    if problem is None:
        return None
    ids = {problem.id, chain.chain.id if chain else ""}
    runs = bench.store.runs(RECENT)
    mine = [row for row in runs if ids & set(targets(row.spec))]
    for row in mine:
        if row.state in ("queued", "running"):
            return run_line(row)
    if not mine or mine[0].id in bench.dismissed or (mine[0].state == "done" and not mine[0].progress.get("note")):
        return None
    if mine[0].state == "cancelled" and mine[0].id != runs[0].id:
        return None
    ended = mine[0].finished_at or mine[0].lease_until
    if ended is not None and now() - ended >= _QUIET:
        return None
    on_chain = chain is not None and chain.chain.id in targets(mine[0].spec)
    others = " and others" if len(mine[0].spec.get("chains") or ()) > 1 else ""
    what = f"chain {chain.number}{others}" if chain and on_chain else "this problem"
    return replace(run_line(mine[0]), what=what)


def targets(spec: Mapping[str, Any]) -> list[str]:
    """Every problem and chain id that a run's settings name."""
    found: list[str] = []
    for value in spec.values():
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [v for v in value if isinstance(v, str)]
    return found


def run_line(row: RunRow, log: tuple[str, ...] = (), samplings: Mapping[str, Sampling] | None = None) -> RunLine:
    """samplings: by id, to be spelled out."""
    p = row.progress
    return RunLine(
        id=row.id,
        kind=row.kind.removesuffix(" many"),
        state="cancelling" if row.state == "running" and row.cancel_requested else row.state,
        done=int(p.get("done") or 0),
        part=float(p.get("part") or 0),
        total=int(p["total"]) if p.get("total") else None,
        unit=str(p.get("unit") or ""),
        tokens_per_s=p.get("tokens_per_s"),
        eta_s=p.get("eta_s"),
        note=str(p.get("note") or _nothing_new(p) or next(reversed(p.get("notes") or []), "")),
        error=row.error or "",
        settings=run_report.settings_of(row, samplings or {}),
        created=(row.started_at or row.created_at).astimezone().strftime("%d %b %H:%M"),
        took=took(row),
        log=log,
        link=link(row),
        tokens=run_report.cost_of(row).tokens,
        notes=tuple(map(str, p.get("notes") or ())),
    )


def _nothing_new(p: Mapping[str, Any]) -> str:
    return f"nothing to draw, {p['there']:,} were there" if p.get("there") and p.get("total") == 0 else ""


def took(row: RunRow) -> str:
    """How long somebody was at work on it."""
    seconds = run_report.seconds_of(row)
    return "" if seconds is None else run_report.lasting(seconds)


def link(row: RunRow) -> str:
    """The address of a training, a refinement, the dataset a run built, the first chain it scores, what it is about."""
    if row.kind == jobs.TRAIN:
        return f"/train?run={row.id}"
    if row.kind.startswith("refine"):
        return f"/refine?run={row.id}"
    if row.kind == "compare":
        return compare_link(row.spec)
    if isinstance(made := row.progress.get("dataset"), int):
        return f"/datasets?dataset={made}"
    spec = row.spec
    if row.kind.startswith("score") and spec.get("chains"):
        return "/" + Address(chain=str(spec["chains"][0]), scorer=str(spec.get("model", ""))).query()
    for plural, name in (("chains", "chain"), ("problems", "problem")):
        ids = spec.get(plural) or ([spec[name]] if spec.get(name) else [])
        if isinstance(ids, list | tuple) and len(ids) == 1 and isinstance(ids[0], str):
            return f"/?{name}={ids[0]}"
    return ""


def now() -> datetime:
    return datetime.now(UTC)
