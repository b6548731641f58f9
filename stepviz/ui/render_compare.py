"""One comparison: how far it is, accuracy and what changed, values along the chain, the training, the first pits."""

from __future__ import annotations

from stepviz.compare import Accuracy, AtN
from stepviz.compare_report import points
from stepviz.statistics import Estimate
from stepviz.ui.render import button, esc
from stepviz.ui.render_chain import clock
from stepviz.ui.render_compare_curve import values
from stepviz.ui.render_compare_pits import problems
from stepviz.ui.render_compare_scores import chains, facts
from stepviz.ui.render_datasets import commands
from stepviz.ui.render_loss import curve as loss
from stepviz.ui.view_compare import ComparePage, Result, short

_STATES = {"queued": "waiting", "cancelling": "stopping", "running": "drawing"}
_FILES = (("csv", "CSV"), ("jsonl", "JSONL"))
_FLOW = (
    ("both", "right in both"),
    ("gained", "wrong → right"),
    ("lost", "right → wrong"),
    ("neither", "wrong in both"),
)


def opened(page: ComparePage) -> str:
    """The comparison of the address, as far as it is drawn; or what to do where nothing is."""
    if not page.names[0]:
        return f'<div class="phead"><h2>Compare</h2></div>{_empty(page)}'
    if page.run and page.run.active:
        return f'{_head(page)}<div class="facts">{_progress(page)}</div>'
    r = page.result
    if page.judges is not None:
        names = short(*page.names)
        judged = f'<div class="facts">{facts(page.judges, names)}</div>{chains(page, page.judges, names)}'
        return f"{_head(page)}{_notice(page)}{judged}"
    if r is None:
        return f"{_head(page)}{_notice(page)}{_empty(page)}"
    names = short(*page.names)
    return (
        f'{_head(page)}{_notice(page)}<div class="facts">{_accuracy(r, names)}{_pass_at(r.pass_at, names)}'
        f"{_curve(page, r, names)}{_training(page, r)}</div>{problems(page, r, names)}"
    )


def _head(page: ComparePage) -> str:
    run = page.run
    title, whole = " → ".join(short(*page.names)), " → ".join(page.names)
    active = run is not None and run.active
    act = ""
    if run is not None and run.state == "cancelling":
        act = '<em class="dim">stopping</em>'
    elif run is not None and active:
        act = button("Cancel", "cancel", run=run.id)
    elif page.result is not None or page.judges is not None:
        files = "".join(
            f'<a class="btn" href="/stepviz/compare/{name}{esc(page.at.query(skip=""))}" download '
            f'title="The table below, as it is filtered">{label}</a>'
            for name, label in _FILES
        )
        act = f'<span class="files"><span class="lab">Download</span>{files}</span>'
    state = (
        f'<span class="state {esc(run.state)}"><i></i>{esc(_STATES.get(run.state, run.state))}</span>'
        if run and active
        else ""
    )
    of = page.at.query(show="", along="", pit="", skip="", t="")
    return (
        f'<div class="phead" data-of="{esc(of)}"><h2 title="{esc(whole)}">{esc(title)}</h2>'
        f'<div class="meta"><span>{esc(page.where)}</span></div>{state}'
        f'<span class="sp"></span>{act}</div>'
    )


def _notice(page: ComparePage) -> str:
    """What the run of it could not do, and what is not there."""
    run, r = page.run, page.result
    said, act = "", ""
    if run is not None and run.state == "failed":
        said = commands(run.error or "The comparison failed.")
        act = button("Try again", "resume", kind="sm", run=run.id)
    elif run is not None and run.state in ("cancelled", "interrupted"):
        stopped = "was stopped" if run.state == "cancelled" else "was interrupted: its process is gone"
        said = f"Drawing {stopped}. What was drawn is kept."
        act = button("Go on", "resume", kind="sm", run=run.id)
    elif run is not None and run.state == "done" and run.note and not run.note.startswith("nothing to draw"):
        said = esc(run.note)
    parts = [said] if said else []
    if r is not None:
        parts += _left_out(r)
    if page.judges is not None and (unscored := max(page.judges.found.unscored)):
        parts.append(f"{unscored:,} chains are not scored by both yet.")
    if not parts:
        return '<div class="notice" hidden></div>'
    bad = " bad" if run is not None and run.state == "failed" else ""
    return f'<div class="notice{bad}" role="alert"><span class="why">{" ".join(parts)}</span>{act}</div>'


def _left_out(r: Result) -> list[str]:
    said = []
    if missing := r.found.problems - len(r.found.pairs):
        said.append(f"{missing:,} of {r.found.problems:,} problems have no chain of both models yet.")
    if r.found.missing.continuations and not missing:
        said.append(f"{r.found.missing.continuations:,} continuations are not drawn yet: V and pits are of the others.")
    if r.found.ungraded:
        said.append(f"{r.found.ungraded:,} without a gold answer are left out.")
    return said


def _progress(page: ComparePage) -> str:
    run = page.run
    assert run is not None, "a comparison at work has a run"
    width = round(100 * (run.share or 0))
    tiles = [("draws", f"{run.done:,} of {run.total:,}" if run.total else "–")]
    tiles += [("tokens a second", f"{run.tokens_per_s:,.0f}" if run.tokens_per_s else "–")]
    tiles += [("left", clock(run.eta_s) if run.eta_s is not None else "–")]
    shown = "".join(f'<div><b class="num">{esc(value)}</b><span>{esc(name)}</span></div>' for name, value in tiles)
    waiting = "Waiting for the engine." if run.state == "queued" else run.note
    return (
        f'<div class="track" role="progressbar" aria-valuenow="{width}" aria-label="progress">'
        f'<i style="width:{width}%"></i></div><div class="tiles">{shown}</div><p class="dim">{esc(waiting)}</p>'
        '<p class="dim">Every draw is kept: a cancelled comparison goes on where it was, and what one has drawn the '
        "next one has.</p>"
    )


# ---- the numbers


def _accuracy(r: Result, names: tuple[str, str]) -> str:
    a = r.accuracy
    tiles = "".join(
        (
            _tile(_percent(a.before), names[0], _bounds(a.before)),
            _tile(_percent(a.after), names[1], _bounds(a.after)),
            _tile(
                f"{100 * a.difference.value:+.1f}",
                "points",
                points(a.difference).partition(" ")[2],
                _sign(a.difference),
            ),
            _tile(chance(a.p), "McNemar p", f"{a.gained} against {a.lost}"),
        )
    )
    aside = [
        f"{what} {before} → {after}"
        for what, (before, after) in (
            ("cut off", a.cut_off), ("without an answer", a.no_answer), ("not judged", a.unjudged),
        )
        if before or after
    ]  # fmt: skip
    note = f'<p class="dim">Not right, and counted apart: {esc("; ".join(aside))}.</p>' if aside else ""
    return (
        f'<section><h3>Greedy accuracy</h3><div class="tiles">{tiles}{_flow(a)}</div>{note}'
        '<p class="dim fine">Each with Wilson’s interval; the difference by a paired bootstrap over problems, 95 %.</p>'
        "</section>"
    )


def chance(p: float) -> str:
    """`< .001`, `.012`, `.34`, `1`"""
    return "< .001" if p < 0.001 else f"{p:.3f}"[1:] if p < 0.0995 else f"{p:.2f}"[1:] if p < 0.995 else "1"


def _tile(value: str, name: str, under: str, css: str = "") -> str:
    said = f'<b class="num">{esc(value)}</b><span>{esc(name)}</span><small class="num">{esc(under)}</small>'
    return f'<div class="{css}">{said}</div>'


def _sign(e: Estimate) -> str:
    """Coloured where the interval leaves no doubt."""
    return "up" if e.low > 0 else "down" if e.high < 0 else ""


def _flow(a: Accuracy) -> str:
    """What became of each problem, as one bar."""
    counts = [(name, label, getattr(a, name)) for name, label in _FLOW]
    bar = "".join(f'<i class="{name}" style="flex:{n}" title="{label}: {n}"></i>' for name, label, n in counts if n)
    words = "".join(f'<span class="{name}"><i></i>{label} <b class="num">{n:,}</b></span>' for name, label, n in counts)
    return f'<div class="flow"><span class="lbar">{bar}</span><span class="lwords">{words}</span></div>'


def _pass_at(rows: tuple[AtN, ...], names: tuple[str, str]) -> str:
    if not rows:
        return '<section class="passn" hidden></section>'
    before, after = map(esc, names)
    lines = "".join(
        f'<tr><td>pass@{r.n}</td><td class="num">{100 * r.before:.1f} %</td><td class="num">{100 * r.after:.1f} %</td>'
        f'<td class="num {_sign(r.difference)}">{esc(points(r.difference))}</td></tr>'
        for r in rows
    )
    return (
        '<section class="passn"><h3>Samples</h3><table class="plain"><thead><tr><th></th>'
        f"<th>{before}</th><th>{after}</th><th>difference, points</th></tr></thead><tbody>{lines}</tbody></table>"
        "</section>"
    )


def _curve(page: ComparePage, r: Result, names: tuple[str, str]) -> str:
    if r.curve is None:
        return '<section class="along" hidden></section>'
    switch = "".join(
        f'<a class="chip{" on" if page.at.along == name else ""}" data-go href="{esc(page.at.query(along=name))}">'
        f"{label}</a>"
        for name, label in (("step", "by step"), ("share", "by share of the way"))
    )
    return (
        f'<section class="along"><h3>V along the chain<span class="sp"></span><span class="chips">{switch}</span></h3>'
        f"{values(r.curve, names, page.at.along)}</section>"
    )


def _training(page: ComparePage, r: Result) -> str:
    if not r.losses:
        return '<section class="trained" hidden></section>'
    return (
        f'<section class="trained"><h3>The training of {esc(page.names[1])}</h3>{loss(r.losses, None, False)}</section>'
    )


def _percent(e: Estimate) -> str:
    return f"{100 * e.value:.1f} %"


def _bounds(e: Estimate) -> str:
    return f"{100 * e.low:.1f}–{100 * e.high:.1f}"


def _empty(page: ComparePage) -> str:
    if page.form.lacks:
        embedded = page.at.source == "embedded" and page.at.split
        add = (
            button(f"Put the embedded {page.at.split} problems in", "world", kind="pri")
            if embedded and "has no problem" in page.form.lacks
            else '<a class="btn" href="/import">Import problems</a>'
            if "no problem" in page.form.lacks
            else ""
        )
        said = f"<b>Nothing to compare yet</b><p>{commands(page.form.lacks)}</p>{add}"
    else:
        said = (
            "<b>Not drawn yet</b><p>Choose two models and how many problems, and press Compare: both write a greedy "
            "chain for each problem, V is measured along it, and what has changed stands here.</p>"
        )
    return f'<div class="empty first"><div class="glyph">{"<i></i>" * 5}</div>{said}</div>'
