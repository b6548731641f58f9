"""`python -m training …`: trainers from the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stepviz.errors import StepvizError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Db = Annotated[str | None, typer.Option("--db", help="store; default: STEPVIZ_DB, else sqlite:///stepviz.db")]


@app.callback()
def main() -> None:
    """Train models from frozen datasets of the store."""


@app.command()
def sft(
    dataset: Annotated[int, typer.Option(help="id of a dataset with columns prompt and completion")],
    base: Annotated[str, typer.Option(help="checkpoint to start from: embedded:NAME, a folder or a hub id")],
    out: Annotated[Path, typer.Option(help="folder for the new checkpoint")],
    db: Db = None,
    epochs: float = 8.0,
    lr: float = 1.5e-3,
    batch: Annotated[int, typer.Option(help="packed blocks a step")] = 16,
    length: Annotated[int, typer.Option(help="tokens a block")] = 384,
    seed: int = 0,
    compile: bool = True,
) -> None:
    """Supervised fine-tuning on (prompt, completion) rows."""
    from db.store import open_store
    from stepviz.embedded import path
    from training import sft as recipe

    if out.exists() and any(out.iterdir()):
        raise StepvizError(f"{out} is not empty; choose another --out")
    folder = str(path(base.partition(":")[2] or "student")) if base.partition(":")[0] == "embedded" else base
    settings = replace(
        recipe.STUDENT, epochs=epochs, learning_rate=lr, batch=batch, length=length, seed=seed, compile=compile
    )
    with open_store(db) as store:
        cost = recipe.run(store.dataset_rows(dataset), folder, out, settings, lambda row: print(json.dumps(row)))
    print(json.dumps({k: v for k, v in cost.items() if k != "losses"}))


@app.command()
def embedded(
    stage: Annotated[list[str] | None, typer.Option(help="base, student, first-screen (default: all)")] = None,
    out: Annotated[Path | None, typer.Option(help="where the models go (default: the package)")] = None,
    db: Db = None,
    write: Annotated[bool, typer.Option("--write", help="also write docs/results/embedded.json")] = False,
) -> None:
    """Make the shipped models again."""
    from db.store import open_store
    from stepviz.embedded import FOLDER
    from training.embedded import STAGES, make, write_results

    with open_store(db) as store:
        make(store, stage or list(STAGES), out or FOLDER, lambda line: print(line, flush=True))
    if write:
        write_results(out or FOLDER)


@app.command()
def speed(write: Annotated[bool, typer.Option("--write", help="also write docs/results/speed.json")] = False) -> None:
    """What compiling, packing, batch, vocabulary and bfloat16 each bring."""
    from stepviz import results
    from training.speed import measure

    tables = {"text learnt a second": measure()}
    if write:
        title = "Training the embedded models: what each choice brings"
        results.write("speed", title, "python -m training speed --write", tables)
    print(results.table(tables["text learnt a second"]))


def run() -> None:
    try:
        app()
    except StepvizError as error:
        print(f"training: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
