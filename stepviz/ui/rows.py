"""What the pages show, as plain frozen values: `views` fills them from the store, `render*` turn them into HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stepviz.glore import Counting
from stepviz.posterior import Sure
from stepviz.types import Continuation, StepKind, StepValue, VerdictValue


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run as its bar and its row show it. share is done/total in [0, 1], None while the total is unknown."""

    id: int
    kind: str
    state: str
    done: int = 0
    total: int | None = None
    unit: str = ""
    tokens_per_s: float | None = None
    eta_s: float | None = None
    note: str = ""
    error: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    created: str = ""
    took: str = ""
    log: tuple[str, ...] = ()
    link: str = ""  # to the problem or chain it works on
    what: str = ""  # "chain 3", "this problem", where a page says what it worked on
    part: float = 0.0  # of what is at work, how much is done: it moves the bar alone
    tokens: int | None = None  # that it is about: sampled, trained on, else read
    notes: tuple[str, ...] = ()  # of its engines
    facts: tuple[tuple[str, str], ...] = ()  # its cost and its times, where it is opened
    results: tuple[tuple[str, str], ...] = ()  # (what, address)
    more: int = 0  # results that are not listed
    over: str = ""  # "56 chains", where it is over more than what is open: a key does not stop it
    strategy: str = ""  # of a measurement that is not exhaustive
    about: tuple[str, str] = ("", "")  # the one chain or problem: "chain 3 of gsm8k test/12", and its address

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running", "cancelling")

    @property
    def share(self) -> float | None:
        return min(1.0, (self.done + self.part) / self.total) if self.total else None


@dataclass(frozen=True, slots=True)
class RunList:
    """The runs of one page of the list, newest first, and how they were chosen."""

    lines: tuple[RunLine, ...]
    total: int  # of the chosen
    skip: int = 0
    limit: int = 100
    kinds: tuple[str, ...] = ()  # that there are
    kind: str = ""
    state: str = ""
    opened: RunLine | None = None  # also where it is on another page


@dataclass(frozen=True, slots=True)
class Head:
    """The header: which page, which engine, which runs."""

    page: str
    engine: str  # "embedded · student · cpu"
    engine_state: str = "idle"  # "idle", "on", "bad"
    engine_note: str = ""
    runs: tuple[RunLine, ...] = ()

    @property
    def seen(self) -> str:
        """What the browser saw last of the runs; a poll that says the same needs no answer."""
        return ";".join(f"{r.id}:{r.state}:{r.done}:{r.total}:{r.note}" for r in self.runs if r.active) or "-"


@dataclass(frozen=True, slots=True)
class ProblemLine:
    id: str
    question: str
    source: str
    n_chains: int  # begun at the question: they have a rate
    n_correct: int  # of them
    tex: bool = False
    branches: int = 0  # chains continued or edited from a prefix, beside those
    refinements: int = 0  # of chains of it


@dataclass(frozen=True, slots=True)
class ProblemList:
    lines: tuple[ProblemLine, ...]
    total: int
    skip: int
    limit: int
    selected: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One step in a chain's strip; value None: not measured."""

    value: float | None
    pit: bool = False


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model that gives a score after each step; what it estimates is its role's (stepviz.reward.specs.ROLES)."""

    id: str
    role: str
    name: str  # "embedded/sorm"
    spec: str = ""
    counting: Counting | None = None  # the rule by which the rollouts that it learnt from were counted, where known

    @property
    def label(self) -> str:
        return self.role.upper()


@dataclass(frozen=True, slots=True)
class Predicted:
    """A scorer's score after a step, and beside it what was measured or judged of the very thing it estimates."""

    scorer: Scorer
    score: float | None
    beside: tuple[str, ...] = ()  # "measured S₈ .78", "exact judge: no"


@dataclass(frozen=True, slots=True)
class Parent:
    """The chain that another grew out of, and how: a branch after a step, or a refinement of it."""

    chain: str
    number: int
    step: int = 0  # after which it branches; of a local refinement the step it was rewritten from
    refined: str = ""  # "global", "local"
    line: int | None = None  # of the ledger

    @property
    def said(self) -> tuple[str, str]:
        """What stands before and after the link to the chain."""
        if not self.refined:
            return "branch of", f"after step {self.step}"
        where = f", local from step {self.step}" if self.refined == "local" else ", global"
        return "refinement of", where


@dataclass(frozen=True, slots=True)
class ChainLine:
    id: str
    number: int
    verdict: VerdictValue
    answer: str | None
    cells: tuple[Cell, ...]
    origin: str = ""
    score: float | None = None  # the list's scorer after the last step
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class AnswerShare:
    """One cluster of equal answers, or one kind of ending of the continuations."""

    answer: str | None
    verdict: VerdictValue
    n: int
    key: str = ""  # what the address says when this cluster is picked
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class ChainList:
    """The chains of one problem. `of` counts them all, `lines` are those the filters leave."""

    problem: str
    place: str  # "embedded 412"
    lines: tuple[ChainLine, ...]
    of: int
    shares: tuple[AnswerShare, ...] = ()
    right: int | None = 0  # None: without a gold answer nothing is judged
    rated: int | None = None  # `right` is of so many draws of one rate; None: of all chains
    interval: tuple[float, float] | None = None  # only of draws of one rate
    picked: str = ""
    sort: str = ""
    origin: str = ""
    origins: tuple[tuple[str, int], ...] = ()
    selected: str = ""
    scorer: Scorer | None = None  # whose scores stand in the lines
    out_of_reach: str = ""  # why the engine cannot be expected to solve this problem
    can_sample: bool = True
    sample_n: int = 8
    sampler: str = ""  # the model that Sample draws with
    measured_by: tuple[str, ...] = ()  # whose values stand in the lines; several where each is its own model's
    cost: str = ""  # "≈ 900 tokens"
    busy: bool = False
    tex: bool = False


@dataclass(frozen=True, slots=True)
class ExactMark:
    correct: bool
    inherited: bool = False
    readable: bool = True
    solvable: bool | None = None
    progress: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    who: str
    value: int | None  # 1, 0, −1, None: unsure
    question: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class EquationMark:
    end: int  # offset in the step's text, after the equation
    holds: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A pit's tag: who says so, by what evidence. weak: the fault line is dashed."""

    text: str  # "first pit", "first error"
    evidence: str  # "Self-Explore 0/4"
    weak: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Likely:
    """Where the posterior of the pit puts it (stepviz.posterior), and where more draws would say most.

    step may be n + 1: from the last step the answer is still reached. spend: the prefix that keeps it from being
    certain. here, before: P(V[step] ≤ 0.05), P(V[step − 1] > 0.05). by: the SORM whose scores it read, if any.
    """

    step: int
    sure: Sure
    probability: float
    here: float
    before: float
    spend: int
    by: str = ""
    fitted: bool = True  # to the student whose rollouts these are


@dataclass(frozen=True, slots=True)
class Voice:
    """What one of two who are held against each other says of a chain. side: "A" or "B"; shape: of its marks.

    steps: of step 1 … n 1, 0, −1, or None where nothing is said. first: the first wrong step, 0: none is wrong, None:
    not known.
    """

    side: str
    name: str
    shape: Literal["person", "predicted", "measured", "exact"]
    steps: tuple[int | None, ...]
    first: int | None
    question: str = "correct"


@dataclass(frozen=True, slots=True)
class StepRow:
    """Row i of a chain; row 0 is the question."""

    number: int
    text: str
    kind: StepKind = "step"
    value: StepValue | None = None
    sequential: bool = False  # what was drawn may have decided how much is drawn: no interval of a fixed n holds
    score: float | None = None  # of the scorer whose curve is drawn
    predicted: tuple[Predicted, ...] = ()  # one a column of scores
    labels: tuple[Label, ...] = ()
    exact: ExactMark | None = None
    equations: tuple[EquationMark, ...] = ()
    pits: tuple[Mark, ...] = ()
    likely: Likely | None = None  # set on the step where the posterior puts the pit
    gain: float | None = None  # set on the critical step only
    endings: tuple[AnswerShare, ...] = ()
    continuations: tuple[Continuation, ...] = ()  # newest first, a few
    more: int = 0  # continuations that are not listed
    cost: str = ""  # of 32 more here

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The 95 % interval of the value."""
        if self.value is None:
            return None
        return self.value.any_time_interval() if self.sequential else self.value.interval()


@dataclass(frozen=True, slots=True)
class ChainPage:
    """One chain opened, or the bare problem when chain is ''."""

    problem: str
    rows: tuple[StepRow, ...]
    chain: str = ""
    number: int = 0
    verdict: VerdictValue = "unknown"
    verdict_reason: str = ""
    overridden: bool = False
    graded: VerdictValue = "unknown"  # the grader's own verdict, which an override leaves beneath it
    graded_reason: str = ""
    answer: str | None = None
    gold: str | None = None
    meta: tuple[str, ...] = ()
    selected: int = 0
    measured: bool = False
    measure_n: int = 8  # continuations a step that Measure brings or, where they are there, adds
    cost: str = ""  # of Measure: "56 continuations, ≈ 4,300 tokens"
    seconds: float | None = None  # that it will take; None: the measuring model has drawn nothing here yet
    scorers: tuple[Scorer, ...] = ()  # all that scored this chain
    columns: tuple[Scorer, ...] = ()  # those that are shown, one a role
    drawn: Scorer | None = None  # the one whose curve is drawn and whose threshold is moved
    threshold: float = 0.5
    predicted_pit: int | None = None  # the first step that `drawn` scores at or below the threshold
    parent: Parent | None = None
    measured_by: str = ""  # whose rollouts the values are
    own: str = ""  # the chain's own model, where the values are another's
    measurer: str = ""  # whose rollouts Measure draws
    by: str = ""  # the spec of the measuring model, where one was chosen
    run: RunLine | None = None
    blocked: str = ""  # why nothing can be measured
    tex: bool = False
    notes: tuple[str, ...] = field(default=())  # "lucky: a wrong step, a right answer"
    missing: str = ""  # the address names something that is not here
    voices: tuple[Voice, ...] = ()  # of two judges, where the chain was opened from a number of their agreement


@dataclass(frozen=True, slots=True)
class Page:
    """All of Explore at one address."""

    head: Head
    problems: ProblemList
    chains: ChainList | None
    view: ChainPage | None
    sources: tuple[tuple[str, int], ...] = ()
