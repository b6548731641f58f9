"""A chain is cut into other steps: labels follow the text they judge, or the cut is refused; nothing is overwritten."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ModelRow
from stepviz.errors import StepvizError
from stepviz.label_rules import carried
from stepviz.steps import cut_id, merge, segment, split
from stepviz.types import Annotation, Chain, SourceItem, Span
from stepviz.ui import actions, render_dialogs
from stepviz.ui.workbench import Workbench
from tests.store_cases import chain, new_url, problem

TEXT = "2+3=5. 5+1=6.\n6*2=12\n12-1=11\n#### 11"  # steps 1-4; the first line is two sentences
SENTENCES = "2+3=5.|5+1=6.|6*2=12|12-1=11|#### 11"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        opened.add_model(ModelRow("sorm", "sorm"))
        yield opened


@pytest.fixture
def c(store: Store) -> Chain:
    p = problem()
    stored = Chain(p.id, "human", "1", TEXT, segment(TEXT), "line/1")
    store.add_items([SourceItem(p, (stored,))])
    return stored


def say(store: Store, c: Chain, *labels: tuple[str, str, int, int | None]) -> None:
    for who, question, step, value in labels:
        store.add_annotation(Annotation(c.id, who, question, step, value))


def stands(store: Store, c: Chain) -> list[tuple[str, str, int, int | None]]:
    return [(a.annotator, a.question, a.step, a.value) for a in (row.annotation for row in store.annotations(c.id))]


def sentences(store: Store, c: Chain) -> int:
    moved = store.set_spans(c.id, segment(c.text, "sentence"), "sentence/1", was=c.spans)
    assert "|".join(store.chain(c.id).chain.steps) == SENTENCES
    return moved


def test_steps_that_people_label_in_a_study_stay(store: Store, c: Chain):
    """What is said in a turn is said of the steps that were shown: else an export would put it on others."""
    study = store.add_study("first", {"people": 2}, "Be fair.", [(c.id, False)], "root")
    assert sentences(store, c) == 0
    store.set_spans(c.id, c.spans, "line/1")
    store.next_slot(study, "ana", 2, 60, lambda _: "blind")
    with pytest.raises(
        StepvizError, match="The study 'first' has people label these steps: their borders have to stay"
    ):
        sentences(store, c)
    assert store.chain(c.id).chain.spans == c.spans


def test_labels_follow_their_steps_text(store: Store, c: Chain):
    said = [
        ("ana", "correct", 2, 1), ("ana", "correct", 3, -1), ("ben", "solvable", 3, None), ("ben", "correct", 0, 1),
        ("ana", "first_error", 0, 3), ("ben", "first_error", 0, None), ("ana", "decides", 0, 4),
    ]  # fmt: skip
    say(store, c, *said)
    before = store.annotations(c.id, history=True)
    assert sentences(store, c) == 5
    assert sorted(stands(store, c), key=str) == sorted([
        ("ana", "correct", 3, 1), ("ana", "correct", 4, -1), ("ben", "solvable", 4, None), ("ben", "correct", 0, 1),
        ("ana", "first_error", 0, 4), ("ben", "first_error", 0, None), ("ana", "decides", 0, 5),
    ], key=str)  # fmt: skip
    after = store.annotations(c.id, history=True)
    assert after[: len(before)] == before  # nothing was overwritten
    assert [row.annotation.undone for row in after[len(before) :]] == [True] * 5 + [False] * 5
    store.add_annotation(Annotation(c.id, "ana", "correct", 4, None, undone=True))
    assert ("ana", "correct", 4, -1) not in stands(store, c)
    assert "correct" in {question for _, question, _, _ in stands(store, c)}


def test_there_and_back_again(store: Store, c: Chain):
    said = [("ana", "correct", 2, 1), ("ana", "first_error", 0, 4)]
    say(store, c, *said)
    sentences(store, c)
    assert store.set_spans(c.id, c.spans, "line/1") == 2
    assert stands(store, c) == said


@pytest.mark.parametrize("label", [("ana", "correct", 1, -1), ("ana", "first_error", 0, 1), ("ana", "decides", 0, 1)])
def test_a_label_of_a_step_that_is_cut_up_is_not_guessed(store: Store, c: Chain, label: tuple):
    say(store, c, ("ben", "correct", 2, 1), label)
    before = store.annotations(c.id, history=True)
    with pytest.raises(StepvizError, match=r"^Step 1 \(labelled by ana\) would be cut up") as refused:
        sentences(store, c)
    assert "Take the labels back first" in str(refused.value)
    assert store.chain(c.id).chain == c
    assert store.annotations(c.id, history=True) == before
    undone = Annotation(c.id, *label[:3], None, undone=True)
    store.add_annotation(undone)  # taken back, it stands in nobody's way
    assert sentences(store, c) == 1
    assert stands(store, c) == [("ben", "correct", 3, 1)]


def test_steps_labelled_alike_become_one_step_labelled_so(store: Store, c: Chain):
    say(store, c, *[("ana", "correct", i, value) for i, value in ((1, 1), (2, 1), (3, 1), (4, -1))])
    say(store, c, ("ben", "first_error", 0, 3), ("cy", "first_error", 0, 2))
    store.set_spans(c.id, merge(c.spans, 2), "hand/1", was=c.spans)
    assert sorted(stands(store, c)) == [
        ("ana", "correct", 1, 1), ("ana", "correct", 2, 1), ("ana", "correct", 3, -1),
        ("ben", "first_error", 0, 2), ("cy", "first_error", 0, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "labels",
    [
        [("ana", "correct", 2, 1), ("ana", "correct", 3, -1)],
        [("ana", "correct", 2, 1)],  # nobody knows what she would say of the other
        [("ana", "correct", 2, 1), ("ben", "correct", 3, 1)],
        [("ana", "correct", 2, 1), ("ana", "solvable", 3, 1)],
    ],
)
def test_steps_not_labelled_alike_do_not_become_one(store: Store, c: Chain, labels: list):
    say(store, c, *labels)
    with pytest.raises(StepvizError, match=r"^Steps 2 and 3 \(labelled by ana.*not labelled alike"):
        store.set_spans(c.id, merge(c.spans, 2), "hand/1")
    assert stands(store, c) == labels


def test_notes_of_merged_labels_are_kept_and_shares_must_agree():
    spans = (Span(0, 1), Span(2, 3))
    one, two = (Annotation("c", "ana", "correct", i, 1, note) for i, note in ((1, "sum"), (2, "carry")))
    assert (
        carried([one, two], "a b", spans, (Span(0, 3),))
        == (Annotation("c", "ana", "correct", 1, 1, "sum / carry"),) * 2
    )
    soft = [Annotation("c", "ana", "correct", i, 1, meta={"share": share}) for i, share in ((1, 0.6), (2, 0.9))]
    with pytest.raises(StepvizError, match="not labelled alike"):
        carried(soft, "a b", spans, (Span(0, 3),))


def test_white_space_at_a_steps_ends_is_nothing():
    label = Annotation("c", "ana", "correct", 2, 1)
    assert carried(
        [label], "a\n b \nc", (Span(0, 1), Span(1, 5), Span(6, 7)), (Span(0, 1), Span(3, 4), Span(6, 7))
    ) == (label,)


def undo(store: Store, c: Chain, who: str, question: str, step: int = 0) -> None:
    store.add_annotation(Annotation(c.id, who, question, step, None, undone=True))


def test_an_older_first_error_comes_back_as_the_same_text(store: Store, c: Chain):
    say(store, c, ("ana", "first_error", 0, 3), ("ana", "first_error", 0, None))  # she changed her mind
    assert sentences(store, c) == 0
    assert stands(store, c) == [("ana", "first_error", 0, None)]
    undo(store, c, "ana", "first_error")
    assert stands(store, c) == [("ana", "first_error", 0, 4)]  # "12-1=11" is the fourth step now
    undo(store, c, "ana", "first_error")
    assert stands(store, c) == []


def test_an_undo_brings_back_what_was_said_of_a_step_that_has_another_number(store: Store, c: Chain):
    say(store, c, ("ana", "correct", 2, -1), ("ana", "correct", 2, None), ("ana", "correct", 2, 1))
    assert sentences(store, c) == 1
    for value in (1, None, -1):
        assert stands(store, c) == [("ana", "correct", 3, value)]
        undo(store, c, "ana", "correct", 3)
    assert stands(store, c) == []
    with pytest.raises(StepvizError, match="no label left"):
        undo(store, c, "ana", "correct", 3)


def test_what_was_said_of_a_part_does_not_come_back_as_said_of_the_whole(store: Store, c: Chain):
    """Ana called step 2 wrong, then right; it becomes one step with the third, which she calls right."""
    say(store, c, ("ana", "correct", 2, -1), ("ana", "correct", 2, 1), ("ana", "correct", 3, 1))
    say(store, c, ("ana", "correct", 4, -1), ("ana", "correct", 4, 1))
    store.set_spans(c.id, merge(c.spans, 2), "hand/1", was=c.spans)
    assert sorted(stands(store, c)) == [("ana", "correct", 2, 1), ("ana", "correct", 3, 1)]
    undo(store, c, "ana", "correct", 2)
    undo(store, c, "ana", "correct", 3)
    assert stands(store, c) == [("ana", "correct", 3, -1)]  # the last step is what it was


def test_a_label_beneath_that_belongs_to_no_step_any_more_hinders_no_cut(store: Store, c: Chain):
    say(store, c, ("ana", "first_error", 0, 2), ("ana", "first_error", 0, 1), ("ana", "first_error", 0, 3))
    sentences(store, c)  # step 1 is cut up: what she once said of it is gone, and nothing is guessed
    for value in (4, 3):
        assert stands(store, c) == [("ana", "first_error", 0, value)]
        undo(store, c, "ana", "first_error")
    assert stands(store, c) == []


def test_an_imported_label_moves_and_its_file_brings_nothing_new(store: Store, c: Chain):
    row = SourceItem(problem(), (c,), (Annotation(c.id, "pb", "first_error", 0, 3, key="row 1"),))
    assert store.add_items([row]).annotations_new == 1
    sentences(store, c)
    assert stands(store, c) == [("pb", "first_error", 0, 4)]
    assert store.add_items([row]).unchanged == 1
    assert stands(store, c) == [("pb", "first_error", 0, 4)]


def test_a_cut_made_from_steps_that_are_gone_is_refused(store: Store, c: Chain):
    sentences(store, c)
    with pytest.raises(StepvizError, match="cut another way meanwhile"):
        store.set_spans(c.id, merge(c.spans, 1), "hand/1", was=c.spans)
    assert "|".join(store.chain(c.id).chain.steps) == SENTENCES


def test_scores_of_steps_that_are_gone_are_not_stored(store: Store, c: Chain):
    assert store.add_scores(c.id, "sorm", [0.1, 0.2, 0.3, 0.4], c.spans) is True
    sentences(store, c)
    assert store.scores(c.id) == []
    assert store.add_scores(c.id, "sorm", [0.1, 0.2, 0.3, 0.4], c.spans) is False
    assert store.scores(c.id) == []
    assert store.add_scores(c.id, "sorm", [0.5] * 5, store.chain(c.id).chain.spans) is True
    assert [s.step for s in store.scores(c.id)] == [1, 2, 3, 4, 5]


def test_labels_and_cuts_at_the_same_time_lose_nothing(store: Store, c: Chain):
    """Ana labels the second line by its text while it moves between steps 2 and 3."""
    wrong: list[str] = []

    def cut() -> None:
        for k in range(20):
            store.set_spans(c.id, segment(TEXT, "sentence" if k % 2 == 0 else "line"), "line/1")

    def label() -> None:
        for k in range(20):
            n = store.chain(c.id).chain.n
            try:
                store.add_annotation(Annotation(c.id, f"a{k}", "correct", n, 1))  # the last step, before or after
            except StepvizError as error:
                wrong.append(str(error))

    threads = [threading.Thread(target=cut), threading.Thread(target=label)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    n = store.chain(c.id).chain.n
    assert len({who for who, _, _, _ in stands(store, c)}) + len(wrong) == 20
    assert all(1 <= step <= n for _, _, step, _ in stands(store, c))


# --- in Explore ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(store: Store) -> Workbench:
    return Workbench(store)


def cut(bench: Workbench, c: Chain, act: str, **sent: object) -> actions.Done:
    return actions.WRITES[act](bench, None, bench.store.chain(c.id), sent, "ana")


def test_explore_says_which_labels_moved(bench: Workbench, c: Chain):
    say(bench.store, c, ("ana", "correct", 3, 1))
    assert cut(bench, c, "split", step=1, offset=6).said == "1 label moved with its step."
    assert cut(bench, c, "merge", step=1).said == "1 label moved with its step."
    assert cut(bench, c, "resegment", rule="line").said == ""
    assert stands(bench.store, c) == [("ana", "correct", 3, 1)]
    say(bench.store, c, ("ana", "correct", 4, 1))
    assert cut(bench, c, "resegment", rule="sentence").said == "2 labels moved with their steps."


def test_explore_does_not_take_an_unfinished_last_line_for_the_answer(store: Store, bench: Workbench):
    p = problem()
    unfinished = chain(p, "cut", text="2+3=5\n#### 5", meta={"finish_reason": "length"})
    store.add_items([SourceItem(p, (unfinished,))])
    cut(bench, unfinished, "resegment", rule="sentence")
    assert [span.kind for span in store.chain(unfinished.id).chain.spans] == ["step", "step"]


def test_split_offset_is_of_the_step_on_show(bench: Workbench, c: Chain):
    """The page shows four steps; somebody else has made five of them meanwhile."""
    shown = bench.store.chain(c.id).chain
    assert f'data-of="{cut_id(shown.spans)}"' in render_dialogs.steps(shown.text, shown.spans, shown.rule, 1)
    bench.store.set_spans(c.id, split(TEXT, c.spans, 1, 6), "hand/1")
    for act in ("merge", "split"):
        with pytest.raises(StepvizError, match="meanwhile"):
            cut(bench, c, act, step=2, offset=3, of=cut_id(shown.spans))
    now = bench.store.chain(c.id).chain
    cut(bench, c, "merge", step=2, of=cut_id(now.spans))
    assert bench.store.chain(c.id).chain.n == 4
