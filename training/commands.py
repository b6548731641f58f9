"""`python -m training sft | orm | … | refiner | expert-iteration`: from the store to a model in it.

All but expert iteration, which freezes datasets of its own, read a frozen dataset. They check everything before
anything starts, write an ordinary checkpoint with its training.json, and leave a record of the model with its parents,
so that it can be chosen wherever the store is open. Each is a Run of the store while it works, started by hand or by
the app; the same command goes on with one that was interrupted, or that failed and left a checkpoint.

The command of a training is made from its entry in stepviz.trainings: its settings, and the options it has of its own.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from db.store import Store, open_store
from db.values import DatasetRow, ModelRow
from stepviz import train_job
from stepviz.trainings import Training
from training import memory
from training.language_model import Settings
from training.record import Base, base_of, finish, publish, rows, workplace
from training.recorded import Recorded
from training.watching import KEEP_EVERY_S

Db = Annotated[str | None, typer.Option("--db", help="store; default: STEPVIZ_DB, else sqlite:///stepviz.db")]
Dataset = Annotated[int, typer.Option(help="id of a dataset of the store")]
Mixed = Annotated[list[int], typer.Option("--dataset", help="id of a dataset of the store; may be repeated")]
BaseModel = Annotated[str, typer.Option(help="checkpoint to start from: embedded:NAME, a folder or a hub id")]
Out = Annotated[Path, typer.Option(help="folder for the new checkpoint, whose last part is the model's name")]
Discard = Annotated[bool, typer.Option("--discard", help="begin anew: give up the checkpoint left under this name")]
Keep = Annotated[
    float,
    typer.Option(
        "--checkpoint-every",
        envvar="STEPVIZ_CHECKPOINT_EVERY",
        help="seconds; a training that was killed goes on from its last checkpoint",
    ),
]
SETTINGS: dict[str, Any] = {
    "epochs": Annotated[float | None, typer.Option(help="default: the embedded models'; 2 for a published base")],
    "learning_rate": Annotated[
        float | None, typer.Option("--lr", help="peak; default: the embedded models'; 1e-5 for a published base")
    ],
    "batch": Annotated[int | None, typer.Option(help="packed blocks a step")],
    "length": Annotated[int | None, typer.Option(help="tokens a block; what is longer is left out, and counted")],
    "seed": Annotated[int | None, typer.Option()],
    "compile": Annotated[bool | None, typer.Option(help="default: only models as small as the embedded ones")],
}
OPTIONS: dict[str, Any] = {
    "soft": Annotated[bool, typer.Option("--soft", help="learn k/n in place of labels; of rollouts that is V")],
    "held_out": Annotated[float | None, typer.Option(help="share of the problems that judge the trained model")],
    "lora": Annotated[int | None, typer.Option(help="rank of adapters that learn, not the weights (a 7B: 16)")],
    "add_token": Annotated[bool, typer.Option("--add-token", help="give the model [BAD] where it has none")],
    "preset": Annotated[str | None, typer.Option(help="embedded: 16 samples on at most 1,500 questions, 3 rounds")],
    "student": Annotated[str | None, typer.Option(help="who samples first; default: embedded")],
    "source": Annotated[str | None, typer.Option(help="of the questions; default: embedded")],
    "split": Annotated[str | None, typer.Option(help="default: train; any: whatever is no test split")],
    "samples": Annotated[int | None, typer.Option("--k", help="samples a question; default: 96")],
    "questions": Annotated[int | None, typer.Option(help="that are sampled; default: 0, all of the split")],
    "rounds": Annotated[int | None, typer.Option(help="at most; default: 5")],
    "dev_split": Annotated[str | None, typer.Option(help="judges the rounds; default: dev; the same: its last ones")],
    "dev": Annotated[int | None, typer.Option(help="problems of it; default: 800")],
    "supervised": Annotated[int | None, typer.Option(help="reference solutions; default: 0, all of the split")],
    "full_epochs": Annotated[
        bool,
        typer.Option("--full-epochs", help="epochs of each round's rows; default: as many tokens as of references"),
    ],
}
HELP = {
    "sft": "Supervised fine-tuning on (prompt, completion) rows.",
    "orm": "Outcome reward model: V of the student after each step.",
    "balanced-orm": "The same, classes balanced for each question.",
    "sorm": "Stepwise outcome reward model: can the answer still be reached from here?",
    "prm": "Process reward model: is the step correct, by labels of a recipe stepwise?",
    "refiner": "One refiner for both kinds of refinement: give a refine-local and a refine-global dataset.",
    "expert-iteration": "The student learns from its own right samples, from the base again each round (GLoRe).",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a trainer is given, everything checked. `out`: the folder to work in."""

    store: Store
    spec: Mapping[str, Any]
    datasets: Sequence[DatasetRow]
    base: Base
    out: Path
    record: Recorded

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        return rows(self.store, self.datasets)

    def settings(self, defaults: Settings) -> Settings:
        """The trainer's own, with those of the run."""
        return replace(defaults, **self.spec["settings"])


def command(training: Training) -> Callable[..., None]:
    """The command of a training, for typer."""

    def run(**given: Any) -> None:
        _through(training, given)

    run.__doc__ = HELP[training.name]
    run.__signature__ = inspect.Signature(list(_parameters(training)))  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def _parameters(training: Training) -> Iterator[inspect.Parameter]:
    def option(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    if training.asks:
        yield option("out", Out)
        yield option("base", BaseModel, "embedded:base")
        yield option("preset", OPTIONS["preset"], None)
    else:
        yield option("dataset", Mixed if training.mixed else Dataset)
        yield option("base", BaseModel)
        yield option("out", Out)
    yield option("db", Db, None)
    for name, annotation in SETTINGS.items():
        yield option(name, annotation, None)
    for name, default in training.options.items():
        yield option(name, OPTIONS[name], default if isinstance(default, bool) else None)
    yield option("checkpoint_every", Keep, KEEP_EVERY_S)
    yield option("discard", Discard, False)


def _through(training: Training, given: Mapping[str, Any]) -> None:
    """One line of JSON a report; the last one is the model with what it cost."""
    with open_store(given["db"]) as store:
        spec = train_job.normalised(store, _spec(training, given))
        if given["discard"]:
            train_job.check_work(store, spec)
            train_job.discard(store, spec)
        with Recorded(store, spec, given["checkpoint_every"]) as record:
            base, chosen = base_of(spec["base"]), [store.dataset(id) for id in spec["datasets"]]
            cost = record.finished()
            if cost is None:
                work = Work(store, spec, chosen, base, workplace(spec), record)
                record.note(f"loading {spec['base']}")
                record.tell(memory.require(spec))
                found = TRAINERS[training.name](work)
                cost = {**found, **record.about(), "recipe": training.name, "options": spec["options"]}
                with record.publishing():
                    publish(spec, cost)
            model = _on_record(store, record, base, cost)
            record.note("", model=model.id)
    if record.state != "done":
        raise typer.Exit(1)
    hidden = ("losses", "options")
    print(json.dumps({"model": model.id, "role": model.role, "spec": model.spec}
                     | {k: v for k, v in cost.items() if k not in hidden}))  # fmt: skip


def _on_record(store: Store, record: Recorded, base: Base, cost: Mapping[str, Any]) -> ModelRow:
    """With its parents: the base, and the student whose samples it has learnt from."""
    spec = record.spec
    chosen = [store.dataset(id) for id in cost.get("learnt_from") or spec["datasets"]]
    student = [base_of(spec["options"]["student"])] if "student" in spec["options"] else []
    return finish(store, record.out, record.role, base, chosen, cost, record.run.id, student)


def _spec(training: Training, given: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the command, as train_job.normalised reads it."""
    asked = given.get("dataset", [])
    return {
        "recipe": training.name,
        "datasets": asked if isinstance(asked, list) else [asked],
        "base": given["base"],
        "out": str(given["out"]),
        "settings": {name: given[name] for name in asdict(training.defaults)},
        "options": {name: given[name] for name in (*training.options, "preset") if name in given},
    }


def _sft(work: Work) -> dict[str, Any]:
    from training import sft

    settings, report = work.settings(sft.STUDENT), work.record.watch
    return sft.run(work.rows, work.base.source, work.out, settings, report, **work.spec["options"])


def _refiner(work: Work) -> dict[str, Any]:
    from training import refiner

    settings, report = work.settings(refiner.REFINER), work.record.watch
    return refiner.run(work.rows, work.base.source, work.out, settings, **work.spec["options"], report=report)


def _step_scores(work: Work) -> dict[str, Any]:
    from training import step_scores

    options, recipe = work.spec["options"], step_scores.RECIPES[work.spec["recipe"]]
    told = {"soft": options["soft"], "share": options["held_out"], "template": work.datasets[0].config.get("template")}
    told["counts"] = step_scores.counts_of(work.datasets[0].config)
    settings, report = work.settings(step_scores.SCORER), work.record.watch
    return step_scores.run(work.rows, work.base.source, work.out, recipe, settings, **told, report=report)


def _expert_iteration(work: Work) -> dict[str, Any]:
    from training import expert_iteration as ei
    from training.sft import STUDENT

    spec, out = work.spec, Path(work.spec["out"])
    student, done = base_of(spec["options"]["student"]), out.with_name(f"{out.name}-rounds")
    plan, settings, record = ei.plan_of(spec), work.settings(STUDENT), work.record
    at_work = ei.Iteration(work.store, work.base, student, out.name, work.out, done, plan, settings, record.watch)
    at_work.run_id = record.run.id
    return at_work.run()


TRAINERS: dict[str, Callable[[Work], dict[str, Any]]] = {
    "sft": _sft,
    "orm": _step_scores,
    "balanced-orm": _step_scores,
    "sorm": _step_scores,
    "prm": _step_scores,
    "refiner": _refiner,
    "expert-iteration": _expert_iteration,
}
