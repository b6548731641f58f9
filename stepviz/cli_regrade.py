"""regrade: verdicts of an older grader, given again by this one."""

from __future__ import annotations

import sys
from dataclasses import asdict

from stepviz.cli_output import Db, Json, bar, emit
from stepviz.errors import StepvizError


def regrade(db: Db = None, json: Json = False) -> None:
    """Grade again what an older grader judged; people's verdicts stay. Stopped, it goes on where it was."""
    from db.store import open_store
    from stepviz.answers import GRADER
    from stepviz.grading import regrade as grade_all

    shown = sys.stderr.isatty()

    def tell(done: int, total: int) -> None:
        if shown:
            line = bar({"done": done, "total": total, "unit": "problems"})
            print(f"\r\x1b[K{line}", end="" if done < total else "\n", file=sys.stderr, flush=True)

    with open_store(db) as store:
        try:
            report = grade_all(store, tell)
        except KeyboardInterrupt:
            raise StepvizError("stopped; the same command goes on where it was") from None
    told = f"{report.chains:,} chains and {report.draws:,} draws graded again by {GRADER}"
    emit({"grader": GRADER, **asdict(report)}, json, lambda: f"{told}; {report.changed:,} verdicts changed")
