"""A training as a job: its settings in one spelling, what is wrong with them before anything starts, its command.

spec: {"recipe", "datasets": ids, "base", "name", "out": folder, "settings": {…}, "options": {…}}; expert iteration has
no datasets, its options name the questions it reads (stepviz.train_questions). The models of the app lie in `models/`
beside the database. Nothing here loads torch: what it needs to know stands in the files.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from db.session import store_url
from db.store import Store
from db.values import DatasetRow, RunRow
from stepviz import train_left, train_questions
from stepviz.checkpoints import Checkpoint, look
from stepviz.errors import StepvizError
from stepviz.train_memory import memory_of, require
from stepviz.trainings import BAD, COLUMNS, PRESETS, Defaults, Option, Training, defaults_for, learns_from, named

KIND = "train"
WAYS = {"cancelled": "was cancelled", "interrupted": "was interrupted", "done": "is done"}  # a run did, in a sentence
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (0.001, 1000),
    "learning_rate": (1e-9, 1.0),
    "batch": (1, 4096),
    "length": (16, 131072),
    "seed": (0, 2**31 - 1),
    "held_out": (0.0, 0.9),
    "samples": (1, 4096),
    "questions": (0, 10_000_000),
    "rounds": (1, 50),
    "dev": (1, 1_000_000),
    "supervised": (0, 10_000_000),
    "lora": (0, 1024),
}
_WHOLE = ("batch", "length", "seed", "samples", "questions", "rounds", "dev", "supervised", "lora")
_OPTIONS = {"learning_rate": "--lr", "samples": "--k"}  # those that are not called as their settings
WORDS = {
    "epochs": "number of epochs",
    "learning_rate": "learning rate",
    "held_out": "held-out share",
    "length": "block length",
    "batch": "batch",
    "samples": "number of samples a question",
    "questions": "number of questions",
    "rounds": "number of rounds",
    "dev": "number of problems that judge the rounds",
    "supervised": "number of reference solutions",
    "lora": "LoRA rank",
}


def models_folder(store: Store) -> Path:
    """`models` beside the SQLite file; for a server's database in the working directory."""
    url = store_url(store.url)
    beside = Path(url.database).parent if url.get_backend_name() == "sqlite" and url.database else Path()
    return (beside / "models").absolute()


def normalised(store: Store, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting with its value. StepvizError for what cannot be read."""
    known = {"recipe", "dataset", "datasets", "base", "name", "out", "settings", "options"}
    if unknown := sorted(spec.keys() - known):
        raise StepvizError(f"a train job does not know {', '.join(unknown)}")
    training = named(str(spec.get("recipe", "")))
    base = look(str(spec.get("base") or ""))
    if base.spec.startswith("openai:"):
        raise StepvizError("a server's model cannot be trained: name its checkpoint, a folder or a hub id")
    ids = [int(id) for id in spec.get("datasets") or [spec[k] for k in ("dataset",) if k in spec]]
    if training.asks and ids:
        raise StepvizError(f"{training.name} reads questions of the store and freezes its own datasets: give none")
    if not ids and not training.asks:
        raise StepvizError(f"choose a dataset: {training.name} learns from {' or '.join(training.datasets)}")
    name = str(spec.get("name") or (Path(spec["out"]).name if spec.get("out") else "")).strip()
    if not _NAME.fullmatch(name):
        raise StepvizError("a model's name has 1 to 64 letters, digits, dots, dashes or underscores, such as my-sorm")
    options = _options(training, spec.get("options") or {})
    defaults = defaults_for(training, size_of(base), options.get("lora", 0))
    return {
        "recipe": training.name,
        "datasets": list(dict.fromkeys(ids)),
        "base": base.spec,
        "name": name,
        "out": str(Path(spec["out"]).absolute() if spec.get("out") else models_folder(store) / name),
        "settings": _settings(defaults, spec.get("settings") or {}),
        "options": options,
    }


def check(store: Store, spec: Mapping[str, Any], run_id: int | None = None) -> None:
    """StepvizError, saying what to do, where this training could not work. `run_id`: the run that asks."""
    check_name(store, spec, run_id)
    check_work(store, spec)


def check_work(store: Store, spec: Mapping[str, Any]) -> None:
    """All but the name."""
    training, base = named(spec["recipe"]), look(spec["base"])
    if training.asks:
        train_questions.check(store, spec["options"])
    else:
        check_datasets(store, training, spec["datasets"], bool(spec["options"].get("soft")))
    check_base(training, base, bool(spec["options"].get("add_token")))
    check_memory(base, spec)


def check_name(store: Store, spec: Mapping[str, Any], run_id: int | None = None) -> None:
    """The name: nobody else's, no model's, and without a checkpoint of another training."""
    check_free(spec, store.live_runs(KIND), run_id)
    name, out = spec["name"], Path(spec["out"])
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not train_left.finished_by(out, run_id):
        raise StepvizError(f"{out} is not empty; choose another --out (another name)")
    work = train_left.partial(out)
    if train_left.keeps(work) and train_left.spec_in(work) != spec:
        run = train_left.owner(store, KIND, out)
        whose = f"run {run.id}, which {WAYS.get(run.state, run.state)}: go on with that one" if run else "another one"
        raise StepvizError(
            f"the name {name} has the checkpoint of a training with other settings, {whose}, choose another name, "
            "or give up that checkpoint (--discard)"
        )


def check_free(spec: Mapping[str, Any], live: Sequence[RunRow], run_id: int | None = None) -> None:
    """StepvizError where one of these runs, which are live, works under the same name."""
    for run in live:
        if run.id != run_id and run.spec.get("out") == spec["out"]:
            stopped = run.state == "interrupted"
            what = "belongs to the interrupted" if stopped else "is being trained by"
            do = "go on with that one, cancel it" if stopped else "cancel that one"
            raise StepvizError(f"the name {spec['name']} {what} run {run.id}: {do}, or choose another name")


def enter(store: Store, spec: Mapping[str, Any], worker: str | None = None, lease_s: float = 60.0) -> tuple[int, bool]:
    """(the run of this spec that is live, or failed and can go on, False); else (a new one, everything checked, True).

    With `worker` a new one is that one's from the start. Two that ask at once get the same run.
    """
    same = next((run for run in store.live_runs(KIND) if run.spec == spec), None)
    same = same or train_left.stopped(store, KIND, spec)
    if same is not None:
        return same.id, False
    check(store, spec)
    return store.join_run(KIND, spec, worker, lease_s, lambda live: check_free(spec, live))


def discard(store: Store, spec: Mapping[str, Any]) -> None:
    """Gives up what a training under this name has left. StepvizError while one is at work."""
    live = [run for run in store.live_runs(KIND) if run.spec.get("out") == spec["out"]]
    check_free(spec, [run for run in live if run.state != "interrupted"])
    for run in live:
        store.request_cancel(run.id)
    shutil.rmtree(train_left.partial(Path(spec["out"])), ignore_errors=True)


def check_datasets(store: Store, training: Training, ids: Sequence[int], soft: bool = False) -> list[DatasetRow]:
    """The datasets: there, of a kind that this training learns from, and not empty."""
    found = [store.dataset(id) for id in ids]
    if len(found) > 1 and not training.mixed:
        raise StepvizError(f"{training.name} learns from one dataset, not from {len(found)}")
    for dataset in found:
        unfit(training, dataset)
        if dataset.n_rows == 0:
            raise StepvizError(f"dataset {dataset.id} ({dataset.name}) is empty: nothing to train on")
        _check_columns(training, dataset, next(iter(store.dataset_rows(dataset.id, 0, 1))), soft)
    if len({d.config["target"] for d in found if "target" in d.config}) > 1:
        raise StepvizError(
            "these datasets have their refiner write different things: whole solutions in one, suffixes in another. "
            "Take datasets that were built with the same target"
        )
    return found


def unfit(training: Training, dataset: DatasetRow) -> None:
    """StepvizError for a dataset of another kind. sft takes whatever imitates, by its columns."""
    other = [t for t in learns_from(dataset.recipe) if t != training.name]
    if dataset.recipe not in training.datasets and (other or training.name != "sft"):
        hint = f" ({dataset.recipe} is for {' or '.join(other)})" if other else ""
        raise StepvizError(
            f"dataset {dataset.id} ({dataset.name}) was built by the recipe {dataset.recipe}; {training.name} learns "
            f"from {' or '.join(training.datasets)}: build one with `python -m stepviz dataset build "
            f"{training.datasets[0]}`{hint}"
        )


def _check_columns(training: Training, dataset: DatasetRow, row: Mapping[str, Any], soft: bool) -> None:
    where, columns = f"dataset {dataset.id} ({dataset.name})", COLUMNS[training.format]
    lacking = [name for name in columns if name not in row]
    if lacking:
        raise StepvizError(
            f"{where} has no columns {', '.join(columns[:-1])} and {columns[-1]}; "
            f"build one by the recipe {' or '.join(training.datasets)}"
        )
    if soft and not (isinstance(row.get("k"), list) and isinstance(row.get("n"), list)):
        raise StepvizError(
            f"{where} has no counts k and n for each step: train without --soft, or build it with --soft"
        )
    labels = dataset.counts.get("labels")
    if isinstance(labels, Mapping) and labels and not any(n for key, n in labels.items() if key != "masked"):
        raise StepvizError(f"no step of {where} has a label: measure chains first, then build it again")


def check_base(training: Training, base: Checkpoint, add_token: bool = False) -> None:
    if base.causal is False:
        kind = ", ".join(map(str, base.config.get("architectures", ())))
        raise StepvizError(
            f"{base.name} is no language model ({kind}): start {training.name} from embedded:base, embedded:student "
            "or another causal checkpoint"
        )
    if training.role == "refiner" and not add_token and base.has_token(BAD) is False:
        raise StepvizError(
            f"{base.name} has no {BAD} token, by which a refiner is told where to begin: start from embedded:base or "
            "embedded:student, or let the training add it (--add-token)"
        )


def check_memory(base: Checkpoint, spec: Mapping[str, Any], parameters: int | None = None) -> None:
    """parameters: of a base whose weights are not here yet, where its config has told them."""
    lora, can_adapt = spec["options"].get("lora", 0), "lora" in named(spec["recipe"]).options
    require(base, spec["settings"], memory_of(), parameters, lora, can_adapt)


def size_of(base: Checkpoint) -> int | None:
    """Parameters, by which defaults are chosen. None of a hub id, so that the same command is the same training
    before its weights are here and after."""
    return None if base.of_hub else base.parameters


def words(spec: Mapping[str, Any]) -> list[str]:
    """`RECIPE --dataset 3 --base …`: what stands behind `python -m training`."""
    command = [spec["recipe"]]
    for id in spec["datasets"]:
        command += ["--dataset", str(id)]
    command += ["--base", spec["base"], "--out", spec["out"]]
    flags = {**spec["settings"], **spec["options"]}
    for name, value in flags.items():
        option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
        if isinstance(value, bool):
            command += [option] if value else ["--no-compile"] if name == "compile" else []
        elif isinstance(value, str):
            command += [f"{option}={value}"]  # it may begin with a dash
        else:
            command += [option, str(value)]
    return command


def _settings(defaults: Defaults, given: Mapping[str, Any]) -> dict[str, Any]:
    made = asdict(defaults)
    if unknown := sorted(given.keys() - made.keys()):
        raise StepvizError(f"a training has no setting {', '.join(unknown)}; there are: {', '.join(made)}")
    made |= {k: v for k, v in given.items() if v is not None}
    return {name: _number(name, value, name in _WHOLE) for name, value in made.items()}


def _options(training: Training, given: Mapping[str, Any]) -> dict[str, Any]:
    """A preset stands for the options that it names and nobody gave."""
    given = {k: v for k, v in given.items() if v is not None}
    preset = str(given.pop("preset", "")) if training.asks else ""
    if preset and preset not in PRESETS:
        raise StepvizError(f"no preset {preset!r}; there is: {', '.join(PRESETS)}")
    if unknown := sorted(given.keys() - training.options.keys()):
        raise StepvizError(f"{training.name} has no option {', '.join(unknown)}")
    made = dict(training.options) | PRESETS.get(preset, {}) | given
    made = {name: _option(name, value, training.options[name]) for name, value in made.items()}
    return {name: value for name, value in made.items() if name != "lora" or value}  # as before there were adapters


def _option(name: str, value: Any, default: Option) -> Any:
    if isinstance(default, str):
        text = str(value).strip() or default
        return look(text).spec if name == "student" else text[:200]
    return _number(name, value, name in _WHOLE)


def _number(name: str, value: Any, whole: bool) -> Any:
    if name not in _LIMITS:
        return bool(value)
    called, (low, high) = WORDS.get(name, name), _LIMITS[name]
    try:
        number = int(str(value)) if whole else float(value)
    except (TypeError, ValueError):
        kind = "a whole number" if whole else "a number"
        raise StepvizError(f"the {called} is {kind}, not {str(value)[:40]!r}") from None
    if not low <= number <= high:
        raise StepvizError(f"the {called} is between {low:g} and {high:g}, not {number:g}")
    return number
