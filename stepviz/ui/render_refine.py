"""Refine: the bar (when, where, how), the draft beside a refinement, and what the ORM chose from."""

from __future__ import annotations

from dataclasses import replace

from stepviz.model_choices import ModelChoice
from stepviz.refine_spec import HOW, NONE
from stepviz.reward.specs import ROLES
from stepviz.ui.address import Address
from stepviz.ui.differences import Ranges
from stepviz.ui.render import answer, attrs, button, esc, icon, number, prose, said
from stepviz.ui.render_chain import columns, run_bar, step_row
from stepviz.ui.rows import ChainPage, EquationMark, StepRow
from stepviz.ui.view_refine import Bar, Card, RefinePage, Side

_HOW = {"both": "Both", "global": "Global", "local": "Local"}
_HOW_TITLES = {
    "both": "A global and a local refinement",
    "global": "The whole draft anew: [BAD] before its first step",
    "local": "From the flagged step on: [BAD] before it",
}
_PARTS = {"refiner": "Refiner", "orm": "ORM", "sorm": "SORM"}


def bar(p: RefinePage) -> str:
    """The form above; the browser keeps what is typed in the address."""
    b, chain = p.bar, p.draft.page if p.draft else None
    at = Address(problem=chain.problem, chain=chain.chain).query() if chain else "/"
    title = (
        f'<a class="back" href="/{esc(at)}" title="Show it in Explore"><b>Chain {chain.number}</b>'
        f'<span class="dim">{esc(p.place)}</span></a>'
        if chain
        else "<b>Refine</b>"
    )
    off = bool(b.lacks) or chain is None or b.busy
    go = f'<button type="submit" class="btn pri"{" disabled" if off else ""}>Refine <kbd>r</kbd></button>'
    how = f"{b.lacks.partition(', and give it')[0]}, or on the Train page; then choose it under Models"
    notice = f'<div class="notice"><span>{_commands(_sentence(how))}</span></div>' if b.lacks and chain else ""
    step = f'<input type="hidden" name="step" value="{b.step or ""}">'
    return (
        f'<form class="rbar" data-act="refine" autocomplete="off"><div class="what">{title}</div>'
        f'{_when(b)}{_where(b)}{_how(b)}{_who(b)}<span class="sp"></span>{step}{go}</form>{notice}'
    )


def _when(b: Bar) -> str:
    """The gate, and what it would decide."""
    gates = sorted({0.3, 0.5, 0.7} | ({b.gate} if b.gate is not None else set()))
    options = "".join(
        f'<option value="{value}"{" selected" if on else ""}>{label}</option>'
        for value, label, on in (
            ("always", "always", b.gate is None),
            *((f"{g:g}", f"ORM ≤ {number(g)}", b.gate == g) for g in gates),
        )
    )
    if b.orm == NONE:
        word = "no ORM"
    elif b.when is None:
        word = ""
    else:
        spared = b.gate is not None and b.when > b.gate
        word = f'ORM <b class="prd">{number(b.when)}</b>{" spared" if spared else ""}'
    return (
        '<label class="part"><span class="lab">When</span><select class="field" name="gate" '
        f'title="Refine always, or only what the ORM doubts">{options}</select><span class="say">{word}</span></label>'
    )


def _where(b: Bar) -> str:
    if b.step:
        word = f'step {b.step} by hand <button type="button" class="link" data-act="unstep">undo</button>'
    elif b.sorm == NONE:
        word = "no SORM"
    elif not b.scored:
        word = "not scored yet"
    else:
        word = f"step {b.flagged}" if b.flagged else "no step"
    return (
        '<label class="part"><span class="lab">Where</span><input class="field num" name="t" type="number" min="0" '
        f'max="1" step="0.01" value="{b.threshold:.2f}" title="The first step that the SORM scores at or below this">'
        f'<span class="say where">{word}</span></label>'
    )


def _how(b: Bar) -> str:
    choices = "".join(
        f'<label title="{_HOW_TITLES[how]}"><input type="radio" name="how" value="{how}"'
        f"{' checked' if how == b.how else ''}>{_HOW[how]}</label>"
        for how in HOW
    )
    return f'<div class="part"><span class="lab">How</span><div class="seg" role="radiogroup">{choices}</div></div>'


def _who(b: Bar) -> str:
    fields = "".join(_model(b, role) for role in _PARTS)
    return f'<details class="part who"><summary>Models</summary><div class="pop">{fields}</div></details>'


def _model(b: Bar, role: str) -> str:
    chosen = getattr(b, role)
    known = b.choices.get(role, ())
    options = "".join(_option(choice, role, chosen) for choice in known)
    if chosen not in {choice.spec for choice in known} and chosen != NONE:
        options = f'<option value="{esc(chosen)}" selected>{esc(chosen)}</option>{options}'
    if role != "refiner":
        options += f'<option value="{NONE}"{" selected" if chosen == NONE else ""}>none</option>'
    what = "writes the refinements" if role == "refiner" else ROLES[role]
    return (
        f'<label><span><b>{_PARTS[role]}</b><small>{esc(what)}</small></span><select class="field" name="{role}">'
        f"{options}</select></label>"
    )


def _option(choice: ModelChoice, role: str, chosen: str) -> str:
    other = f" ({choice.role})" if choice.role != role else ""
    about = f" · {choice.about}" if choice.about else ""
    on = " selected" if choice.spec == chosen else ""
    return f'<option value="{esc(choice.spec)}"{on}>{esc(choice.label)}{esc(other)}{esc(about)}</option>'


# ---- the two tables


def view(p: RefinePage) -> str:
    """Draft and refinement, the curve columns facing each other; below, the ORM's choice."""
    if p.missing or p.draft is None:
        return _nothing(p)
    question = p.draft.page.rows[0].text
    right = _half(p.refined, right=True) if p.refined else _unrefined(p)
    return (
        f'{run_bar(p.run)}{_report(p)}<div class="pair" data-chain="{esc(p.draft.page.chain)}">'
        f'<p class="q">{prose(question, p.draft.page.tex, flat=True)}</p>'
        f'{_half(p.draft)}{right}</div><div class="cards" role="radiogroup" aria-label="What the ORM chose from">'
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
    picked = '<span class="tag pick">ORM’s pick</span>' if c.picked and p.line and p.line.orm else ""
    if p.line and not p.line.chosen:
        picked = '<span class="tag pick">spared</span>'
    picked = picked or ('<span class="tag pick">kept</span>' if c.picked else "")
    notes = "".join(f"<small>{esc(note)}</small>" for note in c.notes)
    body = (
        f'<b>{esc(c.name.capitalize())}</b>{score}{icon(c.verdict)}<span class="ans">{answer(c.answer)}</span>'
        f"{picked}{notes}"
    )
    css = f"card{' picked' if c.picked else ''}{' on' if c.shown else ''}"
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


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""


def _commands(text: str) -> str:
    """`…` as code."""
    return "".join(f"<code>{esc(part)}</code>" if i % 2 else esc(part) for i, part in enumerate(text.split("`")))
