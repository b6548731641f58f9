"""Which first pits vanished and which are new: classes to filter by, and a line a problem that leads to Explore."""

from __future__ import annotations

from stepviz.compare import CLASSES, RULES, Pair, Trial
from stepviz.ui.address import Address
from stepviz.ui.compare_at import ROWS, At
from stepviz.ui.mathtext import has_tex
from stepviz.ui.render import attrs, button, esc, icon, prose
from stepviz.ui.render_chains import cell
from stepviz.ui.rows import Cell
from stepviz.ui.view_compare import ComparePage, Result

_RULES = {"self-explore": "Self-Explore", "glore": "GLoRe"}
CLASS_WORDS = {
    "vanished": ("Vanished", "The chain before had a first pit, the one after has none."),
    "new": ("New", "The chain before had none, the one after has a first pit."),
    "still": ("Still there", "Both chains have a first pit, perhaps at another step."),
    "never": ("Never", "Neither chain has one."),
    "undecided": ("Cannot be told", "A wrong chain without measured steps, or without steps."),
}
_SAID = {"vanished": "vanished", "new": "new", "still": "still there", "never": "", "undecided": "cannot be told"}


def problems(page: ComparePage, r: Result, names: tuple[str, str]) -> str:
    """The whole section, or the bare list where V was not measured."""
    head = _classes(page, r) if r.classes else '<div class="rhead"><b>Problems</b></div>'
    rows = "".join(_row(p, page.at.pit, bool(r.classes)) for p in r.rows) or _none(page)
    before, after = (esc(name) for name in names)
    return (
        f'{head}<div class="prows{"" if r.classes else " bare"}" role="list"><div class="pr hd"><span>problem</span>'
        f"<span></span><span>{before}</span><span>{after}</span><span>{'first pit' if r.classes else ''}</span></div>"
        f"{rows}</div>{pages(page.at, r.listed, len(r.rows))}"
    )


def _classes(page: ComparePage, r: Result) -> str:
    chips = "".join(_chip(page, name, r.classes[name]) for name in CLASSES if r.classes[name] or page.at.show == name)
    everything = _link(page, "All", sum(r.classes.values()), not page.at.show, show="", skip="")
    rules = "".join(_link(page, _RULES[rule], None, page.at.pit == rule, pit=rule, skip="") for rule in RULES)
    return (
        f'<div class="rhead"><b>First pits</b><div class="chips" role="group" aria-label="Which problems">{everything}'
        f'{chips}</div><span class="sp"></span><div class="chips" role="group" aria-label="By whose rule">{rules}'
        "</div></div>"
    )


def _chip(page: ComparePage, name: str, n: int) -> str:
    label, title = CLASS_WORDS[name]
    return _link(page, label, n, page.at.show == name, title, show=name, skip="")


def _link(page: ComparePage, label: str, n: int | None, on: bool, title: str = "", **changes: str) -> str:
    count = f" <b>{n:,}</b>" if n is not None else ""
    more = attrs(title=title or None, aria_current="true" if on else None)
    return (
        f'<a class="chip{" on" if on else ""}" data-go href="{esc(page.at.query(**changes))}"{more}>{label}{count}</a>'
    )


def _row(p: Pair, rule: str, measured: bool) -> str:
    found = p.pit_class(rule) if measured else ""
    question = p.question if len(p.question) <= 300 else p.question[:300] + "…"
    link, text = Address(problem=p.problem).query(), prose(question, has_tex(question), flat=True)
    return (
        f'<div class="pr" role="listitem"><a class="pl" href="/{esc(link)}">{esc(p.place)}</a>'
        f'<span class="pq" title="{esc(question)}">{text}</span>{_side(p, p.before, rule)}{_side(p, p.after, rule)}'
        f'<span class="pc {found}">{_SAID.get(found, "")}</span></div>'
    )


def _side(p: Pair, t: Trial, rule: str) -> str:
    """One chain: right or wrong, V step by step, where its first pit is; a click opens it in Explore at that step."""
    step = t.pit(rule)
    cells = "".join(cell(Cell(v.value, v.step == step)) for v in t.values[1:])
    link = Address(problem=p.problem, chain=t.chain, step=step).query()
    strip = f'<span class="strip">{cells}</span>' if cells else ""
    return (
        f'<a class="ps" href="/{esc(link)}">{icon(t.verdict)}{strip}<span class="num">{esc(_where(t, rule))}</span></a>'
    )


def _where(t: Trial, rule: str) -> str:
    step = t.pit(rule)
    if step is not None:
        return f"step {step}"
    if t.right or not t.values:
        return ""
    return "not measured" if t.undecided(rule) else "no pit"


def _none(page: ComparePage) -> str:
    label = CLASS_WORDS[page.at.show][0].lower() if page.at.show else "such"
    return f'<p class="pad dim">No problem here: {esc(label)}.</p>'


def pages(at: At, listed: int, shown: int) -> str:
    """Back and More under a list of which some lines are shown."""
    if listed <= ROWS:
        return '<div class="pages" hidden></div>'
    skip = at.skipped if at.skipped < listed else 0
    back = button("Back", "page", kind="sm", skip=max(0, skip - ROWS)) if skip else ""
    on = button("More", "page", kind="sm", skip=skip + ROWS) if skip + ROWS < listed else ""
    return (
        f'<div class="pages num"><span>{skip + 1:,}–{skip + shown:,} of {listed:,}</span>'
        f'<span class="sp"></span>{back}{on}</div>'
    )
