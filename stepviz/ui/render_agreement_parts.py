"""A comparison in parts (human ceiling, arms, positions, sources), and the two questions against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepviz.agreement.parts import Ceiling, Part, Row
from stepviz.agreement.square import CELLS, Square
from stepviz.agreement.tables import Number
from stepviz.ui.agreement_at import SQUARE
from stepviz.ui.agreement_at import row as row_part
from stepviz.ui.hearing import Waiting
from stepviz.ui.render import esc
from stepviz.ui.render_agreement import waiting
from stepviz.ui.render_agreement_form import short, who
from stepviz.ui.render_agreement_numbers import NAMES, door, interval, no_interval, written
from stepviz.ui.render_agreement_scores import bins
from stepviz.ui.view_agreement import AgreementPage, Told

_KINDS = {
    "pair": "two people",
    "pairs": "all pairs of people",
    "others": "against the others",
    "scorer": "against the scorer, same items",
    "stand-in": "the scorer in their place",
}
_ARMS = {"blind": "blind", "scores": "scores shown", "pit": "pit shown"}
_WORDS = {"right_open": "right, solvable", "dead_end": "right but a dead end",
          "recoverable": "wrong but recoverable", "wrong_lost": "wrong, lost"}  # fmt: skip


def more(page: AgreementPage) -> str:
    """All that stands beneath the plots."""
    told = page.told
    if not isinstance(told, Told):
        return '<div class="facts" hidden></div>'
    parts = "".join((bins(page), _ceiling(page, told), _arms(page, told), _positions(page, told), _sources(page, told)))
    return f'<div class="facts more">{parts}{_square(page)}</div>'


# ---- in parts


def _ceiling(page: AgreementPage, told: Told) -> str:
    found: Ceiling | None = told.compared.ceiling
    if found is None:
        return ""
    columns = ("same", "exact", "within_one", "agreement", "kappa", "alpha")
    rows = "".join(_ceiling_row(page, row, columns) for row in found.rows)
    left = f'<p class="dim fine">{found.left_out:,} rows of fewest items are left out.</p>' if found.left_out else ""
    table = _table(("who", "items", *columns), rows)
    return (
        '<section class="ceil"><h3>The human ceiling</h3><p class="dim fine">No scorer can be expected to agree more '
        "with a person than people do. The others: what was settled, else their majority. Δ: the difference "
        f"to the row of the others, on the same items.</p>{table}{left}</section>"
    )


def _ceiling_row(page: AgreementPage, row: Row, columns: Sequence[str]) -> str:
    names = {"pair": f"{short(row.a)} – {short(row.b)}", "stand-in": short(row.a)}.get(row.kind, short(row.a))
    who_ = f"<td><b>{esc(names or 'everybody')}</b><small>{_KINDS.get(row.kind, esc(row.kind))}</small></td>"
    to = row_part(row.kind, *((row.a, row.b) if row.kind == "pair" else (row.person,) if row.person else ()))
    items = door(page, "ceiling", f"{row.items:,}", part=to)
    return f'<tr>{who_}<td class="num">{items}</td>{_numbers(row.numbers, columns, row.differences)}</tr>'


def _arms(page: AgreementPage, told: Told) -> str:
    parts: Sequence[Part] = told.compared.by.get("arm", ())
    if not parts:
        return ""
    columns = _known(parts, ("same", "exact", "agreement", "kappa", "alpha"))
    note = "What people were shown, drawn for each item and person; the difference to blind is what showing it does."
    rows = "".join(_part(page, part, "arm", columns, _ARMS.get(part.name, part.name), differs=True) for part in parts)
    return _section("arms", "By arm: anchoring", note, ("arm", "chains", "steps", *columns), rows)


def _positions(page: AgreementPage, told: Told) -> str:
    parts: Sequence[Part] = told.compared.by.get("position", ())
    if not parts:
        return ""
    rates = [name for name in ("errors", "errors_a", "errors_b") if name in parts[0].numbers]
    columns = _known(parts, (*rates, "agreement", "kappa", "alpha", "ac1"))
    rows = "".join(_part(page, part, "position", columns, f"step {part.name}") for part in parts)
    note = "Where a step stands in its chain: how many each calls errors, and how far they agree."
    return _section("positions", "By position", note, ("step", "chains", "steps", *columns), rows)


def _sources(page: AgreementPage, told: Told) -> str:
    parts: Sequence[Part] = told.compared.by.get("source", ())
    if len(parts) < 2:
        return ""
    columns = _known(parts, ("same", "exact", "processbench_f1", "agreement", "kappa", "alpha"))
    rows = "".join(_part(page, part, "source", columns, part.name) for part in parts)
    return _section("sources", "By source", "", ("source", "chains", "steps", *columns), rows)


def _known(parts: Sequence[Part], columns: Sequence[str]) -> list[str]:
    return [name for name in columns if any(name in part.numbers for part in parts)]


def _section(css: str, title: str, note: str, columns: Sequence[str], rows: str) -> str:
    said = f'<p class="dim fine">{note}</p>' if note else ""
    return f'<section class="{css}"><h3>{title}</h3>{said}{_table(columns, rows)}</section>'


def _part(
    page: AgreementPage, part: Part, kind: str, columns: Sequence[str], label: str, *, differs: bool = False
) -> str:
    door_to = f"{kind}:{part.name}"
    cells = _numbers(part.numbers, columns, part.differences if differs else {})
    chains = door(page, "chains", f"{part.chains:,}", part=door_to)
    steps = door(page, "steps", f"{part.steps:,}", part=door_to)
    return f'<tr><td>{esc(label)}</td><td class="num">{chains}</td><td class="num">{steps}</td>{cells}</tr>'


def _numbers(
    numbers: Mapping[str, Number], columns: Sequence[str], differences: Mapping[str, Number] | None = None
) -> str:
    out = []
    for name in columns:
        number, apart = numbers.get(name), (differences or {}).get(name)
        if number is None:
            out.append("<td></td>")
            continue
        more_ = (
            f'<em title="the difference to the first, by the same draws">Δ {_short(apart, sign=True)}</em>'
            if apart is not None and apart.value is not None
            else ""
        )
        out.append(f'<td class="num">{_short(number)}{more_}</td>')
    return "".join(out)


def _short(number: Number, *, sign: bool = False) -> str:
    """The value with its interval beneath; where there is none, why."""
    if number.value is None:
        return f'<span class="undef" title="{esc(number.why)}">–<small>{esc(number.why)}</small></span>'
    plus = "+" if sign and number.value > 0 else ""
    under = interval(number)
    return f"<b>{plus}{written(number.value)}</b><small>{under or no_interval(number)}</small>"


def _table(columns: Sequence[str], rows: str) -> str:
    heads = "".join(
        f'<th title="{esc(NAMES[name][1])}">{esc(NAMES[name][0])}</th>' if name in NAMES else f"<th>{esc(name)}</th>"
        for name in columns
    )
    head = f"<thead><tr>{heads}</tr></thead>"
    return f'<div class="wide"><table class="plain parts">{head}<tbody>{rows}</tbody></table></div>'


# ---- two questions


def _square(page: AgreementPage) -> str:
    form = page.form
    right = who(form, "right", page.judges[0], "correct")
    solved = who(form, "solved", page.judges[1], "solvable")
    judges = (
        f'<div class="two judges"><label><span class="lab">correct, says</span>{right}</label>'
        f'<label><span class="lab">still solvable, says</span>{solved}</label></div>'
    )
    if isinstance(page.square, Waiting):
        body = waiting(page.square)
    elif isinstance(page.square, Square):
        body = _cells(page, page.square)
    else:
        said = str(page.square or "")
        body = f'<p class="undef">{esc(said[:1].upper() + said[1:])}</p>'
    return (
        '<section class="sq"><h3>Correct against still solvable</h3><p class="dim fine">Two questions of the same '
        f"steps; a step after a first error counts, too.</p>{judges}{body}</section>"
    )


def _cells(page: AgreementPage, found: Square) -> str:
    def cell(key: str) -> str:
        steps, share = found.steps[SQUARE[key]], found.shares[SQUARE[key]]
        css = "apart" if SQUARE[key] in CELLS[1:3] else "same"
        return (
            f'<td class="{css}" style="--s:{len(steps) / max(found.n, 1):.2f}">{door(page, key, f"{len(steps):,}")}'
            f'<span>{_WORDS[key]}</span><small class="num">{share.text()} %</small></td>'
        )

    a, b = (short(name) for name in page.judges)
    return (
        f'<table class="two2 big" aria-label="steps"><thead><tr><td></td><th colspan="2">by {esc(b)}</th></tr><tr><td>'
        '</td><th>can still be solved</th><th>cannot</th></tr></thead><tbody><tr><th scope="row">'
        f"<small>by {esc(a)}</small>correct</th>{cell('right_open')}{cell('dead_end')}</tr>"
        f'<tr><th scope="row">not correct</th>{cell("recoverable")}{cell("wrong_lost")}</tr></tbody></table>'
        f"{_list(page, found, 'recoverable')}{_list(page, found, 'dead_end')}"
    )


def _list(page: AgreementPage, found: Square, key: str) -> str:
    """The first of a cell, each a way to its step; the door has all."""
    steps = found.steps[SQUARE[key]]
    if not steps:
        return ""
    to = page.door(key)
    links = "".join(
        f'<a class="link" href="{esc(f"{to.query}&problem={s.problem}&chain={s.chain}&step={s.step}")}">'
        f"{esc(s.chain[:6])} step {s.step}</a>"
        for s in steps[:12]
    )
    rest = door(page, key, f"all {len(steps):,}") if len(steps) > 12 else ""
    return f'<p class="listed"><b>{_WORDS[key]}</b>{links}{rest}</p>'
