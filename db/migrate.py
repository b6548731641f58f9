"""Bring a database to the present schema, safely and from any working directory.

A migration is one transaction that holds SQLite's write lock (PostgreSQL: an advisory lock) from before the
revision is read: of two processes that open a new file at once, the second waits and then finds it done. The
views are code, not state: they are dropped before the steps, since batch mode replaces tables under them, and
made anew after. There is no way down: people's labels live here.

`python -m db.migrate MESSAGE` writes a new revision from what differs between db/models.py and the last one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sqlalchemy import URL, Connection, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from db.session import make_engine, store_url, switch_to_wal
from db.views import create_views, drop_views
from stepviz.errors import StepvizError

HEAD = "0005"  # the last revision; reading it from the scripts would import alembic on every start
SCRIPTS = Path(__file__).resolve().parent / "migrations"
_LOCK = 7_301_558  # PostgreSQL's advisory lock: any number, always the same


def migrate(url: URL, *, to: str = "head", scripts: Path = SCRIPTS, head: str = HEAD) -> None:
    """Create the schema or bring it up to date; does nothing to one that is."""
    # Foreign keys off: batch mode drops and renames tables that others refer to. They are checked at the end.
    engine = make_engine(url, foreign_keys=False)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                switch_to_wal(connection.connection.driver_connection)
            if to == "head" and revision(connection) == head:
                return
        with engine.execution_options(writes=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _upgrade(connection, to, scripts)
    except OperationalError as e:
        raise StepvizError(_cannot_open(url, str(e.orig))) from e
    except DatabaseError as e:
        if "not a database" in str(e.orig) or "malformed" in str(e.orig):
            raise StepvizError(f"{url.database} is not an SQLite database. Give another file with --db.") from e
        if url.get_backend_name() == "postgresql":
            raise StepvizError(_cannot_set_up(url, str(e.orig))) from e
        raise
    finally:
        engine.dispose()


def revision(connection: Connection) -> str | None:
    """Which revision the database has; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, to: str, scripts: Path) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config(scripts)
    found = revision(connection)
    script = ScriptDirectory.from_config(config)
    if found is None:
        _refuse_foreign(connection)
    elif found not in {step.revision for step in script.walk_revisions()}:
        raise StepvizError(
            f"The database {connection.engine.url} has revision {found}, which this stepviz does not know: "
            "a newer one wrote it. Update stepviz, or give another database with --db."
        )
    config.attributes["connection"] = connection
    drop_views(connection)
    command.upgrade(config, to)
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        assert not broken, f"migration left dangling references: {broken[:5]}"
    if revision(connection) == script.get_current_head():
        create_views(connection)


def _config(scripts: Path) -> object:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _refuse_foreign(connection: Connection) -> None:
    tables = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
    if connection.dialect.name == "postgresql":  # a server's database may be shared
        tables = [name for name in tables if name in ("problems", "chains", "annotations", "runs")]
    if tables:
        raise StepvizError(
            f"The database {connection.engine.url} belongs to another program (it has a table "
            f"{tables[0]!r}). Give another one with --db or STEPVIZ_DB."
        )


def _cannot_open(url: URL, why: str) -> str:
    if url.get_backend_name() != "sqlite":
        return f"Cannot reach the database {url}: {why.strip()} Check that the server runs and the URL is right."
    folder = Path(url.database).parent
    if not folder.is_dir():
        return f"Cannot open {url.database}: there is no folder {folder}. Make it, or give another file with --db."
    return f"Cannot open {url.database}: {why}. Check that file and folder may be written, or give another with --db."


def _cannot_set_up(url: URL, why: str) -> str:
    return (
        f"Cannot make or update the tables in the database {url}: {why.partition(chr(10))[0]}. Its user has to own it, "
        "or needs: GRANT CREATE ON SCHEMA public TO the user."
    )


def _write_revision(message: str) -> None:
    from alembic import command

    with tempfile.TemporaryDirectory() as folder:
        url = store_url(f"{folder}/new.db")
        migrate(url)
        engine = make_engine(url, foreign_keys=False)
        config = _config(SCRIPTS)
        with engine.execution_options(writes=True).begin() as connection:
            config.attributes["connection"] = connection
            drop_views(connection)
            command.revision(config, message, autogenerate=True, rev_id=f"{int(HEAD) + 1:04}")
        engine.dispose()


if __name__ == "__main__":
    _write_revision(" ".join(sys.argv[1:]))
