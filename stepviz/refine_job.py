"""The job `refine`: drafts → when → where → how → rerank (stepviz.refinement), each part stored as it comes.

A refinement is a chain of origin "refinement" whose parent is the draft, under a key of the draft, the marked prompt,
the refiner, the sampling and j: what was drawn before a kill is found again. Then a line of the ledger says what came
of the draft. Drafts that stand in the ledger under the same settings are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from db.values import Candidate, ChainRow, RefinementRow
from stepviz import refinement
from stepviz.engines import Engine
from stepviz.engines.base import Cancelled
from stepviz.errors import StepvizError
from stepviz.job import Job
from stepviz.refine_draw import Writer
from stepviz.refine_progress import Progress
from stepviz.refine_spec import HOW, NONE, RefineSettings, lacking, settings_of
from stepviz.refinement import Draft, Outcome
from stepviz.refining import require_mark
from stepviz.types import Chain, Problem, Sampling, digest

if TYPE_CHECKING:
    from stepviz.reward.scorer import Scorer

CHUNK = 64  # drafts at once
LINES = 1000  # drafts left out that a job writes into its log


def refine(job: Job) -> None:
    """Refinements of chains, and a line of the ledger for each."""
    settings, ids = settings_of(job.spec), list(dict.fromkeys(job.spec["chains"]))
    refiner = job.engine(settings.refiner, "refiner")
    if (tokenizer := getattr(refiner, "tokenizer", None)) is not None:  # a server keeps its own
        require_mark(tokenizer, settings.refiner)
    orm = Judge(job, job.scorer(settings.orm)) if settings.orm != NONE else None
    sorm = None
    if settings.locates or not (settings.sorm == NONE or lacking("sorm", settings.sorm)):
        sorm = Judge(job, job.scorer(settings.sorm))
    if orm and sorm and orm.scorer is sorm.scorer:
        sorm = orm
    work = Work(job, settings, job.sampling(), refiner, orm, sorm, Progress(job, len(ids)))
    for judge in work.judges():
        judge.between = work.progress.pause
    for start in range(0, len(ids), CHUNK):
        work.do([job.chain(id) for id in ids[start : start + CHUNK]])
        if job.cancelled():
            return
    job.tell(report=report(job.store.refinement_lines(work.lines)), line=work.lines[-1] if work.lines else None)
    _say_left_out(job, work.left_out, len(ids))


def report(lines: Sequence[RefinementRow]) -> dict[str, int]:
    """What came of drafts: how many were refined and spared, got right and got wrong, and were right before and after.

    `right_any`: any candidate is right, the draft included, which is as far as a ranking by an oracle would come.
    A draft without a verdict, or whose pick has none, counts as `unjudged` and is neither right nor wrong.
    """
    judged = [line for line in lines if line.gain is not None]
    return {
        "drafts": len(lines),
        "refined": sum(line.chosen for line in lines),
        "spared": sum(not line.chosen for line in lines),
        "fixed": sum(line.gain == 1 for line in judged),
        "broken": sum(line.gain == -1 for line in judged),
        "right_before": sum(line.candidates[0].verdict == "correct" for line in judged),
        "right_after": sum(line.picked.verdict == "correct" for line in judged),
        "right_any": sum(any(c.verdict == "correct" for c in line.candidates) for line in judged),
        "unjudged": len(lines) - len(judged),
    }


def _say_left_out(job: Job, left_out: dict[str, str], total: int) -> None:
    if left_out and len(left_out) == total:
        raise StepvizError(f"none of these drafts could be refined: {next(iter(left_out.values()))}")
    for id, reason in list(left_out.items())[:LINES]:
        job.store.log(job.run.id, f"chain {id}: {reason}")
    said = f"{len(left_out)} of the drafts could not be refined: " if left_out else ""
    job.tell(note=said + next(iter(left_out.values()), ""))  # or what is told last is that drafts are being scored


@dataclass
class Judge:
    """A scorer that remembers: what was scored for one purpose is not scored again for another."""

    job: Job
    scorer: Scorer
    known: dict[tuple[str, tuple[str, ...]], list[float]] = field(default_factory=dict)
    refused: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    between: Callable[[], None] = lambda: None  # batches: others are let in

    def __call__(
        self, asked: Sequence[tuple[str, Sequence[str]]], cancelled: Cancelled | None = None
    ) -> list[list[float]]:
        """An empty list where the scorer cannot read a chain, or was stopped before it."""
        keys = [(question, tuple(steps)) for question, steps in asked]
        new = [key for key in dict.fromkeys(keys) if key not in self.known]

        def refuse(index: int, reason: str) -> None:
            self.refused[new[index]] = reason

        found = self.scorer.score(new, lambda index, scores: self.between(), refuse, cancelled)
        self.known |= dict(zip(new, found, strict=True))
        return [self.known[key] for key in keys]

    def forget(self) -> None:
        self.known.clear()
        self.refused.clear()

    def store(self, question: str, chain: Chain) -> None:
        """The scores of a chain's steps, where all of them have one."""
        scores = self([(question, chain.steps)])[0]
        if scores and len(scores) == chain.n:
            self.job.store.add_scores(chain.id, self.scorer.model_id, scores, chain.spans)


@dataclass
class Work:
    """One job's models and settings, and what it had to leave out: chain id → reason."""

    job: Job
    settings: RefineSettings
    sampling: Sampling
    refiner: Engine
    orm: Judge | None
    sorm: Judge | None  # also where it does not locate: its scores are drawn beside the steps
    progress: Progress
    left_out: dict[str, str] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)  # of the ledger

    @property
    def locator(self) -> Judge | None:
        return self.sorm if self.settings.locates else None

    def do(self, rows: Sequence[ChainRow]) -> None:
        """A chunk of drafts; after a cancel those that were not through are not in the ledger."""
        problems = {id: self.job.problem(id) for id in {row.chain.problem_id for row in rows}}
        rows = self._readable(self._new(rows, problems), problems)
        if not rows or self.job.cancelled():
            return
        s, drafts = self.settings, [_draft(row, problems) for row in rows]
        writer = Writer(self.job, self.refiner, self.sampling, s.target == "suffix", rows, problems, self.progress)
        places = None if s.at is None else [s.at] * len(drafts)
        try:
            outcomes = refinement.refine(
                drafts, writer, self.orm, self.locator, HOW[s.how], s.gate, s.threshold, s.no_flag, self.sampling,
                places, s.samples,
            )  # fmt: skip
        except StepvizError as error:
            for row in rows:
                self._leave_out(row, str(error))
            return
        for i, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
            self._conclude(i, row, outcome, writer, problems[row.chain.problem_id])

    def _leave_out(self, row: ChainRow, reason: str) -> None:
        self.left_out[row.chain.id] = reason
        self.progress.have(1)

    def _new(self, rows: Sequence[ChainRow], problems: dict[str, Problem]) -> list[ChainRow]:
        keys = [(row.chain.id, self.key(row.chain, problems[row.chain.problem_id])) for row in rows]
        known = self.job.store.refined(keys)
        self.lines += known.values()
        self.progress.have(len(known))
        return [row for row, key in zip(rows, keys, strict=True) if key not in known]

    def _readable(self, rows: Sequence[ChainRow], problems: dict[str, Problem]) -> list[ChainRow]:
        """Without the drafts that have no steps or that a scorer cannot read; stores the scores of the others."""
        reasons = {row.chain.id: self._unfit(row.chain) for row in rows}
        self.job.tell(note=f"scoring {len(rows)} drafts" if len(rows) > 1 else "scoring the draft")
        for judge in self.judges():
            fit = [row for row in rows if not reasons[row.chain.id]]
            judge.forget()
            drafts = [_draft(row, problems) for row in fit]
            judge([(draft.question, draft.steps) for draft in drafts], self.job.cancelled)
            if self.job.cancelled():
                return []
            for row, draft in zip(fit, drafts, strict=True):
                if judge is self.orm or judge is self.locator:
                    reasons[row.chain.id] = judge.refused.get((draft.question, draft.steps), "")
                judge.store(draft.question, row.chain)
        for row in rows:
            if reasons[row.chain.id]:
                self._leave_out(row, reasons[row.chain.id])
        return [row for row in rows if not reasons[row.chain.id]]

    def _unfit(self, chain: Chain) -> str:
        if not chain.n:
            return "the chain has no steps: cut it into steps first"
        if self.settings.at is not None and self.settings.at > chain.n:
            return f"there is no step {self.settings.at} to refine from: the draft has steps 1 … {chain.n}"
        return ""

    def judges(self) -> list[Judge]:
        found = [judge for judge in (self.orm, self.sorm) if judge is not None]
        return found[:1] if len(found) == 2 and found[0] is found[1] else found

    def _conclude(self, i: int, row: ChainRow, outcome: Outcome, writer: Writer, problem: Problem) -> None:
        """A line of the ledger, unless the draft was cut short by a cancel or could not be refined at all."""
        made = outcome.refinements
        if any(m.cancelled for m in made.values()):
            return
        errors = {name: m.error for name, m in made.items() if m.error}
        if made and len(errors) == len(made):
            self._leave_out(row, next(iter(errors.values())))
            return
        chains = {name: writer.chain(i, m) for name, m in made.items() if not m.error}
        for judge in self.judges():
            for name, chain in chains.items():
                if made[name].whole:
                    judge.store(problem.question, chain)
        candidates = [Candidate("draft", row.chain.id, outcome.scores.get("draft"))]
        candidates += [Candidate(name, chain.id, outcome.scores.get(name)) for name, chain in chains.items()]
        line = self.job.store.add_refinement(self._line(row.chain, problem, outcome, candidates, errors))
        self.lines.append(line)
        self.progress.count()

    def _line(
        self, chain: Chain, problem: Problem, outcome: Outcome, candidates: Sequence[Candidate], errors: dict[str, str]
    ) -> RefinementRow:
        s = self.settings
        return RefinementRow(
            draft=chain.id,
            key=self.key(chain, problem),
            refiner=self.refiner.model_id,
            orm=self.orm.scorer.model_id if self.orm else None,
            locator=self.locator.scorer.model_id if self.locator else None,
            sampling_id=self.sampling.hash,
            how=s.how,
            gate=s.gate,
            threshold=s.threshold,
            no_flag=s.no_flag,
            at=s.at,
            samples=s.samples,
            when=outcome.when,
            chosen=outcome.chosen,
            where=outcome.where,
            candidates=tuple(candidates),
            pick=outcome.pick,
            note="; ".join(f"{name}: {error}" for name, error in errors.items()),
        )

    def key(self, chain: Chain, problem: Problem) -> str:
        """Of the draft's steps and every setting: the models by their weights, not by their specs."""
        settings = asdict(self.settings) | {
            "refiner": self.refiner.model_id,
            "orm": self.orm and self.orm.scorer.model_id,
            "sorm": self.locator and self.locator.scorer.model_id,
        }
        return digest("refinement", json.dumps(settings, sort_keys=True), self.sampling.hash, problem.id, *chain.steps)


def _draft(row: ChainRow, problems: dict[str, Problem]) -> Draft:
    return Draft(problems[row.chain.problem_id].question, row.chain.steps)
