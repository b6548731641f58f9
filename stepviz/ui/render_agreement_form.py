"""The form of the Agreement page: every field is a part of the address, and a change looks at the new one."""

from __future__ import annotations

from stepviz.agreement.thresholds import CHOICES
from stepviz.refinement import THRESHOLD
from stepviz.ui.agreement_at import QUESTIONS
from stepviz.ui.render import esc
from stepviz.ui.view_agreement_form import COMPUTED, DATA_SETS, PEOPLE, SCORERS, STUDIES, Choice, Form

OWN = "own"  # the choice that opens a field for a name
_KINDS = (PEOPLE, STUDIES, DATA_SETS, SCORERS, COMPUTED)
_ASKS = {"correct": "is the step correct?", "solvable": "can it still be solved from here?"}


def form(f: Form) -> str:
    sides = (
        f"<section><h3>1 · The reference</h3>{who(f, 'a', f.at.a)}</section>"
        f"<section><h3>2 · Held against it</h3>{who(f, 'b', f.at.b)}"
        '<p class="dim fine">The same group on both sides: its people among themselves.</p></section>'
    )
    return (
        f'<form class="build" data-act="look" data-address="{esc(f.at.query())}" autocomplete="off">'
        '<div class="scroll"><section><h1>Agreement</h1><p class="dim">How far two judges of steps agree, and the '
        f"chains behind every number.</p></section>{sides}"
        f"<section><h3>3 · The question</h3>{_question(f)}</section>"
        f'<section><h3>4 · Which chains</h3><div class="two">{_source(f)}{_split(f)}</div></section>'
        f"{_threshold(f)}</div></form>"
    )


def who(f: Form, name: str, chosen: str, question: str = "") -> str:
    """A list of judges; question: only of those who can speak to it, one at a time."""
    label = {"a": "The reference", "b": "Held against it", "right": "Who says what is correct"}.get(
        name, "Who says what can still be solved"
    )
    own = (
        f'<input class="field" name="{name}_own" maxlength="200" spellcheck="false" hidden '
        f'aria-label="{label}, by name" placeholder="stepverify/3, ana, a model’s id">'
    )
    return (
        f'<select class="field" name="{name}" aria-label="{label}">{_options(f, chosen, question)}'
        f'<option value="{OWN}">another, by name …</option></select>{own}'
    )


def _options(f: Form, chosen: str, question: str) -> str:
    """What the address names is among them, whether there is such a one or not."""
    able = [c for c in f.choices if not question or (question in c.asks and not c.who.endswith("*"))]
    known = {c.who for c in able}
    named = "" if chosen in known else _option(Choice(chosen, ""), chosen) if chosen else '<option value=""></option>'
    groups = ((kind, [c for c in able if c.kind == kind]) for kind in _KINDS)
    return named + "".join(
        f'<optgroup label="{kind}">{"".join(_option(c, chosen) for c in of)}</optgroup>' for kind, of in groups if of
    )


def _option(c: Choice, chosen: str) -> str:
    words = " · ".join(part for part in (short(c.who), c.said) if part)
    return f'<option value="{esc(c.who)}"{" selected" if c.who == chosen else ""}>{esc(words)}</option>'


def short(who: str) -> str:
    """A judge's name as it stands in lists and heads: without the folder, or the hash, of a model."""
    name = who.partition("@")[0]
    return "…/" + name.rsplit("/", 1)[-1] if name.startswith("hf:/") else name


def _question(f: Form) -> str:
    boxes = "".join(
        f'<label><input type="radio" name="question" value="{name}"{" checked" if f.at.question == name else ""}>'
        f"<span>{_ASKS[name]}</span></label>"
        for name in QUESTIONS
    )
    return f'<div class="asks" role="radiogroup" aria-label="The question">{boxes}</div>'


def _source(f: Form) -> str:
    return _select("source", "Source", f.at.source, "Any source", dict(f.sources))


def _split(f: Form) -> str:
    return _select("split", "Split", f.at.split, "Any split", dict(f.splits))


def _select(name: str, label: str, chosen: str, anything: str, known: dict[str, int]) -> str:
    named = known if chosen in ("", *known) else {chosen: 0, **known}
    options = "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(value)} ({n:,})</option>'
        for value, n in named.items()
    )
    first = f'<option value="">{anything}</option>'
    return f'<select class="field" name="{name}" aria-label="{label}">{first}{options}</select>'


def _threshold(f: Form) -> str:
    """Of scorers: at or below it a step is an error. Given, or chosen on a split that is not looked at."""
    if not any(f.scorers):
        return '<section class="thr" hidden></section>'
    number = (
        f'<input class="field num" name="threshold" value="{esc(f.at.threshold)}" placeholder="{THRESHOLD:g}" '
        f'inputmode="decimal" maxlength="8" aria-label="Threshold"{" disabled" if f.at.tune_split else ""}>'
    )
    splits = {name: n for name, n in f.splits if name != f.at.split}
    tuned = _select("tune_split", "Chosen on", f.at.tune_split, "not chosen", splits) if f.scorers[1] else ""
    return (
        '<section class="thr"><h3>5 · The scorer’s threshold</h3><p class="dim fine">A step scored at or below it is '
        f'an error. Chosen: where it does best against the reference, on a split not looked at.</p><div class="two">'
        f"{number}{tuned}</div>{_by(f)}</section>"
    )


def _by(f: Form) -> str:
    """By what a threshold is best."""
    if not f.at.tune_split:
        return '<label class="by" hidden></label>'
    options = "".join(
        f'<option value="{name}"{" selected" if name == f.at.tune_by else ""}>{words}</option>'
        for name, words in CHOICES.items()
    )
    return (
        f'<label class="by"><span class="lab">by</span><select class="field" name="tune_by">{options}</select></label>'
    )
