r"""Which parts of a text are mathematics to typeset, and which dollars are money.

`$$…$$`, `\[…\]`, `\(…\)` and `\begin{align}…` always count. A single `$` counts only where the text or its
context (the question, the whole chain) has a TeX command, the closing `$` is not followed by a digit (that is
the price of the next thing), and what lies between is no prose. GSM8K has no TeX command, so none of its
dollars is ever taken for mathematics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "inline", "display"]

_COMMAND = re.compile(r"\\(?:[a-zA-Z]{2,}|[()\[\],;!])")
_ENVIRONMENT = r"(?:align|aligned|equation|gather|cases|array|[pbvBV]?matrix|eqnarray|multline|split)\*?"
_DISPLAY = re.compile(
    rf"(?<!\\)\$\$(?P<dollars>.+?)\$\$|\\\[(?P<bracket>.+?)\\\]|\\\((?P<paren>.+?)\\\)"
    rf"|\\begin\{{(?P<env>{_ENVIRONMENT})\}}.*?\\end\{{(?P=env)\}}|(?P<boxed>\\boxed\{{)",
    re.DOTALL,
)
_DOLLAR = re.compile(r"(?<!\\)\$")
_TEXT_IN_MATH = re.compile(
    r"\\(?:text|textbf|textit|textrm|mbox|mathrm|operatorname|begin|end|boldsymbol)\s*\*?\{[^{}]*\}"
)
_NAME = re.compile(r"\\[a-zA-Z]+")
_PROSE = re.compile(
    r"[A-Za-z]{2,}[,.;:]?\s+(?:[A-Za-z]\s+)?[A-Za-z]{3,}|[A-Za-z]{3,}[,.;:]?\s+[A-Za-z]{2,}|[.?!]\s+[A-Z]"
    r"|\s(?:and|or|the|is|are|to|for|per|each|with|then|at|she|he)\s"
)
_NOTE = re.compile(r"<<[^<>\n]{1,200}>>")
_LONGEST = 2000  # characters; longer "formulas" are texts with two stray dollars


@dataclass(frozen=True, slots=True)
class Part:
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
    formulas = _explicit(text)
    if tex:
        formulas = sorted(formulas + _single_dollars(text, formulas), key=lambda p: p.start)
    out, at = [], 0
    for formula in formulas:
        if formula.start > at:
            out.append(Part(at, formula.start, "text"))
        out.append(formula)
        at = formula.end
    if at < len(text):
        out.append(Part(at, len(text), "text"))
    return out


def _explicit(text: str) -> list[Part]:
    found, at = [], 0
    while match := _DISPLAY.search(text, at):
        start, end = match.span()
        if match["boxed"]:
            end = _closing_brace(text, end)
            part = Part(start, end, "inline") if end and not _inside_dollars(text, start) else None
        elif match["env"]:
            part = Part(start, end, "display") if not _inside_dollars(text, start) else None
        else:
            part = Part(start, end, "inline" if match["paren"] else "display", 2)
        if part and part.end - part.start <= _LONGEST:
            found.append(part)
            at = part.end
        else:
            at = start + 1
    return found


def _closing_brace(text: str, start: int) -> int:
    """Index after the brace that closes the one before `start`; 0 where there is none."""
    depth = 1
    for i in range(start, min(len(text), start + _LONGEST)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return 0


def _inside_dollars(text: str, at: int) -> bool:
    """Whether an odd number of single dollars lies before: the command then belongs to their formula."""
    return len(_DOLLAR.findall(text, 0, at)) % 2 == 1


def _single_dollars(text: str, taken: list[Part]) -> list[Part]:
    marks = [m.start() for m in _DOLLAR.finditer(text) if not any(p.start <= m.start() < p.end for p in taken)]
    found, i = [], 0
    while i + 1 < len(marks):
        start, end = marks[i], marks[i + 1] + 1
        if _is_formula(text, start, end) and not any(start < p.start < end for p in taken):
            found.append(Part(start, end, "inline", 1))
            i += 2
        else:
            i += 1
    return found


def _is_formula(text: str, start: int, end: int) -> bool:
    content = text[start + 1 : end - 1]
    if not content.strip() or len(content) > _LONGEST or "\n\n" in content:
        return False
    if end < len(text) and text[end].isdigit():
        return False
    if content[0].isdigit() and content[-1].isspace():  # "$5 and $": the second opens another price
        return False
    return _PROSE.search(_NAME.sub(" ", _TEXT_IN_MATH.sub(" ", content))) is None


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
    return next((m.span() for m in _NOTE.finditer(text) if m.start() <= start and end <= m.end()), None)
