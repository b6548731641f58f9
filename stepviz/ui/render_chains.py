"""The chains of one problem: clusters of answers, then one row a chain."""

from __future__ import annotations

from stepviz.ui.address import Address
from stepviz.ui.refine_address import At
from stepviz.ui.render import answer, attrs, button, esc, icon, interval, number, shade, shares
from stepviz.ui.render_scores import estimates
from stepviz.ui.rows import Cell, ChainLine, ChainList, Scorer
from stepviz.ui.view_studies import study_link

_COUNTS = (1, 4, 8, 16, 32, 64)
MANY = 8  # chains, from which on an order is worth choosing
_ORDERS = (("", "In order"), ("value", "By last value"), ("pit", "By first pit"), ("length", "By length"))


def chains(c: ChainList | None) -> str:
    """The column; None: no problem is open."""
    if c is None:
        return f'{_nav("")}<div class="phead"><h2>Chains</h2></div>'
    nav = _nav(c.place)
    if c.of == 0:
        return f'{nav}<div class="phead"><h2>Chains</h2></div>{_none(c)}'
    sample = _sample(c) if c.can_sample else ""
    scored = c.scorer is not None and any(line.score is not None for line in c.lines)
    rows = "".join(_chain(line, line.id == c.selected, c, scored) for line in c.lines)
    if not rows:
        rows = (
            '<div class="empty" style="margin-top:40px"><p>No chain has this answer and origin.'
            f"</p>{button('Show all', 'unfilter', kind='sm')}</div>"
        )
    return (
        f'{nav}<div class="phead"><h2>Chains</h2><span class="dim num">{c.of}</span><span class="sp">'
        f"</span>{sample}</div>"
        f"{_sampler(c)}{_reach(c)}{_clusters(c)}{_filters(c)}"
        f'<div class="cbody{" scored" if scored else ""}">{_header(c, scored)}'
        f'<div class="clist" role="listbox" aria-label="Chains">{rows}</div>{_study(c)}</div>'
    )


def _sample(c: ChainList) -> str:
    """A button, and how many in a list at its side; the browser remembers the choice."""
    options = "".join(f'<option value="{n}"{" selected" if n == c.sample_n else ""}>{n}</option>' for n in _COUNTS)
    label = "Sampling…" if c.busy else f"Sample {c.sample_n} more"
    return (
        f'<span class="split">{button(label, "sample", "s", kind="sm", title=c.cost, n=c.sample_n)}'
        f'<select data-count aria-label="How many chains" title="How many chains">{options}</select></span>'
    )


def _sampler(c: ChainList) -> str:
    """Who draws the next ones; a click chooses another model."""
    if not c.can_sample:
        return '<div class="by" hidden></div>'
    title = "The model that draws new chains. Choose another: a trained one, a folder, a hub id, vLLM, a server"
    return (
        f'<div class="by"><span>sampled with</span><button type="button" class="link" data-act="sampler" '
        f'title="{title}">{esc(c.sampler)}</button>{_refine(c)}</div>'
    )


def _refine(c: ChainList) -> str:
    """To the dialog that refines many: those that this list shows."""
    if not c.lines or not c.selected:
        return ""
    link = At(chain=c.selected, answer=c.picked, origin=c.origin).query() + "&many=1"
    title = "Wrong ones, doubted ones or all of these chains at once"
    return f'<span class="sp"></span><a class="link" href="/refine{esc(link)}" title="{title}">Refine many…</a>'


def _study(c: ChainList) -> str:
    """To the form of a study of those that this list shows."""
    if not c.lines:
        return "<p hidden></p>"
    link = study_link(problem=c.problem, answer=c.picked, origin=c.origin)
    return f'<p class="pad"><a class="link" href="{esc(link)}">Make a study of these…</a></p>'


def _nav(place: str) -> str:
    return (
        '<div class="pnav"><button type="button" class="btn ghost sm" data-act="rail" '
        'aria-label="Problems" title="Problems ["><i class="ic menu"></i></button>'
        f'<b class="num">{esc(place) or "Problems"}</b><span class="sp"></span>'
        '<button type="button" class="btn ghost sm" data-act="previous" aria-label="Problem before" '
        'title="Problem before"><i class="ic up"></i></button>'
        '<button type="button" class="btn ghost sm" data-act="next" aria-label="Next problem" '
        'title="Next problem"><i class="ic down"></i></button></div>'
    )


def _none(c: ChainList) -> str:
    if not c.can_sample:
        return (
            f'<div class="empty"><div class="glyph">{"<i></i>" * 5}</div><b>No chains yet</b>'
            f'<p>{esc(c.out_of_reach)}</p><a class="btn" href="/import">Import solutions</a></div>'
        )
    label = "Sampling…" if c.busy else f"Sample {c.sample_n} chains"
    note = f"<small>{esc(c.out_of_reach)}</small>" if c.out_of_reach else ""
    return (
        f'<div class="empty"><div class="glyph">{"<i></i>" * 5}</div><b>No chains yet</b>'
        "<p>Sample some from the model, or import a file of solutions.</p>"
        f"{button(label, 'sample', 's', kind='pri', n=c.sample_n)}{_sampler(c)}<small>{esc(c.cost)}</small>{note}"
        "</div>"
    )


def _reach(c: ChainList) -> str:
    return f'<div class="reach">{esc(c.out_of_reach)}</div>' if c.out_of_reach else '<div class="reach" hidden></div>'


def _clusters(c: ChainList) -> str:
    bars = shares(c.shares, c.picked, "answer", c.tex)
    return f'<div class="clus"><div class="sum"><span>Answers</span>{_rate(c)}</div>{bars}</div>'


def _rate(c: ChainList) -> str:
    """How many are right; where the chains are not all draws of one rate, of those draws that V is measured with."""
    if c.right is None:
        return '<span class="num">no gold answer</span>'
    n = c.of if c.rated is None else c.rated
    some = n < c.of
    why = f"Of the {n} draws from the question by the model and the sampling that values are measured with. "
    why += f"The other {c.of - n} are of another author or sampling, or branches, or refinements."
    bounds = f" [{interval(c.interval)}]" if c.interval else ""
    of = f"{n} draws" if some else n
    return (
        f'<span class="num"{attrs(title=why if some else None)}>{c.right} of {of} right · '
        f"<b>{number(c.right / n)}</b>{bounds}</span>"
    )


def _filters(c: ChainList) -> str:
    """Origin and order, where there is something to choose."""
    if len(c.origins) < 2 and c.of < MANY:
        return '<div class="filters" hidden></div>'
    origins = "".join(
        f'<option value="{esc(name)}"{" selected" if name == c.origin else ""}>{esc(name)} ({n})</option>'
        for name, n in c.origins
    )
    orders = "".join(
        f'<option value="{v}"{" selected" if v == c.sort else ""}>{label}</option>' for v, label in _ORDERS
    )
    hidden = " hidden" if len(c.origins) < 2 else ""
    return (
        f'<div class="filters"><select class="field" data-change="origin" aria-label="Origin"{hidden}>'
        f'<option value="">Any origin</option>{origins}</select>'
        f'<select class="field" data-change="sort" aria-label="Order">{orders}</select></div>'
    )


def _said_of(scorer: Scorer) -> str:
    return f"{scorer.name} after the last step: {estimates(scorer)}"


def _header(c: ChainList, scored: bool) -> str:
    score = f'<span class="sc"{attrs(title=_said_of(c.scorer))}>{c.scorer.label}</span>' if scored and c.scorer else ""
    own = "; each chain’s own model" if len(c.measured_by) > 1 else ""
    whose = f"Rollouts of {', '.join(c.measured_by)}{own}" if c.measured_by else None
    return (
        '<div class="chead"><span class="cid">#</span><span></span><span>answer</span>'
        f"<span{attrs(title=whose)}>value, step by step</span>{score}</div>"
    )


def _chain(line: ChainLine, on: bool, c: ChainList, scored: bool) -> str:
    cells = "".join(map(cell, line.cells))
    score = f'<span class="num sc">{number(line.score) if line.score is not None else ""}</span>' if scored else ""
    grown = f", {_grown(line)}" if line.parent else ""
    link = Address(problem=c.problem, chain=line.id).query()
    kind = "" if not line.parent else " rf" if line.parent.refined else " br"
    css = f"crow{' on' if on else ''}{kind}"
    return (
        f'<a class="{css}" role="option" aria-selected="{"true" if on else "false"}" href="{esc(link)}" '
        f'data-chain="{esc(line.id)}"'
        f'{attrs(title=line.origin + grown)}><span class="num cid">{line.number}</span>{icon(line.verdict)}'
        f'<span class="ans">{answer(line.answer, c.tex)}</span><span class="strip">{cells}</span>{score}</a>'
    )


def _grown(line: ChainLine) -> str:
    """`refinement of chain 3, local from step 2`."""
    assert line.parent is not None
    before, after = line.parent.said
    return f"{before} chain {line.parent.number}{'' if after.startswith(',') else ' '}{after}"


def cell(c: Cell) -> str:
    css = shade(c.value) + (" pit" if c.pit else "")
    fill = f' style="--h:{c.value:.2f}"' if c.value is not None and 0 < c.value < 1 else ""
    return f'<i class="{css}"{fill}></i>'


def chains_loading() -> str:
    def row(width: int) -> str:
        return (
            '<div class="crow" style="pointer-events:none"><i class="skel" style="--w:16px"></i>'
            '<i class="skel" style="--w:10px"></i>'
            f'<i class="skel" style="--w:48px"></i><i class="skel" style="--w:{width}px"></i></div>'
        )

    rows = "".join(row(60 + (i * 37) % 45) for i in range(14))
    return f'{_nav("")}<div class="phead"><h2>Chains</h2></div><div class="clist" aria-busy="true">{rows}</div>'
