"""An item of a study as an admin settles it: each person's labels of each step side by side, and what counts."""

from __future__ import annotations

from stepviz.adjudication import LONGEST_NOTE, RATED, ratings
from stepviz.study_make import LONGEST_GUIDELINE
from stepviz.ui.render import answer, button, esc, icon, prose, said
from stepviz.ui.render_dialogs import dialog
from stepviz.ui.view_datasets import age
from stepviz.ui.view_studies import OpenItem, OpenStudy, PersonSaid

ABREAST = 8  # people beside each other; more go below
HEADS = {"correct": "correct?", "solvable": "still solvable?", "decides": "decides?"}
_MARKS = {1: ("hp", "+", "+1"), 0: ("hz", "0", "0"), -1: ("hm", "−", "−1"), None: ("hu", "?", "unsure")}
_CHOICES = (("1", "hp", "+", "+1: correct (1)"), ("0", "hz", "0", "0: neutral (2)"), ("-1", "hm", "−", "−1: wrong (3)"),
            ("unsure", "hu", "?", "unsure (u)"), ("", "nil", "·", "nothing (0)"))  # fmt: skip


def item(o: OpenItem) -> str:
    """With a form only where there is something to settle: a gold item's labels are known."""
    steps = "".join(_row(o, i, text) for i, text in enumerate(o.steps, 1))
    table = f'<div class="stab" style="--people:{min(ABREAST, max(1, len(o.people)))}">{_top(o)}{steps}</div>'
    gold = '<div class="notice"><span>A gold item: its labels are known, and there is nothing to settle.</span></div>'
    inner = f"{_question(o)}{_people(o)}{table}"
    if o.item.gold:
        return f'{_head(o)}{gold}<div class="settle">{inner}</div>'
    return (
        f'{_head(o)}<form class="settle" data-act="settle" data-study="{o.study.id}" data-item="{o.item.id}" '
        f'autocomplete="off">{inner}{_foot(o)}</form>'
    )


def _head(o: OpenItem) -> str:
    if o.number:
        at = f"conflict {o.number} of {o.of}, {o.open} open"
    else:
        at = "no conflict"
    words = "; ".join(o.conflict.words()) if o.conflict else ""
    link = "?study={}&amp;item={}"
    before, after = (
        f'<a class="btn sm {css}" href="{link.format(o.study.id, id_)}" data-look title="{title}">{label}</a>'
        if id_ is not None
        else f'<a class="btn sm" aria-disabled="true" title="{title}">{label}</a>'
        for id_, css, label, title in (
            (o.before, "aft", "Before", "The conflict before (K)"),
            (o.after, "fore", "Next", "The next conflict (J)"),
        )
    )
    return (
        f'<div class="phead" data-study="{o.study.id}" data-item="{o.item.id}">'
        f'<a class="btn sm back" href="?study={o.study.id}" data-look title="All of the study (Esc)">'
        f"← {esc(o.study.name)}</a>"
        f'<h2>Item {o.item.position + 1}</h2><div class="meta"><span class="at">{at}</span>'
        f"<span>{esc(words)}</span></div>"
        f'<span class="sp"></span>{button("Names", "names", kind="sm ghost", title="Hide or show who said it (h)")}'
        f"{before}{after}</div>"
    )


def _question(o: OpenItem) -> str:
    known = f'<span class="dim">Gold answer</span> {answer(o.answer, o.tex)}' if o.answer is not None else ""
    return (
        f'<div class="squest"><p>{prose(o.question, o.tex)}</p><p class="under">{icon(o.verdict)} '
        f'{esc(said(o.verdict))} {known}<a class="link" href="/?chain={o.item.chain_id}">{esc(o.place)}</a></p></div>'
    )


def _people(o: OpenItem) -> str:
    if not o.people:
        return '<div class="who"><p class="dim">Nobody has submitted it.</p></div>'
    return f'<div class="who">{"".join(map(_person, o.people))}</div>'


def _person(p: PersonSaid) -> str:
    seconds = f"{p.slot.seconds:.0f} s" if p.slot.seconds is not None else ""
    facts = [p.slot.arm, (p.slot.finish or "").replace("_", " "), seconds]
    told = "".join(f"<span>{esc(fact)}</span>" for fact in facts if fact)
    flags = "".join(f'<em class="flag">{esc(flag.replace("_", " "))}</em>' for flag in p.flags)
    note = p.notes.get(("", 0), "")
    own = f"<q>{esc(note)}</q>" if note else ""
    return f'<div><b class="ltr">{p.letter}</b><b class="name">{esc(p.slot.annotator)}</b>{told}{flags}{own}</div>'


def _top(o: OpenItem) -> str:
    letters = "".join(f'<b title="person {p.letter}">{p.letter}</b>' for p in o.people)
    heads = "".join(
        f'<span class="ask" data-q="{q}"><em>{HEADS[q]}</em><span class="says">{letters}</span>'
        f'<span class="rate">{"" if o.item.gold else "settled"}</span></span>'
        for q in o.questions
    )
    return f'<div class="srow hd"><span class="no"></span><span class="tx">step</span>{heads}</div>'


def _row(o: OpenItem, step: int, text: str) -> str:
    asks = "".join(_ask(o, q, step) for q in o.questions)
    notes = "".join(
        f"<small><b>{p.letter}</b> {esc(note)}</small>"
        for p in o.people
        for (q, at), note in p.notes.items()
        if at == step and q
    )
    return (
        f'<div class="srow" data-step="{step}"><span class="no">{step}</span>'
        f'<div class="tx"><div class="body">{prose(text, o.tex)}</div>{notes}</div>{asks}</div>'
    )


def _ask(o: OpenItem, question: str, step: int) -> str:
    parted = bool(o.conflict and (question, step) in o.conflict.steps)
    says = "".join(_mark(p, question, step) for p in o.people)
    return (
        f'<div class="ask{" parted" if parted else ""}" data-q="{question}"><em>{HEADS[question]}</em>'
        f'<span class="says">{says}</span>{_rate(o, question, step)}</div>'
    )


def _mark(p: PersonSaid, question: str, step: int) -> str:
    if question == "decides":
        return (
            f'<i class="dec" role="img" aria-label="{p.letter}: decides">◆</i>'
            if p.decides == step
            else '<i class="hn"></i>'
        )
    if (question, step) not in p.ratings:
        return '<i class="hn" role="img" aria-label="not rated">·</i>'
    css, mark, word = _MARKS[p.ratings[question, step]]
    return f'<i class="hl {css}" role="img" aria-label="{p.letter}: {word}" title="{p.letter}: {word}">{mark}</i>'


def _rate(o: OpenItem, question: str, step: int) -> str:
    if o.item.gold:
        return '<span class="rate"></span>'
    if question not in RATED:
        on = " checked" if o.chosen.get("decides") == str(step) else ""
        return (
            f'<span class="rate"><label title="this step decides (d)"><input type="radio" name="decides" value="{step}"'
            f'{on}><i class="dec">◆</i></label></span>'
        )
    chosen = o.chosen.get(f"{question}-{step}", "")
    radios = "".join(
        f'<label title="{title}"><input type="radio" name="{question}-{step}" value="{value}"'
        f'{" checked" if value == chosen else ""}><i class="hl {css}">{mark}</i></label>'
        for value, css, mark, title in _CHOICES
        if not value or value in ratings(question)
    )
    return f'<span class="rate" role="radiogroup" aria-label="{HEADS[question]} step {step}">{radios}</span>'


def _foot(o: OpenItem) -> str:
    state = '<span class="dim">not settled</span>'
    undo = ""
    if o.settled:
        state = f"<span>settled by <b>{esc(o.settled.by)}</b>, {esc(age(o.settled.at))}</span>"
        undo = button(
            "Undo", "unsettle", "z", study=o.study.id, item=o.item.id, title="Take back what was settled last"
        )
    keys = "".join(
        f"<span><kbd>{key}</kbd> {word}</span>"
        for key, word in (("j k", "step"), ("1 2 3", "+1 0 −1"), ("u", "unsure"), ("e", "first error"), ("h", "names"))
    )
    again = "Settle anew" if o.settled else "Settle"
    return (
        '<div class="sfoot"><label class="note"><span class="lab">Note</span><textarea class="field" name="note" '
        f'rows="2" maxlength="{LONGEST_NOTE}" placeholder="why, where it is not plain">{esc(o.note)}</textarea></label>'
        f'<div class="go">{state}<span class="keys2">{keys}</span><span class="sp"></span>{undo}'
        f'<button type="submit" class="btn pri">{again} <kbd>↵</kbd></button></div></div>'
    )


def revise(o: OpenStudy) -> str:
    """The dialog for a guideline's next version."""
    newest = o.guidelines[0]
    body = (
        f"<p>What is open keeps version {newest.version}, with which it was begun; each turn notes its version.</p>"
        f'<label><span class="lab">Version {newest.version + 1}</span><textarea class="field" name="text" rows="14" '
        f'maxlength="{LONGEST_GUIDELINE}" required autofocus>\n{esc(newest.text)}</textarea></label>'
    )
    foot = '<button type="submit" class="btn pri">Save the new version</button>'
    return dialog(
        "guideline", f"Guideline of {o.told.study.name}", body, foot, "revise", f' data-study="{o.told.study.id}"'
    )
