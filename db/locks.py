"""Row locks, for PostgreSQL; on SQLite a writer is alone anyway.

The cached columns of a problem and of its chains are read and written again, so whoever adds chains or labels
holds the problems first, in the order of their ids: then no two writers wait for each other in a circle, and
none counts without what another has just added.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select, text

from db.models import ChainTable, ProblemTable
from db.rows import chunks

IMPORTS = 7_301_559  # advisory locks: any numbers of our own, always the same
RUNS = 7_301_560
DATASETS = 7_301_561
PEOPLE = 7_301_562


def lock_imports(connection: Connection) -> None:
    """One import at a time: two that bring the same new problems in another order would block each other."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": IMPORTS})


def lock_runs(connection: Connection) -> None:
    """One at a time looks which runs are live, and queues another."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": RUNS})


def lock_datasets(connection: Connection) -> None:
    """One at a time looks which version is the last, and freezes the next."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": DATASETS})


def lock_person(connection: Connection, study_id: int, annotator: str) -> None:
    """One at a time takes a turn for this person: two tabs that ask at once get the same one."""
    if connection.dialect.name == "postgresql":
        who = f"{study_id}:{annotator}"
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock, hashtext(:who))"), {"lock": PEOPLE, "who": who})


def lock_problems(connection: Connection, problem_ids: Iterable[str]) -> None:
    if connection.dialect.name == "postgresql":
        p = ProblemTable
        for ids in chunks(sorted(set(problem_ids))):
            query = select(p.id).where(p.id.in_(ids)).order_by(p.id)
            connection.execute(query.with_for_update(key_share=True)).all()


def lock_chains(connection: Connection, chain_ids: Iterable[str], problem_ids: Iterable[str] = ()) -> None:
    """Locks the problems of these chains, and with them, in one order, other problems."""
    if connection.dialect.name == "postgresql":
        c, problem_ids = ChainTable, set(problem_ids)
        for ids in chunks(set(chain_ids)):
            problem_ids |= set(connection.execute(select(c.problem_id).where(c.id.in_(ids))).scalars())
        lock_problems(connection, problem_ids)
