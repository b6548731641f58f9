"""Engines and transactions: how the store reaches its database.

SQLite runs in WAL, so that readers and the one writer do not wait for each other. A write says BEGIN
IMMEDIATE: it waits for its turn at the start (busy timeout), where a read that becomes a write midway would
fail at once with "database is locked". `synchronous` stays FULL: a label that was shown as saved is on disk.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from stepviz.errors import StepvizError

DEFAULT_URL = "sqlite:///stepviz.db"
BUSY_SECONDS = 60


def store_url(url: str | None = None) -> URL:
    """The argument, else STEPVIZ_DB, else stepviz.db in the working directory; a bare path is an SQLite file."""
    text = url or os.environ.get("STEPVIZ_DB") or DEFAULT_URL
    if "://" not in text:
        text = f"sqlite:///{text}"
    if text.startswith("postgres://"):  # as PostgreSQL's own programs, and those who rent servers out, may write it
        text = text.replace("postgres", "postgresql", 1)
    try:
        parsed = make_url(text)
    except ArgumentError as e:
        raise StepvizError(f"{text!r} is no database URL. Write sqlite:///FILE or postgresql://HOST/NAME.") from e
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise StepvizError(f"The store runs on SQLite and PostgreSQL, not on {backend}. Write sqlite:///FILE.")
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise StepvizError("A store in memory is not seen by the worker process. Write sqlite:///FILE.")
        parsed = parsed.set(database=str(Path(parsed.database).absolute()))  # a later chdir changes nothing
    return parsed


def make_engine(url: URL, *, foreign_keys: bool = True) -> Engine:
    """Threads share its pool; processes each make their own."""
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=8, max_overflow=-1)
            _set_up_sqlite(engine, foreign_keys)
        else:
            engine = create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=32)
    except NoSuchModuleError as e:
        raise StepvizError(f"The database URL names an unknown driver: {url.drivername}.") from e
    except ModuleNotFoundError as e:
        package = "psycopg[binary]" if e.name == "psycopg" else e.name
        raise StepvizError(f"The driver for {url.drivername} is missing: pip install '{package}'") from e
    return engine


def _set_up_sqlite(engine: Engine, foreign_keys: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None  # the driver begins nothing by itself
        raw.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        raw.execute("PRAGMA cache_size = -32000")  # KiB a connection
        raw.execute("PRAGMA temp_store = MEMORY")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def switch_to_wal(raw: sqlite3.Connection) -> None:
    """WAL is a property of the file. Where two processes switch at once, SQLite fails without waiting: we wait."""
    deadline = time.monotonic() + BUSY_SECONDS
    while raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as e:
            if "locked" not in str(e) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Database:
    """An engine, and the two kinds of transaction. Thread-safe: each call takes a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(writes=True)
        self._reader = engine
        if engine.dialect.name == "postgresql":  # its default shows each statement another state
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @property
    def url(self) -> str:
        """As given to open_store, password and all: a worker opens the same store with it."""
        return self.engine.url.render_as_string(hide_password=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view; never keep it open over slow work."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing; on SQLite nobody else writes meanwhile, so prepare the rows before."""
        with self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
