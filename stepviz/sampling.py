"""Sampled chains: a continuation of the empty prefix, of a chain's first steps, or of an edited step."""

from __future__ import annotations

from dataclasses import dataclass

from stepviz import steps
from stepviz.answers import grade
from stepviz.engines.base import Cancelled, Engine
from stepviz.errors import StepvizError
from stepviz.rollouts import OnDraws, Recall, Record, Want, draw, prefix_of, terminal
from stepviz.types import Chain, Continuation, Problem, PromptStyle, Sampling, Span, Verdict, digest, prefix_hash


@dataclass(frozen=True, slots=True)
class Start:
    """What a new chain begins with: the text, its steps, and the chain it branches from after `branch_step` steps."""

    prefix: str = ""
    spans: tuple[Span, ...] = ()
    rule: str = ""
    parent: str | None = None
    branch_step: int | None = None

    @property
    def terminal(self) -> bool:
        return any(span.kind == "answer" for span in self.spans)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sampled chain with its verdict, and the draw it came from."""

    chain: Chain
    verdict: Verdict
    continuation: Continuation


QUESTION = Start()


def sample(
    problem: Problem,
    engine: Engine,
    n: int,
    sampling: Sampling,
    *,
    recall: Recall,
    record: Record,
    start: Start = QUESTION,
    on_draws: OnDraws | None = None,
    cancelled: Cancelled | None = None,
) -> list[Sample]:
    """The chains of draws 0 … n-1 from the question, or from another start; fewer after a cancel."""
    want = Want(problem, start.prefix, n)
    drawn = draw([want], engine, sampling, recall=recall, record=record, on_draws=on_draws, cancelled=cancelled)
    if want.key in drawn.failed:
        raise StepvizError(f"{engine.spec} cannot continue this: {drawn.failed[want.key]}")
    return [read(continuation, sampling, start) for continuation in drawn.continuations[want.key]]


def read(continuation: Continuation, sampling: Sampling, start: Start = QUESTION) -> Sample:
    """The chain that a draw from `start` makes. Its origin is the model; its key says prefix, sampling and j."""
    assert continuation.prefix_hash == prefix_hash(start.prefix), "a draw from another prefix"
    rule = steps.rule_id(sampling.style.step_rule)
    cut = steps.segment(continuation.text, sampling.style.step_rule, cut_off=continuation.finish_reason == "length")
    new = _shift(cut, len(start.prefix))
    branch = "" if not start.prefix else f"{continuation.prefix_hash}/"
    chain = Chain(
        problem_id=continuation.problem_id,
        origin=continuation.model_id,
        key=f"{branch}{continuation.sampling_id}/{continuation.j}",
        text=start.prefix + continuation.text,
        spans=(*start.spans, *new),
        rule=rule if start.rule in ("", rule) else "given/1",
        meta={"finish_reason": continuation.finish_reason, "tokens": continuation.tokens},
        parent=start.parent,
        branch_step=start.branch_step,
    )
    verdict = Verdict(continuation.verdict, continuation.reason, continuation.grader, continuation.answer)
    return Sample(chain, verdict, continuation)


def continue_from(chain: Chain, i: int, style: PromptStyle) -> Start:
    """After the first i steps of a chain."""
    if not 0 <= i <= chain.n:
        raise StepvizError(f"there is no step {i}: the chain has steps 1 … {chain.n}, and 0 for the question")
    if terminal(chain, i):
        raise StepvizError(f"step {i} comes after the final answer: continue from an earlier step")
    return Start(prefix_of(chain, i, style.separator), chain.spans[:i], chain.rule, chain.id, i)


def branch(chain: Chain, i: int, text: str, style: PromptStyle) -> Start:
    """The first i-1 steps, then `text` in the place of step i; it may be several steps."""
    if not 1 <= i <= chain.n:
        raise StepvizError(f"there is no step {i} to edit: the chain has steps 1 … {chain.n}")
    if not text.strip():
        raise StepvizError("the edited step is empty: write it, or continue from the step before")
    before = continue_from(chain, i - 1, style)
    new = text.strip()
    return Start(
        prefix=before.prefix + new + style.separator,
        spans=(*before.spans, *_shift(steps.segment(new, style.step_rule), len(before.prefix))),
        rule=chain.rule,
        parent=chain.id,
        branch_step=i - 1,
    )


def finished(start: Start, problem: Problem, author: str, style: PromptStyle) -> tuple[Chain, Verdict]:
    """The chain of a start that already states its answer: an edit of the last step leaves nothing to sample."""
    assert start.terminal, "this start can be continued"
    chain = Chain(
        problem_id=problem.id,
        origin=author,
        key=digest("edited", start.parent or "", start.prefix),
        text=start.prefix.rstrip(),
        spans=start.spans,
        rule=start.rule,
        meta={} if style.answer_rule == "auto" else {"answer_rule": style.answer_rule},
        parent=start.parent,
        branch_step=start.branch_step,
    )
    return chain, grade(problem.answer, chain.text, style.answer_rule)


def _shift(spans: tuple[Span, ...], by: int) -> tuple[Span, ...]:
    return tuple(Span(span.start + by, span.end + by, span.kind) for span in spans)
