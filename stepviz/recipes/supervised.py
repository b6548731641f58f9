"""Solutions to imitate: `sft` (reference solutions) and `rft` (the model's own right samples, de-duplicated).

RFT selection as in Self-Explore's code (arXiv 2404.10346; hbin0701/Self-Explore, gen/get_rft_data.py): of the right
samples of a question keep those whose written equations all hold, one for each distinct list of equations, the one
that differs most from the others, at most 8. GLoRe's expert iteration (arXiv 2402.10963, steps 2 and 3) is the same
without the limit, in union with the rounds before: `keep=None`, `reference=True`, chains of several models.

Decisions:
1. The list of equations is that of the calculator marks `<<a=b>>`, white space left out; without a mark, of the
   equations that stepviz.equations finds, words left out; without any equation, the text itself, so that such
   solutions are distinct where their words are.
2. "All equations hold" is stepviz.equations's judgement (exact, knows rounding) in place of |left − right| < 1e-3;
   what it cannot judge is no reason to drop.
3. Of two samples with the same equations the one with the larger summed edit distance to the other kept ones
   stays, judged in the order of arrival as in the code; a tie keeps the first.
4. Where more than `keep` are distinct, the first in the order of arrival stay.
5. With the reference solution (`reference`) it comes first, and a sample with the same equations (or, where
   `distinct` is "exact", the same text) is a duplicate of it. It does not count in `keep`.
6. Exact strings are compared without white space at their ends, and written so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from stepviz.engines.prompts import render
from stepviz.equations import check_step, first_error
from stepviz.recipes.case import (
    DUPLICATE,
    NO_RIGHT,
    NO_SOLUTION,
    PLAIN,
    Attempt,
    Case,
    Dropped,
    Row,
    at_least,
    one_of,
    origin,
    refuse_test,
)
from stepviz.recipes.distances import spread
from stepviz.types import Problem, PromptStyle

MARK = re.compile(r"<<([^<>\n]{1,200})>>")
WORDS = re.compile(r"[^0-9+\-−*/×÷·^().=≈<>%{}]+")  # units, white space, LaTeX's names
FALSE_EQUATION = "a right chain with an equation that does not hold"
TOO_MANY = "more right chains than are kept of a question"


@dataclass(frozen=True, slots=True)
class Sft:
    """No options of its own."""


@dataclass(frozen=True, slots=True)
class Rft:
    distinct: Literal["equations", "exact"] = "equations"
    equations_hold: bool = True  # only samples in which no written equation is false
    keep: int | None = 8  # samples a question; None for all
    reference: bool = False  # the reference solution as a row, too

    def __post_init__(self) -> None:
        one_of("distinct", self.distinct, ("equations", "exact"))
        at_least("keep", self.keep, 1)


def sft(problems: Iterable[Problem], dropped: Dropped, style: PromptStyle = PLAIN) -> Iterator[Row]:
    """Reference solutions as {prompt, completion, origin}: what supervised fine-tuning reads.

    The completion is the solution, to the letter.
    """
    for problem in problems:
        refuse_test(problem)
        if not problem.solution:
            dropped.add(NO_SOLUTION)
            continue
        yield {
            "prompt": render(style, problem.question),
            "completion": problem.solution,
            "origin": {"problem": problem.id, "source": problem.source, "key": problem.key},
        }


def reference_solution(case: Case, _options: Sft, dropped: Dropped) -> Iterator[Row]:
    """`sft` of one case."""
    yield from sft([case.problem], dropped, case.style)


def rft(case: Case, options: Rft, dropped: Dropped) -> Iterator[Row]:
    """{prompt, completion, origin}: the distinct right samples of a question."""
    reference = (case.problem.solution or "").strip() if options.reference else ""
    if reference:
        yield {"prompt": case.prompt, "completion": reference, "origin": origin(case.problem)}
    for attempt in distinct_right(case, options, dropped, reference):
        yield {"prompt": case.prompt, "completion": attempt.solution, "origin": origin(case.problem, attempt)}


def distinct_right(case: Case, options: Rft, dropped: Dropped, reference: str = "") -> list[Attempt]:
    """The right chains that RFT keeps, in the order of arrival; `reference` is a solution they must differ from."""
    right = [attempt for attempt in case.judged(dropped) if attempt.right]
    if not right:
        dropped.add(NO_RIGHT)
        return []
    if options.equations_hold:
        true = [attempt for attempt in right if first_error(attempt.chain.steps) is None]
        dropped.add(FALSE_EQUATION, len(right) - len(true))
        right = true
    kept: dict[str, Attempt] = {}
    taken = {_identity(reference, options)} if reference else set()
    for attempt in right:
        key = _identity(attempt.solution, options)
        if key in taken:
            dropped.add(DUPLICATE)
        elif key not in kept:
            kept[key] = attempt
        else:
            dropped.add(DUPLICATE)
            others = [a.solution for other, a in kept.items() if other != key]
            if spread(attempt.solution, others) > spread(kept[key].solution, others):
                kept[key] = attempt
    distinct = list(kept.values())
    dropped.add(TOO_MANY, len(distinct) - len(distinct[: options.keep]))
    return distinct[: options.keep]


def _identity(solution: str, options: Rft) -> str:
    return solution if options.distinct == "exact" else equation_list(solution)


def equation_list(solution: str) -> str:
    """'2+3=5|5*4=20': two solutions with the same list are the same way to the answer."""
    if marks := MARK.findall(solution):
        return "|".join("".join(mark.split()) for mark in marks)
    found = [check.text for line in solution.split("\n") for check in check_step(line)]
    return "|".join(WORDS.sub("", equation) for equation in found) or solution
