"""`python -m training sft | orm | balanced-orm | sorm | prm | refiner`: from a dataset of the store to a model in it.

All read a frozen dataset, check it before anything starts, write an ordinary checkpoint with its training.json, and
leave a record of the model with its parents, so that it can be chosen wherever the store is open. Each is a Run of
the store while it works, started by hand or by the app; the same command goes on with one that was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from training.language_model import Report, Settings
from training.record import base_of, finish, publish, rows, workplace
from training.watching import KEEP_EVERY_S

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
Keep = Annotated[
    float,
    typer.Option(
        "--checkpoint-every",
        envvar="STEPVIZ_CHECKPOINT_EVERY",
        help="seconds; a training that was killed goes on from its last checkpoint",
    ),
]


class Work(NamedTuple):
    """What a trainer is given, everything checked."""

    rows: Iterable[Mapping[str, Any]]
    config: Mapping[str, Any]  # of the first dataset
    source: str  # of the base
    out: Path  # to work in
    settings: Mapping[str, Any]  # of the run; `said` puts them into the trainer's own
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
    checkpoint_every: Keep = KEEP_EVERY_S,
) -> None:
    """Supervised fine-tuning on (prompt, completion) rows."""
    from training import sft as trainer

    def train(work: Work) -> dict[str, Any]:
        return trainer.run(work.rows, work.source, work.out, said(trainer.STUDENT, work), work.report)

    given = _given(epochs, lr, batch, length, seed, compile)
    _through("sft", [dataset], base, out, db, given, {}, train, checkpoint_every)


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
    checkpoint_every: Keep = KEEP_EVERY_S,
) -> None:
    """One refiner for both kinds of refinement: give a refine-local and a refine-global dataset."""
    from training import refiner as trainer

    def train(work: Work) -> dict[str, Any]:
        settings = said(trainer.REFINER, work)
        return trainer.run(work.rows, work.source, work.out, settings, add_token=add_token, report=work.report)

    given = _given(epochs, lr, batch, length, seed, compile)
    _through("refiner", dataset, base, out, db, given, {"add_token": add_token}, train, checkpoint_every)


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
        checkpoint_every: Keep = KEEP_EVERY_S,
    ) -> None:
        from training import step_scores as trainer

        def train(work: Work) -> dict[str, Any]:
            options = {"soft": soft, "template": work.config.get("template"), "share": held_out}
            recipe, settings = trainer.RECIPES[name], said(trainer.SCORER, work)
            return trainer.run(work.rows, work.source, work.out, recipe, settings, **options, report=work.report)

        given = _given(epochs, lr, batch, length, seed, compile)
        options = {"soft": soft, "held_out": held_out}
        _through(name, [dataset], base, out, db, given, options, train, checkpoint_every)

    return command


def said(defaults: Settings, work: Work) -> Settings:
    """The trainer's own settings with those of the run."""
    return replace(defaults, **work.settings)


def _given(
    epochs: float | None, lr: float | None, batch: int | None, length: int | None, seed: int, compile: bool
) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "learning_rate": lr,
        "batch": batch,
        "length": length,
        "seed": seed,
        "compile": compile,
    }


def _through(
    name: str,
    ids: list[int],
    base: str,
    out: Path,
    db: str | None,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    train: Train,
    keep_every_s: float,
) -> None:
    """One line of JSON a report; the last one is the model with what it cost."""
    from db.store import open_store
    from stepviz import train_job
    from training.recorded import Recorded

    with open_store(db) as store:
        given = {"recipe": name, "datasets": ids, "base": base, "out": str(out)}
        spec = train_job.normalised(store, {**given, "settings": settings, "options": options})
        with Recorded(store, spec, keep_every_s) as record:
            start, chosen = base_of(base), [store.dataset(id) for id in spec["datasets"]]
            cost = record.finished()
            if cost is None:
                work = workplace(spec)
                record.note(f"loading {base}")
                found = train(
                    Work(rows(store, chosen), chosen[0].config, start.source, work, spec["settings"], record.watch)
                )
                record.watch.stop_if_asked()
                cost = {**found, **record.about(), "recipe": name, "options": spec["options"]}
                publish(spec, cost)
            model = finish(store, Path(spec["out"]), record.role, start, chosen, cost, record.run.id)
            record.note("", model=model.id)
    if record.state != "done":
        raise typer.Exit(1)
    hidden = ("losses", "options")
    print(json.dumps({"model": model.id, "role": model.role, "spec": model.spec}
                     | {k: v for k, v in cost.items() if k not in hidden}))  # fmt: skip
