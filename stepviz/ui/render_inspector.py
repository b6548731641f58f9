"""What is known of the step in focus, and what can be done from it."""

from __future__ import annotations

from stepviz.rollouts import unfinished
from stepviz.types import Continuation
from stepviz.ui.refine_address import At
from stepviz.ui.render import answer, button, esc, icon, interval, k_of_n, prose, shares
from stepviz.ui.render_likely import likely_acts, likely_fact
from stepviz.ui.render_scores import beside
from stepviz.ui.rows import ChainPage, ExactMark, Label, StepRow


def inspector(v: ChainPage, row: StepRow) -> str:
    """Actions, where continuations end, who said what, the newest continuations."""
    name = "Question" if row.number == 0 else "Answer line" if row.kind == "answer" else f"Step {row.number}"
    if row.kind == "answer":
        name = f"{name} {row.number}"
    ends = shares(row.endings, tex=v.tex) if row.endings else _nothing(v, row)
    return (
        f'<div class="ihead"><h3>{name}</h3><span class="num">{k_of_n(row.value, row.sequential)}</span></div>'
        f'<div class="acts">{_actions(v, row)}</div>'
        f'<div class="ends"><span class="lab">Where continuations end</span>{ends}</div>'
        f'<div class="facts">{likely_fact(row.likely, v)}{_interval(row)}{beside(row.predicted)}{_exact(row)}'
        f"{_people(row.labels)}{_equations(row)}</div>"
        f'<div class="conts">{_continuations(v, row)}</div>'
    )


def _terminal(row: StepRow) -> bool:
    return row.kind == "answer" or (row.value is not None and row.value.terminal is not None)


def _actions(v: ChainPage, row: StepRow) -> str:
    edit = button("Edit & branch", "edit", "e", step=row.number) if row.number and not v.blocked else ""
    title = "Written anew from this step on; the steps before it stay"
    link = At(chain=v.chain, step=str(row.number)).query()
    refine = f'<a class="btn" href="/refine{esc(link)}" title="{title}">Refine from here</a>' if row.number else ""
    edit += refine
    if v.blocked or _terminal(row):
        return likely_acts(row.likely, v) + edit
    more = button("32 more here", "more", "m", title=f"{row.cost} of {v.measurer}", step=row.number, n=32)
    go_on = button("Continue", "continue", "c", title="New chains from here", step=row.number)
    return more + go_on + likely_acts(row.likely, v) + edit


def _nothing(v: ChainPage, row: StepRow) -> str:
    if _terminal(row):
        return '<p class="dim">The answer is already stated here, so nothing is sampled.</p>'
    return f'<p class="dim">{esc(v.blocked) or "Nothing sampled from here yet."}</p>'


def _interval(row: StepRow) -> str:
    """Which interval it is and why, where it is not the usual one."""
    if not row.sequential or row.value is None or not row.value.n:
        return '<div class="fact" hidden></div>'
    return (
        f'<div class="fact"><span class="lab">Interval</span><p>{interval(row.bounds)} is a confidence sequence: the '
        "steps have different numbers of draws, and it holds whatever decided them. Wilson’s, "
        f"{interval(row.value.interval())}, would need a number that was fixed.</p></div>"
    )


def _exact(row: StepRow) -> str:
    if row.exact is None:
        return '<div class="fact" hidden></div>'
    return f'<div class="fact"><span class="lab">Exact judge</span><p>{_judgement(row.exact)}</p></div>'


def _judgement(mark: ExactMark) -> str:
    if not mark.readable:
        return f"unreadable{': ' + esc(mark.reason) if mark.reason else ''}"
    words = ["holds" if mark.correct else "follows from an earlier error" if mark.inherited else "wrong"]
    if mark.correct and mark.progress is False:
        words.append("but leads nowhere new")
    if mark.solvable is not None:
        words.append("still solvable from here" if mark.solvable else "no longer solvable from here")
    reason = f" {esc(mark.reason[:1].upper() + mark.reason[1:])}" if mark.reason else ""
    return f"<b>{words[0].capitalize()}</b>{''.join(f', {w}' for w in words[1:])}.{reason}"


def _people(labels: tuple[Label, ...]) -> str:
    if not labels:
        return '<div class="fact" hidden></div>'
    items = "".join(f"<li>{_label(label)}</li>" for label in labels)
    return f'<div class="fact"><span class="lab">People</span><ul>{items}</ul></div>'


def _label(label: Label) -> str:
    css, sign = {1: ("hp", "+"), 0: ("hz", "0"), -1: ("hm", "−")}.get(label.value, ("hz", "?"))
    what = "" if label.question == "correct" else f" <small>{esc(label.question)}</small>"
    note = f"<small> {esc(label.note)}</small>" if label.note else ""
    return f'<i class="hl {css}">{sign}</i> {esc(label.who)}{what}{note}'


def _equations(row: StepRow) -> str:
    wrong = [m for m in row.equations if not m.holds]
    if not wrong:
        return '<div class="fact" hidden></div>'
    items = "".join(f"<p>{esc(m.reason or 'An equation here does not hold.')}</p>" for m in wrong)
    return f'<div class="fact"><span class="lab">Equations</span>{items}</div>'


def _continuations(v: ChainPage, row: StepRow) -> str:
    if not row.continuations:
        return '<span class="lab" hidden></span>'
    items = "".join(continuation(c, v.tex) for c in row.continuations)
    rest = (
        button(f"All {len(row.continuations) + row.more}", "continuations", kind="sm", step=row.number)
        if row.more
        else ""
    )
    return f'<span class="lab">Continuations, newest first</span>{items}{rest}'


def continuation(c: Continuation, tex: bool) -> str:
    mark = '<i class="ic cut" role="img" aria-label="cut off"></i>' if unfinished(c) else icon(c.verdict)
    text = c.text.strip()
    return (
        f'<div class="cont" title="{esc(c.reason)}">{mark}'
        f"<p>{prose(text if len(text) <= 600 else text[:600] + '…', tex)}</p>"
        f'<span class="num">{answer(c.answer, tex) if c.answer is not None else ""}</span></div>'
    )
