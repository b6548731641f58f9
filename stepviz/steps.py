"""Text ↔ steps, lossless: steps are spans into the text, only white space lies between them.

Rules (`RULES`); the rule and its version are stored with a chain:
- line      every newline ends a step (GLoRe, Self-Explore; GSM8K, the embedded world). Literal: a display formula
            written over several lines is several steps, as in the papers
- blank     blank lines separate steps (ProcessBench, Qwen's models); display mathematics and code are not cut
- numbered  "Step 3:", "## Step 3", "3." begin a step, which goes on until the next; what stands before is one step
- sentence  sentence ends and newlines; decimals, abbreviations, inline and display mathematics are not cut

The final answer is a step of kind "answer" (see `final_answer.find`): a line that is only that is split off under
every rule, and what follows the statement without a figure ("I hope it is correct.") belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from stepviz import final_answer
from stepviz.errors import StepvizError
from stepviz.types import Span, digest

RULES: tuple[str, ...] = ("line", "blank", "numbered", "sentence")
VERSION = 1

_OPENERS = (("```", "```"), ("\\[", "\\]"), ("$$", "$$"))
_BEGIN = re.compile(r"\\begin\{([A-Za-z]{1,20}\*?)\}")
_INLINE = re.compile(r"\\\((?:[^\\\n]|\\(?![()]))*\\\)|(?<![\\$0-9])\$(?![\s$])[^$\n]*(?<![\s\\])\$(?![0-9$])")
_STEP_HEAD = re.compile(r"^[ \t]{0,12}(?:#{1,6}[ \t]{0,4})?(?:\*\*)?[ \t]{0,4}step[ \t]{0,4}[0-9]{1,3}\b", re.I | re.M)
_ITEM_HEAD = re.compile(r"^[ \t]{0,3}(?:#{1,6}[ \t]{0,4})?(?:\*\*)?[ \t]{0,4}[0-9]{1,3}[.)](?=[ \t*])", re.M)
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]*]*(?=\s)|\n")
_ABBREVIATED = (
    "mr mrs ms dr st vs e.g i.e eg ie approx no nos fig eq eqs prof jr sr etc u.s u.k a.m p.m oz lb lbs ft min mins hr"
    " hrs sec avg cf al dept est inc ltd co mt sq wt vol pg pp ch ref jan feb mar apr jun jul aug sep sept oct nov dec"
)
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_MAY_END = frozenset(
    ("a.m", "p.m", "etc", "oz", "lb", "lbs", "ft", "min", "mins", "hr", "hrs", "sec")
)  # before a capital


def rule_id(rule: str) -> str:
    """The rule with its version, as a chain stores it: "line/1"."""
    if rule not in RULES:
        raise StepvizError(f"Unknown segmentation rule {rule!r}: choose one of {', '.join(RULES)}.")
    return f"{rule}/{VERSION}"


def segment(text: str, rule: str = "line", answer_kind: bool = True, cut_off: bool = False) -> tuple[Span, ...]:
    """The steps of `text`: ordered spans without white space at their ends, and nothing but white space outside.

    `answer_kind=False` neither marks nor splits off the final answer; `cut_off` says that the token limit ended the
    text: only a statement that is complete is an answer then (`final_answer.complete`).
    """
    rule_id(rule)
    cuts = {"line": _line_cuts, "blank": _blank_cuts, "numbered": _numbered_cuts, "sentence": _sentence_cuts}[rule](
        text
    )
    stated = final_answer.complete(text) if cut_off else text
    found = final_answer.find(stated) if answer_kind else None
    if found and rule != "line":
        cuts = sorted({*cuts, *_answer_cuts(text, found)})
    spans = _trimmed(text, [0, *cuts, len(text)])
    return mark_answer(text, spans, found) if found else spans


def join(parts: Sequence[str], joiner: str, answer_kind: bool = True) -> tuple[str, tuple[Span, ...]]:
    """One text from steps that a source gives apart, with the spans that give them back exactly, white space included.

    >>> text, spans = join(["a\\nb ", "c"], "\\n\\n")
    >>> [text[s.start : s.end] for s in spans]
    ['a\\nb ', 'c']
    """
    if joiner.strip():
        raise StepvizError(f"Steps can be joined by white space only, not by {joiner!r}.")
    spans, position = [], 0
    for part in parts:
        spans.append(Span(position, position + len(part)))
        position += len(part) + len(joiner)
    text = joiner.join(parts)
    found = final_answer.find(text) if answer_kind else None
    return text, mark_answer(text, tuple(spans), found) if found else tuple(spans)


def merge(spans: Sequence[Span], i: int) -> tuple[Span, ...]:
    """Steps i and i+1 (1-based) as one step; it is the answer if either was."""
    if not 1 <= i < len(spans):
        raise StepvizError(f"There is no step after step {i} to merge it with: the chain has {len(spans)} steps.")
    first, second = spans[i - 1], spans[i]
    kind = "answer" if "answer" in (first.kind, second.kind) else "step"
    return (*spans[: i - 1], Span(first.start, second.end, kind), *spans[i + 1 :])


def split(text: str, spans: Sequence[Span], i: int, offset: int) -> tuple[Span, ...]:
    """Step i (1-based) as two, cut `offset` characters into it; white space at the cut goes between them.

    Of an answer step only the second part stays the answer.
    """
    if not 1 <= i <= len(spans):
        raise StepvizError(f"There is no step {i}: the chain has {len(spans)} steps.")
    span = spans[i - 1]
    if not 0 < offset < span.end - span.start:
        raise StepvizError(f"Step {i} has {span.end - span.start} characters: it cannot be cut at {offset}.")
    left, right = text[span.start : span.start + offset].rstrip(), text[span.start + offset : span.end].lstrip()
    if not left.strip() or not right.strip():
        raise StepvizError(f"Cutting step {i} at {offset} would leave an empty step.")
    head = Span(span.start, span.start + len(left))
    return (*spans[: i - 1], head, replace(span, start=span.end - len(right)), *spans[i:])


def cut_id(spans: Sequence[Span]) -> str:
    """Eight hex digits that name how a chain is cut: a page sends them with what it wants done to a step on show."""
    return digest("cut", *(f"{span.start}-{span.end}" for span in spans))[:8]


def mark_answer(text: str, spans: tuple[Span, ...], found: final_answer.FinalAnswer) -> tuple[Span, ...]:
    """The spans with kind "answer" from the one that states the answer on, if no reasoning follows it.

    Reasoning is anything with a figure in it; a marked line ("####", "A:") ends the reasoning in any case.
    """
    index = next((k for k, s in enumerate(spans) if s.end >= found.end), None)
    if index is None:
        return spans
    tail = text[max(found.end, spans[index].start) :]
    if found.how not in ("####", "A:") and re.search(r"[0-9]", text[spans[index].end :] if tail else ""):
        return spans
    return tuple(replace(s, kind="answer") if k >= index else s for k, s in enumerate(spans))


def _trimmed(text: str, borders: Sequence[int]) -> tuple[Span, ...]:
    """Spans between neighbouring borders without the white space at their ends; empty ones are dropped."""
    spans = []
    for start, end in pairwise(borders):
        piece = text[start:end]
        if stripped := piece.strip():
            start += len(piece) - len(piece.lstrip())
            spans.append(Span(start, start + len(stripped)))
    return tuple(spans)


def _line_cuts(text: str) -> list[int]:
    return [m.end() for m in re.finditer(r"\r\n|\n|\r", text)]


def _blank_cuts(text: str) -> list[int]:
    blocks = _Blocks(text)
    return [m.end() for m in re.finditer(r"\n(?:[ \t\r\f\v]*\n)+", text) if m.start() not in blocks]


def _numbered_cuts(text: str) -> list[int]:
    heads = list(_STEP_HEAD.finditer(text)) or list(_ITEM_HEAD.finditer(text))
    return [m.start() for m in heads]


def _sentence_cuts(text: str) -> list[int]:
    blocks, inline = _Blocks(text), _Blocks.of([m.span() for m in _INLINE.finditer(text)])
    cuts = []
    for match in _SENTENCE_END.finditer(text):
        if match.start() in blocks or match.start() in inline:
            continue
        if match.group().startswith(".") and not _ends_sentence(text, match):
            continue
        cuts.append(match.end())
    return cuts


def _ends_sentence(text: str, stop: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence: not after "Mr", "J", "e.g", nor after a "2." that counts."""
    word = re.search(r"[^\s(\"]*$", text[max(0, stop.start() - 20) : stop.start()])
    before = word.group().lower() if word else ""
    if before in _ABBREVIATIONS or re.fullmatch(r"[b-hj-z]", before):
        following = text[stop.end() : stop.end() + 40].lstrip()
        return (
            before in ("a.m", "p.m", "etc", "oz", "lb", "lbs", "ft", "min", "mins", "hr", "hrs", "sec")
            and following[:1].isupper()
        )
    head = text[max(0, stop.start() - 12) : stop.start()]
    return re.search(r"(?:^|\n)[ \t*#]*[0-9]{1,3}$", head if len(head) == 12 else "\n" + head) is None


def _answer_cuts(text: str, found: final_answer.FinalAnswer) -> list[int]:
    """Cuts around the line with the answer where that line is nothing but its statement."""
    start = text.rfind("\n", 0, found.start) + 1
    end = text.find("\n", found.end)
    end = len(text) if end < 0 else end
    alone = not text[start : found.start].strip(" \t*#>-$\\([") and len(text[found.end : end].strip()) <= 3
    return [start, end] if alone else []


class _Blocks:
    """Stretches of text that are not cut: code fences, display mathematics, environments. Linear to find."""

    def __init__(self, text: str) -> None:
        self.spans = self._find(text)
        self._next = 0

    @classmethod
    def of(cls, spans: list[tuple[int, int]]) -> _Blocks:
        blocks = cls("")
        blocks.spans = spans
        return blocks

    def __contains__(self, position: int) -> bool:
        """Positions must be asked in ascending order."""
        while self._next < len(self.spans) and self.spans[self._next][1] <= position:
            self._next += 1
        return self._next < len(self.spans) and self.spans[self._next][0] <= position

    @staticmethod
    def _find(text: str) -> list[tuple[int, int]]:
        spans, position = [], 0
        opener = re.compile("|".join([*(re.escape(o) for o, _ in _OPENERS), _BEGIN.pattern]))
        closers, unclosed = dict(_OPENERS), set[str]()
        while match := opener.search(text, position):
            position = match.end()
            closer = closers.get(match.group()) or f"\\end{{{match[1]}}}"
            if closer in unclosed:
                continue
            end = text.find(closer, position)
            if end < 0:
                unclosed.add(closer)
                continue
            position = end + len(closer)
            spans.append((match.start(), position))
        return spans
