"""`python -m training sft | orm | balanced-orm | sorm | prm | refiner`: from a dataset of the store to a model in it.

All read a frozen dataset, check it before anything starts, write an ordinary checkpoint with its training.json, and
leave a record of the model with its parents, so that it can be chosen wherever the store is open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from training.language_model import Report, Settings
from training.record import base_of, datasets, empty_folder, finish, rows

Db = Annotated[str | None, typer.Option("--db", help="store; default: STEPVIZ_DB, else sqlite:///stepviz.db")]
Dataset = Annotated[int, typer.Option(help="id of a dataset of the store")]
Mixed = Annotated[list[int], typer.Option("--dataset", help="id of a dataset of the store; may be repeated")]
BaseModel = Annotated[str, typer.Option(help="checkpoint to start from: embedded:NAME, a folder or a hub id")]
Out = Annotated[Path, typer.Option(help="folder for the new checkpoint, whose last part is the model's name")]
Epochs = Annotated[float | None, typer.Option(help="default: as for the embedded models")]
Rate = Annotated[float | None, typer.Option("--lr", help="peak; default: the embedded models'; a 7B wants about 1e-5")]
Batch = Annotated[int | None, typer.Option(help="packed blocks a step")]
Length = Annotated[int | None, typer.Option(help="tokens a block; what is longer is left out, and counted")]
Seed = Annotated[int, typer.Option()]
Compile = Annotated[bool, typer.Option()]


class Work(NamedTuple):
    """What a trainer is given, everything checked."""

    rows: Iterable[Mapping[str, Any]]
    config: Mapping[str, Any]  # of the first dataset
    source: str  # of the base
    report: Report


Train = Callable[[Work], dict[str, Any]]


def sft(
    dataset: Dataset,
    base: BaseModel,
    out: Out,
    db: Db = None,
    epochs: Epochs = None,
    lr: Rate = None,
    batch: Batch = None,
    length: Length = None,
    seed: Seed = 0,
    compile: Compile = True,
) -> None:
    """Supervised fine-tuning on (prompt, completion) rows."""
    from training import sft as trainer

    settings = _settings(trainer.STUDENT, epochs, lr, batch, length, seed, compile)

    def train(work: Work) -> dict[str, Any]:
        return trainer.run(work.rows, work.source, out, settings, work.report)

    _through("sft", "generator", (), [dataset], base, out, db, train)


def refiner(
    dataset: Mixed,
    base: BaseModel,
    out: Out,
    db: Db = None,
    epochs: Epochs = None,
    lr: Rate = None,
    batch: Batch = None,
    length: Length = None,
    seed: Seed = 0,
    compile: Compile = True,
    add_token: Annotated[bool, typer.Option("--add-token", help="give the model [BAD] where it has none")] = False,
) -> None:
    """One refiner for both kinds of refinement: give a refine-local and a refine-global dataset."""
    from training import refiner as trainer

    settings = _settings(trainer.REFINER, epochs, lr, batch, length, seed, compile)

    def train(work: Work) -> dict[str, Any]:
        return trainer.run(work.rows, work.source, out, settings, add_token=add_token, report=work.report)

    _through("refiner", "refiner", ("refine-local", "refine-global"), dataset, base, out, db, train)


def step_scores(name: str) -> Callable[..., None]:
    """The command of one of step_scores.RECIPES."""

    def command(
        dataset: Dataset,
        base: BaseModel,
        out: Out,
        db: Db = None,
        epochs: Epochs = None,
        lr: Rate = None,
        batch: Batch = None,
        length: Length = None,
        seed: Seed = 0,
        compile: Compile = True,
        soft: Annotated[
            bool, typer.Option("--soft", help="learn k/n in place of labels: the model estimates V")
        ] = False,
        held_out: Annotated[float, typer.Option(help="share of the problems that judge the trained model")] = 0.1,
    ) -> None:
        from training import step_scores as trainer

        recipe = trainer.RECIPES[name]
        settings = _settings(trainer.SCORER, epochs, lr, batch, length, seed, compile)

        def train(work: Work) -> dict[str, Any]:
            options = {"soft": soft, "template": work.config.get("template"), "share": held_out}
            return trainer.run(work.rows, work.source, out, recipe, settings, **options, report=work.report)

        _through(name, recipe.role, recipe.datasets, [dataset], base, out, db, train)

    return command


def _settings(
    default: Settings,
    epochs: float | None,
    lr: float | None,
    batch: int | None,
    length: int | None,
    seed: int,
    compile: bool,
) -> Settings:
    given = {"epochs": epochs, "learning_rate": lr, "batch": batch, "length": length}
    return replace(default, seed=seed, compile=compile, **{k: v for k, v in given.items() if v is not None})


def _through(
    name: str,
    role: str,
    recipes: tuple[str, ...],
    ids: list[int],
    base: str,
    out: Path,
    db: str | None,
    train: Train,
) -> None:
    """One line of JSON a report; the last one is the model with what it cost."""
    from db.store import open_store

    empty_folder(out)
    start = base_of(base)
    with open_store(db) as store:
        chosen = datasets(store, ids, recipes, name)
        cost = train(Work(rows(store, chosen), chosen[0].config, start.source, _tell))
        model = finish(store, out, role, start, chosen, cost)
    print(json.dumps({"model": model.id, "role": role, "spec": model.spec}
                     | {k: v for k, v in cost.items() if k != "losses"}))  # fmt: skip


def _tell(row: Mapping[str, Any]) -> None:
    print(json.dumps(row), flush=True)
