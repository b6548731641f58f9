"""Two judges of steps side by side: a row a target, and the chains whose predicted pit moved."""

from __future__ import annotations

from stepviz.compare_scores import MOVES, TARGETS, Agreement, Scored
from stepviz.reward.specs import ROLES
from stepviz.statistics import Estimate
from stepviz.ui.address import Address
from stepviz.ui.render import attrs, esc, number
from stepviz.ui.render_compare_pits import pages
from stepviz.ui.render_curve import hand
from stepviz.ui.view_compare import ComparePage
from stepviz.ui.view_compare_scores import Judges

_GRID = (
    '<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">'
    '<path class="grid" d="M0 50H100M0 25V75M25 40V60M50 25V75M75 40V60M100 25V75"/></svg>'
)
_WORDS = {"vanished": "Vanished", "new": "New", "moved": "Moved", "same": "The same", "never": "Never"}


def facts(j: Judges, names: tuple[str, str]) -> str:
    """The threshold, and the table of agreement."""
    before, after = map(esc, names)
    if not j.agreements:
        return (
            f"{_threshold(j.threshold)}<section><h3>Agreement</h3><p>Nothing is known of these steps: measure the "
            "chains in Explore, or by <code>python -m stepviz measure</code>.</p></section>"
        )
    rows = "".join(_rows(found, j.threshold) for found in j.agreements)
    return (
        f"{_threshold(j.threshold)}"
        '<section class="agree"><h3>Agreement with what is known of a step</h3><table class="plain"><thead><tr>'
        f"<th></th><th></th>{_judge(before, j.roles[0])}{_judge(after, j.roles[1])}<th>difference</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        f'<p class="dim fine">{len(j.found.chains):,} chains; intervals by a bootstrap over problems, 95 %; a step is '
        f"called good above {number(j.threshold)}.</p></section>"
    )


def _threshold(t: float) -> str:
    """What is dragged in Explore over a chain's scores, on a track of its own; the address has it as `t`."""
    does = "a step that a judge scores at or below it is called bad, and the first of a chain is its predicted pit"
    return (
        f'<section class="cut" style="--t:{t:g}"><h3>A step is bad at or below</h3><div class="trk"><div>{_GRID}</div>'
        f'<span class="ends"><span>0</span><span>1</span></span>{hand(does, t)}</div></section>'
    )


def _judge(name: str, role: str) -> str:
    """A column's head: the judge, and what its scores estimate, which is the target that it is for."""
    return f'<th title="estimates {esc(ROLES[role])}">{name}<small>{esc(role.upper())}</small></th>'


def _rows(a: Agreement, threshold: float) -> str:
    found = [("AUC", a.auc), (f"balanced accuracy at {number(threshold)}", a.accuracy)]
    shown = [(name, three) for name, three in found if three is not None]
    head = f"{esc(TARGETS[a.target])}<small>{a.steps:,} steps, {100 * a.positive:.0f} % are</small>"
    lines = []
    for i, (name, three) in enumerate(shown):
        first = f'<td rowspan="{len(shown)}" class="lines">{head}</td>' if i == 0 else ""
        lines.append(f"<tr>{first}<td>{name}</td>{_cell(three[0])}{_cell(three[1])}{_gap(three[2])}</tr>")
    return "".join(lines)


def _cell(e: Estimate) -> str:
    return f'<td class="num" title="[{e.low:.3f}, {e.high:.3f}]">{e.value:.3f}</td>'


def _gap(e: Estimate) -> str:
    css = " up" if e.low > 0 else " down" if e.high < 0 else ""
    return f'<td class="num{css}">{e.value:+.3f} [{e.low:+.3f}, {e.high:+.3f}]</td>'


def chains(page: ComparePage, j: Judges, names: tuple[str, str]) -> str:
    """Classes to filter by, and a line a chain that opens it in Explore with the second judge's scores."""
    chips = "".join(_chip(page, name, j.moves[name]) for name in MOVES if j.moves[name] or page.at.show == name)
    everything = _link(page, "All", sum(j.moves.values()), "")
    rows = "".join(_row(page, c, j.threshold) for c in j.rows) or '<p class="pad dim">No chain here.</p>'
    before, after = map(esc, names)
    return (
        f'<div class="rhead"><b>Predicted pits</b><div class="chips">{everything}{chips}</div></div>'
        '<div class="prows judged" role="list"><div class="pr hd"><span>chain</span><span></span>'
        f"<span>{before}</span><span>{after}</span><span></span></div>{rows}</div>"
        f"{pages(page.at, j.listed, len(j.rows))}"
    )


def _chip(page: ComparePage, name: str, n: int) -> str:
    return _link(page, _WORDS[name], n, name)


def _link(page: ComparePage, label: str, n: int, show: str) -> str:
    on = page.at.show == show
    more = attrs(aria_current="true" if on else None)
    href = esc(page.at.query(show=show, skip=""))
    return f'<a class="chip{" on" if on else ""}" data-go href="{href}"{more}>{label} <b>{n:,}</b></a>'


def _row(page: ComparePage, c: Scored, threshold: float) -> str:
    sides = zip(c.pits(threshold), (c.before, c.after), (page.at.before, page.at.after), strict=True)
    shown = "".join(_side(c, step, scores, spec, threshold) for step, scores, spec in sides)
    move = c.move(threshold)
    said = "" if move in ("never", "same") else _WORDS[move].lower()
    link = Address(problem=c.problem, chain=c.chain).query()
    return (
        f'<div class="pr" role="listitem"><a class="pl" href="/{esc(link)}">{esc(c.place)}</a><span class="pq"></span>'
        f'{shown}<span class="pc {move}">{said}</span></div>'
    )


def _side(c: Scored, step: int | None, scores: tuple[float, ...], spec: str, threshold: float) -> str:
    link = Address(problem=c.problem, chain=c.chain, step=step, scorer=spec, t=threshold).query()
    said = f"step {step} <small>{number(scores[step - 1])}</small>" if step else '<span class="dim">none</span>'
    return f'<a class="ps" href="/{esc(link)}"><span class="num">{said}</span></a>'
