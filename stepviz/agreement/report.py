"""All that can be said of how far two judges agree, or the judges of one group among themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from stepviz.agreement import coefficients as co
from stepviz.agreement import first_errors as fe
from stepviz.agreement import step_labels as sl
from stepviz.agreement.opinions import Opinion
from stepviz.agreement.tables import ALL, Ask, Layers, Number, Said, Tables, among, between

NO_ERROR_SEEN = "there is no chain in which both see an error"


@dataclass(frozen=True, slots=True)
class Report:
    """Each part's numbers by name; tables hold counts, the first judge's label by the second's."""

    problems: int
    chains: int
    steps: int
    detection: Mapping[str, Number]
    localisation: Mapping[str, Number]
    processbench: Mapping[str, Number]
    by_step: Mapping[str, Number]
    detected: Sequence[Sequence[float]]  # [2][2]: no error, an error
    confusion: Sequence[Sequence[float]]  # [2][2]: fine, an error

    def told(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def report(a: Sequence[Opinion], b: Sequence[Opinion] | None = None) -> Report:
    """Of two sides; b None: of every two judges of a, where neither is the reference and ProcessBench's numbers are
    not to be had. Whatever one of the two says nothing of is missing, not agreed."""
    two = b is not None
    firsts = tables_of(fe.said, a, b, categories(a, b))
    at_all, steps = tables_of(fe.said_at_all, a, b, 2), tables_of(sl.said, a, b, 2)
    found = firsts.numbers(PLACES | (PROCESSBENCH if two else {}))
    return Report(
        problems=len(shared(a, b, lambda o: o.problem)),
        chains=len(shared(a, b, lambda o: o.chain)),
        steps=sum(steps.n),
        detection=at_all.numbers(beyond_chance(two=two)),
        localisation={name: found[name] for name in PLACES},
        processbench={name: found[name] for name in PROCESSBENCH if two},
        by_step=steps.numbers(beyond_chance(two=two) | (OF_ERRORS if two else {})),
        detected=at_all.whole().tolist(),
        confusion=steps.whole().tolist(),
    )


def beyond_chance(*, two: bool) -> dict[str, Ask]:
    """Kappa is of two judges who can be told apart; in a group it would hang on who comes first."""
    kappa = {"kappa": Ask(co.kappa, co.why_no_kappa)} if two else {}
    return {
        "agreement": Ask(co.observed),
        **kappa,
        "alpha": Ask(co.alpha, co.why_no_alpha, "labels"),
        "ac1": Ask(co.ac1, counted="things"),
    }


# Of first errors. n: of chains, or pairs of labels, in which both see an error.
PLACES = {
    "exact": Ask(fe.exact, lambda _: NO_ERROR_SEEN, n=fe.both),
    "within_one": Ask(fe.within_one, lambda _: NO_ERROR_SEEN, n=fe.both),
    "alpha": Ask(co.alpha, co.why_no_alpha, "labels"),
}


def _why_no_processbench(table: np.ndarray) -> str:
    if not table[1:].sum():
        return "the first says an error of no chain"
    return "the first says of no chain that it has no error"


# n: of which each is a share.
PROCESSBENCH = {
    "error_acc": Ask(fe.error_accuracy, _why_no_processbench, n=lambda table: table[1:].sum()),
    "correct_acc": Ask(fe.correct_accuracy, _why_no_processbench, n=lambda table: table[0].sum()),
    "f1": Ask(fe.f1, _why_no_processbench),
}
ONE_KIND = "the first calls no step an error, or every step"
OF_ERRORS = {
    "precision": Ask(sl.precision, lambda _: "the second calls no step an error", n=lambda table: table[:, 1].sum()),
    "recall": Ask(sl.recall, lambda _: "the first calls no step an error", n=lambda table: table[1].sum()),
    "f1": Ask(sl.f1, lambda _: "neither calls any step an error"),
    "balanced": Ask(sl.balanced, lambda _: ONE_KIND),
}


def tables_of(
    said: Callable[[Iterable[Opinion]], list[Said]],
    a: Sequence[Opinion],
    b: Sequence[Opinion] | None,
    categories: int,
    layers: Layers = ALL,
) -> Tables:
    if b is None:
        return among(said(a), categories, layers)
    return between(said(a), said(b), categories, layers)


def categories(*sides: Sequence[Opinion] | None) -> int:
    """Of first errors: none, and as many steps as the longest chain has."""
    return 1 + max((len(o.steps) for side in sides for o in side or ()), default=1)


def shared(a: Sequence[Opinion], b: Sequence[Opinion] | None, of: Callable[[Opinion], str]) -> set[str]:
    """What both spoke of; of a group, what two of it did. Nobody is held against themselves, who is on both sides."""
    ours, theirs = (judges_of((o.chain, o.judge) for o in side) for side in (a, a if b is None else b))
    chains = {chain for chain, who in ours.items() if chain in theirs and len(who | theirs[chain]) > 1}
    return {of(o) for o in a if o.chain in chains}


def judges_of(labels: Iterable[tuple[Hashable, str]]) -> dict[Hashable, set[str]]:
    """Of each thing who labelled it."""
    found: dict[Hashable, set[str]] = {}
    for thing, judge in labels:
        found.setdefault(thing, set()).add(judge)
    return found
