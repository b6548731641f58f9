"""The form of a training: what, on which data, from which base, with which settings, what it takes, and the button."""

from __future__ import annotations

import re

from stepviz.trainings import TRAININGS
from stepviz.ui.render import esc
from stepviz.ui.render_datasets import commands, field
from stepviz.ui.train_words import TRAININGS as WORDS
from stepviz.ui.train_words import default_note, in_words
from stepviz.ui.view_base import OWN
from stepviz.ui.view_train_form import DatasetChoice, TrainForm


def form(f: TrainForm) -> str:
    """Everything that stays in it when another training or base is chosen is sent along."""
    chosen = "".join(_training(name, name == f.training.name) for name in TRAININGS)
    return (
        '<form class="build" data-act="start" autocomplete="off">'
        f'<input type="hidden" name="of" value="{esc(f.training.name)}">'
        f'<input type="hidden" name="ofsize" value="{"large" if f.large else "small"}">'
        f'<input type="hidden" name="ofsource" value="{esc(f.source)}">'
        f'<input type="hidden" name="oflora" value="{esc(f.lora)}">'
        f'<input type="hidden" name="serial" value="{esc(f.serial)}"><div class="scroll">'
        '<section><h1>Train a model</h1><p class="dim">In a process of its own; what comes out can be chosen in '
        "Explore, with its parents on record.</p></section>"
        '<section><h3>1 · What it learns</h3><div class="recipes" role="radiogroup" aria-label="Training">'
        f"{chosen}</div></section>"
        f"{_questions(f) if f.training.asks else _datasets(f)}"
        f"<section><h3>3 · Start from</h3>{_base(f)}</section>"
        f'<section><h3>4 · Settings</h3><div class="opts">{"".join(field(x, "default") for x in f.basic)}</div>'
        f'<p class="dim fine">{esc(default_note(f.large))}</p>{_more(f)}</section>'
        f'<section><h3>5 · Name</h3><input class="field" name="name" maxlength="64" value="{esc(f.name)}" '
        f'placeholder="{esc(f.suggested)}" aria-label="Name" spellcheck="false"></section></div>{_foot(f)}</form>'
    )


def _training(name: str, on: bool) -> str:
    words = WORDS[name]
    return (
        f'<div class="rec{" on" if on else ""}"><label><input type="radio" name="recipe" value="{esc(name)}"'
        f"{' checked' if on else ''}><span><b>{esc(name)}</b><small>{esc(words.paper)}</small>"
        f"<em>{esc(words.makes)}</em></span></label></div>"
    )


def _datasets(f: TrainForm) -> str:
    shown = "".join(_dataset(d, f.training.mixed) for d in f.datasets)
    build = '<p class="dim">None fits yet.</p><a class="btn sm" href="/datasets">Build one</a>'
    picks = f'<div class="picks">{shown}</div>' if shown else f'<div class="picks none">{build}</div>'
    return f"<section><h3>2 · Dataset{'s' if f.training.mixed else ''}</h3>{picks}</section>"


def _questions(f: TrainForm) -> str:
    return (
        '<section><h3>2 · Questions</h3><p class="dim fine">It reads questions of the store, and no dataset: each '
        "round samples them, keeps the right samples, and freezes them as a dataset of its own.</p>"
        f'<div class="opts">{"".join(field(x, "all") for x in f.asked)}</div></section>'
    )


def _dataset(d: DatasetChoice, mixed: bool) -> str:
    """One of them, or as many as one likes where the training mixes them."""
    kind = f'type="checkbox" name="data-{d.id}" value="on"' if mixed else f'type="radio" name="data" value="{d.id}"'
    recipe = f"<small>{esc(d.recipe)}</small>" if d.recipe != d.name else ""
    return (
        f'<label class="{"on" if d.on else ""}"><input {kind}{" checked" if d.on else ""}>'
        f'<span><b>{esc(d.name)}</b> <i class="num">v{d.version}</i>{recipe}</span>'
        f'<span class="num">{d.rows:,} row{"" if d.rows == 1 else "s"}</span></label>'
    )


def _base(f: TrainForm) -> str:
    options = "".join(
        f'<option value="{esc(spec)}"{" selected" if spec == f.base else ""}>{esc(label)}</option>'
        for spec, label in f.choices
    )
    own = (
        f'<input class="field" name="own" maxlength="400" value="{esc(f.own)}" aria-label="Folder or hub id" '
        f'placeholder="/a/folder or Qwen/Qwen2.5-Math-1.5B" spellcheck="false"{"" if f.base == OWN else " hidden"}>'
    )
    about = (
        f'<p class="dim fine">{esc(f.about)}</p>' if f.about and f.base == OWN else '<p class="dim fine" hidden></p>'
    )
    each = '<p class="dim fine">Each round is fine-tuned from this one again, not from the student before.</p>'
    select = f'<select class="field" name="base" aria-label="Base model">{options}</select>'
    return f"{select}{own}{about}{each if f.training.asks else ''}"


def _more(f: TrainForm) -> str:
    changed = sum(x.changed for x in f.more)
    note = f' <span class="dim">{changed} set</span>' if changed else ""
    fields = "".join(field(x, "default") for x in f.more)
    return f'<details><summary>More{note}</summary><div class="opts">{fields}</div></details>'


def _foot(f: TrainForm) -> str:
    """What it takes; why it cannot start, or what to think of; the button."""
    said = _linked(commands(in_words(f.lacks))) if f.lacks else "<br>".join(esc(note) for note in f.notes)
    builds = f.lacks and not f.datasets and not f.training.asks
    link = ' <a class="link" href="/datasets">Datasets</a>' if builds else ""
    notice = (
        f'<div class="notice" role="status"><span>{said}{link}</span></div>'
        if said
        else '<div class="notice" hidden></div>'
    )
    return (
        f'<div class="foot">{notice}<div class="go"><span class="dim num takes">{esc(takes(f))}</span>'
        f'<span class="sp"></span><button type="submit" class="btn {"" if f.lacks else "pri"}">'
        f"Train {esc(f.training.name)}</button></div></div>"
    )


def _linked(said: str) -> str:
    """The run that a message names can be opened."""
    return re.sub(r"\brun (\d{1,11})\b", r'<a class="link" href="?run=\1" data-run="\1">run \1</a>', said)


def takes(f: TrainForm) -> str:
    """`≈ 1.2 M tokens · 320 steps · ≈ 0.6 GB · ≈ 4 min`; of expert iteration what a round takes."""
    e = f.estimate
    if e is None:
        return ""
    if e.rounds:
        parts = [f"≈ {short(e.sampled)} sampled", f"≈ {short(e.tokens)} tokens learnt"]
    else:
        parts = [f"≈ {short(e.tokens)} tokens", f"{e.steps:,} steps"]
        parts += [f"≈ {e.memory / 1e9:.1f} GB"] if e.memory else []
    parts += [f"≈ {_time(e.seconds)}"] if e.seconds else ["time known once it runs"]
    parts += [f"at most {e.rounds} round{'s' if e.rounds > 1 else ''}"] if e.rounds else []
    return ("a round: " if e.rounds else "") + " · ".join(part.replace(" ", "\u00a0") for part in parts)


def short(n: float) -> str:
    """`950`, `12 k`, `1.2 M`, `3.4 B`."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size * 0.9995:
            return f"{n / size:.0f} {letter}" if n >= 10 * size or letter == "k" else f"{n / size:.1f} {letter}"
    return f"{n:.0f}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"
