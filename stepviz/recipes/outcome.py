"""`orm` and `balanced-orm`: every step is labelled with the outcome of its chain (GLoRe, arXiv 2402.10963, step 5).

An outcome reward model estimates V^π(Q, P_i), the chance that this policy ends right; each chain it sampled is one
draw of that, so the label of every step is whether the chain's final answer is right.

Decisions:
1. Balanced per question (step 6): of a question with r right and w wrong chains, min(r, w) of each stay, chosen at
   random from the seed and the question, written right and wrong in turn. A question with only one kind gives
   nothing. Chains are counted, not steps: all steps of a chain carry the same label.
2. A chain that was cut off before its answer, or whose answer cannot be judged, has no outcome and gives no row.
3. Equal samples stay: how often the policy writes a chain is what the model has to learn.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain as chained

from stepviz.recipes.case import NO_RIGHT, NO_WRONG, Attempt, Case, Dropped, Row, origin, stepwise_row

SURPLUS = "a chain of the majority of its question"


@dataclass(frozen=True, slots=True)
class Orm:
    """No options of its own."""


@dataclass(frozen=True, slots=True)
class BalancedOrm:
    seed: int = 0


def orm(case: Case, _options: Orm, dropped: Dropped) -> Iterator[Row]:
    """{prompt, completions, labels, origin}: l_i = 1 if the final answer is right, for every step i."""
    return _rows(case, case.judged(dropped))


def balanced_orm(case: Case, options: BalancedOrm, dropped: Dropped) -> Iterator[Row]:
    """As many right as wrong chains of each question."""
    judged = case.judged(dropped)
    right, wrong = [a for a in judged if a.right], [a for a in judged if a.wrong]
    each = min(len(right), len(wrong))
    if judged and not each:
        dropped.add(NO_WRONG if right else NO_RIGHT, len(judged))
        return iter(())
    dropped.add(SURPLUS, len(judged) - 2 * each)
    rng = random.Random(f"balanced-orm/{options.seed}/{case.problem.id}")
    pairs = zip(rng.sample(right, each), rng.sample(wrong, each), strict=True)
    return _rows(case, chained.from_iterable(pairs))


def _rows(case: Case, attempts: Iterable[Attempt]) -> Iterator[Row]:
    for attempt in attempts:
        labels = [int(attempt.right)] * attempt.chain.n
        yield stepwise_row(case, attempt, labels, origin=origin(case.problem, attempt))
