"""Runs: every long job with its state, progress, cost, settings and log, and where its results are."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from db.values import RunState
from stepviz.ui.render import button, esc
from stepviz.ui.render_chain import DOING, clock, progress
from stepviz.ui.rows import RunLine, RunList

_WORDS = {"queued": "waiting", "cancelling": "stopping"}
_SHOW = {"dataset": "Show the dataset", "train": "Show the training", "compare": "Show the comparison"}
_LOGGED = 2000  # lines of a log that a page carries, the last ones

To = Callable[..., str]  # the page's address with something changed


def runs(page: RunList, to: To) -> str:
    """The table; the run in the address is opened, above it where it is none of the listed."""
    if not page.lines and not (page.kind or page.state or page.skip or page.opened):
        return (
            '<div class="pagehead"><h1>Runs</h1></div><div class="empty"><div class="glyph"><i></i><i></i>'
            "<i></i><i></i><i></i></div>"
            "<b>Nothing has run yet</b><p>Sampling, measuring, imports, builds and trainings show up here.</p>"
            '<a class="btn" href="/">Open Explore</a></div>'
        )
    opened = page.opened
    elsewhere = opened is not None and all(line.id != opened.id for line in page.lines)
    alone = f'<div class="runs alone" role="table">{_run(opened, opened)}</div>' if opened and elsewhere else ""
    rows = "".join(_run(line, opened) for line in page.lines)
    return f"{_head(page)}{alone}{_table(rows) if rows else _none()}{_pages(page, to)}"


def _head(page: RunList) -> str:
    kinds = "".join(_option(kind, DOING.get(kind, kind), page.kind) for kind in page.kinds)
    states = "".join(_option(state, _WORDS.get(state, state), page.state) for state in get_args(RunState))
    return (
        f'<div class="pagehead"><h1>Runs</h1><span class="dim num">{page.total:,}</span><span class="sp"></span>'
        f'<form class="rfilter" autocomplete="off"><select class="field" name="kind" aria-label="Kind">'
        f'<option value="">Any kind</option>{kinds}</select>'
        f'<select class="field" name="state" aria-label="State"><option value="">Any state</option>{states}</select>'
        "</form></div>"
    )


def _option(value: str, label: str, chosen: str) -> str:
    return f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(label)}</option>'


def _table(rows: str) -> str:
    return (
        '<div class="runs" role="table"><div class="rrow hd" role="row"><span>run</span><span>kind</span>'
        '<span>state</span><span>progress</span><span class="r">tokens</span><span class="r">at work</span>'
        f"<span>began</span><span></span></div>{rows}</div>"
    )


def _none() -> str:
    return '<p class="dim none">No run of this kind in this state. <a class="link" href="/runs">Show all</a></p>'


def _pages(page: RunList, to: To) -> str:
    first, last = page.skip + 1, page.skip + len(page.lines)
    if page.total <= page.limit and not page.skip:
        return ""
    newer = to(skip=max(0, page.skip - page.limit), run=None)
    back = f'<a class="btn sm ghost" href="{esc(newer)}">Newer</a>' if page.skip else ""
    older = to(skip=page.skip + page.limit, run=None)
    on = f'<a class="btn sm ghost" href="{esc(older)}">Older</a>' if last < page.total else ""
    return f'<div class="rpages num"><span>{first:,}–{last:,} of {page.total:,}</span>{back}{on}</div>'


def _run(r: RunLine, opened: RunLine | None) -> str:
    act, on = "", opened is not None and opened.id == r.id
    if r.state != "cancelling" and r.active:
        act = button("Cancel", "cancel", kind="sm", run=r.id)
    elif r.state in ("failed", "cancelled", "interrupted"):
        act = button("Resume", "resume", kind="sm", run=r.id)
    state = _WORDS.get(r.state, r.state)
    more = _details(opened) if on else ""
    return (
        f'<div class="rrow{" on" if on else ""}" role="row" data-run="{r.id}" tabindex="0">'
        f'<span class="num dim">{r.id}</span><span><b>{esc(DOING.get(r.kind, r.kind))}</b></span>'
        f'<span class="state {esc(r.state)}"><i></i>{esc(state)}</span><span class="prog">{_progress(r)}</span>'
        f'<span class="num r">{_count(r.tokens)}</span><span class="num r">{esc(r.took)}</span>'
        f'<span class="num dim">{esc(r.created)}</span><span class="do">{act}</span></div>{more}'
    )


def _count(n: int | None) -> str:
    if n is None:
        return ""
    return f"{n:,}" if n < 1_000_000 else f"{n / 1e6:,.1f} M"


def _progress(r: RunLine) -> str:
    width = round(100 * (r.share if r.share is not None else 1 if r.state == "done" else 0))
    words = progress(r).partition(" · ")[2] if r.state in ("running", "cancelling") else _summary(r)
    words = " · ".join(x for x in (esc(r.strategy), esc(r.about[0]), words) if x)  # runs of one kind look alike
    return f'<span class="track"><i style="width:{width}%"></i></span><span class="num">{words}</span>'


def _summary(r: RunLine) -> str:
    if r.state == "failed":
        return f'<span class="bad">{esc(r.error.splitlines()[0] if r.error else "failed")}</span>'
    counted = f"{r.done:,} of {r.total:,} {esc(r.unit)}" if r.total else ""
    left = f" · {clock(r.eta_s)} left" if r.active and r.eta_s else ""
    return " · ".join(x for x in (counted, esc(r.note)) if x) + left


# ---- one that is opened


def _details(r: RunLine) -> str:
    error = f'<p class="bad why">{esc(r.error)}</p>' if r.error else ""
    notes = "".join(f"<p>{esc(note)}</p>" for note in dict.fromkeys((r.note, *r.notes)) if note)
    tiles = "".join(f"<div><b>{esc(value)}</b><span>{esc(name)}</span></div>" for value, name in r.facts)
    settings = "".join(f"<tr><td>{esc(name)}</td><td>{_linked(value, r)}</td></tr>" for name, value in r.settings)
    table = f'<table class="plain"><tbody>{settings}</tbody></table>' if settings else ""
    return (
        f'<div class="rmore">{error}{f"<div class=notes>{notes}</div>" if notes else ""}'
        f'<div class="tiles num">{tiles}</div>{_part("Results", _results(r))}{_part("Settings", table)}{_log(r)}</div>'
    )


def _linked(value: str, r: RunLine) -> str:
    label, address = r.about
    return f'<a class="link" href="{esc(address)}">{esc(value)}</a>' if address and value == label else esc(value)


def _part(title: str, html: str) -> str:
    return f'<section><span class="lab">{title}</span>{html}</section>' if html else ""


def _results(r: RunLine) -> str:
    show = f'<a class="btn sm" href="{esc(r.link)}">{_SHOW.get(r.kind, "Show in Explore")}</a>' if r.link else ""
    if r.kind == "refine" and r.link:
        show = f'<a class="btn sm" href="{esc(r.link)}">Show the refinements</a>'
    listed = r.results if len(r.results) > 1 or not show else ()
    links = "".join(f'<li><a class="link" href="{esc(address)}">{esc(label)}</a></li>' for label, address in listed)
    more = f'<li class="dim">and {r.more:,} more</li>' if r.more else ""
    return show + (f"<ul>{links}{more}</ul>" if links else "")


def _log(r: RunLine) -> str:
    if not r.log:
        return ""
    lines = f"{len(r.log):,} line{'' if len(r.log) == 1 else 's'}"
    cut = f", the last {_LOGGED:,} of them" if len(r.log) > _LOGGED else ""
    return _part(f"Log, {lines}{cut}", f'<pre tabindex="0">{esc(chr(10).join(r.log[-_LOGGED:]))}</pre>')
