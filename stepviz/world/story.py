"""A story under construction: sentences, quantities and derivations, added one operation at a time."""

from __future__ import annotations

import random
from copy import copy
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

from stepviz.world import words
from stepviz.world.expressions import evaluate, number_text, parse
from stepviz.world.graph import Derivation, Quantity

LARGEST = 999


class Unusable(Exception):
    """These numbers or words do not fit; the generator draws again."""


@dataclass
class Story:
    """What operations build on. `at` is the quantity the story has arrived at; `kind` says what it counts."""

    rng: random.Random
    items: str
    people: list[tuple[str, str]]
    days: list[str]
    traits: list[str]
    containers: list[tuple[str, str]]
    quantities: list[Quantity] = field(default_factory=list)
    derivations: list[Derivation] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    at: int = -1
    kind: str = "count"  # "count", "money", "hours", "minutes", "each": what may come next
    chance: float = 1.0  # of the path of operations taken so far, by their weights
    used: set[str] = field(default_factory=set)  # operations that happen once a story

    @staticmethod
    def new(rng: random.Random) -> Story:
        first_day = rng.randrange(3)
        return Story(
            rng,
            rng.choice(words.ITEMS),
            rng.sample(words.PEOPLE, 6),
            list(words.DAYS[first_day:]),
            rng.sample(words.TRAITS, 6),
            rng.sample(words.CONTAINERS, 4),
        )

    @property
    def value(self) -> Fraction:
        return self.quantities[self.at].value

    @property
    def hero(self) -> str:
        return self.people[0][0]

    @property
    def pronoun(self) -> str:
        return self.people[0][1]

    def text(self, *variants: str, **numbers: Fraction | int | str) -> None:
        """One of the variants becomes the next sentence; {names} are put in."""
        sentence = self.rng.choice(variants)
        for key, value in numbers.items():
            shown = number_text(Fraction(value)) if isinstance(value, Fraction | int) else value
            sentence = sentence.replace("{" + key + "}", shown)
        for key, value in (("P", self.hero), ("he", self.pronoun), ("He", self.pronoun.capitalize())):
            sentence = sentence.replace("{" + key + "}", value)
        sentence = sentence.replace("{I}", self.items).replace("{i}", words.singular(self.items))
        assert "{" not in sentence, sentence
        self.sentences.append(sentence)

    def given(self, name: str, value: Fraction | int, distractor: bool = False, money: bool = False) -> int:
        self.quantities.append(Quantity(name, Fraction(value), given=True, distractor=distractor, money=money))
        return len(self.quantities) - 1

    def derive(self, name: str, expr: str, kind: str, *misread: str, money: bool = False) -> int:
        """A new quantity by one operation; refuses values this world does not speak of."""
        tree = parse(expr)
        value = evaluate(tree, {i: q.value for i, q in enumerate(self.quantities)}) if tree else None
        if value is None or value <= 0 or value > LARGEST or (value * 10).denominator != 1:
            raise Unusable(expr)
        if not money and value.denominator != 1:
            raise Unusable(expr)
        if any(q.name == name for q in self.quantities):
            raise Unusable(name)
        self.quantities.append(Quantity(name, value, money=money))
        self.derivations.append(Derivation(len(self.quantities) - 1, expr, kind, misread))
        return len(self.quantities) - 1

    def also(self, target: int, expr: str, kind: str) -> None:
        """A second valid derivation of a quantity: another route."""
        self.derivations.append(Derivation(target, expr, kind))

    def once(self, name: str) -> None:
        if name in self.used:
            raise Unusable(name)
        self.used.add(name)

    def day(self) -> str:
        if not self.days:
            raise Unusable("the week is over")
        return self.days.pop(0)

    def trait(self) -> str:
        if not self.traits:
            raise Unusable("no trait is left")
        return self.traits.pop()

    def container(self) -> tuple[str, str]:
        if not self.containers:
            raise Unusable("no container is left")
        return self.containers.pop()

    def next_person(self) -> str:
        """Another person takes over; the one before steps back."""
        if len(self.people) < 2:
            raise Unusable("nobody is left")
        self.people.append(self.people.pop(0))
        return self.hero

    def snapshot(self) -> dict[str, Any]:
        """All that an operation may change; lists are copied."""
        return {f.name: copy(getattr(self, f.name)) for f in fields(self) if f.name != "rng"}

    def restore(self, before: dict[str, Any]) -> None:
        for name, value in before.items():
            setattr(self, name, value)
