"""What a `measure` job is expected to cost, told from the store before it starts: continuations, tokens, seconds.

The counts are of stepviz.measure_estimate; the seconds come from the speed that the same engine had in the latest runs
of this store, and are unknown where it never ran here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.store import Store
from db.values import ChainRow
from stepviz import jobs, pits
from stepviz.adaptive import Adaptive
from stepviz.measure_estimate import RUNS, Expected, expected, token_lengths
from stepviz.measure_job import chosen, newest_sorm, scores_of
from stepviz.measuring import Walking
from stepviz.posterior import PitModel
from stepviz.rollouts import by_prefix
from stepviz.strategies import Strategy
from stepviz.types import Continuation, Problem, Sampling

DRAWING = ("sample", "measure", "continue", "branch")  # kinds of runs whose speed is that of a measurement
LOOKED_AT, TAKEN = 200, 5  # the latest runs, and of these the engine's
MADE_UP = 3200  # replays in all: of many chains each needs fewer


@dataclass(frozen=True, slots=True)
class Cost:
    """seconds and speed (tokens a second): None where the engine never ran in this store."""

    chains: int
    expected: Expected
    speed: float | None = None
    left_out: int = 0  # without a gold answer

    @property
    def seconds(self) -> float | None:
        return self.expected.tokens / self.speed if self.speed else None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A chain, and what its measurement would find: by prefix hash the draws of one model and sampling."""

    row: ChainRow
    problem: Problem
    draws: Mapping[str, Sequence[Continuation]]
    sampling: Sampling
    scores: tuple[float, ...] = ()

    def walking(self, strategy: Strategy, k: int, **settings: Any) -> Walking:
        return Walking(self.row.chain, self.problem, self.row.verdict, strategy, k, self.scores,
                       separator=self.sampling.style.separator, **settings)  # fmt: skip

    def at(self, walking: Walking) -> dict[int, Sequence[Continuation]]:
        """By step: 0 and the open ones."""
        steps = (0, *walking.walk.open)
        return {i: self.draws.get(walking.want(i, 1).key.prefix_hash, ()) for i in steps}


def cost_of(store: Store, spec: Mapping[str, Any]) -> Cost:
    """Of a `measure` job's settings, as `jobs.start` takes them. StepvizError as there."""
    spec = {"strategy": "exhaustive", **jobs.normalised(store, "measure", spec)[1]}
    name, ids, sampling = spec["strategy"], list(dict.fromkeys(spec["chains"])), store.sampling(spec["sampling"])
    engine = next((m.id for m in reversed(store.models()) if m.spec == spec["engine"]), "")
    strategy = chosen(spec)
    model = strategy.model if isinstance(strategy, Adaptive) else pits.shipped()
    runs = max(4, min(RUNS, MADE_UP // max(1, len(ids))))
    scorers = _scorers(store, spec) if name == "adaptive" else ()
    settings = {"consistent_only": True, "results": spec.get("results", "every")} if name == "backward" else {}
    total, left_out, paid = Expected(), 0, set[tuple[str, str]]() if name == "exhaustive" else None
    for id in ids:
        row = store.chain(id)
        problem = store.problem(row.chain.problem_id) if row else None
        if row is None or problem is None or not problem.answer:
            left_out += 1
            continue
        found = read(store, row, problem.problem, engine, sampling, scorers)
        total += of_chain(found, found.walking(strategy, spec["n"], **settings), model, runs, paid)
    return Cost(len(ids) - left_out, total, speed_of(store, spec["engine"], strategy=name), left_out)


def _scorers(store: Store, spec: Mapping[str, Any]) -> Sequence[str]:
    """As the job itself chooses them; chains that are yet to be scored are estimated without scores."""
    if "scorer" not in spec:
        return newest_sorm(store)
    return [m.id for m in reversed(store.models()) if m.spec == spec["scorer"]]


def of_chain(
    found: Chosen, walking: Walking, model: PitModel, runs: int = RUNS, paid: set[tuple[str, str]] | None = None
) -> Expected:
    """paid: prefixes that earlier chains bring, where all are drawn alike; this chain's are added.

    Elsewhere a prefix that chains share counts for each of them: many chains of one problem cost somewhat less.
    """
    draws = found.at(walking)
    known = [draw for prefix in found.draws.values() for draw in prefix]
    sizes = token_lengths(walking.chain, walking.walk.open, draws, known, found.sampling.max_tokens)
    keys = {i: walking.want(i, 1).key for i in draws} if paid is not None else {}
    others = [i for i, key in keys.items() if key in (paid or ())]
    if paid is not None:
        paid.update(keys.values())
    return expected(walking, draws, sizes, model, runs, others)


def read(
    store: Store, row: ChainRow, problem: Problem, model: str, sampling: Sampling, scorers: Sequence[str] = ()
) -> Chosen:
    """scorers: models whose scores an adaptive measurement would go by, the first that has scored the chain."""
    scores = scores_of(store, row.chain.id, row.chain.n, scorers) if scorers else ()
    draws = by_prefix(store.continuations_for(problem.id, model, sampling.hash)) if model else {}
    return Chosen(row, problem, draws, sampling, scores)


def speed_of(store: Store, engine: str, looked_at: int = LOOKED_AT, strategy: str = "exhaustive") -> float | None:
    """Tokens a second over the engine's latest runs that drew at all, by this strategy where there are any: one with
    short turns has less at work at once. looked_at: runs of any kind, the latest."""
    drew: list[tuple[float, float, str]] = []
    for run in store.runs(looked_at):
        speed, drawn = run.progress.get("tokens_per_s"), run.progress.get("tokens")
        if run.spec.get("engine") == engine and run.kind.removesuffix(" many") in DRAWING and speed and drawn:
            drew.append((drawn, drawn / speed, run.spec.get("strategy", "exhaustive")))
    taken = ([run for run in drew if run[2] == strategy] or drew)[:TAKEN]
    seconds = sum(took for _, took, _ in taken)
    return sum(tokens for tokens, _, _ in taken) / seconds if seconds else None
