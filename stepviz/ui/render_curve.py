"""The value curve of a step table: V and its interval, a scorer's curve, and the threshold that is dragged over it."""

from __future__ import annotations

from stepviz.ui.render import attrs, esc, number, shade
from stepviz.ui.rows import Scorer, StepRow

_AXIS = '<div class="ax"><span>0</span><span>value</span><span>1</span></div>'
NO_LINE = '<i class="thr" hidden></i>'
LINE = '<i class="thr"></i>'


def curve(row: StepRow, before: StepRow | None, line: str = NO_LINE) -> str:
    """V[i] fills row i, the jump lies on its upper border, the interval is a ribbon; one stretched SVG a row."""
    at, was = _value(row), _value(before)
    paths = ['<path class="grid" d="M0 0V100M50 0V100M100 0V100"/>']
    if row.bounds:
        low, high = (f"{100 * b:.1f}" for b in row.bounds)
        paths.append(f'<path class="rib" d="M{low} 0H{high}V100H{low}Z"/>')
    if row.score is not None:
        start = f"M{100 * before.score:.1f} 0H" if before and before.score is not None else "M"
        x = f"{100 * row.score:.1f}"
        paths.append(f'<path class="prd" d="{start}{x}{"" if start != "M" else " 0"}V100"/>')
    dot = ""
    if at is not None:
        if was is not None and was != at:
            jump = "up" if at - was >= 0.25 else "dn" if was - at >= 0.25 else "val"
            paths.append(f'<path class="{jump}" d="M{100 * was:.1f} 0H{100 * at:.1f}"/>')
        paths.append(f'<path class="val" d="M{100 * at:.1f} 0V100"/>')
        end = " end" if row.value and row.value.terminal else ""
        dot = f'<i class="dot {shade(at)}{end}" style="left:{100 * at:.1f}%"></i>'
    svg = f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{"".join(paths)}</svg>'
    return f"{svg}{line}{dot}"


def axis(drawn: Scorer | None, threshold: float) -> str:
    """The head of the curve; with a scorer the handle of its threshold, moved by mouse, touch and arrow keys."""
    if drawn is None:
        return f'{_AXIS}<span class="hand" hidden></span>'
    said = f"the first step that {drawn.label} scores at or below it is the {pit_name(drawn)}"
    return f"{_AXIS}{hand(said, threshold)}"


def hand(does: str, threshold: float) -> str:
    """The handle of a threshold; `does`: what it does, for its label. static/js/threshold.js moves it."""
    said = f"Threshold: {does}"
    data = attrs(
        role="slider", tabindex=0, aria_label=said, title=f"{said}. Drag it, or use the arrow keys.",
        aria_valuemin=0, aria_valuemax=1, aria_valuenow=f"{threshold:g}", aria_orientation="horizontal",
    )  # fmt: skip
    return f'<span class="hand"{data}>≤ <b>{number(threshold)}</b></span>'


def pit_name(scorer: Scorer) -> str:
    """What its first low score says: an ORM or a SORM that the answer is out of reach, a PRM that the step is wrong."""
    return "predicted error" if scorer.role == "prm" else "predicted pit"


def pit_tag(row: StepRow, scorer: Scorer, threshold: float) -> str:
    """Every scored row has its tag; it shows on the one that the threshold picks."""
    return (
        f'<span class="tag pred" title="The first step that {esc(scorer.name)} scores at or below the threshold"><b>'
        f"{pit_name(scorer)}</b>{scorer.label} {number(row.score)} ≤ <span>{number(threshold)}</span></span>"
    )


def _value(row: StepRow | None) -> float | None:
    return row.value.value if row and row.value else None
