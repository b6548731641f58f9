"""Are two written numbers the same quantity, or two times of day the same? The policies are stated in `answers.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from stepviz.numbers import Number

# measure -> (dimension, size in the dimension's unit)
_SIZES: dict[str, tuple[str, Fraction]] = {
    name: (dimension, Fraction(size))
    for dimension, table in {
        "length": {
            "mm millimeter millimeters": "1/1000",
            "cm centimeter centimeters": "1/100",
            "m meter meters metre metres": 1,
            "km kilometer kilometers": 1000,
            "inch inches": "254/10000",
            "ft foot feet": "3048/10000",
            "yard yards": "9144/10000",
            "mile miles": "1609344/1000",
        },
        "time": {
            "s sec secs second seconds": 1,
            "min mins minute minutes": 60,
            "h hr hrs hour hours": 3600,
            "day days": 86400,
            "week weeks": 604800,
        },
        "weight": {
            "mg milligram milligrams": "1/1000",
            "gram grams": 1,
            "kg kilogram kilograms": 1000,
            "oz ounce ounces": "45359237/1600000",
            "lb lbs pound pounds": "45359237/100000",
        },
        "money": {"cent cents": "1/100", "dollar dollars $": 1},
    }.items()
    for names, size in table.items()
    for name in names.split()
}

# in answers only: in running text a letter may be a name, and "2 years * 12" is ages as often as time
_MORE_SIZES: dict[str, tuple[str, Fraction]] = {
    name: (dimension, Fraction(size))
    for dimension, table in {
        "length": {"in": "254/10000", "yd yds": "9144/10000", "kilometre kilometres": 1000, "mi": "1609344/1000"},
        "weight": {"g": 1, "tonne tonnes": 10**6},
        "length^3": {"ml milliliter milliliters": "1/1000000", "l liter liters litre litres": "1/1000"},
        "months": {"month months": 1, "year years yr yrs": 12, "decade decades": 120, "century centuries": 1200},
        "tons": {"ton tons": 1},  # 2000 or 2240 pounds, or 1000 kg: not to be converted
        "gallons": {"cup cups": "1/16", "pint pints": "1/8", "quart quarts": "1/4", "gallon gallons gal": 1},
    }.items()
    for names, size in table.items()
    for name in names.split()
}
_NAMES = {"length^2": "area", "length^3": "volume", "length/time": "speed", "gallons": "volume", "months": "time"}
_INEXACT = ({"months", "time"}, {"tons", "weight"}, {"gallons", "length^3"})
_POWER = re.compile(r"(?:(square|sq|cubic|cu)\.?\s+)?(.+?)\s*(?:\^?\s*([23])|([²³]))?")
_ALIASES = {"mph": "mile/hour", "kph": "km/hour", "kmph": "km/hour", "metric ton": "tonne", "metric tons": "tonne"}

_CLOCK = re.compile(
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-5][0-9]))?(?P<clock>\s*o['’]?clock\b)?"
    r"\s*(?P<half>[ap]\.?\s?m\b\.?|(?:in the )?(?:morning|afternoon|evening)\b|noon\b|midnight\b)?(?P<rest>[^0-9]*)",
    re.I,
)


def measure(word: str) -> tuple[str, Fraction] | None:
    """(dimension, size) of a unit of measure, sizes being comparable within a dimension; None for other words."""
    return _SIZES.get(word)


@lru_cache(maxsize=512)
def unit_size(unit: str) -> tuple[str, Fraction] | None:
    """`measure` for the unit of an answer: with powers and quotients too.

    >>> unit_size("km/hr")
    ('length/time', Fraction(5, 18))
    """
    unit = _ALIASES.get(unit, unit)
    parts = [_power(part) for part in re.split(r"\s*/\s*|\s+(?:per|an?)\s+", unit)]
    top, bottom = parts[0], parts[-1]
    if len(parts) == 1 or top is None or bottom is None:
        return top if len(parts) == 1 else None
    return (f"{top[0]}/{bottom[0]}", top[1] / bottom[1]) if len(parts) == 2 else None


def _power(unit: str) -> tuple[str, Fraction] | None:
    match = _POWER.fullmatch(unit)
    known = match and (_SIZES.get(match[2]) or _MORE_SIZES.get(match[2]))
    if not known or not match:
        return None
    marks = [m for m in (match[1], match[3], match[4]) if m]
    if not marks:
        return known
    power = 2 if marks[0] in ("square", "sq", "2", "²") else 3
    return (f"length^{power}", known[1] ** power) if known[0] == "length" and len(marks) == 1 else None


@dataclass(frozen=True, slots=True)
class Equality:
    """Whether two answers are equal, and why; "unknown" means that we cannot judge."""

    verdict: Literal["equal", "different", "unknown"]
    reason: str


def same_quantity(gold: Number, answer: Number, gold_text: str, answer_text: str) -> Equality:
    """Whether two numbers are equal; the texts are quoted in the reason."""
    names = f"{_short(gold_text)} and {_short(answer_text)}"
    a, b = gold.value, answer.value
    left, right = unit_size(gold.unit), unit_size(answer.unit)
    if left and right and left != right:
        kinds = [_NAMES.get(dimension, dimension) for dimension, _ in (left, right)]
        if {left[0], right[0]} in _INEXACT:
            return Equality("unknown", f"{names} are measures that do not convert exactly, or in more than one way")
        if left[0] != right[0]:
            return Equality("unknown", f"{names} measure different things ({kinds[0]} and {kinds[1]})")
        if a * left[1] == b * right[1]:
            return Equality("equal", f"{names} are the same {kinds[0]} in different units")
        return Equality("different", f"{names} are not the same {kinds[0]}")
    if a == b:
        note = " (percent sign read as a unit)" if gold.percent != answer.percent else ""
        return Equality("equal", f"the same number{note}")
    if gold.percent != answer.percent:
        a, b = (a / 100 if gold.percent else a), (b / 100 if answer.percent else b)
        if a == b:
            return Equality("equal", "the same number (percent sign read as a hundredth)")
    for measured, bare, text in ((gold, answer, gold_text), (answer, gold, answer_text)):
        if unit_size(measured.unit) and not bare.unit and (unit := _unit_between(measured, bare.value)):
            return Equality("unknown", f"{_short(text)} is the other number in another unit ({unit}); it names none")
    if _rounds(gold, a, b) or _rounds(answer, b, a) or _noise(gold, answer):
        return Equality("equal", "the same number but for the rounding of a long decimal")
    return Equality("different", f"{names} are different numbers")


def same_time(gold: str, answer: str) -> Equality | None:
    """Whether two times of day are the same; None if they are not both times.

    Half a day counts where both sides name it, by a.m. and p.m. or by an hour after 12; a number alone is an hour where
    the other side names half a day. Words after that ("on Friday") are not checked, like other units.
    """
    sides = [re.sub(r"\\(?:text|mathrm)\b|\\[ ,;]|[{}~\s]+", " ", side).strip() for side in (gold, answer)]
    times = [_CLOCK.fullmatch(side) for side in sides]
    named = [t is not None and bool(t["half"]) for t in times]
    said = any(named) or any(t is not None and t["clock"] for t in times)
    if all(t is not None and _is_time(t, said) for t in times):
        (hours, minute), (other_hours, other_minute) = (_hours(t, any(named)) for t in times if t)
        if minute == other_minute and hours & other_hours:
            return Equality("equal", "the same time of day")
        return Equality("different", "different times of day")
    others = [side for side, is_named in zip(sides, named, strict=True) if not is_named]
    if len(others) < 2 and all(re.search("[0-9]", s) and re.search("[A-Za-z]{2}|^[^:]*[A-Za-z]", s) for s in others):
        return Equality("unknown", "one is a time of day, the other is something else")
    return None


def _is_time(written: re.Match[str], alone: bool) -> bool:
    """`alone`: a number that says nothing of a clock may be an hour."""
    if int(written["hour"]) > 24:
        return False
    if written["half"] or written["clock"]:
        return True
    return not written["rest"].strip(" .") and (alone or written["minute"] is not None)


def _hours(written: re.Match[str], halves: bool) -> tuple[set[int], int]:
    """The hours of the day it may mean, and the minute; the hour as written where no side names half a day."""
    hour, half = int(written["hour"]), (written["half"] or "").lower().removeprefix("in the ")
    minute = int(written["minute"] or 0)
    if not halves or not 1 <= hour <= 12:
        return {hour % 24}, minute
    if half:
        late = half.startswith(("p", "afternoon", "evening", "noon"))
        return {hour % 12 + 12 * late}, minute
    return {hour % 12, hour % 12 + 12}, minute


def _unit_between(measured: Number, bare: Fraction) -> str | None:
    """The unit in which the measured quantity is the bare number: 120 minutes are 2 hours."""
    known = unit_size(measured.unit)
    if known is None:
        return None
    units = _units_of(known[0]).items()
    return next((name for name, size in units if measured.value * known[1] == bare * size), None)


@lru_cache(maxsize=64)
def _units_of(dimension: str) -> dict[str, Fraction]:
    """All units of a dimension: those of the table, powers of a length, quotients."""
    top, _, bottom = dimension.partition("/")
    if bottom:
        return {
            f"{name}/{per}": size / part
            for name, size in _units_of(top).items()
            for per, part in _units_of(bottom).items()
        }
    units = {name: size for name, (d, size) in (_SIZES | _MORE_SIZES).items() if d == dimension}
    if top in ("length^2", "length^3"):
        units |= {f"{name}^{top[-1]}": size ** int(top[-1]) for name, size in _units_of("length").items()}
    return units


def _rounds(written: Number, value: Fraction, exact: Fraction) -> bool:
    """Whether `value`, written with six or more decimals, is what `exact`, which needs more, rounds or cuts to."""
    if written.decimals is None or written.decimals < 6 or written.digits < 6:
        return False
    scaled = exact * 10**written.decimals
    return scaled.denominator != 1 and abs(value - exact) < Fraction(1, 10**written.decimals)


def _noise(gold: Number, answer: Number) -> bool:
    """Whether they differ by less than a float's precision, where one is written like a float (12 or more digits)."""
    long = max(n.digits if n.decimals else 0 for n in (gold, answer))
    return long >= 12 and abs(gold.value - answer.value) <= abs(gold.value) / 10**12


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"
