"""Drawing, recalling and measuring, with an engine that answers from a script."""

from __future__ import annotations

import pytest

from stepviz.errors import StepvizError
from stepviz.rollouts import PrefixKey, Want, aggregate, by_prefix, draw, measure, missing, prefix_of, terminal, values
from stepviz.types import (
    Completion,
    Continuation,
    PromptStyle,
    Request,
    Sampling,
    Verdict,
    continuation_seed,
    prefix_hash,
)
from tests.rollout_cases import PROBLEM, SAMPLING, WRONG_CHAIN, Memory, ScriptedEngine, chain_of


def test_missing_fills_holes_first() -> None:
    assert missing([0, 2, 7], 5) == (1, 3, 4)
    assert missing([0, 1, 2], 3) == ()
    assert missing([], 0) == ()


def test_measure_draws_k_from_each_prefix_that_is_not_terminal() -> None:
    engine, memory = ScriptedEngine(), Memory()
    measure(WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING, **memory.both)
    prefixes = ["", "Tom has 3 apples.\n\n", "Tom has 3 apples.\n\n3+12=16\n"]
    assert sorted((r.prefix, r.seed) for r in engine.seen) == sorted(
        (p, continuation_seed(PROBLEM.id, prefix_hash(p), "scripted@1", SAMPLING.hash, j))
        for p in prefixes
        for j in range(4)
    )
    assert {r.question for r in engine.seen} == {PROBLEM.question}


def test_values_count_what_was_drawn() -> None:
    engine, memory = ScriptedEngine(), Memory()
    measure(WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING, **memory.both)
    found = values(WRONG_CHAIN, by_prefix(memory.rows.values()), Verdict("wrong", "", "test"))
    expected = [sum(r.seed % 2 == 0 for r in engine.seen if r.prefix == WRONG_CHAIN.prefix(i)) for i in range(3)]
    assert [(v.step, v.k, v.n, v.unfinished, v.terminal) for v in found] == [
        *((i, k, 4, 0, None) for i, k in enumerate(expected)),
        (3, 0, 0, 0, "wrong"),
    ]


def test_nothing_is_drawn_twice_and_more_means_more() -> None:
    engine, memory = ScriptedEngine(), Memory()
    measure(WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING, **memory.both)
    first = dict(memory.rows)
    measure(WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING, **memory.both)
    assert len(engine.seen) == 12
    drawn = measure(WRONG_CHAIN, PROBLEM, engine, 6, SAMPLING, prefixes=[1], **memory.both)
    assert len(engine.seen) == 14
    assert first.items() <= memory.rows.items()
    assert [c.j for c in drawn.continuations[PrefixKey(PROBLEM.id, prefix_hash("Tom has 3 apples.\n\n"))]] == [
        *range(6)
    ]


def test_a_prefix_that_two_chains_share_is_drawn_once() -> None:
    engine, memory = ScriptedEngine(), Memory()
    wants = [Want(PROBLEM, "", 2), Want(PROBLEM, "a\n", 3), Want(PROBLEM, "", 5)]
    drawn = draw(wants, engine, SAMPLING, **memory.both)
    assert len(engine.seen) == 8
    assert len(drawn.continuations[wants[0].key]) == 5


def test_a_stop_in_the_middle_loses_nothing_and_repeats_nothing() -> None:
    """Killed while recording, or cancelled: the same call goes on with what is missing."""
    whole, memory, engine = Memory(), Memory(), ScriptedEngine()
    measure(WRONG_CHAIN, PROBLEM, ScriptedEngine(), 4, SAMPLING, **whole.both)
    drawn = measure(WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING, cancelled=lambda: len(engine.seen) >= 5, **memory.both)
    assert drawn.cancelled
    assert len(memory.rows) == 5
    measure(WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING, **memory.both)
    assert memory.rows == whole.rows
    assert len(engine.seen) == 12


def test_draws_are_recorded_as_they_come_with_progress() -> None:
    memory, seen = Memory(), []
    measure(WRONG_CHAIN, PROBLEM, ScriptedEngine(), 4, SAMPLING, on_draws=lambda *a: seen.append(a), **memory.both)
    assert memory.batches == [1, 3, 3, 3, 2]
    assert seen == [(1, 12, 5), (4, 12, 20), (7, 12, 35), (10, 12, 50), (12, 12, 50)]


def test_what_a_cancel_cut_short_is_not_counted_as_done() -> None:
    """Twelve are asked for, and after the second somebody says stop: two were drawn, two are done."""
    memory, seen, engine = Memory(), [], ScriptedEngine()
    drawn = measure(
        WRONG_CHAIN, PROBLEM, engine, 4, SAMPLING,
        on_draws=lambda *a: seen.append(a), cancelled=lambda: len(engine.seen) == 2, **memory.both,
    )  # fmt: skip
    assert drawn.cancelled
    assert len(memory.rows) == 2
    assert seen[-1][:2] == (2, 12)


def test_a_cancel_is_heard_while_thousands_of_prefixes_are_recalled() -> None:
    asked: list[str] = []

    def recall(problem: str, prefix: str) -> list[Continuation]:
        asked.append(prefix)
        return []

    wants, engine = [Want(PROBLEM, f"line {i}\n", 1) for i in range(1000)], ScriptedEngine()
    drawn = draw(wants, engine, SAMPLING, recall=recall, record=Memory().record, cancelled=lambda: len(asked) == 2)
    assert (drawn.cancelled, len(asked), engine.seen) == (True, 2, [])


def test_a_prefix_the_engine_refuses_is_reported_and_harms_no_other() -> None:
    chain = chain_of("fine\ntoo long\n#### 16")
    memory = Memory()
    drawn = measure(chain, PROBLEM, ScriptedEngine(), 2, SAMPLING, **memory.both)
    assert list(drawn.failed.values()) == ["the prompt has 101 tokens, the model reads 100"]
    assert not drawn.cancelled
    found = values(chain, by_prefix(memory.rows.values()), Verdict("wrong", "", "test"))
    assert [v.n for v in found] == [2, 2, 0, 0]
    assert found[2].value is None


def test_cut_off_without_an_answer_is_unfinished_not_wrong() -> None:
    memory = Memory()
    measure(WRONG_CHAIN, PROBLEM, ScriptedEngine(lengthy=True), 3, SAMPLING, prefixes=[0], **memory.both)
    value = values(WRONG_CHAIN, by_prefix(memory.rows.values()), Verdict("wrong", "", "test"))[0]
    assert (value.k, value.n, value.unfinished) == (0, 3, 3)
    assert all(c.verdict == "unknown" for c in memory.rows.values())


@pytest.mark.parametrize(
    ("text", "reason", "verdict", "answer"),
    [
        ("#### 15", "stop", "correct", "15"),
        ("#### 15", "length", "unknown", None),  # it may have become 150
        ("#### 15\nNext", "length", "correct", "15"),
        ("#### 16\n", "length", "wrong", "16"),
        ("a step\n15 clips in", "length", "unknown", None),
        ("a step\n15 clips in", "stop", "correct", "15 clips in"),
        ("12 +", "length", "unknown", None),
        ("12\nand", "length", "unknown", None),  # a bare number is an answer only on a text's last line
        ("15\n", "length", "unknown", None),
        ("The answer is 15 clips in", "length", "unknown", None),
        ("The answer is 12 + 3", "length", "unknown", None),
        ("The answer is approx. 15", "length", "unknown", None),
        ("The answer is 15. So", "length", "correct", "15"),
        ("The answer is 16 because 3", "length", "wrong", "16"),
        ("The answer is 15\nas", "length", "correct", "15"),
        ("The answer is\n12 +", "length", "unknown", None),
        ("A: 15\nTom", "length", "correct", "15"),
        ("A: 15 clips", "length", "unknown", None),
        ("so \\boxed{15}", "length", "unknown", None),
        ("so \\boxed{15} and \\bo", "length", "unknown", None),
        ("so $\\boxed{15}$. Hen", "length", "correct", "15"),
        ("so \\boxed{15} is the", "length", "correct", "15"),
        ("#### 15\n#### 1", "length", "correct", "15"),
    ],
)
def test_of_a_text_that_was_cut_only_complete_statements_count(
    text: str, reason: str, verdict: str, answer: str | None
) -> None:
    class One(ScriptedEngine):
        def _complete(self, request: Request) -> Completion:
            return Completion(text, reason, 3)

    memory = Memory()
    draw([Want(PROBLEM, "3+12=15\n", 1)], One(), SAMPLING, **memory.both)
    (only,) = memory.rows.values()
    assert (only.verdict, only.answer, only.text) == (verdict, answer, text)
    assert aggregate(0, [only]).unfinished == (answer is None)


@pytest.mark.parametrize("rule", ["last-number", "choice", "gsm8k", "boxed"])
def test_no_rule_reads_an_answer_out_of_an_unfinished_line(rule: str) -> None:
    class One(ScriptedEngine):
        def _complete(self, request: Request) -> Completion:
            return Completion("Let B be 12 + 3\nso B is 15 and", "length", 3)

    memory = Memory()
    sampling = Sampling(temperature=1.0, style=PromptStyle(answer_rule=rule))
    draw([Want(PROBLEM, "", 1)], One(), sampling, **memory.both)
    assert [c.answer for c in memory.rows.values()] == [None]


def test_greedy_draws_are_one() -> None:
    with pytest.raises(StepvizError, match="temperature 0"):
        draw([Want(PROBLEM, "", 2)], ScriptedEngine(), Sampling(temperature=0), **Memory().both)
    assert draw([Want(PROBLEM, "", 1)], ScriptedEngine(), Sampling(temperature=0), **Memory().both).continuations


def test_a_step_that_is_not_there_is_a_users_error() -> None:
    with pytest.raises(StepvizError, match="1 … 3"):
        measure(WRONG_CHAIN, PROBLEM, ScriptedEngine(), 1, SAMPLING, prefixes=[4], **Memory().both)


def test_prefixes_end_after_a_separator_and_stop_at_the_answer() -> None:
    open_end = chain_of("one step\nanother")
    assert [prefix_of(open_end, i) for i in range(3)] == ["", "one step\n", "one step\nanother\n"]
    assert prefix_of(open_end, 2, "\n\n") == "one step\nanother\n\n"
    assert [terminal(open_end, i) for i in range(3)] == [False, False, False]
    assert [terminal(WRONG_CHAIN, i) for i in range(4)] == [False, False, False, True]
