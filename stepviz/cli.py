"""`python -m stepviz …`: the loop without a browser.

`--json` prints one JSON value on stdout and nothing else there; errors go to stderr. Exit code 0 also when some
rows were refused and reported, 2 when nothing could be read, 1 for a failure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepviz import (
    cli_agree,
    cli_compare,
    cli_datasets,
    cli_jobs,
    cli_pits,
    cli_refine,
    cli_regrade,
    cli_runs,
    cli_study,
    cli_users,
    cli_world,
)
from stepviz.cli_output import Db, Json, emit, fail
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from stepviz.import_report import ImportReport
    from stepviz.sources.mapping import Mapping as ColumnMapping

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("sample")(cli_jobs.sample)
app.command("measure")(cli_jobs.measure)
app.command("score")(cli_jobs.score)
app.command("pits")(cli_pits.pits)
app.command("refine")(cli_refine.refine)
app.command("compare")(cli_compare.compare)
app.command("agree")(cli_agree.agree)
app.command("calibrate")(cli_agree.calibrate)
app.command("crosstab")(cli_agree.crosstab)
app.add_typer(cli_runs.runs, name="run")
app.add_typer(cli_users.user, name="user")
app.add_typer(cli_study.study, name="study")
app.add_typer(cli_world.world, name="world")
app.add_typer(cli_datasets.dataset, name="dataset")
app.command("regrade")(cli_regrade.regrade)
app.command("bench")(cli_world.bench)
app.command("results")(cli_world.results)


@app.callback()
def main() -> None:
    """Step-level supervision of mathematical reasoning: import, sample, measure, label, export."""


@app.command("import")
def import_(
    format: Annotated[
        str, typer.Argument(help="auto, table, gsm8k, gsm8k-solutions, svamp, math, aqua, processbench, prm800k, …")
    ],
    path: Annotated[str, typer.Argument(help="a file (also gzipped), a `datasets` folder, or a hub id")],
    db: Db = None,
    json: Json = False,
    map: Annotated[list[str] | None, typer.Option(help="for tables: ROLE=COLUMN, such as question=prompt")] = None,
    split: Annotated[str | None, typer.Option(help="the split these problems belong to")] = None,
    rule: Annotated[str | None, typer.Option(help="how to cut steps: line, blank, numbered, sentence")] = None,
) -> None:
    """Read a public format, or any JSONL, CSV or Parquet; the same file twice changes nothing."""
    from db.store import open_store
    from stepviz.import_report import named
    from stepviz.importing import import_path
    from stepviz.sources import detect
    from stepviz.sources import named as format_named

    name = detect(path) or "table" if format == "auto" else format_named(format).NAME
    mapping = _mapping(path, map or []) if name == "table" else None
    if map and mapping is None:
        raise StepvizError(f"--map is for tables (import table PATH); {name} knows its own columns")
    with open_store(db) as store:
        report = import_path(store, name, path, mapping=mapping, split=split, rule=rule)
    for line in named(report.refused, NAMED):
        print(line, file=sys.stderr)
    refused = [{"file": r.file, "line": r.line, "reason": r.reason} for r in report.refused]
    flags = [
        {"line": d.line, "chain": d.chain_id, "flag": d.flag, "verdict": d.verdict.value, "reason": d.verdict.reason}
        for d in report.disagreements
    ]
    value = {"format": name, "path": path, **report.counts()}
    value |= {"refused": refused, "disagreements": len(flags), "flags_settled_otherwise": flags}
    emit(value, json, lambda: _told(report, db))


NAMED = 20  # rows refused for one reason that are named one by one; --json names all
SHOWN = 5  # chains judged otherwise than the file does


def _mapping(path: str, changes: list[str]) -> ColumnMapping:
    """The guess with the user's ROLE=COLUMN."""
    from stepviz.sources import table

    guessed, columns = table.guess(path), table.columns(table.sample(path))
    mapping = guessed.corrected(dict(_pair(text) for text in changes), columns)
    if mapping.question is None:
        raise StepvizError(
            f"{path}: no column was taken for the question; say which of {', '.join(columns)} it is "
            "(--map question=COLUMN)"
        )
    return mapping


def _pair(text: str) -> tuple[str, str]:
    role, equals, column = text.partition("=")
    if not equals:
        raise StepvizError(f"--map {text}: write ROLE=COLUMN, such as question=prompt")
    return role.strip(), column.strip()


def _told(report: ImportReport, db: str | None) -> str:
    from stepviz.import_report import source_of, told

    lines = told(report.format, report.counts())
    for d in report.disagreements[:SHOWN]:
        flag = "correct" if d.flag else "wrong"
        lines.append(f"  line {d.line}: the file says {flag}, we say {d.verdict.value}: {d.verdict.reason}")
    if len(report.disagreements) > SHOWN:
        lines.append("  … and others: --json lists them all")
    if report.refused:
        lines.append("Why rows were refused stands above, with their lines; --json lists every one.")
    app, source = f"python app.py --db {db}" if db else "make app", source_of(report.format, report.path)
    lines.append(f"To look at them: {app}{f', then the source {source}' if source else ''}.")
    return "\n".join(lines)


@app.command()
def export(
    format: Annotated[str, typer.Argument(help="processbench, prm800k, math-shepherd, trl, stepviz")],
    out: Annotated[Path, typer.Argument(help="JSONL file to write")],
    db: Db = None,
    source: Annotated[str | None, typer.Option(help="only problems of this source")] = None,
    split: str | None = None,
    annotator: Annotated[str | None, typer.Option(help="whose labels (processbench, prm800k)")] = None,
    json: Json = False,
) -> None:
    """Write chains and labels in a public format, or everything in the project's own."""
    from db.store import open_store
    from db.values import ChainFilter, ProblemFilter
    from stepviz.exporting import EXPORTS, write_jsonl

    if format not in EXPORTS:
        raise StepvizError(f"no export {format!r}; there are: {', '.join(sorted(EXPORTS))}")
    if annotator and format not in ("processbench", "prm800k"):
        raise StepvizError(
            f"--annotator is for processbench and prm800k; {format} has no place for one person's labels"
        )
    chosen = ProblemFilter if format == "stepviz" else ChainFilter
    whose = {"annotator": annotator} if annotator else {}
    with open_store(db) as store:
        rows = write_jsonl(EXPORTS[format](store, chosen(source=source, split=split), **whose), out)
    emit({"format": format, "path": str(out), "rows": rows}, json, lambda: f"{rows} rows written to {out}")


@app.command()
def stats(db: Db = None, json: Json = False) -> None:
    """How much is in the store."""
    from db.store import open_store
    from stepviz.answers import GRADER

    with open_store(db) as store:
        counts, old = store.stats(), len(store.graded_before(GRADER))
    if old:
        have = "1 problem has" if old == 1 else f"{old:,} problems have"
        print(f"{have} verdicts of an older grader: python -m stepviz regrade", file=sys.stderr)
    emit(counts, json, lambda: "\n".join(f"{name.replace('_', ' '):16} {n:,}" for name, n in counts.items()))


@app.command()
def equal(
    gold: Annotated[str | None, typer.Argument()] = None,
    answer: Annotated[str | None, typer.Argument()] = None,
    file: Annotated[Path | None, typer.Option(help="JSONL with {gold, pred} a line")] = None,
    json: Json = False,
) -> None:
    """Are two answers equal, and why?"""
    from stepviz.answers import equal as compare

    if file is not None:
        results = [compare(*pair) for pair in _cases(file)]
        found = [{"verdict": r.verdict, "reason": r.reason} for r in results]
        emit(found, json, lambda: "\n".join(f"{r['verdict']:10} {r['reason']}" for r in found))
        return
    if gold is None or answer is None:
        raise StepvizError("give GOLD and ANSWER, or --file CASES.jsonl")
    result = compare(gold, answer)
    emit(
        {"verdict": result.verdict, "reason": result.reason},
        json,
        lambda: f"{result.verdict}: {result.reason}",
    )


def _cases(file: Path) -> list[tuple[str, str]]:
    """(gold, pred) of each line; all are read before the first is judged. Blank lines are passed over."""
    import json as codec

    from stepviz.sources import Unreadable

    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{file}: cannot be read ({error})") from None
    pairs = []
    for number, line in enumerate(lines, 1):
        try:
            row = codec.loads(line) if line.strip() else None
            if row is not None:
                pairs.append((str(row["gold"]), str(row["pred"])))
        except (ValueError, KeyError, TypeError) as error:
            raise StepvizError(f"{file}:{number}: need an object with gold and pred ({error})") from None
    return pairs


def run() -> None:
    """The command line's entry: errors as one line on stderr, with the exit code that scripts rely on."""
    from stepviz.sources import Unreadable

    try:
        app()
    except Unreadable as error:
        fail(error, 2)
    except StepvizError as error:
        fail(error, 1)
    except BrokenPipeError:
        sys.exit(1)
