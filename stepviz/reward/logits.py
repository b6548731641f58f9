"""From what vLLM's pooling runner returns for a sequence to the probabilities at its steps' ends.

Logits are asked for, not what a server makes of them: two labels are a softmax here and one a sigmoid, as in
loading.py, whatever a config says of activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoded

TASK = "token_classify"
POSITIVE = {"math-shepherd": 0}  # of two labels; of the others the second


def at_ends(returned: Any, chain: Encoded, kind: str) -> list[float]:
    """`returned`: [tokens, labels], or a row for each step tag where the runner picks those (its pooling type STEP).

    StepvizError where it is neither, or no numbers.
    """
    logits = _matrix(returned)
    rows = _rows(len(logits), chain)
    if logits.shape[1] == 1:
        margin = logits[rows, 0]
    else:
        positive = POSITIVE.get(kind, 1)
        margin = logits[rows, positive] - logits[rows, 1 - positive]
    return (0.5 * (1 + np.tanh(margin / 2))).tolist()


def _matrix(returned: Any) -> np.ndarray:
    try:
        logits = np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError):
        raise StepvizError("it returned something else than a row of logits for each token") from None
    if not logits.size:
        raise StepvizError("it returned no row: does it look for another step tag (step_tag_id) than this one has?")
    if logits.ndim != 2 or logits.shape[1] not in (1, 2):
        has = f"{logits.shape[1]} numbers" if logits.ndim == 2 else "something else than a row"
        raise StepvizError(f"it returned {has} for a token, where a score after a step needs one logit or two")
    if not np.isfinite(logits).all():
        raise StepvizError("it returned logits that are no numbers")
    return logits


def _rows(count: int, chain: Encoded) -> Sequence[int]:
    """Which of the rows returned are the steps' ends."""
    if count == len(chain.ids):
        return list(chain.ends)
    tags = [i for i, token in enumerate(chain.ids) if token == chain.ids[chain.ends[0]]]
    if count == len(tags) and set(chain.ends) <= set(tags):
        return [tags.index(end) for end in chain.ends]
    raise StepvizError(f"it returned {count} rows for a chain of {len(chain.ids)} tokens and {len(chain.ends)} steps")
