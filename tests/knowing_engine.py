"""A fake engine that knows the embedded world's solutions, and writes them rightly or wrongly as a seed falls.

What it writes is known beforehand, so that what is made of it can be worked out: with an even seed (or none) it
goes on with the reference solution, with an odd one it writes a wrong step and a wrong answer. From a prefix with a
wrong step it never comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepviz.types import Completion, Problem, Request, Sampling

WRONG = "1+1=<<1+1=2>>2 mistakes"


class KnowingEngine:
    spec, device, context = "fake:knowing", "cpu", 4096

    def __init__(self, problems: Sequence[Problem], name: str = "knowing", always: bool | None = None) -> None:
        self.solutions = {p.question: (p.solution or "").split("\n") for p in problems}
        self.model_id, self.always = f"{name}@1", always
        self.asked: list[Request] = []

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch: Any = None,
        on_completion: Any = None,
        cancelled: Any = None,
    ) -> list[Completion]:
        self.asked += requests
        done = []
        for i, request in enumerate(requests):
            completion = Completion(self._text(request), "stop", 7)
            done.append(completion)
            if on_completion is not None:
                on_completion(i, completion)
            if on_batch is not None and i % 5 == 4:
                on_batch(i + 1, 7 * (i + 1))
        return done

    def close(self) -> None:
        pass

    def _text(self, request: Request) -> str:
        lines = self.solutions[request.question]
        written = request.prefix.rstrip("\n").split("\n") if request.prefix else []
        right = self.always if self.always is not None else request.seed % 2 == 0
        if WRONG in written or not right:
            return "\n".join(["#### 999999"] if WRONG in written else [WRONG, "#### 999999"])
        return "\n".join(lines[len(written) :])
