"""The job `measure` by a strategy, turn by turn.

Each chain under way says what it wants next, all of it is drawn in one call of the engine, and each hears what came of
it. Chains that are done give their place to the next ones.

A strategy begins with what was there when the run began: the draws of an earlier measurement, the scores of a SORM. The
run notes both, so that what is stored in the end is the same whether it was killed or not: resumed, it begins at the
same place, walks over what it has drawn itself, and draws only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, groupby, islice, repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any

from db.store import Store
from stepviz import pits
from stepviz.adaptive import Adaptive
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.job_draws import at_once
from stepviz.measuring import Walking, has_pit
from stepviz.rollouts import PrefixKey, Want, by_prefix, draw
from stepviz.strategies import STRATEGIES, Strategy
from stepviz.types import Continuation, Sampling

WINDOW = 512  # chains under way at once: what fills an engine's batches
TURN = 8  # of an engine that says how many requests it has at once, so many times as many: see by_strategy


def by_strategy(job: Job, score: Callable[[Job, str], None]) -> None:
    """`score` is the job of scoring: for chains that the strategy's scorer has not seen yet.

    A turn ends with its last draw, and most chains ask for one or two in it. So that an engine seldom runs empty, a
    turn is many times as long as what it has at once; what a chain under way holds is the draws of its problem.
    """
    ids = list(dict.fromkeys(job.spec["chains"]))
    began = Began.of(job, ids)
    if began.scorer:
        score(job, began.scorer)
    if job.cancelled():
        return
    engine, sampling = job.engine(), job.sampling()
    known, turns = Known(job.store, engine, sampling), Turns(job, len(ids))
    walks = _walks(job, ids, engine, sampling, began, turns)
    window = max(WINDOW, TURN * at_once(engine))
    active: list[Walking] = []
    while not job.cancelled():
        active += islice(walks, window - len(active))
        if not active:
            break
        asked, through = _asked(job, active)
        turns.through(through, known.drawn_now)
        active = [walk for walk, _ in asked]
        turns.active = len(active)
        if not asked or job.cancelled():
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


def _asked(job: Job, active: Sequence[Walking]) -> tuple[list[tuple[Walking, dict[int, Want]]], list[Walking]]:
    """The chains with what they want next, and those that want nothing any more; cut short where it is cancelled.

    Others are let in: a strategy thinks for a while about thousands of chains. A walk asks by what it has heard itself,
    so what others draw meanwhile changes no wish.
    """
    asked, through = [], []
    for walk in active:
        if job.cancelled():
            break
        job.look()
        if wants := walk.wants():
            asked.append((walk, wants))
        else:
            through.append(walk)
    else:
        job.look()  # next all of these are looked up, before the engine lets anybody in
    return asked, through


@dataclass(frozen=True, slots=True)
class Began:
    """What a run began with, and what it therefore goes by in all of its lives.

    drawn: the newest draw there was (Store.newest_continuation); whose: chain → the model by whose scores it walks;
    scorer: the spec of one that the settings name, which scores the chains first; pits: the numbers of the pit model.
    """

    drawn: int
    whose: Mapping[str, str]
    scorer: str = ""
    pits: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, ids: Sequence[str]) -> Began:
        """Noted by its first life. StepvizError: the scorer that the settings name is not the one it was."""
        scorer = str(job.spec.get("scorer", ""))
        noted = job.planned(lambda: _noted(job, ids, scorer))
        whose = dict(zip(ids, chain.from_iterable(repeat(model, n) for model, n in noted["scored"]), strict=False))
        if scorer and (now := job.scorer(scorer).model_id) not in whose.values():
            raise StepvizError(
                f"{scorer} was {next(iter(whose.values()), 'another')} when this run began and is {now} now: "
                "ask for the measurement anew, it begins with what was drawn so far"
            )
        return cls(int(noted["drawn"]), whose, scorer, noted.get("pits", {}))


def _noted(job: Job, ids: Sequence[str], scorer: str) -> dict[str, Any]:
    """As JSON: of the chains in their order, so many each that go by the same model."""
    # a run that began before any of this was noted: its own draws are those since it was asked for
    asked_at = job.run.created_at if "done" in job.run.progress else None
    begins = {"drawn": job.store.newest_continuation(asked_at)}
    if isinstance(strategy := chosen(job.spec), Adaptive):
        begins["pits"] = asdict(strategy.model)
    if scorer:
        return {**begins, "scored": [[job.scorer(scorer).model_id, len(ids)]]}
    models = newest_sorm(job.store) if job.spec["strategy"] == "adaptive" else ()
    found = (_scores(job.store, id, job.chain(id).chain.n, models)[0] for id in job.each(ids))
    return {**begins, "scored": [[model, len(list(same))] for model, same in groupby(found if models else ())]}


def chosen(spec: Mapping[str, object], noted: Mapping[str, Any] = MappingProxyType({})) -> Strategy:
    """As the settings name it (stepviz.measure_spec); noted: the numbers of the pit model, for its file may change."""
    if spec["strategy"] != "adaptive":
        return STRATEGIES[str(spec["strategy"])]
    model = pits.of(noted) if noted else pits.load(Path(str(spec["pits"]))) if "pits" in spec else pits.shipped()
    return Adaptive(model, **{name: float(str(spec[name])) for name in ("confidence", "budget") if name in spec})


def newest_sorm(store: Store) -> Sequence[str]:
    """Models whose scores say where a pit is to be expected, the newest first."""
    return [model.id for model in reversed(store.models()) if model.role == "sorm"]


def scores_of(store: Store, chain_id: str, steps: int, models: Sequence[str]) -> tuple[float, ...]:
    """After each step, by the first of the models that has scored the whole chain; else none."""
    return _scores(store, chain_id, steps, models)[1]


def _scores(store: Store, chain_id: str, steps: int, models: Sequence[str]) -> tuple[str, tuple[float, ...]]:
    """With the model's id."""
    found = store.scores(chain_id)
    for model in models:
        scores = tuple(s.score for s in sorted(found, key=lambda s: s.step) if s.model_id == model)
        if scores and len(scores) == steps:
            return model, scores
    return "", ()


def _walks(
    job: Job, ids: Iterable[str], engine: Engine, sampling: Sampling, began: Began, turns: Turns
) -> Iterator[Walking]:
    store, strategy, backward = job.store, chosen(job.spec, began.pits), job.spec["strategy"] == "backward"
    for id in job.each(ids):
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
            scores=scores_of(store, id, row.chain.n, [began.whose[id]]) if began.whose.get(id) else (),
            consistent_only=backward,
            results=job.spec.get("results", "every"),
            separator=sampling.style.separator,
        )
        earlier = store.continuations_for(problem.id, engine.model_id, sampling.hash, up_to=began.drawn)
        walking.remember(by_prefix(earlier))
        yield walking


@dataclass
class Turns:
    """Chains done and left, tokens a second, time left; and at last what did not go as asked."""

    job: Job
    total: int
    done: int = 0
    new: int = 0  # of those done, the ones that were drawn for in this life of the run
    active: int = 0  # under way: these do cost something
    left_out: int = 0  # without a gold answer
    unjudged: int = 0  # taken as right ones, for nobody can say that they are wrong
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

    def through(self, walks: Sequence[Walking], drawn_now: Collection[str]) -> None:
        """drawn_now: problems that were drawn for in this life of the run."""
        self.done += len(walks)
        self.active = max(0, self.active - len(walks))
        for walk in walks:
            self.new += walk.problem.id in drawn_now
            self.failed += list(walk.failed.values())[:1]
            unjudged = walk.verdict.value == "unknown" and not has_pit(walk.verdict)
            self.unjudged += unjudged and self.job.spec["strategy"] != "backward"
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
        if self.unjudged:
            stated = f"{self.unjudged} chains state an answer that could not be judged"
            notes.append(f"{stated}: they were not taken for wrong ones, so their steps were not searched for a pit")
        if self.failed:
            notes.append(f"prefixes of {len(self.failed)} chains could not be continued: {self.failed[0]}")
        if notes:
            self.job.tell(note="; ".join(notes))

    def _tell(self, tokens: int) -> None:
        seconds = max(time.monotonic() - self.began, 1e-3)
        done = self.done + self.left_out
        speed = {"tokens": self.job.bill.sampled, "tokens_per_s": round((self.tokens + tokens) / seconds)}
        self.job.tell(done=done, total=self.total, unit="chains", eta_s=self._left_s(seconds, done), **speed)

    def _left_s(self, seconds: float, done: int) -> float | None:
        """By the chains that took time: those that cost nothing come through at once, ahead of those beside them.

        Of the chains that have not begun as many are taken to cost something as of those that have.
        """
        if not self.new:
            return None
        waiting = max(0, self.total - done - self.active)
        costly = (self.new + self.active) / max(done + self.active, 1)
        return round(seconds / self.new * (self.active + waiting * costly), 1)


class Known:
    """The draws of one model and sampling that are stored, of the problems under way."""

    def __init__(self, store: Store, engine: Engine, sampling: Sampling) -> None:
        self.store, self.of = store, (engine.model_id, sampling.hash)
        self.problems: dict[str, dict[str, list[Continuation]]] = {}
        self.drawn_now: set[str] = set()  # problems

    def keep(self, problem_ids: set[str]) -> None:
        self.problems = {id: found for id, found in self.problems.items() if id in problem_ids}

    def recall(self, problem_id: str, prefix_hash: str) -> Sequence[Continuation]:
        return self._problem(problem_id).get(prefix_hash, ())

    def record(self, new: Sequence[Continuation]) -> None:
        for c in new:  # looked up first: what is read after it is stored would be there twice
            self._problem(c.problem_id)
        self.store.add_continuations(new)
        self.drawn_now.update(c.problem_id for c in new)
        for c in new:
            key = PrefixKey(c.problem_id, c.prefix_hash)
            self.problems[key.problem_id].setdefault(key.prefix_hash, []).append(c)

    def _problem(self, id: str) -> dict[str, list[Continuation]]:
        if id not in self.problems:
            self.problems[id] = by_prefix(self.store.continuations_for(id, *self.of))
        return self.problems[id]
