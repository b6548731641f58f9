"""The form of a build: a recipe's options with the paper's defaults, and which problems and chains it reads.

Everything in the form travels with each request as text; `config_of` reads it, and says what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from db.store import Store
from db.values import ChainFilter, ProblemFilter
from stepviz.datasets_config import PLAIN, Selection, options_of
from stepviz.errors import StepvizError
from stepviz.prompt_styles import styled
from stepviz.recipes import RECIPES, Recipe, is_test, named
from stepviz.recipes.people import ADJUDICATED
from stepviz.run_report import spelled
from stepviz.types import PromptStyle
from stepviz.ui.recipe_kept import kept, several, style_in
from stepviz.ui.recipe_words import OPTIONS, SELECTION, VALUES, option_words

Kind = Literal["number", "share", "switch", "choice"]
FIRST = "sft"
ANY_SPLIT, ANY_LABEL = "any", "any, where none is test"
LONGEST_NAME = 80
LISTED = 60  # models, samplings and labellers to choose from
BASIC = ("source", "split", "model", "sampling", "rollouts", "limit")
MORE = ("max_chains", "max_per_problem", "part", "held_out", "test_overlap", "branches", "style")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: its value as text, and for a choice what it can be, (value, label)."""

    name: str
    label: str
    about: str
    kind: Kind
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    changed: bool = False  # from the paper's default


@dataclass(frozen=True, slots=True)
class RecipeForm:
    """serial: of the request that this answers (static/js/form.js), so that what was typed since stays."""

    recipe: str
    options: tuple[Field, ...] = ()
    basic: tuple[Field, ...] = ()
    more: tuple[Field, ...] = ()
    name: str = ""
    reads: str = ""  # "1,500 problems, 12,000 chains"
    lacks: str = ""  # what has to be there first, and how it gets there
    serial: str = ""


def form_of(store: Store, sent: Mapping[str, Any]) -> RecipeForm:
    """The form as it was sent; where another recipe was chosen, its options have their defaults."""
    recipe = RECIPES.get(str(sent.get("recipe", FIRST)), RECIPES[FIRST])
    defaults = options_of(recipe)
    given = options_given(recipe, sent)
    hints = get_type_hints(recipe.options)
    options = tuple(
        _field(store, recipe, name, hints[name], given.get(name), default) for name, default in defaults.items()
    )
    basic = tuple(_selected(store, recipe, name, sent) for name in BASIC if _applies(recipe, name))
    shown = [name for name in MORE if name != "style" or sent.get("style")]  # only where a dataset has brought one
    more = tuple(_selected(store, recipe, name, sent) for name in shown if _applies(recipe, name))
    reads, lacks = _reads(store, recipe, {f.name: f.value for f in basic}, options)
    name, serial = str(sent.get("name", ""))[:LONGEST_NAME], str(sent.get("serial", ""))[:12]
    return RecipeForm(recipe.name, options, basic, more, name, reads, lacks, serial)


def config_of(sent: Mapping[str, Any]) -> tuple[str, dict[str, Any], str | None]:
    """(recipe, config, name) for stepviz.datasets.build. StepvizError names the field that cannot be read."""
    recipe = named(str(sent.get("recipe", "")))
    options, theirs = get_type_hints(recipe.options), options_given(recipe, sent)
    config = {name: _read(recipe.name, name, text, options[name]) for name, text in theirs.items()}
    if config.get("oracle"):
        config |= {"annotator": None, "study": None}
    selection = get_type_hints(Selection)
    for name in (*BASIC, *MORE):
        if name == "rollouts" or not _applies(recipe, name):
            continue
        text = str(sent.get(name, "")).strip()
        if name == "split":
            config[name] = None if text == ANY_SPLIT else text or "train"
        elif text or selection[name] is bool:
            config[name] = _read(recipe.name, name, text, selection[name])
    if recipe.rollouts and (chosen := str(sent.get("rollouts", ""))):
        config["rollout_sampling"], _, config["rollout_model"] = chosen.partition(" ")
    name = " ".join(str(sent.get("name", "")).split())
    if len(name) > LONGEST_NAME:
        raise StepvizError(f"A name has at most {LONGEST_NAME} characters; this one has {len(name)}.")
    return recipe.name, config, name or None


def sent_of(recipe: str, config: Mapping[str, Any], name: str) -> dict[str, str]:
    """The form that builds a dataset with this configuration; the inverse of config_of."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "on" if value else ""
        if isinstance(value, list | tuple):
            return json.dumps(value) if len(value) > 1 else str(value[0] if value else "")
        if isinstance(value, Mapping):
            return "" if styled(value, "the dataset") == PLAIN else json.dumps(value, sort_keys=True)
        return "" if value is None else str(value)

    sent = {key: text(value) for key, value in config.items()}
    sent = {key: value for key, value in sent.items() if value or type(config[key]) is not bool}
    sent |= {"recipe": recipe, "of": recipe, "name": name, "split": sent.get("split") or ANY_SPLIT}
    if config.get("rollout_sampling"):
        sent["rollouts"] = f"{config['rollout_sampling']} {config.get('rollout_model') or ''}"
    return sent


def option_label(name: str) -> str:
    """What the form calls an option."""
    return option_words("", name)[0]


def options_given(recipe: Recipe, sent: Mapping[str, Any]) -> dict[str, str]:
    """The recipe's options as text, where the form showed them; a browser leaves out a switch that is off."""
    if sent.get("of") != recipe.name:
        return {}
    hints = get_type_hints(recipe.options)
    return {
        f.name: str(sent.get(f.name, "")) for f in fields(recipe.options) if f.name in sent or hints[f.name] is bool
    }


def _applies(recipe: Recipe, name: str) -> bool:
    """Whether a setting of the selection means something for the recipe."""
    if name in ("model", "sampling", "branches", "max_chains"):
        return recipe.chains
    return recipe.rollouts if name == "rollouts" else True


def _field(store: Store, recipe: Recipe, name: str, hint: Any, given: str | None, default: Any) -> Field:
    label, about = option_words(recipe.name, name)
    kind, choices = _kind(hint), _values(hint)
    if name in ("annotator", "study"):
        people = _studies(store)
        own = people if name == "study" else _annotators(store)
        kind, choices = "choice", (("", "none" if name == "study" else "nobody chosen"), *own)
        first = None if name == "annotator" and people else next((value for value, _ in own), None)
        default = None if given is not None else first
    plain = ("on" if default else "") if kind == "switch" else "" if default is None else str(default)
    value = plain if given is None else given.strip()
    return Field(name, label, about, kind, value, choices, name not in ("annotator", "study") and value != plain)


def _selected(store: Store, recipe: Recipe, name: str, sent: Mapping[str, Any]) -> Field:
    label, about = SELECTION[name]
    hint = get_type_hints(Selection).get(name, str)
    source, split = _places(sent)
    choices = _choices(store, name, source, split) or _values(hint)
    choices += kept(name, str(sent.get(name, "")).strip(), choices)
    default = {"split": "train", "part": "all", "held_out": "0.1", "test_overlap": "refuse"}.get(name, "")
    kind: Kind = "choice" if choices else _kind(hint)
    value = str(sent.get(name, default)).strip()
    if kind == "choice" and value not in {v for v, _ in choices}:
        value = default if default in {v for v, _ in choices} else choices[0][0]
    return Field(name, label, about, kind, value, choices, value != default and name not in ("source", "rollouts"))


def _places(sent: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(source, split) to look into."""
    split = str(sent.get("split", "") or "train")
    return str(sent.get("source", "")) or None, None if split == ANY_SPLIT else split


def _choices(store: Store, name: str, source: str | None, split: str | None) -> tuple[tuple[str, str], ...]:
    if name == "source":
        return (("", "any source"), *((s, f"{s} ({n:,})") for s, n in store.sources()))
    if name == "split":
        sources = [source] if source else [s for s, _ in store.sources()]
        counts: dict[str, int] = {"train": 0}
        for each in sources:
            for found, n in store.splits(each):
                if not is_test(found):
                    counts[found] = counts.get(found, 0) + n
        return (*((s, f"{s} ({n:,})") for s, n in counts.items()), (ANY_SPLIT, ANY_LABEL))
    if name == "model":
        return (("", "any model or origin"), *((o, f"{o} ({n:,})") for o, n in store.origins()[:LISTED]))
    if name == "sampling":
        there = list(store.samplings().items())[:LISTED]
        return (("", "any sampling"), *((id_, f"{spelled(s)} · {id_[:8]}") for id_, s in there))
    if name == "rollouts":
        samplings = store.samplings()
        return tuple(
            (f"{m.sampling_id} {m.model_id}", _measured(m.model_id, samplings[m.sampling_id].temperature, m.n))
            for m in store.measured_with(source, split)[:LISTED]
        ) or (("", "nothing is measured yet"),)
    return ()


def _measured(model: str, temperature: float, n: int) -> str:
    return f"{model.partition('@')[0]} · temperature {temperature:g} ({n:,} draws)"


def _annotators(store: Store) -> list[tuple[str, str]]:
    """People and data sets; what was settled in a study counts with its people."""
    people = (who for who in store.annotators() if not who.startswith(ADJUDICATED))
    return [(name, name) for name in sorted({who.split("/")[0] for who in people})[:LISTED]]


def _studies(store: Store) -> list[tuple[str, str]]:
    """Those with an item that somebody has submitted, the newest first."""
    return [(row.name, f"{row.name} ({row.submitted:,} labelled)") for row in store.studies() if row.submitted][:LISTED]


def _kind(hint: Any) -> Kind:
    if get_origin(hint) is Literal:
        return "choice"
    if hint is bool:
        return "switch"
    return "share" if hint is float else "number"


def _values(hint: Any) -> tuple[tuple[str, str], ...]:
    return tuple((v, VALUES.get(v, v)) for v in get_args(hint)) if get_origin(hint) is Literal else ()


def _read(recipe: str, name: str, text: str, hint: Any) -> Any:
    """The text as the option's type has it."""
    text, label = text.strip(), option_words(recipe, name)[0]
    if hint is bool:
        return bool(text)
    allowed = get_args(hint) or (hint,)
    if get_origin(hint) is tuple:
        return several(text)
    if hint is PromptStyle:
        return asdict(style_in(text))
    if not text and NoneType in allowed:
        return None
    if int in allowed or float in allowed:
        try:
            return int(text) if int in allowed else float(text)
        except ValueError:
            what = "a whole number" if int in allowed else "a number"
            empty = ", or empty" if NoneType in allowed else ""
            raise StepvizError(f"“{label}” is {what}{empty}, not {text[:40]!r}.") from None
    return text


def _no_problem(store: Store, source: str | None) -> str:
    """A file of one's own often says nothing of splits: its problems then are in none."""
    here = [(name, n) for name, n in store.sources() if source in (None, name)]
    loose = sum(n - sum(count for _, count in store.splits(name)) for name, n in here)
    if loose > 0:
        return f"No problem here has this split, but {loose:,} have none: choose “{ANY_LABEL}” as the split."
    return (
        "No problem of this source and split is here. Import some, or add embedded ones: "
        "python -m stepviz world problems train --count 1500"
    )


def _reads(store: Store, recipe: Recipe, chosen: Mapping[str, str], options: tuple[Field, ...]) -> tuple[str, str]:
    """(what a build would read, what has to be there first)."""
    source, split = _places(chosen)
    problems = store.count_problems(ProblemFilter(source=source, split=split))
    if not problems:
        return "", _no_problem(store, source)
    told = [f"{problems:,} problem{'s' if problems != 1 else ''}"]
    where = " ".join(f"--{key} {value}" for key, value in (("source", source), ("split", split)) if value)
    if recipe.chains:
        origins = several(chosen.get("model", "")) or (None,)
        chains = sum(store.count_chains(ChainFilter(source=source, split=split, origin=o)) for o in origins)
        if not chains:
            return "", f"These problems have no chains yet. Sample some: python -m stepviz sample {where} --n 8"
        told.append(f"{chains:,} chains")
    if recipe.rollouts and not chosen.get("rollouts"):
        k = next((f.value for f in options if f.name == "k"), "8")
        return "", f"No step of these chains is measured yet: python -m stepviz measure {where} --k {k}"
    by_name = {f.name: f for f in options}
    nobody = all(len(by_name[name].choices) == 1 for name in ("annotator", "study") if name in by_name)
    if "annotator" in by_name and nobody and not ("oracle" in by_name and by_name["oracle"].value):
        oracle = f", or switch on “{OPTIONS['oracle'][0]}” for embedded problems" if "oracle" in by_name else ""
        return "", f"Nobody has labelled a step yet. Import labels (prm800k, math-shepherd, stepverify){oracle}."
    return " · ".join(told), ""
