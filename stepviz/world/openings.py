"""How a story begins: what somebody has, and the quantities behind it.

Where an opening has several routes, they are natural ones: bags in all, or beads in each crate, first.
"""

from __future__ import annotations

from stepviz.world import words
from stepviz.world.numbers_that_fit import draw
from stepviz.world.story import Story


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
    s.at = s.derive(f"{s.hero}'s {s.items}", f"#{full}*#{y}", "times")
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
