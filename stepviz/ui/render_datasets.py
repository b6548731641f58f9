"""Datasets: the form of a build on the left, the list of what was built, and the builds at work."""

from __future__ import annotations

from stepviz.recipes import RECIPES
from stepviz.ui.recipe_words import RECIPES as WORDS
from stepviz.ui.recipe_words import Words
from stepviz.ui.render import attrs, button, esc
from stepviz.ui.render_chain import progress
from stepviz.ui.rows import RunLine
from stepviz.ui.view_datasets import DatasetLine, DatasetList, in_words
from stepviz.ui.view_recipe import Field, RecipeForm


def form(f: RecipeForm) -> str:
    """Recipe with its options, selection, name, and the button."""
    options = "".join(field(x) for x in f.options)
    recipes = "".join(_recipe(name, name == f.recipe, options if name == f.recipe else "") for name in RECIPES)
    more = "".join(field(x) for x in f.more)
    changed = sum(x.changed for x in f.more)
    note = f' <span class="dim">{changed} set</span>' if changed else ""
    return (
        '<form class="build" data-act="build" autocomplete="off">'
        f'<input type="hidden" name="of" value="{esc(f.recipe)}">'
        f'<input type="hidden" name="serial" value="{esc(f.serial)}"><div class="scroll">'
        '<section><h1>Build a training set</h1><p class="dim">Frozen rows with a version, a hash, and where each '
        f'came from.</p></section><section><h3>1 · Recipe</h3><div class="recipes" role="radiogroup" '
        f'aria-label="Recipe">{recipes}</div></section>'
        f'<section><h3>2 · Problems and chains</h3><div class="opts">{"".join(field(x) for x in f.basic)}</div>'
        f'<details><summary>More{note}</summary><div class="opts">{more}</div></details></section>'
        f'<section><h3>3 · Name</h3><input class="field" name="name" maxlength="80" value="{esc(f.name)}" '
        f'placeholder="{esc(f.recipe)}" aria-label="Name" spellcheck="false"></section></div>{_foot(f)}</form>'
    )


def _foot(f: RecipeForm) -> str:
    said = (
        f'<div class="notice" role="status"><span>{commands(f.lacks)}</span></div>'
        if f.lacks
        else '<div class="notice" hidden></div>'
    )
    reads = f"reads {esc(f.reads)}" if f.reads else ""
    return (
        f'<div class="foot">{said}<div class="go"><span class="dim num">{reads}</span><span class="sp"></span>'
        f'<button type="submit" class="btn {"" if f.lacks else "pri"}">Build {esc(f.recipe)}</button></div></div>'
    )


def commands(message: str) -> str:
    """A sentence with its command set as code."""
    before, command, rest = message.partition("python -m ")
    return f"{esc(before)}<code>{esc(command + rest)}</code>" if command else esc(message)


def _recipe(name: str, on: bool, options: str) -> str:
    """A recipe; the chosen one carries its options."""
    words = WORDS.get(name, Words(RECIPES[name].about, "", ""))
    return (
        f'<div class="rec{" on" if on else ""}"><label><input type="radio" name="recipe" value="{esc(name)}"'
        f"{' checked' if on else ''}><span><b>{esc(name)}</b><small>{esc(words.paper)}</small>"
        f"<em>{esc(words.makes)}</em></span></label>"
        f'<div class="own"{"" if options else " hidden"}>{options}</div></div>'
    )


def field(f: Field, empty: str = "all") -> str:
    """`empty`: what stands in a number's field where nothing was typed."""
    about = f"<small>{esc(f.about)}</small>" if f.about else "<small hidden></small>"
    label = f"<span>{esc(f.label)}{about}</span>"
    return f'<label class="{f.kind}{" changed" if f.changed else ""}">{label}{_input(f, empty)}</label>'


def _input(f: Field, empty: str) -> str:
    name = f'name="{esc(f.name)}"'
    if f.kind == "switch":
        return f'<input type="checkbox" class="switch" {name} value="on"{" checked" if f.value else ""}>'
    if f.kind == "choice":
        options = "".join(
            f'<option value="{esc(v)}"{" selected" if v == f.value else ""}>{esc(label)}</option>'
            for v, label in f.choices
        )
        return f'<select class="field" {name}>{options}</select>'
    mode = "decimal" if f.kind == "share" else "numeric"
    return f'<input class="field num" {name} value="{esc(f.value)}" inputmode="{mode}" placeholder="{esc(empty)}">'


def datasets(d: DatasetList) -> str:
    """Builds at work, then the list, newest first."""
    runs = "".join(_build(run) for run in d.runs)
    count = f'<span class="dim num">{d.total:,}</span>' if d.total else ""
    lines = "".join(_line(line, line.id == d.selected) for line in d.lines)
    rest = d.total - len(d.lines)
    more = f'<p class="pad dim">and {rest:,} older: <code>python -m stepviz dataset list</code></p>' if rest > 0 else ""
    nothing = "" if d.lines or d.runs else '<p class="pad dim">What you build is listed here.</p>'
    return (
        f'<div class="phead"><h2>Datasets</h2>{count}</div><div class="builds">{runs}</div>'
        f'<div class="dlist" role="list">{lines}{more}{nothing}</div>'
    )


def _build(run: RunLine) -> str:
    if not run.active:
        return _ended(run)
    width = round(100 * (run.share or 0))
    recipe = next((value for name, value in run.settings if name == "recipe"), "")
    cancel = (
        '<em class="dim">stopping</em>'
        if run.state == "cancelling"
        else button("Cancel", "cancel", kind="sm", run=run.id)
    )
    words = "waiting for the worker" if run.state == "queued" else progress(run).partition(" · ")[2] or "starting"
    return (
        f'<div class="building" role="status"><div class="track"><i style="width:{width}%"></i></div>'
        f'<span class="num"><b>{esc(recipe)}</b> · {words}</span>{cancel}</div>'
    )


def _ended(run: RunLine) -> str:
    """A build that did not end well: why, and what to do."""
    said = {
        "failed": commands(in_words(run.error or "the build failed")),
        "cancelled": "The build was stopped; nothing was stored.",
        "interrupted": "The build was interrupted; nothing was stored.",
    }[run.state]
    again = "" if run.state == "failed" else button("Build again", "resume", kind="sm", run=run.id)
    return (
        f'<div class="notice{" bad" if run.state == "failed" else ""}" role="alert"><span class="why">{said}</span>'
        f'{again}<a class="link" href="/runs?run={run.id}">Details</a>'
        f"{button('Dismiss', 'dismiss', kind='sm ghost', run=run.id)}</div>"
    )


def _line(line: DatasetLine, on: bool) -> str:
    rows = f"{line.rows:,} row{'' if line.rows == 1 else 's'}"
    css, current = f"drow{' on' if on else ''}", attrs(aria_current="true" if on else None)
    return (
        f'<a class="{css}" role="listitem"{current} href="?dataset={line.id}" data-dataset="{line.id}">'
        f'<span class="dname"><b>{esc(line.name)}</b><i class="num">v{line.version}</i></span>'
        f'<span class="drec">{esc(line.recipe)}</span><span class="drows num">{rows}</span>'
        f'<span class="dhash">{esc(line.hash[:8])}</span><span class="dage">{esc(line.age)}</span></a>'
    )
