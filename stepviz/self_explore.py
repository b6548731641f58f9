"""Self-Explore: the first pit (Hwang et al., "Self-Explore: Enhancing Mathematical Reasoning in Language Models
with Fine-grained Rewards", arXiv 2404.10346, Findings of EMNLP 2024; code hbin0701/Self-Explore).

Idea: walk along a wrong chain; from each step sample k = 4 completions; the first step from which none
reaches the answer is the *first pit*. Nothing is corrected by later steps.

Symbols: V[i] = `values[i]`, the success rate of continuations of prefix(i), which includes step i; k = `k`.

Deviations:
1. The paper samples k fresh completions a step. We read the first measurement there is of each prefix, of
   any size n; with n other than k the evidence says so ("0/8").
2. In the paper the completion of a prefix that holds the answer line states no second answer, so all k fail
   and the pit falls at the latest there. Such a prefix is terminal for us: right or wrong by its own answer.
3. The authors stop exploring at the first pit; we may have measured every step, and read the same one.
4. A step that was not measured ends the walk without a pit: nothing is known from there on.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepviz.types import FirstPit, StepValue

K = 4  # completions a step, in the paper


def first_pit(values: Sequence[StepValue], k: int = K) -> FirstPit:
    """The first step i >= 1 with V[i] = 0, scanned forward; `values` are V[0 … n].

    A step measured with fewer than k continuations decides nothing if none was right: the walk ends there.
    For wrong chains, as in the paper; a right one has no pit.
    """
    if values and values[-1].terminal == "correct":
        return FirstPit(None, "self-explore", "the chain reaches the right answer")
    for value in values[1:]:
        if value.terminal == "wrong":
            return FirstPit(value.step, "self-explore", "wrong answer")
        if value.terminal == "unknown":
            return FirstPit(None, "self-explore", "the chain's answer cannot be judged")
        if value.k == 0 and value.n < k:
            return FirstPit(None, "self-explore", f"step {value.step} has {value.n} of {k} continuations")
        if value.k == 0:
            return FirstPit(value.step, "self-explore", f"0/{value.n}")
    return FirstPit(None, "self-explore", "the answer is reached from every step")
