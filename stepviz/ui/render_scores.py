"""Predicted scores: their columns, and what is said of each beside a step."""

from __future__ import annotations

from collections.abc import Sequence

from stepviz.reward.specs import ROLES
from stepviz.ui.render import attrs, esc, number
from stepviz.ui.rows import ChainPage, Predicted, Scorer, StepRow

_NONE = '<span class="none">·</span>'


def heads(v: ChainPage) -> str:
    """A head a role; where several models scored this chain a list of them lies over the heads."""
    if not v.columns:
        return "<b>SORM</b>"
    cells = "".join(
        f"<b{attrs(class_='by' if s == v.drawn else None, title=f'{s.name}: {estimates(s)}{learnt(s)}')}>{s.label}</b>"
        for s in v.columns
    )
    if len(v.scorers) < 2:
        return cells
    options = "".join(
        f'<option value="{esc(s.id)}"{" selected" if s == v.drawn else ""}>{s.label} · {esc(s.name)}</option>'
        for s in v.scorers
    )
    pick = "Whose scores are drawn"
    return f'{cells}<select data-change="scorer" aria-label="{pick}" title="{pick}">{options}</select>'


def cells(row: StepRow, drawn: Scorer | None) -> str:
    if not row.predicted:
        return _NONE
    return "".join(
        f"<b{attrs(class_='by' if p.scorer == drawn else None)}>{_NONE if p.score is None else number(p.score)}</b>"
        for p in row.predicted
    )


def estimates(scorer: Scorer) -> str:
    return f"estimates {ROLES[scorer.role]}"


def learnt(scorer: Scorer) -> str:
    """By which rule its labels were counted: what is measured beside its scores is counted by the same."""
    return f"; of its labels {scorer.counting.said}" if scorer.counting else ""


def beside(predicted: Sequence[Predicted]) -> str:
    """The inspector's lines: each score by what it estimates, with that as measured or judged."""
    told = [p for p in predicted if p.score is not None]
    if not told:
        return '<div class="fact" hidden></div>'
    items = "".join(
        f'<p class="told"><b>{p.scorer.label} {number(p.score)}</b> {esc(estimates(p.scorer))}'
        f"<small{attrs(title=_rule(p))}>{esc(' · '.join((p.scorer.name, *p.beside)))}</small></p>"
        for p in told
    )
    return f'<div class="fact"><span class="lab">Predicted</span>{items}</div>'


def _rule(p: Predicted) -> str | None:
    return f"measured as it learnt: {p.scorer.counting.said}" if p.beside and p.scorer.counting else None
