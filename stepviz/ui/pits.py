"""First pits and the critical step of one chain, each by its own definition, side by side and never merged.

Beside them, where the posterior of the pit puts it, and how surely.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from db.values import ChainRow
from stepviz import glore, gpo, pits, self_explore
from stepviz.measuring import has_pit
from stepviz.posterior import posterior
from stepviz.rollouts import terminal
from stepviz.strategies import Seen, Walk
from stepviz.types import Chain, Continuation, FirstPit, StepValue, Verdict
from stepviz.ui.rows import Likely, Mark, Scorer
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
    sizes = {v.n for v in values[1:] if v.terminal is None}
    measured, alike = any(v.n for v in values), len(sizes) <= 1 or min(sizes) >= glore.K
    if measured and verdict.value != "correct":
        counted = glore.with_consistency(chain, values, draws, separator)
        if not alike:  # a strategy was here: one draw that failed is no label
            counted = [v if v.n >= glore.K or v.consistent else replace(v, k=0, n=0, unfinished=0) for v in counted]
        _add(found, "Self-Explore", self_explore.first_pit(values), weak=False)
        _add(found, "GLoRe", glore.first_pit(counted, glore.own_suffix(chain, verdict)), weak=True)
    if judgement and judgement.exact_pit is not None:
        _add(found, "exact", FirstPit(judgement.exact_pit, "exact", ""), weak=True)
    # of a step without a value the gain might be larger, and draws that ended with a success say too much of V
    whole = measured and alike and all(v.value is not None for v in values)
    critical = gpo.critical_step(values) if whole else None
    return Marks(
        {step: tuple(marks) for step, marks in found.items()},
        critical.step if critical and critical.gain and critical.gain > 0 else None,
        critical.gain if critical else None,
    )


def _add(found: dict[int, list[Mark]], name: str, pit: FirstPit, weak: bool) -> None:
    if pit.step is not None:
        found[pit.step].append(Mark("first pit", f"{name} {pit.evidence}".strip(), weak, _TITLES[name]))


def likely_of(
    row: ChainRow,
    values: Sequence[StepValue],
    question: Seen,
    measured_by: str,
    scorers: Sequence[Scorer] = (),
    scores: Mapping[str, Mapping[int, float]] = MappingProxyType({}),
) -> Likely | None:
    """Of a chain with draws that is wrong or states no answer; None for another.

    question: draws from the bare question (see `others`); measured_by: the id of the model whose draws these are;
    scorers: those that are shown, of which a SORM is read; scores: by scorer and step.
    """
    chain = row.chain
    open_ = tuple(i for i in range(1, chain.n + 1) if not terminal(chain, i))
    seen = {i: Seen(values[i].n, values[i].k) for i in open_}
    if not has_pit(row.verdict) or not any(at.n for at in seen.values()):
        return None
    sorm = next((s for s in scorers if s.role == "sorm" and len(scores[s.id]) == chain.n), None)
    walk = Walk(open_, 1, scores=tuple(scores[sorm.id][i] for i in range(1, chain.n + 1)) if sorm else ())
    now = posterior(pits.shipped(), walk, seen)
    step, sure, probability = now.found(question)
    _, here, before = now.sides(question)
    behind = step > len(open_)  # there the wrong answer stands, or nothing at all
    spend = step if here <= before and not behind else step - 1
    return Likely(step, sure, probability, here, before, spend, sorm.name if sorm else "", measured_by == fitted_to())


def others(row: ChainRow, draws: Sequence[Continuation]) -> Seen:
    """Draws from the question but the chain itself, which is known to be wrong: it says nothing of how it ends."""
    own = row.continuation
    left = [d for d in draws if own is None or (d.prefix_hash, d.model_id, d.sampling_id, d.j) != own[1:]]
    return Seen(len(left), sum(d.verdict == "correct" for d in left))


@cache
def fitted_to() -> str:
    """Id of the model whose rollouts the shipped pit model was fitted to."""
    return str(json.loads(pits.SHIPPED.read_text(encoding="utf-8"))["made"]["engine"])
