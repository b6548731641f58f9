"""Explore's list where it shows the chains behind a number of agreement: what they are, and a way back."""

from __future__ import annotations

from urllib.parse import unquote

from stepviz.agreement.cells import Listed
from stepviz.ui.address import Address
from stepviz.ui.agreement_at import SQUARE, Door
from stepviz.ui.hearing import Waiting
from stepviz.ui.render import attrs, button, esc, icon
from stepviz.ui.render_agreement_form import short
from stepviz.ui.render_chain import view_loading
from stepviz.ui.view_doors import DoorLine, DoorList

_WORDS = {  # {a}, {b}: the two judges
    "chains": "{a} and {b} both speak of",
    "asked": "{a} and {b} both say whether it goes wrong",
    "agree": "{a} and {b} say alike whether it goes wrong",
    "neither": "neither {a} nor {b} sees an error",
    "only_a": "{a} sees an error, {b} does not",
    "only_b": "{b} sees an error, {a} does not",
    "both_err": "{a} and {b} both see an error",
    "known": "of {a} and {b} it is known where they see the first error, if any",
    "both": "{a} and {b} both name a first error",
    "exact": "{a} and {b} name the same first error",
    "within_one": "the first errors of {a} and {b} are at most one step apart",
    "one_apart": "the first errors of {a} and {b} are one step apart",
    "further": "the first errors of {a} and {b} are further apart than one step",
    "same": "{a} and {b} answer alike: the same first error, or none",
    "a_error": "{a} names a first error",
    "a_none": "{a} sees no error",
    "spared": "neither {a} nor {b} sees an error",
    "scored": "one of {a} and {b} scores, the other labels",
    "ceiling": "people say something that others do, too",
    "steps": "{a} and {b} both label",
    "steps_agree": "{a} and {b} label alike",
    "steps_fine": "{a} and {b} both call fine",
    "steps_only_a": "{a} calls errors, {b} does not",
    "steps_only_b": "{b} calls errors, {a} does not",
    "steps_both": "{a} and {b} both call errors",
    "steps_a": "{a} calls errors",
    "steps_b": "{b} calls errors",
    "right_open": "are correct by {a}, and by {b} it can still be solved",
    "dead_end": "are right but a dead end: correct by {a}, and by {b} it can no longer be solved",
    "recoverable": "are wrong but recoverable: not correct by {a}, and by {b} it can still be solved",
    "wrong_lost": "are wrong and lost: not correct by {a}, and by {b} it can no longer be solved",
}
_PARTS = {
    "arm": "in the arm {}", "position": "at step {}", "source": "of {}", "flagged": "at or below the threshold",
    "errors": "labelled errors", "hits": "labelled errors, at or below the threshold", "bin": "in the bin {} of ten",
    "pair": "{}", "pairs": "every two of them", "others": "{} against the others", "scorer": "{} against the scorer",
    "stand-in": "the scorer in the place of {}",
}  # fmt: skip


def listed(d: DoorList) -> str:
    """The column."""
    if isinstance(d.found, Waiting):
        far = f"{d.found.done:,} of {d.found.total:,} chains read" if d.found.done else "about to begin"
        rows = '<div class="crow dw"><i class="skel" style="--w:10px"></i><i class="skel"></i></div>' * 12
        return f'{_nav()}{_head("")}{_bar(d, "", far)}<div class="clist" aria-busy="true" data-waiting>{rows}</div>'
    if isinstance(d.found, str):
        return f'{_nav()}{_head("")}{_bar(d, "", d.found)}<div class="clist"></div>'
    body = "".join(_line(d, line) for line in d.lines)
    if not d.lines:
        said = "No chain is behind this number any more: labels, scores or draws have changed."
        body = f'<div class="none"><p>{said}</p></div>'
    kind = "crossed" if d.door.crossed else "among" if d.door.a == d.door.b else ""
    return (
        f"{_nav()}{_head(f'{d.found.chains:,}')}{_bar(d, count(d.door, d.found), '')}"
        f'<div class="cbody doors {kind}">{_columns(d)}'
        f'<div class="clist" role="listbox" aria-label="Chains">{body}</div></div>'
        f"{_pages(d, d.found)}"
    )


def nothing_open() -> str:
    """The right pane until the first chain of the list is known."""
    return view_loading()


def count(door: Door, found: Listed) -> str:
    """`408 pairs of labels, in 190 chains`, `41 steps, in 23 chains`, `62 chains`."""
    chains = f"{found.chains:,} chain{'' if found.chains == 1 else 's'}"
    if found.pairs != found.things:
        return f"{found.pairs:,} pairs of labels, in {chains}"
    if door.cell == "ceiling":
        return f"{found.things:,} item{'' if found.things == 1 else 's'}, in {chains}"
    if _of_steps(door):
        return f"{found.things:,} step{'' if found.things == 1 else 's'}, in {chains}"
    return chains


def _of_steps(door: Door) -> bool:
    return door.cell.startswith("steps") or door.cell in SQUARE or door.cell == "scored"


def words(door: Door) -> str:
    """`A` and `B`, with what is counted of them."""
    a, b = (short(name) for name in door.crossed or (door.a, door.b))
    if door.a == door.b and door.crossed is None:
        a, b = f"one of {a}", "another"
    said = _WORDS[door.cell].format(a=a, b=b)
    kind, _, name = door.part.partition(":")
    named = " and ".join(map(unquote, name.split("|"))) or "everybody"
    part = "" if door.crossed else _PARTS.get(kind, "").format(named)
    return f"{said}, {part}" if part else said


def _head(n: str) -> str:
    return f'<div class="phead"><h2>Chains</h2><span class="dim num">{n}</span><span class="sp"></span></div>'


def _nav() -> str:
    return (
        '<div class="pnav"><button type="button" class="btn ghost sm" data-act="rail" aria-label="Problems" '
        'title="Problems ["><i class="ic menu"></i></button><b class="num">Behind a number</b><span class="sp"></span>'
        "</div>"
    )


def _bar(d: DoorList, counted: str, instead: str) -> str:
    """What the list is filtered by, with the way back."""
    where = " ".join(part for part in (d.door.source, d.door.split) if part)
    of = f"<b>{esc(counted)}</b> " if counted else ""
    which = "that" if _of_steps(d.door) else "of which"
    facts = [f"{side} {short(name)}" for side, name in zip("AB", _names(d.door), strict=False)]
    facts += [] if d.door.crossed else [d.door.question]
    facts += [part for part in (where, f"threshold {float(d.door.threshold):.3g}" if d.door.threshold else "") if part]
    sizes = attrs(data_things=d.found.things, data_pairs=d.found.pairs, data_chains=d.found.chains) if isinstance(
        d.found, Listed) else ""  # fmt: skip
    said = esc(instead) if instead else f"{of}{which} {esc(words(d.door))}"
    return (
        f'<div class="doorbar" role="status"{sizes}><p>{said}</p><small>{esc(" · ".join(facts))}</small>'
        f'<span class="acts"><a class="btn sm" href="{esc(d.door.page)}">Back to Agreement</a>'
        f"{button('All chains', 'allchains', kind='sm', title='Every chain of the open problem')}</span></div>"
    )


def _names(door: Door) -> tuple[str, ...]:
    if door.crossed is not None:
        return door.crossed
    return (door.a,) if door.a == door.b else (door.a, door.b)


def _columns(d: DoorList) -> str:
    if d.door.crossed is not None:
        return '<div class="chead dw"><span></span><span>chain</span><span class="st">steps</span></div>'
    sides = "".join(
        f'<span class="fe"{attrs(title=name)}>{side}</span>' for side, name in zip("AB", _names(d.door), strict=False)
    )
    of = "steps" if _of_steps(d.door) else ""
    return f'<div class="chead dw"><span></span><span>chain</span><span class="st">{of}</span>{sides}</div>'


def _line(d: DoorList, line: DoorLine) -> str:
    at = Address(problem=line.problem, chain=line.chain, agree=d.door.packed, cell=d.door.named, passed=d.skip)
    on = line.chain == d.selected
    steps = ""
    if _of_steps(d.door):
        steps = ", ".join(map(str, line.steps[:6])) + (" …" if len(line.steps) > 6 else "")
    sides = (line.a, line.b)[: len(_names(d.door))]
    firsts = "".join(map(_firsts, sides)) if d.door.crossed is None else ""
    return (
        f'<a class="crow dw{" on" if on else ""}" role="option" aria-selected="{"true" if on else "false"}" '
        f'href="{esc(at.query())}" data-chain="{esc(line.chain)}" data-of="{esc(line.problem)}">{icon(line.verdict)}'
        f'<span class="pl" title="{esc(line.place)}">{esc(line.place)} <small>#{line.number}</small></span>'
        f'<span class="num st">{steps}</span>{firsts}</a>'
    )


def _firsts(of: tuple[int | None, ...]) -> str:
    """`3`, `–` for none, `?` for not known; of several people each."""
    if not of:
        return '<span class="num fe"></span>'
    words = ["?" if first is None else str(first) if first else "–" for first in of[:4]]
    title = ", ".join("not known" if f is None else f"step {f}" if f else "no error" for f in of)
    return f'<span class="num fe" title="first error: {title}">{" ".join(words)}{" …" if len(of) > 4 else ""}</span>'


def _pages(d: DoorList, found: Listed) -> str:
    if found.chains <= d.limit:
        return '<div class="pages num" hidden></div>'
    first, last = d.skip + 1, d.skip + len(d.lines)
    back = button("Back", "passed", kind="sm ghost", skip=max(0, d.skip - d.limit)) if d.skip else ""
    on = button("More", "passed", kind="sm ghost", skip=d.skip + d.limit) if last < found.chains else ""
    shown = f'<span>{first:,}–{last:,} of {found.chains:,}</span><span class="sp"></span>'
    return f'<div class="pages num">{shown}{back}{on}</div>'
