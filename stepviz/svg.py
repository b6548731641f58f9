"""Line charts as SVG text: no library for a dozen lines. Readable in a light and in a dark page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 190, 52, 46
COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d", "#64748b")
GREY = "#64748b"
DASHES = ("", "7 5", "2 4")  # in turn: of lines that lie on each other the lower one shows through the upper
Points = Sequence[tuple[float, float]]


def chart(
    title: str,
    x: str,
    y: str,
    lines: Mapping[str, Points],
    logarithmic: bool = True,
    ticks: Sequence[float] = (),
) -> str:
    """An SVG of named lines; `logarithmic` spaces the x values by doubling. ticks: on x, else at every point's."""
    place = (lambda v: math.log2(v)) if logarithmic else (lambda v: v)
    xs = sorted({px for points in lines.values() for px, _ in points})
    ys = [py for points in lines.values() for _, py in points]
    assert xs and ys, "a chart without points"
    low, high, step = _scale(min(ys), max(ys))
    left, right = place(xs[0]), place(xs[-1])

    def at(px: float, py: float) -> tuple[float, float]:
        across = (place(px) - left) / ((right - left) or 1) * (WIDTH - LEFT - RIGHT)
        return LEFT + across, HEIGHT - BOTTOM - (py - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 18, title, size=14)]
    for i in range(round((high - low) / step) + 1):
        value = low + i * step
        _, py = at(xs[0], value)
        parts.append(_line(LEFT, py, WIDTH - RIGHT, py, GREY, 0.25))
        parts.append(_text(LEFT - 6, py + 4, f"{value:g}", anchor="end"))
    for value in [tick for tick in ticks if xs[0] <= tick <= xs[-1]] or xs:
        px, _ = at(value, low)
        parts.append(_text(px, HEIGHT - BOTTOM + 16, f"{value:g}", anchor="middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x, anchor="middle"))
    parts.append(_text(14, TOP - 12, y))
    for i, (name, points) in enumerate(lines.items()):
        parts += _drawn(name, [at(*p) for p in sorted(points)], COLOURS[i % len(COLOURS)], i)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, *parts, "</svg>", ""])


def _drawn(name: str, points: Points, colour: str, index: int) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in points]
    key = TOP + 8 + 17 * index
    dashes = DASHES[index % len(DASHES)]
    broken = f' stroke-dasharray="{dashes}"' if dashes else ""
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{broken}/>',
        *dots,
        _line(WIDTH - RIGHT + 10, key - 4, WIDTH - RIGHT + 34, key - 4, colour, 1, 2, broken),
        _text(WIDTH - RIGHT + 40, key, name),
    ]


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Round bounds around the values, and the step of the grid."""
    spread = (high - low) or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(spread / 4))
    step = next(step * m for m in (1, 2, 5, 10) if spread / (step * m) <= 6)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _text(x: float, y: float, text: str, size: int = 11, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text {place} font-size="{size}" fill="{GREY}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, opacity: float, width: float = 1, more: str = ""
) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-opacity="{opacity}" stroke-width="{width}"{more}/>'
