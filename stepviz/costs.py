"""What a run costs, counted at its engines and scorers, so that no kind of job has to: tokens sampled, and tokens read.

Tokens go onto the bill, and the bill into the store, before what was drawn is stored. So after a kill a run's cost is
never below that of what it has left, and what was drawn twice is paid twice.

read: each prompt once where continuations of one call share it, and the tokens of the chains that a scorer reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stepviz.engines.base import Cancelled, Engine, OnBatch, OnCompletion
from stepviz.types import Completion, Request, Sampling

if TYPE_CHECKING:
    from stepviz.reward.scorer import OnRefused, OnScores, Question, Scorer, Steps

NOTES = 20  # that a run keeps beside its log


@dataclass
class Bill:
    """One run's cost over all of its lives, and what its engines noted. Another thread reads it."""

    sampled: int = 0
    read: int = 0
    worked: float = 0.0  # seconds, before this life
    notes: tuple[str, ...] = ()
    draws: int = 0  # that ended, chains or continuations
    began: float = field(default_factory=time.monotonic)
    save: Callable[[], None] = lambda: None  # writes it into the store
    log: Callable[[str], None] = lambda line: None

    @classmethod
    def of(cls, progress: Mapping[str, Any]) -> Bill:
        """As a run's progress tells it, before which there may have been none."""
        spent = progress.get("spent") or {}
        return cls(
            int(spent.get("sampled", 0)),
            int(spent.get("read", 0)),
            float(spent.get("seconds", 0.0)),
            tuple(progress.get("notes") or ()),
            int(spent.get("draws", 0)),
        )

    def told(self) -> dict[str, Any]:
        """For the run's progress."""
        seconds = round(self.worked + time.monotonic() - self.began, 1)
        spent = {"sampled": self.sampled, "read": self.read, "seconds": seconds}
        spent |= {"draws": self.draws} if self.draws else {}
        return {"spent": spent} | ({"notes": list(self.notes)} if self.notes else {})

    def note(self, text: str) -> None:
        """Into the log, and once where the run is listed."""
        self.log(text)
        if text not in self.notes:
            self.notes = (*self.notes, text)[-NOTES:]

    def hear(self, model: Any) -> None:
        """What an engine or a scorer has noted since somebody asked it last; not all of them note anything."""
        noted = getattr(model, "notes", None)
        while noted:
            self.note(noted.pop(0))


class CountedEngine:
    """An engine at work for a run, which pays for it."""

    def __init__(self, engine: Engine, bill: Bill) -> None:
        self.engine, self.bill = engine, bill

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch: OnBatch | None = None,
        on_completion: OnCompletion | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[Completion]:
        call = _Call(self.engine, self.bill)

        def completed(i: int, done: Completion) -> None:
            call.completed(requests[i], done)
            if on_completion is not None:
                on_completion(i, done)

        def batch(done: int, tokens: int) -> None:
            call.pay(tokens)
            if on_batch is not None:
                on_batch(done, tokens)

        try:
            return self.engine.generate(requests, sampling, batch, completed, cancelled)
        finally:
            call.pay()


@dataclass
class _Call:
    """One call of `generate`."""

    engine: Engine
    bill: Bill
    prompts: set[tuple[str, str]] = field(default_factory=set)
    ended: int = 0  # tokens of completions
    paid: int = 0
    open: bool = False  # a completion ended that the store does not know the cost of

    def completed(self, request: Request, done: Completion) -> None:
        self.ended, self.open = self.ended + done.tokens, True
        self.bill.draws += done.finish_reason != "error"
        prompt = request.question, request.prefix
        if prompt not in self.prompts:
            self.prompts.add(prompt)
            self.bill.read += done.prompt_tokens

    def pay(self, decoded: int = 0) -> None:
        """decoded: with what is still on its way."""
        if (more := max(self.ended, decoded) - self.paid) > 0:
            self.bill.sampled += more
            self.paid += more
        self.bill.hear(self.engine)
        if self.open:
            self.open = False
            self.bill.save()


class CountedScorer:
    """The same for a scorer."""

    def __init__(self, scorer: Scorer, bill: Bill) -> None:
        self.scorer, self.bill = scorer, bill

    def __getattr__(self, name: str) -> Any:
        return getattr(self.scorer, name)

    def score(
        self,
        chains: Sequence[tuple[Question, Steps]],
        on_scores: OnScores | None = None,
        on_refused: OnRefused | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[list[float]]:
        def scored(index: int, found: list[float]) -> None:
            self._pay()
            if on_scores is not None:
                on_scores(index, found)

        try:
            return self.scorer.score(chains, scored, on_refused, cancelled)
        finally:
            self._pay()

    def _pay(self) -> None:
        self.bill.hear(self.scorer)
        if read := getattr(self.scorer, "tokens_read", 0):
            self.scorer.tokens_read = 0
            self.bill.read += read
            self.bill.save()
