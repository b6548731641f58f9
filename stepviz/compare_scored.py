"""What the store knows of two scorers on the same chains: their scores, and what is known of each step."""

from __future__ import annotations

from dataclasses import dataclass

from db.store import Store
from db.values import ChainRow, Measurement, ProblemRow
from stepviz.compare_draws import chosen, known_as, place_of
from stepviz.compare_scores import Scored, measured_labels
from stepviz.compare_spec import CompareSettings
from stepviz.rollouts import by_prefix, values
from stepviz.types import Continuation
from stepviz.world import ExactJudge, exact_for


@dataclass(frozen=True, slots=True)
class FoundScores:
    """chains: scored by both; unscored: how many chains each has still to score; problems: how many were chosen."""

    chains: tuple[Scored, ...]
    unscored: tuple[int, int]
    problems: int
    models: tuple[str, str]


def scored(store: Store, settings: CompareSettings, models: tuple[str, str] | None = None) -> FoundScores:
    """As the store has it now; `models` as in compare_draws.compared."""
    ids = models or (known_as(store, settings.before), known_as(store, settings.after))
    found, lacks, problems = [], [0, 0], 0
    for problem in chosen(store, settings):
        problems += 1
        scores = store.scores_for(problem.id)
        known: _Known | None = None
        for row in steps_of(store, problem):
            both = [tuple(s.score for s in scores.get(row.chain.id, ()) if s.model_id == id) for id in ids]
            have = [len(side) == row.chain.n for side in both]
            lacks = [n + (not here) for n, here in zip(lacks, have, strict=True)]
            if all(have):
                known = known or _Known(store, problem, settings.source)
                found.append(known.scored(row, both[0], both[1]))
    return FoundScores(tuple(found), (lacks[0], lacks[1]), problems, ids)


def steps_of(store: Store, problem: ProblemRow) -> list[ChainRow]:
    """The problem's chains that are cut into steps: the others cannot be scored."""
    return [row for row in store.chains(problem.id) if row.chain.n]


class _Known:
    """What is known of the steps of one problem's chains: each is measured by its own model, where that was done."""

    def __init__(self, store: Store, problem: ProblemRow, source: str) -> None:
        self.store, self.problem, self.place = store, problem, place_of(problem, source)
        self.measurements = store.measurements(problem.id) if problem.answer else []  # most draws first
        self.draws: dict[Measurement, dict[str, list[Continuation]]] = {}
        self.judge: ExactJudge | None = exact_for(problem.problem)

    def scored(self, row: ChainRow, before: tuple[float, ...], after: tuple[float, ...]) -> Scored:
        labels: dict[str, tuple[int | None, ...]] = {}
        own = [m for m in self.measurements if m.model_id == row.model_id] or self.measurements
        if own:
            separator = self.store.sampling(own[0].sampling_id).style.separator
            labels |= measured_labels(values(row.chain, self._of(own[0]), row.verdict, separator))
        if self.judge is not None:
            steps = self.judge.judge(row.chain.steps).steps
            labels["solvable"] = tuple(int(s.solvable) if s.readable else None for s in steps)
            labels["correct"] = tuple(int(s.correct) if s.readable else None for s in steps)
        return Scored(self.problem.id, row.chain.id, f"{self.place} · chain {row.number}", before, after, labels)

    def _of(self, m: Measurement) -> dict[str, list[Continuation]]:
        if m not in self.draws:
            self.draws[m] = by_prefix(self.store.continuations_for(self.problem.id, m.model_id, m.sampling_id))
        return self.draws[m]
