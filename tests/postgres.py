"""The store's contract tests on a real PostgreSQL: a throw-away server is made, and gone after. `make test-postgres`.

`python tests/postgres.py [ARGUMENTS OF PYTEST]`: `-k jobs_strategies` runs a part. It needs PostgreSQL's programs
(Debian: apt-get install postgresql; elsewhere name their folder in POSTGRES_BIN). The server listens on a socket in a
folder of its own, and on no port. It sorts text as people do, as most servers are set up, and not by code points, as
SQLite does.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST = 15  # the first whose clusters can be told how to sort without a locale of the system
MISSING = f"""PostgreSQL's programs (initdb, pg_ctl) are missing, or older than {OLDEST}.
Debian and Ubuntu: apt-get install postgresql
Elsewhere: POSTGRES_BIN=/folder/with/initdb make test-postgres"""

# What stores, reads, migrates, or writes from several sides: each of these makes its stores by store_cases.new_url.
CONTRACT = (
    "test_store.py",
    "test_store_draws.py",
    "test_store_labels.py",
    "test_store_refinements.py",
    "test_store_runs.py",
    "test_store_settlements.py",
    "test_store_studies.py",
    "test_store_users.py",
    "test_store_processes.py",
    "test_store_postgres.py",
    "test_migrations.py",
    "test_notebook.py",
    "test_recuts.py",
    "test_agree.py",
    "test_agree_study.py",
    "test_study_export.py",
    "test_datasets_people.py",
    "test_bench_annotate.py",
    "test_datasets.py",
    "test_datasets_large.py",
    "test_datasets_walked.py",
    "test_importing_labels.py",
    "test_importing_late.py",
    "test_export_ledger.py",
    "test_jobs.py",
    "test_jobs_control.py",
    "test_jobs_costs.py",
    "test_jobs_draws.py",
    "test_jobs_killed.py",
    "test_jobs_refine.py",
    "test_jobs_score.py",
    "test_jobs_strategies.py",
    "test_jobs_strategies_killed.py",
    "test_jobs_worker.py",
)


def programs() -> Path | None:
    """The folder of the newest initdb; None where there is none."""
    if given := os.environ.get("POSTGRES_BIN"):
        return Path(given) if _version(Path(given)) else None
    on_path = shutil.which("initdb")
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(on_path).resolve().parent] if on_path else [])]
    best = max(folders, key=_version, default=None)
    return best if best is not None and _version(best) >= OLDEST else None


def _version(folder: Path) -> int:
    """Of its initdb; 0 where it has none."""
    try:
        said = subprocess.run([folder / "initdb", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\d+", said)
    return int(found[0]) if found else 0


def _user() -> dict[str, object]:
    """PostgreSQL does not run as root: then as its own user, which Debian's package makes."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    who = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


@contextmanager
def server(binaries: Path) -> Iterator[str]:
    """The URL of a new server whose only user may do everything; it is stopped, and all of it deleted, at the end."""
    as_user = _user()
    with tempfile.TemporaryDirectory(prefix="stepviz-pg-") as folder:
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])

        def run(program: str, *words: str) -> None:
            command = [str(binaries / program), *words]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **as_user)
            if done.returncode:
                sys.exit(f"{program} failed:\n{done.stdout}{done.stderr}")

        locale = ("--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8")
        run("initdb", "-D", "data", "-U", "stepviz", "-A", "trust", "-E", "UTF8", "--no-sync", *locale)
        # nothing here outlives the tests, so nothing waits for the disk
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"
        run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")
        try:
            yield f"postgresql://stepviz@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")


def main(arguments: Sequence[str]) -> int:
    binaries = programs()
    if binaries is None:
        print(MISSING, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server is stopped then, too
    files = [str(ROOT / "tests" / name) for name in CONTRACT]
    with server(binaries) as url:
        command = [sys.executable, "-m", "pytest", "-q", *arguments, *files]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, "STEPVIZ_TEST_SERVER": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
