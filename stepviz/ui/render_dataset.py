"""One dataset: downloads, what is in it, what was left out and why, its configuration, and rows to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from db.values import DatasetRow
from stepviz.datasets_config import Selection
from stepviz.import_report import counted
from stepviz.recipes import RECIPES
from stepviz.run_report import short
from stepviz.trainings import learns_from
from stepviz.ui.recipe_words import option_words
from stepviz.ui.render import button, esc
from stepviz.ui.render_dataset_rows import legend, row
from stepviz.ui.view_datasets import ROWS, DatasetsPage, Ingredients, OpenDataset

_FILES = (
    ("jsonl", "JSONL", "one row a line"),
    ("parquet", "Parquet", "typed columns"),
    ("hf", "datasets folder", "zipped, with its card: datasets.load_from_disk reads it"),
)
_UNITS = {"problems": "problems", "chains": "chains"}
_LABELS = {"1": ("lp", "positive"), "0": ("ln", "negative"), "masked": ("lm", "no label")}


def opened(page: DatasetsPage) -> str:
    """The dataset of the address; why it is not here; or what to do where there is none yet."""
    if page.missing:
        return (
            '<div class="phead"><h2>Not here</h2></div><div class="empty"><b>This dataset is not here</b>'
            f'<p>{esc(page.missing)}</p><a class="btn" href="/datasets">Show the newest</a></div>'
        )
    if page.open is None:
        return _empty(page.ingredients)
    o = page.open
    return f'{_head(o)}{_notices(o)}<div class="facts">{_counts(o.dataset)}{_sides(o.dataset)}</div>{_preview(o)}'


def _head(o: OpenDataset) -> str:
    d = o.dataset
    files = "".join(
        f'<a class="btn" data-download="{name}" href="/stepviz/dataset/{d.id}/{name}" download title="{esc(title)}">'
        f"{esc(label)}</a>"
        for name, label, title in _FILES
    )
    form = f"<span>{esc(d.format)}</span>" if d.format else ""
    train = f'<a class="btn" href="/train?dataset={d.id}">Train on this</a>' if learns_from(d.recipe) else ""
    return (
        f'<div class="phead" data-dataset="{d.id}" data-row="{o.start}"><h2 title="{esc(d.name)}">{esc(d.name)}</h2>'
        f'<i class="ver num">v{d.version}</i><div class="meta"><span>{esc(d.recipe)}</span>{form}'
        f'<span class="hash" title="{esc(d.hash)}, over recipe, configuration and rows">{esc(d.hash[:8])}</span>'
        f'<span>{esc(o.age)}</span></div><span class="sp"></span>'
        f'<span class="files"><span class="lab">Download</span>{files}{train}</span></div>'
    )


def _notices(o: OpenDataset) -> str:
    out = []
    if o.again:
        out.append(
            f"Nothing changed: the same settings on the same data are the same rows, so this is still version "
            f"{o.dataset.version}."
        )
    if o.dataset.config.get("oracle"):
        out.append("An oracle arm: the exact judge's labels are a ceiling to compare with; train nothing else on them.")
    return "".join(f'<div class="notice"><span>{esc(text)}</span></div>' for text in out)


def _counts(d: DatasetRow) -> str:
    tiles = [("rows", d.n_rows), *((name, d.counts[key]) for key, name in _UNITS.items() if d.counts.get(key))]
    shown = "".join(f'<div><b class="num">{_number(n)}</b><span>{esc(name)}</span></div>' for name, n in tiles)
    labels = d.counts.get("labels")
    bar = _label_bar(labels) if isinstance(labels, Mapping) and labels else ""
    return f'<div class="tiles">{shown}{bar}</div>'


def _label_bar(labels: Mapping[str, Any]) -> str:
    """Positive, negative and masked labels as one bar, with their numbers."""
    counts = {key: n for key, n in labels.items() if isinstance(n, int) and n > 0}
    total = sum(counts.values()) or 1
    known = [(key, *_LABELS[key]) for key in _LABELS if key in counts]
    known += [(key, "lm", f"label {key}") for key in counts if key not in _LABELS]
    parts = "".join(f'<i class="{css}" style="flex:{counts[key] / total:.4f}"></i>' for key, css, _ in known)
    words = "".join(
        f'<span class="{css}"><b class="num">{counts[key]:,}</b> {esc(word)}</span>' for key, css, word in known
    )
    return f'<div class="labels"><div class="lbar">{parts}</div><div class="lwords">{words}</div></div>'


_FROM = {"sources": "source", "models": "model", "people": "labelled by"}


def _sides(d: DatasetRow) -> str:
    groups = "".join(_group(title, d.counts.get(name)) for name, title in _FROM.items())
    groups = f'<h3>Where the rows come from</h3><dl class="pairs">{groups}</dl>' if groups else ""
    return f'<div class="sides"><div>{_dropped(d)}</div><div>{_config(d)}{groups}</div></div>'


def _group(title: str, counts: Any) -> str:
    if not isinstance(counts, Mapping) or not counts:
        return ""
    rows = sorted(counts.items(), key=lambda item: -item[1] if isinstance(item[1], int) else 0)[:8]
    return "".join(
        f"<div><dt>{esc(title)} {esc(_short(name) if title == 'model' else name)}</dt>"
        f'<dd class="num">{_number(n)}</dd></div>'
        for name, n in rows
    )


def _short(model: Any) -> str:
    return str(model).partition("@")[0]


def _dropped(d: DatasetRow) -> str:
    if not d.dropped:
        return '<h3>Left out</h3><p class="dim">Nothing: everything that was selected gave its rows.</p>'
    rows = sorted(d.dropped.items(), key=lambda item: -item[1])
    most = max(1, rows[0][1])
    lines = "".join(
        f'<tr><td class="num">{n:,}</td><td><span class="why">{esc(reason)}</span>'
        f'<span class="bar"><i style="width:{max(1, round(100 * n / most))}%"></i></span></td></tr>'
        for reason, n in rows
    )
    return f'<h3>Left out, and why</h3><table class="plain dropped"><tbody>{lines}</tbody></table>'


def _config(d: DatasetRow) -> str:
    """The recipe's options, and what of the selection was chosen; all of it as JSON beneath."""
    defaults = Selection()
    shown = []
    for name, value in d.config.items():
        default = getattr(defaults, name, ...)
        plain = list(default) if isinstance(default, tuple) else default
        if name != "style" and (default is ... or name == "split" or (value != plain and value not in (None, [], ""))):
            shown.append((name, value))
    lines = "".join(
        f"<div><dt>{esc(option_words(d.recipe, name)[0])}</dt><dd>{esc(_value(name, value))}</dd></div>"
        for name, value in sorted(shown, key=lambda item: hasattr(defaults, item[0]))
    )
    again = button("Use again", "like", kind="ghost sm", dataset=d.id) if d.recipe in RECIPES else ""
    every = esc(json.dumps(d.config, indent=1, sort_keys=True, ensure_ascii=False, default=str))
    return (
        f'<h3>Configuration{again}</h3><dl class="pairs">{lines}</dl>'
        f"<details><summary>all {len(d.config)} settings as JSON</summary><pre>{every}</pre></details>"
    )


def _value(name: str, value: Any) -> str:
    if value is None:
        return "any" if name == "split" else "all" if name in ("keep", "limit") else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in ("sampling", "rollout_sampling"):
        return str(value)[:8]
    if isinstance(value, list | tuple):
        return ", ".join(short(one).partition("@")[0] for one in value)
    return repr(value) if name == "rollout_separator" else short(value).partition("@")[0]


def _number(n: Any) -> str:
    return f"{n:,}" if isinstance(n, int) else esc(n)


def _preview(o: OpenDataset) -> str:
    d, last = o.dataset, o.start + len(o.rows)
    rows = "".join(
        row(each, o.start + i, place, d.recipe, bool(d.config.get("oracle")))
        for i, (each, place) in enumerate(zip(o.rows, o.origins, strict=True))
    )
    back = _page(d.id, max(0, o.start - ROWS), "Back") if o.start else ""
    on = _page(d.id, last, "More") if last < d.n_rows else ""
    pages = f'<span class="num dim">{o.start + 1:,}–{last:,} of {d.n_rows:,}</span>{back}{on}' if o.rows else ""
    end = f'<div class="pages"><span class="sp"></span>{pages}</div>' if back or on else ""
    return (
        f'<div class="rhead"><h2>Rows</h2>{pages}<span class="sp"></span>{legend(d, o.rows)}</div>'
        f'<div class="entries">{rows}</div>{end}'
    )


def _page(dataset: int, start: int, label: str) -> str:
    return (
        f'<a class="btn sm" href="?dataset={dataset}&amp;row={start}" data-dataset="{dataset}" '
        f'data-start="{start}">{label}</a>'
    )


def _empty(i: Ingredients) -> str:
    """The way to the first dataset, with what is here already ticked."""
    train = "python -m stepviz {} --split train {}"
    steps = (
        (bool(i.problems), f"{counted(i.problems, 'problem')} to train on", "Problems to train on",
         "sft, where they bring solutions", "python -m stepviz world problems train --count 1500"),
        (bool(i.chains), f"{counted(i.chains, 'chain')} of them", "Chains of them",
         "rft, orm, balanced-orm, refine-global", train.format("sample", "--n 8")),
        (bool(i.draws), f"{counted(i.draws, 'continuation')} of their steps", "Measured steps",
         "sorm, refine-local, self-explore", train.format("measure", "--k 8")),
        (bool(i.annotators), f"labels of {counted(i.annotators, 'annotator')}", "Labels of steps", "stepwise",
         "import prm800k, math-shepherd or stepverify"),
    )  # fmt: skip
    rows = "".join(_way(*step) for step in steps)
    how = "" if all(there for there, *_ in steps) else "how it gets here"
    start = (
        "<p>Choose a recipe on the left and build it.</p>"
        if i.problems
        else "<p>It needs problems that are in no test split. Bring your own, or begin with embedded ones.</p>"
        f'<div class="two">{button("Add 200 embedded problems", "world", kind="pri")}'
        '<a class="btn" href="/import">Import your own file</a></div>'
    )
    return (
        f'<div class="empty first"><div class="glyph">{"<i></i>" * 5}</div><b>No training set yet</b>{start}'
        f'<table class="plain ways"><thead><tr><th></th><th>what is here</th><th>for</th><th>{how}</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _way(there: bool, has: str, lacks: str, for_: str, command: str) -> str:
    mark = '<i class="ic ok" role="img" aria-label="here"></i>' if there else '<i class="nolabel"></i>'
    how = f"<code>{esc(command)}</code>" if command.startswith("python") else esc(command)
    return (
        f"<tr><td>{mark}</td><td>{esc(has if there else lacks)}</td><td>{esc(for_)}</td>"
        f"<td>{'' if there else how}</td></tr>"
    )
