"""Final answers: read one out of a chain, compare two, say why.

A comparison goes down a ladder and stops at the first rung that settles it; every rung gives a reason a user
understands, and the verdict is "equal", "different" or "unknown" (cannot judge):
1. refusals: nothing there, NaN, text too long to be an answer
2. the same text up to spelling (spaces, \\dfrac, \\left, case of words)
3. two times of day; two numbers: exact fractions (`numbers.py`), never floats; beside a number also what says one in
   other ways: "twelve", "5k", "3 hours 20 minutes" (`readings.py`); policies below
4. choices (A-E) and plain words (`plain_answers.py`)
5. math-verify in a worker process that can be killed (`grader_pool.py`), behind filters of length, nesting and
   exponent; of a side with words in it, or an angle in degrees, which it does not read, its "different" is not
   believed, nor its "equal" where it reads past a mark that only one side has ("> 5", "5 + tax", "5 (or 6)")

Policies for numbers (3):
- a unit on one side only is ignored; known measures are converted (2 hours = 120 minutes); other units are ignored,
  but a word that makes another number of it ("4 squared", "10 below zero", "5 more") cannot be judged
- a measure and a bare number that it is in another unit (120 minutes and 2, $0.50 and 50) cannot be judged
- a percent sign on one side only is read as a unit or as a hundredth: 40 % equals 40 and 0.4
- equality is exact, but for a decimal written with six or more decimals, which equals what it is the rounding or
  truncation of (0.333333 = 1/3; 0.33 is not), and for twelve or more digits, which may carry a float's noise
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from stepviz import final_answer
from stepviz.errors import StepvizError
from stepviz.grader_pool import PATIENCE, UNSETTLED_SECONDS, GraderPool, Memory, math_verify, remembered
from stepviz.hostile import refusal
from stepviz.numbers import Number, altered, doubted, read_number, strip_wrapping
from stepviz.plain_answers import choice, in_latex, left_out, same_choice, same_words, short, worded
from stepviz.quantities import Equality, same_quantity, same_time
from stepviz.readings import read
from stepviz.types import Verdict, VerdictValue

GRADER = "stepviz/2"  # raised with whatever changes a verdict: `python -m stepviz regrade` looks for older ones
RULES: tuple[str, ...] = ("auto", "gsm8k", "boxed", "last-number", "choice")
LONG = 300  # characters; a side without a marked answer that is longer is read for its last sentence only
CLUSTER_SECONDS = 2.0  # by the clock, of math-verify for one clustering: a page waits for it
LEFT_OVER_SECONDS = 60.0  # until a clustering that ran out of time is tried again
MAX_CHARS = 20_000  # a gold or an answer may come with its reasoning, which is searched for the answer

_GOES_ON = re.compile(r"\.[0-9]+\s?(?:\.{2,}|…|\\l?dots)[\s$)]*$")
_RANGE = re.compile(r"[0-9]\s*[–—‒]\s*[$€£]?[0-9]")
_RATIO = re.compile(r"[0-9]{1,2}:[0-5][0-9]")
_RELATION = re.compile(r"[<>≤≥]|\\(?:l|g)(?:e|t|eq|eqslant)?(?![a-z])")
_INTERVAL = re.compile(r"(?:\\left)?[(\[].*,")
_DEGREES = re.compile(r"\\(?:sin|cos|tan)\b[^+=]*\^?\{?\s*\\circ")
_IN_DEGREES = re.compile(r"\\circ|°|\\degree|\bdegrees?\b", re.I)
_LAST_NUMBER = re.compile(r"[-−]?[$€£]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?:\s*/\s*[0-9]+)?(?:\s*\\?%)?")


def extract(text: str, rule: str = "auto") -> str | None:
    """The final answer `text` states, as written but without frames; None if there is none.

    auto         `final_answer.find`: "#### N", a last line "A: N", \\boxed{…}; else "the answer is N"; else a last
                 line that is only a number. A number somewhere in prose is never taken for the answer
    gsm8k        "#### N" or "A: N" only
    boxed        \\boxed{…} only
    last-number  what auto finds, else the last number in the text
    choice       a letter A-E
    """
    if rule not in RULES:
        raise StepvizError(f"Unknown answer rule {rule!r}: choose one of {', '.join(RULES)}.")
    if rule == "choice":
        return choice(text)
    found = final_answer.find(text, how={"gsm8k": ("####", "A:"), "boxed": ("boxed",)}.get(rule))
    if found is None and rule == "last-number":
        numbers = _LAST_NUMBER.findall(text[-final_answer.TAIL :])
        return numbers[-1].strip() if numbers else None
    return found.text if found else None


def grade(gold: str | None, text: str, rule: str = "auto", pool: GraderPool | None = None) -> Verdict:
    """Verdict on a chain's text against the gold answer; where gold is a letter A-E, "auto" reads a choice."""
    if gold is None or not gold.strip():
        return Verdict("unknown", "the problem has no gold answer", GRADER, extract(text, rule))
    if rule == "auto" and re.fullmatch(r"\(?[A-E]\)?", gold.strip()):
        rule = "choice"
    answer = extract(text, rule)
    if answer is None:
        return Verdict("unknown", "no final answer found in the text; it may be cut off", GRADER)
    result = equal(gold, answer, pool)
    value = {"equal": "correct", "different": "wrong", "unknown": "unknown"}[result.verdict]
    return Verdict(value, result.reason, GRADER, answer)


def grade_many(
    pairs: Sequence[tuple[str | None, str]], rule: str = "auto", pool: GraderPool | None = None
) -> list[Verdict]:
    """`grade` for each (gold, text), in order; what needs a worker is spread over the pool."""
    verdicts: list[Verdict | None] = [None] * len(pairs)
    slow = []
    for k, (gold, text) in enumerate(pairs):
        answer = extract(text, rule) if gold else None
        if gold and answer and quick(gold, answer) is None:
            slow.append(k)
        else:
            verdicts[k] = grade(gold, text, rule, pool)
    if slow:
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="grade") as threads:
            for k, verdict in zip(slow, threads.map(lambda k: grade(*pairs[k], rule, pool), slow), strict=True):
                verdicts[k] = verdict
    return [v for v in verdicts if v is not None]


def equal(gold: str, answer: str, pool: GraderPool | None = None, patience: float = PATIENCE) -> Equality:
    """Whether `answer` is the same answer as `gold`; either may be a text that states it. Never raises, never hangs.

    patience: seconds by the clock that the caller can wait, if the machine is too busy to compare sooner.
    """
    if settled := quick(gold, answer):
        return settled
    gold, answer = _pair(gold, answer)
    return _mathematics(gold, answer, math_verify(gold, answer, pool, patience))


def quick(gold: str, answer: str) -> Equality | None:
    """The rungs that need no worker; None where only math-verify can tell."""
    if problem := refusal(gold, answer, MAX_CHARS):
        return problem
    gold, answer = _pair(gold, answer)
    if spelled(gold) == spelled(answer):
        return Equality("equal", "the same text")
    if times := same_time(gold, answer):
        return times
    left, right = _number(gold), _number(answer)
    first, second = left or read(gold), right or read(answer)
    if first and second and (left or right):
        return same_quantity(first, second, gold, answer)
    if unclear := _unclear(gold, answer, left, right):
        return unclear
    if plain := same_choice(gold, answer) or same_words(gold, answer, left, right):
        return plain
    if final_answer.is_prose(gold) or final_answer.is_prose(answer):
        return Equality("unknown", "an answer is written in prose, with no single number in it")
    return None


def _number(text: str) -> Number | None:
    """The number as it is written; a decimal that goes on ("0.333…") is more than the part of it that is, and one with
    a remark that doubts it is none."""
    return None if _GOES_ON.search(text) or doubted(text) else read_number(text)


def _unclear(gold: str, answer: str, left: Number | None, right: Number | None) -> Equality | None:
    """What looks like a number and is, or may be, another."""
    for side, number, other in ((gold, left, right), (answer, right, left)):
        if number is None and (word := altered(side)):
            return Equality("unknown", f"“{word}” makes “{short(side)}” another number than the one it begins with")
        if other and (remark := doubted(side)):
            return Equality("unknown", f"“{short(remark)}” takes back the number before it, or gives another")
        if other and _decimal_comma(side, other):
            return Equality("unknown", "a comma that may be a decimal one, or separate two numbers")
        if other and (_GOES_ON.search(side) or _RANGE.search(side) or _RATIO.fullmatch(side)):
            return Equality("unknown", f"“{short(side)}” is not one number that is written out")
    return None


def _mathematics(gold: str, answer: str, result: Equality) -> Equality:
    """math-verify's judgement; it counts only where both sides are mathematics that it reads, and reads whole."""
    if result.verdict == "equal" and (marks := left_out(gold) ^ left_out(answer)):
        return Equality("unknown", f"only one side has {min(marks)}, which math-verify leaves out")
    if result.verdict != "different":
        return result
    for side, other in ((gold, answer), (answer, gold)):
        if word := worded(side):
            return Equality("unknown", f"“{short(side)}” has words in it (“{word}”), which math-verify does not read")
        if _RELATION.search(side) and _INTERVAL.match(other):
            return Equality("unknown", "one is an interval, the other an inequality")
        if _IN_DEGREES.search(side) and re.search(r"\\pi(?![a-z])|π", other):
            return Equality("unknown", "one is an angle in degrees, the other in radians")
        if _DEGREES.search(side):
            return Equality("unknown", "an angle in degrees inside a function is not read")
    return result


@lru_cache(maxsize=2048)
def _pair(gold: str, answer: str) -> tuple[str, str]:
    """Both sides reduced to the answer they state, where they are texts that state one."""
    return _stated(gold), _stated(answer)


def _stated(text: str) -> str:
    text = text.strip()
    if read_number(text) is not None:
        return strip_wrapping(text)
    if (found := final_answer.find(text)) and found.how != "last line":
        return found.text if read_number(found.text) is not None else in_latex(found.text)
    if len(text) > LONG or final_answer.is_prose(text):
        text = final_answer.last_sentence(text)
        return final_answer.only_number(text) or text
    return in_latex(strip_wrapping(text) or text)


def spelled(text: str) -> str:
    """`text` without differences of spelling: frames, spaces, \\dfrac, \\left, the case of a word."""
    text = strip_wrapping(text)
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    text = re.sub(r"\\(?:left|right)\b|\\[,;:! ]|[\s~]", "", text).replace(r"\varnothing", r"\emptyset")
    return text.lower() if re.fullmatch(r"[^\W\d_]{2,}", text) else text


def _decimal_comma(text: str, other: Number) -> bool:
    """Whether `text` would be the other number if its comma were a point: 1,22 is not read as 1.22, nor as unequal."""
    match = re.fullmatch(r"([-−]?[0-9]+),([0-9]+)", text)
    comma = read_number(f"{match[1]}.{match[2]}") if match else None
    return comma is not None and comma.value == other.value


@dataclass(frozen=True, slots=True)
class Cluster:
    """Answers that are equal; `members` are indices into what was clustered, first seen first."""

    answer: str | None  # None: no answer could be read; never a vote
    members: tuple[int, ...]
    verdict: VerdictValue = "unknown"


_clusters: Memory[tuple[tuple[str | None, ...], float], tuple[Cluster, ...]] = Memory(256)


def cluster(answers: Sequence[str | None], seconds: float = CLUSTER_SECONDS) -> list[Cluster]:
    """Groups of equal answers, largest first, then first seen; None (no answer) comes last and never votes.

    Each group is compared by its first member, for equality by heuristics is not transitive (2310.10047 leaves this
    open). Exact numbers are found by value, so the order of the samples matters only to what math-verify judges.
    math-verify gets `seconds` in all, and one comparison may overrun them by as much: an answer that is not compared by
    then, nor ever was, stays a cluster of its own. The same answers give the same clusters for ten minutes, or for one
    where time ran out; what was compared until then is known to the next try.
    """
    key = (tuple(answers), seconds)
    known = _clusters.get(key)
    if known is None:
        comparing = _Comparing(seconds)
        known = tuple(_grouped(answers, comparing.same))
        _clusters.keep(key, known, LEFT_OVER_SECONDS if comparing.left_over else UNSETTLED_SECONDS)
    return list(known)


class _Comparing:
    """Compares while there is time; after that, only what takes none."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.left_over = seconds, False

    def same(self, first: str, answer: str) -> bool:
        result = quick(first, answer) or remembered(*_pair(first, answer))
        if result is None and self.seconds > 0:
            started = time.monotonic()
            result = equal(first, answer, patience=CLUSTER_SECONDS)
            self.seconds -= time.monotonic() - started
        self.left_over = self.left_over or result is None
        return result is not None and result.verdict == "equal"


def _grouped(answers: Sequence[str | None], same: Callable[[str, str], bool]) -> list[Cluster]:
    groups: list[tuple[str, list[int]]] = []
    known: dict[object, int] = {}
    missing = [k for k, a in enumerate(answers) if a is None or not a.strip()]
    for k, answer in enumerate(answers):
        if answer is None or not answer.strip():
            continue
        key = _canonical(answer)
        if key not in known:
            known[key] = next((g for g, (first, _) in enumerate(groups) if same(first, answer)), len(groups))
        if known[key] == len(groups):
            groups.append((answer, []))
        groups[known[key]][1].append(k)
    ordered = sorted(groups, key=lambda g: (-len(g[1]), g[1][0]))
    clusters = [Cluster(first, tuple(members)) for first, members in ordered]
    return [*clusters, Cluster(None, tuple(missing))] if missing else clusters


def _canonical(answer: str) -> object:
    stated = _stated(answer) if len(answer) <= MAX_CHARS else answer
    number = _number(stated)
    return (number.value, number.percent, number.unit) if number else spelled(stated)
