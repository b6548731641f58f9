"""The drawing that most kinds of job share: in chunks, with progress, and each draw stored as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from db.store import Store
from db.values import ContinuationKey
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.rollouts import Drawn, PrefixKey, Want, draw
from stepviz.sampling import QUESTION, Start, read
from stepviz.types import Continuation, Sampling

CHUNK = 1024  # draws asked of the engine at once, at least
TURN = 16  # of an engine that says how many requests it has at once, so many times as many: see draw_all
PIECE = 256  # chains stored at once, of draws that were there before


def at_once(engine: Engine) -> int:
    """Requests that it works on at the same time, where it says so (stepviz.engines.base); else 0."""
    return int(getattr(engine, "at_once", 0))


def draw_chains(
    job: Job, engine: Engine, sampling: Sampling, wants: Sequence[Want], start: Start = QUESTION, first: int = 0
) -> None:
    """Draws, and makes a chain of each draw from j = first on, those that were stored before included."""

    made: set[ContinuationKey] = set()  # draws of the chunk at work whose chains are stored

    def add_chains(draws: Sequence[Continuation]) -> None:
        chains = [(read(c, sampling, start), _key(c)) for c in draws if c.j >= first]
        job.store.add_chains([(sample.chain, sample.verdict, key) for sample, key in chains])

    def record(new: Sequence[Continuation]) -> None:
        job.store.add_continuations(new)
        add_chains(new)
        made.update(map(_key, new))

    def add_recalled(drawn: Drawn) -> None:
        """Drawn for a measurement, or before a kill that came between a draw and its chain."""
        recalled = [c for draws in drawn.continuations.values() for c in draws if _key(c) not in made]
        made.clear()
        for begin in range(0, len(recalled), PIECE):
            if job.cancelled():
                break
            add_chains(recalled[begin : begin + PIECE])

    draw_all(job, engine, sampling, wants, record, add_recalled)


def draw_all(
    job: Job,
    engine: Engine,
    sampling: Sampling,
    wants: Sequence[Want],
    record: Callable[[Sequence[Continuation]], object],
    then: Callable[[Drawn], object] = lambda drawn: None,
) -> None:
    """In chunks, each followed by `then`, with progress; stops between batches where the job is cancelled.

    Draws are recorded as they come. A chunk bounds what is held here, its texts and prompts, and ends with its slowest
    draw: for an engine that has many requests at once it is long enough that such ends are few.
    """
    asked = {want.key: want.n for want in wants}
    stored = _stored(job, engine, sampling, asked)
    if job.cancelled():
        return  # while it was counted
    there = job.progress.get("there", stored)  # a resumed run keeps what there was when it began
    meter = Meter(job, sum(asked.values()) - there, drawn=stored - there)
    job.tell(there=there, done=meter.drawn, total=meter.total, unit="continuations")
    failed: dict[PrefixKey, str] = {}
    for chunk in _chunks(wants, max(CHUNK, TURN * at_once(engine))):
        meter.begin()
        drawn = draw(
            chunk,
            engine,
            sampling,
            recall=_Recall(job.store, engine, sampling),
            record=record,
            on_draws=meter.count,
            cancelled=job.cancelled,
        )
        then(drawn)
        meter.end(drawn)
        failed |= drawn.failed
        if job.cancelled():
            break
    if failed:
        first = next(iter(failed.values()))
        if len(failed) == len({want.key for want in wants}):
            raise StepvizError(f"{engine.spec} could not continue any of these: {first}")
        job.tell(note=f"{len(failed)} of the prefixes could not be continued: {first}")


@dataclass
class Meter:
    """Draws done and left of those this run is to add, tokens a second, time left."""

    job: Job
    total: int  # asked for, without what was there
    drawn: int = 0  # by this run, before it was stopped and resumed
    missing: int = 0  # draws of the chunk at work that were not stored
    tokens: int = 0  # in this life of the run, by which its speed is told
    sampled: int = 0  # of the chunks that are through
    began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        self.missing = 0

    def count(self, done: int, missing: int, tokens: int) -> None:
        """From inside a chunk; then lets others in, whose time is not ours."""
        self._tell(self.sampled + done, self.tokens + tokens)
        self.missing = missing
        paused = time.monotonic()
        self.job.let_in()
        self.began += time.monotonic() - paused

    def end(self, drawn: Drawn) -> None:
        self.tokens += drawn.tokens
        self.sampled += self.missing
        if not drawn.cancelled:
            self._tell(self.sampled, self.tokens)

    def _tell(self, sampled: int, tokens: int) -> None:
        seconds = max(time.monotonic() - self.began, 1e-3)
        done = self.drawn + sampled
        left = max(0, self.total - done)
        self.job.tell(
            done=done,
            total=done + left,
            unit="continuations",
            tokens=self.job.bill.sampled,
            tokens_per_s=round(tokens / seconds),
            eta_s=round(seconds * left / sampled, 1) if sampled else None,
        )


class _Recall:
    """The store's draws of one model and sampling, a problem at a time."""

    def __init__(self, store: Store, engine: Engine, sampling: Sampling) -> None:
        self.store, self.of = store, (engine.model_id, sampling.hash)
        self.problems: dict[str, dict[str, list[Continuation]]] = {}

    def __call__(self, problem_id: str, prefix_hash: str) -> Sequence[Continuation]:
        if problem_id not in self.problems:
            found: dict[str, list[Continuation]] = {}
            for continuation in self.store.continuations_for(problem_id, *self.of):
                found.setdefault(continuation.prefix_hash, []).append(continuation)
            self.problems[problem_id] = found
        return self.problems[problem_id].get(prefix_hash, ())


def _stored(job: Job, engine: Engine, sampling: Sampling, asked: Mapping[PrefixKey, int]) -> int:
    """How many of the draws asked for there are already; a cancel cuts it short."""
    problems = job.each(problem for problem, _ in asked)
    counts = {id: job.store.continuation_counts(id, engine.model_id, sampling.hash) for id in problems}
    return sum(min(n, counts[p][prefix].n) for (p, prefix), n in asked.items() if prefix in counts.get(p, ()))


def _chunks(wants: Sequence[Want], size: int) -> Iterator[list[Want]]:
    """Each prefix once, in pieces of about so many draws."""
    piece: list[Want] = []
    draws = 0
    for want in {want.key: want for want in wants}.values():
        piece.append(want)
        draws += want.n
        if draws >= size:
            yield piece
            piece, draws = [], 0
    if piece:
        yield piece


def _key(c: Continuation) -> ContinuationKey:
    return ContinuationKey(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j)
