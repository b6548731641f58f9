"""Two judges of steps on the same chains: how far each agrees with what is known, and which predicted pits moved. Pure.

What is known, each for what it is (design.md, section 1): whether a measured continuation reaches the answer from here
(what a SORM is about), whether more than half of them do (V at 1/2, for an ORM, and for what learnt soft labels), and
in the embedded world the exact judge's `solvable` and `correct`. A judge calls a step good where its score is above the
threshold; its predicted pit is the first score at or below it. Steps of one problem are not independent: the bootstrap
draws problems, paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np

from stepviz.refinement import THRESHOLD, locate
from stepviz.statistics import Estimate, auc_difference, balanced, counts, difference
from stepviz.types import StepValue

Move = Literal["vanished", "new", "moved", "same", "never"]
MOVES: tuple[Move, ...] = ("vanished", "new", "moved", "same", "never")
TARGETS = {
    "reached": "measured: a continuation reaches the answer",
    "likely": "measured: V is above 1/2",
    "solvable": "exact: the answer can still be reached",
    "correct": "exact: the step is correct",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """One chain. before, after: a score a step; labels: by target, 1, 0, or None where nothing is known of the step."""

    problem: str
    chain: str
    place: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    labels: Mapping[str, tuple[int | None, ...]]

    def pits(self, threshold: float) -> tuple[int | None, int | None]:
        return locate(self.before, threshold), locate(self.after, threshold)

    def move(self, threshold: float) -> Move:
        before, after = self.pits(threshold)
        if before is None or after is None:
            return "never" if before == after else "new" if before is None else "vanished"
        return "same" if before == after else "moved"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one target. Entries are (before, after, after − before); AUC is None with one class alone."""

    target: str
    steps: int
    positive: float  # the share of the steps that are
    auc: tuple[Estimate, Estimate, Estimate] | None
    accuracy: tuple[Estimate, Estimate, Estimate]  # balanced, at the threshold


def measured_labels(values: Sequence[StepValue]) -> dict[str, tuple[int | None, ...]]:
    """Of V[0 … n], for steps 1 … n."""
    known = [v.value for v in values[1:]]
    return {
        "reached": tuple(None if v is None else int(v > 0) for v in known),
        "likely": tuple(None if v is None else int(v > 0.5) for v in known),
    }


def agreements(chains: Sequence[Scored], threshold: float = THRESHOLD) -> list[Agreement]:
    """For each target of which any step is known; chains of a problem stand together."""
    return [found for target in TARGETS if (found := _agreement(chains, target, threshold)) is not None]


def moves(chains: Sequence[Scored], threshold: float = THRESHOLD) -> dict[Move, int]:
    found = [chain.move(threshold) for chain in chains]
    return {name: found.count(name) for name in MOVES}


def _agreement(chains: Sequence[Scored], target: str, threshold: float) -> Agreement | None:
    labels: list[list[int]] = []
    sides: tuple[list[list[float]], list[list[float]]] = ([], [])
    for _, of_problem in groupby(chains, key=lambda c: c.problem):
        known = [row for c in of_problem for row in zip(c.labels.get(target, ()), c.before, c.after, strict=False)]
        known = [row for row in known if row[0] is not None]
        if known:
            labels.append([row[0] for row in known])
            sides[0].append([row[1] for row in known])
            sides[1].append([row[2] for row in known])
    if not labels:
        return None
    flat = [label for row in labels for label in row]
    auc = tuple(auc_difference(labels, a, b) for a, b in ((sides[0], None), (sides[1], None), (sides[1], sides[0])))
    tables = [counts(labels, [[s > threshold for s in row] for row in side])[None] for side in sides]
    pairs = ((tables[0], None), (tables[1], None), (tables[1], tables[0]))
    accuracy = tuple(difference(a, b, balanced) for a, b in pairs)
    return Agreement(
        target,
        len(flat),
        float(np.mean(flat)),
        None if None in auc else auc,  # type: ignore[arg-type]
        accuracy,  # type: ignore[arg-type]
    )


# ---- in words, and as JSON


def summary(chains: Sequence[Scored], threshold: float) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "agreement": [_row(found) for found in agreements(chains, threshold)],
        "predicted_pits": moves(chains, threshold),
    }


def rows(chains: Sequence[Scored], threshold: float) -> list[dict[str, Any]]:
    """The table: a row a chain."""
    found = []
    for c in chains:
        before, after = c.pits(threshold)
        found.append(
            {
                "problem": c.problem,
                "place": c.place,
                "chain": c.chain,
                "before_pit": before,
                "after_pit": after,
                "pit": c.move(threshold),
                "before_scores": " ".join(f"{s:.4f}" for s in c.before),
                "after_scores": " ".join(f"{s:.4f}" for s in c.after),
            }
        )
    return found


def told(names: tuple[str, str], chains: Sequence[Scored], threshold: float) -> list[str]:
    """For a terminal."""
    lines = [f"{names[0]} → {names[1]}, {len(chains):,} chains that both have scored"]
    for found in agreements(chains, threshold):
        lines.append(f"  {TARGETS[found.target]} ({found.steps:,} steps, {100 * found.positive:.0f} % are)")
        for what, three in (("AUC", found.auc), (f"balanced accuracy at {threshold:g}", found.accuracy)):
            if three is not None:
                before, after, gap = three
                said = f"{before.value:.3f} → {after.value:.3f}, difference {gap.value:+.3f}"
                lines.append(f"    {what:26} {said} [{gap.low:+.3f}, {gap.high:+.3f}]")
    counted = ", ".join(f"{name} {n}" for name, n in moves(chains, threshold).items())
    return [*lines, f"  predicted pits: {counted}"]


def _row(found: Agreement) -> dict[str, Any]:
    def three(values: tuple[Estimate, Estimate, Estimate] | None) -> dict[str, dict[str, float]] | None:
        if values is None:
            return None
        named = zip(("before", "after", "difference"), values, strict=True)
        return {
            name: {"value": round(e.value, 6), "low": round(e.low, 6), "high": round(e.high, 6)} for name, e in named
        }

    return {"target": found.target, "steps": found.steps, "positive": round(found.positive, 6), "auc": three(found.auc),
            "balanced_accuracy": three(found.accuracy)}  # fmt: skip
