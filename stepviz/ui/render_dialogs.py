"""What opens over Explore: a verdict and its reason, an edited step, another cut into steps, all continuations."""

from __future__ import annotations

from collections.abc import Sequence

from stepviz.steps import cut_id
from stepviz.types import Span, VerdictValue
from stepviz.ui.render import answer, button, esc, icon, said
from stepviz.ui.render_inspector import continuation
from stepviz.ui.rows import ChainPage, StepRow

_CLOSE = (
    '<button type="button" class="btn ghost sm" data-act="close" aria-label="Close" title="Close">'
    '<i class="ic x"></i></button>'
)
_RULES = {
    "line": "every line",
    "blank": "blank lines",
    "numbered": "“Step 1”, “1.”",
    "sentence": "sentences",
}


def dialog(name: str, title: str, body: str, foot: str = "", act: str = "", hidden: str = "") -> str:
    """A dialog's inner HTML; with `act` it is a form whose fields are sent with that action."""
    head = f'<div class="dhead" data-name="{esc(name)}"><h2>{esc(title)}</h2><span class="sp"></span>{_CLOSE}</div>'
    feet = f'<div class="dfoot">{foot}</div>' if foot else ""
    inner = f'{head}<div class="dbody">{body}</div>{feet}'
    if not act:
        return inner
    return f'<form data-act="{esc(act)}"{hidden} style="display:contents">{inner}</form>'


def _submit(label: str, kind: str = "pri", name: str = "", value: str = "") -> str:
    given = f' name="{esc(name)}" value="{esc(value)}"' if name else ""
    return f'<button type="submit" class="btn {kind}"{given}>{esc(label)}</button>'


def verdict(v: ChainPage) -> str:
    """Why the grader says what it says, and a person's word against it."""
    choices = "".join(
        f'<label><input type="radio" name="value" value="{value}"{" checked" if value == v.verdict else ""} required>'
        f"{icon(value)} {said(value)}</label>"
        for value in ("correct", "wrong", "unknown")
    )
    who = "A person overrode the grader" if v.overridden else "The grader says"
    beneath = _why("The grader said", v.graded, v.graded_reason) if v.overridden else ""
    body = (
        f'<div><span class="lab">Answer</span>{answer(v.answer)}</div>'
        f'<div><span class="lab">Gold</span>{answer(v.gold)}</div>'
        f"{_why(who, v.verdict, v.verdict_reason)}{beneath}"
        f'<div><span class="lab">Your verdict</span><div class="choice">{choices}</div></div>'
        '<label><span class="lab">Reason (kept with the verdict)</span>'
        '<textarea class="field" name="reason" required maxlength="2000" autofocus></textarea></label>'
    )
    back = button("Take it back", "withdraw", title="The verdict before it stands again") if v.overridden else ""
    title = f"Chain {v.number}: right or wrong?"
    return dialog("verdict", title, body, back + _submit("Override verdict"), act="override")


def _why(who: str, value: VerdictValue, reason: str) -> str:
    return (
        f'<div><span class="lab">{esc(who)}</span><p class="why">{icon(value)} {said(value)}: {esc(reason)}</p></div>'
    )


def edit(v: ChainPage, row: StepRow) -> str:
    """Another text for a step, and how many chains to draw from there."""
    body = (
        f'<p class="dim">Steps before {row.number} stay as they are. The edited chain is kept, and new '
        f"chains of {esc(v.measurer)} go on from it.</p>"
        f'<label><span class="lab">Step {row.number}</span><textarea class="field" name="text" rows="4" required '
        f'maxlength="20000" autofocus>{esc(row.text)}</textarea></label>{_how_many(4)}'
    )
    data = f' data-step="{row.number}"'
    return dialog("edit", f"Edit step {row.number} and branch", body, _submit("Branch"), act="branch", hidden=data)


def go_on(v: ChainPage, row: StepRow) -> str:
    """How many new chains to draw from a step."""
    where = f"step {row.number}" if row.number else "the question"
    by = f'<p class="dim">{esc(v.measurer)} draws them; the arrow at Measure chooses another model.</p>'
    body = f'<p class="quote">{esc(row.text)}</p>{_how_many(4)}{by}'
    return dialog(
        "continue",
        f"Continue from {where}",
        body,
        _submit("Continue"),
        act="branch",
        hidden=f' data-step="{row.number}"',
    )


def _how_many(default: int) -> str:
    choices = "".join(
        f'<label><input type="radio" name="n" value="{n}"{" checked" if n == default else ""}>{n}</label>'
        for n in (1, 4, 8, 16)
    )
    return f'<div><span class="lab">New chains</span><div class="choice">{choices}</div></div>'


def continuations(v: ChainPage, row: StepRow) -> str:
    """Every continuation of a prefix."""
    items = "".join(continuation(c, v.tex) for c in row.continuations)
    where = f"step {row.number}" if row.number else "the question"
    return dialog(
        "continuations", f"{len(row.continuations)} continuations from {where}", f'<div class="sv-conts">{items}</div>'
    )


def steps(text: str, spans: Sequence[Span], rule: str, number: int) -> str:
    """The chain cut into steps: choose a rule, click between words to split, or merge with the step below."""
    now = rule.partition("/")[0]
    rules = "".join(
        (
            f'<button type="button" class="btn sm{" pri" if name == now else ""}" data-act="resegment" '
            f'data-rule="{name}">{label}</button>'
        )
        for name, label in _RULES.items()
    )
    rows = "".join(_cut(text, spans, i) for i in range(len(spans)))
    by_hand = "" if now in _RULES else f'<span class="dim">now: {esc(rule)}</span>'
    body = (
        f'<div><span class="lab">A new step begins at</span><div class="choice">{rules}{by_hand}</div></div>'
        f'<div><span class="lab">Click a word to begin a step there</span><div class="cuts">{rows}</div></div>'
    )
    return dialog("spans", f"Chain {number}: {len(spans)} steps", body)


def _cut(text: str, spans: Sequence[Span], i: int) -> str:
    span, words, at, of = spans[i], [], 0, cut_id(spans)
    step = text[span.start : span.end]
    for word in step.split():
        offset = step.index(word, at)
        words.append(esc(step[at:offset]))
        start = f' data-act="split" data-step="{i + 1}" data-offset="{offset}" data-of="{of}"' if offset else ""
        words.append(f"<span{start}>{esc(word)}</span>")
        at = offset + len(word)
    merge = button("Merge with next", "merge", kind="sm ghost", step=i + 1, of=of) if i + 1 < len(spans) else ""
    return f'<div class="cut"><b class="num">{i + 1}</b><p>{"".join(words)}</p>{merge}</div>'
