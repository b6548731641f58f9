"""Pure: the page Annotate. Its shell is the same for everybody; an item comes later, as somebody's turn.

The table is Explore's without what a model or a judge says of the steps: no values, no scores but in the arm that shows
them, and no check marks behind equations, which are sympy's opinion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stepviz.studies import FINISHES
from stepviz.ui.mathtext import has_tex
from stepviz.ui.render import attrs, button, esc, number, prose
from stepviz.ui.render_dialogs import dialog


class Choice(NamedTuple):
    """A rating: as it is sent, its sign, its class, what it says, and its key."""

    value: str
    sign: str
    css: str
    said: str
    key: str


class Question(NamedTuple):
    name: str
    head: str
    width: int  # px of its column
    choices: tuple[Choice, ...]


UNSURE = "unsure"
_UNSURE = Choice(UNSURE, "?", "hz", "unsure", "u")
QUESTIONS = {
    "correct": Question(
        "correct",
        "correct?",
        124,
        (
            Choice("1", "+", "hp", "+1, correct and helps", "1"),
            Choice("0", "0", "hz", "0, correct but no help, or unclear", "2"),
            Choice("-1", "−", "hm", "−1, wrong", "3"),
            _UNSURE,
        ),
    ),
    "solvable": Question(
        "solvable",
        "still solvable?",
        124,
        (
            Choice("1", "yes", "hp", "yes, it can still be solved from here", "1"),
            Choice("-1", "no", "hm", "no, it cannot be solved from here any more", "3"),
            _UNSURE,
        ),
    ),
    "decides": Question("decides", "decides", 64, (Choice("", "◆", "dec", "this step decides the outcome", "d"),)),
}
ENDS = {
    "solution": "no error was found: the solution stands",
    "found_error": "a step is wrong",
    "give_up": "you cannot tell",
    "bad_problem": "the problem itself is broken, or cannot be answered",
}
_KEYS = (
    ("j k, arrows", "next, previous step"),
    ("1 2 3", "+1 correct · 0 no help · −1 wrong"),
    ("1 3", "still solvable: yes · no"),
    ("u", "unsure"),
    ("e", "first error here: steps before it that are not rated +1 or 0 become good, later ones stay as they are"),
    ("d", "this step decides the outcome"),
    ("q, Tab", "the next question’s column"),
    ("z", "take the last label back"),
    ("n", "note on the step; Esc goes back to it"),
    ("Enter", "submit, and the next item"),
    ("?", "this sheet"),
)


def shell() -> str:
    """The page before anything is known of who looks at it."""
    return (
        f'<div class="vhead"><i class="skel" style="--w:240px"></i><span class="sp"></span>{_state()}</div>'
        f'<div class="says" aria-live="polite"></div><div class="work">'
        f'<div class="tab sk" aria-busy="true">{_waiting()}</div>{_side()}</div>{_hints()}'
        f'<div class="sheet" hidden>{_sheet()}</div>'
    )


def _state() -> str:
    """Always in sight, and said aloud when it changes; annotate_outbox.js knows what it is."""
    return (
        '<span class="meta num clock"></span><span class="saved" role="status" data-state="saved"><i></i>'
        f"<b></b>{button('Retry now', 'retry', kind='sm')}</span>"
    )


def _waiting() -> str:
    rows = "".join(
        '<div class="row"><span class="no"><i class="skel" style="--w:10px"></i></span><div class="tx">'
        f'<i class="skel" style="--w:{w}%"></i></div></div>'
        for w in (86, 62, 71, 55)
    )
    return f'<div class="row hd"><span class="no"></span><span class="tx">step</span></div>{rows}'


def _side() -> str:
    ends = "".join(
        f'<label title="{esc(ENDS[name])}"><input type="radio" name="finish" value="{name}"> {name}</label>'
        for name in FINISHES
    )
    return (
        '<aside class="side" aria-label="Guideline, notes and submission" hidden>'
        '<section class="guide"><header><h3>Guideline</h3><span class="dim version"></span></header>'
        '<div class="gtext body" tabindex="0"></div></section>'
        '<section class="mine">'
        '<label><span class="lab">Note on step <b class="which"></b> <kbd>n</kbd></span>'
        '<textarea class="field" name="step_note" rows="2" maxlength="10000"></textarea></label>'
        '<label><span class="lab">Note on the item</span>'
        '<textarea class="field" name="note" rows="2" maxlength="5000"></textarea></label>'
        '<div class="choice" role="group" aria-label="Flags">'
        '<label><input type="checkbox" name="flag" value="bad_problem"> bad problem</label>'
        '<label><input type="checkbox" name="flag" value="give_up"> give up</label></div>'
        f'<fieldset class="choice"><legend class="lab">It ends as</legend>{ends}</fieldset></section>'
        f'<div class="go">{button("Undo", "undo", "z", title="Takes the last label back")}<span class="sp"></span>'
        f"{button('Submit', 'submit', 'Enter', kind='pri', title='Done: brings the next item')}</div></aside>"
    )


def _hints() -> str:
    keys = (("j", "k", "step"), ("1", "2", "3", "rate"), ("u", "unsure"), ("e", "first error"), ("z", "undo"))
    shown = "".join(f"<span>{''.join(f'<kbd>{k}</kbd>' for k in keys_)}{name}</span>" for *keys_, name in keys)
    return (
        f'<div class="hints">{shown}<span><kbd>n</kbd>note</span><span><kbd>Enter</kbd>submit</span>'
        '<button type="button" class="link" data-act="sheet"><kbd>?</kbd>all keys</button>'
        '<span class="sp"></span><span class="about"></span></div>'
    )


def _sheet() -> str:
    rows = "".join(
        f"<div><span>{esc(what)}</span><span>{' '.join(f'<kbd>{esc(k)}</kbd>' for k in keys.split(' '))}</span></div>"
        for keys, what in ((keys.replace(",", ""), what) for keys, what in _KEYS)
    )
    about = (
        "<p>Each label is saved as you give it. What could not be sent is kept in this browser, over a reload, too, "
        "and sent again. Your time at an item counts while its tab is in front.</p>"
    )
    return dialog("keys", "Keys", f'<div class="keys">{rows}</div>{about}')


def item(turn: Mapping[str, Any]) -> str:
    """The table of a turn (stepviz.annotating.turn). Labels are not in it: the browser draws them."""
    texts = [turn["question"], *(step["text"] for step in turn["steps"])]
    tex = has_tex(*texts)
    asked = [QUESTIONS[name] for name in turn["questions"]]
    scored = "scores" in turn
    rows = "".join(_row(turn, i, text, tex, asked) for i, text in enumerate(texts))
    heads = "".join(
        f'<button type="button" class="ask" data-act="column" data-q="{q.name}" style="--w:{q.width}px" tabindex="-1">'
        f"{q.head}</button>"
        for q in asked
    )
    width = sum(q.width for q in asked)
    score = '<span class="sc" title="A model’s score after each step: how likely it is still right">predicted</span>'
    return (
        f'<div class="row hd" role="row"><span class="no"></span><span class="tx" role="columnheader">step</span>'
        f'{score if scored else ""}<div class="asks" role="columnheader">{heads}</div></div>{rows}'
        f'<i class="sizes" hidden{attrs(data_ask=width, data_scored="yes" if scored else None)}></i>'
    )


def _row(turn: Mapping[str, Any], i: int, text: str, tex: bool, asked: list[Question]) -> str:
    pit = i > 0 and turn.get("pit") == i
    mark = '<span class="tag pred" title="Where a model sees it go wrong"><b>predicted pit</b></span>' if pit else ""
    score = f'<span class="sc num">{_score(turn["scores"], i)}</span>' if "scores" in turn else ""
    asks = "".join(_ask(q, i) for q in asked) if i else ""
    name = "Problem" if i == 0 else f"Step {i}"
    return (
        f'<div class="row{" q" if i == 0 else ""}{" ppit" if pit else ""}" role="row" id="step-{i}" data-i="{i}" '
        f'aria-label="{name}" aria-selected="false"><span class="no" role="gridcell">{i or "Q"}</span>'
        f'<div class="tx" role="gridcell"><span class="body">{prose(text, tex)}</span> '
        f'<span class="tags">{mark}</span><p class="said" hidden></p></div>{score}'
        f'<div class="asks" role="gridcell">{asks}</div></div>'
    )


def _score(scores: Sequence[float], i: int) -> str:
    """A chain that the scorer has not scored has none."""
    return number(scores[i - 1] if i <= len(scores) else None) if i else ""


def _ask(q: Question, i: int) -> str:
    buttons = "".join(
        f'<button type="button" role="radio" aria-checked="false" tabindex="-1" class="{c.css}" data-act="rate" '
        f'data-q="{q.name}" data-step="{i}" data-value="{c.value}" aria-label="{esc(c.said)}" '
        f'title="{esc(c.said)} ({c.key})">{c.sign}</button>'
        for c in q.choices
    )
    return (
        f'<div class="ask" data-q="{q.name}" role="radiogroup" aria-label="Step {i}: {q.head}" '
        f'style="--w:{q.width}px"><small>{q.head}</small>{buttons}</div>'
    )


def guideline(turn: Mapping[str, Any]) -> str:
    text = turn["guideline"]["text"]
    return prose(text, has_tex(text))
