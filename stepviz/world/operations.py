"""The operations a story is made of: each adds sentences, givens, derived quantities and their derivations.

Kinds (the `kind` of a derivation): add, take, times, share, fraction, percent, rate, unit, compare, difference.
Where an operation has several routes, they are natural ones: bags in all, or beads in each crate, first.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from stepviz.world import words
from stepviz.world.story import Story, Unusable

Operation = Callable[[Story], None]


def divisors(value: Fraction, low: int, high: int) -> list[int]:
    if value.denominator != 1:
        return []
    return [d for d in range(low, high + 1) if value.numerator % d == 0 and value.numerator // d >= 2]


def draw(s: Story, low: int, high: int) -> int:
    if high < low:
        raise Unusable("no number fits")
    return s.rng.randint(low, high)


def pick(s: Story, numbers: list[int]) -> int:
    if not numbers:
        raise Unusable("no number fits")
    return s.rng.choice(numbers)


def need(s: Story, *kinds: str) -> None:
    if s.kind not in kinds:
        raise Unusable(s.kind)


# roots: where a story begins


def root_has(s: Story) -> None:
    a = draw(s, 8, 60)
    s.at = s.given(f"{s.hero}'s {s.items}", a)
    s.text("{P} has {a} {I}.", "{P} owns {a} {I}.", "There are {a} {I} on {P}'s desk.", a=a)


def root_sum(s: Story) -> None:
    first, second = s.trait(), s.trait()
    a, b = draw(s, 6, 70), draw(s, 6, 70)
    x, y = s.given(f"{first} {s.items}", a), s.given(f"{second} {s.items}", b)
    s.text(
        "{P} has {a} {f} {I} and {b} {g} {I}.", "{P} finds {a} {f} {I} and {b} {g} {I}.", a=a, b=b, f=first, g=second
    )
    s.at = s.derive(f"{s.hero}'s {s.items}", f"#{x}+#{y}", "add", f"#{x}-#{y}" if a > b else f"#{y}-#{x}")


def root_bags(s: Story) -> None:
    one, many = s.container()
    a, b = draw(s, 3, 12), draw(s, 4, 24)
    x, y = s.given(many, a), s.given(f"{s.items} a {one}", b)
    s.text("{P} has {a} {c} with {b} {I} each.", "{P} buys {a} {c} of {b} {I}.", a=a, b=b, c=many)
    s.at = s.derive(f"{s.hero}'s {s.items}", f"#{x}*#{y}", "times", f"#{x}+#{y}")


def root_crates(s: Story) -> None:
    one, many = s.container()
    crate, crates = s.rng.choice(words.CRATES)
    a, b, c = draw(s, 2, 9), draw(s, 3, 9), draw(s, 3, 15)
    x, y, z = s.given(crates, a), s.given(f"{many} a {crate}", b), s.given(f"{s.items} a {one}", c)
    s.text(
        "{P} has {a} {C} with {b} {c} each. Every {o} holds {n} {I}.",
        "There are {a} {C} at {P}'s house. A {k} holds {b} {c}, and a {o} holds {n} {I}.",
        a=a, b=b, n=c, C=crates, c=many, o=one, k=crate,
    )  # fmt: skip
    bags = s.derive(f"{many} in all", f"#{x}*#{y}", "times", f"#{x}+#{y}")
    each = s.derive(f"{s.items} in each {crate}", f"#{y}*#{z}", "times", f"#{y}+#{z}")
    s.at = s.derive(f"{s.hero}'s {s.items}", f"#{bags}*#{z}", "times")
    s.also(s.at, f"#{x}*#{each}", "times")


def root_mixed(s: Story) -> None:
    one, many = s.container()
    first, second = s.trait(), s.trait()
    n, p, q = draw(s, 3, 9), draw(s, 3, 19), draw(s, 3, 19)
    x = s.given(many, n)
    y, z = s.given(f"{first} {s.items} a {one}", p), s.given(f"{second} {s.items} a {one}", q)
    s.text(
        "{P} has {n} {c}. Each holds {p} {f} and {q} {g} {I}.",
        "{P} fills {n} {c} with {p} {f} {I} and {q} {g} {I} each.",
        n=n, p=p, q=q, c=many, f=first, g=second,
    )  # fmt: skip
    each = s.derive(f"{s.items} in each {one}", f"#{y}+#{z}", "add")
    reds, blues = (
        s.derive(f"{first} {s.items} in all", f"#{x}*#{y}", "times"),
        s.derive(f"{second} {s.items} in all", f"#{x}*#{z}", "times"),
    )
    s.at = s.derive(f"{s.hero}'s {s.items}", f"#{x}*#{each}", "times", f"#{y}+#{z}+#{x}")
    s.also(s.at, f"#{reds}+#{blues}", "add")


def root_empty_bags(s: Story) -> None:
    """Some bags are empty: count the full ones first, or take the missing things away at the end."""
    one, many = s.container()
    a, b = draw(s, 6, 19), draw(s, 4, 19)
    d = draw(s, 2, a - 3)
    x, y, z = s.given(many, a), s.given(f"{s.items} a {one}", b), s.given(f"empty {many}", d)
    s.text(
        "{P} has {a} {c} for {b} {I} each, but {d} of the {c} are empty and the others full.",
        "A {o} holds {b} {I}. {P} has {a} {c}, of which {d} are empty and the others full.",
        a=a, b=b, c=many, d=d, o=one,
    )  # fmt: skip
    full = s.derive(f"full {many}", f"#{x}-#{z}", "take", f"#{x}+#{z}")
    room, missing = (
        s.derive(f"{s.items} if all were full", f"#{x}*#{y}", "times"),
        s.derive(f"missing {s.items}", f"#{z}*#{y}", "times"),
    )
    s.at = s.derive(f"{s.hero}'s {s.items}", f"#{full}*#{y}", "times", f"#{x}*#{y}")
    s.also(s.at, f"#{room}-#{missing}", "take")


def root_two_packs(s: Story) -> None:
    (one, many), (two, others) = s.container(), s.container()
    a, b, c, d = draw(s, 2, 9), draw(s, 3, 15), draw(s, 2, 9), draw(s, 3, 15)
    w, x = s.given(many, a), s.given(f"{s.items} a {one}", b)
    y, z = s.given(others, c), s.given(f"{s.items} a {two}", d)
    s.text("{P} has {a} {m} of {b} {I} and {c} {o} of {d}.", a=a, b=b, c=c, d=d, m=many, o=others)
    first = s.derive(f"{s.items} in {many}", f"#{w}*#{x}", "times", f"#{w}+#{x}")
    second = s.derive(f"{s.items} in {others}", f"#{y}*#{z}", "times", f"#{y}+#{z}")
    s.at = s.derive(f"{s.hero}'s {s.items}", f"#{first}+#{second}", "add")
    s.derive(f"{many} and {others}", f"#{w}+#{y}", "add")


# things counted


def day_add(s: Story) -> None:
    need(s, "count")
    day, g, x = s.day(), draw(s, 5, 80), s.at
    y = s.given(f"new {s.items} on {day}", g)
    s.text(
        "On {d} {he} buys {g} more {I}.", "On {d} {he} finds {g} more.", "{P} gets another {g} {I} on {d}.", d=day, g=g
    )
    s.at = s.derive(f"{s.items} on {day}", f"#{x}+#{y}", "add")


def day_take(s: Story) -> None:
    need(s, "count")
    day, x = s.day(), s.at
    g = draw(s, 3, int(s.value) - 4)
    y = s.given(f"{s.items} gone on {day}", g)
    s.text(
        "On {d} {he} gives {g} of them away.", "{P} loses {g} {I} on {d}.", "On {d} {he} sells {g} of them.", d=day, g=g
    )
    s.at = s.derive(f"{s.items} left on {day}", f"#{x}-#{y}", "take", f"#{x}+#{y}")


def take_two(s: Story) -> None:
    need(s, "count")
    s.once("take_two")
    x = s.at
    a = draw(s, 3, int(s.value) // 2)
    b = draw(s, 3, int(s.value) - a - 3)
    (p, _), (q, _) = s.people[-2], s.people[-1]
    y, z = s.given(f"{s.items} for {p}", a), s.given(f"{s.items} for {q}", b)
    s.text(
        "{p} takes {a} of them and {q} takes {b}.", "{P} gives {a} of them to {p} and {b} to {q}.", a=a, b=b, p=p, q=q
    )
    both = s.derive(f"{s.items} taken", f"#{y}+#{z}", "add")
    one = s.derive(f"{s.items} after {p}", f"#{x}-#{y}", "take")
    s.at = s.derive(f"{s.items} still there", f"#{x}-#{both}", "take", f"#{x}+#{both}")
    s.also(s.at, f"#{one}-#{z}", "take")


def day_times(s: Story) -> None:
    need(s, "count")
    day, x, k = s.day(), s.at, draw(s, 2, 6)
    y = s.given(f"times on {day}", k)
    s.text("By {d} {he} has {k} times as many.", "By {d} the number of {I} is {k} times as large.", d=day, k=k)
    s.at = s.derive(f"{s.items} on {day}", f"#{x}*#{y}", "times", f"#{x}+#{y}")


def both(s: Story, x: int, old: str, new: str) -> None:
    """Now and then the two people's things may be counted together, which leads nowhere: a redundant step."""
    if s.rng.random() < 0.3:
        s.derive(f"{s.items} of {old} and {new}", f"#{x}+#{s.at}", "add")


def compare_more(s: Story) -> None:
    need(s, "count")
    old, x, g = s.hero, s.at, draw(s, 4, 60)
    new = s.next_person()
    y = s.given(f"{s.items} more for {new}", g)
    if s.rng.random() < 0.5:
        s.text("{n} has {g} more {I} than {o} has now.", "{n} owns {g} {I} more than {o} now does.", n=new, o=old, g=g)
        s.at = s.derive(f"{new}'s {s.items}", f"#{x}+#{y}", "compare", f"#{x}-#{y}")
    else:
        s.text("That is {g} more {I} than {n} has.", "{o} now has {g} {I} more than {n}.", n=new, o=old, g=g)
        s.at = s.derive(f"{new}'s {s.items}", f"#{x}-#{y}", "compare", f"#{x}+#{y}")
    both(s, x, old, new)


def compare_fewer(s: Story) -> None:
    need(s, "count")
    old, x, g = s.hero, s.at, draw(s, 4, 60)
    new = s.next_person()
    y = s.given(f"{s.items} fewer for {new}", g)
    if s.rng.random() < 0.5:
        s.text(
            "{n} has {g} fewer {I} than {o} has now.", "{n} owns {g} {I} fewer than {o} now does.", n=new, o=old, g=g
        )
        s.at = s.derive(f"{new}'s {s.items}", f"#{x}-#{y}", "compare", f"#{x}+#{y}")
    else:
        s.text("That is {g} fewer {I} than {n} has.", "{o} now has {g} {I} fewer than {n}.", n=new, o=old, g=g)
        s.at = s.derive(f"{new}'s {s.items}", f"#{x}+#{y}", "compare", f"#{x}-#{y}")
    both(s, x, old, new)


def compare_times(s: Story) -> None:
    need(s, "count")
    old, x = s.hero, s.at
    new = s.next_person()
    if s.rng.random() < 0.6:
        k = draw(s, 2, 8)
        y = s.given(f"times for {new}", k)
        s.text("{n} has {k} times as many {I} as {o} has now.", n=new, o=old, k=k)
        s.at = s.derive(f"{new}'s {s.items}", f"#{x}*#{y}", "compare", f"#{x}/#{y}")
    else:
        k = pick(s, divisors(s.value, 2, 8))
        y = s.given(f"times for {new}", k)
        s.text(
            "That is {k} times as many {I} as {n} has.", "{o} now has {k} times as many {I} as {n}.", n=new, o=old, k=k
        )
        s.at = s.derive(f"{new}'s {s.items}", f"#{x}/#{y}", "compare", f"#{x}*#{y}")


def together(s: Story) -> None:
    """Someone's things at first and those of the person now are put together."""
    need(s, "count")
    earlier = [i for i, q in enumerate(s.quantities) if q.name.endswith(f"'s {s.items}") and i != s.at]
    if not earlier or not s.quantities[s.at].name.endswith(f"'s {s.items}"):
        raise Unusable("nobody to join with")
    x, y = s.rng.choice(earlier), s.at
    old = s.quantities[x].name.split("'s ")[0]
    s.once("together")
    s.text(
        "{P}'s {I} and the {I} {o} had at first are put together.",
        "The {I} {o} had at first and those of {P} go into one pile.",
        o=old,
    )
    s.at = s.derive(f"{s.items} together", f"#{x}+#{y}", "add")


def trait_part(s: Story) -> None:
    """A fraction has a trait; the story goes on with these, or with the others (two routes)."""
    need(s, "count")
    trait, x = s.trait(), s.at
    low, high = s.rng.choice([(1, 2), (1, 3), (2, 3), (1, 4), (3, 4), (2, 5), (3, 5), (1, 5)])
    if s.value % high:
        raise Unusable("no whole part")
    share = f"{low}/{high}"
    s.text("{f} of them are {t}.", "{f} of the {I} are {t}.", f=share, t=trait)
    part = s.derive(f"{trait} {s.items}", f"#{x}*{share}", "fraction")
    rest = s.derive(f"{s.items} not {trait}", f"#{x}-#{part}", "take", f"#{x}+#{part}")
    s.also(rest, f"#{x}*{high - low}/{high}", "fraction")
    if s.rng.random() < 0.5:
        s.at = rest
        s.text("{P} keeps those and gives the {t} ones away.", "{P} throws the {t} ones out.", t=trait)
    else:
        s.at = part
        s.text("{P} keeps only the {t} ones.", t=trait)


def percent_part(s: Story) -> None:
    need(s, "count", "money")
    money = s.kind == "money"
    s.once("percent")
    x, p = s.at, s.rng.choice([10, 20, 30, 40, 60, 70, 80, 90, 25, 75, 5, 15, 35])
    y = s.given("percent off" if money else "percent lost", p)
    noun = "dollars" if money else s.items
    if money:
        s.text("{p}% of it goes to the school.", "{He} pays {p}% of the money as tax.", p=p)
    else:
        s.text("{p}% of the {I} are lost.", "{p}% of them get lost on the way.", p=p)
    part = s.derive(f"lost {noun}", f"#{x}*#{y}/100", "percent", money=money)
    other = s.derive("percent kept", f"100-#{y}", "percent")
    s.at = s.derive(f"{noun} kept", f"#{x}-#{part}", "take", f"#{x}-#{y}", money=money)
    s.also(s.at, f"#{x}*#{other}/100", "percent")


def share_out(s: Story) -> None:
    need(s, "count", "money")
    money = s.kind == "money"
    group = s.rng.choice(words.GROUPS)
    one = words.singular(group)
    x, k = s.at, pick(s, divisors(s.value, 2, 12))
    y = s.given(group, k)
    noun = "dollars" if money else s.items
    what = "the money" if money else "them"
    s.text("{k} {G} share {w} equally.", "{P} shares {w} equally among {k} {G}.", k=k, G=group, w=what)
    s.at = s.derive(f"{noun} for each {one}", f"#{x}/#{y}", "share", f"#{x}-#{y}", money=money)
    s.kind = "each"


def pack(s: Story) -> None:
    need(s, "count")
    s.once("pack")
    one, many = s.container()
    x = s.at
    if s.rng.random() < 0.5:
        k = pick(s, divisors(s.value, 2, 15))
        y = s.given(f"{s.items} packed a {one}", k)
        s.text("{P} packs them into {c} of {k}.", "{P} puts {k} of them into every {o}.", k=k, c=many, o=one)
        s.at = s.derive(f"full {many}", f"#{x}/#{y}", "share", f"#{x}*#{y}")
        price = draw(s, 2, 30)
        z = s.given(f"price of a {one}", price, money=True)
        s.text("A full {o} sells for ${p}.", "{P} sells each full {o} for ${p}.", p=price, o=one)
        s.at = s.derive("dollars earned", f"#{s.at}*#{z}", "rate", f"#{x}*#{z}", money=True)
        s.kind = "money"
    else:
        k = pick(s, divisors(s.value, 2, 12))
        y = s.given(many, k)
        s.text("{P} packs them equally into {k} {c}.", "They fit exactly into {k} equal {c}.", k=k, c=many)
        s.at = s.derive(f"{s.items} in each {one}", f"#{x}/#{y}", "share", f"#{x}-#{y}")
        s.kind = "each"


# money and time


def sell(s: Story) -> None:
    need(s, "count")
    s.once("money")
    price = Fraction(s.rng.choice([1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14])) / s.rng.choice([1, 1, 1, 2, 4])
    x = s.at
    y = s.given(f"price of a {words.singular(s.items)}", price, money=True)
    s.text("{P} sells the {I} for ${p} each.", "Each {i} is then sold for ${p}.", p=price)
    s.at = s.derive("dollars earned", f"#{x}*#{y}", "rate", f"#{x}+#{y}", money=True)
    s.kind = "money"
    by_parts(s, x, y)


def by_parts(s: Story, x: int, price: int) -> None:
    """What was added or taken away can also be counted in money one by one: (a + b)·p = a·p + b·p."""
    found = [d for d in s.derivations if d.target == x and d.kind in ("add", "take") and "*" not in d.expr]
    if not found or found[0].expr.count("#") != 2 or s.rng.random() < 0.2:
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


ROOTS: tuple[tuple[Operation, int], ...] = (
    (root_has, 3), (root_sum, 1), (root_bags, 2), (root_crates, 10), (root_mixed, 12), (root_empty_bags, 12),
    (root_two_packs, 2),
)  # fmt: skip

MIDDLE: tuple[tuple[Operation, int], ...] = (
    (day_add, 3), (day_take, 3), (take_two, 2), (day_times, 1), (compare_more, 3), (compare_fewer, 3),
    (compare_times, 2), (together, 4), (trait_part, 4), (percent_part, 3), (share_out, 2), (pack, 2), (sell, 8),
    (pay_cost, 2), (tip, 1), (two_costs, 2), (work_hours, 2), (to_minutes, 2), (wages, 3),
)  # fmt: skip
