"""All that can be said of how far two judges agree, or the judges of one group among themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from stepviz.agreement import coefficients as co
from stepviz.agreement import first_errors as fe
from stepviz.agreement import step_labels as sl
from stepviz.agreement.opinions import Opinion
from stepviz.agreement.tables import Number, Said, Tables, among, between

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
    firsts = _tables(fe.said, a, b, _longest((*a, *(b or ()))) + 1)
    steps = _tables(sl.said, a, b, 2)
    return Report(
        problems=len(_shared(a, b, lambda o: o.problem)),
        chains=len(_shared(a, b, lambda o: o.chain)),
        steps=steps.n,
        detection=_of_detection(firsts, two=b is not None),
        localisation=_of_places(firsts),
        processbench={} if b is None else _of_processbench(firsts),
        by_step=_of_steps(steps, two=b is not None),
        detected=fe.detection(firsts.whole()).tolist(),
        confusion=steps.whole().tolist(),
    )


def _of_detection(firsts: Tables, *, two: bool) -> dict[str, Number]:
    either = Tables(fe.detection(firsts.counts), fe.detection(firsts.shared), firsts.pairs, firsts.groups, firsts.n)
    return _beyond_chance(either, two=two)


def _of_places(firsts: Tables) -> dict[str, Number]:
    """n: of chains, or pairs of labels, in which both see an error."""
    both = Tables(firsts.counts, firsts.shared, firsts.pairs, firsts.groups, int(firsts.whole()[1:, 1:].sum()))
    return {
        "exact": both.number(fe.exact, lambda _: NO_ERROR_SEEN),
        "within_one": both.number(fe.within_one, lambda _: NO_ERROR_SEEN),
        "alpha": firsts.number(co.alpha, co.why_no_alpha, shared=True),
    }


def _of_processbench(firsts: Tables) -> dict[str, Number]:
    why = {True: "the first says an error of no chain", False: "the first says of no chain that it has no error"}

    def missing(table: np.ndarray) -> str:
        return why[not table[1:].sum()]

    return {
        "error_acc": firsts.number(fe.error_accuracy, missing),
        "correct_acc": firsts.number(fe.correct_accuracy, missing),
        "f1": firsts.number(fe.f1, missing),
    }


def _of_steps(steps: Tables, *, two: bool) -> dict[str, Number]:
    found = _beyond_chance(steps, two=two)
    if two:
        found["precision"] = steps.number(sl.precision, lambda _: "the second calls no step an error")
        found["recall"] = steps.number(sl.recall, lambda _: "the first calls no step an error")
    return found


def _beyond_chance(tables: Tables, *, two: bool) -> dict[str, Number]:
    """Kappa is of two judges who can be told apart; in a group it would hang on who comes first."""
    kappa = {"kappa": tables.number(co.kappa, co.why_no_kappa)} if two else {}
    return {
        "agreement": tables.number(co.observed, lambda _: ""),
        **kappa,
        "alpha": tables.number(co.alpha, co.why_no_alpha, shared=True),
        "ac1": tables.number(co.ac1, lambda _: ""),
    }


def _tables(
    said: Callable[[Iterable[Opinion]], list[Said]], a: Sequence[Opinion], b: Sequence[Opinion] | None, categories: int
) -> Tables:
    return among(said(a), categories) if b is None else between(said(a), said(b), categories)


def _shared(a: Sequence[Opinion], b: Sequence[Opinion] | None, of: Callable[[Opinion], str]) -> set[str]:
    """What both spoke of; of a group, what two of it did."""
    if b is not None:
        chains = {o.chain for o in a} & {o.chain for o in b}
    else:
        judges: dict[str, set[str]] = {}
        for o in a:
            judges.setdefault(o.chain, set()).add(o.judge)
        chains = {chain for chain, who in judges.items() if len(who) > 1}
    return {of(o) for o in a if o.chain in chains}


def _longest(opinions: Sequence[Opinion]) -> int:
    return max((len(o.steps) for o in opinions), default=1)
