"""Runs as the pages show them, and the header's state of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from db.store import Store
from db.values import ChainRow, ProblemRow, RunRow
from stepviz import jobs, run_report
from stepviz.compare_address import link_of as compare_link
from stepviz.errors import StepvizError
from stepviz.types import Sampling
from stepviz.ui.address import Address
from stepviz.ui.rows import Head, RunLine
from stepviz.ui.workbench import Workbench
from stepviz.worker_process import ensure_worker, last_words, worker_alive

RECENT = 30  # runs looked at for a header
_LOOKED_AT = 200  # for a page's bar: clicks are let in while a long run works, and come after it
_QUIET = timedelta(minutes=10)  # after this what a run has left to say is found on Runs only
_KEPT = timedelta(days=1)  # the same for one that somebody may want to go on
_COUNTED = ("chains", "drafts", "problems")  # units that say themselves over how much a run is


def head_of(bench: Workbench, page: str) -> Head:
    """Read it before what the page shows: a run that ends in between is then asked for again, not shown forever."""
    runs = tuple(run_line(row) for row in _latest(bench.store, RECENT))
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
    """The run that works on what is open, first one that is of it alone; else the last that stopped there.

    Of each kind only the last one has something to say: a later one here has made what stopped before it moot. What
    runs elsewhere, or ended here while this one still worked, does not.
    """
    if problem is None:
        return None
    ids = {problem.id, chain.chain.id if chain else ""}
    mine = [row for row in _latest(bench.store, _LOOKED_AT) if ids & set(targets(row.spec))]
    active = [row for row in mine if row.state in ("queued", "running")]
    if active:
        return _at_work(min(active, key=lambda row: run_report.over(row.spec) != ""))
    stopped: dict[str, RunRow] = {}
    for row in sorted(mine, key=_ended, reverse=True):
        stopped.setdefault(row.kind.removesuffix(" many"), row)
    last = next(iter(stopped.values()), None)
    for row in stopped.values():
        if row.id not in bench.dismissed and _has_to_say(row, row is last):
            return replace(run_line(row), what=_what(row, chain))
    return None


def _latest(store: Store, most: int) -> list[RunRow]:
    """Newest first, and those that are at work though so many have begun since."""
    rows = store.runs(most)
    if len(rows) < most:
        return rows
    older = [*store.runs(most, state="queued"), *store.runs(most, state="running")]
    known = {row.id for row in rows}
    return rows + [row for row in older if row.id not in known]


def _ended(row: RunRow) -> tuple[datetime, int]:
    return row.finished_at or row.lease_until or row.created_at, row.id


def _has_to_say(row: RunRow, last: bool) -> bool:
    if row.state == "done" and not (last and row.progress.get("note")):
        return False
    return now() - _ended(row)[0] < (_KEPT if row.state in ("cancelled", "interrupted") else _QUIET)


def _at_work(row: RunRow) -> RunLine:
    """One that is over more than what is open says over how much."""
    over = run_report.over(row.spec)
    line = replace(run_line(row), over=over)
    if not over or (line.total and line.unit in _COUNTED):
        return line
    if line.total:
        return replace(line, unit=f"{line.unit} of {over}".strip())
    return replace(line, note=" · ".join(part for part in (over, line.note) if part))


def _what(row: RunRow, chain: ChainRow | None) -> str:
    """`chain 3 and 55 other chains`, `this problem`."""
    name, ids = run_report.scope_of(row.spec)
    on_chain = chain is not None and chain.chain.id in targets(row.spec)
    others = len(ids) - 1
    more = "" if others < 1 else f" and {others:,} other {name}{'' if others == 1 else 's'}"
    return (f"chain {chain.number}" if chain and on_chain else "this problem") + more


def stop(bench: Workbench, id: int, by_key: bool = False) -> str:
    """Cancels a run and says over how much it was. StepvizError where a key, which names nothing, would reach others:
    somebody may have started it elsewhere, and it shows up at each of its chains.
    """
    over = run_report.over(bench.store.run(id).spec)
    if by_key and over:
        raise StepvizError(f"This run is over {over}, and Esc stops what is of this page alone: its Cancel stops it.")
    jobs.cancel(bench.store, id)
    return f"Run {id}, over {over}, is asked to stop." if over else ""


def targets(spec: Mapping[str, Any]) -> list[str]:
    """Every problem and chain id that a run's settings name."""
    found: list[str] = []
    for value in spec.values():
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [v for v in value if isinstance(v, str)]
    return found


def run_line(
    row: RunRow,
    log: tuple[str, ...] = (),
    samplings: Mapping[str, Sampling] | None = None,
    about: tuple[str, str] = ("", ""),
) -> RunLine:
    """samplings: by id, to be spelled out; about: what the one chain or problem is called, and its address."""
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
        note=run_report.note_of(row) or str(_nothing_new(p) or next(reversed(p.get("notes") or []), "")),
        error=row.error or "",
        settings=run_report.settings_of(row, samplings or {}, about[0]),
        created=(row.started_at or row.created_at).astimezone().strftime("%d %b %H:%M"),
        took=took(row),
        log=log,
        link=link(row),
        tokens=run_report.cost_of(row).tokens,
        notes=tuple(map(str, p.get("notes") or ())),
        strategy=run_report.strategy_of(row),
        about=about,
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
    if run_report.has_nothing(row):
        return ""
    if row.kind.startswith("refine"):
        return f"/refine?run={row.id}"
    if row.kind == "compare":
        return compare_link(row.spec)
    if isinstance(made := row.progress.get("dataset"), int):
        return f"/datasets?dataset={made}"
    spec = row.spec
    if row.kind.startswith("score") and spec.get("chains"):
        return "/" + Address(chain=str(spec["chains"][0]), scorer=str(spec.get("model", ""))).query()
    name, ids = run_report.scope_of(spec)
    return f"/?{name}={ids[0]}" if len(ids) == 1 else ""


def now() -> datetime:
    return datetime.now(UTC)
