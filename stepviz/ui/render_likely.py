"""What the posterior says of where the pit is: its tag, its lines beside a step, and where more draws would help."""

from __future__ import annotations

import math

from stepviz.posterior import CONFIDENCE, NEARLY_0, Sure
from stepviz.ui.render import attrs, button, esc, number
from stepviz.ui.rows import ChainPage, Likely
from stepviz.ui.workbench import MORE_N

MOST = (
    64  # draws of a prefix: where 8 of each have left a pit possible, an adaptive measurement still finds some to make
)
_SURE, _LOST = number(CONFIDENCE), number(NEARLY_0)
MEANS = (
    f"Certain: P(V[i] ≤ {_LOST}) ≥ {_SURE} and P(V[i−1] > {_LOST}) ≥ {_SURE}. Possible: not certain, but likelier here "
    "than anywhere else together. Needs more: no step has half of the probability."
)
OTHER_PIT = "It is not adaptive’s first label 0, which docs/measuring.md counts: that may be another step."
_MODEL = "It rests on a model that was fitted to the embedded student; for another one: python -m stepviz pits."


def likely_tag(likely: Likely, v: ChainPage) -> str:
    """Filled as far as the pit is probable. Where it is not certain, a button that draws where that would say most."""
    tag = filled(likely.sure, likely.probability, _title(likely, v))
    return tag if likely.sure == "certain" or v.blocked else tag + _more(likely, v, f"+{MORE_N}")


def filled(sure: Sure, probability: float, title: str = "") -> str:
    """The bare tag: `likeliest pit P = .62, possible`."""
    css = f"tag post {sure.replace(' ', '-')}"
    data = attrs(class_=css, style=f"--p:{100 * probability:.0f}%", title=title or None)
    return f"<span{data}><b>likeliest pit</b>P = {number(probability)}, {sure}</span>"


def likely_fact(likely: Likely | None, v: ChainPage) -> str:
    """In the inspector: both sides of the claim."""
    if likely is None:
        return '<div class="fact" hidden></div>'
    at = likely.step
    here, before = (number(math.floor(100 * p) / 100) for p in (likely.here, likely.before))  # .949 is not .95 here
    fitted = "" if likely.fitted else f"<small>{_MODEL}</small>"
    return (
        f'<div class="fact" title="{esc(_title(likely, v))}"><span class="lab">Likeliest pit for {_student(v)}</span>'
        f"<p>P = {number(likely.probability)}, <b>{likely.sure}</b>: P(V[{at}] ≤ {_LOST}) = {here}, "
        f"P(V[{at - 1}] &gt; {_LOST}) = {before}.{fitted}</p></div>"
    )


def likely_acts(likely: Likely | None, v: ChainPage) -> str:
    """Where the pit is not certain: draws where they say most for it, now or by a strategy that is shown first."""
    if likely is None or likely.sure == "certain" or v.blocked:
        return ""
    title = f"Draws where they say most for their tokens, up to {MOST} of a prefix; says first what that will cost"
    ask = button("Adaptive …", "measurer", title=title, strategy="adaptive", n=MOST)
    here = "" if likely.spend == likely.step else _more(likely, v, _where(likely), "")  # "32 more here" is there
    return here + ask


def _title(likely: Likely, v: ChainPage) -> str:
    """As text: the caller escapes it."""
    by = f"all draws and the scores of {likely.by}" if likely.by else "all draws"
    whose = f"this student, {v.measured_by}" if v.measured_by else "this student"
    found = f"Likeliest pit for {whose}: P = {number(likely.probability)}, {likely.sure}, by {by}"
    return f"{found}. {OTHER_PIT} {MEANS} {_MODEL}"


def _student(v: ChainPage) -> str:
    return esc(v.measured_by) or "this student"


def _where(likely: Likely) -> str:
    return f"{MORE_N} more from {f'step {likely.spend}' if likely.spend else 'the question'}"


def _more(likely: Likely, v: ChainPage, label: str, kind: str = "sm spend") -> str:
    cost = v.rows[likely.spend].cost
    title = f"{_where(likely)}, where they say most: {cost} of {v.measurer}"
    return button(label, "more", kind=kind, title=title, step=likely.spend, n=MORE_N)
