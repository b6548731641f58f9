"""Chains, measurements and annotations → rows of a training set. Pure: values in, rows out.

Every row says where it came from in `origin`; a problem of a test split is refused, never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stepviz.errors import StepvizError
from stepviz.types import Problem


@dataclass
class Dropped:
    """How many inputs gave no row, by reason."""

    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def sft(problems: Iterable[Problem], dropped: Dropped, template: str = "{question}\n") -> Iterator[dict[str, Any]]:
    """Reference solutions as {prompt, completion, origin}: what supervised fine-tuning reads.

    `template` is the prompt style's (stepviz.types.PromptStyle); the completion is the solution, to the letter.
    """
    for problem in problems:
        refuse_test(problem)
        if not problem.solution:
            dropped.add("no reference solution")
            continue
        yield {
            "prompt": template.replace("{question}", problem.question),
            "completion": problem.solution,
            "origin": {"problem": problem.id, "source": problem.source, "key": problem.key},
        }


def refuse_test(problem: Problem, splits: Iterable[str | None] = ()) -> None:
    """`splits`: of every source that has the question. One of them keeping it for tests is enough."""
    if "test" in (problem.split, *splits):
        raise StepvizError(
            f"{problem.source}/{problem.key} is a test problem and cannot enter a training set; "
            "choose another split (--split train)"
        )
