"""The form of a training: what, on which dataset, from which base, with which settings, and what it will take.

Everything in the form travels with each request as text; `spec_of` reads it for stepviz.train_job, which says what
is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from db.store import Store
from db.values import DatasetRow
from stepviz import train_job
from stepviz.checkpoints import Checkpoint
from stepviz.errors import StepvizError
from stepviz.train_estimate import Estimate, estimate, estimate_rounds
from stepviz.train_memory import Machine, memory_of
from stepviz.trainings import TRAININGS, Training, defaults_for, is_large, learns_from
from stepviz.ui import view_questions
from stepviz.ui.train_words import SETTINGS
from stepviz.ui.view_base import FIRST_BASE, OWN, about, base_choices, base_in, looked
from stepviz.ui.view_recipe import Field, Kind

FIRST = "sft"
BASIC = ("learning_rate", "epochs", "batch")
MORE = ("length", "seed", "compile")
FITTING = 40  # datasets to choose from
SMALL = 1  # parameters: of the embedded models' defaults, which stay while no base can be read
_SWITCHES = ("compile", "soft", "add_token", "full_epochs")


@dataclass(frozen=True, slots=True)
class DatasetChoice:
    id: int
    name: str
    version: int
    recipe: str
    rows: int
    on: bool = False


@dataclass(frozen=True, slots=True)
class TrainForm:
    """`large`: the base is of a published model's size. lacks: why it cannot start; notes: what to think of before.

    asked: the questions of a training that reads no dataset, of which `source` is one field.
    serial: of the request that this answers (static/js/form.js), so that what was typed since stays.
    """

    training: Training
    datasets: tuple[DatasetChoice, ...] = ()
    base: str = FIRST_BASE
    choices: tuple[tuple[str, str], ...] = ()
    own: str = ""
    about: str = ""
    large: bool = False
    asked: tuple[Field, ...] = ()
    source: str = ""
    lora: str = "0"
    basic: tuple[Field, ...] = ()
    more: tuple[Field, ...] = ()
    name: str = ""
    suggested: str = ""
    estimate: Estimate | None = None
    machine: Machine | None = None
    notes: tuple[str, ...] = ()
    lacks: str = ""
    serial: str = ""


def form_of(store: Store, sent: Mapping[str, Any], dataset: int | None = None) -> TrainForm:
    """The form as it was sent; `dataset`: the one of the address, which a fresh form begins with."""
    training = _training(store, sent, dataset)
    every = store.datasets()
    fitting = [d for d in every if d.recipe in training.datasets][:FITTING]
    chosen = _chosen(training, fitting, sent, dataset)
    base, own = base_in(sent)
    choices = base_choices(store)
    found, mistake = looked(base)
    size = train_job.size_of(found) if found else SMALL
    asked = view_questions.fields(store, sent) if training.asks else ()
    settings = _settings(training, sent, size) | {f.name: (f.value, f.value) for f in asked}
    name = str(sent.get("name", "")).strip()[:80]
    form = TrainForm(
        training=training,
        datasets=tuple(DatasetChoice(d.id, d.name, d.version, d.recipe, d.n_rows, d in chosen) for d in fitting),
        base=OWN if own is not None else base,
        choices=choices,
        own=own or "",
        about=about(found),
        large=is_large(size),
        asked=asked,
        source=next((f.value for f in asked if f.name == "source"), ""),
        name=name,
        suggested=_suggested(store, training),
        machine=memory_of(),
        serial=str(sent.get("serial", ""))[:12],
    )
    return _filled(store, form, chosen, found, mistake, settings)


def spec_of(store: Store, sent: Mapping[str, Any]) -> dict[str, Any]:
    """For jobs.start. StepvizError names what cannot be read."""
    training = _training(store, sent, None)
    base, _ = base_in(sent)
    given = {name: sent[name] for name in (*BASIC, *MORE) if str(sent.get(name, "")).strip()}
    given["compile"] = bool(sent.get("compile"))
    options = {
        name: bool(sent.get(name)) if name in _SWITCHES else sent[name]
        for name in training.options
        if name in _SWITCHES or str(sent.get(name, "")).strip()
    }
    return {
        "recipe": training.name,
        "datasets": _ids(sent),
        "base": base,
        "name": str(sent.get("name", "")).strip() or _suggested(store, training),
        "settings": given,
        "options": options,
    }


def sent_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """The form that would start this training again, under another name."""
    given = {**spec["settings"], **spec["options"]}
    whole = {key: int(value) for key, value in given.items() if isinstance(value, float) and value.is_integer()}
    sent = {key: str(value) for key, value in (given | whole).items()}
    sent = {key: "on" if value == "True" else value for key, value in sent.items() if value != "False"}
    sent |= {f"data-{id}": "on" for id in spec["datasets"]}
    return sent | {
        "recipe": spec["recipe"],
        "of": spec["recipe"],
        "base": OWN,
        "own": spec["base"],
        "ofsize": "any",
    }


def _training(store: Store, sent: Mapping[str, Any], dataset: int | None) -> Training:
    name = str(sent.get("recipe", ""))
    if not name and dataset is not None:
        try:
            name = next(iter(learns_from(store.dataset(dataset).recipe)), "")
        except StepvizError:
            name = ""
    return TRAININGS.get(name, TRAININGS[FIRST])


def _ids(sent: Mapping[str, Any]) -> list[int]:
    """A radio's value, and every ticked box. No field is called dataset: in a browser it would hide form.dataset."""
    texts = [
        str(sent.get("data", "")),
        *(key.removeprefix("data-") for key in sent if key.startswith("data-")),
    ]
    return [int(t) for t in texts if t.isascii() and t.isdigit() and len(t) < 12]


def _chosen(
    training: Training, fitting: Sequence[DatasetRow], sent: Mapping[str, Any], dataset: int | None
) -> list[DatasetRow]:
    """Those that were chosen and fit; else the one of the address, else the newest of each recipe that it mixes."""
    ids = _ids(sent) if sent.get("of") == training.name else [dataset] if dataset is not None else []
    found = [d for d in fitting if d.id in ids]
    if found or sent.get("of") == training.name:
        return found if training.mixed else found[:1]
    newest = {d.recipe: d for d in reversed(fitting)}
    kinds = training.datasets if training.mixed else (fitting[0].recipe,) if fitting else ()
    return [newest[recipe] for recipe in kinds if recipe in newest]


def _settings(training: Training, sent: Mapping[str, Any], size: int | None) -> dict[str, tuple[str, str]]:
    """name → (value, default) as text. What was left at the default follows it when the training or base changes."""
    now = _texts(training, size, view_questions.source_of(sent), _rank(sent, "lora"))
    shown = TRAININGS.get(str(sent.get("of", "")))
    if shown is None:
        return {name: (value, value) for name, value in now.items()}
    size_before = None if sent.get("ofsize") == "large" else SMALL
    before = _texts(shown, size_before, str(sent.get("ofsource", "")), _rank(sent, "oflora"))
    out = {}
    for name, default in now.items():
        given = ("on" if sent.get(name) else "") if name in _SWITCHES else str(sent.get(name, default)).strip()[:40]
        kept = name in before and (given != before[name] or sent.get("ofsize") == "any")
        out[name] = (given if kept else default, default)
    return out


def _rank(sent: Mapping[str, Any], name: str) -> int:
    text = str(sent.get(name, "")).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _texts(training: Training, size: int | None, source: str, lora: int) -> dict[str, str]:
    rank = lora if "lora" in training.options else 0
    values = asdict(defaults_for(training, size, rank)) | view_questions.defaults(training, source)
    return {name: _text(value) for name, value in values.items()} | {"compile": ""}


def _text(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return value if isinstance(value, str) else f"{value:g}"


def _filled(
    store: Store,
    form: TrainForm,
    chosen: Sequence[DatasetRow],
    base: Checkpoint | None,
    mistake: str,
    settings: Mapping[str, tuple[str, str]],
) -> TrainForm:
    """With fields, what the training will take, and what is wrong with it."""
    basic, more = (tuple(_field(n, *settings[n]) for n in names) for names in _places(form.training))
    lora = settings.get("lora", ("0", "0"))[0]
    more = more if form.large or lora != "0" else tuple(field for field in more if field.name != "lora")
    form = replace(form, basic=basic, more=more, lora=lora)
    if not chosen and not form.training.asks:
        return replace(form, lacks=_no_dataset(form))
    if base is None:
        return replace(
            form, lacks=mistake if form.own or form.base != OWN else "Give the folder or the hub id of a model."
        )
    sent = {n: value for n, (value, _) in settings.items()} | {f"data-{d.id}": "on" for d in chosen}
    sent |= {"recipe": form.training.name, "base": form.base, "own": form.own, "name": form.name}
    try:
        spec = train_job.normalised(store, spec_of(store, sent))
    except StepvizError as error:
        return replace(form, lacks=str(error))
    try:
        told = _estimate(store, form.training, chosen, base, spec)
        form = replace(form, estimate=told, notes=tuple(_notes(told, form.machine)))
        train_job.check(store, spec)
    except StepvizError as error:
        return replace(form, lacks=str(error))
    return form


def _estimate(
    store: Store, training: Training, chosen: Sequence[DatasetRow], base: Checkpoint, spec: Mapping[str, Any]
) -> Estimate:
    if training.asks:
        return estimate_rounds(store, base, spec["settings"], spec["options"])
    return estimate(store, training, chosen, base, spec["settings"], spec["options"])


def _places(training: Training) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The settings that are always seen, and those behind "More"."""
    if training.asks:
        return (*view_questions.BASIC, *BASIC), (*view_questions.MORE, *MORE)
    return BASIC, (*training.options, *MORE)


def _field(name: str, value: str, default: str) -> Field:
    label, about = SETTINGS[name]
    kind: Kind = (
        "switch" if name in _SWITCHES else "share" if name in ("learning_rate", "epochs", "held_out") else "number"
    )
    return Field(name, label, about, kind, value, changed=value != default)


def _no_dataset(form: TrainForm) -> str:
    if form.datasets:
        return "Choose a dataset."
    kinds = " or ".join(form.training.datasets)
    return f"{form.training.name} learns from a dataset of the recipe {kinds}, and there is none yet: build one first."


def _notes(told: Estimate, machine: Machine | None) -> list[str]:
    found = []
    if told.memory is None:
        found.append("The memory it needs is asked when it starts, before its weights are fetched.")
    if told.steps < 20:
        found.append(
            f"Only {told.steps} step{'s' if told.steps != 1 else ''}: too few to learn much. "
            "More rows, more epochs or a smaller batch give more."
        )
    if told.long >= 0.01:
        found.append(f"About {100 * told.long:.0f} % of the rows are longer than a block and will be left out.")
    if machine and told.memory and machine.free < told.memory <= machine.total:
        found.append(f"Only {machine.free / 1e9:.1f} GB are free on {machine.where} at this moment.")
    return found


def _suggested(store: Store, training: Training) -> str:
    """my-sorm, my-sorm-2, …: the first that is not taken."""
    folder, taken = train_job.models_folder(store), {r.spec.get("name") for r in store.runs(200, train_job.KIND)}
    names = (f"my-{training.name}{f'-{i}' if i > 1 else ''}" for i in range(1, 1000))
    return next(name for name in names if name not in taken and not (folder / name).exists())
