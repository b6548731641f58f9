"""What no comparison should touch, told from the text alone: refused with a reason, in linear time.

math-verify hands what it reads to sympy, which computes `9**9**9**9` until the memory is full. The workers can be
killed; these filters keep them from having to be.
"""

from __future__ import annotations

import re

from stepviz.quantities import Equality

MAX_FORMULA = 1_000  # characters of one side
MAX_NESTING = 16  # of brackets and braces
MAX_DIGITS = 60  # in one number
MAX_POWER = 200  # as an exponent, where the base is not one
MAX_FRACTIONS = 40

_NOT_A_NUMBER = re.compile(r"[-+]?\s*(?:nan|not a number|undefined|none|null|n/a)", re.I)
_POWER = re.compile(r"\*\*|\^|\\(?:uparrow|tetration)")
_EXPONENT = re.compile(r"\s*[{(\[\s+\-−]*([0-9]+)")
_SCIENTIFIC = re.compile(r"[0-9.][eE][+-]?([0-9]+)")
_CODE = re.compile(
    r"__|\b(?:import|lambda|exec|eval|open|system|getattr|globals|subprocess|compile)\b\s*[(\"'_.]|[\"`]|;\s*\w+\s*\("
)
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")


def refusal(gold: str, answer: str, limit: int) -> Equality | None:
    """Why these two cannot be compared at all; None if they can."""
    for side, text in (("gold answer", gold), ("answer", answer)):
        if len(text) > limit:
            return Equality("unknown", f"the {side} is longer than {limit:,} characters")
        if not text.strip(" \t\r\n$.\\(){}[]"):
            return Equality("unknown", f"the {side} is empty")
        if _NOT_A_NUMBER.fullmatch(text.strip(" \t\r\n$.")):
            return Equality("unknown", f"the {side} is “{text.strip()}”, which is equal to nothing")
    return None


def too_hard(text: str) -> str | None:
    """Why `text` is not handed to math-verify; None if it may be."""
    if len(text) > MAX_FORMULA:
        return f"it is longer than {MAX_FORMULA:,} characters"
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text):
        return "it has control characters"
    if _OTHER_DIGIT.search(text):
        return "it is written with digits other than 0-9"
    if _CODE.search(text):
        return "it looks like program code, not mathematics"
    if _nesting(text) > MAX_NESTING:
        return f"its brackets are nested more than {MAX_NESTING} deep"
    if max((len(run) for run in re.findall(r"[0-9]+", text)), default=0) > MAX_DIGITS:
        return f"it has a number of more than {MAX_DIGITS} digits"
    if len(re.findall(r"\\[dtc]?frac", text)) > MAX_FRACTIONS:
        return f"it has more than {MAX_FRACTIONS} fractions"
    return _power(text)


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


def _power(text: str) -> str | None:
    """Large exponents, powers of powers and large factorials."""
    powers = list(_POWER.finditer(text))
    for power, following in zip(powers, [*powers[1:], None], strict=False):
        exponent = _EXPONENT.match(text, power.end())
        if exponent and int(exponent[1][:9]) > MAX_POWER:
            return f"it has an exponent above {MAX_POWER}"
        between = text[power.end() : following.start()] if following else "+"
        if re.fullmatch(r"[\s{(\[\-−]*[0-9.]+[\s})\]]*", between) and _open(between):
            return "it has a power in an exponent"
    for scientific in _SCIENTIFIC.finditer(text):
        if int(scientific[1][:9]) > MAX_POWER:
            return f"it has an exponent above {MAX_POWER}"
    if re.search(r"\\[dt]?binom\s*\{?\s*[0-9]{4}", text):
        return "it has a binomial that is too large to compute"
    if re.search(r"!\s*\)*\s*!|[0-9]{4,}\s*[)}]*\s*!(?!=)", text):
        return "it has a factorial that is too large to compute"
    return None


def _open(between: str) -> bool:
    """Whether the text after one power sign is still inside its exponent when the next power sign comes."""
    closed = min(0, between.count("}") + between.count(")") - between.count("{") - between.count("("))
    return closed < 0 or not re.search(r"[})]", between)
