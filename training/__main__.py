"""`python -m training …`: trainers from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from stepviz.errors import StepvizError
from stepviz.trainings import TRAININGS
from training import commands
from training.commands import Db

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for _training in TRAININGS.values():
    app.command(_training.name)(commands.command(_training))


@app.callback()
def main() -> None:
    """Train models from frozen datasets of the store."""


@app.command()
def embedded(
    stage: Annotated[list[str] | None, typer.Option(help="base, student, glore, first-screen (default: all)")] = None,
    out: Annotated[Path | None, typer.Option(help="where the models go (default: the package)")] = None,
    db: Db = None,
    write: Annotated[bool, typer.Option("--write", help="also write docs/results/embedded.json")] = False,
    preset: Annotated[str, typer.Option(help="stage glore: small (about 26 minutes) or full (67)")] = "small",
) -> None:
    """Make the shipped models again."""
    from db.store import open_store
    from stepviz.embedded import FOLDER
    from training.embedded import STAGES, make, write_results

    with open_store(db) as store:
        make(store, stage or list(STAGES), out or FOLDER, lambda line: print(line, flush=True), preset)
    if write:
        write_results(out or FOLDER)


@app.command()
def memory(
    base: commands.BaseModel,
    length: Annotated[int, typer.Option(help="tokens a block")] = 1024,
    batch: Annotated[int, typer.Option(help="blocks a step")] = 8,
    lora: Annotated[int, typer.Option(help="rank of adapters; 0: all weights are trained")] = 0,
) -> None:
    """What training a model takes in memory, from its config alone."""
    from training.memory import told

    print(json.dumps(told(base, length, batch, lora)))


reproduce = typer.Typer(no_args_is_help=True, help="A paper's comparison on the embedded world, table by table.")
app.add_typer(reproduce, name="reproduce")


@reproduce.command("glore")
def reproduce_glore(
    seeds: Annotated[int, typer.Option(min=1, help="of training and of the subset of data")] = 3,
    scale: Annotated[float, typer.Option(min=0.001, help="share of the problems; 1: 5,000 test problems")] = 1.0,
    problems: Annotated[int | None, typer.Option(help="of training; default: 6,000 times the scale")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="drafts of each of them; default: 2")] = None,
    arms: Annotated[str, typer.Option(help="core (ORM, SORM, refiner), controls, all, more")] = "all",
    work: Annotated[Path, typer.Option(help="folder for models, scores, refinements; goes on there")] = Path("glore"),
    student: Annotated[str, typer.Option(help="embedded:NAME, a folder or a hub id")] = "embedded:student",
    shipped: Annotated[
        Path | None, typer.Option(help="folder with seed 0's orm, sorm, refiner, used if they fit")
    ] = None,
    db: Db = None,
    write: Annotated[bool, typer.Option("--write", help="also write docs/results/glore.json and plots")] = False,
) -> None:
    """GLoRe: step judges, reranking, refinement, and the errors of rollouts' labels."""
    from db.store import open_store
    from stepviz import results
    from training.reproduce import glore
    from training.reproduce.glore_arms import SETS

    if arms not in SETS:
        raise StepvizError(f"no set of arms {arms!r}; there are: {', '.join(SETS)}")
    settings = glore.Settings(seeds, scale, problems, samples, arms, student, shipped and shipped.absolute())
    with open_store(db) as store:
        tables = glore.run(store, work.absolute(), settings, lambda line: print(line, flush=True))
    if write:
        glore.write(tables, settings)
    for caption, rows in tables.items():
        print(f"\n**{caption}**\n\n{results.table(rows)}")


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
