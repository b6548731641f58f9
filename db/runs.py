"""Runs: how the app, the command line and the worker speak to each other.

queued → running → done, failed or cancelled. A worker holds a run by a lease that each heartbeat renews; when
it runs out, the run reads as "interrupted", and resume_run queues it again.

A run is live while it waits, runs or is interrupted. Two that do the same are never live at once: join_run and
resume_run look and write under one lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from db.columns import now
from db.locks import lock_runs
from db.models import RunLogTable, RunTable
from db.rows import table
from db.session import Database
from db.values import RunRow, RunState
from stepviz.errors import StepvizError

LEASE_SECONDS = 15.0
MANY = " many"  # the end of a kind whose runs are over more than somebody's click
_ENDED = ("done", "failed", "cancelled")


class RunQueries(Database):
    def add_run(
        self, kind: str, spec: Mapping[str, Any], worker: str | None = None, lease_s: float = LEASE_SECONDS
    ) -> int:
        """Queue a job; gives its id. With `worker` it is that one's from the start, and runs."""
        with self.writing() as connection:
            return _add(connection, kind, spec, worker, lease_s)

    def join_run(
        self,
        kind: str,
        spec: Mapping[str, Any],
        worker: str | None = None,
        lease_s: float = LEASE_SECONDS,
        check: Callable[[Sequence[RunRow]], None] | None = None,
    ) -> tuple[int, bool]:
        """(the live run of this kind and spec, False); where there is none, (a new one as add_run makes it, True).

        Whoever asks at the same moment gets the same run. `check` sees the kind's live runs before a new one is made
        and may raise; it is short, since it holds the lock, and asks the store nothing.
        """
        with self.writing() as connection:
            lock_runs(connection)
            live = _live(connection, kind)
            same = next((run for run in live if run.spec == spec), None)
            if same is not None:
                return same.id, False
            if check is not None:
                check(live)
            return _add(connection, kind, spec, worker, lease_s), True

    def live_runs(self, kind: str) -> list[RunRow]:
        """Those of the kind that wait, run or were interrupted, oldest first."""
        with self.reading() as connection:
            return _live(connection, kind)

    def run(self, id: int) -> RunRow:
        """StepvizError for an unknown id."""
        with self.reading() as connection:
            return _read(_row(connection, id))

    def runs(
        self, limit: int = 100, kind: str | None = None, state: RunState | None = None, offset: int = 0
    ) -> list[RunRow]:
        """Newest first. kind: "sample" is also "sample many"."""
        query = select(RunTable.__table__).where(*_chosen(kind, state)).order_by(RunTable.id.desc())
        with self.reading() as connection:
            return [_read(row) for row in connection.execute(query.limit(limit).offset(offset))]

    def count_runs(self, kind: str | None = None, state: RunState | None = None) -> int:
        """How many `runs` would give without a limit."""
        query = select(func.count()).select_from(RunTable.__table__).where(*_chosen(kind, state))
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def run_kinds(self) -> list[str]:
        """Of all runs there are, in the alphabet's order."""
        query = select(RunTable.kind).distinct()
        with self.reading() as connection:
            return sorted({kind.removesuffix(MANY) for kind in connection.execute(query).scalars()})

    def claim_run(
        self, worker: str, lease_s: float = LEASE_SECONDS, kinds: Sequence[str] | None = None, id: int | None = None
    ) -> RunRow | None:
        """The oldest queued run (of these kinds, or the one with this id) becomes this worker's; None: none waits."""
        r = table(RunTable)
        oldest = select(r.c.id).where(r.c.state == "queued").order_by(r.c.id).limit(1)
        if kinds is not None:
            oldest = oldest.where(r.c.kind.in_(kinds))
        if id is not None:
            oldest = oldest.where(r.c.id == id)
        at = now()
        values = {"state": "running", "worker": worker, "lease_until": at + timedelta(seconds=lease_s), "error": None}
        with self.writing() as connection:
            id_ = connection.execute(oldest.with_for_update(skip_locked=True)).scalar()
            if id_ is None:
                return None
            started = _row(connection, id_).started_at or at
            connection.execute(update(r).where(r.c.id == id_).values(started_at=started, finished_at=None, **values))
            return _read(_row(connection, id_))

    def heartbeat(self, run_id: int, worker: str, progress: Mapping[str, Any], lease_s: float = LEASE_SECONDS) -> bool:
        """Renew the lease and note the progress; True: stop, since it was cancelled or is no longer yours."""
        r = table(RunTable)
        values = {"lease_until": now() + timedelta(seconds=lease_s), "progress": dict(progress)}
        mine = (r.c.id == run_id, r.c.worker == worker, r.c.state == "running")
        with self.writing() as connection:
            renewed = connection.execute(update(r).where(*mine).values(values).returning(r.c.cancel_requested))
            cancelled = renewed.scalar()
        return cancelled is None or cancelled

    def finish_run(self, run_id: int, state: RunState, error: str | None = None, worker: str | None = None) -> bool:
        """End a run as done, failed or cancelled. False, and nothing changes, where it is not `worker`'s any more."""
        assert state in _ENDED, state
        r = table(RunTable)
        query = update(r).where(r.c.id == run_id)
        if worker is not None:
            query = query.where(r.c.worker == worker, r.c.state == "running")
        values = {"state": state, "error": error, "finished_at": now(), "lease_until": None}
        with self.writing() as connection:
            return connection.execute(query.values(values)).rowcount > 0

    def request_cancel(self, run_id: int) -> None:
        """A running job hears of it with its next heartbeat; one that nobody works on is cancelled at once."""
        r = table(RunTable)
        with self.writing() as connection:
            state = _read(_row(connection, run_id, hold=True)).state
            if state == "running":
                values: dict[str, Any] = {"cancel_requested": True}
            elif state in ("queued", "interrupted"):
                values = {"cancel_requested": True, "state": "cancelled", "finished_at": now(), "lease_until": None}
            else:
                return
            connection.execute(update(r).where(r.c.id == run_id).values(values))

    def resume_run(self, run_id: int) -> None:
        """Queue it again: the job goes on where it was.

        StepvizError for one that runs, waits or is done, and where another run that is live does the same.
        """
        r = table(RunTable)
        with self.writing() as connection:
            lock_runs(connection)
            run = _read(_row(connection, run_id))
            if run.state not in ("interrupted", "failed", "cancelled"):
                raise StepvizError(f"Run {run_id} is {run.state}: only one that stopped can be resumed.")
            for other in _live(connection, run.kind):
                if other.id != run_id and other.spec == run.spec:
                    raise StepvizError(f"Run {other.id} does the same as run {run_id} and is {other.state}: see Runs.")
            values = {
                "state": "queued",
                "worker": None,
                "lease_until": None,
                "cancel_requested": False,
                "error": None,
                "finished_at": None,
            }
            connection.execute(update(r).where(r.c.id == run_id).values(values))

    def log(self, run_id: int, *lines: str) -> None:
        """Append lines; many at once are one transaction."""
        rows = [{"run_id": run_id, "at": now(), "line": line} for line in lines]
        if rows:
            with self.writing() as connection:
                connection.execute(insert(table(RunLogTable)), rows)

    def log_lines(self, run_id: int, after: int = 0) -> list[tuple[int, str]]:
        """(id, line) of the lines logged since the line with id `after`."""
        g = RunLogTable
        query = select(g.id, g.line).where(g.run_id == run_id, g.id > after).order_by(g.id)
        with self.reading() as connection:
            return [(id_, line) for id_, line in connection.execute(query)]


def _add(connection: Connection, kind: str, spec: Mapping[str, Any], worker: str | None, lease_s: float) -> int:
    at = now()
    row: dict[str, Any] = {
        "kind": kind,
        "spec": dict(spec),
        "state": "queued",
        "progress": {},
        "cancel_requested": False,
        "created_at": at,
    }
    if worker is not None:
        row |= {
            "state": "running",
            "worker": worker,
            "started_at": at,
            "lease_until": at + timedelta(seconds=lease_s),
        }
    return connection.execute(insert(table(RunTable)).values(row).returning(RunTable.id)).scalar_one()


def _chosen(kind: str | None, state: RunState | None) -> list[ColumnElement[bool]]:
    """What a run must be. One whose lease has run out is in no state of its own in the table."""
    r = RunTable
    found: list[ColumnElement[bool]] = []
    if kind is not None:
        found.append(r.kind.in_((kind, kind + MANY)))
    if state in ("running", "interrupted"):
        found += [r.state == "running", r.lease_until >= now() if state == "running" else r.lease_until < now()]
    elif state is not None:
        found.append(r.state == state)
    return found


def _live(connection: Connection, kind: str) -> list[RunRow]:
    r = table(RunTable)
    query = select(r).where(r.c.kind == kind, r.c.state.in_(("queued", "running"))).order_by(r.c.id)
    return [_read(row) for row in connection.execute(query)]


def _row(connection: Connection, id: int, hold: bool = False) -> Row[Any]:
    """hold: until the transaction ends nobody else changes it."""
    query = select(RunTable.__table__).where(RunTable.id == id)
    row = connection.execute(query.with_for_update() if hold else query).first()
    if row is None:
        raise StepvizError(f"There is no run {id}.")
    return row


def _read(row: Row[Any]) -> RunRow:
    state = row.state
    if state == "running" and row.lease_until < now():
        state = "interrupted"
    return RunRow(
        id=row.id,
        kind=row.kind,
        spec=row.spec,
        state=state,
        progress=row.progress,
        error=row.error,
        worker=row.worker,
        cancel_requested=row.cancel_requested,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lease_until=row.lease_until,
    )
