"""The job `measure` by a strategy, turn by turn.

Each chain under way says what it wants next, all of it is drawn in one call of the engine, and each hears what came of
it. Chains that are done give their place to the next ones.

A strategy begins with what was drawn before the run was asked for, an earlier measurement, and walks on from there. So
what is stored in the end is the same whether the run was killed or not: resumed, it begins at the same place, walks
over what it has drawn itself, and draws only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from db.store import Store
from stepviz import pits
from stepviz.adaptive import Adaptive
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.measuring import Walking
from stepviz.rollouts import PrefixKey, by_prefix, draw
from stepviz.strategies import STRATEGIES, Strategy
from stepviz.types import Continuation, Sampling

WINDOW = 512  # chains under way at once: what fills an engine's batches


def by_strategy(job: Job, score: Callable[[Job, str], None]) -> None:
    """`score` is the job of scoring: for chains that the strategy's scorer has not seen yet."""
    scorer = str(job.spec.get("scorer", ""))
    if scorer:
        score(job, scorer)
    if job.cancelled():
        return
    engine, sampling, ids = job.engine(), job.sampling(), list(dict.fromkeys(job.spec["chains"]))
    known, turns = Known(job.store, engine, sampling), Turns(job, len(ids))
    walks = _walks(job, ids, engine, sampling, job.scorer(scorer).model_id if scorer else "", turns)
    active: list[Walking] = []
    while not job.cancelled():
        active += islice(walks, WINDOW - len(active))
        if not active:
            break
        asked = [(walk, wants) for walk in active if (wants := walk.wants())]
        turns.through([walk for walk in active if not any(walk is other for other, _ in asked)])
        active = [walk for walk, _ in asked]
        if not asked:
            continue
        known.keep({walk.problem.id for walk in active})
        everything = [want for _, wants in asked for want in wants.values()]
        drawn = draw(
            everything, engine, sampling, recall=known.recall, record=known.record, on_draws=turns.count,
            cancelled=job.cancelled,
        )  # fmt: skip
        turns.tokens += drawn.tokens
        for walk, wants in asked:
            walk.hear(wants, drawn)
    turns.end()


def chosen(spec: Mapping[str, object]) -> Strategy:
    """As the settings name it (stepviz.measure_spec)."""
    if spec["strategy"] != "adaptive":
        return STRATEGIES[str(spec["strategy"])]
    model = pits.load(Path(str(spec["pits"]))) if "pits" in spec else pits.shipped()
    return Adaptive(model, **{name: float(str(spec[name])) for name in ("confidence", "budget") if name in spec})


def newest_sorm(store: Store) -> Sequence[str]:
    """Models whose scores say where a pit is to be expected, the newest first."""
    return [model.id for model in reversed(store.models()) if model.role == "sorm"]


def scores_of(store: Store, chain_id: str, steps: int, models: Sequence[str]) -> tuple[float, ...]:
    """After each step, by the first of the models that has scored the whole chain; else none."""
    found = store.scores(chain_id)
    for model in models:
        scores = tuple(s.score for s in sorted(found, key=lambda s: s.step) if s.model_id == model)
        if scores and len(scores) == steps:
            return scores
    return ()


def _walks(
    job: Job, ids: Iterable[str], engine: Engine, sampling: Sampling, scorer: str, turns: Turns
) -> Iterator[Walking]:
    store, strategy, models = job.store, chosen(job.spec), [scorer] if scorer else newest_sorm(job.store)
    backward, adaptive = (job.spec["strategy"] == name for name in ("backward", "adaptive"))
    for id in ids:
        row = job.chain(id)
        problem = job.problem(row.chain.problem_id)
        if not problem.answer:
            turns.left_out += 1
            continue
        walking = Walking(
            row.chain,
            problem,
            row.verdict,
            strategy,
            int(job.spec["n"]),
            scores=scores_of(store, id, row.chain.n, models) if adaptive else (),
            consistent_only=backward,
            results=job.spec.get("results", "every"),
            separator=sampling.style.separator,
        )
        earlier = store.continuations_for(problem.id, engine.model_id, sampling.hash, before=job.run.created_at)
        walking.remember(by_prefix(earlier))
        yield walking


@dataclass
class Turns:
    """Chains done and left, tokens a second, time left; and at last what did not go as asked."""

    job: Job
    total: int
    done: int = 0
    left_out: int = 0  # without a gold answer
    tokens: int = 0  # in this life of the run
    failed: list[str] = field(default_factory=list)  # a reason a chain
    nothing: int = 0  # of these, chains of which no prefix could be continued
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._tell(0)

    def count(self, _done: int, _missing: int, tokens: int) -> None:
        """From inside a call of the engine; then lets others in, whose time is not ours."""
        self._tell(tokens)
        paused = time.monotonic()
        self.job.let_in()
        self.began += time.monotonic() - paused

    def through(self, walks: Sequence[Walking]) -> None:
        self.done += len(walks)
        for walk in walks:
            self.failed += list(walk.failed.values())[:1]
            self.nothing += bool(walk.failed) and not any(walk.draws.values())
        self._tell(0)

    def end(self) -> None:
        """StepvizError where nothing could be measured at all."""
        if self.left_out == self.total:
            raise StepvizError("without a gold answer no continuation can be judged, so there is nothing to measure")
        if self.done and self.nothing == self.done:
            raise StepvizError(f"{self.job.spec['engine']} could not continue any of these: {self.failed[0]}")
        notes = []
        if self.left_out:
            notes.append(f"{self.left_out} of the chains were left out: their problems have no gold answer")
        if self.failed:
            notes.append(f"prefixes of {len(self.failed)} chains could not be continued: {self.failed[0]}")
        if notes:
            self.job.tell(note="; ".join(notes))

    def _tell(self, tokens: int) -> None:
        seconds = max(time.monotonic() - self.began, 1e-3)
        done = self.done + self.left_out
        eta = round(seconds * (self.total - done) / self.done, 1) if self.done else None
        speed = {"tokens": self.job.bill.sampled, "tokens_per_s": round((self.tokens + tokens) / seconds)}
        self.job.tell(done=done, total=self.total, unit="chains", eta_s=eta, **speed)


class Known:
    """The draws of one model and sampling that are stored, of the problems under way."""

    def __init__(self, store: Store, engine: Engine, sampling: Sampling) -> None:
        self.store, self.of = store, (engine.model_id, sampling.hash)
        self.problems: dict[str, dict[str, list[Continuation]]] = {}

    def keep(self, problem_ids: set[str]) -> None:
        self.problems = {id: found for id, found in self.problems.items() if id in problem_ids}

    def recall(self, problem_id: str, prefix_hash: str) -> Sequence[Continuation]:
        return self._problem(problem_id).get(prefix_hash, ())

    def record(self, new: Sequence[Continuation]) -> None:
        for c in new:  # looked up first: what is read after it is stored would be there twice
            self._problem(c.problem_id)
        self.store.add_continuations(new)
        for c in new:
            key = PrefixKey(c.problem_id, c.prefix_hash)
            self.problems[key.problem_id].setdefault(key.prefix_hash, []).append(c)

    def _problem(self, id: str) -> dict[str, list[Continuation]]:
        if id not in self.problems:
            self.problems[id] = by_prefix(self.store.continuations_for(id, *self.of))
        return self.problems[id]
