"""`refine-global` and `refine-local`: a wrong draft, marked, and a right solution to write instead (GLoRe,
arXiv 2402.10963, steps 11 to 13). One model is trained on both: the place of [BAD] says which kind is asked for.

Global: a wrong chain with a right chain of the same question. Local: a wrong chain whose first negative step is E
(labels l_i as for the SORM, monotone before E is looked for) with a right verifying trace of P_{E−1}.

Decisions (papers.md, 1.3 and 1.7):
1. The target is the full solution P_{E−1} + T, so that an outcome model can score what the refiner writes;
   `target="suffix"` is T alone, to be put behind P_{E−1}. A global target is a whole solution either way.
2. E = 1: the trace "from S_0" is a right chain of the same question, as in the ORM's data, or, where there is none,
   a right draw of V[0]. The prompt then equals a global one. `at_start="skip"` leaves such drafts out.
3. All prefixes can be solved but the answer is wrong: the last label is 0 by definition, since P_L holds the answer.
   So E = L, the answer line.
4. Where a step before the first 0 was not measured, E is not known and the draft gives nothing.
5. Of the right traces of P_{E−1} (consistent ones, where `consistent`) the first `targets` with different texts are
   written, in the order in which they were drawn. They are among the K draws that made the label.
6. Right chains are handed out in turn: the i-th wrong chain of a question takes the distinct right solutions from
   the i-th on, so that no target is used twice before all were used once.
7. A chain that was cut off before its answer, or whose answer cannot be judged, is no draft. Rows that are equal in
   prompt and completion are written once.
8. Prompts come from stepviz.refining; the question stands in them bare, without a prompt style.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from stepviz import glore
from stepviz.recipes.case import (
    DUPLICATE,
    NO_RIGHT,
    NO_WRONG,
    NOT_MEASURED,
    Attempt,
    Case,
    Dropped,
    Row,
    at_least,
    one_of,
    origin,
)
from stepviz.recipes.stepwise_outcome import verified
from stepviz.refining import refine_prompt

UNKNOWN_E = "a draft of which a step before the first negative one was not measured"
NO_NEGATIVE = "a draft without a negative step"
NO_TRACE = "a draft without a right trace from the step before its first negative one"
AT_START = "a draft whose first step is negative already"


@dataclass(frozen=True, slots=True)
class RefineGlobal:
    targets: int = 1  # right solutions a draft

    def __post_init__(self) -> None:
        at_least("targets", self.targets, 1)


@dataclass(frozen=True, slots=True)
class RefineLocal:
    k: int = glore.K  # rollouts a step
    consistent: bool = True
    plain: bool = False
    results: glore.Results = "every"
    target: Literal["full", "suffix"] = "full"
    at_start: Literal["rollout", "skip"] = "rollout"
    targets: int = 1  # right traces a draft

    def __post_init__(self) -> None:
        at_least("k", self.k, 1)
        at_least("targets", self.targets, 1)
        one_of("target", self.target, ("full", "suffix"))
        one_of("at_start", self.at_start, ("rollout", "skip"))
        one_of("results", self.results, get_args(glore.Results))


def refine_global(case: Case, options: RefineGlobal, dropped: Dropped) -> Iterator[Row]:
    """{prompt, completion, origin}: [BAD] before the first step of a wrong chain → a right chain."""
    drafts, solutions = _drafts(case, dropped)
    if drafts and not solutions:
        dropped.add(NO_RIGHT, len(drafts))
        return
    rows = (
        _row(case, draft, None, solution.solution, solution.chain.id)
        for turn, draft in enumerate(drafts)
        for solution in _in_turn(solutions, turn, options.targets)
    )
    yield from _distinct(rows, dropped)


def refine_local(case: Case, options: RefineLocal, dropped: Dropped) -> Iterator[Row]:
    """{prompt, completion, origin}: [BAD] before step E of a wrong chain → the steps before E, and a right trace."""
    case = case.measured(options.k)
    drafts, solutions = _drafts(case, dropped)
    yield from _distinct(
        (
            row
            for turn, draft in enumerate(drafts)
            for row in _local(case, draft, _in_turn(solutions, turn, options.targets), options, dropped)
        ),
        dropped,
    )


def _local(
    case: Case, draft: Attempt, solutions: list[Attempt], options: RefineLocal, dropped: Dropped
) -> Iterator[Row]:
    labels = glore.sorm_labels(verified(case, draft, options))
    bad = first_negative(labels)
    if bad is None:
        unmeasured = all(label is None for label in labels[:-1]) and len(labels) > 1
        dropped.add(NOT_MEASURED if unmeasured else UNKNOWN_E if None in labels else NO_NEGATIVE)
        return
    if bad == 1 and options.at_start == "skip":
        dropped.add(AT_START)
        return
    if bad == 1 and solutions:
        for solution in solutions:
            yield _row(case, draft, 1, solution.solution, solution.chain.id)
        return
    traces = right_traces(case, draft, bad - 1, options)[: options.targets]
    if not traces:
        dropped.add(NO_RIGHT if bad == 1 else NO_TRACE)
    for prefix, j, trace in traces:
        target = (prefix + trace if options.target == "full" else trace).strip()
        yield _row(case, draft, bad, target, f"draw {j} after step {bad - 1}")


def first_negative(labels: tuple[int | None, ...]) -> int | None:
    """E: the first 0, if every label before it is known."""
    for i, label in enumerate(labels, start=1):
        if label != 1:
            return i if label == 0 else None
    return None


def right_traces(case: Case, draft: Attempt, i: int, options: RefineLocal) -> list[tuple[str, int, str]]:
    """(prefix, j, trace) of the right continuations of prefix(i) with different texts, in the order of j."""
    prefix, draws = case.after(draft, i)
    steps = draft.chain.steps[:i]
    found: dict[str, tuple[str, int, str]] = {}
    for draw in draws:
        if draw.verdict == "correct" and (
            not options.consistent or glore.consistent(steps, draw.text, options.plain, options.results)
        ):
            found.setdefault(draw.text.strip(), (prefix, draw.j, draw.text))
    return list(found.values())


def _drafts(case: Case, dropped: Dropped) -> tuple[list[Attempt], list[Attempt]]:
    """(wrong chains, right chains with different texts)."""
    judged = case.judged(dropped)
    solutions = {attempt.solution: attempt for attempt in reversed(judged) if attempt.right}
    drafts = [attempt for attempt in judged if attempt.wrong]
    if judged and not drafts:
        dropped.add(NO_WRONG)
    return drafts, list(solutions.values())[::-1]


def _in_turn(solutions: list[Attempt], turn: int, n: int) -> list[Attempt]:
    return [solutions[(turn + i) % len(solutions)] for i in range(min(n, len(solutions)))]


def _row(case: Case, draft: Attempt, bad: int | None, target: str, source: str) -> Row:
    return {
        "prompt": refine_prompt(case.problem.question, draft.chain.steps, bad),
        "completion": target,
        "origin": origin(case.problem, draft, bad, target=source),
    }


def _distinct(rows: Iterator[Row], dropped: Dropped) -> Iterator[Row]:
    seen = set()
    for row in rows:
        if (pair := (row["prompt"], row["completion"])) in seen:
            dropped.add(DUPLICATE)
            continue
        seen.add(pair)
        yield row
