"""A comparison in parts: by the arm of a study, by where a step stands in its chain, by source.

Arms tell of anchoring: whether people agree more with a scorer whose opinion they were shown. Each arm's number stands
beside that of the blind one, with their difference. The arm is drawn for each item and person, so that the two are not
the same items and nothing is paired; problems (and people) are drawn again for both at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from stepviz.agreement import first_errors as fe
from stepviz.agreement import step_labels as sl
from stepviz.agreement.opinions import Opinion
from stepviz.agreement.parts import Part
from stepviz.agreement.report import (
    NO_ERROR_SEEN,
    PROCESSBENCH,
    beyond_chance,
    categories,
    judges_of,
    shared,
    tables_of,
)
from stepviz.agreement.tables import Ask, Layers, Said

ARMS = ("blind", "scores", "pit")  # the first is what the others are set against
POSITIONS = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 8), (9, 12), (13, 20), (21, 10**6))
FIRSTS = {
    "same": Ask(fe.same),
    "exact": Ask(fe.exact, lambda _: NO_ERROR_SEEN, n=fe.both),
    "within_one": Ask(fe.within_one, lambda _: NO_ERROR_SEEN, n=fe.both),
}


def by_arm(a: Sequence[Opinion], b: Sequence[Opinion] | None) -> list[Part]:
    """Of people who were shown something or nothing against b (who sees no arm); of a group, pairs in one arm.

    [] where nobody was in an arm. Both sides in arms (two studies): pairs of the same arm.
    """
    names = tuple(arm for arm in ARMS if any(o.arm == arm for side in (a, b or ()) for o in side))

    def layers(x: Said, y: Said) -> Sequence[int]:
        given = {x.arm, y.arm} - {""}
        return [names.index(given.pop())] if len(given) == 1 and given <= set(names) else []

    return _parts(a, b, Layers(names, layers), lambda o: [o.arm] if o.arm else names, contrast="blind" in names)


def by_source(a: Sequence[Opinion], b: Sequence[Opinion] | None, sources: Mapping[str, Sequence[str]]) -> list[Part]:
    """sources: of a problem; one that several sources have counts in each."""
    names = tuple(sorted({name for o in a for name in sources.get(o.problem, ())}))
    place = {name: i for i, name in enumerate(names)}
    layers = Layers(names, lambda x, _: [place[name] for name in sources.get(x.problem, ())])
    return _parts(a, b, layers, lambda o: sources.get(o.problem, ()))


def by_position(a: Sequence[Opinion], b: Sequence[Opinion] | None) -> list[Part]:
    """Steps by their number: how many each calls errors, and how far they agree. Empty places are left out."""
    names = tuple(str(low) if low == high else f"{low}–{high}" for low, high in POSITIONS[:-1])
    names += (f"{POSITIONS[-1][0]}+",)
    place = {i: k for k, (low, high) in enumerate(POSITIONS[:-1]) for i in range(low, high + 1)}

    def at(step: int) -> int:
        return place.get(step, len(POSITIONS) - 1)

    two = b is not None
    rates = {"errors_a": Ask(sl.errors_of_a), "errors_b": Ask(sl.errors_of_b)} if two else {
        "errors": Ask(sl.errors_of_a, counted="things")
    }  # fmt: skip
    tables = tables_of(sl.said, a, b, 2, Layers(names, lambda x, _: [at(x.thing[1])]))
    found = tables.ask(rates | beyond_chance(two=two))
    spoken = _spoken(a, b)
    parts = []
    for k, name in enumerate(names):
        here = {chain: problem for (chain, step), problem in spoken.items() if at(step) == k}
        if here:
            numbers = {what: values.number(k) for what, values in found.items()}
            parts.append(Part(name, len(set(here.values())), len(here), tables.n[k], numbers))
    return parts


def _parts(
    a: Sequence[Opinion],
    b: Sequence[Opinion] | None,
    layers: Layers,
    names_of: Callable[[Opinion], Sequence[str]],
    *,
    contrast: bool = False,
) -> list[Part]:
    """contrast: each beside the first."""
    two = b is not None
    firsts = tables_of(fe.said, a, b, categories(a, b), layers)
    steps = tables_of(sl.said, a, b, 2, layers)
    asked = FIRSTS | ({"processbench_f1": PROCESSBENCH["f1"]} if two else {})
    found = firsts.ask(asked) | steps.ask(beyond_chance(two=two))
    parts = []
    for k, name in enumerate(layers.names):
        ours = [o for o in a if name in names_of(o)]
        theirs = None if b is None else [o for o in b if name in names_of(o)]
        chains = shared(ours, theirs, lambda o: o.chain)
        if not chains:
            continue
        differences = {what: values.difference(k, 0) for what, values in found.items()} if contrast and k else {}
        numbers = {what: values.number(k) for what, values in found.items()}
        parts.append(Part(name, len(shared(ours, theirs, lambda o: o.problem)), len(chains), steps.n[k], numbers,
                          differences))  # fmt: skip
    return parts


def _spoken(a: Sequence[Opinion], b: Sequence[Opinion] | None) -> dict[Hashable, str]:
    """(chain, step) → problem, where two said something."""
    ours, theirs = (
        judges_of((said.thing, said.judge) for said in sl.said(side)) for side in (a, a if b is None else b)
    )
    problem = {o.chain: o.problem for o in a}
    both = (thing for thing, who in ours.items() if thing in theirs and len(who | theirs[thing]) > 1)
    return {thing: problem[thing[0]] for thing in both}
