"""Sampled chains: from the question, from a step, from an edited step."""

from __future__ import annotations

import pytest

from stepviz.errors import StepvizError
from stepviz.rollouts import measure
from stepviz.sampling import branch, continue_from, finished, read, sample
from stepviz.types import Completion, PromptStyle, Request, prefix_hash
from tests.rollout_cases import PROBLEM, SAMPLING, WRONG_CHAIN, Memory, ScriptedEngine, chain_of


def test_sampled_chains_are_draws_from_the_question() -> None:
    engine, memory = ScriptedEngine(), Memory()
    samples = sample(PROBLEM, engine, 3, SAMPLING, **memory.both)
    assert [s.chain.key for s in samples] == [f"{SAMPLING.hash}/{j}" for j in range(3)]
    for s, request in zip(samples, engine.seen, strict=True):
        assert s.chain.text == s.continuation.text
        assert s.chain.steps[0] == "3+12=15"
        assert s.chain.terminal
        assert s.chain.origin == "scripted@1"
        assert s.verdict.value == ("correct" if request.seed % 2 == 0 else "wrong")
    assert len({s.chain.id for s in samples}) == 3  # equal texts are still three chains
    again = sample(PROBLEM, engine, 3, SAMPLING, **memory.both)
    assert again == samples
    assert len(engine.seen) == 3


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("3+12=15\n#### 15", "step step"),  # it may have become 150
        ("3+12=15\n15", "step step"),
        ("3+12=15\nThe answer is 12 +", "step step"),
        ("3+12=15\nso \\boxed{15}", "step step"),
        ("3+12=15\n#### 15\nNe", "step answer answer"),
        ("3+12=15\n#### 15\n#### 1", "step answer answer"),  # the statement that is complete
        ("3+12=15\nso $\\boxed{15}$. Hen", "step answer"),
    ],
)
def test_a_chain_that_was_cut_off_ends_with_a_step_unless_it_states_an_answer_whole(text: str, kinds: str) -> None:
    class CutOff(ScriptedEngine):
        def _complete(self, request: Request) -> Completion:
            return Completion(text, "length", 5)

    (one,) = sample(PROBLEM, CutOff(), 1, SAMPLING, **Memory().both)
    assert [span.kind for span in one.chain.spans] == kinds.split()
    assert one.chain.terminal == (one.verdict.answer is not None)


def test_sampling_counts_towards_the_value_of_the_question() -> None:
    engine, memory = ScriptedEngine(), Memory()
    sample(PROBLEM, engine, 3, SAMPLING, **memory.both)
    measure(WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING, prefixes=[0], **memory.both)
    assert len(engine.seen) == 4


def test_continuing_from_a_step_keeps_its_steps_and_its_parent() -> None:
    engine, memory = ScriptedEngine(), Memory()
    start = continue_from(WRONG_CHAIN, 1, PromptStyle())
    (one,) = sample(PROBLEM, engine, 1, SAMPLING, start=start, **memory.both)
    assert one.chain.text.startswith("Tom has 3 apples.\n\n3+12=15\n#### 1")
    assert one.chain.steps[:2] == ("Tom has 3 apples.", "3+12=15")
    assert (one.chain.parent, one.chain.branch_step) == (WRONG_CHAIN.id, 1)
    assert one.chain.key == f"{prefix_hash(start.prefix)}/{SAMPLING.hash}/0"
    assert one.chain.prefix(1) == WRONG_CHAIN.prefix(1)


def test_an_edited_step_takes_the_place_of_the_old_one() -> None:
    engine, memory = ScriptedEngine(), Memory()
    start = branch(WRONG_CHAIN, 2, "  3+10=13\n13+2=15 ", PromptStyle())
    assert start.prefix == "Tom has 3 apples.\n\n3+10=13\n13+2=15\n"
    (one,) = sample(PROBLEM, engine, 1, SAMPLING, start=start, **memory.both)
    assert one.chain.steps[:3] == ("Tom has 3 apples.", "3+10=13", "13+2=15")
    assert (one.chain.parent, one.chain.branch_step) == (WRONG_CHAIN.id, 1)


def test_an_edited_answer_line_leaves_nothing_to_sample() -> None:
    start = branch(WRONG_CHAIN, 3, "#### 15", PromptStyle())
    assert start.terminal
    chain, verdict = finished(start, PROBLEM, "ana", PromptStyle())
    assert chain.steps == ("Tom has 3 apples.", "3+12=16", "#### 15")
    assert chain.text == "Tom has 3 apples.\n\n3+12=16\n#### 15"
    assert (verdict.value, chain.origin, chain.branch_step) == ("correct", "ana", 2)


def test_steps_that_cannot_be_continued_or_edited_are_users_errors() -> None:
    with pytest.raises(StepvizError, match="final answer"):
        continue_from(WRONG_CHAIN, 3, PromptStyle())
    with pytest.raises(StepvizError, match="no step 4"):
        continue_from(WRONG_CHAIN, 4, PromptStyle())
    with pytest.raises(StepvizError, match="no step 0 to edit"):
        branch(WRONG_CHAIN, 0, "x", PromptStyle())
    with pytest.raises(StepvizError, match="empty"):
        branch(WRONG_CHAIN, 1, " \n", PromptStyle())


def test_a_chain_with_given_borders_says_so_when_it_branches() -> None:
    parent = chain_of("Tom has 3 apples. He buys 12.\n3+12=16", rule="given/1")
    memory = Memory()
    (one,) = sample(
        PROBLEM, ScriptedEngine(), 1, SAMPLING, start=continue_from(parent, 1, PromptStyle()), **memory.both
    )
    assert one.chain.rule == "given/1"
    (plain,) = sample(PROBLEM, ScriptedEngine(), 1, SAMPLING, **memory.both)
    assert plain.chain.rule == "line/1"
    assert read(plain.continuation, SAMPLING) == plain
