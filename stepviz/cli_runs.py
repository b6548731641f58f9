"""`run …`: what every long job has done, what it cost, where its results are; cancel and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from stepviz.cli_output import Db, Json, bar, emit
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from db.store import Store
    from db.values import RunRow

runs = typer.Typer(no_args_is_help=True, help="Long jobs: list, show, cancel, resume.")
_OURS = ("plan", "planned")  # of the progress: what a run remembers for itself


@runs.command("list")
def list_runs(
    db: Db = None,
    json: Json = False,
    limit: Annotated[int, typer.Option(min=1)] = 30,
    skip: Annotated[int, typer.Option(min=0, help="the newest so many are left out")] = 0,
    kind: Annotated[str | None, typer.Option(help="sample, measure, score, refine, compare, train, …")] = None,
    state: Annotated[str | None, typer.Option(help="queued, running, done, failed, cancelled, interrupted")] = None,
) -> None:
    """The latest jobs, newest first."""
    from db.store import open_store
    from db.values import RunState
    from stepviz.run_report import printable

    if state is not None and state not in get_args(RunState):
        raise StepvizError(f"no state {state!r}; there are: {', '.join(get_args(RunState))}")
    with open_store(db) as store:
        rows = store.runs(limit, kind, state, skip)  # type: ignore[arg-type]
    emit([_listed(row) for row in rows], json, lambda: printable("\n".join(map(_line, rows))))


@runs.command()
def show(id: int, db: Db = None, json: Json = False) -> None:
    """A job's settings, progress, cost, log, and where its results are in the app."""
    from db.store import open_store
    from stepviz.run_report import printable

    with open_store(db) as store:
        row = store.run(id)
        value, text = _shown(store, row), _told(store, row)
    emit(value, json, lambda: printable(text))


@runs.command()
def cancel(id: int, db: Db = None, json: Json = False) -> None:
    """Ask a job to stop; what it finished stays."""
    from db.store import open_store
    from stepviz import jobs

    with open_store(db) as store:
        before = store.run(id).state
        jobs.cancel(store, id)
        state = store.run(id).state
    if before in ("done", "failed", "cancelled"):
        ended = {"failed": "has failed", "cancelled": "is cancelled"}.get(before, "is done")
        said = f"run {id} {ended} already: there is nothing to stop"
    else:
        said = f"run {id} is cancelled" if state == "cancelled" else f"run {id} is asked to stop"
    emit({"run": id, "state": state}, json, lambda: said)


@runs.command()
def resume(id: int, db: Db = None, json: Json = False) -> None:
    """Let a stopped job go on where it was."""
    from db.store import open_store
    from stepviz import jobs

    with open_store(db) as store:
        jobs.resume(store, id)
    emit({"run": id, "state": "queued"}, json, lambda: f"run {id} is queued again")


def _listed(row: RunRow) -> dict[str, Any]:
    from dataclasses import asdict

    from stepviz.run_report import cost_of

    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "progress": {k: v for k, v in row.progress.items() if k not in _OURS},
        "error": row.error,
        "cost": asdict(cost_of(row)),
        "created_at": row.created_at.isoformat(),
    }


def _shown(store: Store, row: RunRow) -> dict[str, Any]:
    from dataclasses import asdict

    from stepviz.run_report import results_of

    results, more = results_of(store, row)
    times = {"started_at": row.started_at, "finished_at": row.finished_at}
    return {
        **_listed(row),
        **{name: at and at.isoformat() for name, at in times.items()},
        "settings": dict(row.spec),
        "results": [asdict(result) for result in results],
        "more_results": more,
        "log": [line for _, line in store.log_lines(row.id)],
    }


def _line(row: RunRow) -> str:
    from stepviz.run_report import cost_of, lasting, over, strategy_of

    cost = cost_of(row)
    spent = f"{cost.tokens:,} tokens" if cost.tokens else ""
    worked = lasting(cost.seconds) if cost.seconds is not None else ""
    said = row.error.splitlines()[0] if row.error else _far(row)
    said = " · ".join(part for part in (strategy_of(row), over(row.spec), said) if part)
    return f"{row.id:5} {_doing(row):10} {row.state:12} {spent:>18} {worked:>8}  {said}"


def _doing(row: RunRow) -> str:
    """In the app's words."""
    from stepviz.ui.render_chain import DOING

    return DOING.get(kind := row.kind.removesuffix(" many"), kind)


def _far(row: RunRow) -> str:
    """Its bar; of one that ended no speed and no time left, which were those of its last moment."""
    from stepviz.run_report import note_of

    past = () if row.state in ("queued", "running") else ("tokens_per_s", "eta_s")
    left = {name: value for name, value in row.progress.items() if name not in past}
    return bar({**left, "note": note_of(row)})


def _told(store: Store, row: RunRow) -> str:
    from stepviz.run_report import about_of, cost_of, lasting, results_of, settings_of

    cost, about = cost_of(row), getattr(about_of(store, row), "label", "")
    per_second = f"{cost.per_second:,.0f} tokens a second" if cost.per_second else ""
    at_work = f"{lasting(cost.seconds)} at work" if cost.seconds is not None else ""
    lines = [f"run {row.id} · {_doing(row)} · {row.state}", _far(row)]
    lines += [" · ".join(part for part in (cost.words(), per_second, at_work) if part)]
    lines += [str(row.error or ""), *map(str, row.progress.get("notes") or ())]
    results, more = results_of(store, row)
    settings = [f"  {name}: {value}" for name, value in settings_of(row, store.samplings(), about)]
    found = [f"  {result.label}: {result.address}" for result in results] + ([f"  and {more:,} more"] if more else [])
    log = [f"  {line}" for _, line in store.log_lines(row.id)]
    for title, part in (("settings", settings), ("results, in the app", found), ("log", log)):
        lines += [title, *part] if part else []
    return "\n".join(line for line in lines if line)
