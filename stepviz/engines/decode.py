"""The decoding loop: rows of any age in one batch; finished rows leave it, waiting ones take their places.

It knows token ids only; text is the business of `endings`. A *batch* (causal.CausalBatch for any model,
llama.LlamaBatch for small ones on a CPU) holds the rows' attention cache.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stepviz.engines import memory
from stepviz.engines.base import CANCELLED, Cancelled, OnBatch
from stepviz.engines.draws import pick, uniforms
from stepviz.types import FinishReason, Sampling

if TYPE_CHECKING:
    import torch

CHUNK_S = 0.5  # how often callers are let in between two steps


@dataclass(slots=True)
class Row:
    """One request on its way: its prompt, how many new tokens it has room for, and those it has."""

    request: int
    seed: int
    prompt: tuple[int, ...]
    room: int
    tokens: list[int] = field(default_factory=list)
    reason: FinishReason | None = None
    error: str | None = None


class Batch(Protocol):
    """The attention cache of the rows that are being decoded together; rows have places 0, 1, …"""

    refills: bool  # whether rows can be added while others are under way

    def add(self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], places: Sequence[int]) -> torch.Tensor:
        """counts[i] rows for each prompt, computed once; logits [sum(counts), vocabulary] after it.

        `places` [sum(counts)]: the row that was there goes; places behind the last row are taken in order.
        """
        ...

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Feeds one token a row, int64 [rows]; logits [rows, vocabulary]."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all rows but these."""
        ...


@dataclass(slots=True)
class Decoder:
    """Decodes rows to their ends. `over` says when a row ends, `ended` is told that it has."""

    new_batch: Callable[[], Batch]
    sampling: Sampling
    over: Callable[[Row], FinishReason | None]
    ended: Callable[[Row], None]
    capacity: int  # rows in one batch
    device: str = "cpu"
    on_batch: OnBatch | None = None
    cancelled: Cancelled | None = None
    done: int = 0
    tokens: int = 0
    notes: list[str] = field(default_factory=list)  # that the memory was too small for a batch

    def run(self, rows: Sequence[Row]) -> None:
        """Takes the rows in the order given: equal prompts must be neighbours (see by_trunk, by_length)."""
        import torch

        waiting = deque(r for r in rows if r.error is None)
        for row in rows:
            if row.error is not None:
                self._end(row, "error", row.error)
        with torch.inference_mode():
            while waiting and not self._stopped():
                active: list[Row] = []
                failure = None
                try:
                    self._drain(waiting, active)
                except torch.OutOfMemoryError as error:
                    failure = str(error)
                if failure is not None:  # out here, where no traceback holds the batch any more
                    self._retreat(waiting, active, failure)
        for row in waiting:
            self._end(row, "error", CANCELLED)
        self._report()

    def _drain(self, waiting: deque[Row], active: list[Row]) -> None:
        """Decodes until nothing waits or the call is cancelled. The caller keeps `active` to put it back."""
        import torch

        batch, last_call = self.new_batch(), time.monotonic()
        while True:
            if time.monotonic() - last_call >= CHUNK_S:
                self._report()
                if self._stopped():
                    waiting.extendleft(r for r in active if r.reason is None)
                    return
                last_call = time.monotonic()
            live = [i for i, row in enumerate(active) if row.reason is None]
            free = self.capacity - len(live)
            if waiting and (not live or (batch.refills and 4 * free >= self.capacity)):
                if not live:
                    batch, active[:] = self.new_batch(), []
                self._refill(batch, waiting, active)
            elif live:
                if 4 * len(live) <= 3 * len(active):
                    batch.keep(live)
                    active[:] = [active[i] for i in live]
                last = torch.tensor([row.tokens[-1] for row in active], device=self.device)
                self._advance(active, batch.step(last))
            else:
                return

    def _refill(self, batch: Batch, waiting: deque[Row], active: list[Row]) -> None:
        """Puts waiting rows where rows are over, and behind the last one up to the capacity."""
        places = [i for i, row in enumerate(active) if row.reason is not None]
        places = [*places, *range(len(active), self.capacity)][: len(waiting)]
        new = [waiting.popleft() for _ in places]
        for place, row in zip(places, new, strict=True):
            active[place : place + 1] = [row]
        prompts: list[tuple[int, ...]] = []
        counts: list[int] = []
        for row in new:
            if prompts and prompts[-1] == row.prompt:
                counts[-1] += 1
            else:
                prompts.append(row.prompt)
                counts.append(1)
        self._advance(new, batch.add(prompts, counts, places))

    def _advance(self, rows: Sequence[Row], logits: torch.Tensor) -> None:
        """Draws a token for each row that is not over."""
        seeds = np.fromiter((r.seed for r in rows), np.uint64, len(rows))
        counters = np.fromiter((len(r.tokens) for r in rows), np.uint64, len(rows))
        drawn = pick(logits, uniforms(seeds, counters), self.sampling).tolist()
        for row, token in zip(rows, drawn, strict=True):
            if row.reason is not None:
                continue  # over, but still in its place
            row.tokens.append(token)
            self.tokens += 1
            reason = self.over(row)
            if reason is not None:
                self._end(row, reason)

    def _end(self, row: Row, reason: FinishReason, error: str | None = None) -> None:
        row.reason, row.error = reason, error
        self.done += 1
        self.ended(row)

    def _retreat(self, waiting: deque[Row], active: Sequence[Row], failure: str) -> None:
        """Out of memory: half the rows a batch, from the start; their seeds give them the same tokens again."""
        import torch

        rows = [r for r in active if r.reason is None]
        if self.capacity == 1:
            for row in rows:
                self._end(row, "error", f"out of memory with a single row: {failure}")
        else:
            for row in reversed(rows):
                self.tokens -= len(row.tokens)
                row.tokens.clear()
                waiting.appendleft(row)
            tried = min(self.capacity, len(active))
            self.capacity = max(1, tried // 2)
            self.notes.append(memory.halved(self.device, tried, self.capacity, "continuations"))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _stopped(self) -> bool:
        return self.cancelled is not None and self.cancelled()

    def _report(self) -> None:
        if self.on_batch is not None:
            self.on_batch(self.done, self.tokens)


def by_length(rows: Sequence[Row]) -> list[Row]:
    """Longest prompts first, so that batches need little padding and one too large for the memory shows early."""
    return sorted(rows, key=lambda r: (-len(r.prompt), r.prompt, r.request))


def by_trunk(rows: Sequence[Row]) -> list[Row]:
    """Prompts that are prefixes of one another (those of one chain) side by side, the longest such families first."""
    prompts = list(dict.fromkeys(r.prompt for r in rows))
    trunks, place = share(prompts)
    trunk = {prompt: trunks[at] for prompt, at in zip(prompts, place, strict=True)}
    return sorted(rows, key=lambda r: (-len(trunk[r.prompt]), trunk[r.prompt], -len(r.prompt), r.request))


def share(prompts: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], list[int]]:
    """The *trunks*, the prompts that are no prefix of another, and for each prompt the index of one that it begins.

    In sorted order whatever begins with p follows p at once, so one look at the latest trunk is enough.
    """
    trunks: list[tuple[int, ...]] = []
    place = [0] * len(prompts)
    for j in sorted(range(len(prompts)), key=lambda j: prompts[j], reverse=True):
        if not trunks or trunks[-1][: len(prompts[j])] != prompts[j]:
            trunks.append(prompts[j])
        place[j] = len(trunks) - 1
    return trunks, place
