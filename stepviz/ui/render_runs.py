"""Runs: every long job with its state, progress and settings; cancel and resume."""

from __future__ import annotations

from stepviz.ui.render import button, esc
from stepviz.ui.render_chain import DOING, clock, progress
from stepviz.ui.rows import RunLine

_WORDS = {"queued": "waiting", "cancelling": "stopping"}


def runs(lines: tuple[RunLine, ...], opened: int | None = None) -> str:
    """The table; the run in the address is opened."""
    if not lines:
        return (
            '<div class="pagehead"><h1>Runs</h1></div><div class="empty"><div class="glyph"><i></i><i></i>'
            "<i></i><i></i><i></i></div>"
            "<b>Nothing has run yet</b><p>Sampling, measuring, imports, builds and trainings show up here.</p>"
            '<a class="btn" href="/">Open Explore</a></div>'
        )
    rows = "".join(_run(line, line.id == opened) for line in lines)
    return (
        f'<div class="pagehead"><h1>Runs</h1><span class="dim num">{len(lines)}</span></div>'
        '<div class="runs" role="table">'
        '<div class="rrow hd" role="row"><span>run</span><span>kind</span><span>state</span>'
        "<span>progress</span><span>took</span><span>started</span><span></span></div>"
        f"{rows}</div>"
    )


def _run(r: RunLine, on: bool) -> str:
    act = ""
    if r.active:
        act = button("Cancel", "cancel", kind="sm", run=r.id)
    elif r.state in ("failed", "cancelled", "interrupted"):
        act = button("Resume", "resume", kind="sm", run=r.id)
    state = _WORDS.get(r.state, r.state)
    more = _details(r) if on else ""
    return (
        f'<div class="rrow{" on" if on else ""}" role="row" data-run="{r.id}" tabindex="0">'
        f'<span class="num dim">{r.id}</span><span><b>{esc(DOING.get(r.kind, r.kind))}</b></span>'
        f'<span class="state {esc(r.state)}"><i></i>{esc(state)}</span><span class="prog">{_progress(r)}</span>'
        f'<span class="num">{esc(r.took)}</span><span class="num dim">{esc(r.created)}</span>'
        f'<span class="do">{act}</span></div>{more}'
    )


def _progress(r: RunLine) -> str:
    width = round(100 * (r.share if r.share is not None else 1 if r.state == "done" else 0))
    words = progress(r).partition(" · ")[2] if r.state == "running" else _summary(r)
    return f'<span class="track"><i style="width:{width}%"></i></span><span class="num">{words}</span>'


def _summary(r: RunLine) -> str:
    if r.state == "failed":
        return f'<span class="bad">{esc(r.error.splitlines()[0] if r.error else "failed")}</span>'
    counted = f"{r.done:,} of {r.total:,} {esc(r.unit)}" if r.total else ""
    left = f" · {clock(r.eta_s)} left" if r.active and r.eta_s else ""
    return " · ".join(x for x in (counted, esc(r.note)) if x) + left


def _details(r: RunLine) -> str:
    settings = "".join(f"<tr><td>{esc(name)}</td><td>{esc(value)}</td></tr>" for name, value in r.settings)
    error = f'<p class="bad why">{esc(r.error)}</p>' if r.error else ""
    log = f"<pre>{esc(chr(10).join(r.log))}</pre>" if r.log else ""
    show = {"dataset": "Show the dataset", "train": "Show the training", "compare": "Show the comparison"}.get(
        r.kind, "Show in Explore"
    )
    link = f'<a class="btn sm" href="{esc(r.link)}">{show}</a>' if r.link else ""
    return f'<div class="rmore">{error}<table class="plain"><tbody>{settings}</tbody></table>{log}{link}</div>'
