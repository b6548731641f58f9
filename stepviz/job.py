"""A claimed run at work: its settings, its models, its progress, and what one of many small pieces tells of that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db.store import Store
from db.values import ChainRow, ModelRow, RunRow
from stepviz.costs import Bill, CountedEngine, CountedScorer
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.reward import ROLES
from stepviz.types import Problem, Sampling

if TYPE_CHECKING:
    from stepviz.reward.scorer import Scorer

LOOK_S = 0.2  # how often a job of many small pieces looks whether somebody waits
BY = "engines"  # in the plan of a run: ids of the models that it opened for drawing, the latest one last


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
    writes: threading.Lock = field(default_factory=threading.Lock)
    looked: float = field(default_factory=time.monotonic)

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
        if self.beat():
            self.cancel.set()

    def beat(self) -> bool:
        """Renews the lease and writes what is told; True: it is to stop. Two threads do so, and one after the other:
        what one has looked up must not be written after what the other looked up later."""
        with self.writes:
            return self.store.heartbeat(self.run.id, self.worker, self.told(), self.lease_s)

    def cancelled(self) -> bool:
        return self.cancel.is_set()

    def engine(self, spec: str = "", role: str = "generator") -> Engine:
        """The spec's, else the one that the run's settings name as their engine. What it draws, this run pays.

        Its model's id is noted: other weights may come under the same spec, and the same ones under another.
        """
        spec = spec or self.spec["engine"]
        self.tell(note=f"loading {spec}")
        engine = self.load(spec, self.spec.get("device"), self.spec.get("tokenizer"))
        self.store.add_model(ModelRow(engine.model_id, role, engine.spec))
        noted = self.progress.get("plan", {})
        by = [id for id in noted.get(BY, ()) if id != engine.model_id]
        self.tell(note="", plan={**noted, BY: [*by, engine.model_id]})  # stored with the bill, before the first draw
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

    def each(self, ids: Iterable[str]) -> Iterator[str]:
        """Every one once, until somebody cancels; others are let in: what is looked up for thousands takes a while."""
        for id in dict.fromkeys(ids):
            if self.cancelled():
                return
            self.look()
            yield id

    def look(self) -> float:
        """Between two small pieces: others are let in, now and then. The seconds that took, which are not ours."""
        paused = time.monotonic()
        if paused - self.looked <= LOOK_S:
            return 0.0
        self.let_in()
        self.looked = time.monotonic()
        return self.looked - paused

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

    def planned(self, plan: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What depends on what there was when the job began: stored before the first draw changes it. JSON."""
        noted = self.progress.get("plan", {})
        if not noted.keys() - {BY}:
            made = dict(plan())
            if self.cancelled():
                return made  # cut short, perhaps: nothing is drawn by it, and the next life makes its own
            self.tell(plan={**self.progress.get("plan", {}), **made})
            self.save()
        return self.progress["plan"]


@dataclass
class Tally:
    """Chains, or what `unit` says, done and left, and the time left; between two others are let in: not our time."""

    job: Job
    total: int
    unit: str = "chains"
    done: int = 0
    new: int = 0  # of those done, the ones that took time
    began: float = field(default_factory=time.monotonic)
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
        self.began += self.job.look()  # chains are scored by the hundred a second

    def _tell(self) -> None:
        seconds = time.monotonic() - self.began
        eta = round(seconds * (self.total - self.done) / self.new, 1) if self.new else None
        read = self.job.bill.read
        speed = {"tokens": read, "tokens_per_s": round((read - self.read) / max(seconds, 1e-3))} if read else {}
        self.job.tell(done=self.done, total=self.total, unit=self.unit, eta_s=eta, **speed)
