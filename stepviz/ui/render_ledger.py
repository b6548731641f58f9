"""The ledger of refinements: filters, and a row a refinement, each an address that can be shared."""

from __future__ import annotations

from stepviz.ui.refine_address import FORM
from stepviz.ui.render import attrs, button, esc, icon, number
from stepviz.ui.view_ledger import LISTED, LedgerLine
from stepviz.ui.view_refine import RefinePage

_FILTERS = (
    ("when", "When", (("refined", "Refined"), ("spared", "Spared"))),
    ("where", "Where", (("flagged", "Step flagged"), ("unflagged", "None flagged"), ("hand", "By hand"))),
    ("by", "How", (("both", "Both"), ("global", "Global"), ("local", "Local"))),
    ("gain", "Gain", (("fixed", "Fixed"), ("broken", "Broken"), ("same", "No change"), ("unknown", "Not judged"))),
)
_GAIN = {
    1: ("good", "+1", "fixed"),
    -1: ("bad", "−1", "broken"),
    0: ("", "0", "no change"),
    None: ("", "?", "not judged"),
}


def ledger(p: RefinePage) -> str:
    found = p.ledger
    rows = "".join(_row(p, line) for line in found.lines) or _none(p)
    counted = f"{found.total:,}" if found.total == found.everything else f"{found.total:,} of {found.everything:,}"
    many = button("Refine many…", "many", kind="sm", title="Many chains at once, of a problem or of a source (m)")
    return (
        f'<div class="phead"><h2>Ledger</h2><span class="dim num">{counted}</span><span class="sp"></span>'
        f"{many}{_scope(p)}</div>"
        f'<div class="filters">{"".join(_filter(p, *f) for f in _FILTERS)}</div>'
        '<div class="lrow hd"><span>when</span><span>where</span><span>how</span><span>pick</span>'
        "<span>gain</span></div>"
        f'<div class="lines" role="list">{rows}</div>{_pages(p)}'
    )


def _scope(p: RefinePage) -> str:
    if p.draft is None and not p.at.of:
        return '<select class="field scope" name="of" hidden></select>'
    options = "".join(
        f'<option value="{value}"{" selected" if value == p.at.of else ""}>{word}</option>'
        for value, word in (("", "All"), ("problem", "This problem"), ("chain", "This chain"))
    )
    return f'<select class="field scope" name="of" aria-label="Whose refinements">{options}</select>'


def _filter(p: RefinePage, name: str, label: str, options: tuple[tuple[str, str], ...]) -> str:
    asked = getattr(p.at, name)
    choices = "".join(
        f'<option value="{value}"{" selected" if value == asked else ""}>{word}</option>' for value, word in options
    )
    return (
        f'<select class="field" name="{name}" aria-label="{label}"><option value="">{label}</option>{choices}</select>'
    )


def _row(p: RefinePage, line: LedgerLine) -> str:
    css, gain, title = _GAIN[line.gain]
    on = p.line is not None and p.line.id == line.id
    when = number(line.when) if line.when is not None else "always"
    looked = line.chosen and (line.how != "global" or line.by_hand)
    where = "–" if not looked else "none" if line.where is None else f"step {line.where}"
    by = "" if not looked else "by hand" if line.by_hand else f"≤ {number(line.threshold)}"
    current = attrs(aria_current="true" if on else None)
    samples = f" · {line.samples} samples" if line.samples > 1 else ""
    kept = "spared" if not line.chosen else line.pick
    link = p.at.query(**dict.fromkeys(("chain", "run", "show", *FORM), ""), refinement=line.id)  # the line says these
    return (
        f'<a class="lrow{" on" if on else ""}" role="listitem"{current} href="{esc(link)}" data-line="{line.id}">'
        f'<span class="num prd">{when}</span><span class="num">{where}<small>{by}</small></span>'
        f'<span>{line.how}</span><span title="{esc(kept)}">{esc(kept)}</span>'
        f'<span class="gain {css}" title="{title}">{icon(line.before)}{icon(line.after)}'
        f'<b class="num">{gain}</b></span>'
        f'<span class="of">Chain {line.number} · {esc(line.place)}{samples}<i>{esc(line.age)}</i></span></a>'
    )


def _none(p: RefinePage) -> str:
    if p.ledger.everything:
        clear = button("Show all", "all", kind="sm")
        return f'<div class="none"><p>No refinement matches.</p>{clear}</div>'
    return (
        '<div class="none"><p>Nothing has been refined yet.</p><p class="dim">Refine the open chain, or many at once.'
        "</p></div>"
    )


def _pages(p: RefinePage) -> str:
    found = p.ledger
    if found.total <= LISTED:
        return '<div class="pages" hidden></div>'
    first, last = found.skip + 1, found.skip + len(found.lines)
    back = button("Newer", "page", kind="sm ghost", skip=max(0, found.skip - LISTED)) if found.skip else ""
    on = button("Older", "page", kind="sm ghost", skip=found.skip + LISTED) if last < found.total else ""
    return f'<div class="pages num"><span>{first:,}–{last:,}</span><span class="sp"></span>{back}{on}</div>'
