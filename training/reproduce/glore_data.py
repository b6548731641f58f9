"""What all seeds of GLoRe's comparison share: drafts, samples and rollouts of the student, judged exactly.

    test      a greedy draft a question: judges, refinement
    samples   n draws a question at temperature 0.7: rerank curves; of other questions three: best of three
    S_8       labels of the first drafts by the training's own procedure: 8 rollouts a prefix, all post-processings
    deep      64 rollouts a prefix of a few drafts: how many labels are wrong, and why
    dev       greedy drafts of development problems: thresholds, and what position alone knows

Everything is a draw in the store, so a stage that was killed goes on. No test problem enters a training set: the
builder refuses it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from db.store import Store
from db.values import ChainRow
from stepviz import glore, rollouts
from stepviz.engines import Engine
from stepviz.rollouts import PrefixKey, Want
from stepviz.steps import segment
from stepviz.types import Continuation, Problem, Sampling, prefix_hash
from stepviz.world import exact_for
from training.drawing import ROOT, Drawing, Draws, problems_of
from training.glore_models import HOT, PRESETS, RESULTS, Sizes, to_measure
from training.reproduce.label_errors import Measured, cause

Log = Callable[[str], None]
GREEDY = Sampling(temperature=0.0)
WARM = Sampling(temperature=0.7)
BO = 3
DATA = replace(PRESETS["small"], full=True)


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers of problems, the draws of each, and how much is trained on."""

    test: int = 5_000
    dev: int = 1_000
    sampled: int = 500
    n: int = 32
    three: int = 2_000  # the last of test, whose drafts are refined: three samples of each, for best of three
    measured: int = 1_000
    deep: int = 60
    rollouts: int = 64
    data: Sizes = DATA

    def by(self, factor: float) -> Scale:
        """All numbers of problems times `factor`; the draws of each stay."""
        names = ("test", "dev", "sampled", "three", "measured", "deep")
        smaller = {name: max(2, round(getattr(self, name) * factor)) for name in names}
        data = replace(
            self.data,
            problems=max(2, round(self.data.problems * factor)),
            measured=self.data.measured and max(2, round(self.data.measured * factor)),
        )
        return replace(self, **smaller, data=data)


@dataclass(frozen=True, eq=False)
class Judged:
    """A chain with what the exact judge says of it."""

    problem: Problem
    steps: tuple[str, ...]
    tokens: int = 0
    row: ChainRow | None = None

    @cached_property
    def judgement(self) -> Any:
        judge = exact_for(self.problem)
        assert judge is not None, self.problem.key
        return judge.judge(self.steps)

    @property
    def whole(self) -> bool:
        """Whether it ended by itself, and no limit cut it off."""
        return self.row is None or self.row.chain.terminal

    @property
    def right(self) -> bool:
        return self.judgement.right

    @property
    def solvable(self) -> list[int | None]:
        return [int(step.solvable) for step in self.judgement.steps]

    @property
    def correct(self) -> list[int | None]:
        """None for a step that the judge cannot read."""
        return [int(step.correct) if step.readable else None for step in self.judgement.steps]

    @property
    def open(self) -> int:
        """Steps before the answer line: the prefixes that can be continued."""
        return len(self.steps) - 1 if self.judgement.finished else len(self.steps)


def judged(problem: Problem, text: str, tokens: int = 0) -> Judged:
    """A text of the student's or the refiner's; what a token limit cut off is judged as far as it goes."""
    return Judged(problem, tuple(text[s.start : s.end] for s in segment(text, "line")), tokens)


@dataclass
class Shared:
    """See the module. `samples[i]` belongs to test[i]; `s8` and `deep` to the first drafts of test.

    refined: the drafts that are refined. They are the last ones, which the first run on test problems had not seen.
    """

    student: str
    test: list[Judged]
    dev: list[Judged]
    samples: list[list[Judged]]
    refined: list[int]
    s8: list[list[int | None]]
    deep: list[list[Measured]]
    drafts: Drawing  # at temperature 0.7, for what refinement is compared with
    tokens: dict[str, int]  # of the training data: drafts, traces


def collect(store: Store, engine: Engine, scale: Scale, log: Log = print) -> Shared:
    """Draws what is missing, and judges it."""
    test, dev = problems_of(store, "test", scale.test), problems_of(store, "dev", scale.dev)
    greedy, warm, hot = (Drawing(store, engine, sampling, log) for sampling in (GREEDY, WARM, HOT))
    drafts = _judged(test, greedy.chains(test, 1, "test drafts"))
    dev_drafts = _judged(dev, greedy.chains(dev, 1, "dev drafts"))
    samples = warm.chains(test[: scale.sampled], scale.n, f"{scale.n} samples")
    fresh = max(0, len(test) - scale.three)
    more = test[max(scale.sampled, fresh) :]
    samples |= warm.chains(more, BO, f"{BO} samples") if more else {}
    first = [draft[0] for draft in drafts]
    measured = [(d.problem, d.row) for d in first[: scale.measured] if d.row is not None]
    eight = hot.measure(measured, glore.K, "test labels")
    deep = hot.measure(measured[: scale.deep], scale.rollouts, f"{scale.rollouts} rollouts")
    log(json.dumps({"stage": "test data", "drafts right": sum(d.right for d in first) / len(first)}))
    return Shared(
        student=engine.model_id,
        test=first,
        dev=[draft[0] for draft in dev_drafts],
        samples=[[Judged(p, row.chain.steps, _tokens(row), row) for row in samples.get(p.id, [])] for p in test],
        refined=list(range(fresh, len(test))),
        s8=[labels(row, eight) for _, row in measured],
        deep=[measured_prefixes(p, row, deep) for p, row in measured[: scale.deep]],
        drafts=warm,
        tokens=training_tokens(store, problems_of(store, "train", scale.data.problems), engine.model_id, scale.data),
    )


def _judged(problems: Sequence[Problem], chains: dict[str, list[ChainRow]]) -> list[list[Judged]]:
    return [[Judged(p, row.chain.steps, _tokens(row), row) for row in chains[p.id]] for p in problems]


def _tokens(row: ChainRow) -> int:
    return int(row.chain.meta.get("tokens", 0))


def _of_chain(row: ChainRow, draws: Draws, k: int) -> dict[str, list[Continuation]]:
    """Prefix hash → its first k draws."""
    hashes = {prefix_hash(rollouts.prefix_of(row.chain, i)) for i in range(1, row.chain.n + 1)}
    keys = [PrefixKey(row.chain.problem_id, hashed) for hashed in hashes]
    return {key.prefix_hash: [c for c in draws.get(key, ()) if c.j < k] for key in keys}


def labels(row: ChainRow, draws: Draws, k: int = glore.K) -> list[int | None]:
    """The SORM's labels of a chain, as the recipe makes them, before any balance."""
    chain = row.chain
    found = _of_chain(row, draws, k)
    values = glore.with_consistency(chain, rollouts.values(chain, found, row.verdict), found, results=RESULTS)
    return list(glore.sorm_labels(values, glore.own_suffix(chain, row.verdict, results=RESULTS)))


def measured_prefixes(problem: Problem, row: ChainRow, draws: Draws) -> list[Measured]:
    """The open prefixes 1, 2, … of a chain with their draws, and why unsolvable ones were solved."""
    judge = exact_for(problem)
    assert judge is not None, problem.key
    steps = row.chain.steps
    solvable = judge.judge(steps).solvable
    found = []
    for i in range(1, row.chain.n + 1):
        some = draws.get(PrefixKey(problem.id, prefix_hash(rollouts.prefix_of(row.chain, i))), ())
        if rollouts.terminal(row.chain, i) or not some:
            break
        right = [c.text for c in some if c.verdict == "correct"]
        used = [text for text in right if glore.consistent(steps[:i], text, results=RESULTS)]
        why, why_used = Counter[Any](), Counter[Any]()
        if not solvable[i]:
            why, why_used = (Counter(cause(judge, steps[:i], _lines(t)) for t in texts) for texts in (right, used))
        found.append(Measured(solvable[i], len(some), len(right), len(used), why, why_used))
    return found


def _lines(text: str) -> list[str]:
    return [text[s.start : s.end] for s in segment(text, "line")]


def training_tokens(store: Store, problems: Sequence[Problem], model_id: str, sizes: Sizes) -> dict[str, int]:
    """Sampled tokens behind the training sets: drafts, and k rollouts of the prefixes of those that are measured."""
    total = {"drafts": 0, "traces": 0}
    for i, problem in enumerate(problems):
        rows = [row for row in store.chains(problem.id, model_id) if row.sampling_id == HOT.hash and row.continuation]
        drafts = sorted((r for r in rows if r.continuation.j < sizes.samples), key=lambda r: r.continuation.j)  # type: ignore[union-attr]
        chains = [row.chain for row in to_measure(drafts, sizes.wrong)] if i < sizes.with_rollouts else []
        asked = {prefix_hash(rollouts.prefix_of(chain, i)) for chain in chains for i in range(1, chain.n + 1)}
        for draw in store.continuations_for(problem.id, model_id, HOT.hash):
            if draw.prefix_hash in asked and draw.j < sizes.k:
                total["traces"] += draw.tokens
            elif draw.prefix_hash == ROOT and draw.j < sizes.drafts:
                total["drafts"] += draw.tokens
    return total


def resampled(
    shared: Shared, places: Sequence[int | None], which: Sequence[int], n: int = 2
) -> dict[int, list[Judged]]:
    """n samples of the student from the step before each place, for these drafts of test; from the question: None."""
    wants = {}
    for i in which:
        row = shared.test[i].row
        assert row is not None
        before = (places[i] or 1) - 1
        wants[i] = Want(shared.test[i].problem, rollouts.prefix_of(row.chain, before), n)
    found = shared.drafts.draw(list(wants.values()), "resampling")
    return {
        i: [judged(want.problem, want.prefix + draw.text, draw.tokens) for draw in found.get(want.key, ())]
        for i, want in wants.items()
    }
