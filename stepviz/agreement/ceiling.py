"""The human ceiling: how far people agree with each other, beside how far they agree with a scorer on the same items.

No scorer can be expected to agree more with a person than people do. Three ways to look at people who labelled the same
chains: every two of them; each against the adjudicated others (leave one out); and the scorer in that person's place,
against those same others. The last two are on the same items, so that they can be set against each other.

What the others say is the study's adjudicated label where a chain has one, else the majority of the others, step by
step: a tie is missing, and so is what follows it where what follows a first error is. Each of two people has one
other: then a majority is what that one says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

from stepviz.agreement import coefficients as co
from stepviz.agreement import first_errors as fe
from stepviz.agreement import step_labels as sl
from stepviz.agreement.opinions import BAD, GOOD, Opinion, of_ratings
from stepviz.agreement.parts import Ceiling, Row
from stepviz.agreement.report import NO_ERROR_SEEN, categories
from stepviz.agreement.resampling import Number, Values, several
from stepviz.agreement.tables import Ask, Said, Tables, among, by_thing, paired

MOST = 45  # rows of pairs, and of people: ten people have so many pairs
LEAST = 2  # chains that a pair or a person has to have in common with others for a row of their own
POOLED = "of all pairs there is no first and no second judge: see alpha"
FIRSTS = {
    "same": Ask(fe.same),
    "exact": Ask(fe.exact, lambda _: NO_ERROR_SEEN, n=fe.both),
    "within_one": Ask(fe.within_one, lambda _: NO_ERROR_SEEN, n=fe.both),
}
STEPS = {
    "agreement": Ask(co.observed),
    "kappa": Ask(co.kappa, co.why_no_kappa),
    "alpha": Ask(co.alpha, co.why_no_alpha, "labels"),
}
Named = tuple[str, str]  # a row's `a` and `b`


def ceiling(
    people: Sequence[Opinion],
    scorer: Sequence[Opinion] = (),
    adjudicated: Sequence[Opinion] = (),
    *,
    name: str = "",
    to_first: bool = True,
) -> Ceiling | None:
    """scorer: the opinions of one judge, called `name`; () for people alone. to_first: as the opinions were made.

    None where no chain was labelled by two people.
    """
    chains: dict[str, list[Opinion]] = defaultdict(list)
    for opinion in people:
        chains[opinion.chain].append(opinion)
    together = {chain: said for chain, said in chains.items() if len(said) > 1}
    others, references = _others(chains, adjudicated, to_first)
    if not together and not others:
        return None
    pairs, left_pairs = _pairs(together)
    alone, left_people = _each(people, others, scorer, adjudicated, name)
    pooled = _all_pairs([o for said in together.values() for o in said])
    return Ceiling((*pooled, *alone, *pairs), references, left_pairs + left_people)


def items(
    people: Sequence[Opinion],
    scorer: Sequence[Opinion] = (),
    adjudicated: Sequence[Opinion] = (),
    *,
    kind: str,
    who: frozenset[str] = frozenset(),
    to_first: bool = True,
) -> list[Opinion]:
    """The items of a row of the ceiling's table, one opinion each. who: the pair, or the person; everybody: empty."""
    chains: dict[str, list[Opinion]] = defaultdict(list)
    for opinion in people:
        chains[opinion.chain].append(opinion)
    if kind in ("pair", "pairs"):
        found = (said for said in chains.values() if len(said) > 1 and who <= {o.judge for o in said})
        return [said[0] for said in found]
    others, _ = _others(chains, adjudicated, to_first)
    return [o for o, _ in _beside(people, others, scorer) if not who or o.judge in who]


def majority(problem: str, chain: str, judge: str, said: Sequence[Opinion], *, to_first: bool = True) -> Opinion:
    """Step by step what most of those say who say something; ties, and with to_first what follows one, are missing."""
    steps: list[int | None] = []
    for labels in zip(*(o.steps for o in said), strict=True):
        wrong, fine = sum(x == BAD for x in labels), sum(x is not None and x != BAD for x in labels)
        steps.append(BAD if wrong > fine else GOOD if fine > wrong else None)
        if to_first and steps[-1] != GOOD:
            break
    steps += [None] * (len(said[0].steps) - len(steps))
    return of_ratings(problem, chain, judge, steps, to_first=to_first)


def _all_pairs(people: Sequence[Opinion]) -> list[Row]:
    if not people:
        return []
    firsts = among(fe.said(people), categories(people)).ask(FIRSTS)
    steps = among(sl.said(people), 2)
    found = {name: values.number() for name, values in (firsts | steps.ask(STEPS)).items()}
    found["kappa"] = Number(None, n=found["agreement"].n, why=POOLED)
    return [Row("pairs", "", "", len({o.chain for o in people}), steps.n[0], found)]


def _pairs(chains: dict[str, list[Opinion]]) -> tuple[list[Row], int]:
    """Each two people, those with the most chains in common first; and how many pairs are left out."""
    common = Counter(pair for said in chains.values() for pair in combinations(sorted(o.judge for o in said), 2))
    shown = [pair for pair, n in common.most_common(MOST) if n >= LEAST]
    place = {pair: i for i, pair in enumerate(shown)}
    people = [o for said in chains.values() for o in said]

    def tables(said: Callable[[Iterable[Opinion]], list[Said]], size: int) -> Tables:
        sides = (sorted(labels, key=lambda one: one.judge) for labels in by_thing(said(people)).values())
        found = [
            (x, y, (place[x.judge, y.judge],))
            for labels in sides
            for x, y in combinations(labels, 2)
            if (x.judge, y.judge) in place
        ]
        return paired(found, size, tuple(map("–".join, shown)))

    if not shown:
        return [], len(common)
    firsts, steps = tables(fe.said, categories(people)), tables(sl.said, 2)
    found = firsts.ask(FIRSTS) | steps.ask(STEPS)
    rows = [Row("pair", *pair, common[pair], steps.n[i], _numbers(found, i)) for pair, i in place.items()]
    return rows, len(common) - len(shown)


def _others(
    chains: dict[str, list[Opinion]], adjudicated: Sequence[Opinion], to_first: bool
) -> tuple[dict[Named, Opinion], dict[str, int]]:
    """(chain, person) → what the others say of it; and how many of these were had which way."""
    ruled = {o.chain: o for o in adjudicated}
    found: dict[Named, Opinion] = {}
    how = {"adjudicated": 0, "majority": 0, "tied": 0}
    for chain, said in chains.items():
        for own in said:
            others = [o for o in said if o.judge != own.judge]
            reference, way = ruled.get(chain), "adjudicated"
            if reference is None and not others:
                continue
            if reference is None:
                reference, way = majority(own.problem, chain, "others", others, to_first=to_first), "majority"
            if all(label is None for label in reference.steps):
                how["tied"] += 1
                continue
            how[way] += 1
            found[chain, own.judge] = reference
    return found, how


def _each(
    people: Sequence[Opinion],
    others: Mapping[Named, Opinion],
    scorer: Sequence[Opinion],
    adjudicated: Sequence[Opinion],
    name: str,
) -> tuple[list[Row], int]:
    """Pooled and of each person: against the others, and with a scorer both comparisons on the same items."""
    judged = {o.chain: o for o in scorer}
    own = _beside(people, others, scorer)
    if not own:
        return [], 0
    kinds = ("others", "scorer", "stand-in") if scorer else ("others",)
    each = Counter(o.judge for o, _ in own)
    shown = [person for person, n in each.most_common(MOST) if n >= LEAST]
    persons = {person: i for i, person in enumerate(shown)}
    rows: list[Row] = []
    for pooled in (True, False):
        places = {"": 0} if pooled else persons
        if not places:
            continue
        firsts, steps = (
            _same_items(said, own, judged, kinds, {} if pooled else persons, size)
            for said, size in ((fe.said, categories(people, scorer, adjudicated)), (sl.said, 2))
        )
        found = firsts.ask(FIRSTS) | steps.ask(STEPS)
        for person, i in places.items():
            names = [(person, "others"), (person, name), (name, "others")]
            for k, kind in enumerate(kinds):
                layer = k * len(places) + i
                less = {what: values.difference(layer, i) for what, values in found.items()} if k else {}
                items = len(own) if pooled else each[person]
                rows.append(Row(kind, *names[k], items, steps.n[layer], _numbers(found, layer), less, person))
    return rows, len(each) - len(shown)


def _beside(
    people: Sequence[Opinion], others: Mapping[Named, Opinion], scorer: Sequence[Opinion]
) -> list[tuple[Opinion, Opinion]]:
    """What each person and the others say, of the chains that the scorer judged where there is one."""
    judged = {o.chain for o in scorer}
    return [
        (o, others[o.chain, o.judge])
        for o in people
        if (o.chain, o.judge) in others and (not scorer or o.chain in judged)
    ]


def _same_items(
    said: Callable[[Iterable[Opinion]], list[Said]],
    own: Sequence[tuple[Opinion, Opinion]],
    judged: Mapping[str, Opinion],
    kinds: Sequence[str],
    persons: Mapping[str, int],
    size: int,
) -> Tables:
    """Pairs of labels of things that all three labelled: the others' and the person's, the person's and the scorer's,
    the others' and the scorer's. A layer a kind and person; without persons all are in one, and drawn again as people.

    In a pair that the person is not in the other one bears the person's name: it is drawn with the person.
    """
    found: list[tuple[Said, Said, Sequence[int]]] = []
    for opinion, reference in own:
        if persons and opinion.judge not in persons:
            continue
        scored = [judged[opinion.chain]] if len(kinds) > 1 else []
        known = [{one.thing: one for one in said([o])} for o in (opinion, reference, *scored)]
        for thing in known[0]:
            if not all(thing in labels for labels in known):
                continue
            person, others, *scores = (labels[thing] for labels in known)
            own_thing = (thing, person.judge)
            person = Said(person.problem, own_thing, person.judge, person.label)
            sides = [(Said(person.problem, own_thing, others.judge, others.label), person)]
            for score in scores:
                instead = Said(person.problem, own_thing, person.judge, others.label)
                sides += [(person, score), (instead, score)]
            i, n = persons.get(person.judge, 0), max(len(persons), 1)
            found += [(x, y, (k * n + i,)) for k, (x, y) in enumerate(sides)]
    names = tuple(f"{kind} {person}" for kind in kinds for person in persons or ("",))
    groups = [] if persons else [several((o.judge, o.problem) for o, _ in own)]
    return paired(found, size, names, [group for group in groups if group], apart=True)


def _numbers(found: Mapping[str, Values], layer: int) -> dict[str, Number]:
    return {name: values.number(layer) for name, values in found.items()}
