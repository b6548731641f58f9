"""Continue prefixes, and read V off the continuations: the one measurement of the project (papers.md, 6.1).

V[i] is the success rate of continuations sampled from prefix(i), the first i steps of a chain; V[0] belongs
to the bare question. Draws j = 0, 1, … of a prefix have fixed seeds (types.continuation_seed), so what is
missing can be drawn at any time, in any order, and nothing is drawn twice.

Pure: an engine and two callbacks are passed in. `recall` gives the draws there are from a prefix; `record`
is handed new ones, graded, at most a second after they were drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stepviz import final_answer
from stepviz.answers import grade_many
from stepviz.engines.base import CANCELLED, Cancelled, Engine
from stepviz.errors import StepvizError
from stepviz.types import (
    Chain,
    Completion,
    Continuation,
    Problem,
    Request,
    Sampling,
    StepValue,
    Verdict,
    continuation_seed,
    prefix_hash,
)

Recall = Callable[[str, str], Sequence[Continuation]]  # (problem id, prefix hash) -> draws of this model and sampling
Record = Callable[[Sequence[Continuation]], object]
OnDraws = Callable[[int, int, int], None]  # (draws done, draws missing at the start, tokens)


class PrefixKey(NamedTuple):
    """What, with model and sampling, a draw belongs to."""

    problem_id: str
    prefix_hash: str


@dataclass(frozen=True, slots=True)
class Want:
    """Draws 0 … n-1 from this prefix shall exist."""

    problem: Problem
    prefix: str
    n: int

    @property
    def key(self) -> PrefixKey:
        return PrefixKey(self.problem.id, prefix_hash(self.prefix))


@dataclass(slots=True)
class Drawn:
    """The wanted draws, by prefix, in the order of j; `failed` says which prefixes could not be continued, and why."""

    continuations: dict[PrefixKey, list[Continuation]] = field(default_factory=dict)
    failed: dict[PrefixKey, str] = field(default_factory=dict)
    tokens: int = 0  # newly sampled
    cancelled: bool = False


def missing(have: Iterable[int], want: int) -> tuple[int, ...]:
    """Which of the draws 0 … want-1 there are not yet."""
    return tuple(sorted(set(range(want)).difference(have)))


def terminal(chain: Chain, i: int) -> bool:
    """Whether prefix(i) already states the final answer: nothing is sampled from it."""
    return any(span.kind == "answer" for span in chain.spans[:i])


def prefix_of(chain: Chain, i: int, separator: str = "\n") -> str:
    """The text that is continued after i steps: prefix(i), which must end after a separator."""
    prefix = chain.prefix(i)
    return prefix + separator if prefix and not prefix[-1].isspace() else prefix


def by_prefix(continuations: Iterable[Continuation]) -> dict[str, list[Continuation]]:
    """Prefix hash → its draws in the order of j; all must be of one problem, model and sampling."""
    found: dict[str, list[Continuation]] = defaultdict(list)
    for continuation in sorted(continuations, key=lambda c: c.j):
        found[continuation.prefix_hash].append(continuation)
    return dict(found)


# ---- drawing


def draw(
    wants: Sequence[Want],
    engine: Engine,
    sampling: Sampling,
    *,
    recall: Recall,
    record: Record,
    on_draws: OnDraws | None = None,
    cancelled: Cancelled | None = None,
) -> Drawn:
    """Makes the wanted draws exist: recalls what there is, samples the rest in one call of the engine.

    A prefix wanted twice (two chains that begin alike) is drawn once. A prefix that the engine refuses (too
    long for its context) is reported in `failed`; nothing is recorded for it.
    """
    merged: dict[PrefixKey, Want] = {}
    for want in wants:
        if want.key not in merged or merged[want.key].n < want.n:
            merged[want.key] = want
    if sampling.temperature == 0 and any(want.n > 1 for want in merged.values()):
        raise StepvizError("temperature 0 gives the same text every time: ask for one sample, or raise the temperature")
    drawn = Drawn()
    for key in merged:
        if cancelled is not None and cancelled():
            drawn.cancelled = True  # there may be thousands to recall
            return drawn
        drawn.continuations[key] = list(recall(*key))
    work = [(w, j) for key, w in merged.items() for j in missing((c.j for c in drawn.continuations[key]), w.n)]
    if work:
        _sample(work, engine, sampling, drawn, record, on_draws, cancelled)
    for key, want in merged.items():
        drawn.continuations[key] = sorted((c for c in drawn.continuations[key] if c.j < want.n), key=lambda c: c.j)
    return drawn


def _sample(
    work: Sequence[tuple[Want, int]],
    engine: Engine,
    sampling: Sampling,
    drawn: Drawn,
    record: Record,
    on_draws: OnDraws | None,
    cancelled: Cancelled | None,
) -> None:
    """Fills `drawn`; what has ended is graded and recorded each time the engine lets us in."""
    seeds = [continuation_seed(*want.key, engine.model_id, sampling.hash, j) for want, j in work]
    requests = [Request(w.problem.question, w.prefix, seed) for (w, _), seed in zip(work, seeds, strict=True)]
    ended: list[tuple[int, Completion]] = []
    through = 0  # of the work; what a cancel cut short is not done, though the engine has let go of it

    def flush(_done: int, tokens: int) -> None:
        nonlocal through
        drawn.tokens = tokens
        through += sum(c.error != CANCELLED for _, c in ended)
        good = [(i, c) for i, c in ended if c.finish_reason != "error"]
        for i, completion in ended:
            if completion.error == CANCELLED:
                drawn.cancelled = True
            elif completion.finish_reason == "error":
                drawn.failed[work[i][0].key] = completion.error or "the engine gave no reason"
        ended.clear()
        new = _graded([(*work[i], seeds[i], c) for i, c in good], engine.model_id, sampling)
        if new:
            record(new)
        for continuation in new:
            drawn.continuations[PrefixKey(continuation.problem_id, continuation.prefix_hash)].append(continuation)
        if on_draws is not None:
            on_draws(through, len(work), tokens)

    engine.generate(
        requests, sampling, on_batch=flush, on_completion=lambda i, c: ended.append((i, c)), cancelled=cancelled
    )
    flush(len(work), drawn.tokens)


def _graded(
    ended: Sequence[tuple[Want, int, int, Completion]], model_id: str, sampling: Sampling
) -> list[Continuation]:
    pairs = [(w.problem.answer, _judged_text(w.prefix + c.text, c)) for w, _, _, c in ended]
    verdicts = grade_many(pairs, sampling.style.answer_rule)
    return [
        Continuation(
            *want.key,
            model_id=model_id,
            sampling_id=sampling.hash,
            j=j,
            seed=seed,
            text=completion.text,
            finish_reason=completion.finish_reason,
            tokens=completion.tokens,
            answer=verdict.answer,
            verdict=verdict.value,
            reason=verdict.reason,
            grader=verdict.grader,
        )
        for (want, j, seed, completion), verdict in zip(ended, verdicts, strict=True)
    ]


def graded_again(draws: Sequence[Continuation], gold: str, answer_rule: str) -> list[Continuation]:
    """The draws graded against a gold answer that came after them; the prefix before an open draw states no answer."""
    texts = [_judged_text(draw.text, draw) for draw in draws]
    verdicts = grade_many([(gold, text) for text in texts], answer_rule)
    return [
        replace(draw, answer=v.answer, verdict=v.value, reason=v.reason, grader=v.grader)
        for draw, v in zip(draws, verdicts, strict=True)
    ]


def _judged_text(text: str, draw: Completion | Continuation) -> str:
    """What the grader sees: of a text that the token limit cut off, no more than the answer it states completely."""
    return final_answer.complete(text) if draw.finish_reason == "length" else text


# ---- measuring


def wanted(chain: Chain, problem: Problem, k: int, separator: str, prefixes: Iterable[int] | None = None) -> list[Want]:
    """k draws from each prefix 0 … n (or those listed) that is not terminal."""
    steps = range(chain.n + 1) if prefixes is None else sorted(set(prefixes))
    for i in steps:
        if not 0 <= i <= chain.n:
            raise StepvizError(f"there is no step {i}: the chain has steps 1 … {chain.n}, and 0 for the question")
    return [Want(problem, prefix_of(chain, i, separator), k) for i in steps if not terminal(chain, i)]


def measure(
    chain: Chain,
    problem: Problem,
    engine: Engine,
    k: int,
    sampling: Sampling,
    *,
    recall: Recall,
    record: Record,
    prefixes: Iterable[int] | None = None,
    on_draws: OnDraws | None = None,
    cancelled: Cancelled | None = None,
) -> Drawn:
    """k continuations of each prefix of a chain; `values` reads V off them."""
    wants = wanted(chain, problem, k, sampling.style.separator, prefixes)
    return draw(wants, engine, sampling, recall=recall, record=record, on_draws=on_draws, cancelled=cancelled)


def aggregate(step: int, continuations: Sequence[Continuation]) -> StepValue:
    """k successes of n draws. Cut off without an answer is unfinished: it counts in n, and is no wrong answer."""
    return StepValue(
        step,
        k=sum(c.verdict == "correct" for c in continuations),
        n=len(continuations),
        unfinished=sum(unfinished(c) for c in continuations),
    )


def unfinished(continuation: Continuation) -> bool:
    return continuation.finish_reason == "length" and continuation.answer is None


def values(
    chain: Chain, continuations: Mapping[str, Sequence[Continuation]], verdict: Verdict, separator: str = "\n"
) -> list[StepValue]:
    """V[0 … n]; `continuations` by prefix hash (see by_prefix), `verdict` the chain's own, for terminal prefixes."""
    found = []
    for i in range(chain.n + 1):
        if terminal(chain, i):
            found.append(StepValue(i, k=0, n=0, terminal=verdict.value))
        else:
            found.append(aggregate(i, continuations.get(prefix_hash(prefix_of(chain, i, separator)), ())))
    return found
