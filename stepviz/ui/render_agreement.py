"""The Agreement page's report: head, what is computed still, and the numbers of two judges held against each other."""

from __future__ import annotations

from stepviz.ui.hearing import STOPPED, Waiting
from stepviz.ui.render import button, esc
from stepviz.ui.render_agreement_form import short
from stepviz.ui.render_agreement_numbers import door, rows, square, unit_of
from stepviz.ui.view_agreement import AgreementPage, Told

_ASKS = {"correct": "is the step correct?", "solvable": "can it still be solved from here?"}
_FLOW = (("exact", "the same step", "v8"), ("one_apart", "one step apart", "v5"), ("further", "further apart", "v2"))
_DETECTED = ("neither", "only_b", "only_a", "both_err")
_STEPS = ("steps_fine", "steps_only_b", "steps_only_a", "steps_both")


def report(page: AgreementPage) -> str:
    """All that stands above the plots."""
    if isinstance(page.told, Waiting):
        return f"{head(page)}{waiting(page.told)}"
    if not isinstance(page.told, Told):
        return f"{head(page)}{nothing(page)}"
    told = page.told
    return (
        f'{head(page)}<div class="facts">{_detection(page, told)}{_places(page, told)}{_processbench(page, told)}'
        f"{_steps(page, told)}</div>"
    )


def names(page: AgreementPage) -> tuple[str, str]:
    return short(page.at.a), short(page.at.b)


def head(page: AgreementPage) -> str:
    at = page.at
    if not (at.a and at.b):
        return '<div class="phead"><h2>Agreement</h2></div>'
    a, b = names(page)
    title = f"{esc(a)} among themselves" if at.a == at.b else f"{esc(a)} <i>and</i> {esc(b)}"
    where = " ".join(part for part in (at.source or "all sources", at.split) if part)
    sizes = ""
    if isinstance(page.told, Told):
        told = page.told
        found, at_t = told.compared.report, told.threshold
        of = f"{found.problems:,} problem{'' if found.problems == 1 else 's'}"
        chains, steps = (unit_of(cell, n) for cell, n in (("chains", found.chains), ("steps", found.steps)))
        sizes = f"<span>{door(page, 'chains', f'{found.chains:,}')} {chains} of {of}</span>"
        sizes += f"<span>{door(page, 'steps', f'{found.steps:,}')} {steps}</span>"
        sizes += "" if at_t is None else f'<span>threshold <b title="{at_t!r}">{at_t:.3g}</b>{_tuned(page)}</span>'
    return (
        f'<div class="phead" data-of="{esc(at.query(right="", solved=""))}"><h2 title="{esc(at.a)} and {esc(at.b)}">'
        f'{title}</h2><div class="meta"><span>{_ASKS[at.question]}</span><span>{esc(where)}</span></div>'
        f'<span class="sp"></span><div class="meta sizes num">{sizes}</div></div>'
    )


def _tuned(page: AgreementPage) -> str:
    return f", chosen on {esc(page.at.tune_split)}" if page.at.tune_split else ""


def waiting(w: Waiting, what: str = "Reading what both say") -> str:
    """How far it is, with a button that stops it; the browser asks again while this is here."""
    share = min(1.0, w.done / w.total) if w.total else 0.0
    far = f"{w.done:,} of {w.total:,} chains" if w.done else "about to begin"
    far = "computing intervals" if share == 1 else far
    skeleton = "".join(
        f'<div class="nrow"><i class="skel" style="--w:{width}px"></i><i class="skel" style="--w:44px"></i>'
        '<i class="skel"></i><i class="skel" style="--w:92px"></i></div>'
        for width in (86, 74, 108, 92, 60)
    )
    return (
        f'<div class="facts" aria-busy="true" data-waiting><div class="far" role="status"><span>{what} · {far}</span>'
        f'<span class="sp"></span>{button("Stop", "stop", kind="sm", job=w.key)}</div>'
        f'<span class="track"><i style="width:{share:.0%}"></i></span>'
        f'<section><div class="nrows">{skeleton}</div></section></div>'
    )


def loading() -> str:
    return f'<div class="phead"><h2>Agreement</h2></div>{waiting(Waiting("", 0, 0, 0.0)).replace(" data-waiting", "")}'


def nothing(page: AgreementPage) -> str:
    """Why there is no number, and what can be done."""
    said, form = str(page.told or ""), page.form
    if form.nobody and not (page.at.a and page.at.b and said and "nobody is called" in said):
        body = (
            "<b>Nobody has judged a step here yet</b><p>Ask people in a study, import a data set with labels, or score "
            "chains with a step reward model: then any two of them can be held against each other.</p>"
            '<span class="ways"><a class="btn pri" href="/studies">Make a study</a>'
            '<a class="btn" href="/import">Import labels</a><a class="btn" href="/">Score chains in Explore</a></span>'
        )
        return f'<div class="empty first"><div class="glyph">{"<i></i>" * 5}</div>{body}</div>'
    silent = next((c for c in form.choices if c.silent and c.who in (page.at.a, page.at.b)), None)
    if silent is not None:
        body = (
            f"<b>{esc(short(silent.who))} has scored nothing here yet</b><p>Open a chain in Explore and press Score, "
            f"or score many:</p><pre>.venv/bin/python -m stepviz score --model {esc(silent.who)} --source NAME</pre>"
        )
    elif said == STOPPED:
        body = f"<b>Stopped</b><p>{esc(said)}</p>{button('Compute it again', 'look', kind='pri')}"
    elif said.startswith("there is no chain"):
        what = said[:1].upper() + said[1:]
        what = f"Of {page.at.a} no two people spoke of the same chain" if page.at.a == page.at.b else what
        body = (
            f"<b>No item in common</b><p>{esc(what)}. Choose another source or split, or "
            'another judge; or have the same chains labelled by both: in a <a href="/studies">study</a>, or by scoring '
            "them.</p>"
        )
    elif said.startswith("nobody is called"):
        body = f"<b>Nobody of that name</b><p>{esc(said[:1].upper() + said[1:])}.</p>"
    else:
        body = f"<b>This cannot be told</b><p>{esc(said.removesuffix(': --question'))}</p>"
    return f'<div class="empty first"><div class="glyph">{"<i></i>" * 5}</div>{body}</div>'


def _detection(page: AgreementPage, told: Told) -> str:
    table = square(page, told, _sides(page), ("no error", "an error"), _DETECTED)
    return (
        '<section class="det"><h3>Does it go wrong?</h3>'
        '<p class="dim fine">An error anywhere in the chain, or none.</p>'
        f'<div class="pair">{table}{rows(page, told, "detection", told.compared.report.detection)}</div></section>'
    )


def _places(page: AgreementPage, told: Told) -> str:
    counts = {cell: told.counts[cell].pairs for cell, _, _ in _FLOW}
    bars = "".join(f'<i class="{css}" style="flex:{counts[cell]}"></i>' for cell, _, css in _FLOW if counts[cell])
    words = "".join(
        f'<span><i class="{css}"></i>{label} {door(page, cell, f"{counts[cell]:,}")}</span>'
        for cell, label, css in _FLOW
    )
    flow = f'<div class="flowed"><span class="lbar">{bars}</span><span class="lwords">{words}</span></div>'
    return (
        f'<section class="loc"><h3>Where first, if both see an error?</h3>{flow if bars else ""}'
        f"{rows(page, told, 'localisation', told.compared.report.localisation)}</section>"
    )


def _processbench(page: AgreementPage, told: Told) -> str:
    numbers = told.compared.report.processbench
    if not numbers:
        body = '<p class="undef">Needs a reference: nobody of a group is one. Choose two different judges.</p>'
    else:
        body = rows(page, told, "processbench", numbers)
    who = f'<p class="dim fine">{esc(names(page)[0])} is the reference.</p>' if numbers else ""
    return f'<section class="pb"><h3>ProcessBench</h3>{who}{body}</section>'


def _steps(page: AgreementPage, told: Told) -> str:
    to_first = page.at.question == "correct"
    why = (
        "To each one’s first error: a step after it is missing, not agreed."
        if to_first
        else "Of every step: a repair may bring a chain back."
    )
    table = square(page, told, _sides(page), ("fine", "an error"), _STEPS)
    return (
        f'<section class="stp"><h3>Step by step</h3><p class="dim fine">{why}</p><div class="pair">{table}'
        f"{rows(page, told, 'by_step', told.compared.report.by_step)}</div></section>"
    )


def _sides(page: AgreementPage) -> tuple[str, str]:
    a, b = names(page)
    return (a, b) if page.at.a != page.at.b else ("one", "another")
