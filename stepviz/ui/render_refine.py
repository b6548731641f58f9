"""Refine: the draft beside a refinement, and what the ORM chose from."""

from __future__ import annotations

from dataclasses import replace

from stepviz.refine_spec import NONE
from stepviz.ui.address import Address
from stepviz.ui.differences import Ranges
from stepviz.ui.render import answer, attrs, button, esc, icon, number, prose, said
from stepviz.ui.render_chain import columns, run_bar, step_row
from stepviz.ui.rows import ChainPage, EquationMark, StepRow
from stepviz.ui.view_refine import Card, RefinePage, Side


def view(p: RefinePage) -> str:
    """Draft and refinement, the curve columns facing each other; below, the ORM's choice."""
    if p.missing or p.draft is None:
        return _nothing(p)
    question = p.draft.page.rows[0].text
    many = " many" if p.line and p.line.samples > 1 and p.line.chosen else ""
    right = _half(p.refined, right=True) if p.refined else _unrefined(p)
    return (
        f'{run_bar(p.run)}{_report(p)}<div class="pair" data-chain="{esc(p.draft.page.chain)}">'
        f'<p class="q">{prose(question, p.draft.page.tex, flat=True)}</p>'
        f'{_half(p.draft)}{right}</div><div class="cards{many}" role="radiogroup" aria-label="What the ORM chose from">'
        f"{_cards(p)}</div>"
    )


def _report(p: RefinePage) -> str:
    if not p.report:
        return '<div class="notice report" hidden></div>'
    close = button("Dismiss", "dismiss", kind="sm ghost", run=p.at.run)
    return (
        f'<div class="notice report" role="status"><span>{esc(p.report)} The ledger has them all.</span>{close}</div>'
    )


def _half(side: Side, right: bool = False) -> str:
    v = replace(side.page, selected=-1)
    if right:  # one threshold is dragged, and one pit is predicted: the draft's
        v = replace(v, drawn=None, predicted_pit=None, rows=tuple(replace(r, pits=(), gain=None) for r in v.rows))
    name, note = ("Refinement", side.note) if right else ("Draft", "")
    css = " ".join(x for x in ("tab", "s" if v.columns else "", "x" if any(r.exact for r in v.rows) else "") if x)
    if right:
        css = css.replace(" s", " t", 1)  # the scores' column without a threshold of its own
    sizes = f' style="--n:{len(v.columns)};--t:{v.threshold:g}"' if v.columns else ""
    rows = "".join(_row(v, i, side) for i in range(1, len(v.rows)))
    empty = "" if len(v.rows) > 1 else '<div class="notice"><span>It has no steps.</span></div>'
    return (
        f'<section class="half{" right" if right else ""}"><div class="vhead"><h2>{name}</h2>{_verdict(v)}'
        f'<div class="meta"><span>{esc(note)}</span></div><span class="sp"></span>{_explore(v) if right else ""}</div>'
        f'<div class="{css}"{sizes} role="grid" aria-label="{name}">{columns(v)}{rows}{empty}</div></section>'
    )


def _explore(v: ChainPage) -> str:
    """The refinement as a chain of its own: its values, its clusters."""
    link = Address(problem=v.problem, chain=v.chain).query()
    return f'<a class="link" href="/{esc(link)}" title="Show it in Explore">chain {v.number}</a>'


def _row(v: ChainPage, i: int, side: Side) -> str:
    row, d = v.rows[i], side.difference
    if d is None:
        return step_row(v, i, _marked(row, v.tex, ()))
    return step_row(v, i, _marked(row, v.tex, d.changed[i - 1]), kept=d.same[i - 1])


def _marked(row: StepRow, tex: bool, changed: Ranges) -> str:
    """The step with its changed places underlined; each piece is escaped by itself."""
    out, at = [], 0
    for start, end in changed:
        out.append(_piece(row, at, start, tex))
        out.append(f"<u>{_piece(row, start, end, tex)}</u>")
        at = end
    out.append(_piece(row, at, len(row.text), tex))
    return "".join(out) or " "


def _piece(row: StepRow, start: int, end: int, tex: bool) -> str:
    marks = tuple(EquationMark(m.end - start, m.holds, m.reason) for m in row.equations if start < m.end <= end)
    return prose(row.text[start:end], tex, marks)


def _verdict(v: ChainPage) -> str:
    css = {"correct": "ok", "wrong": "no", "unknown": ""}[v.verdict]
    title = f"{said(v.verdict)}: {v.verdict_reason}" if v.verdict_reason else said(v.verdict)
    return (
        f'<span class="verdict {css}" title="{esc(title)}">{icon(v.verdict)}'
        f'<span class="ans">{answer(v.answer, v.tex)}</span></span>'
    )


def _unrefined(p: RefinePage) -> str:
    if p.line is not None:  # the ledger has it, and nothing was written
        why = (
            f"The ORM believes this draft ({number(p.line.when)} > {number(p.line.gate)}), so nothing was written. "
            "Choose “always” to refine it anyway."
            if not p.line.chosen
            else "No step was flagged, and a local refinement was asked for alone."
        )
        return f'<section class="half right"><div class="empty"><b>Not refined</b><p>{why}</p></div></section>'
    score = (
        ""
        if p.bar.scored or p.bar.lacks or p.bar.sorm == NONE
        else button("Score the draft", "score", title="The ORM's and the SORM's score after each step")
    )
    return (
        '<section class="half right"><div class="empty"><b>Not refined yet</b><p>Refine writes this draft anew, from '
        "the first step that the SORM scores at or below the threshold, and as a whole. Then the ORM chooses. A click "
        f"on a step starts there instead.</p>{score}</div></section>"
    )


def _nothing(p: RefinePage) -> str:
    if p.missing:
        back = '<a class="btn" href="/refine">Show the newest</a>'
        return f'<div class="empty"><b>Not here</b><p>{esc(p.missing)}</p>{back}</div>'
    first = f'<a class="btn" href="?chain={esc(p.suggestion)}">Take a wrong chain</a> ' if p.suggestion else ""
    many = button("Refine many…", "many") if p.suggestion else ""
    return (
        f"{run_bar(p.run)}{_report(p)}"
        '<div class="empty"><b>No chain is open</b><p>Open a chain in Explore and press r: here it is written anew.</p>'
        f'{first}{many} <a class="btn" href="/">Open Explore</a></div>'
    )


# ---- the ORM's choice


def _cards(p: RefinePage) -> str:
    if not p.cards or p.line is None:
        return ""
    cards = "".join(_card(p, card) for card in p.cards)
    return f"{cards}{_result(p)}"


def _card(p: RefinePage, c: Card) -> str:
    score = f'<span class="num prd">{number(c.score)}</span>' if c.score is not None else '<span class="dim">–</span>'
    word = "pick" if p.line and p.line.samples > 1 else "ORM’s pick"  # of many, each with little room
    picked = f'<span class="tag pick" title="ORM’s pick">{word}</span>' if c.picked and p.line and p.line.orm else ""
    if p.line and not p.line.chosen:
        picked = '<span class="tag pick">spared</span>'
    picked = picked or ('<span class="tag pick">kept</span>' if c.picked else "")
    notes = "".join(f"<small>{esc(note)}</small>" for note in c.notes)
    body = (
        f'<b>{esc(c.name.capitalize())}</b>{score}{icon(c.verdict)}<span class="ans">{answer(c.answer)}</span>'
        f"{picked}{notes}"
    )
    first = " first" if c.name in ("global", "local") else ""
    css = f"card{first}{' picked' if c.picked else ''}{' on' if c.shown else ''}"
    if c.name == "draft":
        return f'<div class="{css}">{body}</div>'
    data = attrs(
        type="button", role="radio", aria_checked="true" if c.shown else "false", data_act="show", data_name=c.name
    )
    return f'<button class="{css}"{data}>{body}</button>'


def _result(p: RefinePage) -> str:
    assert p.line is not None
    if not p.line.chosen:
        judged = {"wrong": "wrongly", "correct": "rightly", "unknown": "nobody knows whether rightly"}
        return f'<p class="result">The gate spared it: {judged[p.cards[0].verdict]}</p>'
    words = {
        1: '<b class="good">Fixed</b>: a wrong draft, a right pick',
        -1: '<b class="bad">Broken</b>: a right draft, a wrong pick',
        0: f"No gain: {'still wrong' if p.line.picked.verdict == 'wrong' else 'right before and after'}",
        None: "Without a verdict there is no gain",
    }[p.line.gain]
    return f'<p class="result">{words}{_note(p.line.note)}</p>'


def _note(note: str) -> str:
    return f"<small>{esc(note)}</small>" if note else ""
