"""Whether a model reads forwards only: one that sees the steps to come has no score *after* a step."""

from __future__ import annotations

from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoded
from stepviz.reward.scorer import Scorer

TOKENS = 6


def refuse_looking_ahead(made: Scorer, vocabulary: int, close: float) -> None:
    """One pass: three sequences that differ in their last token only must agree before it.

    vocabulary: tokens that the model has. close: what its precision may make of the same number.
    """
    size = min(1000, vocabulary)
    tag = getattr(made.encode, "id", None)  # where steps end with a token of their own, a server may read there alone
    start = tuple(i % size if tag is None else tag for i in range(TOKENS - 1))
    ends = tuple(range(TOKENS - 1))
    chains = [Encoded((*start, x % size), ends) for x in (TOKENS - 1, TOKENS + size // 3, TOKENS + size // 2)]
    first, *others = made.probabilities(chains)
    if any(abs(a - b) > close for other in others for a, b in zip(first, other, strict=True)):
        raise StepvizError(f"{made.spec} reads both ways, so its scores know the steps to come: take a causal backbone")
