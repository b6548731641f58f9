"""A comparison in parts, as values: by arm, by step position, by source, and beside the human ceiling.

`split_up` and `ceiling` make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stepviz.agreement.tables import Number


@dataclass(frozen=True, slots=True)
class Part:
    """name: "blind", "3", "6–10", "gsm8k". problems, chains, steps: of which both spoke here.

    numbers: by name; differences: each minus that of the first part (of arms: of what is blind), by the same draws;
    {} in the first part itself, and where parts are not set against each other.
    """

    name: str
    problems: int
    chains: int
    steps: int
    numbers: Mapping[str, Number]
    differences: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """Of the ceiling's table. kind: "pair" (of people), "pairs" (all of them), "others" (a person against the
    adjudicated others), "scorer" (the same person against the scorer, on the same items), "stand-in" (the scorer
    against those others, on the same items). `a` and `b` name the two; "" is everybody, pooled. person: whose row
    "others", "scorer" and "stand-in" is; "" pooled.

    items: chains, of rows of people (person, chain). numbers: same, exact, within_one (first errors), agreement, kappa,
    alpha (steps). differences: of a "scorer" or "stand-in" row its numbers less those of the "others" row: below 0
    people agree better with each other than with the scorer.
    """

    kind: str
    a: str
    b: str
    items: int
    steps: int
    numbers: Mapping[str, Number]
    differences: Mapping[str, Number] = field(default_factory=dict)
    person: str = ""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """rows: pooled ones first. references: how many (person, chain) were held against an adjudicated label, against
    the majority of the others, and how many not at all, since those are tied from the first step on.

    left_out: rows of single people and pairs that are not shown, of fewest items.
    """

    rows: tuple[Row, ...]
    references: Mapping[str, int]
    left_out: int = 0
