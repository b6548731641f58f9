"""What may happen to things that are counted: days, people, comparisons, parts, shares, packs."""

from __future__ import annotations

from stepviz.world import words
from stepviz.world.numbers_that_fit import divisors, draw, need, pick
from stepviz.world.story import Story, Unusable


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
    x, p = s.at, s.rng.choice([10, 10, 20, 20, 30, 40, 60, 70, 80, 80, 90, 90, 25, 75])
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
