"""The vocabulary (design.md, section 2): frozen values that every other module shares.

Steps are numbered 1…n. `prefix(i)` is the text of the first i steps with their separators; prefix(0)
is the bare question, the empty string. *Measured* values (StepValue: k of n, with an interval) and
*predicted* ones (StepScore: a model's probability) are different types and never mixed.
Nothing here knows a database, a model or a screen. The identities of `identity.py` belong to the vocabulary, and are
imported from here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stepviz.identity import continuation_seed as continuation_seed
from stepviz.identity import digest as digest
from stepviz.identity import prefix_hash as prefix_hash
from stepviz.identity import problem_id as problem_id

VerdictValue = Literal["correct", "wrong", "unknown"]
FinishReason = Literal["stop", "length", "error"]
StepKind = Literal["step", "answer"]
Question = Literal["correct", "solvable", "decides", "first_error", "verdict"]
Arm = Literal["blind", "scores", "pit"]  # what a study shows of a model's opinion


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its gold answer; `source`, `key`, `split` say where this reading of it comes from."""

    question: str
    answer: str | None = None  # gold, as the source writes it
    solution: str | None = None  # a reference solution
    source: str = "mine"
    key: str = ""  # within the source
    split: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)  # the original row, a world graph, …

    @property
    def id(self) -> str:
        return problem_id(self.question)


@dataclass(frozen=True, slots=True)
class Span:
    """A step's place in its chain's text, [start, end); separators lie between spans."""

    start: int
    end: int
    kind: StepKind = "step"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of thought: text, and the steps as spans into it. Equal texts are still two chains."""

    problem_id: str
    origin: str  # "gsm8k/6b_finetuning", "processbench/Qwen2-7B", a model's id, "human", …
    key: str  # within the origin
    text: str
    spans: tuple[Span, ...]
    rule: str  # segmentation rule with its version, "line/1"; "given/1" where the source split it
    meta: Mapping[str, Any] = field(default_factory=dict)  # the original row, joiner, flags
    parent: str | None = None  # chain this one branches from
    branch_step: int | None = None  # … after this step of the parent (0: from the question)

    @property
    def id(self) -> str:
        return digest("chain", self.problem_id, self.origin, self.key)

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(self.text[s.start : s.end] for s in self.spans)

    @property
    def n(self) -> int:
        return len(self.spans)

    def prefix(self, i: int) -> str:
        """Text of the first i steps, up to where step i+1 starts (so it ends after a separator)."""
        if not 0 <= i <= self.n:
            raise IndexError(f"prefix({i}) of a chain of {self.n} steps")
        if i == 0:
            return ""
        return self.text[: self.spans[i].start] if i < self.n else self.text

    @property
    def terminal(self) -> bool:
        """Whether the last step already states the final answer."""
        return bool(self.spans) and self.spans[-1].kind == "answer"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the grader says of a final answer, always with its reason."""

    value: VerdictValue
    reason: str
    grader: str  # name and version: "stepviz/2"; "person:NAME" for an override
    answer: str | None = None  # as extracted


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """How a problem becomes a prompt, on our side, so that all engines see the same text."""

    name: str = "plain"
    template: str = "{question}\n"  # used by str.replace on "{question}", never str.format
    chat: bool = False  # render with the tokenizer's chat template instead
    system: str | None = None  # chat only
    few_shot: tuple[tuple[str, str], ...] = ()  # (question, solution)
    stop: tuple[str, ...] = ()
    separator: str = "\n"  # between steps
    step_rule: str = "line"
    answer_rule: str = "auto"  # see stepviz.answers.extract


@dataclass(frozen=True, slots=True)
class Sampling:
    """Everything, besides model, prefix and seed, that a continuation depends on."""

    temperature: float = 0.7  # 0: greedy
    top_p: float = 1.0
    top_k: int = 0  # 0: off
    max_tokens: int = 300
    style: PromptStyle = PromptStyle()

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p"):  # 1 and 1.0 are equal, and must hash alike
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def hash(self) -> str:
        return digest("sampling", json.dumps(asdict(self), sort_keys=True, ensure_ascii=False))

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Sampling:
        """The inverse of dataclasses.asdict, also after JSON has made lists of the tuples."""
        style = dict(data["style"])
        style["few_shot"] = tuple((question, solution) for question, solution in style["few_shot"])
        style["stop"] = tuple(style["stop"])
        return Sampling(**{**data, "style": PromptStyle(**style)})


@dataclass(frozen=True, slots=True)
class Request:
    """Continue `prefix` of a solution to `question`."""

    question: str
    prefix: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine made of a request: the new text only, without prompt, prefix and end token."""

    text: str
    finish_reason: FinishReason
    tokens: int  # newly generated, end token included
    token_ids: tuple[int, ...] | None = None
    prompt_tokens: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """One stored draw; (problem_id, prefix_hash, model_id, sampling_id, j) is its identity."""

    problem_id: str
    prefix_hash: str
    model_id: str
    sampling_id: str
    j: int
    seed: int
    text: str
    finish_reason: FinishReason
    tokens: int
    answer: str | None = None
    verdict: VerdictValue = "unknown"
    reason: str = ""
    grader: str = ""


@dataclass(frozen=True, slots=True)
class StepValue:
    """Measured V[step]: k of n independent continuations of prefix(step) reached the right answer.

    n counts unfinished ones too (cut off by the token limit; they are not successes). `terminal` is
    set where the prefix already holds the final answer: then nothing is sampled, n is 0 and there is
    no interval. `consistent` counts the successes GLoRe's consistency rule accepts (None: not asked).
    """

    step: int  # 0…n, 0 is the bare question
    k: int
    n: int
    unfinished: int = 0
    consistent: int | None = None
    terminal: VerdictValue | None = None

    def __post_init__(self) -> None:
        assert 0 <= self.k <= self.n and 0 <= self.unfinished <= self.n - self.k, self

    @property
    def value(self) -> float | None:
        """k/n in [0, 1]; 1 or 0 for a terminal prefix; None where nothing is known."""
        if self.terminal is not None:
            return {"correct": 1.0, "wrong": 0.0, "unknown": None}[self.terminal]
        return self.k / self.n if self.n else None

    def interval(self, z: float = 1.959963984540054) -> tuple[float, float] | None:
        """Wilson's score interval (95 % by default), valid for a fixed n; None without a sample."""
        if self.terminal is not None or self.n == 0:
            return None
        p, n = self.k / self.n, self.n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def any_time_interval(self, alpha: float = 0.05) -> tuple[float, float] | None:
        """A confidence sequence: valid also where the draws decided when to stop, or somebody looked and drew more.

        All p with p^k (1 − p)^(n − k) ≥ α B(k + ½, n − k + ½) / B(½, ½). Under the true p the right side without α,
        over the left, is a martingale that begins at 1 (Robbins 1970, mixed over Beta(½, ½); Howard et al., arXiv
        1810.08240); by Ville's inequality it ever exceeds 1/α with probability α at most. At n = 8 it is 35 to 42 %
        wider than Wilson's. None without a sample.
        """
        if self.terminal is not None or self.n == 0:
            return None
        k, rest = self.k, self.n - self.k
        least = math.log(alpha) + _log_beta(k + 0.5, rest + 0.5) - _log_beta(0.5, 0.5)

        def inside(p: float) -> bool:
            return (k * math.log(p) if k else 0.0) + (rest * math.log1p(-p) if rest else 0.0) >= least

        def edge(inner: float, outer: float) -> float:
            """Between a p that belongs to the interval, and 0 or 1, which does not."""
            for _ in range(60):
                middle = (inner + outer) / 2
                inner, outer = (middle, outer) if inside(middle) else (inner, middle)
            return inner

        p = k / self.n
        return edge(p, 0.0) if k else 0.0, edge(p, 1.0) if rest else 1.0


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@dataclass(frozen=True, slots=True)
class StepScore:
    """Predicted: a model's probability after step `step`; what it estimates depends on the model's role."""

    step: int
    score: float
    model_id: str


@dataclass(frozen=True, slots=True)
class FirstPit:
    """The first step from which the answer is no longer reached, by one paper's rule; None: no pit."""

    step: int | None
    rule: Literal["self-explore", "glore", "exact", "person", "equations"]
    evidence: str  # "0/4": shown beside the mark


@dataclass(frozen=True, slots=True)
class Annotation:
    """A person's judgement, or a data set's. Appended, never overwritten; the last row of a person counts.

    step is 1…n, or 0 for the whole chain. value by question: "correct" and "solvable" take 1, 0, −1
    (PRM800K's ratings) or None (unsure); "decides" and "first_error" take a step number on step 0, where
    first_error None means no step is wrong; "verdict" takes 1 (right) or −1 (wrong) with a note.
    """

    chain_id: str
    annotator: str  # "ana", "processbench", "stepverify/17"
    question: Question
    step: int
    value: int | None
    note: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""  # identity within the annotator for imports ("" for live labels); makes imports idempotent
    undone: bool = False  # a row that takes back the one before


@dataclass(frozen=True, slots=True)
class SourceItem:
    """What one row of a file brings; stored whole or not at all."""

    problem: Problem
    chains: tuple[Chain, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    line: int = 0  # 1-based line or row in the file
    ledger: Mapping[str, Any] = field(default_factory=dict)  # refinements in our own format (sources.ledger), checked


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that did not come in, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"
