"""First pits and the critical step of one chain, each by its own definition, side by side and never merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stepviz import glore, gpo, self_explore
from stepviz.types import Chain, Continuation, FirstPit, StepValue, Verdict
from stepviz.ui.rows import Mark
from stepviz.world import Judgement

_TITLES = {
    "Self-Explore": "Self-Explore: the first step from which no continuation reaches the answer",
    "GLoRe": "GLoRe: the first step whose label stays 0 after every later success has made the steps before it good",
    "exact": "The exact judge: one step after the last from which the problem could still be solved",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """pits: step → the tags at it; critical: GPO's step, with its gain."""

    pits: Mapping[int, tuple[Mark, ...]]
    critical: int | None = None
    gain: float | None = None


def marks_of(
    chain: Chain,
    verdict: Verdict,
    values: Sequence[StepValue],
    draws: Mapping[str, Sequence[Continuation]],
    judgement: Judgement | None,
    separator: str,
) -> Marks:
    """`draws` by prefix hash, as rollouts.by_prefix gives them."""
    found: dict[int, list[Mark]] = defaultdict(list)
    measured = any(v.n for v in values)
    if measured and verdict.value != "correct":
        counted = glore.with_consistency(chain, values, draws, separator)
        _add(found, "Self-Explore", self_explore.first_pit(values), weak=False)
        _add(found, "GLoRe", glore.first_pit(counted, glore.own_suffix(chain, verdict)), weak=True)
    if judgement and judgement.exact_pit is not None:
        _add(found, "exact", FirstPit(judgement.exact_pit, "exact", ""), weak=True)
    whole = measured and all(v.value is not None for v in values)  # a gain elsewhere might be larger
    critical = gpo.critical_step(values) if whole else None
    return Marks(
        {step: tuple(marks) for step, marks in found.items()},
        critical.step if critical and critical.gain and critical.gain > 0 else None,
        critical.gain if critical else None,
    )


def _add(found: dict[int, list[Mark]], name: str, pit: FirstPit, weak: bool) -> None:
    if pit.step is not None:
        found[pit.step].append(Mark("first pit", f"{name} {pit.evidence}".strip(), weak, _TITLES[name]))
