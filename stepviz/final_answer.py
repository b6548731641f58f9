"""Where a chain states its final answer. One finder, so that the answer line and the extracted answer agree.

Statements, by rank; within a rank the last one in the text counts:
1. `#### N` (GSM8K), a last line `A: N` (GSM8K's sample solutions), `\\boxed{…}` (MATH); boxes joined by
   "and" or commas are one answer
2. "the answer is N", "Final answer: N", "Answer: N"
3. a last line that is nothing but a number with its unit (stepverify)

Every scan is linear in the text, whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stepviz.numbers import altering_word, closing_brace, doubted, read_number, strip_wrapping

How = Literal["####", "A:", "boxed", "answer is", "last line"]
MAX_ANSWER = 2_000  # characters; more than that after a marker is no final answer
TAIL = 200_000  # characters of the text's end that are searched

_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)$", re.M)
_A_LINE = re.compile(r"[ \t]*A:[ \t]*(\S[^\n]{0,80})")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_ANSWER_IS = re.compile(
    r"(?:\b(?:final|correct|right|the|our|my)\s{1,3}){0,3}(?:\b(?:answer|ans)\b|答案)[* \t]{0,6}"
    r"(?:(?:is|:|=|：|是|为|would be|will be|should be|choice|option|are)[* \t]{0,6}){1,4}"
    r"(?P<filler>(?:(?:therefore|thus|hence|then|simply|just|clearly|indeed|actually|now|equal to|given by|as follows"
    r"|(?:shown |given )?below|the following)(?![A-Za-z-])[,:* \t]{0,6}(?=[^.;!?,]|\n)){1,3})?"
    r"(?P<gap>\n[ \t]{0,6}(?:\n[ \t]{0,6}){0,2})?(?=\S)",
    re.I,
)
_BULLET = re.compile(r"(?:[-*•>]|\*\*)\s*(?=\S)")
_DISPLAY = re.compile(r"\\\[(.{1,500}?)\\\]|\$\$(.{1,500}?)\$\$", re.S)
_JOIN = re.compile(r"(?:[\s,;$\\()\[\]&~]|and|or|quad|qquad|text|[{}])*|\s*[a-z]{1,12}\s+(?:and|or)\s+")
_CUT = re.compile(r"[.;!?](?=\s+[A-Z\"'(*$\\]|\s*$)|\s+(?:because|since|which|so|as)\s|\s+I hope it is correct")
_LEADING = re.compile(r"[-−+$€£]*[0-9](?:[0-9,]*[0-9])?(?:\.[0-9]+)?(?:\s*/\s*[0-9]+)?\s*(?:\\?%|percent\b)?")

# another number that belongs to the answer: "5 or 6", "3 hours 20 minutes", "7 apples + 3 pears"; not "18 for 9 eggs"
_MORE = re.compile(
    r"(?:\s+(?!because|since|for|of|in|per|at|from|by|on|with|every|each|when|if|as)[A-Za-z]+){0,3}?"
    r"(?:\s*(?:,|,?\s*\b(?:and|or|to|plus|minus)\b|[-+=*/×–])|(?<=[A-Za-z]))\s*[$€£]?[0-9]"
)
_FORMULA = re.compile(r"\$(?!\s)([^$\n]{1,500}?)(?<!\s)\$(?![0-9])|\\\((.{1,500}?)\\\)|\\\[(.{1,500}?)\\\]", re.S)
_ANY_NUMBER = re.compile(
    r"\\[dt]?frac\{[0-9]{1,9}\}\{[0-9]{1,9}\}|(?<![0-9A-Za-z.,/])[-−]?[$€£]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
    r"(?:\.[0-9]+)?(?:\s*/\s*[0-9]+)?(?:\s*\\?%)?(?![0-9])(?:\s*[ap]\.?m\b\.?)?"
)
_ALTERED_BEFORE = re.compile(
    r"\b(?:negative|minus|than|least|most|over|under|below|above|beyond|up to|nearly|almost|twice|double|triple"
    r"|(?:half|third|quarter|root|square|cube) of)\s+$|(?:[<>≤≥≠]|\\(?:[lgn]eq?|[lg]t|[lg]eqslant|neq))\s*$",
    re.I,
)
_ALTERED_AFTER = re.compile(r"\s*(?:[+‰‱±…]|\.\.|\\[lc]?dots|\\pm)")


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The statement's place [start, end) in the text and the answer in it, as written but unframed."""

    start: int
    end: int
    text: str
    how: How


def find(text: str, how: tuple[How, ...] | None = None) -> FinalAnswer | None:
    """The final answer the text states; None if it states none (cut off, or in prose only).

    `how` restricts the search to some kinds of statement.
    """
    offset = max(0, len(text) - TAIL)
    tail = text[offset:]
    found = _latest(tail, (_hashes, _a_line, _boxes), how)
    if found is None:
        found = _latest(tail, (_answer_is,), how) or _latest(tail, (_last_line,), how)
    if found is None or not found.text or len(found.text) > MAX_ANSWER:
        return None
    return FinalAnswer(found.start + offset, found.end + offset, found.text, found.how)


def complete(text: str) -> str:
    """What of a text that the token limit cut off states an answer: all up to its last complete statement, else ''.

    A statement is complete where its line has ended, or, in the line that was cut, where more text follows its sentence
    or its box: "The answer is 12 +" may go on to another number. A bare number on a last line is none, for the text
    would have gone on.
    """
    tail = text[-TAIL:]
    end = tail.rfind("\n") + 1
    if box := _boxes(tail):
        following = re.sub(r"(?<!\S)\S+\Z", "", tail[box.end :])  # the last word may be half a word
        end = max(end, 0 if _JOIN.fullmatch(following) else box.end)
    near, more = max(end, len(tail) - MAX_ANSWER), len(tail.rstrip())
    end = max([end, *(cut.end() for cut in _CUT.finditer(tail, near) if cut.end() < more)])
    found = _latest(tail[:end], (_hashes, _a_line, _boxes), None) or _answer_is(tail[:end])
    return text[: len(text) - len(tail) + found.end] if found else ""


def _latest(
    text: str, finders: tuple[Callable[[str], FinalAnswer | None], ...], how: tuple[How, ...] | None
) -> FinalAnswer | None:
    found = [f for finder in finders if (f := finder(text)) and (how is None or f.how in how)]
    return max(found, key=lambda f: f.end, default=None)


def _hashes(text: str) -> FinalAnswer | None:
    """`#### N`; a Markdown heading of level four is not one, unless it is the last line."""
    end = len(text.rstrip())
    for match in reversed(list(_HASHES.finditer(text))):
        content = match[1].strip()
        last = match.end() >= end and not re.match(r"step\b", content, re.I)
        if last or read_number(content) is not None or content.startswith("\\boxed"):
            return FinalAnswer(match.start(), match.end(), _unbox(content), "####")
    return None


def _last_line_span(text: str) -> tuple[int, int]:
    end = len(text.rstrip())
    return text.rfind("\n", 0, end) + 1, end


def _a_line(text: str) -> FinalAnswer | None:
    start, end = _last_line_span(text)
    match = _A_LINE.fullmatch(text, start, end)
    return FinalAnswer(start, end, _unbox(match[1]), "A:") if match else None


def _boxes(text: str) -> FinalAnswer | None:
    """The last box with balanced braces, and the boxes before it that only "and" or a comma separates from it."""
    boxes: list[tuple[int, int, str]] = []
    position = 0
    while match := _BOX.search(text, position):
        close = closing_brace(text, match.end() - 1)
        if close is None:
            break  # everything to the end lies inside an unclosed brace
        boxes.append((match.start(), close + 1, text[match.end() : close].strip()))
        position = close + 1
    if not boxes:
        return None
    first = len(boxes) - 1
    while first > 0 and _joined(text[boxes[first - 1][1] : boxes[first][0]]):
        first -= 1
    group = boxes[first:]
    answer = _unbox(group[0][2]) if len(group) == 1 else ", ".join(_unbox(content) for _, _, content in group)
    return FinalAnswer(group[0][0], group[-1][1], answer, "boxed")


def _joined(between: str) -> bool:
    return len(between) <= 30 and "\n\n" not in between and _JOIN.fullmatch(between) is not None


def _unbox(content: str) -> str:
    """`content` without frames; a box inside it is the answer."""
    content = strip_wrapping(content)
    if box := _BOX.search(content):
        close = closing_brace(content, box.end() - 1)
        if close is not None:
            return strip_wrapping(content[box.end() : close])
    return content


def _answer_is(text: str) -> FinalAnswer | None:
    match = None
    for found in _ANSWER_IS.finditer(text):
        far = found["gap"] is not None and (found["filler"] is not None or found["gap"].count("\n") > 1)
        match = found if not far or _alone(text, found.end()) else match  # the last one counts
    if match is None:
        return None
    display = _DISPLAY.match(text, match.end())
    end = _line_end(text, display.end() if display else match.end())
    if display:
        return FinalAnswer(match.start(), end, _unbox(display[1] or display[2]), "answer is")
    line = text[match.end() : min(end, match.end() + MAX_ANSWER)]
    if match["gap"] and (match["filler"] or match["gap"].count("\n") > 1):
        line = _BULLET.sub("", line, count=1)
    cut = _CUT.search(line)
    content = line[: cut.start()] if cut else line
    return FinalAnswer(match.start(), end, _core(content), "answer is")


def _line_end(text: str, start: int) -> int:
    newline = text.find("\n", start)
    return len(text) if newline < 0 else newline


def _alone(text: str, start: int) -> bool:
    """Whether the line at `start` is an answer and nothing else: a number, a formula; not a list's first step."""
    if _DISPLAY.match(text, start):
        return True
    line = _BULLET.sub("", text[start : min(_line_end(text, start), start + MAX_ANSWER)], count=1).strip().strip("*")
    formula = _FORMULA.match(line)
    return (formula is not None and len(line) - formula.end() <= 1) or read_number(line) is not None


def _core(content: str) -> str:
    """From "$x = 5$ metres for the rope" what a reader would copy out: the mathematics or number it starts with."""
    content = _unbox(content.strip(" *\t"))
    if formula := _FORMULA.match(content):
        return _unbox(next(part for part in formula.groups() if part))
    if read_number(content) is not None:
        return content
    leading = _LEADING.match(content)
    if doubted(content):
        return content
    if leading and (altering_word(content[leading.end() :]) or _MORE.match(content, len(leading.group().rstrip()))):
        return content
    if leading and re.match(r"\s*(?:[A-Za-z(,]|$)", content[leading.end() :]) and " " in content:
        return strip_wrapping(leading.group())
    return only_number(content) or content


def is_prose(text: str) -> bool:
    """Whether `text` is a sentence rather than an answer: several words, no mathematics set off by dollars or \\(."""
    if re.search(r"\$[^$\n]+\$|\\\(|\\\[", text):
        return False
    bare = re.sub(r"\\[a-zA-Z]+\s*(?:\{[^{}]*\})?", " ", text)
    words = re.findall(r"[^\W\d_]{2,}", bare)
    return len(words) >= 4 or any(len(w) >= 4 and ord(max(w)) > 0x2E80 for w in words)


def only_number(text: str) -> str | None:
    """The number of a sentence that holds exactly one, neither denied nor altered, or what its last "=" gives.

    >>> only_number("Jane planted them 3 hours ago")
    '3'
    """
    if not is_prose(text) or re.search(r"\b(?:not|no|never|cannot)\b|n't\b|不是", text, re.I):
        return None
    result = text.rpartition("=")[2].strip()
    if "=" in text and read_number(result) is not None:
        return result
    numbers = list(_ANY_NUMBER.finditer(text))
    if len(numbers) != 1 or read_number(numbers[0].group()) is None:
        return None
    before = text[max(0, numbers[0].start() - 20) : numbers[0].start()]
    after = text[numbers[0].end() :]
    altered = _ALTERED_BEFORE.search(before) or altering_word(after) or _ALTERED_AFTER.match(after)
    return None if altered else numbers[0].group()


def last_sentence(text: str) -> str:
    """The last sentence of a text that marks no answer, without chat templates' tokens and bold marks."""
    text = re.sub(r"<\|[a-z_]{1,20}\|>\w{0,10}", "", text[-MAX_ANSWER:])
    text = re.sub(r"(?<![\w)*])\*\*([^*\n]{1,200})\*\*", r"\1", text).rstrip(" \t\r\n.。!")
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])|\s+(?=(?:Therefore|Thus|Hence|So)\b|因此|所以)|[。\n]", text)[-1].strip()


def _last_line(text: str) -> FinalAnswer | None:
    start, end = _last_line_span(text)
    line = text[start:end].strip()
    if len(line) <= 40 and re.match(r"[-−+$€£(\\.0-9]", line) and read_number(line) is not None:
        return FinalAnswer(start, end, strip_wrapping(line), "last line")
    return None
