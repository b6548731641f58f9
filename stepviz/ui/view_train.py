"""What the Train page shows: trainings, newest first, and one of them with its loss and its model. No HTML."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from db.values import DatasetRow, ModelRow, RunRow
from stepviz import embedded
from stepviz.errors import StepvizError
from stepviz.reward.specs import ROLES
from stepviz.train_job import KIND, words
from stepviz.train_left import can_go_on
from stepviz.ui.rows import RunLine
from stepviz.ui.status import run_line
from stepviz.ui.view_datasets import age
from stepviz.ui.view_train_form import TrainForm, form_of
from stepviz.ui.workbench import Workbench

LISTED = 100
LOG = 60  # lines of a log


@dataclass(frozen=True, slots=True)
class At:
    """What the address says: a training, or a dataset to train on."""

    run: int | None = None
    dataset: int | None = None


@dataclass(frozen=True, slots=True)
class TrainingLine:
    """`loss` is the newest."""

    run: RunLine
    name: str
    recipe: str
    age: str
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingList:
    lines: tuple[TrainingLine, ...]
    selected: int | None = None


@dataclass(frozen=True, slots=True)
class RoundLine:
    """A round of expert iteration; 0 is the student it began with. greedy: accuracy, a share."""

    number: int
    greedy: float
    rows: int = 0
    dataset: int = 0
    best: bool = False


@dataclass(frozen=True, slots=True)
class OpenTraining:
    """A run with what came of it. `resumable`: it stopped, and there is a checkpoint to go on from.

    steps: of the training that the losses are of; rounds: what expert iteration has reached so far.
    """

    line: TrainingLine
    spec: Mapping[str, Any]
    losses: tuple[tuple[int, float], ...] = ()
    tokens: int = 0
    steps: int | None = None
    rounds: tuple[RoundLine, ...] = ()
    datasets: tuple[DatasetRow, ...] = ()
    model: ModelRow | None = None
    there: bool = False  # the model's files are
    compare: str = ""  # the address at which it is compared with the one it came from
    command: str = ""
    log: tuple[str, ...] = ()
    resumable: bool = False
    ahead: int = 0  # trainings that are before this one


@dataclass(frozen=True, slots=True)
class TrainPage:
    form: TrainForm
    list: TrainingList
    open: OpenTraining | None = None
    missing: str = ""


def parse(query: str) -> At:
    """An address written by anyone: what is no number is left out."""
    given = parse_qs(query.removeprefix("?")[:2000])

    def number(name: str) -> int | None:
        text = given.get(name, [""])[0]
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None

    return At(number("run"), number("dataset"))


def page_of(bench: Workbench, at: At, sent: Mapping[str, Any] | None = None) -> TrainPage:
    """The whole page; without a training in the address the newest one is open."""
    opened, missing = open_training(bench, at)
    listed = training_list(bench, opened.line.run.id if opened else None)
    return TrainPage(form_of(bench.store, sent or {}, at.dataset), listed, opened, missing)


def training_list(bench: Workbench, selected: int | None) -> TrainingList:
    return TrainingList(tuple(_line(row) for row in bench.store.runs(LISTED, KIND)), selected)


def open_training(bench: Workbench, at: At) -> tuple[OpenTraining | None, str]:
    """(the training of the address, or why there is none)."""
    store = bench.store
    if at.run is None:
        row = next(iter(store.runs(1, KIND)), None)
        return (_opened(bench, row) if row else None), ""
    try:
        row = store.run(at.run)
    except StepvizError as error:
        return None, str(error)
    if row.kind != KIND:
        return None, f"Run {row.id} is no training: Runs shows it."
    return _opened(bench, row), ""


def _opened(bench: Workbench, row: RunRow) -> OpenTraining:
    store, spec = bench.store, row.spec
    made = store.model(str(row.progress.get("model"))) if row.progress.get("model") else None
    before = [r for r in store.runs(LISTED, KIND) if r.id < row.id and r.state in ("queued", "running")]
    return OpenTraining(
        line=_line(row),
        spec=spec,
        losses=tuple((int(step), float(loss)) for step, loss in row.progress.get("losses") or ()),
        tokens=int(row.progress.get("tokens") or 0),
        steps=row.progress.get("steps") or row.progress.get("total"),
        rounds=_rounds(row.progress.get("rounds") or (), made),
        datasets=tuple(_datasets(bench, spec, made)),
        model=made,
        there=made is not None and (Path(made.spec.partition(":")[2]) / "config.json").is_file(),
        compare=_compare(spec, made),
        command=" ".join(("python -m training", *_quoted(words(spec)))),
        log=tuple(line for _, line in store.log_lines(row.id))[-LOG:],
        resumable=row.state in ("failed", "cancelled", "interrupted") and can_go_on(row),
        ahead=len(before) if row.state == "queued" else 0,
    )


def _compare(spec: Mapping[str, Any], made: ModelRow | None) -> str:
    """A student with the one whose samples it has learnt from, else with its base; a scorer with the shipped one."""
    if made is not None and made.role in ROLES and made.role in embedded.names():
        return f"/compare?{urlencode({'before': f'embedded:{made.role}', 'after': made.spec})}"
    if made is None or made.role != "generator":
        return ""
    options = spec.get("options") or {}
    asked = {"before": str(options.get("student") or spec.get("base", "")), "after": made.spec}
    if "dev_split" in options and options["dev_split"] != options.get("split"):
        asked |= {"source": str(options.get("source", "")), "split": str(options["dev_split"])}
    return f"/compare?{urlencode(asked)}"


def _rounds(told: Sequence[Mapping[str, Any]], made: ModelRow | None) -> tuple[RoundLine, ...]:
    best = made.meta.get("round") if made else None
    return tuple(
        RoundLine(int(r["number"]), float(r["greedy"]), int(r["rows"]), int(r["dataset"] or 0), r["number"] == best)
        for r in told
    )


def _datasets(bench: Workbench, spec: Mapping[str, Any], made: ModelRow | None) -> list[DatasetRow]:
    """What it learns from; where it has frozen datasets of its own, the one of the model in the end."""
    own = [d.get("id") for d in (made.meta.get("datasets") or ()) if isinstance(d, Mapping)] if made else []
    found = []
    for id in spec.get("datasets") or own:
        try:
            found.append(bench.store.dataset(id))
        except StepvizError:
            continue
    return found


def _line(row: RunRow) -> TrainingLine:
    loss = row.progress.get("loss")
    name, recipe = str(row.spec.get("name") or "?"), str(row.spec.get("recipe") or "?")
    return TrainingLine(run_line(row), name, recipe, age(row.created_at), float(loss) if loss is not None else None)


def _quoted(parts: list[str]) -> list[str]:
    return [shlex.quote(part) for part in parts]
