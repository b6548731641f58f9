"""Many chains → a probability after each of their steps, in batches of chains of about one length.

The backbone is causal, so the pass over the whole chain holds the scores of all its prefixes, and padding on the
right needs no mask: nothing that is read stands after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepviz.engines import memory
from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoded, Encoder

if TYPE_CHECKING:
    import torch

TOKENS = {"cpu": 2048, "cuda": 32768}  # in one batch, padding included: on a CPU what its cache holds
PAD = 0  # any token that the model has: nothing that is read sees it

Question = str
Steps = Sequence[str]
Read = Callable[["torch.Tensor", "torch.Tensor", "torch.Tensor"], "torch.Tensor"]
OnScores = Callable[[int, list[float]], None]  # (index of the chain, its scores), after its batch
OnRefused = Callable[[int, str], None]  # (index of the chain, why it cannot be scored)


@dataclass
class Scorer:
    """A loaded model. Calls come from one thread.

    `read(ids, rows, ends)` takes a batch [rows, width] and gives the probability at each (row, end).
    """

    spec: str  # as the user wrote it
    model_id: str  # the weights' identity
    role: str  # what a score estimates: stepviz.reward.ROLES
    kind: str  # stepviz.reward.KINDS
    device: str
    context: int  # tokens, question included
    model: Any
    tokenizer: Any
    encode: Encoder
    read: Read
    room: int = 0  # tokens of a batch; 0: TOKENS. Halved where the memory is too small for it

    def score(
        self,
        chains: Sequence[tuple[Question, Steps]],
        on_scores: OnScores | None = None,
        on_refused: OnRefused | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[list[float]]:
        """A probability in [0, 1] after each step of each chain, in the order of the chains.

        A chain without steps, or longer than the context, cannot be scored: `on_refused` hears of it and its list
        is empty, while the others are unharmed; without `on_refused` it is a StepvizError before anything is
        computed. `on_scores` is called as each batch ends, a batch taking about a second or less; after a cancel
        the lists of what was not scored yet are empty.
        """
        encoded = self._encoded(chains, on_refused)
        scores: list[list[float]] = [[] for _ in chains]
        for batch in self._batches(encoded):
            if cancelled is not None and cancelled():
                break
            for index, found in zip(batch, self._fitting([encoded[i] for i in batch]), strict=True):
                scores[index] = found
                if on_scores is not None:
                    on_scores(index, found)
        return scores

    def close(self) -> None:
        """Frees the model's memory."""
        import torch

        self.model = self.read = None  # type: ignore[assignment]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _encoded(self, chains: Sequence[tuple[Question, Steps]], on_refused: OnRefused | None) -> dict[int, Encoded]:
        encoded = {}
        for i, (question, steps) in enumerate(chains):
            if not steps:
                reason = "the chain has no steps: there is nothing to score; cut it into steps first"
            else:
                found = self.encode(question, steps)
                if len(found.ids) <= self.context:
                    encoded[i] = found
                    continue
                reason = (
                    f"the chain has {len(found.ids)} tokens with its question, {self.spec} reads {self.context}: score "
                    "it with a model that reads more"
                )
            if on_refused is None:
                raise StepvizError(f"chain {i + 1} of {len(chains)} cannot be scored: {reason}")
            on_refused(i, reason)
        return encoded

    def _batches(self, encoded: dict[int, Encoded]) -> Iterator[list[int]]:
        """Chains of about one length together, the longest first: what does not fit into memory shows at once."""
        batch: list[int] = []
        for i in sorted(encoded, key=lambda i: -len(encoded[i].ids)):
            room = self.room or TOKENS[self.device.split(":")[0]]
            if batch and (len(batch) + 1) * len(encoded[batch[0]].ids) > room:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _fitting(self, batch: Sequence[Encoded]) -> list[list[float]]:
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
        return self._fitting(batch[:half]) + self._fitting(batch[half:])

    def _forward(self, batch: Sequence[Encoded]) -> list[list[float]]:
        import torch

        width = max(len(e.ids) for e in batch)
        ids = torch.tensor([[*e.ids, *[PAD] * (width - len(e.ids))] for e in batch], device=self.device)
        rows = torch.tensor([row for row, e in enumerate(batch) for _ in e.ends], device=self.device)
        ends = torch.tensor([end for e in batch for end in e.ends], device=self.device)
        with torch.inference_mode():
            found = iter(self.read(ids, rows, ends).float().tolist())
        return [[next(found) for _ in e.ends] for e in batch]
