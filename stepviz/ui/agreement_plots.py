"""A scorer's curves on the Agreement page: thresholds, ROC, precision and recall, reliability. Drawn by plotly.

Colours are the style sheet's, so that they follow light and dark at once: it knows the lines by their order
(static/css/agreement.css), and here all is grey. Plotly's own is 4.6 MB of script: this page alone loads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradio.components.plot import PlotData

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PLOTS = ("sweep", "roc", "pr", "reliability")
CAPTIONS = {  # title, (class, label) of each line
    "sweep": (
        "Thresholds",
        (("sv-err", "erroneous chains"), ("sv-ok", "correct chains"), ("sv-f1", "F1"), ("sv-at", "where it stands")),
    ),
    "roc": ("ROC of errors", (("sv-roc", "scorer"), ("sv-chance", "chance"))),
    "pr": ("Precision and recall of errors", (("sv-pr", "scorer"), ("sv-chance", "share of errors"))),
    "reliability": ("Reliability", (("sv-raw", "as scored"), ("sv-learnt", "recalibrated"), ("sv-chance", "perfect"))),
}
HEIGHT, GREY = 236, "#808080"
MOST = 400  # points of a curve: more are not seen
Points = Sequence[tuple[float, float]]


def sweep(points: Sequence[tuple[float, float, float, float]], threshold: float | None) -> PlotData:
    """ProcessBench's numbers by threshold: (threshold, on erroneous chains, on correct ones, F1); nan is a gap."""
    figure = _figure("threshold", "share")
    x = [p[0] for p in points]
    for k, name in enumerate(("erroneous", "correct", "F1"), 1):
        _line(figure, x, [p[k] for p in points], name)
    if threshold is not None:
        _line(figure, [threshold, threshold], [0, 1], "", thin="solid")
    return _data(figure)


def roc(points: Points) -> PlotData:
    """False positives by true positives."""
    figure = _figure("false positives", "errors found")
    _line(figure, [0, 1], [0, 1], "", thin="dot")
    _line(figure, *_columns(points), "ROC")
    return _data(figure)


def pr(points: Points, base: float) -> PlotData:
    """Recall by precision; base: the share of errors."""
    figure = _figure("recall", "precision")
    _line(figure, [0, 1], [base, base], "", thin="dot")
    _line(figure, *_columns(points), "precision")
    return _data(figure)


def reliability(raw: Sequence[Mapping[str, Any]], learnt: Sequence[Mapping[str, Any]] = ()) -> PlotData:
    """Of bins of scores ({score, share, n}): what is stated by what is true."""
    figure = _figure("mean score", "share that is well")
    _line(figure, [0, 1], [0, 1], "", thin="dot")
    for bins, name in ((raw, "as scored"), (learnt, "recalibrated")):
        if bins:
            text = [f"{b['n']:,} steps" for b in bins]
            _line(figure, [b["score"] for b in bins], [b["share"] for b in bins], name, text=text)
    return _data(figure)


def thinned(points: Points) -> Points:
    """Ends and evenly many between."""
    if len(points) <= MOST:
        return points
    last = len(points) - 1
    return [points[round(i * last / (MOST - 1))] for i in range(MOST)]


def _columns(points: Points) -> tuple[list[float], list[float]]:
    kept = thinned(points)
    return [p[0] for p in kept], [p[1] for p in kept]


def _figure(x: str, y: str) -> Figure:
    from plotly.graph_objects import Figure

    axis = {
        "range": [-0.02, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1], "ticktext": ["0", ".25", ".5", ".75", "1"],
        "gridcolor": GREY, "zeroline": False, "linecolor": GREY, "fixedrange": True,
    }  # fmt: skip

    def titled(text: str) -> dict[str, Any]:
        return {**axis, "title": {"text": text, "standoff": 6, "font": {"size": 11}}}

    layout = {
        "height": HEIGHT, "margin": {"l": 44, "r": 8, "t": 6, "b": 40}, "showlegend": False, "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Inter, system-ui, sans-serif", "size": 11, "color": GREY},
        "xaxis": titled(x), "yaxis": titled(y),
    }  # fmt: skip
    return Figure(layout=layout)


def _line(
    figure: Figure,
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    *,
    thin: str = "",
    text: Sequence[str] | None = None,
) -> None:
    """thin: the dash of a line that only stands for comparison; text: of each point, which is then marked."""
    said = f"%{{x:.3f}}, %{{y:.3f}}{' · %{text}' if text else ''}<extra>{name}</extra>"
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines+markers" if text else "lines",
        text=text,
        line={"color": GREY, "width": 1 if thin else 2, "dash": thin or "solid"},
        marker={"color": GREY, "size": 7},
        **({"hoverinfo": "skip"} if thin else {"hovertemplate": said}),
    )


def _data(figure: Figure) -> PlotData:
    """As `gr.Plot` takes it, with what a figure cannot say itself: no bar of buttons, no link away."""
    config = {"displayModeBar": False, "displaylogo": False, "showTips": False}
    plot = json.loads(figure.to_json()) | {"config": config}
    plot["layout"].pop("template", None)
    return PlotData(type="plotly", plot=json.dumps(plot))
