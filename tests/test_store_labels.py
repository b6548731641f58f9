"""Labels are appended and taken back; what people say of a verdict shows in the lists of problems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.store import Store, open_store
from db.values import ProblemFilter
from stepviz.errors import StepvizError
from stepviz.types import Annotation, Chain, SourceItem, Verdict
from tests.store_cases import RIGHT, WRONG, chain, new_url, problem


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def c(store: Store) -> Chain:
    """A chain of three steps that the grader calls wrong."""
    p = problem()
    stored = chain(p, text="2+3=6\nShe has 6.\nA: 6")
    store.add_items([SourceItem(p, (stored,))], {stored.id: WRONG})
    return stored


def _values(store: Store, c: Chain) -> list[tuple[str, int, int | None]]:
    return [(r.annotation.annotator, r.annotation.step, r.annotation.value) for r in store.annotations(c.id)]


def test_the_last_label_counts_and_an_undo_takes_it_back(store: Store, c: Chain):
    for value in (1, 0, -1):
        store.add_annotation(Annotation(c.id, "ana", "correct", 1, value))
    store.add_annotation(Annotation(c.id, "ana", "correct", 2, 1))
    store.add_annotation(Annotation(c.id, "ben", "correct", 1, None))
    assert _values(store, c) == [("ana", 1, -1), ("ana", 2, 1), ("ben", 1, None)]
    undo = Annotation(c.id, "ana", "correct", 1, None, undone=True)
    for left in (0, 1):
        store.add_annotation(undo)
        assert sorted(_values(store, c), key=str) == sorted(
            [("ana", 1, left), ("ana", 2, 1), ("ben", 1, None)], key=str
        )
    store.add_annotation(undo)
    assert _values(store, c) == [("ana", 2, 1), ("ben", 1, None)]
    with pytest.raises(StepvizError, match="no label left"):
        store.add_annotation(undo)
    assert len(store.annotations(c.id, history=True)) == 3 + 1 + 1 + 3
    assert [r.annotation.step for r in store.annotations(annotator="ana")] == [2]
    assert store.annotators() == ["ana", "ben"]
    assert list(store.annotations_for(c.problem_id)) == [c.id]
    assert store.annotations_for("no such problem") == {}


def test_annotators_have_a_label_of_a_step_that_stands(store: Store, c: Chain) -> None:
    store.override_verdict(c.id, "correct", "the answer is written out", "dan")
    assert store.annotators() == []
    for who, step in (("ana", 1), ("ana", 2), ("ben", 1)):
        store.add_annotation(Annotation(c.id, who, "correct", step, 1))
    store.add_annotation(Annotation(c.id, "ben", "correct", 1, -1))
    store.add_annotation(Annotation(c.id, "ana", "correct", 2, None, undone=True))
    store.add_annotation(Annotation(c.id, "ben", "correct", 1, None, undone=True))
    assert store.annotators() == ["ana", "ben"]  # ben's first label stands again
    store.add_annotation(Annotation(c.id, "ben", "correct", 1, None, undone=True))
    assert store.annotators() == ["ana"]
    store.add_annotation(Annotation(c.id, "ana", "correct", 1, None, undone=True))
    assert store.annotators() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2]), st.sampled_from([1, 0, -1, "undo"]))))
def test_the_view_tells_what_the_store_tells(store: Store, c: Chain, said: list):
    for who, step, value in said:
        undone = value == "undo"
        label = Annotation(c.id, who, "correct", step, None if undone else value, undone=undone)
        try:
            store.add_annotation(label)
        except StepvizError:
            assert undone
    with store.reading() as connection:
        seen = connection.exec_driver_sql("SELECT annotation_id FROM v_annotations ORDER BY 1").scalars().all()
    assert seen == [row.id for row in store.annotations()]


def test_a_key_is_used_once_by_an_annotator(store: Store, c: Chain):
    label = Annotation(c.id, "pb", "first_error", 0, 1, key="row 7")
    first = store.add_annotation(label)
    assert store.add_annotation(label) == first
    assert store.add_annotation(Annotation(c.id, "other", "first_error", 0, 1, key="row 7")) != first
    item = SourceItem(problem(), (c,), (label, Annotation(c.id, "pb", "correct", 1, -1)))
    assert store.add_items([item]).annotations_new == 1  # the one without a key: a live one, new here
    assert store.add_items([item]).unchanged == 1


@pytest.mark.parametrize(
    "question, step, value, message",
    [
        ("correct", 4, 1, "of step 4"),
        ("correct", -1, 1, "of step -1"),
        ("correct", 1, 2, "cannot be 2"),
        ("solvable", 1, -2, "cannot be -2"),
        ("first_error", 1, 1, "of the whole chain"),
        ("first_error", 0, 4, "cannot be 4"),
        ("first_error", 0, 0, "cannot be 0"),
        ("decides", 0, -1, "cannot be -1"),
        ("verdict", 0, 0, "cannot be 0"),
        ("beauty", 0, 1, "unknown question"),
    ],
)
def test_impossible_labels_are_refused(store: Store, c: Chain, question: str, step: int, value: int, message: str):
    with pytest.raises(StepvizError, match=message):
        store.add_annotation(Annotation(c.id, "ana", question, step, value))
    assert store.annotations() == []


def test_a_label_of_no_chain_is_refused(store: Store):
    with pytest.raises(StepvizError, match="nobody has"):
        store.add_annotation(Annotation("f" * 24, "ana", "correct", 1, 1))


def test_a_person_overrides_the_grader_and_takes_it_back(store: Store, c: Chain):
    store.override_verdict(c.id, "correct", "6 is meant", "ana")
    row = store.chain(c.id)
    assert row.verdict == Verdict("correct", "6 is meant", "person:ana", WRONG.answer)
    assert (row.graded, row.overridden, row.disputed) == (WRONG, True, True)
    assert store.problem(c.problem_id).n_correct == 1
    store.override_verdict(c.id, "unknown", "unclear question", "ben")
    assert store.chain(c.id).verdict == Verdict("unknown", "unclear question", "person:ben", WRONG.answer)
    store.set_verdicts({c.id: RIGHT})  # the grader may change its mind below
    assert store.chain(c.id).verdict.grader == "person:ben"
    for who, left in (("ben", "person:ana"), ("ana", "stepviz/1")):
        store.add_annotation(Annotation(c.id, who, "verdict", 0, None, undone=True))
        assert store.chain(c.id).verdict.grader == left
    assert store.chain(c.id).disputed is False
    with pytest.raises(StepvizError, match="Say why"):
        store.override_verdict(c.id, "correct", "  ", "ana")


def test_a_files_flag_disputes_but_does_not_override(store: Store, c: Chain):
    store.add_items([SourceItem(problem(), (c,), (Annotation(c.id, "gsm8k", "verdict", 0, 1, key="1"),))])
    assert (store.chain(c.id).verdict, store.chain(c.id).disputed) == (WRONG, True)


@pytest.mark.parametrize(
    "said, graded, disputed",
    [
        ([], "wrong", False),
        ([("ana", "correct", 1, 1), ("ben", "correct", 1, 1)], "wrong", False),
        ([("ana", "correct", 1, 1), ("ben", "correct", 1, -1)], "wrong", True),
        ([("ana", "correct", 1, 1), ("ben", "correct", 2, -1)], "wrong", False),
        ([("ana", "correct", 1, 1), ("ana", "correct", 1, -1)], "wrong", False),  # she changed her mind
        ([("ana", "correct", 1, 1), ("ben", "correct", 1, None)], "wrong", False),  # unsure
        ([("ana", "correct", 1, 1), ("ben", "solvable", 1, -1)], "wrong", False),  # another question
        ([("ana", "first_error", 0, 1), ("ben", "first_error", 0, 2)], "wrong", True),
        ([("ana", "first_error", 0, None), ("ben", "first_error", 0, 2)], "correct", True),
        ([("ana", "first_error", 0, None)], "wrong", True),  # no step is wrong, yet the answer is
        ([("ana", "first_error", 0, None)], "correct", False),
        ([("ana", "first_error", 0, 2)], "correct", False),  # lucky
        ([("ana", "verdict", 0, -1)], "wrong", False),
        ([("ana", "verdict", 0, -1)], "correct", True),
        ([("ana", "verdict", 0, 1)], "unknown", True),  # changed by a person
    ],
)
def test_disputed(store: Store, c: Chain, said: list, graded: str, disputed: bool):
    store.set_verdicts({c.id: Verdict(graded, "", "stepviz/1", "6")})
    for who, question, step, value in said:
        store.add_annotation(Annotation(c.id, who, question, step, value))
    assert store.chain(c.id).disputed is disputed
    assert store.count_problems(ProblemFilter(result="disputed")) == int(disputed)


def _results(store: Store) -> None:
    """solved: all right; mixed: some right; unsolved: none right; unsampled: no chain."""
    for name, verdicts in {"solved": [RIGHT], "mixed": [RIGHT, WRONG], "unsolved": [WRONG, WRONG], "bare": []}.items():
        p = problem(
            f"The {name} question, 50% of it_", source=name, key=f"{name}/1", split="dev" if name == "bare" else "test"
        )
        chains = [chain(p, str(j)) for j in range(len(verdicts))]
        store.add_items([SourceItem(p, tuple(chains))], {x.id: v for x, v in zip(chains, verdicts, strict=True)})


UNKNOWN = Verdict("unknown", "no final answer", "stepviz/1")


def test_only_what_was_judged_is_unsolved_or_mixed(store: Store):
    """No gold answer: nothing failed. A chain cut off beside a right one is no wrong one."""
    cases = {
        "no gold": (None, [UNKNOWN, UNKNOWN]),
        "no gold, a file says wrong": (None, [UNKNOWN, WRONG]),
        "all cut off": ("5", [UNKNOWN, UNKNOWN]),
        "right and cut off": ("5", [RIGHT, UNKNOWN]),
        "right, wrong, cut off": ("5", [RIGHT, WRONG, UNKNOWN]),
    }
    for name, (answer, verdicts) in cases.items():
        p = problem(f"The question of {name}?", source="cases", key=name, answer=answer)
        chains = [chain(p, str(j)) for j in range(len(verdicts))]
        store.add_items([SourceItem(p, tuple(chains))], {x.id: v for x, v in zip(chains, verdicts, strict=True)})

    def named(result: str) -> list[str]:
        found = ProblemFilter(source="cases", result=result)
        keys = [p.sources[0].key for p in store.problems(found)]
        assert store.count_problems(found) == len(keys)
        return keys

    assert named("unsolved") == ["no gold, a file says wrong", "all cut off"]
    assert named("mixed") == ["right, wrong, cut off"]
    assert named("solved") == ["right and cut off", "right, wrong, cut off"]


@pytest.mark.parametrize(
    "filter, names",
    [
        (ProblemFilter(), "solved mixed unsolved bare"),
        (ProblemFilter(result="solved"), "solved mixed"),
        (ProblemFilter(result="mixed"), "mixed"),
        (ProblemFilter(result="unsolved"), "unsolved"),
        (ProblemFilter(result="unsampled"), "bare"),
        (ProblemFilter(result="disputed"), ""),
        (ProblemFilter(source="mixed"), "mixed"),
        (ProblemFilter(source="mixed", split="dev"), ""),
        (ProblemFilter(split="dev"), "bare"),
        (ProblemFilter(search="QUESTION solved"), "solved unsolved"),
        (ProblemFilter(search="50%"), "solved mixed unsolved bare"),
        (ProblemFilter(search="5%%"), ""),
        (ProblemFilter(search="it_"), "solved mixed unsolved bare"),
        (ProblemFilter(search="i_"), ""),
        (ProblemFilter(search="bare/1"), "bare"),
        (ProblemFilter(search="' OR 1=1 --"), ""),
        (ProblemFilter(search="solved", result="solved"), "solved"),
    ],
)
def test_problem_filters(store: Store, filter: ProblemFilter, names: str):
    _results(store)
    rows = store.problems(filter)
    assert [row.sources[0].source for row in rows] == names.split()
    assert store.count_problems(filter) == len(rows)
    assert store.problems(filter, limit=1, offset=1) == rows[1:2]
    if rows:
        assert store.problems(ProblemFilter(search=rows[0].id)) == rows[:1]
