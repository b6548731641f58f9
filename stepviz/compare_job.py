"""The job `compare`: what two models lack at the same problems is drawn, measured or scored.

By the parts that sampling, measuring and scoring are made of: each draw is stored as it comes, so a comparison that was
killed goes on, and a second one of the same models finds everything there. What comes of it is read by
stepviz.compare_draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stepviz.compare_draws import Side, chosen, compared, known_as
from stepviz.compare_scored import steps_of
from stepviz.compare_spec import CompareSettings, greedy_of, settings_of
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.job_draws import draw_all, draw_chains
from stepviz.rollouts import Want, wanted
from stepviz.types import Problem, Sampling

if TYPE_CHECKING:
    from stepviz.reward.scorer import Scorer


def compare(job: Job, score: Callable[[Job], None]) -> None:
    """Greedy chains, samples and measurements of both students; or the scores of both judges. `score` is that job."""
    settings, sampling = settings_of(job.spec), job.sampling()
    if settings.scorers:
        _score(job, settings, score)
        return
    job.store.add_sampling(greedy_of(sampling))
    problems = [Problem(row.question, row.answer, row.solution) for row in chosen(job.store, settings) if row.answer]
    if not problems:
        raise StepvizError("none of these problems has a gold answer, so nothing can be judged right or wrong")
    work = Work(job, settings, sampling, problems, Whole(job, _expected(job, settings, sampling)))
    for side, spec in (("before", settings.before), ("after", settings.after)):
        engine = job.engine(spec)
        job.tell(models={**job.progress.get("models", {}), side: engine.model_id})
        for draw in (work.chains, work.samples, work.measure):
            if not job.cancelled():
                draw(engine)
        if job.cancelled():
            return
    job.tell(note="; ".join(work.whole.notes))


def _score(job: Job, settings: CompareSettings, score: Callable[[Job], None]) -> None:
    """Every chain of the problems, by both."""
    ids = [row.chain.id for problem in chosen(job.store, settings) for row in steps_of(job.store, problem)]
    if not ids:
        raise StepvizError("these problems have no chains with steps: sample or import some first")
    whole = Whole(job, [len(ids)] * 2)
    for side, spec in (("before", settings.before), ("after", settings.after)):
        if job.cancelled():
            return
        part = whole.part(f"scores of {spec}")
        part.spec = {"chains": ids, "model": spec, "device": job.spec.get("device")}
        score(part)
        job.let_go()  # two large judges do not fit beside each other
        job.tell(models={**job.progress.get("models", {}), side: known_as(job.store, spec)})
    job.tell(note="; ".join(whole.notes))


@dataclass
class Work:
    """The parts of one comparison; each draws what one model lacks."""

    job: Job
    settings: CompareSettings
    sampling: Sampling
    problems: Sequence[Problem]
    whole: Whole

    def chains(self, engine: Engine) -> None:
        wants = [Want(problem, "", 1) for problem in self.problems]
        draw_chains(self.whole.part(f"greedy chains of {_name(engine)}"), engine, greedy_of(self.sampling), wants)

    def samples(self, engine: Engine) -> None:
        n = self.settings.samples
        part = self.whole.part(f"{n} samples a problem of {_name(engine)}")
        if n > 1:
            draw_chains(part, engine, self.sampling, [Want(problem, "", n) for problem in self.problems])

    def measure(self, engine: Engine) -> None:
        part = self.whole.part(f"V along the chains of {_name(engine)}")
        if self.settings.k:
            wants = self._along(engine)
            draw_all(part, engine, self.sampling, wants, lambda new: self.job.store.add_continuations(new))

    def _along(self, engine: Engine) -> list[Want]:
        """The prefixes of the greedy chains; of a problem that the engine could not read there is none."""
        side = Side(self.job.store, engine.model_id, self.settings, self.sampling)
        found = []
        for problem in self.problems:
            row = side.greedy(problem.id)
            if row is not None:
                found += wanted(row.chain, problem, self.settings.k, self.sampling.style.separator)
        return found


@dataclass
class Whole:
    """The progress of all parts as one: draws done and left, the parts to come by what they are expected to need."""

    job: Job
    expected: Sequence[int]  # draws of each part
    at: int = -1
    done: int = 0  # of the parts that are through
    shown: Mapping[str, Any] = field(default_factory=dict)  # what the part at work told last
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def part(self, doing: str) -> Part:
        self.done += int(self.shown.get("done") or 0)
        self.at, self.shown = self.at + 1, {}
        self.job.tell(note=doing)
        j = self.job
        made = Part(j.run, j.store, j.load, j.load_scorer, j.let_in, j.worker, j.lease_s, cancel=j.cancel, whole=self)
        made.progress, made.bill = {}, j.bill
        return made

    def tell(self, part: Mapping[str, Any]) -> None:
        self.shown = part
        done = self.done + int(part.get("done") or 0)
        left = int(part.get("total") or 0) - int(part.get("done") or 0) + sum(self.expected[self.at + 1 :])
        seconds = time.monotonic() - self.began
        self.job.tell(
            done=done,
            total=done + left,
            unit=part.get("unit", "continuations"),
            tokens=int(part.get("tokens") or self.job.progress.get("tokens") or 0),
            tokens_per_s=part.get("tokens_per_s"),
            eta_s=round(seconds * left / done, 1) if done else None,
        )
        if part.get("note"):
            self.notes.append(str(part["note"]))


@dataclass
class Part(Job):
    """A piece of a longer job: what it tells counts towards the whole."""

    whole: Whole | None = None

    def tell(self, **progress: Any) -> None:
        super().tell(**progress)
        assert self.whole is not None, "a part belongs to a whole"
        self.whole.tell(self.progress)
        self.progress.pop("note", None)

    def scorer(self, spec: str = "") -> Scorer:
        """Loaded by the whole: that it is being loaded is no note of what came of the part."""
        assert self.whole is not None, "a part belongs to a whole"
        job = self.whole.job
        doing, scorer = job.progress.get("note", ""), job.scorer(spec or self.spec["model"])
        job.tell(note=doing)
        return scorer


def _expected(job: Job, settings: CompareSettings, sampling: Sampling) -> list[int]:
    """Draws of each of the six parts, as far as they can be told before the first."""
    lacking = compared(job.store, settings, sampling).lacking
    return [n for side in lacking for n in (side.chains, side.samples, side.continuations)]


def _name(engine: Engine) -> str:
    return engine.model_id.partition("@")[0]
