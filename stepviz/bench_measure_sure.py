"""How sure `adaptive` is, and whether that holds: how its pits stand, and its posterior against draws it has not seen.

The intervals' coverage in the tests is simulated from the pit model itself. Here the values are real ones: of a prefix
the posterior foretells how many of K other draws succeed, and those were drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import betabinom

from stepviz import pits
from stepviz.bench_measure_data import Case, K
from stepviz.bench_measure_ways import Reading
from stepviz.posterior import Posterior, posterior
from stepviz.statistics import bootstrap, mean
from stepviz.strategies import NOTHING

MASS = 0.95
BINS = (0.0, 0.05, 0.2, 0.4, 1.0)  # no posterior foretells 1


def standing(way: Reading, cases: Sequence[Case]) -> dict[str, Any]:
    """Certain, possible or needs more, with the share of likeliest pits that are exact."""
    found: dict[str, list[bool]] = {"certain": [], "possible": [], "needs more": []}
    for case, seen in zip(cases, way.seen, strict=True):
        if case.wrong:
            pit = posterior(pits.shipped(), case.walk, seen).found(seen.get(0, NOTHING))
            found[pit.sure].append(pit.step == case.judgement.exact_pit)
    return {name: len(some) for name, some in found.items()} | {
        f"{name}: exact, %": _percent(np.mean(some)) for name, some in found.items() if some
    }


def foretold(ways: Mapping[str, Reading], cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Of the wrong chains with 2K draws a prefix: the last K against what the posterior of each way's draws foretells.

    A range of whole counts holds more than 95 % of what it foretells: how much stands beside what was found.
    """
    rows = []
    for name, way in ways.items():
        found = _prefixes(way, cases)
        rows.append({
            "draws of": name, "prefixes": len(found),
            "inside its 95 %, %": _percent(np.mean([at.inside for at in found])),
            "foretold inside, %": _percent(np.mean([at.mass for at in found])),
            "mean V foretold": round(float(np.mean([at.expected for at in found])), 3),
            "mean V drawn": round(float(np.mean([at.drawn for at in found])), 3),
        })  # fmt: skip
    return rows


def foretold_by_value(way: Reading, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """A mean may be right because errors cancel: so by what was foretold. Intervals draw chains again."""
    found, rows = _prefixes(way, cases), []
    for low, high in pairwise(BINS):
        here = [at for at in found if low <= at.expected < high]
        if here:
            sums = np.zeros((1, max(at.chain for at in found) + 1, 2))
            for at in here:
                sums[0, at.chain] += at.drawn - at.expected, 1
            rows.append({
                "V foretold": f"{low:g} to {high:g}", "prefixes": len(here),
                "foretold": round(float(np.mean([at.expected for at in here])), 3),
                "drawn": round(float(np.mean([at.drawn for at in here])), 3),
                "drawn − foretold, points [95 %]": bootstrap(sums, mean).text(),
            })  # fmt: skip
    return rows


@dataclass(frozen=True, slots=True)
class Foretold:
    """An open prefix: what was foretold of V, whether its unseen draws lie in the range, and what that should hold."""

    chain: int
    expected: float
    drawn: float
    inside: bool
    mass: float


def _prefixes(way: Reading, cases: Sequence[Case]) -> list[Foretold]:
    found = []
    for place, (case, seen) in enumerate(zip(cases, way.seen, strict=True)):
        if not (case.wrong and all(len(draws) == 2 * K for draws in case.draws.values())):
            continue
        for i, chances in zip(case.walk.open, counts(posterior(pits.shipped(), case.walk, seen)), strict=True):
            low, high = (int(np.searchsorted(chances.cumsum(), q)) for q in ((1 - MASS) / 2, (1 + MASS) / 2))
            k, expected = sum(case.right(i)[K:]), float(chances @ np.arange(K + 1) / K)
            found.append(Foretold(place, expected, k / K, low <= k <= high, float(chances[low : high + 1].sum())))
    return found


def counts(now: Posterior, k: int = K) -> np.ndarray:
    """Chances that 0 … k of k further draws of each open prefix succeed: float [m, k + 1]."""
    beyond = np.arange(k + 1)
    alive, dead = (
        np.stack([betabinom.pmf(beyond, k, a + hits, b + n - hits) for hits, n in zip(now.k, now.n, strict=True)])
        for a, b in (now.model.alive, now.model.dead)
    )
    return now.alive[:, None] * alive + (1 - now.alive[:, None]) * dead


def _percent(share: float) -> float:
    return round(100 * float(share), 1)
