"""GPO: the critical step (Yu et al., "Guided Pivotal Optimization", arXiv 2509.16456, NeurIPS 2025; an earlier
version of the authors' code in sherdencooper/LLaMA-Factory).

Idea: the advantage of a step is what it changes in the expected success; the step with the largest advantage
is critical, and exploration is reset to just before it.

Symbols: V[i] = `values[i]`, Monte Carlo success rate after i steps (the paper's Q of step i); the advantage
A_i = V[i] − V[i−1], with V[0] of the bare question before step 1; m = the critical step; reset to prefix(m−1).

Deviations:
1. The text says both "absolute value of the advantage" and "largest advantage": `signed_max` (the procedure's)
   is the default, `abs_max` and `min` (the step that lost most) are choices.
2. `value_argmax` is the authors' early code, which takes the prefix of the highest *value* before a step, not
   the largest difference; `random` is the ablation (Satori's reset).
3. With few samples advantages tie often: the earliest step wins, as in the code. Where all V are equal there
   is no critical step.
4. Steps whose own value or the one before is not known have no advantage and cannot be critical. A terminal
   step counts with its answer, 1 or 0.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from stepviz.types import StepValue

Rule = Literal["signed_max", "abs_max", "min", "value_argmax", "random"]


@dataclass(frozen=True, slots=True)
class CriticalStep:
    """GPO: the step whose signed gain V[i] − V[i−1] is largest; ties go to the earliest."""

    step: int | None
    gain: float | None


def advantages(values: Sequence[StepValue]) -> dict[int, Fraction]:
    """A_i for each step i >= 1 where V[i] and V[i−1] are known; exact, so that ties are ties."""
    known = {v.step: _exact(v) for v in values if v.value is not None}
    return {i: known[i] - known[i - 1] for i in sorted(known) if i - 1 in known}


def _exact(value: StepValue) -> Fraction:
    return Fraction(value.k, value.n) if value.terminal is None else Fraction(value.value)


def critical_step(values: Sequence[StepValue], rule: Rule = "signed_max", seed: int = 0) -> CriticalStep:
    """The critical step m by one of the rules, with its signed gain V[m] − V[m−1]; `seed` is for "random"."""
    gains = advantages(values)
    before = {v.step + 1: _exact(v) for v in values if v.value is not None}
    if not any(gains.values()):
        return CriticalStep(None, None)
    rank = {
        "signed_max": lambda i: gains[i],
        "abs_max": lambda i: abs(gains[i]),
        "min": lambda i: -gains[i],
        "value_argmax": lambda i: before[i],
        "random": lambda _: 0.0,
    }[rule]
    steps = list(gains)
    best = random.Random(seed).choice(steps) if rule == "random" else max(steps, key=rank)  # max: the earliest of ties
    return CriticalStep(best, float(gains[best]))
