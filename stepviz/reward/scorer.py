"""Many chains → a probability after each of their steps, in batches of chains of about one length.

This is what all scorers share, whatever computes: forward.py (here, with transformers), vllm.py (here, with vLLM's
pooling runner), served.py (such a runner behind HTTP).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoded, Encoder

TOKENS = {"cpu": 2048, "cuda": 32768}  # in one batch, padding included: on a CPU what its cache holds

Question = str
Steps = Sequence[str]
OnScores = Callable[[int, list[float]], None]  # (index of the chain, its scores), after its batch
OnRefused = Callable[[int, str], None]  # (index of the chain, why it cannot be scored)
Cancelled = Callable[[], bool]


@dataclass
class Scorer(ABC):
    """A loaded model. Calls come from one thread."""

    spec: str  # as the user wrote it
    model_id: str  # the weights' identity
    role: str  # what a score estimates: stepviz.reward.ROLES
    kind: str  # stepviz.reward.KINDS
    device: str
    context: int  # tokens, question included
    encode: Encoder
    tokens_read: int = field(default=0, kw_only=True)  # since somebody set it to 0
    notes: list[str] = field(default_factory=list, kw_only=True)  # for people; who reads them takes them away

    def score(
        self,
        chains: Sequence[tuple[Question, Steps]],
        on_scores: OnScores | None = None,
        on_refused: OnRefused | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[list[float]]:
        """A probability in [0, 1] after each step of each chain, in the order of the chains.

        A chain without steps, or longer than the context, cannot be scored: `on_refused` hears of it and its list
        is empty, while the others are unharmed; without `on_refused` it is a StepvizError before anything is
        computed. `on_scores` is called as each batch ends, a batch taking about a second or less; after a cancel
        the lists of what was not scored yet are empty.
        """
        encoded = self._encoded(chains, on_refused)
        scores: list[list[float]] = [[] for _ in chains]
        for batch, found in self._results(encoded, cancelled or (lambda: False)):
            self.tokens_read += sum(len(encoded[i].ids) for i in batch)
            for index, one in zip(batch, found, strict=True):
                scores[index] = one
                if on_scores is not None:
                    on_scores(index, one)
        return scores

    @abstractmethod
    def probabilities(self, batch: Sequence[Encoded]) -> list[list[float]]:
        """Of each chain of a batch, the probabilities at its ends."""

    @abstractmethod
    def close(self) -> None:
        """Frees the model's memory."""

    def _results(
        self, encoded: Mapping[int, Encoded], cancelled: Cancelled
    ) -> Iterator[tuple[list[int], list[list[float]]]]:
        """Batches of indices with their scores, each as it ends; no further ones after a cancel."""
        for batch in self._batches(encoded):
            if cancelled():
                return
            yield batch, self.probabilities([encoded[i] for i in batch])

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

    def _batches(self, encoded: Mapping[int, Encoded]) -> Iterator[list[int]]:
        """Chains of about one length together, the longest first: what does not fit into memory shows at once."""
        batch: list[int] = []
        for i in sorted(encoded, key=lambda i: -len(encoded[i].ids)):
            if batch and (len(batch) + 1) * len(encoded[batch[0]].ids) > self._room():
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _room(self) -> int:
        """Tokens of a batch."""
        return TOKENS[self.device.split(":")[0]]
