"""What each kind of job does, in the worker. Every batch is stored as it comes, so a job that was killed goes on.

A job first plans the draws it wants, absolutely ("draws 0 … 39 of this prefix"), so that doing it again
repeats nothing. Where it was asked for so many *more*, the plan is kept in the run's progress.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.store import Store
from db.values import ChainRow
from stepviz.compare_job import compare
from stepviz.datasets import Stopped, build
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.importing import import_path
from stepviz.job import Job, Tally
from stepviz.job_draws import draw_all, draw_chains
from stepviz.measure_job import by_strategy
from stepviz.refine_job import refine
from stepviz.rollouts import PrefixKey, Want, wanted
from stepviz.sampling import Start, branch, continue_from, finished
from stepviz.sources import Unreadable
from stepviz.sources.mapping import Mapping as ColumnMapping
from stepviz.types import Chain, Continuation, Refusal, Sampling

if TYPE_CHECKING:
    from stepviz.reward.scorer import Scorer

LINES = 1000  # refused rows or chains that a job writes into its log
SCORED_AT_ONCE = 512  # chains: of these, those of one length are scored together


def sample(job: Job) -> None:
    """Chains of draws from the question."""
    engine, sampling = job.engine(), job.sampling()
    problems = [job.problem(id) for id in job.each(job.spec["problems"])]
    sizes = {p.id: int(job.spec.get("n", 0)) for p in problems}
    if "add" in job.spec:
        sizes = job.planned(
            lambda: {p.id: _sampled(job.store, p.id, engine, sampling) + job.spec["add"] for p in problems}
        )
    draw_chains(job, engine, sampling, [Want(p, "", sizes[p.id]) for p in problems])


def measure(job: Job) -> None:
    """Continuations of the prefixes of chains: of all alike, or where a strategy asks for them."""
    if "strategy" in job.spec:
        by_strategy(job, score)
        return
    engine, sampling = job.engine(), job.sampling()
    wants, left_out = [], 0
    for id in job.each(job.spec["chains"]):
        chain = job.chain(id).chain
        problem, steps = job.problem(chain.problem_id), job.spec.get("steps")
        if not problem.answer:
            left_out += 1
            continue
        found = wanted(chain, problem, job.spec.get("n", 0), sampling.style.separator, steps)
        if steps is not None and not found:
            raise StepvizError("the answer stands before this step: nothing can be continued from there")
        wants += found
    if job.cancelled():
        return
    if left_out and not wants:
        raise StepvizError("without a gold answer no continuation can be judged, so there is nothing to measure")
    if "add" in job.spec:
        have = {w.key: _next_j(_stored(job.store, w.key, engine, sampling)) for w in wants}
        plan = job.planned(lambda: {"/".join(key): n + job.spec["add"] for key, n in have.items()})
        wants = [Want(w.problem, w.prefix, plan["/".join(w.key)]) for w in wants]
    draw_all(job, engine, sampling, wants, lambda new: job.store.add_continuations(new))
    if left_out:
        job.tell(note=f"{left_out} of the chains were left out: their problems have no gold answer")


def go_on(job: Job) -> None:
    """New chains that branch after a step."""
    row, sampling = job.chain(job.spec["chain"]), job.sampling()
    _branch_off(job, row, sampling, continue_from(row.chain, int(job.spec["step"]), sampling.style))


def edit(job: Job) -> None:
    """New chains after an edited step; one that ends with the edit, where that is the answer."""
    row, sampling = job.chain(job.spec["chain"]), job.sampling()
    start = branch(row.chain, int(job.spec["step"]), str(job.spec["text"]), sampling.style)
    if start.terminal:
        problem = job.problem(row.chain.problem_id)
        job.store.add_chain(*finished(start, problem, job.spec.get("author", "edited"), sampling.style))
        return
    _branch_off(job, row, sampling, start)


def score(job: Job, spec: str = "") -> None:
    """A model's probability after each step of chains; those it has scored already are not scored again.

    spec: the scorer's, where the job's settings do not name it as their model."""
    scorer, ids = job.scorer(spec), list(dict.fromkeys(job.spec["chains"]))
    tally = Tally(job, len(ids))
    refused: dict[str, str] = {}
    for start in range(0, len(ids), SCORED_AT_ONCE):
        rows = [job.chain(id) for id in ids[start : start + SCORED_AT_ONCE]]
        new = [row.chain for row in rows if not _scored(job.store, row.chain, scorer.model_id)]
        tally.have(len(rows) - len(new))
        _score(job, scorer, new, tally, refused)
        if job.cancelled():
            return
    if refused and len(refused) == len(ids):
        raise StepvizError(f"{scorer.spec} could not score any of these: {next(iter(refused.values()))}")
    for id, reason in list(refused.items())[:LINES]:
        job.store.log(job.run.id, f"chain {id}: {reason}")
    if refused:
        job.tell(note=f"{len(refused)} of the chains could not be scored: {next(iter(refused.values()))}")


def _score(job: Job, scorer: Scorer, chains: Sequence[Chain], tally: Tally, refused: dict[str, str]) -> None:
    """Stores the scores of each batch before the next begins."""
    questions = {id: job.problem(id).question for id in {chain.problem_id for chain in chains}}

    def refuse(index: int, reason: str) -> None:
        refused[chains[index].id] = reason
        tally.have(1)

    recut: list[str] = []

    def store(index: int, scores: list[float]) -> None:
        chain = chains[index]
        if job.store.add_scores(chain.id, scorer.model_id, scores, chain.spans):
            tally.count()
        else:
            recut.append(chain.id)  # somebody cut it into other steps while these were scored

    asked = [(questions[chain.problem_id], chain.steps) for chain in chains]
    scorer.score(asked, store, refuse, job.cancelled)
    if recut and not job.cancelled():
        _score(job, scorer, [job.chain(id).chain for id in recut], tally, refused)


def _scored(store: Store, chain: Chain, model_id: str) -> bool:
    have = sum(score.model_id == model_id for score in store.scores(chain.id))
    return have == chain.n > 0


def read_file(job: Job) -> None:
    """An import. Refused rows stand in the run's log, what came in in its progress."""
    mapping = job.spec.get("mapping")
    options = {key: job.spec[key] for key in ("split", "rule") if key in job.spec}

    def on_progress(progress: Mapping[str, Any]) -> None:
        job.tell(**progress)
        job.let_in()

    try:
        report = import_path(
            job.store,
            job.spec["format"],
            Path(job.spec["path"]) if Path(job.spec["path"]).exists() else job.spec["path"],
            mapping=None if mapping is None else ColumnMapping().corrected(mapping),
            on_progress=on_progress,
            cancelled=job.cancelled,
            **options,
        )
    except Unreadable as error:
        _log_refused(job, error.refused)
        raise
    job.tell(report=report.counts())
    _log_refused(job, report.refused)


def _log_refused(job: Job, refused: Sequence[Refusal]) -> None:
    for refusal in refused[:LINES]:
        job.store.log(job.run.id, str(refusal))


def freeze(job: Job) -> None:
    """A training set; its id stands in the progress. A build that was stopped leaves nothing."""

    def on_progress(progress: Mapping[str, Any]) -> None:
        job.tell(**progress)
        job.let_in()

    with contextlib.suppress(Stopped):
        config, name = job.spec.get("config", {}), job.spec.get("name")
        made = build(job.store, job.spec["recipe"], config, name=name, on_progress=on_progress, cancelled=job.cancelled)
        job.tell(dataset=made.id, note=f"dataset {made.id}: {made.n_rows:,} rows")


JOBS: dict[str, Callable[[Job], None]] = {
    "sample": sample,
    "sample many": sample,
    "measure": measure,
    "measure many": measure,
    "continue": go_on,
    "branch": edit,
    "score": score,
    "score many": score,
    "refine": refine,
    "refine many": refine,
    "compare": partial(compare, score=score),
    "import": read_file,
    "dataset": freeze,
}


def _branch_off(job: Job, row: ChainRow, sampling: Sampling, start: Start) -> None:
    """`n` draws beyond those there were when the job began, each as a chain."""
    engine = job.engine()
    want = Want(job.problem(row.chain.problem_id), start.prefix, 0)
    first = job.planned(lambda: {"first": _next_j(_stored(job.store, want.key, engine, sampling))})["first"]
    want = Want(want.problem, want.prefix, first + int(job.spec.get("n", 1)))
    draw_chains(job, engine, sampling, [want], start, first)


def _stored(store: Store, key: PrefixKey, engine: Engine, sampling: Sampling) -> list[Continuation]:
    return store.continuations(*key, engine.model_id, sampling.hash)


def _next_j(draws: Sequence[Continuation]) -> int:
    return max((c.j for c in draws), default=-1) + 1


def _sampled(store: Store, problem_id: str, engine: Engine, sampling: Sampling) -> int:
    """How many draws from the question already are chains; also those that branch from another chain's step 0."""
    rows = [row for row in store.chains(problem_id, engine.model_id) if not row.chain.branch_step]
    return max((r.continuation.j for r in rows if r.continuation and r.sampling_id == sampling.hash), default=-1) + 1
