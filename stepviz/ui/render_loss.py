"""The loss of a training as a small SVG: every point as a thin line, a running mean as a thick one. Pure.

The drawing is stretched to its box, so lines keep their width by `vector-effect` and the words are HTML beside it.
The abscissa is the whole training from the start on: how far the line has come is how far the training is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stepviz.ui.render import esc

Points = Sequence[tuple[int, float]]
WIDTH, HEIGHT = 1000, 300
LOG_FROM = 6.0  # largest loss over smallest, from which on the ordinate is logarithmic
MEMORY = 0.12  # share of the points that the running mean looks back


def curve(losses: Points, total: int | None, running: bool) -> str:
    """`total`: the steps of the whole training; None while nobody knows."""
    points = [(step, loss) for step, loss in losses if math.isfinite(loss)]
    if not points:
        words = "The curve begins with the first step." if running else "No step was made."
        return f'<figure class="loss none"><p class="dim">{words}</p></figure>'
    of = max(total or 0, points[-1][0])
    ticks, log = _ticks([loss for _, loss in points])
    low, high = _scale(ticks[0], log), _scale(ticks[-1], log)

    def y(loss: float) -> float:
        share = (_scale(loss, log) - low) / (high - low)
        return round(HEIGHT * (1 - min(1.0, max(0.0, share))), 1)

    def x(step: float) -> float:
        return round(WIDTH * step / of, 1)

    grid = "".join(f'<line x1="0" x2="{WIDTH}" y1="{y(t)}" y2="{y(t)}"/>' for t in ticks)
    mean = smoothed(points)
    end = mean[-1]
    labels = "".join(f'<span style="top:{100 * y(t) / HEIGHT:.2f}%">{_number(t)}</span>' for t in ticks)
    ends = {0: "first", of: "last"}
    steps = "".join(
        f'<span style="left:{100 * s / of:.2f}%" class="{ends.get(s, "")}">{s:,}</span>' for s in _steps(of)
    )
    at = f"left:{100 * x(end[0]) / WIDTH:.2f}%;top:{100 * y(end[1]) / HEIGHT:.2f}%"
    dot = f'<i class="now{" live" if running else ""}" style="{at}"></i>'
    said = f"loss {_number(points[0][1])} at step {points[0][0]}, {_number(end[1])} at step {end[0]} of {of}"
    return (
        f'<figure class="loss" role="img" aria-label="{esc(said)}"><div class="ys num">{labels}</div>'
        f'<div class="plot"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<g class="grid">{grid}</g><path class="raw" d="{_path(points, x, y)}"/>'
        f'<path class="mean" d="{_path(mean, x, y)}"/></svg>{dot}</div>'
        f'<div class="xs num">{steps}</div><figcaption>loss by step{", logarithmic" if log else ""} · '
        f"thin: as it was told, thick: its running mean</figcaption></figure>"
    )


def smoothed(points: Points) -> list[tuple[int, float]]:
    """An exponential running mean, without the pull of its start."""
    keep = 1 - 1 / max(1.0, MEMORY * len(points))
    out, total, weight = [], 0.0, 0.0
    for step, loss in points:
        total, weight = keep * total + loss, keep * weight + 1
        out.append((step, total / weight))
    return out


def _path(points: Points, x, y) -> str:  # noqa: ANN001
    if len(points) == 1:
        (step, loss) = points[0]
        return f"M{x(step)} {y(loss)}h.1"
    return "M" + "L".join(f"{x(step)} {y(loss)}" for step, loss in points)


def _scale(value: float, log: bool) -> float:
    return math.log(max(value, 1e-9)) if log else value


def _ticks(losses: Sequence[float]) -> tuple[list[float], bool]:
    """(three to seven round numbers around the losses, whether they are spaced by ratio)."""
    low, high = min(losses), max(losses)
    if low > 1e-6 and high / low >= LOG_FROM:
        steps = [m * 10.0**e for e in range(-7, _exponent(high) + 2) for m in (1, 2, 5)]
        below = max(t for t in steps if t <= low * 1.0001)
        above = min(t for t in steps if t >= high * 0.9999)
        found = [t for t in steps if below <= t <= above]
        return (found if len(found) <= 7 else sorted({found[0], *found[1:-1:2], found[-1]})), True
    size = _round((high - low) / 3 or max(high, 1e-3) / 3)
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return [round(i * size, 9) for i in range(first, max(last, first + 1) + 1)], False


def _exponent(value: float) -> int:
    return math.floor(math.log10(value))


def _round(size: float) -> float:
    """The next of 1, 2, 5 × 10ⁿ."""
    ten = 10 ** math.floor(math.log10(size))
    return next(m * ten for m in (1, 2, 5, 10) if m * ten >= size * 0.999)


def _steps(of: int) -> list[int]:
    size = max(1, int(_round(of / 4)))
    found = [s for s in range(0, of, size) if of - s >= 0.12 * of or s == 0]
    return [*found, of]


def _number(value: float) -> str:
    return f"{value:.3g}"
