"""Trainings: the list, and one of them with its progress, its loss, and the model that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.values import ModelRow
from stepviz.ui.address import Address
from stepviz.ui.refine_address import At
from stepviz.ui.render import attrs, button, esc
from stepviz.ui.render_chain import clock
from stepviz.ui.render_datasets import commands
from stepviz.ui.render_loss import curve
from stepviz.ui.render_train_form import short
from stepviz.ui.rows import RunLine
from stepviz.ui.train_words import ROLES, SETTINGS, TRAININGS, in_words
from stepviz.ui.view_train import OpenTraining, RoundLine, TrainingLine, TrainingList, TrainPage

_STATES = {"queued": "waiting", "cancelling": "stopping", "running": "training"}
_SHOWN = ("epochs", "learning_rate", "batch", "length", "seed", "compile", "soft", "held_out", "add_token", "lora")
_ASKED = (
    "student",
    "source",
    "split",
    "samples",
    "questions",
    "rounds",
    "dev_split",
    "dev",
    "supervised",
    "full_epochs",
)
_ALL = ("questions", "supervised")  # of which 0 means all


def trainings(d: TrainingList) -> str:
    """Newest first."""
    count = f'<span class="dim num">{len(d.lines):,}</span>' if d.lines else ""
    lines = "".join(_line(line, line.run.id == d.selected) for line in d.lines)
    nothing = "" if d.lines else '<p class="pad dim">What you train is listed here.</p>'
    return f'<div class="phead"><h2>Trainings</h2>{count}</div><div class="dlist" role="list">{lines}{nothing}</div>'


def _line(t: TrainingLine, on: bool) -> str:
    run, share = t.run, round(100 * (t.run.share or 0))
    state = f"{share} %" if run.state == "running" else _STATES.get(run.state, run.state)
    loss = f"loss {t.loss:.3g}" if t.loss is not None else ""
    css, current = f"drow{' on' if on else ''}", attrs(aria_current="true" if on else None)
    track = f'<i class="under" style="width:{share}%"></i>' if run.active else ""
    return (
        f'<a class="{css}" role="listitem"{current} href="?run={run.id}" data-run="{run.id}">'
        f'<span class="dname"><b>{esc(t.name)}</b></span><span class="drec">{esc(t.recipe)}</span>'
        f'<span class="drows state {esc(run.state)}"><i></i>{esc(state)}</span>'
        f'<span class="dhash num">{esc(loss)}</span><span class="dage">{esc(t.age)}</span>{track}</a>'
    )


def opened(page: TrainPage) -> str:
    """The training of the address; why it is not here; or what this page is for where there is none yet."""
    if page.missing:
        return (
            '<div class="phead"><h2>Not here</h2></div><div class="empty"><b>This training is not here</b>'
            f'<p>{esc(page.missing)}</p><a class="btn" href="/train">Show the newest</a></div>'
        )
    if page.open is None:
        return _empty(page)
    o = page.open
    return (
        f'{_head(o)}{_notice(o)}<div class="facts">{_status(o)}'
        f"{_rounds(o)}{curve(o.losses, o.steps, o.line.run.active)}{_model(o)}{_sides(o)}</div>"
    )


def _head(o: OpenTraining) -> str:
    run, t = o.line.run, o.line
    state = f'<span class="state {esc(run.state)}"><i></i>{esc(_STATES.get(run.state, run.state))}</span>'
    if run.state == "cancelling":
        act = '<em class="dim">stopping</em>'
    elif run.active:
        act = button("Cancel", "cancel", run=run.id)
    else:
        act = button("Use its settings", "like", run=run.id)
    return (
        f'<div class="phead" data-run="{run.id}"><h2 title="{esc(t.name)}">{esc(t.name)}</h2>'
        f'<div class="meta"><span>{esc(t.recipe)}</span><span>{esc(t.age)}</span></div>{state}'
        f'<span class="sp"></span>{act}</div>'
    )


def _notice(o: OpenTraining) -> str:
    """How it ended where that was not well, and what to do."""
    run = o.line.run
    if run.state not in ("failed", "cancelled", "interrupted"):
        return '<div class="notice" hidden></div>'
    kept = "Its last checkpoint is kept." if o.resumable else ""
    said = {
        "failed": commands(in_words(run.error or "The training failed.")),
        "cancelled": f"The training was stopped. {kept or _stayed(o)}",
        "interrupted": f"The training was interrupted: its process is gone. {kept or 'No checkpoint was kept.'}",
    }[run.state]
    again = "Go on from the last checkpoint" if o.resumable else "Start it again"
    give_up = button("Discard the checkpoint", "discard", kind="sm", run=run.id) if o.resumable else ""
    return (
        f'<div class="notice{" bad" if run.state == "failed" else ""}" role="alert"><span class="why">{said}</span>'
        f"{button(again, 'resume', kind='sm', run=run.id)}{give_up}</div>"
    )


def _stayed(o: OpenTraining) -> str:
    """After a cancel: of expert iteration the rounds that were through, which are models, and every draw."""
    through = sum(r.number > 0 for r in o.rounds)
    if not through:
        return "Nothing of the model was kept."
    rounds = "its finished round is a model of its own" if through == 1 else f"its {through} finished rounds are models"
    return f"Nothing of the last round was kept; {rounds}, and all draws are in the store."


def _status(o: OpenTraining) -> str:
    run = o.line.run
    width = round(100 * (run.share if run.share is not None else 1 if run.state == "done" else 0))
    tiles = [("loss", f"{o.line.loss:.3g}" if o.line.loss is not None else "–")]
    tiles += [(run.unit or "steps", _of(run))]
    tiles += [("tokens", short(o.tokens) if o.tokens else "–")]
    if run.state == "running":
        tiles += [("tokens a second", f"{run.tokens_per_s:,.0f}" if run.tokens_per_s else "–")]
        tiles += [("left", clock(run.eta_s) if run.eta_s is not None else "–")]
    elif run.took:
        tiles += [("took", run.took)]
    tiles += _held_out(o)
    shown = "".join(f'<div><b class="num">{esc(value)}</b><span>{esc(name)}</span></div>' for name, value in tiles)
    words = {"queued": _waiting(o), "running": run.note, "done": run.note}.get(run.state, "")
    note = f'<p class="dim">{esc(words)}</p>' if words else '<p class="dim" hidden></p>'
    return (
        f'<div class="track" role="progressbar" aria-valuenow="{width}" aria-label="progress">'
        f'<i style="width:{width}%"></i></div><div class="tiles">{shown}</div>{note}'
    )


def _rounds(o: OpenTraining) -> str:
    """What each round of expert iteration has reached, and from how many rows."""
    if not o.rounds:
        return ""
    rows = "".join(
        f'<tr class="{"best" if r.best else ""}"><td>{r.number or "student"}</td>'
        f'<td class="num">{100 * r.greedy:.1f} %</td><td class="num">{_rows(r)}</td>'
        f"<td>{'chosen' if r.best else ''}</td></tr>"
        for r in o.rounds
    )
    names = ("round", "greedy accuracy", "learnt from", "")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f'<table class="plain rounds"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _rows(r: RoundLine) -> str:
    if not r.rows:
        return "–"
    words = f"{r.rows:,} rows"
    return f'<a class="link" href="/datasets?dataset={r.dataset}">{words}</a>' if r.dataset else words


def _waiting(o: OpenTraining) -> str:
    if o.ahead:
        return f"Waiting for {o.ahead} other training{'s' if o.ahead > 1 else ''}: one at a time has the machine."
    return "Waiting for the training process."


def _of(run: RunLine) -> str:
    if not run.total:
        return "–"
    return f"{run.done:,}" if run.done == run.total else f"{run.done:,} of {run.total:,}"


def _held_out(o: OpenTraining) -> list[tuple[str, str]]:
    """How a scorer fares on the problems it has not seen."""
    judged = o.model.meta.get("held_out") if o.model else None
    if not isinstance(judged, Mapping) or not judged.get("steps"):
        return []
    of = f" of {judged['against']}" if judged.get("against") else ""
    found = [(f"AUC{of}, held out", judged.get("auc")), ("balanced accuracy", judged.get("balanced_accuracy"))]
    shown = [(name, f"{value:.3f}") for name, value in found if isinstance(value, float)]
    errors = judged.get("squared_error"), judged.get("squared_error_of_mean")
    if all(isinstance(error, float) for error in errors):
        shown.append(("squared error of V, and of its mean", " · ".join(f"{error:.3f}" for error in errors)))
    return shown


def _model(o: OpenTraining) -> str:
    """The result, and what it can be chosen for."""
    if o.model is None:
        return '<section class="result" hidden></section>'
    m = o.model
    words = TRAININGS.get(m.role) or TRAININGS.get(str(m.meta.get("recipe") or o.line.recipe))
    gone = "" if o.there else '<p class="bad">Its folder is gone: it cannot be chosen any more.</p>'
    use = {"generator": "python -m stepviz sample --engine", "refiner": "python -m stepviz refine --refiner"}.get(
        m.role,
        f"python -m stepviz refine --{m.role}" if m.role in ("orm", "sorm") else "python -m stepviz score --model",
    )
    other = dict.fromkeys(("orm", "sorm"), "python -m stepviz score --model")
    more = f"<div><dt>or</dt><dd><code>{esc(other.get(m.role, ''))} {esc(m.spec)}</code></dd></div>"
    return (
        f'<section class="result"><header><b>{esc(m.id)}</b><span class="tagged">{esc(m.role)}</span>'
        f'<span class="dim">{esc(ROLES.get(m.role, ""))}</span><span class="sp"></span>'
        f'{_compare(o)}{_choose(m) if o.there else ""}</header>{gone}<dl class="pairs rows">'
        f"<div><dt>parents</dt><dd>{_parents(o)}</dd></div>"
        f"<div><dt>folder</dt><dd><code>{esc(m.spec.partition(':')[2])}</code></dd></div>"
        f"<div><dt>{esc(words.use if words else 'use')}</dt><dd><code>{esc(use)} {esc(m.spec)}</code></dd></div>"
        f"{more if m.role in other else ''}</dl></section>"
    )


def _choose(m: ModelRow) -> str:
    """To the page where it can be used, chosen there already."""
    if m.role == "generator":
        link, label, title = f"/{Address(engine=m.spec).query()}", "Sample with it", "In Explore, for this session"
    elif m.role in ("refiner", "orm", "sorm"):
        link, label, title = f"/refine{At(**{m.role: m.spec}).query()}", "Refine with it", "In the bar, under Models"
    else:
        link, label, title = "/", "Open Explore", "Score names it"
    return f'<a class="btn sm" href="{esc(link)}" title="{title}">{label}</a>'


def _compare(o: OpenTraining) -> str:
    if not (o.compare and o.there):
        return ""
    writes = o.model is not None and o.model.role == "generator"
    title = f"With the {'model it came from, on the same problems' if writes else 'one that ships, on the same chains'}"
    return f'<a class="btn sm" href="{esc(o.compare)}" title="{title}">Compare</a>'


def _parents(o: OpenTraining) -> str:
    parts = [f"<b>{esc(p)}</b>" for p in (o.model.parents if o.model else ())]
    parts += [
        f'<a class="link" href="/datasets?dataset={d.id}">{esc(d.name)} v{d.version}</a> '
        f'<span class="hash" title="{esc(d.hash)}">{esc(d.hash[:8])}</span>'
        for d in o.datasets
    ]
    return " + ".join(parts)


def _sides(o: OpenTraining) -> str:
    data = "".join(
        f'<div><dt><a class="link" href="/datasets?dataset={d.id}">{esc(d.name)} v{d.version}</a></dt>'
        f'<dd class="num">{d.n_rows:,} rows</dd></div>'
        for d in o.datasets
    )
    base = f"<div><dt>from</dt><dd>{esc(_base_name(str(o.spec.get('base', ''))))}</dd></div>"
    log = "\n".join(o.log)
    shown = f"<details><summary>what it printed</summary><pre>{esc(log)}</pre></details>" if log else ""
    return (
        f'<div class="sides"><div><h3>Settings</h3><dl class="pairs">{_settings(o.spec)}</dl></div>'
        f'<div><h3>Made of</h3><dl class="pairs">{base}{data}</dl></div></div>'
        f"<details><summary>the same by hand</summary><pre>{esc(o.command)}</pre></details>{shown}"
    )


def _settings(spec: Mapping[str, Any]) -> str:
    given = {**(spec.get("settings") or {}), **(spec.get("options") or {})}
    shown = [(name, given[name]) for name in (*_ASKED, *_SHOWN) if name in given]
    words = ((SETTINGS[n][0], "all" if n in _ALL and v == 0 else _value(v)) for n, v in shown)
    return "".join(f'<div><dt>{esc(label)}</dt><dd class="num">{esc(text)}</dd></div>' for label, text in words)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else str(value)[:80]


def _base_name(spec: str) -> str:
    if spec.partition(":")[0] == "embedded":
        return f"embedded {spec.partition(':')[2] or 'student'}"
    return spec.partition(":")[2]


def _empty(page: TrainPage) -> str:
    first = (
        "<p>Choose on the left what to learn, and press Train.</p>"
        if page.form.datasets
        else "<p>A training learns from a dataset, and there is none that fits yet.</p>"
        '<a class="btn pri" href="/datasets">Build a dataset</a>'
    )
    rows = "".join(
        f"<tr><td><b>{esc(name)}</b></td><td>{esc(words.makes)}</td><td>{esc(words.use)}</td></tr>"
        for name, words in TRAININGS.items()
    )
    return (
        f'<div class="empty first"><div class="glyph">{"<i></i>" * 5}</div><b>No training yet</b>{first}'
        '<table class="plain ways"><thead><tr><th>training</th><th>what it learns</th><th>what the model then does</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )
