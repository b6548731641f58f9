"""What two judges who are held against each other say of a chain: a column of marks, and tags of first errors.

Shapes say who speaks: a person is ringed, a prediction is a dashed ring, a measurement a filled dot, and what is exact
stands bare.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepviz.ui.render import attrs, esc, icon
from stepviz.ui.rows import Voice

SHOWN = 4  # voices of one side
_SAID = {1: "fine", 0: "neutral", -1: "an error"}
_SIGN = {1: "+", 0: "0", -1: "−"}
_RING = {1: "hp", 0: "hz", -1: "hm"}


def shown(voices: Sequence[Voice]) -> list[list[Voice]]:
    """By side; of a large group the first few."""
    by_side = ([v for v in voices if v.side == side] for side in ("A", "B"))
    return [of[:SHOWN] for of in by_side if of]


def widths(voices: Sequence[Voice]) -> str:
    """The column's width, as a part of a style."""
    n = sum(map(len, shown(voices)))
    return f";--ag:{22 * n + 12 * len(shown(voices)) + 10}px" if n else ""


def heads(voices: Sequence[Voice]) -> str:
    return "".join(
        f'<b{attrs(title=", ".join(v.name for v in of))} style="--n:{len(of)}">{of[0].side}</b>' for of in shown(voices)
    )


def marks(voices: Sequence[Voice], step: int) -> str:
    """Of one step; of the question nothing."""
    if not step:
        return ""
    return "".join(
        f'<b style="--n:{len(of)}">{"".join(mark(v, _said(v, step)) for v in of)}</b>' for of in shown(voices)
    )


def _said(voice: Voice, step: int) -> int | None:
    return voice.steps[step - 1] if step <= len(voice.steps) else None


def mark(voice: Voice, said: int | None) -> str:
    if said is None:
        return f'<i class="mute" title="{esc(voice.name)}: nothing">·</i>'
    title = esc(f"{voice.name}: {_SAID.get(said, said)}")
    if voice.shape == "exact":
        return f'<span title="{title}">{icon("wrong" if said == -1 else "correct")}</span>'
    if voice.shape == "measured":
        return f'<i class="msr {_RING.get(said, "hz")}" title="{title}"></i>'
    css = "hl prd" if voice.shape == "predicted" else "hl"
    return f'<i class="{css} {_RING.get(said, "hz")}" title="{title}">{_SIGN.get(said, "?")}</i>'


def said_first(voices: Sequence[Voice], step: int) -> str:
    """A tag at the step at which somebody sees the first error."""
    here = [v for v in voices if v.first == step] if step else []
    if not here:
        return ""
    who = ", ".join(dict.fromkeys(f"{v.side} {v.name}" for v in here[:SHOWN])) + (" …" if len(here) > SHOWN else "")
    css = "prd" if all(v.shape == "predicted" for v in here) else ""
    what = "first error" if here[0].question == "correct" else "first pit"
    return f'<span class="tag voice {css}"><b>{what}</b>{esc(who)}</span>'
