"""Numbers that are not written as one number: in words, in two units, cut short, behind a choice's letter or "=".

Read only where the other side is a number (`answers.quick`), for "5k" is algebra beside "k + 4k". Nothing is evaluated.

| written                                  | read                                  |
|------------------------------------------|---------------------------------------|
| twenty-one, a hundred, two-thirds, half  | 21, 100, 2/3, 1/2                     |
| one point five, an hour, half an hour    | 1.5, 1 hour, 1/2 hour                 |
| negative 7, minus seven                  | -7                                    |
| 5k, $1.2M, 3½                            | 5000, 1200000, 7/2                    |
| 0.\\overline{3}, 0.1666…                 | 1/3, 1/6                              |
| 3 hours and 20 minutes, 5 feet 6 inches  | 10/3 hours, 5.5 feet                  |
| (C) 12, 14 days (2 weeks), 5 = x         | 12, 14 days, 5                        |
| 7 apples + 3 oranges = 10 fruits         | 10 fruits                             |
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from stepviz.numbers import ASIDE, Number, altering_word, doubted, read_number, strip_wrapping
from stepviz.quantities import unit_size

MAX_CHARS = 120

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_CARDINALS = {word: k for k, word in enumerate(_ONES.split())} | {
    word: 10 * k for k, word in enumerate(_TENS.split(), 2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_ORDINALS = "third fourth fifth sixth seventh eighth ninth tenth"
_PARTS = {"half": 2, "halves": 2} | {f"{word}{s}": k for k, word in enumerate(_ORDINALS.split(), 3) for s in ("", "s")}
_QUARTERS = {"quarter": 4, "quarters": 4}  # coins, unless a hyphen joins them to their number
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅛": "1/8", "⅜": "3/8"}
_LOOSE = "once twice thrice double triple dozen dozens pair couple none nothing nobody all both neither few some"
QUANTITY_WORDS = frozenset((*_CARDINALS, *_SCALES, *_PARTS, *_QUARTERS, *_LOOSE.split()))

_ONE = re.compile(rf"(?:an?\s+)?(?=half\b)|an?\s+(?=(?:{'|'.join((*_SCALES, *_PARTS, 'dozen'))})\b)", re.I)
_ONE_OF_A = re.compile(
    r"an?\s+(?=(?:minute|hour|day|week|month|year|decade|century|dollar|gram|kilogram|pound|ounce|ton|inch|foot|yard"
    r"|mile|centimeter|meter|metre|kilometer|cup|pint|quart|gallon|liter|litre)\W*$)",
    re.I,
)
_WORD = re.compile(r"([A-Za-z]+)([\s-]*)")
_CHOICE = re.compile(r"\(?[A-E][).:]\s+(.+)")
_EQUALS_NAME = re.compile(r"(.+?)\s*=\s*\\?[A-Za-z]")
_SUFFIX = re.compile(r"([-−]?)(\\?[$€£])?([0-9][0-9,]*(?:\.[0-9]+)?)\s?(?:([KMB])|([kmb]))(?=$|\s)(.*)")
_REPEATING = re.compile(r"([-−]?)([0-9]*)\.([0-9]*)\\(?:overline|bar)\s*\{?\s*([0-9]+)\s*\}?")
_ENDLESS = re.compile(r"([-−]?)([0-9]+)\.([0-9]*?)([0-9]{1,6}?)\4+\s*(?:\.{2,}|…|\\l?dots)")
_SUM = re.compile(
    r"(?:[-−+*×/÷().$€£%=\s0-9]|\\(?:times|cdot|div)\b|(?<![A-Za-z])(?!and\b|or\b)[A-Za-z]{2,}(?![A-Za-z]))+"
)
_COMPOUND = re.compile(
    r"([$€£]?[0-9][0-9,./\s]*?)\s*([A-Za-z]+)\.?(?:\s*,)?(?:\s+and)?\s*([0-9][0-9.,/]*)\s*([A-Za-z]+)\.?"
)
_SHORT_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


@lru_cache(maxsize=2048)
def read(text: str) -> Number | None:
    """The number that `text` is in one of the ways above; None for anything else."""
    if len(text) > MAX_CHARS:
        return None
    text = strip_wrapping(text)
    for reader in (_repeating, _suffixed, _compound, _in_words, _framed, _result):
        number = reader(text)
        if number is not None:
            return number
    return None


def _repeating(text: str) -> Number | None:
    """0.\\overline{36} and 0.3636… as the fraction that they are."""
    match = _REPEATING.fullmatch(text) or _ENDLESS.fullmatch(text)
    if match is None:
        return None
    sign, whole, fixed, block = match.groups()
    if match.re is _ENDLESS and text.count(block * 2) == 0:
        return None
    value = Fraction(int((whole or "0") + fixed), 10 ** len(fixed))
    value += Fraction(int(block), (10 ** len(block) - 1) * 10 ** len(fixed))
    return Number(-value if sign else value, None, len(fixed + block))


def _suffixed(text: str) -> Number | None:
    """5k, $1.2M: a small m or b is a unit or a name, unless money stands before it; and 3½."""
    for sign, fraction in _VULGAR.items():
        if sign in text:
            return read_number(re.sub(rf"\s*{sign}", f" {fraction}", text, count=1).strip())
    match = _SUFFIX.fullmatch(text)
    if match is None:
        return None
    sign, money, digits, large, small, rest = match.groups()
    if not money and (small in ("m", "b") or text[match.end(3)] == " "):
        return None  # metres, kelvin, a name
    number = read_number(f"{sign}{money or ''}{digits} {rest}")
    scale = {"k": 10**3, "m": 10**6, "b": 10**9}[(large or small).lower()]
    return number and replace(number, value=number.value * scale, decimals=None)


def _compound(text: str) -> Number | None:
    """Two units of one measure, the smaller behind the larger, as a number of the larger."""
    text = re.sub(r"\\(?:text|mathrm)\s*\{([^{}]*)\}|\\[ ,;]|~", lambda m: f" {m[1] or ''} ", text)
    match = _COMPOUND.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    first, second = read_number(match[1]), read_number(match[3])
    units = [unit.lower() for unit in (match[2], match[4])]
    if units[0] == "h" or units[1] == "s":
        units = [_SHORT_UNITS.get(unit, unit) for unit in units]
    large, small = (unit_size(unit) for unit in units)
    if first is None or second is None or large is None or small is None or large[0] != small[0]:
        return None
    part = second.value * small[1] / large[1]
    if large[1] <= small[1] or part >= 1 or first.value.denominator != 1:
        return None
    return Number(first.value + part, None, first.digits + second.digits, unit=units[0])


def _in_words(text: str) -> Number | None:
    """Number words at the beginning, then a unit: their digits are read instead."""
    sign = re.match(r"(?:negative|minus)\s+(?=\S)", text, re.I)
    rest = text[sign.end() :] if sign else text
    number = (read_number(rest) if sign else None) or _spelled(_one(rest))
    if number is None:
        return None
    return replace(number, value=-number.value if sign else number.value, decimals=None)


def _one(text: str) -> str:
    """ "half" and "a hundred" with the number word that they leave out."""
    start = _ONE.match(text) or _ONE_OF_A.match(text)
    return f"one {text[start.end() :]}" if start else text


def _spelled(text: str) -> Number | None:
    found = list(_WORD.finditer(text))
    words = [match[1].lower() for match in found]
    value, used = _cardinal(words)
    if not used or found[0].start():
        return None
    digits, following = str(value), words[used] if used < len(words) else ""
    bottom = _PARTS.get(following) or (_QUARTERS.get(following) if "-" in found[used - 1][2] else None)
    if bottom and (value > 1) == following.endswith("s"):
        digits, used = f"{value}/{bottom}", used + 1
        of_one = re.match(r"[\s-]*(?:of\s+)?an?\s+", text[found[used - 1].end(1) :], re.I)
        return read_number(f"{digits} {text[found[used - 1].end(1) + (of_one.end() if of_one else 0) :]}")
    elif following == "point" and (places := _places(words[used + 1 :])):
        digits, used = f"{value}.{places}", used + 1 + len(places)
    elif following in QUANTITY_WORDS - {"dozen"}:
        return None
    return read_number(f"{digits} {text[found[used - 1].end() :]}")


def _places(words: list[str]) -> str:
    """The decimals that "one four" spells: 14."""
    ones = itertools.takewhile(lambda word: _CARDINALS.get(word, 10) < 10, words)
    return "".join(str(_CARDINALS[word]) for word in ones)


def _cardinal(words: list[str]) -> tuple[int, int]:
    """The value of the number that the first words spell, and how many words that takes; 0 words where none does."""
    total = group = used = 0
    for k, word in enumerate(words):
        if word == "and" and k and words[k - 1] in _SCALES:
            continue
        if word in _CARDINALS and (
            group % 100 == 0 or (group % 100 >= 20 and group % 10 == 0 and _CARDINALS[word] < 10)
        ):
            group += _CARDINALS[word]
        elif word == "hundred" and 0 < group < 100:
            group *= 100
        elif word in _SCALES and group:
            total, group = total + group * _SCALES[word], 0
        else:
            break
        used = k + 1
    return total + group, used


def _framed(text: str) -> Number | None:
    """A choice with its letter, a remark in brackets that changes nothing, an equation with a name on its right."""
    if match := _CHOICE.fullmatch(text):
        return read_number(match[1])
    if match := ASIDE.fullmatch(text):
        return None if altering_word(match[2]) or doubted(text) else read_number(match[1])
    match = _EQUALS_NAME.fullmatch(text)
    return read_number(match[1]) if match else None


def _result(text: str) -> Number | None:
    """What the last "=" of one equation between numbers gives."""
    left, _, right = text.rpartition("=")
    return read_number(right) if _SUM.fullmatch(left) and re.search(r"[0-9]", left) else None
