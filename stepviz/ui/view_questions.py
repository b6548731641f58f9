"""The part of the form of a training that reads questions, and no dataset: whose, of which split, judged by which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.store import Store
from stepviz.model_choices import generators
from stepviz.recipes import is_test
from stepviz.train_questions import ANY, WORLD, WORLD_SPLITS
from stepviz.trainings import PRESETS, Option, Training
from stepviz.ui.train_words import SETTINGS
from stepviz.ui.view_recipe import ANY_LABEL, Field

NAMES = ("student", "source", "split", "dev_split")
BASIC, MORE = ("samples", "questions", "rounds"), ("dev", "supervised", "full_epochs")
_JUDGES = ("dev", "validation", "valid", "val")  # splits that are for judging

Choices = tuple[tuple[str, str], ...]


def defaults(training: Training, source: str) -> dict[str, Option]:
    """The training's options; on the embedded world those that two cores can do."""
    return training.options | (PRESETS["embedded"] if training.asks and source == WORLD else {})


def source_of(sent: Mapping[str, Any]) -> str:
    return str(sent.get("source") or WORLD)


def fields(store: Store, sent: Mapping[str, Any]) -> tuple[Field, ...]:
    """What was chosen, where it can be; a source without a split to judge by holds its last problems out."""
    source = source_of(sent)
    sources = _sources(store)
    source = source if source in dict(sources) else WORLD
    splits = _splits(store, source)
    split = _one_of(str(sent.get("split", "")), splits, "train")
    judges = _judging(splits, split)
    usual = next((name for name in _JUDGES if name in dict(judges)), split)
    students: Choices = tuple((c.spec, " · ".join(p for p in (c.label, c.about) if p)) for c in generators(store))
    given = str(sent.get("student", ""))
    if given and given not in dict(students):
        students += ((given, given),)  # the settings of an earlier run
    found = {
        "student": (given or "embedded", students, "embedded"),
        "source": (source, sources, WORLD),
        "split": (split, splits, split),
        "dev_split": (_one_of(str(sent.get("dev_split", "")), judges, usual), judges, usual),
    }
    return tuple(
        Field(name, *SETTINGS[name], "choice", value, choices, value != usual)
        for name, (value, choices, usual) in found.items()
    )


def _one_of(value: str, choices: Choices, usual: str) -> str:
    names = [name for name, _ in choices]
    return value if value in names else usual if usual in names else names[0]


def _sources(store: Store) -> Choices:
    counts = {WORLD: 0} | dict(store.sources())
    return tuple((name, f"{name} ({n:,})" if n else f"{name} (made when it starts)") for name, n in counts.items())


def _splits(store: Store, source: str) -> Choices:
    """Those that are no test; what has no split can only be had as any."""
    counts = dict.fromkeys(WORLD_SPLITS, 0) if source == WORLD else {}
    counts |= {name: n for name, n in store.splits(source) if not is_test(name)}
    named = tuple((name, f"{name} ({n:,})" if n else name) for name, n in counts.items())
    return (*named, (ANY, ANY_LABEL)) if source != WORLD else named


def _judging(splits: Choices, split: str) -> Choices:
    others = tuple(choice for choice in splits if choice[0] not in (split, ANY)) if split != ANY else ()
    return (*others, (split, "the last ones of the same, held out"))
