"""A claimed run at work: its settings, its progress, and the drawing that most kinds of job share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db.store import Store
from db.values import ChainRow, ContinuationKey, ModelRow, RunRow
from stepviz.costs import Bill, CountedEngine, CountedScorer
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.reward import ROLES
from stepviz.rollouts import Drawn, PrefixKey, Want, draw
from stepviz.sampling import QUESTION, Start, read
from stepviz.types import Continuation, Problem, Sampling

if TYPE_CHECKING:
    from stepviz.reward.scorer import Scorer

CHUNK = 1024  # draws asked of the engine at once
LOOK_S = 0.2  # how often a job of many small pieces looks whether somebody waits


@dataclass
class Job:
    """A claimed run at work."""

    run: RunRow
    store: Store
    load: Callable[[str, str | None, str | None], Engine]
    load_scorer: Callable[[str, str | None], Scorer]
    let_in: Callable[[], None]  # does what somebody waits for, between two batches
    worker: str
    lease_s: float
    progress: dict[str, Any] = field(default_factory=dict)
    cancel: threading.Event = field(default_factory=threading.Event)
    let_go: Callable[[], None] = lambda: None  # the models loaded so far are not needed any more
    bill: Bill = field(default_factory=Bill)
    scorers: dict[str, tuple[Scorer, CountedScorer]] = field(default_factory=dict)  # by their models' ids

    def __post_init__(self) -> None:
        self.spec: Mapping[str, Any] = self.run.spec
        self.progress = {k: v for k, v in self.run.progress.items() if k in ("plan", "there")}
        self.bill = Bill.of(self.run.progress)
        self.bill.save, self.bill.log = self.save, lambda line: self.store.log(self.run.id, line)

    def tell(self, **progress: Any) -> None:
        """For the next heartbeat; a new dict each time, since another thread reads it."""
        self.progress = {**self.progress, **progress}

    def told(self) -> dict[str, Any]:
        """What the run's row says of it: its progress, and its cost up to now."""
        return {**self.progress, **self.bill.told()}

    def save(self) -> None:
        """Tells it now, not with the next heartbeat, and hears of a cancel."""
        if self.store.heartbeat(self.run.id, self.worker, self.told(), self.lease_s):
            self.cancel.set()

    def cancelled(self) -> bool:
        return self.cancel.is_set()

    def engine(self, spec: str = "", role: str = "generator") -> Engine:
        """The spec's, else the one that the run's settings name as their engine. What it draws, this run pays."""
        spec = spec or self.spec["engine"]
        self.tell(note=f"loading {spec}")
        engine = self.load(spec, self.spec.get("device"), self.spec.get("tokenizer"))
        self.store.add_model(ModelRow(engine.model_id, role, engine.spec))
        self.tell(note="")
        return CountedEngine(engine, self.bill)

    def scorer(self, spec: str = "") -> Scorer:
        """With its record in the store, which says what a score estimates."""
        spec = spec or self.spec["model"]
        self.tell(note=f"loading {spec}")
        scorer = self.load_scorer(spec, self.spec.get("device"))
        self.store.add_model(ModelRow(scorer.model_id, self.spec.get("role", scorer.role), scorer.spec))
        record = self.store.model(scorer.model_id)
        if record is None or record.role not in ROLES:
            raise StepvizError(f"{scorer.model_id} stands in this store as a {record and record.role}, not as a scorer")
        self.tell(note="")
        known = self.scorers.get(scorer.model_id)
        if known is None or known[0] is not scorer:  # one that was loaded anew
            known = self.scorers[scorer.model_id] = scorer, CountedScorer(scorer, self.bill)
        return known[1]

    def sampling(self) -> Sampling:
        return self.store.sampling(self.spec["sampling"])

    def problem(self, id: str) -> Problem:
        """With the gold answer that the store keeps for it, whichever source brought that."""
        row = self.store.problem(id)
        if row is None:
            raise StepvizError(f"there is no problem {id} in this store")
        return Problem(row.question, row.answer, row.solution)

    def chain(self, id: str) -> ChainRow:
        row = self.store.chain(id)
        if row is None:
            raise StepvizError(f"there is no chain {id} in this store")
        return row

    def planned(self, plan: Callable[[], Mapping[str, int]]) -> Mapping[str, int]:
        """Numbers that depend on what there was when the job began: stored before the first draw changes them."""
        if "plan" not in self.progress:
            self.tell(plan=dict(plan()))
            self.save()
        return self.progress["plan"]


def draw_chains(
    job: Job, engine: Engine, sampling: Sampling, wants: Sequence[Want], start: Start = QUESTION, first: int = 0
) -> None:
    """Draws, and makes a chain of each draw from j = first on, those that were stored before included."""

    def add_chains(draws: Sequence[Continuation]) -> None:
        chains = [(read(c, sampling, start), _key(c)) for c in draws if c.j >= first]
        job.store.add_chains([(made.chain, made.verdict, key) for made, key in chains])

    def record(new: Sequence[Continuation]) -> None:
        job.store.add_continuations(new)
        add_chains(new)

    def add_recalled(drawn: Drawn) -> None:
        """Drawn for a measurement, or before a kill that came between a draw and its chain."""
        add_chains([c for draws in drawn.continuations.values() for c in draws])

    draw_all(job, engine, sampling, wants, record, add_recalled)


def draw_all(
    job: Job,
    engine: Engine,
    sampling: Sampling,
    wants: Sequence[Want],
    record: Callable[[Sequence[Continuation]], object],
    then: Callable[[Drawn], object] = lambda drawn: None,
) -> None:
    """In chunks, each followed by `then`, with progress; stops between batches where the job is cancelled."""
    asked = {want.key: want.n for want in wants}
    stored = _stored(job.store, engine, sampling, asked)
    there = job.progress.get("there", stored)  # a resumed run keeps what there was when it began
    meter = Meter(job, sum(asked.values()) - there, drawn=stored - there)
    job.tell(there=there, done=meter.drawn, total=meter.total, unit="continuations")
    failed: dict[PrefixKey, str] = {}
    for chunk in _chunks(wants):
        if job.cancelled():
            break
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


@dataclass
class Tally:
    """Chains, or what `unit` says, done and left, and the time left; between two others are let in: not our time."""

    job: Job
    total: int
    unit: str = "chains"
    done: int = 0
    new: int = 0  # of those done, the ones that took time
    began: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    read: int = 0  # tokens, before this began

    def __post_init__(self) -> None:
        self.read = self.job.bill.read

    def have(self, count: int) -> None:
        """Done before, or not to be done."""
        self.done += count
        self._tell()

    def count(self) -> None:
        self.done += 1
        self.new += 1
        self._tell()
        paused = time.monotonic()
        if paused - self.looked > LOOK_S:  # chains are scored by the hundred a second
            self.job.let_in()
            self.looked = time.monotonic()
            self.began += self.looked - paused

    def _tell(self) -> None:
        seconds = time.monotonic() - self.began
        eta = round(seconds * (self.total - self.done) / self.new, 1) if self.new else None
        read = self.job.bill.read
        speed = {"tokens": read, "tokens_per_s": round((read - self.read) / max(seconds, 1e-3))} if read else {}
        self.job.tell(done=self.done, total=self.total, unit=self.unit, eta_s=eta, **speed)


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


def _stored(store: Store, engine: Engine, sampling: Sampling, asked: Mapping[PrefixKey, int]) -> int:
    """How many of the draws asked for there are already."""
    counts = {p: store.continuation_counts(p, engine.model_id, sampling.hash) for p in {p for p, _ in asked}}
    return sum(min(n, counts[p][prefix].n) for (p, prefix), n in asked.items() if prefix in counts[p])


def _chunks(wants: Sequence[Want]) -> Iterator[list[Want]]:
    """Each prefix once, in pieces of about CHUNK draws."""
    piece: list[Want] = []
    for want in {want.key: want for want in wants}.values():
        piece.append(want)
        if sum(w.n for w in piece) >= CHUNK:
            yield piece
            piece = []
    if piece:
        yield piece


def _key(c: Continuation) -> ContinuationKey:
    return ContinuationKey(c.problem_id, c.prefix_hash, c.model_id, c.sampling_id, c.j)
