"""A number as people and models write it, read exactly: no float, no evaluation, no unbounded work.

Reads `18`, `-1,234.50`, `$18 per day`, `3/4`, `\\frac34`, `1 1/2`, `40\\%`, `1.8 billion`, `3.54 \\times 10^{-7}`,
`17\\text{ m}^2`. Everything else is not a number here (None), and someone else may judge it.

Policies, each with a test:
1. A comma groups thousands, in threes; `1,22` is not a number.
2. A currency sign and words after the number are its unit; a unit never changes the value. `5x` has no unit:
   letters that touch the number may be a variable, so they are left alone unless they are a known measure. Words
   that make another number of it (`4 squared`, `10 below zero`, `3 quarters`) are no unit: see `altering_word`.
3. A percent sign is kept as a flag; what it means is for the comparison to say.
4. Only the digits 0-9 are digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARS = 400  # of a number with its unit; what is longer is no final answer anyone wrote
MAX_EXPONENT = 400  # of ten: 10^400 has a digit for every character above

CURRENCY = "$€£¥₹₽₩₪฿₫₺₴₦"
MINUS = r"\-−–‒"
GROUPED = r"[0-9]{1,3}(?:(?:,|\{,\}|,\\! ?|\\,|[\u2009\u202f\u00a0])[0-9]{3})+"
_DECIMAL = rf"(?:{GROUPED}(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_WHOLE = rf"(?:{GROUPED}|[0-9]+)"

_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
# what may follow a number without a space and is a measure, not a product of variables
_MEASURE_NAMES = (
    "cm mm km m2 cm2 kg mg lb lbs oz ft in mi mph kmph kph hr hrs min mins sec secs s h am pm ml l gb mb kb kw kwh"
    " th st nd rd km/h km/hr m/s mi/h cents inches feet miles hours minutes dollars meters metres degrees deg"
)
_MEASURES = frozenset(_MEASURE_NAMES.split())
# what makes the text more than one number, or not a number
_NOT_UNIT_NAMES = (
    "or and to plus minus times over than pi sqrt by remainder r mod equals is are was but not infinity inf nan"
    " because since so if else while where which past"
)
# what makes another number of the one before, or may: "3 quarters" are 0.75, or coins
_ALTERING_NAMES = (
    "squared cubed factorial factorials negative below under less fewer above over more greater beyond repeating"
    " recurring reciprocal inverse halved doubled tripled quadrupled twice thrice half halves third thirds quarter"
    " quarters fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth tenths"
    " hundredth hundredths thousandth thousandths millionth millionths lakh lakhs crore crores quadrillion bn mn tens"
    " mille permille ppm ppb"
)
_ALTERING = (*_ALTERING_NAMES.split(), *_SCALES, *(f"{scale}s" for scale in _SCALES))
_ALTERING_WORD = re.compile(rf"[\s(){{}}\\%$*°-]*(?:[A-Za-z]+[\s(){{}}\\$-]+){{0,3}}?({'|'.join(_ALTERING)})\b", re.I)
# "3 of four", "5 x two", "five, maybe six": a second number
_NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty score"
_NOT_UNITS = frozenset((*_NOT_UNIT_NAMES.split(), *_ALTERING, *_NUMBER_WORDS.split()))
_HEDGES = re.compile(
    r"^(?:about|approximately|approx\.?|around|roughly|exactly|only|just|a total of|\\approx|≈|~)\s*", re.I
)

_GOES_ON = re.compile(r"\.[0-9]+\.{2,}$")  # 0.333…, three dots and not a full stop
ASIDE = re.compile(r"(.*[^\s(])\s*(\([^()]*\))")
_DOUBT = re.compile(
    r"\b(?:or|wrong|incorrect|false|instead|rather|maybe|perhaps|possibly|probably|actually|should|corrected|correction"
    r"|error|mistake|unsure|uncertain|guess|not(?!\s+[$€£]?[0-9]))\b|\?",
    re.I,
)
_CURRENCY_MARK = rf"(?:\\?[{CURRENCY}]|US\$|Rs\.?|USD|EUR|GBP)?"
_FRAC = r"\\[dt]?frac\s*"
_MIXED_TEX = (  # 1\frac{1}{2}, 1\frac12
    rf"(?P<whole>{_WHOLE})\s*{_FRAC}"
    r"(?:\{\s*(?P<mn>[0-9]+)\s*\}\s*\{\s*(?P<md>[0-9]+)\s*\}|(?P<mn1>[0-9])\s*(?P<md1>[0-9]))"
)
_MIXED = rf"(?P<whole2>{_WHOLE})(?:\s+|-)(?P<sn>[0-9]+)\s*/\s*(?P<sd>[0-9]+)(?![0-9.])"  # 1 1/2
_FRACTION_TEX = (  # \frac{-1.5}{2}, \frac12, \frac1{72}
    rf"{_FRAC}(?:\{{\s*(?P<ns>[{MINUS}]?)(?P<n>{_DECIMAL})\s*\}}\s*\{{\s*(?P<d>{_DECIMAL})\s*\}}"
    r"|(?P<n1>[0-9])\s*(?:\{(?P<d2>[0-9]+)\}|(?P<d1>[0-9])))"
)
_FRACTION = rf"(?P<top>{_DECIMAL})\s*/\s*(?P<bottom>{_DECIMAL})(?![0-9])"
_POWER_OF_TEN = (
    r"\s*(?:\*|×|x|\\times|\\cdot|·)\s*10\s*(?:\^|\*\*)\s*"
    rf"(?:\{{\s*(?P<p>[{MINUS}]?[0-9]{{1,10}})\s*\}}|(?P<p1>[{MINUS}]?[0-9]{{1,10}}))"
)
_PLAIN = rf"(?P<plain>{_DECIMAL})(?:[eE](?P<e>[+-]?[0-9]{{1,10}})(?![0-9A-Za-z])|{_POWER_OF_TEN})?"
_NUMBER = re.compile(
    rf"(?P<sign>[+{MINUS}]?)\s*(?P<currency>{_CURRENCY_MARK})\s*(?P<sign2>[{MINUS}]?)"
    rf"(?:{_MIXED_TEX}|{_MIXED}|{_FRACTION_TEX}|{_FRACTION}|{_PLAIN})"
)
_PERCENT = re.compile(r"\s*(?:\\?%|(?:percent|per cent|pct\.?|percentage(?: points?)?)\b)", re.I)
_SCALE = re.compile(rf"\s*({'|'.join(_SCALES)})s?\b", re.I)
_UNIT = re.compile(r"[A-Za-z\u4e00-\u9fff°²³µΩ'’./\-^0-9 ()*{}\\_" + CURRENCY + r"]{0,60}")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value with how it was written; `unit` is lower case, '' for none."""

    value: Fraction
    decimals: int | None  # digits after the point of a plain decimal; None for a fraction or a power of ten
    digits: int  # significant digits as written
    percent: bool = False
    unit: str = ""


def strip_wrapping(text: str) -> str:
    """Takes off what only frames an answer: math delimiters, \\boxed, \\text, bold marks, a final stop.

    >>> strip_wrapping(r"**\\(\\boxed{5}\\)**.")
    '5'
    """
    text = text.strip()
    for _ in range(8):
        before = text
        text = text.strip(" \t\r\n").removesuffix("\\")
        text = text if _GOES_ON.search(text) else text.rstrip(".,;: \t\r\n")
        for head, tail in (
            ("**", "**"),
            ("$$", "$$"),
            ("$", "$"),
            (r"\(", r"\)"),
            (r"\[", r"\]"),
            ("`", "`"),
            ('"', '"'),
        ):
            if text.startswith(head) and text.endswith(tail) and len(text) > len(head) + len(tail):
                inner = text[len(head) : -len(tail)]
                if head not in inner and tail not in inner:
                    text = inner.strip()
        for command in (r"\boxed", r"\fbox", r"\text", r"\mathrm", r"\textbf", r"\mathbf", r"\displaystyle", r"\mbox"):
            if text.startswith(command):
                inner = text[len(command) :].lstrip()
                if not inner.startswith("{"):
                    text = inner if command == r"\displaystyle" else text
                elif closing_brace(inner, 0) == len(inner) - 1:
                    text = inner[1:-1].strip()
        if text == before:
            break
    return text


def closing_brace(text: str, start: int) -> int | None:
    """Index of the brace that closes the one at `start`; None if it is never closed. Linear."""
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.S).finditer(text, start):
        if match.group() == "{":
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    return None


def read_number(text: str) -> Number | None:
    """The one number `text` consists of, with its unit; None if the text is anything else."""
    if len(text) > 4 * MAX_CHARS:
        return None
    text = _HEDGES.sub("", strip_wrapping(text))
    if not text or len(text) > MAX_CHARS:
        return None
    match = _NUMBER.match(text)
    if match is None:
        return None
    value = _value(match)
    if value is None:
        return None
    rest = text[match.end() :]
    if match["currency"] and re.match(r"\s?[KMBkmb](?![A-Za-z/])", rest):
        return None  # $5m: see readings
    attached = re.match(r"[A-Za-zµΩ]", rest) is not None
    if scale := _SCALE.match(rest):
        value *= _SCALES[scale[1].lower()]
        rest = rest[scale.end() :]
    percent = _PERCENT.match(rest)
    if percent:
        rest, attached = rest[percent.end() :], False
    unit = _unit(rest, attached)
    if unit is None:
        return None
    if not unit and match["currency"]:
        unit = {"$": "dollars", "us$": "dollars", "usd": "dollars"}.get(match["currency"].lstrip("\\").lower(), "money")
    plain = match["plain"]
    figures = re.sub(r"[^0-9]", "", plain or "").lstrip("0")
    simple = plain is not None and match["e"] is None and match["p"] is None and match["p1"] is None and not scale
    decimals = len(plain.rpartition(".")[2]) if simple and "." in plain else 0
    return Number(value, decimals if simple else None, len(figures), bool(percent), unit)


def altering_word(rest: str) -> str | None:
    """The word among the first four after a number that makes another number of it, or may; None if there is none.

    >>> altering_word(" degrees below zero")
    'below'
    """
    match = _ALTERING_WORD.match(rest)
    return match[1] if match else None


def altered(text: str) -> str | None:
    """The word that makes another number of the one `text` begins with; only for what `read_number` does not read."""
    text = _HEDGES.sub("", strip_wrapping(text))
    match = _NUMBER.match(text)
    return altering_word(text[match.end() :]) if match else None


def doubted(text: str) -> str | None:
    """The remark in brackets behind an answer that takes it back, or gives another one.

    >>> doubted("5 (or 6)")
    '(or 6)'

    The same in another unit is none: "14 days (or 2 weeks)", "25 miles (about 40 km)".
    """
    match = ASIDE.fullmatch(text) if len(text) <= MAX_CHARS else None
    if match is None:
        return None
    remark, number = match[2][1:-1].strip(), read_number(match[1])
    other = read_number(re.sub(r"^or\s+", "", remark)) if number else None
    if number and other:
        units = {n.unit.removesuffix("s") for n in (number, other)}
        ratio = {(True, False): Fraction(1, 100), (False, True): 100}.get((number.percent, other.percent), 1)
        if other.value in (number.value, number.value * ratio) or len(units - {""}) == 2:
            return None
        if not other.unit or len(units) == 1:
            return match[2]
    return match[2] if _DOUBT.search(remark) else None


def _value(match: re.Match[str]) -> Fraction | None:
    negative = sum(bool(match[g]) and match[g] != "+" for g in ("sign", "sign2", "ns")) % 2 == 1
    value: Fraction | None
    if match["whole"] is not None or match["whole2"] is not None:
        top = match["mn"] or match["mn1"] or match["sn"]
        bottom = match["md"] or match["md1"] or match["sd"]
        if int(bottom) == 0 or int(top) >= int(bottom):
            return None
        value = _decimal(match["whole"] or match["whole2"]) + Fraction(int(top), int(bottom))
    elif match["plain"] is not None:
        exponent = (
            (match["e"] or match["p"] or match["p1"] or "0").replace("−", "-").replace("–", "-").replace("‒", "-")
        )
        if abs(int(exponent)) > MAX_EXPONENT:
            return None
        value = _decimal(match["plain"]) * Fraction(10) ** int(exponent)
    else:
        top = match["n"] or match["n1"] or match["top"]
        bottom = _decimal(match["d"] or match["d1"] or match["d2"] or match["bottom"])
        if bottom == 0:
            return None
        value = _decimal(top) / bottom
    return -value if negative else value


def _decimal(text: str) -> Fraction:
    """Exact value of digits with grouping and at most one point."""
    whole, _, fraction = re.sub(r"[^0-9.]", "", text).partition(".")
    return Fraction(int((whole or "0") + fraction), 10 ** len(fraction))


def _unit(rest: str, attached: bool) -> str | None:
    """The unit that `rest` spells, '' for none; None where `rest` makes the text something other than a number."""
    rest = re.sub(r"\\(?:text|mathrm|textbf|mathbf|mbox|operatorname|rm|textit)\b\s*", " ", rest)
    spaced = rest.startswith((" ", "~", "\\", "{"))
    rest = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|\\degree|\\circ", " degrees ", rest)
    rest = re.sub(r"\\[ ,;:!]|~|[{}]|\\(?=[" + re.escape(CURRENCY) + r"%])|\\$", " ", rest).strip(" .,;:\t\r\n*")
    if not rest:
        return ""
    if "\\" in rest or not _UNIT.fullmatch(rest):
        return None
    words = re.findall(r"[A-Za-z\u4e00-\u9fff°µΩ'’]+", rest)
    if rest[0] in "²³!" or rest.startswith("'") or (attached and words[0] == "M"):
        return None  # a power, a factorial, a million
    if re.search(r"(?<![A-Za-z²³^])[0-9]|\^(?![23]\b)|[*]|--", rest):
        return None
    if rest.endswith("/") or (not words and rest.strip(CURRENCY + " /²³°")):
        return None
    lowered = [w.lower() for w in words]
    if any(w in _NOT_UNITS for w in lowered):
        return None
    if (
        attached
        and not spaced
        and rest != "m"
        and rest.split()[0].rstrip(".").lower().removesuffix("²").removesuffix("³") not in _MEASURES | {"m"}
    ):
        return None
    if len(words) == 1 and len(words[0]) == 1 and not attached and words[0] in "xyzabcdefijknpqrtuvw":
        return None
    return " ".join(rest.lower().replace("(", " ").replace(")", " ").split())
