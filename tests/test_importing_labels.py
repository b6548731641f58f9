"""Labels that come in with a file: no older than what people said since, on the steps they were given to, or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz import exporting
from stepviz.answers import GRADER
from stepviz.importing import grade_chains, import_path
from stepviz.sources import stepviz
from stepviz.steps import merge, segment
from stepviz.types import Annotation, Chain, Problem, SourceItem, Span
from tests.source_rows import lines
from tests.store_cases import chain, new_url, problem

TWO_LINES = "She buys 3. So 2+3=5.\n#### 5"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def c(store: Store) -> Chain:
    """A chain of two lines, the first of two sentences."""
    p = problem()
    stored = chain(p, text=TWO_LINES)
    store.add_items([SourceItem(p, (stored,))], grade_chains([(p.answer, stored)]))
    return stored


def exported(store: Store, path: Path) -> Path:
    exporting.write_jsonl(exporting.export_stepviz(store), path)
    return path


def row_of(of: Problem, chains: tuple[Chain, ...], *labels: Annotation, **changes: Any) -> dict[str, Any]:
    """A row of our own format; `changes` go into the last label."""
    (row,) = stepviz.write([SourceItem(of, chains, labels)])
    row["annotations"][-1] |= changes
    return row


def said(store: Store, c: Chain) -> list[tuple[str, int, int | None]]:
    return [(a.question, a.step, a.value) for a in (row.annotation for row in store.annotations(c.id))]


def test_an_old_export_does_not_take_back_a_newer_verdict(store: Store, c: Chain, tmp_path: Path):
    store.override_verdict(c.id, "wrong", "she has three", "ana")
    old = exported(store, tmp_path / "old.jsonl")
    store.override_verdict(c.id, "correct", "no, five", "ana")
    report = import_path(store, "stepviz", old)
    assert (report.annotations_new, report.unchanged) == (0, 1)
    assert store.chain(c.id).verdict.value == "correct"
    assert len(store.annotations(c.id, history=True)) == 2


def test_a_label_that_was_withdrawn_stays_withdrawn(store: Store, c: Chain, tmp_path: Path):
    store.override_verdict(c.id, "wrong", "she has three", "ana")
    store.add_annotation(Annotation(c.id, "ben", "correct", 1, -1))
    old = exported(store, tmp_path / "old.jsonl")
    store.withdraw_verdict(c.id, "ana")
    store.add_annotation(Annotation(c.id, "ben", "correct", 1, None, undone=True))
    assert import_path(store, "stepviz", old).annotations_new == 0
    assert (store.chain(c.id).verdict.value, store.chain(c.id).verdict.grader) == ("correct", GRADER)
    assert said(store, c) == []


def test_another_stores_live_labels_come_in_once_and_stay_live(store: Store, c: Chain, tmp_path: Path):
    store.override_verdict(c.id, "wrong", "she has three", "ana")
    path = exported(store, tmp_path / "all.jsonl")
    with open_store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        assert import_path(other, "stepviz", path).annotations_new == 1
        assert other.chain(c.id).verdict.grader == "person:ana"
        assert import_path(other, "stepviz", path).annotations_new == 0
        other.withdraw_verdict(c.id, "ana")


IMPOSSIBLE = [
    ({"question": "verdict", "step": 0, "value": 0}, '"verdict" cannot be 0 on a chain of 2 steps'),
    ({"question": "verdict", "step": 1, "value": 1}, '"verdict" is said of the whole chain: step must be 0, not 1'),
    ({"question": "first_error", "step": 1, "value": 1}, "is said of the whole chain"),
    ({"question": "first_error", "step": 0, "value": 3}, '"first_error" cannot be 3'),
    ({"undone": True}, "takes a label back"),
]


@pytest.mark.parametrize(("change", "reason"), IMPOSSIBLE)
def test_a_row_with_an_impossible_label_is_refused_and_the_others_come_in(
    store: Store, tmp_path: Path, change: dict, reason: str
):
    rows = []
    for n in range(250):  # two batches; the bad label is in the first
        p = problem(f"What is {n} + 0?", key=str(n))
        own = chain(p, text=TWO_LINES)
        rows.append(row_of(p, (own,), Annotation(own.id, "ana", "correct", 1, 1), **(change if n == 5 else {})))
    report = import_path(store, "stepviz", lines(tmp_path / "a.jsonl", *rows))
    ((line, why),) = [(refusal.line, refusal.reason) for refusal in report.refused]
    assert line == 6
    assert reason in why
    assert (report.problems_new, report.chains_new, report.annotations_new) == (249, 249, 249)
    stats = store.stats()
    assert (stats["problems"], stats["chains"], stats["annotations"]) == (249, 249, 249)


def recut(store: Store, c: Chain) -> None:
    """The first line becomes two steps: 1 "She buys 3.", 2 "So 2+3=5.", 3 "#### 5"."""
    store.set_spans(c.id, segment(c.text, "sentence"), "sentence/1")
    assert store.chain(c.id).chain.steps == ("She buys 3.", "So 2+3=5.", "#### 5")


@pytest.mark.parametrize("key", ["", "row 1"])
def test_labels_find_their_steps_after_the_stored_chain_was_cut_anew(store: Store, c: Chain, tmp_path: Path, key: str):
    recut(store, c)
    given = [("correct", 2, 1), ("first_error", 0, 2), ("decides", 0, 2), ("correct", 0, 1), ("first_error", 0, None)]
    labels = [
        Annotation(c.id, f"a{n}", question, step, value, key=key) for n, (question, step, value) in enumerate(given)
    ]
    path = lines(tmp_path / "a.jsonl", row_of(problem(), (c,), *labels))
    assert import_path(store, "stepviz", path).annotations_new == 5
    # "#### 5", the file's step 2, is the store's step 3
    moved = [("correct", 3, 1), ("first_error", 0, 3), ("decides", 0, 3), ("correct", 0, 1), ("first_error", 0, None)]
    assert said(store, c) == moved
    assert import_path(store, "stepviz", path).annotations_new == 0


@pytest.mark.parametrize(("question", "step", "value"), [("correct", 1, -1), ("first_error", 0, 1), ("decides", 0, 1)])
def test_a_label_of_a_step_that_is_cut_up_is_refused(
    store: Store, c: Chain, tmp_path: Path, question: Any, step: int, value: int
):
    recut(store, c)
    before = store.stats()
    label = Annotation(c.id, "ana", question, step, value)
    other = replace(c, key="1")  # the row's other chain does not come in either
    good = problem("What is 1 + 0?")
    path = lines(
        tmp_path / "a.jsonl",
        row_of(problem(), (c, other), label),
        row_of(good, (chain(good),), Annotation(chain(good).id, "ana", "correct", 1, 1)),
    )
    report = import_path(store, "stepviz", path)
    ((line, why),) = [(refusal.line, refusal.reason) for refusal in report.refused]
    assert line == 1
    assert "a label of step 1, and the stored chain is cut into other steps there" in why
    assert (report.chains_new, report.annotations_new) == (1, 1)
    assert said(store, c) == []
    assert store.stats()["chains"] == before["chains"] + 1


def test_labels_of_another_text_stay_out(store: Store, c: Chain, tmp_path: Path):
    other = replace(c, text="She buys 3. So 2+3=6.\n#### 6")  # the same key, the same spans
    path = lines(tmp_path / "a.jsonl", row_of(problem(), (other,), Annotation(c.id, "ana", "correct", 1, -1)))
    report = import_path(store, "stepviz", path)
    assert [refusal.line for refusal in report.refused] == [1]
    assert "stored with another text" in report.refused[0].reason
    assert (report.annotations_new, said(store, c)) == (0, [])


def test_an_answer_line_is_the_same_step_whatever_its_kind(store: Store, c: Chain, tmp_path: Path):
    spans = tuple(Span(s.start, s.end, "answer" if n else "step") for n, s in enumerate(c.spans))
    store.set_spans(c.id, spans, "mine/1")
    path = lines(tmp_path / "a.jsonl", row_of(problem(), (c,), Annotation(c.id, "ana", "correct", 2, 1)))
    assert import_path(store, "stepviz", path).annotations_new == 1
    assert asdict(store.chain(c.id).chain)["spans"][1]["kind"] == "answer"


PROCESSBENCH = {
    "id": "gsm8k-1", "generator": "m", "problem": "How many?", "steps": ["2+3=5", "5+1=7", "7*2=14. So 14."],
    "final_answer_correct": False, "label": 1,
}  # fmt: skip
PRM800K = {
    "labeler": "x", "timestamp": "t", "question": {"problem": "How many?", "ground_truth_answer": "12"},
    "label": {"steps": [{"completions": [{"text": text, "rating": rating, "flagged": False}], "human_completion": None,
                         "chosen_completion": 0} for text, rating in (("2+3=5", 1), ("5+1=6", 1), ("6*2=11", -1))],
              "total_time": 1, "finish_reason": "found_error"},
}  # fmt: skip
SHEPHERD = {
    "input": "How many? Step 1: 2+3=5 ки\nStep 2: 5+1=6 ки",
    "label": "How many? Step 1: 2+3=5 +\nStep 2: 5+1=6 +",
}
TRL = {"prompt": "How many?", "completions": ["2+3=5", "5+1=6", "6*2=11"], "labels": [True, True, False]}


@pytest.mark.parametrize(
    ("name", "row"),
    [("processbench", PROCESSBENCH), ("prm800k", PRM800K), ("math-shepherd", SHEPHERD), ("trl", TRL)],
)
def test_a_files_row_goes_out_as_it_came_after_its_first_steps_became_one(
    store: Store, tmp_path: Path, name: str, row: dict
):
    path = lines(tmp_path / "rows.jsonl", row)
    import_path(store, name, path)
    (given,) = (r.chain for r in store.chains_of())
    store.set_spans(given.id, merge(given.spans, 1), "hand/1")
    assert store.chain(given.id).chain.n == given.n - 1
    assert list(exporting.EXPORTS[name](store)) == [row]
    assert import_path(store, name, path).unchanged == 1
