"""GLoRe: stepwise labels and where they put the first error (Havrilla et al., "GLoRe: When, Where, and How to
Improve LLM Reasoning via Global and Local Refinements", arXiv 2402.10963, ICML 2024).

Idea: a stepwise outcome reward model (SORM) approximates V*(Q, P_i): can this prefix still be solved? A step's
label is positive if any of K = 8 continuations of the prefix that includes it reaches the right answer and
*uses* what the prefix computed; a positive makes all earlier steps positive; E is the first step left at 0.

Here are the labels and what they say of a chain; when, where and how to refine, and which answer to keep, stand in
stepviz.refinement, best of n in stepviz.statistics.

Symbols: S_1 … S_L the steps, P_i = (S_1 … S_i), T a verifying trace (a continuation of P_i), R_j the result
computed in S_j, l_i the label of step i, E the error's location.

Deviations:
1. The paper looks R_j up as a string in the text after P_i. Read literally that drops what the prefix itself
   has used up; we ask for each j <= i that R_j occurs after S_j, in the prefix or in T. Where solvers write steps
   that they never use, or take a step back, that makes every later prefix of a right chain negative:
   `results="last"` asks for R_i alone, which the prefix cannot have used yet (docs/glore.md compares them).
2. R_j is looked up as a number with borders of its own, by value ("5" is not in "15"; "1,000" is 1000);
   `plain=True` is the paper's plain string.
3. R_j is what stands after the last "=" (in `<<a*b=R>>` where there is one), else the step's last number; a
   step without a number, and the answer line, impose nothing.
4. The chain's own suffix counts as one more trace where it is right and consistent, so that a right chain's
   labels do not depend on luck. `k of n` in a StepValue stays with independent continuations.
5. A prefix that holds the answer is terminal: label 1 if the answer is right and the chain consistent, else 0.
6. Labels of steps that were not measured, or where nothing can be judged, are None, unless a later positive
   makes them 1. A None before the first 0 means that E is not known.
7. Balancing of the classes at each prefix length is a matter of the training set: see recipes/balance.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import comb
from typing import Literal, NamedTuple

from stepviz.rollouts import prefix_of
from stepviz.types import Chain, Continuation, FirstPit, StepValue, Verdict, prefix_hash

K = 8  # continuations a step, in the paper
Results = Literal["every", "last"]  # of a prefix, that have to be used: see deviation 1

NUMBER = re.compile(r"(?<![\w.])(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,30})?(?:\.[0-9]{1,30})?(?<=[0-9])(?![0-9])")
FRACTION = re.compile(r"(?<![\w./])([0-9]{1,15})\s?/\s?([0-9]{1,15})(?![0-9/]|\.[0-9])")
MARK = re.compile(r"<<[^<>]*=([^<>=]*)>>")


# ---- consistency


class Counting(NamedTuple):
    """Which right continuations make a label positive; the defaults are the paper's, with deviation 2."""

    consistent: bool = True
    plain: bool = False
    results: Results = "every"

    @property
    def said(self) -> str:
        if not self.consistent:
            return "every right continuation counts"
        used = "the prefix's last result" if self.results == "last" else "every result of the prefix"
        return f"a right continuation counts if it uses {used}{', as a plain string' if self.plain else ''}"


def result(step: str) -> str | None:
    """R of a step, as written: "3*4 = 12 eggs" -> "12"; None for a step without a number."""
    marks = MARK.findall(step)
    _, equals, after = (marks[-1] if marks else step).rpartition("=")
    if equals or marks:
        found = _first_number(after)
        if found is not None:
            return found
    numbers = [*NUMBER.finditer(step), *FRACTION.finditer(step)]  # of 3/4 the whole, not the 4
    return max(numbers, key=lambda m: (m.end(), -m.start())).group() if numbers else None


def consistent(steps: Sequence[str], trace: str, plain: bool = False, results: Results = "every") -> bool:
    """Whether each result of the steps, or the last step's, is used after its step: in a later one, or in the trace."""
    later = trace
    for step in reversed(steps if results == "every" else steps[-1:]):
        found = result(step)
        if found is not None and not (found in later if plain else _used(found, later)):
            return False
        later = step + "\n" + later
    return True


def with_consistency(
    chain: Chain,
    values: Sequence[StepValue],
    continuations: Mapping[str, Sequence[Continuation]],
    separator: str = "\n",
    plain: bool = False,
    results: Results = "every",
) -> list[StepValue]:
    """The values with `consistent` filled in: the successes whose trace is consistent with the prefix."""
    counted = []
    for value in values:
        if value.terminal is None:
            traces = continuations.get(prefix_hash(prefix_of(chain, value.step, separator)), ())
            right = (c.text for c in traces if c.verdict == "correct")
            steps = chain.steps[: value.step]
            value = replace(value, consistent=sum(consistent(steps, t, plain, results) for t in right))
        counted.append(value)
    return counted


def own_suffix(chain: Chain, verdict: Verdict, plain: bool = False, results: Results = "every") -> tuple[bool, ...]:
    """For each step 1 … n: whether the chain itself goes on from it to the right answer, consistently."""
    if verdict.value != "correct":
        return (False,) * chain.n
    # the answer line computes nothing that would have to be used: it belongs to the trace
    computing = [span for span in chain.spans if span.kind != "answer"]
    steps = [chain.text[span.start : span.end] for span in computing]
    ends = [0, *(span.end for span in computing)]
    counts = (min(i, len(computing)) for i in range(1, chain.n + 1))
    return tuple(consistent(steps[:c], chain.text[ends[c] :], plain, results) for c in counts)


# ---- labels


def sorm_labels(
    values: Sequence[StepValue], own: Sequence[bool] = (), carry_back: bool = True
) -> tuple[int | None, ...]:
    """l_1 … l_n from V[0 … n], monotone; `own` (see own_suffix) has an entry for each step.

    Successes are counted consistent where `with_consistency` has counted them, else all of them.
    `carry_back=False` is the ablation: the labels as they were drawn.
    """
    raw = [_raw(value, own[value.step - 1] if own else None) for value in values[1:]]
    if not carry_back:
        return tuple(raw)
    last = max((i for i, label in enumerate(raw) if label == 1), default=-1)
    return tuple(1 if i <= last else label for i, label in enumerate(raw))


def _raw(value: StepValue, own: bool | None) -> int | None:
    """The label before it is made monotone; `own` is None where nobody asked for consistency."""
    if own or _successes(value) > 0:
        return 1
    if value.terminal == "correct":
        return 1 if own is None else 0
    if value.terminal == "wrong" or value.n:
        return 0
    return None


def _successes(value: StepValue) -> int:
    return value.k if value.consistent is None else value.consistent


def first_pit(values: Sequence[StepValue], own: Sequence[bool] = ()) -> FirstPit:
    """E: the first step whose monotone label is 0. For wrong chains; a right one has no pit."""
    if values and values[-1].terminal == "correct":
        return FirstPit(None, "glore", "the chain reaches the right answer")
    for i, label in enumerate(sorm_labels(values, own), start=1):
        if label is None:
            why = "the chain's answer cannot be judged" if values[i].terminal else f"step {i} is not measured"
            return FirstPit(None, "glore", why)
        if label == 0:
            return FirstPit(i, "glore", _evidence(values[i]))
    return FirstPit(None, "glore", "the answer is reached from every step")


def _evidence(value: StepValue) -> str:
    if value.terminal is not None:
        return "wrong answer"
    return f"0/{value.n}" if value.k == 0 else f"0 consistent of {value.k}/{value.n}"


def chance_of_positive(successes: int, n: int, k: int = K) -> float | None:
    """S_K estimated without bias from n draws: the chance that K draws hold a success, 1 − C(n−c, K)/C(n, K)."""
    return 1 - comb(n - successes, k) / comb(n, k) if n >= k else None


# ---- numbers


def _first_number(text: str) -> str | None:
    match = NUMBER.search(text)
    fraction = FRACTION.search(text)
    if fraction and match and fraction.start() <= match.start():
        return fraction.group()
    return match.group() if match else None


def _used(found: str, text: str) -> bool:
    fraction = FRACTION.fullmatch(found)
    wanted = _ratio(fraction) if fraction else _value(found)
    if any(_value(m.group()) == wanted for m in NUMBER.finditer(text)):
        return True
    return any(_ratio(m) == wanted for m in FRACTION.finditer(text))


def _value(number: str) -> Fraction:
    return Fraction(number.replace(",", ""))


def _ratio(match: re.Match[str]) -> Fraction | None:
    top, bottom = int(match[1]), int(match[2])
    return Fraction(top, bottom) if bottom else None
