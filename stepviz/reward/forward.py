"""A scorer that computes here, by one forward pass of the `transformers` library over each batch.

The backbone is causal, so the pass over the whole chain holds the scores of all its prefixes, and padding on the
right needs no mask: nothing that is read stands after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepviz.engines import memory
from stepviz.reward.encoding import Encoded
from stepviz.reward.scorer import Scorer

if TYPE_CHECKING:
    import torch

PAD = 0  # any token that the model has: nothing that is read sees it

Read = Callable[["torch.Tensor", "torch.Tensor", "torch.Tensor"], "torch.Tensor"]


@dataclass
class ForwardScorer(Scorer):
    """`read(ids, rows, ends)` takes a batch [rows, width] and gives the probability at each (row, end)."""

    model: Any
    tokenizer: Any
    read: Read
    room: int = 0  # tokens of a batch; 0: TOKENS. Halved where the memory is too small for it

    def close(self) -> None:
        import torch

        self.model = self.read = None  # type: ignore[assignment]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _room(self) -> int:
        return self.room or super()._room()

    def probabilities(self, batch: Sequence[Encoded]) -> list[list[float]]:
        """In halves, where the memory is too small for all at once; StepvizError where it is for one chain."""
        try:
            return self._forward(batch)
        except Exception as error:
            if not memory.is_full(error):
                raise
            if len(batch) == 1:
                what = f"there is not enough memory on {self.device} to score a chain of {len(batch[0].ids)} tokens"
                raise memory.full(error, f"{what} with {self.spec}") from error
        memory.release()
        half = len(batch) // 2
        self.room = half * len(batch[0].ids)  # the first is the longest
        self.notes.append(memory.halved(self.device, len(batch), half, "chains"))
        return self.probabilities(batch[:half]) + self.probabilities(batch[half:])

    def _forward(self, batch: Sequence[Encoded]) -> list[list[float]]:
        import torch

        width = max(len(e.ids) for e in batch)
        ids = torch.tensor([[*e.ids, *[PAD] * (width - len(e.ids))] for e in batch], device=self.device)
        rows = torch.tensor([row for row, e in enumerate(batch) for _ in e.ends], device=self.device)
        ends = torch.tensor([end for e in batch for end in e.ends], device=self.device)
        with torch.inference_mode():
            found = iter(self.read(ids, rows, ends).float().tolist())
        return [[next(found) for _ in e.ends] for e in batch]
