"""How many SORM labels from K rollouts are wrong against exact truth, and why (design.md, section 5).

A label says 1 where one of K continuations of a prefix is right (by the consistency rule: right and consistent). With
n ≥ K draws of which c count, K of them hold none with chance C(n−c, K) / C(n, K); so every K is read off the same
draws, without bias and without drawing again. Against `solvable` a label is wrong for one of four reasons:

    incapacity      solvable, and none of the n draws was right: this policy does not get there
    finite K        solvable, some draw was right, but none of the K
    the rule        solvable, one of the K was right, but the consistency rule counts none of them
    false success   not solvable, and one of the K counts: a repair of what was false, a bypass around it (all new
                    steps are correct), or luck

Carried back, a positive makes all earlier labels positive; the draws of different prefixes are independent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb, prod
from typing import Any, Literal

import numpy as np

from stepviz.statistics import bootstrap, mean
from stepviz.world import ExactJudge

Cause = Literal["repair", "bypass", "luck"]
CAUSES: tuple[Cause, ...] = ("repair", "bypass", "luck")


@dataclass(frozen=True, slots=True)
class Measured:
    """A prefix with its n draws: how many were right, how many of these consistent, and why where it is unsolvable."""

    solvable: bool
    n: int
    right: int
    consistent: int
    causes: Counter[Cause] = field(default_factory=Counter)  # of right draws
    consistent_causes: Counter[Cause] = field(default_factory=Counter)


@dataclass
class Errors:
    """Expected numbers of labels, summed over prefixes."""

    labels: int = 0
    positive: float = 0.0
    incapacity: float = 0.0
    finite: float = 0.0
    rule: float = 0.0
    false: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> float:
        return self.incapacity + self.finite + self.rule + sum(self.false.values())


def cause(judge: ExactJudge, steps: Sequence[str], trace: Sequence[str]) -> Cause:
    """Why a right trace could follow steps from which the answer cannot be reached."""
    new = judge.judge([*steps, *trace]).steps[len(steps) :]
    if any(step.repair for step in new):
        return "repair"
    return "bypass" if all(step.correct for step in new if step.readable) else "luck"


def miss(n: int, hits: int, k: int) -> float:
    """The chance that k of n draws hold none of the hits."""
    return comb(n - hits, k) / comb(n, k)


def errors(chains: Sequence[Sequence[Measured]], k: int, rule: bool, carry_back: bool) -> Errors:
    """Over chains of measured prefixes 1, 2, … in their order."""
    total = Errors()
    for chain in chains:
        for i, prefix in enumerate(chain):
            later = chain[i:] if carry_back else chain[i : i + 1]
            _add(total, prefix, later, k, rule)
    return total


def _add(total: Errors, prefix: Measured, later: Sequence[Measured], k: int, rule: bool) -> None:
    none_right = prod(miss(p.n, p.right, k) for p in later)
    none = prod(miss(p.n, p.consistent, k) for p in later) if rule else none_right
    total.labels += 1
    total.positive += 1 - none
    if prefix.solvable:
        if any(p.right for p in later):
            total.finite += none_right
        else:
            total.incapacity += none_right
        total.rule += none - none_right
        return
    weights: Counter[str] = Counter()
    for p in later:
        hits = p.consistent if rule else p.right
        found = 1 - miss(p.n, hits, k)
        if p.solvable:  # the chain itself has repaired what was false
            weights["repair"] += found
            continue
        causes = p.consistent_causes if rule else p.causes
        for name, count in causes.items():
            weights[name] += found * count / max(1, hits)
    whole = sum(weights.values())
    for name, weight in weights.items():
        total.false[name] += (1 - none) * weight / whole if whole else 0.0


def table(
    chains: Sequence[Sequence[Measured]], sizes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64)
) -> list[dict[str, Any]]:
    """A row a K and rule; in per cent of the labels. K beyond the draws there are is left out."""
    n = min((p.n for chain in chains for p in chain), default=0)
    rows = []
    for rule in (False, True):
        for carry_back in (False, True):
            for k in (k for k in sizes if k <= n):
                found = _row(k, rule, carry_back, errors(chains, k, rule, carry_back))
                rows.append(found | _intervals([errors([chain], k, rule, carry_back) for chain in chains]))
    return rows


def _intervals(found: Sequence[Errors]) -> dict[str, str]:
    """Of the shares of the labels, with chains drawn again: the labels of one are not independent."""
    labels = [one.labels for one in found]
    shares = {"wrong": [one.wrong for one in found], "incapacity": [one.incapacity for one in found],
              "finite K": [one.finite for one in found]}  # fmt: skip
    columns = {name: np.stack([share, labels], axis=-1)[None] for name, share in shares.items()}
    return {f"{name}, % [95 %]": bootstrap(each, mean).text() for name, each in columns.items()}


def _row(k: int, rule: bool, carry_back: bool, found: Errors) -> dict[str, Any]:
    def per_cent(value: float) -> float:
        return round(100 * value / max(1, found.labels), 2)

    return {
        "K": k,
        "consistency rule": rule,
        "carried back": carry_back,
        "labels": found.labels,
        "positive": per_cent(found.positive),
        "wrong": per_cent(found.wrong),
        "incapacity": per_cent(found.incapacity),
        "finite K": per_cent(found.finite),
        "the rule": per_cent(found.rule),
        "false success": per_cent(sum(found.false.values())),
        **{f"by {name}": per_cent(found.false[name]) for name in CAUSES},
    }
