"""`study export`: a study's labels as a file that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepviz.cli_output import Db, Json, emit


def export(
    name: Annotated[str, typer.Argument(help="the study's name")],
    out: Annotated[Path, typer.Option(help="a new file")],
    format: Annotated[str, typer.Option(help="prm800k, processbench, jsonl (everything), or parquet (flat)")] = "jsonl",
    anonymous: Annotated[bool, typer.Option("--anonymous", help="numbers in the place of people's names")] = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Write what people labelled: PRM800K's rows, ProcessBench's, or everything."""
    from db.store import open_store
    from stepviz.study_export import export as write
    from stepviz.study_read import study_named

    with open_store(db) as store:
        done = write(store, study_named(store, name), format, out, anonymous=anonymous)
    told = {"study": name, "format": format, "path": str(out), "rows": done.rows, "left_out": dict(done.left_out)}
    lines = [f"left out: {n:,} × {reason}" for reason, n in sorted(done.left_out.items(), key=lambda r: -r[1])]
    emit(told, json, lambda: "\n".join([f"{done.rows:,} rows written to {out}", *lines]))
