"""One call of `generate` at an engine that decodes elsewhere: what has ended, and who is let in while it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stepviz.engines.base import CANCELLED, Cancelled, OnBatch, OnCompletion
from stepviz.engines.decode import CHUNK_S
from stepviz.types import Completion


@dataclass(slots=True)
class Call:
    """Hands each completion over as it comes; `interrupted` lets the caller in as often as base.Engine promises."""

    wanted: int
    on_batch: OnBatch | None = None
    on_completion: OnCompletion | None = None
    cancelled: Cancelled | None = None
    decoded: Callable[[], int] = lambda: 0  # tokens of requests that have not ended
    completions: dict[int, Completion] = field(default_factory=dict)
    tokens: int = 0  # of those that have ended
    looked: float = field(default_factory=time.monotonic)

    def end(self, request: int, completion: Completion) -> None:
        self.completions[request] = completion
        self.tokens += completion.tokens
        if self.on_completion is not None:
            self.on_completion(request, completion)

    @property
    def going(self) -> bool:
        return len(self.completions) < self.wanted

    @property
    def wait_s(self) -> float:
        """How long the engine may still work before the next look."""
        return max(0.0, self.looked + CHUNK_S - time.monotonic())

    def interrupted(self) -> bool:
        """Every CHUNK_S reports, and says whether somebody cancelled; the requests left are completions then."""
        if self.wait_s > 0:
            return False
        self.report()
        stop = self.cancelled is not None and self.cancelled()
        self.looked = time.monotonic()
        return stop

    def give_up(self) -> None:
        for request in set(range(self.wanted)).difference(self.completions):
            self.end(request, Completion("", "error", 0, error=CANCELLED))

    def report(self) -> None:
        if self.on_batch is not None:
            self.on_batch(len(self.completions), self.tokens + self.decoded())

    def result(self) -> list[Completion]:
        return [self.completions[i] for i in range(self.wanted)]
