"""The pit model's weights and Betas from measured chains, by marginal likelihood (empirical Bayes).

Chains may have been measured by any strategy: what is drawn next depends on earlier draws alone, so the likelihood of
the draws is the same. The draws of each chain should come from a measurement of all prefixes or be adaptive
throughout; a chain without draws says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize

from stepviz import posterior as p
from stepviz.posterior import PLACE, SCORED, PitModel
from stepviz.strategies import Seen, Walk

Measured = tuple[Walk, Mapping[int, Seen]]
RIDGE = 1.0  # prior precision of the weights, all but the constant
START = (1.0, 1.5, 0.2, 20.0)  # of the Betas


def fit(chains: Sequence[Measured]) -> PitModel:
    """Of chains whose answer is not right. Scored ones give the weights with scores, all the weights without."""
    from dataclasses import replace

    bare = [(replace(walk, scores=()), seen) for walk, seen in chains]
    weights, betas = _fit(bare, PLACE)
    scored = [(walk, seen) for walk, seen in chains if walk.scores]
    with_scores, _ = _fit(scored, SCORED, betas) if scored else (np.concatenate([weights, [0.0, 0.0]]), betas)
    return PitModel(tuple(betas[:2]), tuple(betas[2:]), tuple(weights), tuple(with_scores))


def log_likelihood(model: PitModel, chains: Sequence[Measured]) -> float:
    """log P(draws), summed over the chains: to compare models on chains that neither was fitted to."""
    total = 0.0
    for walk, seen in chains:
        log = p._log_pit(p._inputs(walk), p._weights(model, walk))
        total += float(np.logaddexp.reduce(log + p._log_draws(model.alive, model.dead, *p._counts(walk, seen))))
    return total


def _fit(chains: Sequence[Measured], size: int, betas: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Weights and Betas; with `betas` given, the weights alone."""
    data = [(p._inputs(walk), *p._counts(walk, seen)) for walk, seen in chains]

    def loss(at: np.ndarray) -> float:
        weights, shape = at[:size], np.exp(at[size:]) if betas is None else betas
        total = sum(
            np.logaddexp.reduce(p._log_pit(x, weights) + p._log_draws(shape[:2], shape[2:], k, n)) for x, k, n in data
        )
        return float(RIDGE * (weights[1:] ** 2).sum() / 2 - total)

    start = np.concatenate([np.zeros(size), np.log(START) if betas is None else []])
    found = minimize(loss, start, method="L-BFGS-B").x
    return found[:size], np.exp(found[size:]) if betas is None else betas
