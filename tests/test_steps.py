"""Steps: lossless on every text there is, cut where a reader would cut, and by hand where the reader disagrees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepviz import final_answer, steps
from stepviz.errors import StepvizError
from stepviz.types import Chain, Span

JANET = "She eats 3 + 4 = <<3+4=7>>7 eggs.\nShe sells 16 - 7 = 9.\n\nThat is $18 a day.\n#### 18"
_bits = st.sampled_from(
    [*"\n\n\r\t  .!?$\\[]()#*0123456789:", "Step 1", "\\boxed{", "#### 1", "A: 2", "```", "The answer is 3"]
)
texts = st.lists(st.one_of(_bits, _bits, st.characters()), max_size=60).map("".join)


def pieces(text: str, rule: str = "line") -> list[str]:
    return [text[s.start : s.end] for s in steps.segment(text, rule)]


def kinds(text: str, rule: str = "line") -> list[str]:
    return [s.kind for s in steps.segment(text, rule)]


def assert_lossless(text: str, spans: tuple[Span, ...]) -> None:
    position = 0
    for span in spans:
        assert span.start >= position
        assert not text[position : span.start].strip()
        assert text[span.start : span.end]
        assert text[span.start : span.end] == text[span.start : span.end].strip()
        position = span.end
    assert not text[position:].strip()


@given(texts, st.sampled_from(steps.RULES), st.booleans())
def test_any_text_is_steps_with_white_space_between(text: str, rule: str, answer_kind: bool):
    assert_lossless(text, steps.segment(text, rule, answer_kind))


def jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def real_texts(data: Path) -> Iterator[str]:
    for name in ("train", "test"):
        yield from (row["answer"] for row in jsonl(data / f"gsm8k/{name}.jsonl"))
    for row in jsonl(data / "gsm8k/example_model_solutions.jsonl"):
        yield row["ground_truth"]
        yield from (v["solution"] for v in row.values() if isinstance(v, dict))
    yield from (row["solution"] for row in json.loads((data / "math/math500_test.json").read_text()))
    for name in ("dev", "test"):
        yield from (row["rationale"] for row in jsonl(data / f"aqua/{name}.jsonl"))
    yield from (row["reasoning"] for row in jsonl(data / "realcritic/gsm8k.jsonl"))
    for row in jsonl(data / "samples/math_best_of_8.jsonl"):
        yield from row["response"]
    for row in jsonl(data / "prm800k/phase1_test_trajectories.jsonl"):
        yield from (c["text"] for step in row["steps"] for c in step["candidates"])
    for row in json.loads((data / "stepverify/dataset.json").read_text()):
        yield row["reference_solution"]
        yield "\n".join(row["student_incorrect_solution"])


@pytest.mark.parametrize("rule", steps.RULES)
def test_every_real_text_is_segmented_without_loss(shared_data: Path, rule: str):
    count = 0
    for text in real_texts(shared_data):
        assert_lossless(text, steps.segment(text, rule))
        count += 1
    assert count > 22_000


def given_steps(data: Path) -> Iterator[tuple[list[str], str]]:
    for row in json.loads((data / "processbench/gsm8k.json").read_text()):
        yield row["steps"], "\n\n"
    for row in json.loads((data / "stepverify/dataset.json").read_text()):
        yield row["student_incorrect_solution"], "\n"
    for row in jsonl(data / "prm800k/phase1_test_trajectories.jsonl"):
        yield [s["human"] or s["candidates"][s["chosen"] or 0]["text"] for s in row["steps"]], "\n\n"


def test_steps_that_a_source_gives_come_back_exactly(shared_data: Path):
    rows = list(given_steps(shared_data))
    for parts, joiner in rows:
        text, spans = steps.join(parts, joiner)
        assert [text[s.start : s.end] for s in spans] == parts
    assert len(rows) == 400 + 1002 + 106


@given(st.lists(texts, max_size=6), st.sampled_from(["\n", "\n\n", " ", ""]))
def test_join_gives_back_its_parts(parts: list[str], joiner: str):
    text, spans = steps.join(parts, joiner)
    assert [text[s.start : s.end] for s in spans] == parts
    assert text == joiner.join(parts)


def test_join_by_something_visible_is_refused():
    with pytest.raises(StepvizError, match="white space"):
        steps.join(["a", "b"], " | ")


def test_line_rule_is_the_papers_every_newline():
    assert pieces(JANET) == [
        "She eats 3 + 4 = <<3+4=7>>7 eggs.",
        "She sells 16 - 7 = 9.",
        "That is $18 a day.",
        "#### 18",
    ]
    assert pieces("\\[\n3 + 4 = 7\n\\]") == ["\\[", "3 + 4 = 7", "\\]"]


def test_prefixes_of_a_segmented_chain_end_after_the_separator():
    chain = Chain("p", "o", "k", JANET, steps.segment(JANET), steps.rule_id("line"))
    assert chain.prefix(2).endswith("= 9.\n\n")
    assert chain.terminal
    assert chain.rule == "line/1"


def test_blank_rule_keeps_paragraphs_display_mathematics_and_code():
    assert pieces(JANET, "blank") == [
        "She eats 3 + 4 = <<3+4=7>>7 eggs.\nShe sells 16 - 7 = 9.",
        "That is $18 a day.",
        "#### 18",
    ]
    text = "First:\n\\[\nx = 1\n\ny = 2\n\\]\n\n```\na = 1\n\nb = 2\n```\n\nDone"
    assert pieces(text, "blank") == ["First:\n\\[\nx = 1\n\ny = 2\n\\]", "```\na = 1\n\nb = 2\n```", "Done"]


def test_an_unclosed_formula_does_not_swallow_the_rest():
    assert pieces("So \\[ x\n\nNext\n\nLast", "blank") == ["So \\[ x", "Next", "Last"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Intro\nStep 1: add\n3 + 4\nStep 2: take\nthe rest",
            ["Intro", "Step 1: add\n3 + 4", "Step 2: take\nthe rest"],
        ),
        ("## Step 1\nadd\n\n## Step 2\ntake", ["## Step 1\nadd", "## Step 2\ntake"]),
        ("1. add 3.5 kg\n2) take\n   3. inside", ["1. add 3.5 kg", "2) take", "3. inside"]),
        ("**Step 1:** a\n1. x\n2. y\n**Step 2:** b", ["**Step 1:** a\n1. x\n2. y", "**Step 2:** b"]),
        ("In 2010. it was 3.5 kg", ["In 2010. it was 3.5 kg"]),
    ],
)
def test_numbered_rule(text: str, expected: list[str]):
    assert pieces(text, "numbered") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He has 3.5 kg. She has 2.", ["He has 3.5 kg.", "She has 2."]),
        ("Mr. Smith pays $4.50 to Dr. Lee. Why? Because!", ["Mr. Smith pays $4.50 to Dr. Lee.", "Why?", "Because!"]),
        ("E.g. this, i.e. that. So it is.", ["E.g. this, i.e. that.", "So it is."]),
        ("At 5 p.m. he left. At 9 p.m. He slept.", ["At 5 p.m. he left.", "At 9 p.m.", "He slept."]),
        ("We get \\( a. b \\) and $x. y$ too. Next.", ["We get \\( a. b \\) and $x. y$ too.", "Next."]),
        ("\\[ a = 1. \nb = 2. \\] Next one.", ["\\[ a = 1. \nb = 2. \\] Next one."]),
        ("It costs $5. She has $3. Sum.", ["It costs $5.", "She has $3.", "Sum."]),
        ("1. Add them. 2 more\n2. Stop", ["1. Add them.", "2 more", "2. Stop"]),
        ("Let P be J. Doe's. Fine", ["Let P be J. Doe's.", "Fine"]),
    ],
)
def test_sentence_rule(text: str, expected: list[str]):
    assert pieces(text, "sentence") == expected


@pytest.mark.parametrize(
    "text",
    [
        "3 + 4 = 7\n#### 7",
        "3 + 4 = 7\nA: 7",
        "3 + 4 = 7\nThe answer is 7.",
        "3 + 4 = 7\n**Answer:** 7",
        "3 + 4 = 7\nSo she has \\(\\boxed{7}\\) eggs.",
        "3 + 4 = 7\n 7",
        "3 + 4 = 7\nAnswer: D",
    ],
)
def test_the_final_answer_is_a_step_of_its_own_kind(text: str):
    assert kinds(text) == ["step", "answer"]


def test_the_answer_line_is_split_off_under_every_rule():
    for rule in steps.RULES:
        spans = steps.segment("3 + 4 = 7.\nA: 7", rule)
        assert [(s.start, s.kind) for s in spans][-1] == (11, "answer")


def test_remarks_after_the_answer_belong_to_it_and_reasoning_does_not():
    assert kinds("a\nThe answer is 7.\nI hope it is correct.") == ["step", "answer", "answer"]
    assert kinds("a\n\\[\n\\boxed{7}\n\\]") == ["step", "step", "answer", "answer"]
    assert kinds("First \\boxed{7}.\nBut 7 + 1 = 8 is left") == ["step", "step"]
    assert kinds("#### 7\nQuestion 2: what is 3 + 4?") == ["answer", "answer"]


def test_headings_and_names_are_not_answers():
    assert kinds("#### Step 1: add\n3 + 4 = 7 eggs in all") == ["step", "step"]
    assert kinds("A: the train from Aachen, which leaves at noon and arrives before the other one does\nB: other") == [
        "step",
        "step",
    ]


def test_answer_kind_can_be_left_out():
    assert [s.kind for s in steps.segment(JANET, "line", answer_kind=False)] == ["step"] * 4
    assert len(steps.segment("a.\n#### 18", "blank", answer_kind=False)) == 1


def test_an_answer_that_the_token_limit_cut_is_a_step():
    for rule in steps.RULES:
        assert [s.kind for s in steps.segment("3 + 12 = 15.\n#### 15", rule, cut_off=True)][-1] == "step"
        assert [s.kind for s in steps.segment("3 + 12 = 15.\n\n#### 15\nNext", rule, cut_off=True)][-1] == "answer"
    long = "x\n" * final_answer.TAIL + "#### 15\n"
    assert long[: len(final_answer.complete(long))].endswith("\n#### 15")


def test_merge_and_split_by_hand():
    spans = steps.segment(JANET)
    merged = steps.merge(spans, 1)
    assert JANET[merged[0].start : merged[0].end] == "She eats 3 + 4 = <<3+4=7>>7 eggs.\nShe sells 16 - 7 = 9."
    assert [s.kind for s in steps.merge(spans, 3)] == ["step", "step", "answer"]
    assert steps.split(JANET, merged, 1, len("She eats 3 + 4 = <<3+4=7>>7 eggs.")) == spans
    last = steps.split("so 3. The answer is 3", (Span(0, 21, "answer"),), 1, 6)
    assert [(s.start, s.end, s.kind) for s in last] == [(0, 5, "step"), (6, 21, "answer")]


@given(texts.filter(lambda t: len(steps.segment(t)) > 1), st.data())
def test_merging_and_splitting_stay_lossless(text: str, data: st.DataObject):
    spans = steps.segment(text)
    i = data.draw(st.integers(1, len(spans) - 1))
    merged = steps.merge(spans, i)
    assert_lossless(text, merged)
    again = steps.split(text, merged, i, spans[i - 1].end - spans[i - 1].start)
    assert [(s.start, s.end) for s in again] == [(s.start, s.end) for s in spans]


@pytest.mark.parametrize(
    "act",
    [
        lambda s: steps.merge(s, 4),
        lambda s: steps.merge(s, 0),
        lambda s: steps.split(JANET, s, 9, 1),
        lambda s: steps.split(JANET, s, 1, 0),
        lambda s: steps.split(JANET, s, 1, 999),
        lambda s: steps.segment(JANET, "page"),
    ],
)
def test_what_cannot_be_done_is_said(act: Any):
    with pytest.raises(StepvizError):
        act(steps.segment(JANET))


@pytest.mark.parametrize(
    "unit", ["[", "\\[", "\\(", "$$", "$a ", "\\begin{a}", "\t", "\n", "answer is ", "final ", "#### 1\n", ". "]
)
@pytest.mark.timeout(280)
def test_a_megabyte_of_anything_takes_linear_time(unit: str):
    text = unit * (1_000_000 // len(unit))
    for rule in steps.RULES:
        steps.segment(text, rule)
