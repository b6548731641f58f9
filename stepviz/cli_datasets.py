"""`dataset …`: build frozen training sets, look at them, write them as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

dataset = typer.Typer(no_args_is_help=True, help="Frozen training sets.")
KEYS = ("prompt", "completion", "chosen", "rejected")


@dataset.command()
def build(
    recipe: Annotated[str, typer.Argument(help="sft, rft, orm, balanced-orm, sorm, stepwise, refine-global, …")],
    name: Annotated[str | None, typer.Option(help="name of the dataset (default: the recipe's)")] = None,
    source: Annotated[str | None, typer.Option(help="only problems of this source")] = None,
    split: Annotated[str, typer.Option(help="split the problems come from, or any; never test")] = "train",
    model: Annotated[
        list[str] | None, typer.Option(help="only chains of this model or origin; may be repeated")
    ] = None,
    sampling: Annotated[str | None, typer.Option(help="only chains of this sampling (the id's beginning)")] = None,
    rollout_model: Annotated[str | None, typer.Option(help="whose continuations (default: the only one's)")] = None,
    rollout_sampling: Annotated[str | None, typer.Option(help="continuations of this sampling")] = None,
    branches: Annotated[bool | None, typer.Option(help="also chains that branch from another")] = None,
    limit: Annotated[int | None, typer.Option(help="at most so many problems")] = None,
    max_chains: Annotated[int | None, typer.Option(help="the first so many chains of a problem and model")] = None,
    max_per_problem: Annotated[int | None, typer.Option(help="at most so many rows a problem")] = None,
    part: Annotated[str | None, typer.Option(help="all, train, or held-out: split by problem")] = None,
    held_out: Annotated[float | None, typer.Option(help="share of the problems that are held out (0.1)")] = None,
    test_overlap: Annotated[
        str | None, typer.Option(help="a problem that also is in a test split: refuse, drop")
    ] = None,
    style: Annotated[str | None, typer.Option(help="prompt style: plain, or a .json file")] = None,
    k: Annotated[int | None, typer.Option(help="rollouts a step (sorm, refine-local: 8; self-explore: 4)")] = None,
    consistent: Annotated[bool | None, typer.Option(help="sorm, refine-local: only consistent traces count")] = None,
    plain: Annotated[bool | None, typer.Option(help="consistency by the paper's plain string")] = None,
    results: Annotated[str | None, typer.Option(help="consistency asks that every, or the last, is used")] = None,
    carry_back: Annotated[bool | None, typer.Option(help="sorm: a positive makes earlier steps positive")] = None,
    balance: Annotated[bool | None, typer.Option(help="sorm, stepwise: balance each prefix length")] = None,
    soft: Annotated[bool | None, typer.Option(help="sorm, stepwise of a study: also k of n as soft labels")] = None,
    seed: Annotated[int | None, typer.Option(help="sorm, balanced-orm, stepwise: of the balance")] = None,
    distinct: Annotated[str | None, typer.Option(help="rft: equations, or exact text")] = None,
    equations_hold: Annotated[bool | None, typer.Option(help="rft: drop samples with a false equation")] = None,
    keep: Annotated[int | None, typer.Option(help="rft, self-explore: right samples a problem (8); 0 for all")] = None,
    reference: Annotated[bool | None, typer.Option(help="rft: with the reference solution")] = None,
    annotator: Annotated[str | None, typer.Option(help="stepwise, human-pairs: whose labels (ana, prm800k)")] = None,
    study: Annotated[str | None, typer.Option(help="stepwise, human-pairs: what the people of a study say")] = None,
    gold: Annotated[bool | None, typer.Option(help="of a study: gold items, too")] = None,
    blind: Annotated[bool | None, typer.Option(help="of a study: only labels of the blind arm")] = None,
    after_error: Annotated[
        str | None, typer.Option(help="stepwise: labels after the first wrong step: keep, mask")
    ] = None,
    span: Annotated[str | None, typer.Option(help="human-pairs: one step, or the rest")] = None,
    chosen: Annotated[str | None, typer.Option(help="human-pairs: judged by people, or also a right answer")] = None,
    oracle: Annotated[bool | None, typer.Option(help="stepwise: the exact judge's labels, as an oracle arm")] = None,
    question: Annotated[str | None, typer.Option(help="stepwise: correct or solvable")] = None,
    neutral: Annotated[str | None, typer.Option(help="stepwise, human-pairs: PRM800K's 0 is correct, or mask")] = None,
    target: Annotated[str | None, typer.Option(help="refine-local: full solution, or suffix")] = None,
    at_start: Annotated[str | None, typer.Option(help="refine-local, first step bad: rollout, or skip")] = None,
    targets: Annotated[int | None, typer.Option(help="refine-…: right solutions a draft (1)")] = None,
    paired: Annotated[bool | None, typer.Option(help="self-explore: only wrong chains of the outcome pairs")] = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Freeze rows for a training; the same recipe on the same data is the same version."""
    given = {key: value for key, value in locals().items() if key not in ("recipe", "name", "db", "json")}
    config = {key: value for key, value in given.items() if value is not None}
    config["split"] = None if split == "any" else split
    if keep == 0:
        config["keep"] = None
    from db.store import open_store
    from stepviz.datasets import build as freeze

    tell = _tell if sys.stderr.isatty() else None
    with open_store(db) as store:
        made = freeze(store, recipe, config, name=name, on_progress=tell)
    if tell:
        print(file=sys.stderr)
    emit(record(made), json, lambda: _summary(record(made)))


@dataset.command("list")
def list_datasets(db: Db = None, json: Json = False) -> None:
    """All datasets, newest first."""
    from db.store import open_store

    with open_store(db) as store:
        rows = [record(d) for d in store.datasets()]
    short = [{key: row[key] for key in ("id", "name", "version", "recipe", "format", "rows", "hash")} for row in rows]
    emit(
        short,
        json,
        lambda: (
            "\n".join(
                f"{r['id']:5} {r['name']} v{r['version']}  {r['recipe']}  {r['rows']:,} rows  {r['hash']}"
                for r in short
            )
            or "no dataset here yet; build one: python -m stepviz dataset build sft"
        ),
    )


@dataset.command()
def show(
    id: int,
    rows: Annotated[int, typer.Option(help="rows to print")] = 3,
    start: Annotated[int, typer.Option(help="first row, from 0")] = 0,
    db: Db = None,
    json: Json = False,
) -> None:
    """What is in a dataset: its record, and some rows to read."""
    from db.store import open_store

    if rows < 0 or start < 0:
        raise StepvizError("--rows and --start count from 0")
    with open_store(db) as store:
        made = store.dataset(id)
        shown = list(store.dataset_rows(id, start, min(rows, max(0, made.n_rows - start))))
    value = {**record(made), "config": dict(made.config), "created_at": made.created_at.isoformat(), "preview": shown}
    emit(value, json, lambda: "\n\n".join([_summary(value), *(preview(row, start + i) for i, row in enumerate(shown))]))


@dataset.command()
def export(
    id: int,
    out: Annotated[Path, typer.Option(help="a new folder; or a file FILE.jsonl, FILE.parquet")],
    format: Annotated[str, typer.Option(help="jsonl, parquet, or hf (a `datasets` folder)")] = "jsonl",
    db: Db = None,
    json: Json = False,
) -> None:
    """Write a dataset with its card; `datasets.load_dataset(OUT)` reads it."""
    from db.store import open_store
    from stepviz.dataset_files import write

    with open_store(db) as store:
        path = write(store, id, format, out)
        made = store.dataset(id)
    value = {"id": id, "format": format, "path": str(path), "rows": made.n_rows, "hash": made.hash}
    emit(value, json, lambda: f"{made.n_rows:,} rows of {made.name} v{made.version} written to {path}")


def record(made: Any) -> dict[str, Any]:
    """A dataset's record as JSON."""
    names = ("id", "name", "version", "recipe", "format", "hash")
    more = {"rows": made.n_rows, "counts": dict(made.counts), "dropped": dict(made.dropped)}
    return {**{key: getattr(made, key) for key in names}, **more}


def preview(row: dict[str, Any], number: int) -> str:
    """A row for people: texts as they are, labels beside their steps."""
    lines = [f"── row {number} · {_where(row)}"]
    for key in KEYS:
        if key in row:
            lines += [f"{key}:", *(f"    {line}" for line in str(row[key]).rstrip("\n").split("\n"))]
    soft = zip(row.get("k", ()), row.get("n", ()), strict=True)
    shares = [f" {k}/{n}" if n else "" for k, n in soft] or [""] * len(row.get("labels", ()))
    marks = {1: "+", 0: "−", -100: "·"}
    for label, share, step in zip(row.get("labels", ()), shares, row.get("completions", ()), strict=True):
        lines.append(f"  {marks.get(label, label)}{share:6} {step}" if share else f"  {marks.get(label, label)} {step}")
    return "\n".join(_printable(line) for line in lines)


def _where(row: dict[str, Any]) -> str:
    return " · ".join(f"{key} {value}" for key, value in row.get("origin", {}).items() if value is not None)


def _printable(line: str) -> str:
    """Text of models and files on a terminal: no control characters, no half surrogate pairs."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)


def _summary(value: dict[str, Any]) -> str:
    lines = [
        f"dataset {value['id']}: {value['name']} version {value['version']}, {value['rows']:,} rows, {value['hash']}",
        f"recipe {value['recipe']} ({value['format'] or 'no known format'})",
    ]
    for key, found in value["counts"].items():
        told = ", ".join(f"{name} {n:,}" for name, n in found.items()) if isinstance(found, dict) else f"{found:,}"
        lines.append(f"{key}: {told}")
    lines += [f"dropped: {n:,} × {reason}" for reason, n in sorted(value["dropped"].items(), key=lambda r: -r[1])]
    return "\n".join(lines)


def _tell(progress: Any) -> None:
    done = f"{progress['done']:,}/{progress['total']:,} {progress['unit']}, {progress['rows']:,} rows"
    print(f"\r\x1b[K{done}", end="", file=sys.stderr, flush=True)
