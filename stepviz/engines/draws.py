"""Draws that depend on a request's seed alone, and not on what else is in the batch.

The uniform number for the t-th token of a request is a hash of (seed, t) (SplitMix64, Steele et al. 2014),
and the token is read off the inverse of the distribution's cumulated probabilities in vocabulary order.
Batches of another shape change logits in the last bits only; such a change moves a token's border on
[0, 1) by as little, where a noise-per-token scheme (Gumbel) or a sort would have no such bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stepviz.types import Sampling

if TYPE_CHECKING:
    import torch

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seeds: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """float64 in [0, 1) for each pair of a 63-bit seed and a counter; both uint64 of one shape."""
    with np.errstate(over="ignore"):
        z = seeds + (counters + np.uint64(1)) * GAMMA
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pick(logits: torch.Tensor, uniform: np.ndarray, sampling: Sampling) -> torch.Tensor:
    """The next token of each row: logits [rows, vocabulary], uniform [rows] -> int64 [rows].

    Temperature, then top_k, then top_p, as `transformers` orders them; temperature 0 is the first maximum.
    """
    import torch

    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits.float() / sampling.temperature
    if 0 < sampling.top_k < scaled.shape[-1]:
        kth = scaled.topk(sampling.top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < kth, float("-inf"))
    probabilities = scaled.softmax(dim=-1)
    if sampling.top_p < 1:
        probabilities = _nucleus(probabilities, sampling.top_p)
    cumulated = probabilities.cumsum(dim=-1, dtype=torch.float64)
    target = torch.from_numpy(uniform).to(logits.device)[:, None] * cumulated[:, -1:]
    # right=True finds the first token whose cumulated probability exceeds the target: never one of probability 0,
    # except through rounding at the very top, which the clamp to the last possible token undoes
    token = torch.searchsorted(cumulated, target, right=True)[:, 0]
    last = torch.searchsorted(cumulated, cumulated[:, -1:].contiguous())[:, 0]
    return torch.minimum(token, last)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Zeroes what lies outside the smallest set of tokens whose probability reaches top_p."""
    ordered, indices = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    return probabilities.scatter(-1, indices, ordered.masked_fill(before >= top_p, 0.0))
