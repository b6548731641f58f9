"""Pure: the smallest pieces of HTML that all pages share. Every text from outside goes through `esc` or `prose`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from stepviz.types import StepValue, VerdictValue
from stepviz.ui import mathtext
from stepviz.ui.rows import AnswerShare, EquationMark

_ICON = {"correct": "ok", "wrong": "no", "unknown": "unk"}
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SAID = {"correct": "right", "wrong": "wrong", "unknown": "cannot judge"}


def esc(text: object) -> str:
    """Escaped for text and for quoted attributes; what no page can carry (NUL, half a surrogate pair …) shows as �."""
    return escape(_UNSHOWABLE.sub("\ufffd", str(text)), quote=True)


def attrs(**values: object) -> str:
    """` data-x="…"` for each value that is not None; underscores become dashes."""
    return "".join(f' {name.rstrip("_").replace("_", "-")}="{esc(v)}"' for name, v in values.items() if v is not None)


def icon(verdict: VerdictValue, extra: str = "") -> str:
    return f'<i class="ic {_ICON[verdict]} {extra}" role="img" aria-label="{_SAID[verdict]}"></i>'


def said(verdict: VerdictValue) -> str:
    return _SAID[verdict]


def button(label: str, act: str, key: str = "", kind: str = "", title: str = "", **data: object) -> str:
    """A button that sends `act` with its data-… to the server; `key` is its shortcut, shown beside it."""
    extra = attrs(title=title or None, **{f"data_{k}": v for k, v in data.items()})
    kbd = f" <kbd>{esc(key)}</kbd>" if key else ""
    return f'<button type="button" class="btn {kind}" data-act="{esc(act)}"{extra}>{esc(label)}{kbd}</button>'


def number(x: float | None) -> str:
    """Two digits without the leading zero: .42, 1, 0."""
    if x is None:
        return "–"
    if x in (0, 1):
        return str(int(x))
    return f"{min(0.99, x):.2f}".replace("0.", ".", 1)  # 1 is only for all of n


def interval(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return ""
    low, high = (f"{b:.2f}".replace("0.", ".", 1).replace("1.00", "1") for b in bounds)
    return f"{low}–{high}"


def shade(x: float | None) -> str:
    """The class of a value's colour: v0 only for 0, v8 only for 1, u where nothing was measured."""
    if x is None:
        return "u"
    if x <= 0 or x >= 1:
        return "v0" if x <= 0 else "v8"
    return f"v{1 + min(6, int(x * 7))}"


WILSON = "Wilson's 95 % interval: valid for a number of draws that was fixed, as where all steps have equally many"
ANY_TIME = (
    "95 % confidence sequence: the steps have different numbers of draws, so what was drawn may have decided how much "
    "is drawn. It stays valid however that was decided, and is wider than Wilson's, which does not"
)


def k_of_n(value: StepValue | None, sequential: bool = False) -> str:
    """`3/8 .14–.69`, or what stands in its place. sequential: see rows.StepRow."""
    if value is None or (value.n == 0 and value.terminal is None):
        return '<span class="none">–</span>'
    if value.terminal is not None:
        word = {"correct": "right", "wrong": "wrong", "unknown": "unclear"}[value.terminal]
        return f'<span class="end-word">{word}</span>'
    cut = f' title="{value.unfinished} of {value.n} were cut off by the token limit"' if value.unfinished else ""
    bounds, why = (value.any_time_interval(), ANY_TIME) if sequential else (value.interval(), WILSON)
    return (
        f'<span class="kn"{cut}><b>{value.k}</b><s>/</s>{value.n}</span>'
        f'<span class="ci{" any" if sequential else ""}" title="{esc(why)}">{interval(bounds)}</span>'
    )


def prose(text: str, tex: bool, equations: Iterable[EquationMark] = (), flat: bool = False) -> str:
    """A text as HTML: formulas marked for KaTeX, GSM8K's <<…>> set small, a check mark behind each equation.

    flat: displayed formulas stay in the line.
    """
    marks = sorted(equations, key=lambda m: m.end)
    out: list[str] = []
    for part in mathtext.parts(text, tex):
        here = [m for m in marks if part.start < m.end <= part.end]
        if part.kind == "text":
            at = part.start
            for mark in here:
                out += [_plain(text[at : mark.end], tex), _check(mark)]
                at = mark.end
            out.append(_plain(text[at : part.end], tex))
        else:
            source = esc(text[part.start : part.end])
            display = " data-d" if part.kind == "display" and not flat else ""
            out.append(f'<span class="tex" data-k="{part.delimiter}"{display}>{source}</span>')
            out += [_check(mark) for mark in here]
    return "".join(out)


def _plain(text: str, tex: bool) -> str:
    if tex:
        text = text.replace("\\$", "$").replace("\\%", "%")
    pieces = mathtext.calculator_notes(text)
    return "".join(f'<span class="ann">{esc(p)}</span>' if note else esc(p) for p, note in pieces)


def _check(mark: EquationMark) -> str:
    said = "this equation holds" if mark.holds else mark.reason or "this equation does not hold"
    return f'<i class="calc{"" if mark.holds else " no"}" role="img" title="{esc(said)}" aria-label="{esc(said)}"></i>'


def answer(text: str | None, tex: bool = False) -> str:
    """A final answer in a cell: typeset when it is TeX, short in any case."""
    if text is None:
        return '<span class="dim">none</span>'
    if tex and "\\" in text and len(text) <= 120 and "$" not in text:
        return f'<span class="tex" data-k="1">${esc(text)}$</span>'
    return esc(text if len(text) <= 80 else text[:79] + "…")


def shares(rows: tuple[AnswerShare, ...], picked: str = "", act: str = "", tex: bool = False, top: int = 5) -> str:
    """Bars of answers; with `act` a click picks one. More than `top` are summed up as "others"."""
    most = max((r.n for r in rows), default=1)
    shown = rows if len(rows) <= top + 1 else rows[:top]
    rest = rows[len(shown) :]
    if picked and all(r.key != picked for r in shown):
        shown += tuple(r for r in rest if r.key == picked)
    out = [_share(r, most, picked, act, tex) for r in shown]
    left = sum(r.n for r in rest if r not in shown)
    if left:
        label = f"{len([r for r in rest if r not in shown])} others"
        out.append(_bar("div", "", "<i></i>", label, left, most))
    return "".join(out)


def _share(row: AnswerShare, most: int, picked: str, act: str, tex: bool) -> str:
    mark = '<i class="ic cut" role="img" aria-label="unfinished"></i>' if row.unfinished else icon(row.verdict)
    label = (
        "cut off"
        if row.unfinished
        else answer(row.answer, tex)
        if row.answer is not None
        else '<span class="dim">none</span>'
    )
    css = ("right " if row.verdict == "correct" else "") + ("on" if picked and picked == row.key else "")
    if not act:
        return _bar("div", css, mark, label, row.n, most, row.answer or "")
    data = attrs(data_act=act, data_answer=row.key, aria_pressed="true" if "on" in css else "false", type="button")
    return _bar("button", css, mark, label, row.n, most, row.answer or "", data)


def _bar(tag: str, css: str, mark: str, label: str, n: int, most: int, title: str = "", data: str = "") -> str:
    width = max(1, round(100 * n / most))
    hover = f' title="{esc(title)}"' if len(title) > 7 else ""
    return (
        f'<{tag} class="clu {css.strip()}"{data}{hover}>{mark}<span class="ans">{label}</span>'
        f'<span class="bar"><i style="width:{width}%"></i></span><span class="num">{n}</span></{tag}>'
    )
