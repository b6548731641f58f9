"""Mean V before and after, as a small SVG with its intervals: the frame of a training's loss (render_loss). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from stepviz.compare import Curve
from stepviz.statistics import Estimate
from stepviz.ui.render import esc, number
from stepviz.ui.render_loss import HEIGHT, WIDTH

_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def values(c: Curve, names: tuple[str, str], along: str) -> str:
    """Lines are drawn stretched to their box; dots and words are HTML over it, and every dot says its numbers."""
    grid = "".join(f'<line x1="0" x2="{WIDTH}" y1="{_y(t)}" y2="{_y(t)}"/>' for t in _TICKS)
    labels = "".join(f'<span style="top:{100 * _y(t) / HEIGHT:.2f}%">{number(t)}</span>' for t in _TICKS)
    sides = (("old", names[0], c.before), ("new", names[1], c.after))
    ribbons = "".join(f'<path class="rib {css}" d="{_ribbon(c, points)}"/>' for css, _, points in sides)
    lines = "".join(f'<path class="{css}" d="{_line(c, points)}"/>' for css, _, points in sides)
    dots = "".join(_dots(c, points, css, name, along) for css, name, points in sides)
    said = "; ".join(
        f"{name}: {number(p[0].value)} at the question, {number(p[-1].value)} at the end" for _, name, p in sides
    )
    keys = "".join(f'<span class="key {css}"><i></i>{esc(name)}</span>' for css, name, _ in sides)
    about = "an ended chain stays at its last value" if along == "step" else "from the question to the end of the chain"
    return (
        f'<figure class="loss vcurve" role="img" aria-label="{esc(f"Mean V. {said}")}">'
        f'<div class="ys num">{labels}</div><div class="plot"><svg viewBox="0 0 {WIDTH} {HEIGHT}" '
        'preserveAspectRatio="none" aria-hidden="true">'
        f'<g class="grid">{grid}</g>{ribbons}{lines}</svg>{dots}</div><div class="xs num">{_xs(c, along)}</div>'
        f'<figcaption>{keys}<span class="num">mean V of {c.problems:,} problem{"s" if c.problems != 1 else ""}, each '
        f"model’s own rollouts; ribbons: 95 %; {about}</span></figcaption></figure>"
    )


def _x(c: Curve, x: float) -> float:
    return round(WIDTH * (x - c.xs[0]) / (c.xs[-1] - c.xs[0]), 1)


def _y(value: float) -> float:
    return round(HEIGHT * (1 - value), 1)


def _line(c: Curve, points: Sequence[Estimate]) -> str:
    return "M" + "L".join(f"{_x(c, x)} {_y(p.value)}" for x, p in zip(c.xs, points, strict=True))


def _ribbon(c: Curve, points: Sequence[Estimate]) -> str:
    above = [f"{_x(c, x)} {_y(p.high)}" for x, p in zip(c.xs, points, strict=True)]
    below = [f"{_x(c, x)} {_y(p.low)}" for x, p in zip(c.xs, points, strict=True)]
    return "M" + "L".join([*above, *reversed(below)]) + "Z"


def _dots(c: Curve, points: Sequence[Estimate], css: str, name: str, along: str) -> str:
    found = []
    for x, p in zip(c.xs, points, strict=True):
        at = f"left:{_x(c, x) / WIDTH:.2%};top:{_y(p.value) / HEIGHT:.2%}"
        said = f"{name}, {_named(x, along)}: {p.value:.2f} [{p.low:.2f}, {p.high:.2f}]"
        found.append(f'<i class="pt {css}" style="{at}" title="{esc(said)}"></i>')
    return "".join(found)


def _named(x: float, along: str) -> str:
    if along == "share":
        return f"{100 * x:.0f} % of the way"
    return f"step {x:.0f}" if x else "the question"


def _xs(c: Curve, along: str) -> str:
    every = 1 if len(c.xs) <= 13 else 2 if len(c.xs) <= 26 else 5
    shown = [x for i, x in enumerate(c.xs) if i % every == 0]
    ends = {c.xs[0]: "first", shown[-1]: "last" if shown[-1] == c.xs[-1] else ""}
    return "".join(
        f'<span style="left:{100 * _x(c, x) / WIDTH:.2f}%" class="{ends.get(x, "")}">{_tick(x, along)}</span>'
        for x in shown
    )


def _tick(x: float, along: str) -> str:
    if along == "share":
        return f"{100 * x:.0f} %"
    return f"{x:.0f}" if x else "Q"
