"""What the store knows of a comparison: whose draws, at which problems, what is missing, and the pairs as they stand.

Nothing of a comparison is stored beside the draws themselves: they are the memory, so the same comparison again, or
one with more problems or samples, reads what is there.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from db.store import Store
from db.values import ChainRow, ProblemFilter, ProblemRow
from stepviz.checkpoints import look
from stepviz.compare import Pair, Trial, trial
from stepviz.compare_spec import CompareSettings, greedy_of
from stepviz.errors import StepvizError
from stepviz.reward.specs import plain
from stepviz.rollouts import by_prefix, missing, wanted
from stepviz.types import Continuation, Sampling, SourceItem, prefix_hash
from stepviz.world import embedded_problems

WORLD = ("train", "dev", "test")  # splits of the embedded problems
TOKENS = 110.0  # of a chain, where nothing is known of the model yet
STEPS = 5.0  # the same
REST = 0.6  # of a chain that a continuation of one of its prefixes has still to write, on average


@dataclass(frozen=True, slots=True)
class Missing:
    """Draws still to be made. `continuations` and `tokens` are guesses where the chains are not there yet."""

    chains: int = 0
    samples: int = 0
    continuations: int = 0
    tokens: float = 0.0
    sure: bool = True

    @property
    def draws(self) -> int:
        return self.chains + self.samples + self.continuations

    def __add__(self, other: Missing) -> Missing:
        return Missing(
            self.chains + other.chains,
            self.samples + other.samples,
            self.continuations + other.continuations,
            self.tokens + other.tokens,
            self.sure and other.sure,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """`pairs`: problems at which both models have written; `models`: their ids, "" for one that has done nothing here.

    problems: how many were chosen and have a gold answer; ungraded: those chosen without one, which are left out.
    """

    pairs: tuple[Pair, ...]
    problems: int
    ungraded: int
    lacking: tuple[Missing, Missing]
    models: tuple[str, str]

    @property
    def missing(self) -> Missing:
        return self.lacking[0] + self.lacking[1]


@dataclass(slots=True)
class Side:
    """One model's part of a comparison: what it has done, and what it has still to do."""

    store: Store
    model: str
    settings: CompareSettings
    sampling: Sampling
    trials: dict[str, Trial] = field(default_factory=dict)  # by problem
    chains: list[ChainRow] = field(default_factory=list)  # the greedy ones
    lacks_chain: int = 0
    lacks_samples: int = 0
    lacks_continuations: int = 0

    def read(self, problem: ProblemRow) -> None:
        s, n = self.settings, self.settings.samples if self.settings.samples > 1 else 0
        rows = self.store.chains(problem.id, self.model) if self.model else []
        greedy = self._first(rows)
        drawn = [_draw(r, self.sampling.hash) for r in rows]
        samples = [r for r, j in zip(rows, drawn, strict=True) if j is not None and j < n]
        self.lacks_samples += n - len(samples)
        if greedy is None:
            self.lacks_chain += 1
            return
        self.chains.append(greedy)
        draws = self.store.continuations_for(problem.id, self.model, self.sampling.hash) if s.k else []
        self.lacks_continuations += self._lacks(greedy, problem, draws)
        found = [r.verdict.value for r in samples] if len(samples) == n else []
        cut = greedy.chain.meta.get("finish_reason") == "length" and greedy.verdict.answer is None
        separator = self.sampling.style.separator
        self.trials[problem.id] = trial(greedy.chain, greedy.verdict, draws, found, s.k, separator, cut)

    def greedy(self, problem_id: str) -> ChainRow | None:
        return self._first(self.store.chains(problem_id, self.model))

    def _first(self, rows: Sequence[ChainRow]) -> ChainRow | None:
        drawn_with = greedy_of(self.sampling).hash
        return next((row for row in rows if _draw(row, drawn_with) == 0), None)

    def _lacks(self, row: ChainRow, problem: ProblemRow, draws: Sequence[Continuation]) -> int:
        if not self.settings.k:
            return 0
        have = by_prefix(draws)
        wants = wanted(row.chain, problem.problem, self.settings.k, self.sampling.style.separator)
        keys = {prefix_hash(want.prefix) for want in wants}
        return sum(len(missing((c.j for c in have.get(key, ())), self.settings.k)) for key in keys)

    def missing(self) -> Missing:
        steps, tokens = _means(self.chains)
        guessed = round(self.lacks_chain * (steps + 1) * self.settings.k)
        continuations = self.lacks_continuations + guessed
        spent = tokens * (self.lacks_chain + self.lacks_samples + REST * continuations)
        return Missing(self.lacks_chain, self.lacks_samples, continuations, spent, sure=not guessed)


def compared(
    store: Store, settings: CompareSettings, sampling: Sampling, models: tuple[str, str] | None = None
) -> Found:
    """As the store has it now. `models`: whose draws, where a run has said so; else who is behind the specs."""
    ids = models or (known_as(store, settings.before), known_as(store, settings.after))
    before, after = (Side(store, id, settings, sampling) for id in ids)
    rows = list(chosen(store, settings))
    graded = [row for row in rows if row.answer]
    for row in graded:
        before.read(row)
        after.read(row)
    pairs = tuple(
        Pair(row.id, row.question, before.trials[row.id], after.trials[row.id], place_of(row, settings.source))
        for row in graded
        if row.id in before.trials and row.id in after.trials
    )
    return Found(pairs, len(graded), len(rows) - len(graded), (before.missing(), after.missing()), ids)


def chosen(store: Store, settings: CompareSettings) -> Iterator[ProblemRow]:
    """The first problems of the source and the split, in the order of arrival."""
    wanted = ProblemFilter(source=settings.source or None, split=settings.split or None)
    return islice(store.problems_of(wanted), settings.limit)


def known_as(store: Store, spec: str) -> str:
    """The id of the model behind a spec, as the store knows it; "" for one that has done nothing in it.

    By the weights that lie there now, so that new ones in the same folder are a new model.
    """
    from stepviz.engines.transformers import fingerprint

    found = look(plain(spec))
    of_spec = [model.id for model in store.models() if model.spec == spec]
    if found.folder is not None and found.source == str(found.folder):
        weights = fingerprint(found.folder)
        of_spec = [id for id in of_spec if id.partition("@")[2].partition("+")[0] == weights]
    return of_spec[-1] if of_spec else ""


def embedded_for(store: Store, settings: CompareSettings) -> None:
    """Problems of the embedded world come in as soon as they are asked for."""
    if settings.source != "embedded" or settings.split not in WORLD:
        return
    if store.count_problems(ProblemFilter(source="embedded", split=settings.split)) < settings.limit:
        store.add_items([SourceItem(p) for p in embedded_problems(settings.split, settings.limit)])


def losses_of(store: Store, spec: str, model_id: str) -> list[tuple[int, float]]:
    """(step, loss) of the training that made a model: its run's, else what lies beside its weights; [] for neither."""
    model = store.model(model_id) if model_id else None
    if model is not None and model.run_id is not None:
        with contextlib.suppress(StepvizError):
            if found := _points(store.run(model.run_id).progress.get("losses")):
                return found
    folder = look(spec).folder
    if folder is None:
        return []
    try:
        return _points(json.loads((folder / "training.json").read_text(encoding="utf-8")).get("losses"))
    except (OSError, ValueError, AttributeError):
        return []


def _points(losses: Any) -> list[tuple[int, float]]:
    if not isinstance(losses, list):
        return []
    pairs = [row for row in losses if isinstance(row, list | tuple) and len(row) == 2]
    return [(int(step), float(loss)) for step, loss in pairs if isinstance(step, int) and isinstance(loss, int | float)]


def _draw(row: ChainRow, sampling: str) -> int | None:
    """j of a chain that was drawn from the question under this sampling."""
    if row.sampling_id != sampling or row.continuation is None or row.chain.parent is not None:
        return None
    return row.continuation.j if row.continuation.prefix_hash == prefix_hash("") else None


def _means(chains: Sequence[ChainRow]) -> tuple[float, float]:
    """(steps, tokens) of a chain."""
    if not chains:
        return STEPS, TOKENS
    tokens = [int(row.chain.meta.get("tokens") or TOKENS) for row in chains]
    return sum(row.chain.n for row in chains) / len(chains), sum(tokens) / len(tokens)


def place_of(row: ProblemRow, source: str) -> str:
    """`embedded dev 17`: where it stands, in the source that was asked for."""
    name, key, split = next((s for s in row.sources if s.source == source), row.sources[0])
    return " ".join(part for part in (name, split or "", key.rsplit("/", 1)[-1]) if part)
