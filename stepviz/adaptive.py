"""The strategy that spends draws where they say most about the pit.

Each turn it asks of every open prefix of a wrong chain: by how much would one more draw there lessen the entropy of
the pit's posterior (stepviz.posterior), on average over what may come out, for a token? The best is drawn. It starts
where the SORM, or the place in the chain alone, expects the pit; it ends

    when the pit is certain (posterior.Posterior.found),
    when a draw would cost more than it says: `price` is how many nats an exhaustive measurement's tokens must bring,
    when the chain has cost `budget` of an exhaustive measurement, by the expected lengths in `Walk.tokens`; the
    question's draws that were there before are sampling's, and no cost of it.

The question itself is drawn only where nothing else is left to doubt: a pit at step 1 is certain if the answer is
reached from the question.

A right chain costs nothing: what it reached shows by itself that the answer could be reached.

A step counts as lost (label 0) where P(V[i] ≤ 0.05) reaches the stated confidence. What that does and does not say of
`solvable` stands in docs/measuring.md.
Related: SCAN (arXiv 2509.16548), which continues wrong chains only; OmegaPRM (arXiv 2406.06592), which halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stepviz.posterior import CONFIDENCE, NEARLY_0, PitModel, Posterior, posterior
from stepviz.strategies import NOTHING, Seen, Walk, Wanted, over

PRICE = 5.0  # of 3, 4, 5 and 6, tried on development chains (docs/measuring.md)
BUDGET = 0.25


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A Strategy (stepviz.strategies); see the module for what ends it."""

    model: PitModel
    confidence: float = CONFIDENCE
    budget: float = BUDGET
    price: float = PRICE

    def __call__(self, walk: Walk, seen: Mapping[int, Seen]) -> Wanted:
        if not (walk.wrong and walk.open):
            return {}
        now, question = posterior(self.model, walk, seen), seen.get(0, NOTHING)
        if now.found(question, self.confidence).sure == "certain":
            return {}
        shares = np.array(walk.tokens) / (walk.k * sum(walk.tokens))  # of an exhaustive measurement, a draw
        share, spent = shares[1:], now.n @ shares[1:] + (question.n - walk.paid) * shares[0]
        if self._doubts_the_question(now, question) and not over(question, walk.k, whole=True):
            return {0: question.n + 1} if spent + shares[0] <= self.budget else {}
        worth = information(now) / share
        for place, i in enumerate(walk.open):
            if over(seen.get(i, NOTHING), walk.k, whole=True):
                worth[place] = -1.0
        best = int(worth.argmax())
        if worth[best] < self.price or spent + share[best] > self.budget:
            return {}
        return {walk.open[best]: int(now.n[best]) + 1}

    def _doubts_the_question(self, now: Posterior, question: Seen) -> bool:
        """Whether a pit at step 1 would be certain if only the question were known to be alive."""
        step, here, before = now.sides(question)
        return step == 1 and here >= self.confidence > before


def information(now: Posterior) -> np.ndarray:
    """Expected fall of the entropy of E, in nats, by one more draw of each open prefix: float [m]."""
    steps = np.arange(1, len(now.k) + 1)[:, None]
    where_alive, where_dead = now.success
    success = np.where(steps < np.arange(1, len(now.pit) + 1), where_alive[:, None], where_dead[:, None])  # [m, m + 1]
    hit, miss = now.pit * success, now.pit * (1 - success)
    return _entropy(now.pit) - sum(p.sum(1) * _entropy(p / p.sum(1, keepdims=True)) for p in (hit, miss))


def labels(walk: Walk, seen: Mapping[int, Seen], model: PitModel, confidence: float = CONFIDENCE) -> tuple[int, ...]:
    """Of the open steps: 0 where P(V[i] ≤ 0.05) reaches the confidence, else 1. Of a right chain all are 1."""
    if not walk.wrong:
        return (1,) * len(walk.open)
    return tuple(int(lost < confidence) for lost in posterior(model, walk, seen).at_most(NEARLY_0))


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1)
