"""The form of a study: which chains, what is asked of whom, its guideline, and how many items and turns come of it."""

from __future__ import annotations

from stepviz.studies import ARMS, QUESTIONS
from stepviz.study_make import LONGEST_GUIDELINE, LONGEST_NAME
from stepviz.ui.render import esc
from stepviz.ui.view_study_form import StudyForm

ASKED = {
    "correct": ("Is each step correct?", "PRM800K, ProcessBench"),
    "solvable": ("Can it still be solved from here?", "what rollouts measure and a SORM learns"),
    "decides": ("Which step decides the outcome?", "GPO’s user study"),
}
SHOWN = {
    "blind": ("blind", "nothing of a model’s opinion"),
    "scores": ("scores", "a scorer’s number for each step"),
    "pit": ("pit", "where the scorer sees it go wrong"),
}


def form(f: StudyForm) -> str:
    """Everything in it travels with each change, so that counts and errors are of what stands there."""
    return (
        '<form class="build" data-act="create" autocomplete="off" novalidate>'
        f'<input type="hidden" name="serial" value="{esc(f.serial)}"><div class="scroll">'
        '<section><h1>Make a study</h1><p class="dim">Chains that people label in the app, on the page Annotate.</p>'
        f"</section>{_name(f)}{_chains(f)}{_asks(f)}{_arms(f)}{_gold(f)}{_guideline(f)}</div>{_foot(f)}</form>"
    )


def _name(f: StudyForm) -> str:
    return (
        '<section><h3>1 · Name</h3><div class="opts one"><label class="text">'
        f'<input class="field" name="name" maxlength="{LONGEST_NAME}" value="{esc(f.values["name"])}" '
        f'placeholder="a name for it" aria-label="Name" spellcheck="false"{_bad(f, "name")}>{_error(f, "name")}'
        "</label></div></section>"
    )


def _chains(f: StudyForm) -> str:
    chip = (
        f'<div class="chip"><span>Only {esc(f.chip)}</span><button type="button" class="btn ghost sm" '
        'data-act="unpick" aria-label="Choose among all chains again"><i class="ic x"></i></button></div>'
        if f.chip
        else '<div class="chip" hidden></div>'
    )
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{esc(f.values[name])}">' for name in ("problem", "answer")
    )
    narrow = (_choice(f, "origin", "Origin", "who wrote the chains"), _choice(f, "verdict", "Verdict"))
    wide = (
        _text(f, "q", "Words in the question", "as in Explore’s search"),
        _choice(f, "source", "Source"),
        _choice(f, "split", "Split"),
        _choice(f, "result", "Result of the problem", "as in Explore’s list"),
    )
    return (
        f'<section><h3>2 · Which chains</h3>{chip}{hidden}<div class="opts">'
        f"{''.join(narrow) if f.chip else ''.join((*wide, *narrow))}"
        f"{_number(f, 'limit', 'At most', 'chains, in their order')}</div>{_error(f, 'chains')}</section>"
    )


def _asks(f: StudyForm) -> str:
    asked = "".join(_switch(f, f"ask_{q}", *ASKED[q]) for q in QUESTIONS)
    return (
        f'<section><h3>3 · Questions</h3><div class="opts">{asked}</div>{_error(f, "questions")}</section>'
        '<section><h3>4 · People and order</h3><div class="opts">'
        f"{_number(f, 'people', 'People an item', 'gold items go to everybody')}{_choice(f, 'order', 'Order')}"
        f"{_number(f, 'lease', 'Lease, minutes', 'without a label until an item goes to somebody else')}"
        f"{_number(f, 'seed', 'Seed', 'of order, arms and gold items')}</div></section>"
    )


def _arms(f: StudyForm) -> str:
    weights = "".join(_number(f, f"arm_{arm}", *SHOWN[arm], error="") for arm in ARMS)
    return (
        '<section><h3>5 · What is shown</h3><p class="dim fine">An arm is drawn for each item and person, by these '
        f'weights, so that what showing does can be measured.</p><div class="opts">{weights}</div>{_error(f, "arms")}'
        f'<div class="opts">{_choice(f, "scorer", "Scorer", "shown, and what orders the items")}'
        f"{_number(f, 'threshold', 'Threshold', 'of the pit that is shown')}</div></section>"
    )


def _gold(f: StudyForm) -> str:
    return (
        '<section><h3>6 · Gold items</h3><p class="dim fine">Chains of known labels among the others, to see who reads '
        f'with care. Nobody is told which.</p><div class="opts">{_number(f, "gold_share", "Share of the items")}'
        f"{_choice(f, 'gold_by', 'Whose labels', 'exact, a data set’s, a person’s')}</div></section>"
    )


def _guideline(f: StudyForm) -> str:
    text = esc(f.values["guideline"])  # static/js/form.js reads a field's value from its attribute
    return (
        '<section><h3>7 · Guideline</h3><div class="opts one"><label class="text">'
        f'<textarea class="field" name="guideline" rows="7" maxlength="{LONGEST_GUIDELINE}" aria-label="Guideline" '
        f'value="{text}"{_bad(f, "guideline")}>\n{text}</textarea>{_error(f, "guideline")}</label></div></section>'
    )


def _foot(f: StudyForm) -> str:
    wrong = len(f.errors)
    said = f"{wrong} field{'' if wrong == 1 else 's'} above need{'s' if wrong == 1 else ''} a look." if wrong else ""
    notice = (
        f'<div class="notice" role="status"><span>{said}</span></div>' if said else '<div class="notice" hidden></div>'
    )
    ready = "" if wrong or not f.values["name"].strip() else "pri"
    return (
        f'<div class="foot">{notice}<div class="go"><span class="dim num takes">{esc(takes(f))}</span>'
        f'<span class="sp"></span><button type="submit" class="btn {ready}">Create the study</button></div></div>'
    )


def takes(f: StudyForm) -> str:
    """`100 items of 1,240 chains, 10 of them gold · 180 turns`."""
    if f.plan is None:
        return f"{f.chosen:,} chain{'' if f.chosen == 1 else 's'}" if f.chosen else "no chain"
    items, gold = len(f.plan.items), f.plan.gold
    of = f" of {f.fits:,} chains that fit" if f.fits is not None and f.fits > f.chosen else ""
    of = " of more chains that fit" if f.fits is None else of
    known = f", {gold:,} of them gold" if gold else ""
    turns = f"{f.plan.turns:,} turn{'' if f.plan.turns == 1 else 's'}"
    return f"{items:,} item{'' if items == 1 else 's'}{of}{known} · {turns}"


def _label(f: StudyForm, kind: str, label: str, about: str, field: str, error: str) -> str:
    small = f"<small>{esc(about)}</small>" if about else ""
    wrong = _error(f, error) if error else ""
    return f'<label class="{kind}"><span>{esc(label)}{small}</span>{field}{wrong}</label>'


def _number(f: StudyForm, name: str, label: str, about: str = "", error: str | None = None) -> str:
    error = name if error is None else error
    field = (
        f'<input class="field num" name="{name}" value="{esc(f.values[name])}" inputmode="decimal" maxlength="12"'
        f"{_bad(f, error)}>"
    )
    return _label(f, "number", label, about, field, error)


def _text(f: StudyForm, name: str, label: str, about: str = "") -> str:
    field = f'<input class="field" name="{name}" value="{esc(f.values[name])}" maxlength="200"{_bad(f, name)}>'
    return _label(f, "words", label, about, field, name)


def _choice(f: StudyForm, name: str, label: str, about: str = "") -> str:
    options = "".join(
        f'<option value="{esc(value)}"{" selected" if value == f.values[name] else ""}>{esc(text)}</option>'
        for value, text in f.choices[name]
    )
    return _label(
        f, "choice", label, about, f'<select class="field" name="{name}"{_bad(f, name)}>{options}</select>', name
    )


def _switch(f: StudyForm, name: str, label: str, about: str) -> str:
    on = " checked" if f.values[name] else ""
    return _label(f, "switch", label, about, f'<input type="checkbox" class="switch" name="{name}" value="on"{on}>', "")


def _bad(f: StudyForm, name: str) -> str:
    return ' aria-invalid="true"' if name and name in f.errors else ""


def _error(f: StudyForm, name: str) -> str:
    said = f.errors.get(name, "")
    return f'<em class="wrong" data-of="{name}"{"" if said else " hidden"}>{esc(said)}</em>'
