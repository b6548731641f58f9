"""What draws and scores say of where a wrong chain's pit is, and of the value of each prefix: a posterior.

No sample certifies V = 0: a prefix that has failed eight times may still have V = 0.2. And where drawing stopped
because of what was drawn, k of n has no Wilson interval. A posterior asks neither question of the sample: the
likelihood of k successes in n draws is the same whatever made us stop.

The model. E is the pit, one of the open steps 1 … m or m + 1 (the step behind them, mostly the answer line). Prefixes
before it are *alive*, those from it on *dead*: V ~ Beta(alive) or Beta(dead), independent given E. Before any draw
step i is the pit, if no earlier one is, with chance σ(w·x_i): x_i is where the step stands and, where a SORM has scored
the chain, its scores at the step and before (as log odds). `fit` learns w and the two Betas from measured chains by
marginal likelihood: from rollouts alone, no judge.

The pit so defined has probabilities; a claim needs them on both sides (`found`): *certain* at i means that
P(V[i] ≤ 0.05) ≥ 0.95 and P(V[i−1] > 0.05) ≥ 0.95.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaln

from stepviz.strategies import NOTHING, Seen, Walk

NEARLY_0 = 0.05  # at most this much V counts as "the answer is not reached"
CONFIDENCE = 0.95
LOGIT = 7.0  # scores nearer to 0 or 1 say no more than this
PLACE, SCORED = 3, 5  # weights of a chain without scores, and with

Sure = Literal["certain", "possible", "needs more"]


class Found(NamedTuple):
    """The pit that is likeliest, how sure it is, and its probability."""

    step: int
    sure: Sure
    probability: float


@dataclass(frozen=True, slots=True)
class PitModel:
    """See the module. unscored: weights of (1, first step, i / (m + 1)); scored: of these and of the log odds of the
    SORM's score at the step and at the one before (0 at the first)."""

    alive: tuple[float, float]
    dead: tuple[float, float]
    unscored: tuple[float, ...]
    scored: tuple[float, ...]

    def __post_init__(self) -> None:
        assert len(self.unscored) == PLACE and len(self.scored) == SCORED, self


@dataclass(frozen=True, eq=False)
class Posterior:
    """pit: P(E = 1 … m + 1), float [m + 1]; k, n: draws of the open prefixes 1 … m, float [m]."""

    model: PitModel
    pit: np.ndarray
    k: np.ndarray
    n: np.ndarray

    @cached_property
    def alive(self) -> np.ndarray:
        """P(E > i) for i = 1 … m."""
        return 1 - np.cumsum(self.pit)[:-1]

    @property
    def success(self) -> tuple[np.ndarray, np.ndarray]:
        """The chance that the next draw of each prefix succeeds: where it is alive, where it is dead."""
        (a, b), (c, d) = self.model.alive, self.model.dead
        return (a + self.k) / (a + b + self.n), (c + self.k) / (c + d + self.n)

    def at_most(self, value: float) -> np.ndarray:
        """P(V[i] ≤ value) for i = 1 … m."""
        return self.alive * self._below(self.model.alive, value) + (1 - self.alive) * self._below(
            self.model.dead, value
        )

    def _below(self, beta: tuple[float, float], value: float) -> np.ndarray:
        return betainc(beta[0] + self.k, beta[1] + self.n - self.k, value)

    def interval(self, i: int, mass: float = CONFIDENCE) -> tuple[float, float]:
        """Between the quantiles that leave (1 − mass) / 2 on either side of V[i], i = 1 … m."""
        tail = (1 - mass) / 2
        return self._quantile(i, tail), self._quantile(i, 1 - tail)

    def _quantile(self, i: int, mass: float) -> float:
        return float(
            brentq(lambda v: self.at_most(v)[i - 1] - mass, 0.0, 1.0, xtol=1e-15)
        )  # a dead V may lie far below 1e-6

    def found(self, question: Seen = NOTHING, mass: float = CONFIDENCE) -> Found:
        """The likeliest pit. certain: both sides have `mass`; needs more: no step has half of it; else possible."""
        i, here, before = self.sides(question)
        chance = float(self.pit[i - 1])
        if here >= mass and before >= mass:
            return Found(i, "certain", chance)
        return Found(i, "possible" if chance >= 0.5 else "needs more", chance)

    def sides(self, question: Seen = NOTHING) -> tuple[int, float, float]:
        """The likeliest pit i, P(V[i] ≤ 0.05) and P(V[i−1] > 0.05).

        question: draws from the bare question, which is alive by assumption; with V[0] it says whether a pit at step 1
        has anything before it.
        """
        i = int(self.pit.argmax()) + 1
        below = self.at_most(NEARLY_0)
        here = below[i - 1] if i <= len(below) else 1.0  # behind the open prefixes stands a wrong answer
        a, b = self.model.alive
        before = below[i - 2] if i > 1 else betainc(a + question.k, b + question.n - question.k, NEARLY_0)
        return i, float(here), float(1 - before)


def posterior(model: PitModel, walk: Walk, seen: Mapping[int, Seen]) -> Posterior:
    """Of a chain whose answer is not right."""
    k, n = _counts(walk, seen)
    log = _log_pit(_inputs(walk), _weights(model, walk)) + _log_draws(model.alive, model.dead, k, n)
    pit = np.exp(log - log.max())
    return Posterior(model, pit / pit.sum(), k, n)


def _counts(walk: Walk, seen: Mapping[int, Seen]) -> tuple[np.ndarray, np.ndarray]:
    at = [seen.get(i, NOTHING) for i in walk.open]
    return np.array([s.k for s in at], float), np.array([s.n for s in at], float)


def _weights(model: PitModel, walk: Walk) -> np.ndarray:
    return np.array(model.scored if walk.scores else model.unscored)


def _inputs(walk: Walk) -> np.ndarray:
    """x_i of the open steps, float [m, 3 or 5]."""
    m = len(walk.open)
    place = np.arange(1, m + 1)
    columns = [np.ones(m), (place == 1).astype(float), place / (m + 1)]
    if walk.scores:
        odds = log_odds(np.array(walk.scores[:m], float))
        columns += [odds, np.concatenate([[0.0], odds[:-1]])] if m else [odds, odds]
    return np.stack(columns, axis=1)


def log_odds(scores: np.ndarray) -> np.ndarray:
    scores = np.clip(scores, 1e-9, 1 - 1e-9)
    return np.clip(np.log(scores / (1 - scores)), -LOGIT, LOGIT)


def _log_pit(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """log P(E = 1 … m + 1) before any draw."""
    h = x @ weights
    here, beyond = -np.logaddexp(0, -h), -np.logaddexp(0, h)
    reached = np.concatenate([[0.0], np.cumsum(beyond)])
    return np.concatenate([reached[:-1] + here, reached[-1:]])


def _log_draws(alive: Sequence[float], dead: Sequence[float], k: np.ndarray, n: np.ndarray) -> np.ndarray:
    """log P(draws | E = 1 … m + 1), up to what all share."""
    before = np.concatenate([[0.0], np.cumsum(_log_beta(alive, k, n))])
    after = np.concatenate([np.cumsum(_log_beta(dead, k, n)[::-1])[::-1], [0.0]])
    return before + after


def _log_beta(beta: Sequence[float], k: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The beta-binomial likelihood of one order of k successes in n draws."""
    return betaln(beta[0] + k, beta[1] + n - k) - betaln(*beta)
