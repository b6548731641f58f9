"""Draws that trainings need, through the store: chains of questions, and rollouts of their prefixes.

What `sample` and `measure` do for the app, without its jobs: one engine in this process, every batch stored as it
comes, so that a kill loses at most a second and the same call goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from db.store import Store
from db.values import ChainRow, ContinuationKey, ModelRow, ProblemFilter
from stepviz import glore, rollouts
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.rollouts import PrefixKey, Want
from stepviz.sampling import read
from stepviz.types import Continuation, Problem, Sampling, SourceItem, prefix_hash
from stepviz.world import embedded_problems
from training.watching import Cancelled

Log = Callable[[str], None]
CHUNK = 4096  # draws asked of the engine at once: long enough that its last, half empty batches matter little
TELL_S = 20.0
Draws = dict[PrefixKey, list[Continuation]]


def problems_of(store: Store, split: str, count: int) -> list[Problem]:
    """The first problems of a split of the embedded world, made and stored where they are not there yet."""
    there = ProblemFilter(source="embedded", split=split)
    if store.count_problems(there) < count:
        made = list(embedded_problems(split, count))
        for start in range(0, count, 500):
            store.add_items([SourceItem(p) for p in made[start : start + 500]])
        return made
    return [row.problem for row in store.problems(there, limit=count)]


@dataclass
class Drawing:
    """An engine that draws into a store; `tokens` and `seconds` are what new draws have cost so far.

    tell: hears every tell_s how far it is, in place of the log. cancelled: asked between two batches; then `draw`
    raises Cancelled, with all that was drawn in the store.
    """

    store: Store
    engine: Engine
    sampling: Sampling
    log: Log = print
    tokens: int = 0
    seconds: float = 0.0
    tell: Callable[[dict[str, Any]], None] | None = None
    tell_s: float = TELL_S
    cancelled: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        self.store.add_model(ModelRow(self.engine.model_id, spec=self.engine.spec))
        self.store.add_sampling(self.sampling)

    def draw(self, wants: Sequence[Want], what: str) -> Draws:
        """Makes the wanted draws exist, and gives them: each prefix's in the order of j.

        StepvizError where the engine cannot continue any of them; a prefix that it refuses alone has no draws.
        """
        merged = {want.key: want for want in sorted(wants, key=lambda want: want.n)}
        found: Draws = {}
        failed: dict[PrefixKey, str] = {}
        tell = self.tell or (lambda row: self.log(json.dumps(row)))
        meter = _Meter(tell, self.tell_s, what, sum(want.n for want in merged.values()))
        for chunk in _chunks(list(merged.values())):
            memory = _Memory(self.store, self.engine.model_id, self.sampling.hash)
            meter.begin(sum(want.n for want in chunk))
            drawn = rollouts.draw(
                chunk,
                self.engine,
                self.sampling,
                recall=memory.recall,
                record=memory.record,
                on_draws=meter.count,
                cancelled=self.cancelled,
            )
            if self.cancelled is not None and self.cancelled():
                raise Cancelled
            meter.end(drawn, memory.new)
            found |= drawn.continuations
            failed |= drawn.failed
        self.tokens, self.seconds = self.tokens + meter.tokens, self.seconds + meter.close()
        if failed and len(failed) == len(merged):
            raise StepvizError(f"{self.engine.spec} cannot continue any of these: {next(iter(failed.values()))}")
        return found

    def chains(self, problems: Sequence[Problem], n: int, what: str = "sampling") -> dict[str, list[ChainRow]]:
        """n chains of each question as stored chains, by problem id, in the order of j."""
        self.draw([Want(p, "", n) for p in problems], what)
        found = {}
        for start in range(0, len(problems), 100):
            some = problems[start : start + 100]
            have = {p.id: self._stored(p.id, n) for p in some}
            new = [
                draw
                for p in some
                if len(have[p.id]) < n
                for draw in self.store.continuations(p.id, ROOT, self.engine.model_id, self.sampling.hash, n)
            ]
            made = [(read(draw, self.sampling), _key(draw)) for draw in new]
            if made:
                self.store.add_chains([(sample.chain, sample.verdict, key) for sample, key in made])
            found |= {p.id: have[p.id] if len(have[p.id]) == n else self._stored(p.id, n) for p in some}
        return found

    def _stored(self, problem_id: str, n: int) -> list[ChainRow]:
        rows = [
            row
            for row in self.store.chains(problem_id, self.engine.model_id)
            if row.chain.parent is None and row.sampling_id == self.sampling.hash and row.continuation
        ]
        rows.sort(key=lambda row: row.continuation.j if row.continuation else 0)
        return [row for row in rows if row.continuation and row.continuation.j < n]

    def measure(self, work: Sequence[tuple[Problem, ChainRow]], k: int, what: str = "measuring") -> Draws:
        """k draws from every open prefix 1 … n of the chains."""
        wants = [
            want
            for problem, row in work
            for want in rollouts.wanted(row.chain, problem, k, self._separator, range(1, row.chain.n + 1))
        ]
        return self.draw(wants, what)

    def measure_backwards(
        self, work: Sequence[tuple[Problem, ChainRow]], k: int, what: str = "measuring backwards"
    ) -> int:
        """k draws from the last open prefix, then from the one before, until one succeeds; the prefixes measured.

        The labels of GLoRe's SORM are the same as with every prefix measured, since a positive is carried back to
        all earlier steps (stepviz.glore); a success is one by the consistency rule. What the chain's own suffix
        makes positive needs no draws.
        """
        at = {row.chain.id: _last_open(row) for _, row in work}
        own = {row.chain.id: glore.own_suffix(row.chain, row.verdict) for _, row in work}
        measured = turn = 0
        while True:
            asked = [(p, row, at[row.chain.id]) for p, row in work if at[row.chain.id] >= 1]
            asked = [(p, row, i) for p, row, i in asked if not own[row.chain.id][i - 1]]
            if not asked:
                return measured
            turn, measured = turn + 1, measured + len(asked)
            prefixes = [rollouts.prefix_of(row.chain, i, self._separator) for _, row, i in asked]
            wants = [Want(p, prefix, k) for (p, _, _), prefix in zip(asked, prefixes, strict=True)]
            found = self.draw(wants, f"{what}, round {turn}")
            at = dict.fromkeys(at, 0)
            for (p, row, i), prefix in zip(asked, prefixes, strict=True):
                draws = found.get(PrefixKey(p.id, prefix_hash(prefix)), ())
                right = (draw.text for draw in draws if draw.verdict == "correct")
                if not any(glore.consistent(row.chain.steps[:i], text) for text in right):
                    at[row.chain.id] = i - 1

    @property
    def _separator(self) -> str:
        return self.sampling.style.separator


ROOT = prefix_hash("")


class _Memory:
    """The store's draws of one model and sampling, a problem at a time."""

    def __init__(self, store: Store, model_id: str, sampling_id: str) -> None:
        self.store, self.of = store, (model_id, sampling_id)
        self.problems: dict[str, dict[str, list[Continuation]]] = {}
        self.new = 0

    def recall(self, problem_id: str, prefix: str) -> Sequence[Continuation]:
        if problem_id not in self.problems:
            self.problems[problem_id] = rollouts.by_prefix(self.store.continuations_for(problem_id, *self.of))
        return self.problems[problem_id].get(prefix, ())

    def record(self, new: Sequence[Continuation]) -> None:
        self.store.add_continuations(new)
        self.new += len(new)


@dataclass
class _Meter:
    """Says now and then how far it is; what was stored before takes no time."""

    tell: Callable[[dict[str, Any]], None]
    tell_s: float
    what: str
    total: int
    through: int = 0  # draws of the chunks that are through
    chunk: int = 0  # draws of this one
    sampled: int = 0
    tokens: int = 0
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def begin(self, draws: int) -> None:
        self.chunk = draws

    def count(self, done: int, missing: int, tokens: int) -> None:
        if time.monotonic() - self.told > self.tell_s:
            self._tell(self.through + self.chunk - missing + done, self.sampled + done, self.tokens + tokens)

    def end(self, drawn: rollouts.Drawn, sampled: int) -> None:
        self.through += self.chunk
        self.sampled, self.tokens = self.sampled + sampled, self.tokens + drawn.tokens

    def close(self) -> float:
        """Seconds in all."""
        if self.sampled:
            self._tell(self.through, self.sampled, self.tokens)
        return time.monotonic() - self.began

    def _tell(self, done: int, sampled: int, tokens: int) -> None:
        self.told = time.monotonic()
        seconds = max(self.told - self.began, 1e-3)
        said = {"stage": self.what, "draws": done, "of": self.total, "tokens": tokens}
        eta = {"tokens_per_s": round(tokens / seconds), "eta_s": round(seconds * (self.total - done) / max(1, sampled))}
        self.tell(said | eta)


def _chunks(wants: Sequence[Want]) -> Iterator[list[Want]]:
    piece: list[Want] = []
    size = 0
    for want in wants:
        piece.append(want)
        size += want.n
        if size >= CHUNK:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _last_open(row: ChainRow) -> int:
    return max((i for i in range(row.chain.n + 1) if not rollouts.terminal(row.chain, i)), default=0)


def _key(c: Continuation) -> ContinuationKey:
    return ContinuationKey(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j)
