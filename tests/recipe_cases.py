"""A question with chains and continuations written by hand: what the recipes make of it can be worked out on paper."""

from __future__ import annotations

from typing import Any

from stepviz.recipes import Attempt, Case
from stepviz.rollouts import by_prefix
from stepviz.types import Chain, Continuation, Problem, Span, Verdict, prefix_hash

QUESTION = "Ana has 2 boxes of 3 pens and buys 4 pens. How many pens?"
PROBLEM = Problem(QUESTION, "10", "2*3=6\n6+4=10\n#### 10", "school", "1", "train")
RIGHT, WRONG = Verdict("correct", "equal", "stepviz/1", "10"), Verdict("wrong", "differ", "stepviz/1", "9")
UNKNOWN = Verdict("unknown", "no final answer", "stepviz/1")
GOOD = "2*3=6\n6+4=10\n#### 10"


def chain(text: str, key: str = "0", problem: Problem = PROBLEM) -> Chain:
    """Lines are steps; "#### …" is the answer."""
    spans, start = [], 0
    for line in text.split("\n"):
        spans.append(Span(start, start + len(line), "answer" if line.startswith("####") else "step"))
        start += len(line) + 1
    return Chain(problem.id, "m", key, text, tuple(spans), "line/1")


def attempt(text: str, key: str = "0", verdict: Verdict | None = None, **fields: Any) -> Attempt:
    judged = verdict or (RIGHT if text.endswith("#### 10") else WRONG if "####" in text else UNKNOWN)
    return Attempt(chain(text, key), judged, model="m", seed=7, **fields)


def draws(prefix: str, *texts: str) -> list[Continuation]:
    """Continuations j = 0, 1, …; those that end with "#### 10" are right."""
    return [
        Continuation(
            PROBLEM.id, prefix_hash(prefix), "m", "s", j, j, text, "stop", 5, None,
            "correct" if text.endswith("#### 10") else "wrong", "", "stepviz/1",
        )
        for j, text in enumerate(texts)
    ]  # fmt: skip


def case(*attempts: Attempt, rollouts: dict[str, tuple[str, ...]] | None = None, **fields: Any) -> Case:
    """`rollouts`: prefix → texts of its continuations."""
    drawn = [c for prefix, texts in (rollouts or {}).items() for c in draws(prefix, *texts)]
    return Case(PROBLEM, attempts, by_prefix(drawn), **fields)


def labels(rows: list[dict[str, Any]]) -> list[list[int]]:
    return [row["labels"] for row in rows]
