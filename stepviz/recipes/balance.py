"""As many positive as negative labels at each prefix length (GLoRe, arXiv 2402.10963, step 9c).

Without it a step reward model learns the position: prefixes are mostly solvable early in a chain and lost late.

Decisions:
1. The surplus is masked with −100, not removed: the sequence still gives context to its other labels.
2. Which labels are masked is drawn from the seed and the order of the rows, over the whole training set and after
   the other two post-processings.
3. A length at which one class is missing keeps no label: any would teach the position.
4. A row that keeps no label is dropped by the build.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence

from stepviz.recipes.case import MASK


class PrefixBalance:
    """First `see` the labels of each row in their order, then `masked` gives those that stay. A few bytes a label."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._rows: dict[tuple[int, int], array[int]] = {}  # (prefix length, label) → numbers of the rows
        self._seen = 0
        self._surplus: dict[int, set[int]] | None = None

    def see(self, labels: Sequence[int]) -> None:
        assert self._surplus is None, "all rows are seen before the first is masked"
        for length, label in enumerate(labels, start=1):
            if label != MASK:
                self._rows.setdefault((length, label), array("q")).append(self._seen)
        self._seen += 1

    def masked(self, number: int, labels: Sequence[int]) -> list[int]:
        """The labels of row `number` (0, 1, …) with the surplus masked."""
        if self._surplus is None:
            self._surplus = {length: self._chosen(length) for length in {length for length, _ in self._rows}}
        return [MASK if number in self._surplus.get(i, ()) else label for i, label in enumerate(labels, start=1)]

    def _chosen(self, length: int) -> set[int]:
        negative, positive = (self._rows.get((length, label), array("q")) for label in (0, 1))
        more, fewer = (positive, negative) if len(positive) > len(negative) else (negative, positive)
        rng = random.Random(f"balance/{self.seed}/{length}")
        return set(rng.sample(more, len(more) - len(fewer)))
