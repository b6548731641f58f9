r"""Which parts of a text are mathematics to typeset, and which dollars are money.

`$$…$$`, `\[…\]`, `\(…\)` and `\begin{align}…` always count. A single `$` counts only where the text or its
context (the question, the whole chain) has a TeX command, the closing `$` is not followed by a digit (that is
the price of the next thing), and what lies between is no prose. GSM8K has no TeX command, so none of its
dollars is ever taken for mathematics.

Everything here is linear in the text, whatever the text is: a page must open though a model wrote a megabyte of `\(`.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Kind = Literal["text", "inline", "display"]

_COMMAND = re.compile(r"\\(?:[a-zA-Z]{2,}|[()\[\],;!])")
_ENVIRONMENT = r"(?:align|aligned|equation|gather|cases|array|[pbvBV]?matrix|eqnarray|multline|split)\*?"
_END = re.compile(rf"\\end\{{({_ENVIRONMENT})\}}")
_BOX = re.compile(r"\\boxed\{")
_BRACE = re.compile(r"[{}]")
_DOLLAR = re.compile(r"(?<!\\)\$")
_TEXT_IN_MATH = re.compile(
    r"\\(?:text|textbf|textit|textrm|mbox|mathrm|operatorname|begin|end|boldsymbol)\s*\*?\{[^{}]*\}"
)
_NAME = re.compile(r"\\[a-zA-Z]+")
_PROSE = re.compile(
    r"(?<![A-Za-z])[A-Za-z]{2,}+[,.;:]?\s++(?:[A-Za-z]\s++)?[A-Za-z]{3}"
    r"|(?<![A-Za-z])[A-Za-z]{3,}+[,.;:]?\s++[A-Za-z]{2}|[.?!]\s++[A-Z]"
    r"|\s(?:and|or|the|is|are|to|for|per|each|with|then|at|she|he)\s"
)
_NOTE = re.compile(r"<<[^<>\n]{1,200}>>")
_NOTE_LONGEST = 204
_LONGEST = 2000  # characters; longer "formulas" are texts with two stray dollars


class Part(NamedTuple):
    """A piece of the text, [start, end). `delimiter` counts the characters to strip at each side of a formula."""

    start: int
    end: int
    kind: Kind
    delimiter: int = 0


def has_tex(*texts: str | None) -> bool:
    """Whether any of the texts contains a TeX command: the licence for reading single dollars as mathematics."""
    return any(t is not None and _COMMAND.search(t) is not None for t in texts)


def parts(text: str, tex: bool) -> list[Part]:
    """Cut `text` into prose and formulas, without a gap. `tex`: the context has a TeX command (see has_tex)."""
    dollars = [m.start() for m in _DOLLAR.finditer(text)]
    formulas = _explicit(text, dollars)
    if tex:
        formulas = sorted(formulas + _single_dollars(text, dollars, formulas), key=lambda p: p.start)
    out, at = [], 0
    for formula in formulas:
        if formula.start > at:
            out.append(Part(at, formula.start, "text"))
        out.append(formula)
        at = formula.end
    if at < len(text):
        out.append(Part(at, len(text), "text"))
    return out


_Find = Callable[[int], Part | None]  # the first formula of one kind that starts there or later


def _explicit(text: str, dollars: Sequence[int]) -> list[Part]:
    """The formulas that need no licence; of two that overlap, the one that starts first."""
    finders = _finders(text, dollars)
    queue = [(part.start, k, part) for k, find in enumerate(finders) if (part := find(0))]
    heapq.heapify(queue)
    found, at = [], 0
    while queue:
        start, k, part = queue[0]
        if start >= at:
            found.append(part)
            at = part.end
        if following := finders[k](at):
            heapq.heapreplace(queue, (following.start, k, following))
        else:
            heapq.heappop(queue)
    return found


def _finders(text: str, dollars: Sequence[int]) -> list[_Find]:
    """One for each kind of delimiter that has a chance in this text."""

    def between(opener: str, closer: str, kind: Kind, delimiter: int, in_dollars: bool = True) -> _Find:
        pattern = re.compile(opener, re.DOTALL)

        def find(at: int) -> Part | None:
            while match := pattern.search(text, at):
                close = text.find(closer, match.end())
                if close < 0:
                    return None
                start, end = match.start(), close + len(closer)
                if end - start <= _LONGEST and (in_dollars or not _odd(dollars, start)):
                    return Part(start, end, kind, delimiter)
                at = max(start + 1, end - _LONGEST)  # all that open before are closed by the same one, too far away
            return None

        return find

    names = {m[1] for m in _END.finditer(text)}
    return [
        between(r"(?<!\\)\$\$.", "$$", "display", 2),
        between(r"\\\[.", r"\]", "display", 2),
        between(r"\\\(.", r"\)", "inline", 2),
        *(between(rf"\\begin\{{{re.escape(n)}\}}", rf"\end{{{n}}}", "display", 0, in_dollars=False) for n in names),
        *([_boxes(text, dollars)] if _BOX.search(text) else []),
    ]


def _boxes(text: str, dollars: Sequence[int]) -> _Find:
    closing: dict[int, int] = {}  # index after an opening brace -> index after the brace that closes it
    opened: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.end())
        elif opened:
            closing[opened.pop()] = brace.end()

    def find(at: int) -> Part | None:
        for match in _BOX.finditer(text, at):
            end = closing.get(match.end())
            if end and end - match.start() <= _LONGEST and not _odd(dollars, match.start()):
                return Part(match.start(), end, "inline")
        return None

    return find


def _odd(dollars: Sequence[int], at: int) -> bool:
    """Whether an odd number of single dollars lies before: the command then belongs to their formula."""
    return bisect_left(dollars, at) % 2 == 1


def _single_dollars(text: str, dollars: Sequence[int], taken: Sequence[Part]) -> list[Part]:
    """`taken` in order. A pair of neighbouring dollars outside of it, with none of it between them."""
    found, before, next_taken = [], -1, 0
    for mark in dollars:
        passed = next_taken
        while next_taken < len(taken) and taken[next_taken].end <= mark:
            next_taken += 1
        if next_taken < len(taken) and taken[next_taken].start <= mark:
            continue
        if before >= 0 and next_taken == passed and _is_formula(text, before, mark + 1):
            found.append(Part(before, mark + 1, "inline", 1))
            before = -1
        else:
            before = mark
    return found


def _is_formula(text: str, start: int, end: int) -> bool:
    if not 2 < end - start <= _LONGEST + 2:
        return False
    content = text[start + 1 : end - 1]
    if not content.strip() or "\n\n" in content:
        return False
    if end < len(text) and text[end].isdigit():
        return False
    if content[0].isdigit() and content[-1].isspace():  # "$5 and $": the second opens another price
        return False
    if "\\" in content:
        content = _NAME.sub(" ", _TEXT_IN_MATH.sub(" ", content))
    return _PROSE.search(content) is None


def calculator_notes(text: str) -> list[tuple[str, bool]]:
    """Cut at GSM8K's calculator notes `<<48/2=24>>`: pieces with whether they are such a note."""
    out, at = [], 0
    for match in _NOTE.finditer(text):
        if match.start() > at:
            out.append((text[at : match.start()], False))
        out.append((match[0], True))
        at = match.end()
    if at < len(text):
        out.append((text[at:], False))
    return out


def note_around(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The calculator note that [start, end) lies in."""
    near = _NOTE.finditer(text, max(0, end - _NOTE_LONGEST), start + _NOTE_LONGEST)
    return next((m.span() for m in near if m.start() <= start and end <= m.end()), None)
