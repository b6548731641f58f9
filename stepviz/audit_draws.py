"""What `world audit` measures its premises on: chains that a student wrote, and rollouts from their prefixes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from stepviz.engines import Engine
from stepviz.steps import segment
from stepviz.types import Completion, Problem, Request, Sampling, continuation_seed, prefix_hash
from stepviz.world import ExactJudge, Judgement, exact_for


@dataclass(frozen=True, slots=True)
class Sampled:
    """A chain the student wrote, with what the judge says of it."""

    problem: Problem
    text: str
    steps: tuple[str, ...]
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Measured:
    """A sampled chain with success of each rollout at each open prefix: draws[i] belongs to prefix(i)."""

    chain: Sampled
    draws: tuple[tuple[bool, ...], ...]

    @property
    def values(self) -> list[float]:
        return [mean(d) for d in self.draws]


def sample(engine: Engine, problems: Sequence[Problem], n: int, sampling: Sampling) -> list[list[Sampled]]:
    """n chains for each problem."""
    requests = [Request(p.question, "", seed(p, "", engine, sampling, j)) for p in problems for j in range(n)]
    texts = iter(whole(c) for c in engine.generate(requests, sampling))
    return [[judged(p, next(texts), exact_for(p)) for _ in range(n)] for p in problems]


def measure(engine: Engine, chains: Sequence[Sampled], n: int, sampling: Sampling) -> list[Measured]:
    """n rollouts from every prefix that has no answer yet."""
    prefixes = [(c, "".join(f"{s}\n" for s in c.steps[:i])) for c in chains for i in range(_open(c) + 1)]
    requests = [
        Request(c.problem.question, prefix, seed(c.problem, prefix, engine, sampling, j))
        for c, prefix in prefixes
        for j in range(n)
    ]
    texts = iter(whole(t) for t in engine.generate(requests, sampling))
    result = []
    for c in chains:
        judge = exact_for(c.problem)
        draws = []
        for i in range(_open(c) + 1):
            prefix = "".join(f"{s}\n" for s in c.steps[:i])
            draws.append(tuple(judged(c.problem, prefix + next(texts), judge).judgement.right for _ in range(n)))
        result.append(Measured(c, tuple(draws)))
    return result


def whole(completion: Completion) -> str:
    """The text without a last word that the token limit may have cut in two: `#### 14` of `#### 144`."""
    return re.sub(r"\S+\Z", "", completion.text) if completion.finish_reason == "length" else completion.text


def _open(c: Sampled) -> int:
    """Steps before the answer line: the prefixes that can be continued are 0…this."""
    return len(c.steps) - 1 if c.judgement.finished else len(c.steps)


def judged(p: Problem, text: str, judge: ExactJudge | None) -> Sampled:
    assert judge is not None, p.key
    steps = tuple(text[s.start : s.end] for s in segment(text, "line"))
    return Sampled(p, text, steps, judge.judge(steps))


def seed(p: Problem, prefix: str, engine: Engine, sampling: Sampling, j: int) -> int:
    return continuation_seed(p.id, prefix_hash(prefix), engine.model_id, sampling.hash, j)
