"""From things to money and time: selling, costs, rates, wages."""

from __future__ import annotations

from fractions import Fraction

from stepviz.world import words
from stepviz.world.numbers_that_fit import divisors, draw, need, pick
from stepviz.world.story import Story, Unusable


def sell(s: Story) -> None:
    need(s, "count")
    s.once("money")
    price = Fraction(s.rng.choice([1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14])) / s.rng.choice([1, 1, 1, 2])
    x = s.at
    y = s.given(f"price of a {words.singular(s.items)}", price, money=True)
    s.text("{P} sells the {I} for ${p} each.", "Each {i} is then sold for ${p}.", p=price)
    s.at = s.derive("dollars earned", f"#{x}*#{y}", "rate", f"#{x}+#{y}", money=True)
    s.kind = "money"
    by_parts(s, x, y)


def by_parts(s: Story, x: int, price: int) -> None:
    """What was added or taken away can also be counted in money one by one: (a + b)·p = a·p + b·p."""
    found = [d for d in s.derivations if d.target == x and d.kind in ("add", "take") and "*" not in d.expr]
    if not found or found[0].expr.count("#") != 2:
        return
    symbol = "+" if "+" in found[0].expr else "-"
    pieces = [int(ref.lstrip("#")) for ref in found[0].expr.split(symbol)]
    a, b = (s.derive(f"dollars for {s.quantities[i].name}", f"#{i}*#{price}", "rate", money=True) for i in pieces)
    s.also(s.at, f"#{a}{symbol}#{b}", found[0].kind)


def pay_cost(s: Story) -> None:
    need(s, "money")
    cost = s.rng.choice(words.COSTS)
    x, g = s.at, draw(s, 2, int(s.value) - 2)
    y = s.given(f"cost of the {cost}", g, money=True)
    s.text("The {c} costs ${g}.", "{P} pays ${g} for the {c}.", c=cost, g=g)
    s.at = s.derive(f"dollars after the {cost}", f"#{x}-#{y}", "take", f"#{x}+#{y}", money=True)


def tip(s: Story) -> None:
    need(s, "money")
    s.once("tip")
    giver = s.people[-3][0]
    x, g = s.at, draw(s, 3, 60)
    y = s.given(f"gift from {giver}", g, money=True)
    s.text("{q} adds ${g} to it.", "{q} gives {P} ${g} more.", q=giver, g=g)
    s.at = s.derive(f"dollars with {giver}'s gift", f"#{x}+#{y}", "add", money=True)


def two_costs(s: Story) -> None:
    need(s, "money")
    s.once("two_costs")
    c1, c2 = s.rng.sample(words.COSTS, 2)
    x = s.at
    a = draw(s, 2, int(s.value) // 2)
    b = draw(s, 2, int(s.value) - a - 2)
    y, z = s.given(f"cost of the {c1}", a, money=True), s.given(f"cost of the {c2}", b, money=True)
    s.text(
        "{P} pays ${a} for the {c} and ${b} for the {d}.", "The {c} costs ${a} and the {d} ${b}.", a=a, b=b, c=c1, d=c2
    )
    both = s.derive("dollars spent", f"#{y}+#{z}", "add", money=True)
    one = s.derive(f"dollars after the {c1}", f"#{x}-#{y}", "take", money=True)
    s.at = s.derive("dollars left", f"#{x}-#{both}", "take", f"#{x}+#{both}", money=True)
    s.also(s.at, f"#{one}-#{z}", "take")


def work_hours(s: Story) -> None:
    """A rate: so many an hour; the story goes on in hours, minutes or pay."""
    need(s, "count")
    s.once("hours")
    x, k = s.at, pick(s, divisors(s.value, 2, 15))
    y = s.given(f"{s.items} an hour", k)
    s.text("{P} can paint {k} {I} an hour.", "A machine cleans {k} {I} an hour.", k=k)
    s.at = s.derive("hours of work", f"#{x}/#{y}", "rate", f"#{x}*#{y}")
    s.kind = "hours"


def to_minutes(s: Story) -> None:
    need(s, "hours")
    if s.value * 60 > 999:
        raise Unusable("too long")
    s.at = s.derive("minutes of work", f"#{s.at}*60", "unit")
    s.kind = "minutes"


def wages(s: Story) -> None:
    need(s, "hours")
    s.once("money")
    w = s.rng.choice([4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15])
    x, y = s.at, s.given("pay an hour", w, money=True)
    s.text("An hour of this work is paid ${w}.", "{He} earns ${w} an hour.", w=w)
    s.at = s.derive("dollars of pay", f"#{x}*#{y}", "rate", money=True)
    s.kind = "money"
