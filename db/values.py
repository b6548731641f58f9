"""What the store takes and gives beside the vocabulary of stepviz.types: frozen rows, filters, counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from stepviz.types import Annotation, Chain, Problem, Verdict, VerdictValue

ProblemResult = Literal["solved", "unsolved", "mixed", "disputed", "unsampled"]
RunState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """What an import brought. `unchanged` counts items that brought nothing new.

    `kept` holds the lines of items whose chain is stored with another text: the stored one stays,
    because labels hang on it.
    """

    problems_new: int = 0
    chains_new: int = 0
    annotations_new: int = 0
    unchanged: int = 0
    kept: tuple[int, ...] = ()
    refinements_new: int = 0

    def __add__(self, other: ItemCounts) -> ItemCounts:
        return ItemCounts(
            self.problems_new + other.problems_new,
            self.chains_new + other.chains_new,
            self.annotations_new + other.annotations_new,
            self.unchanged + other.unchanged,
            self.kept + other.kept,
            self.refinements_new + other.refinements_new,
        )


@dataclass(frozen=True, slots=True)
class ProblemFilter:
    """Which problems; empty fields do not filter.

    search: words that all occur in the question (ASCII letters in either case), or a problem's id, or a
    source's key. result: "solved" has a correct chain, "unsolved" has chains and none is correct (and a gold
    answer, or a chain that was judged wrong without one), "mixed" has correct and wrong ones, "unsampled" has no
    chain, "disputed" has a chain on which annotators disagree with each other or with the grader, or whose verdict
    a person changed.
    """

    search: str = ""
    source: str | None = None
    split: str | None = None
    result: ProblemResult | None = None


@dataclass(frozen=True, slots=True)
class ChainFilter:
    """Which chains; empty fields do not filter. source and split are those of the problem."""

    source: str | None = None
    split: str | None = None
    origin: str | None = None
    problem_id: str | None = None
    verdict: VerdictValue | None = None


class SourceKey(NamedTuple):
    """Where a problem also stands."""

    source: str
    key: str
    split: str | None


class ContinuationKey(NamedTuple):
    """The identity of a draw."""

    problem_id: str
    prefix_hash: str
    model_id: str
    sampling_id: str
    j: int


class PrefixCount(NamedTuple):
    """How often continuations of a prefix were drawn, were right, and were cut off by the token limit."""

    n: int
    k: int
    unfinished: int


class Measurement(NamedTuple):
    """A model and a sampling that a problem's prefixes were continued with, and how often in all."""

    model_id: str
    sampling_id: str
    n: int


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A problem as stored; answer, solution and each entry of meta are the first that any source brought."""

    id: str
    question: str
    answer: str | None
    solution: str | None
    sources: tuple[SourceKey, ...]
    meta: Mapping[str, Any]
    n_chains: int
    n_correct: int
    n_disputed: int = 0

    @property
    def problem(self) -> Problem:
        """The vocabulary's value, under its first source's name; Store.readings has it as each source reads it."""
        source, key, split = self.sources[0]
        return Problem(self.question, self.answer, self.solution, source, key, split, self.meta)


@dataclass(frozen=True, slots=True)
class ChainRow:
    """A chain as stored, with its whole text; `verdict` is a person's where one spoke, `graded` the grader's."""

    chain: Chain
    verdict: Verdict
    created_at: datetime
    number: int  # 1-based within the problem, in the order of arrival
    graded: Verdict
    disputed: bool = False
    continuation: ContinuationKey | None = None
    model_id: str | None = None
    sampling_id: str | None = None
    seed: int | None = None

    @property
    def overridden(self) -> bool:
        """Whether a person's verdict stands in for the grader's."""
        return self.verdict != self.graded


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model: what it is for, how to load it, what it was made from and by which run."""

    id: str
    role: str = "generator"  # "generator", "orm", "sorm", "refiner", …
    spec: str = ""  # an engine's spec, "embedded:student"
    parents: tuple[str, ...] = ()
    run_id: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnnotationRow:
    """An annotation with its place in the store; ids rise with time."""

    id: int
    annotation: Annotation
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunRow:
    """A long job. A run whose worker stopped renewing its lease reads as "interrupted"."""

    id: int
    kind: str
    spec: Mapping[str, Any]
    state: RunState
    progress: Mapping[str, Any]
    error: str | None
    worker: str | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A frozen set of rows; `hash` is over recipe, config and rows.

    format: "prompt-completion", "stepwise", "preference", or "" where nobody said. counts: what is in it (problems,
    chains, labels, models, sources); dropped: what gave no row, by reason.
    """

    id: int
    name: str
    version: int  # 1, 2, … within the name
    recipe: str
    config: Mapping[str, Any]
    hash: str
    n_rows: int
    created_at: datetime
    format: str = ""
    counts: Mapping[str, Any] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft or one of its refinements, as the ORM ranked it; score None: it was not ranked (cut off, unreadable)."""

    name: str  # "draft", "global", "local", "local 2", …
    chain: str
    score: float | None = None
    verdict: VerdictValue = "unknown"  # the chain's present one; filled in by the store


@dataclass(frozen=True, slots=True)
class RefinementRow:
    """One line of the ledger: a draft under one setting. `candidates` begin with the draft; `pick` names one of them.

    when: the ORM's score of the draft; chosen: whether it was to be refined; where: E, None where nothing was flagged.
    The store fills in id, problem_id, created_at and the verdicts, which are those that stand now.
    """

    draft: str
    key: str
    refiner: str
    orm: str | None
    locator: str | None
    sampling_id: str
    how: str  # "both", "global", "local"
    gate: float | None
    threshold: float
    no_flag: str
    at: int | None
    samples: int
    when: float | None
    chosen: bool
    where: int | None
    candidates: tuple[Candidate, ...]
    pick: str
    note: str = ""
    id: int = 0
    problem_id: str = ""
    created_at: datetime | None = None

    def candidate(self, name: str) -> Candidate | None:
        return next((c for c in self.candidates if c.name == name), None)

    @property
    def picked(self) -> Candidate:
        found = self.candidate(self.pick)
        assert found is not None, f"{self.pick} is no candidate of refinement {self.id}"
        return found

    @property
    def gain(self) -> int | None:
        """1: a wrong draft, a right pick; −1: the other way round; 0: no change; None where one cannot be judged."""
        before, after = self.candidates[0].verdict, self.picked.verdict
        if "unknown" in (before, after):
            return None
        return (after == "correct") - (before == "correct")


@dataclass(frozen=True, slots=True)
class RefinementFilter:
    """Which lines of the ledger; empty fields do not filter.

    when: "refined" or "spared" by the gate. where: "flagged", "unflagged" (looked for, and not found) or "hand" (E was
    given). gain: "fixed", "broken", "same", "unknown".
    """

    draft: str | None = None
    problem_id: str | None = None
    refiner: str | None = None
    when: str | None = None
    where: str | None = None
    how: str | None = None
    gain: str | None = None
