"""A problem that several sources bring: its gold answer comes late, an import is killed, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db.models import ProblemSourceTable
from db.store import Store, open_store
from db.values import ContinuationKey, ModelRow
from stepviz import exporting, importing
from stepviz.importing import import_path
from stepviz.types import Problem, SourceItem, Verdict
from stepviz.world import embedded_problems, exact_for
from tests.source_rows import lines
from tests.store_cases import SAMPLING, chain, draw, new_url, problem

NO_GOLD = "the problem has no gold answer"
BARE = problem(answer=None, source="table", key="bare")
GOLD = {"question": BARE.question, "answer": "2 + 3 = 5\n#### 5"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        opened.add_model(ModelRow("embedded/student", spec="embedded:student"))
        opened.add_sampling(SAMPLING)
        yield opened


@pytest.fixture
def ungraded(store: Store) -> Store:
    """A question without a gold answer, with a written chain, two draws, and a chain that is the second draw."""
    written, sampled = chain(BARE, "w"), chain(BARE, "s", text="A: 6", origin="embedded/student")
    nothing = Verdict("unknown", NO_GOLD, "stepviz/1", "5")
    store.add_items([SourceItem(BARE, (written,))], {written.id: nothing})
    unknown = {"verdict": "unknown", "reason": NO_GOLD}
    draws = [draw(BARE, j, text, answer=text[3:], **unknown) for j, text in enumerate(("A: 5", "A: 6"))]
    store.add_continuations(draws)
    key = ContinuationKey(BARE.id, draws[1].prefix_hash, draws[1].model_id, draws[1].sampling_id, 1)
    store.add_chain(sampled, nothing, key)
    return store


def graded(store: Store) -> dict[str, str]:
    found = {row.chain.key: row.verdict.value for row in store.chains(BARE.id)}
    return found | {f"draw {c.j}": c.verdict for c in store.continuations_for(BARE.id)}


ALL = {"w": "correct", "s": "wrong", "draw 0": "correct", "draw 1": "wrong"}


def _before_everything(store: Store, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(importing, "_regrade", _killed)


def _between_draws_and_chains(store: Store, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "set_verdicts", _killed)


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", [_before_everything, _between_draws_and_chains])
def test_killed_before_it_could_grade_the_second_import_does(ungraded: Store, tmp_path: Path, at: Any):
    path = lines(tmp_path / "test.jsonl", GOLD)
    with pytest.MonkeyPatch.context() as patch:
        at(ungraded, patch)
        with pytest.raises(KeyboardInterrupt):
            import_path(ungraded, "gsm8k", path)
    assert ungraded.problem(BARE.id).answer == "5"
    assert graded(ungraded)["w"] == "unknown"
    assert import_path(ungraded, "gsm8k", path).regraded == 2
    assert graded(ungraded) == ALL
    assert import_path(ungraded, "gsm8k", path).regraded == 0


def test_what_cannot_be_graded_is_not_graded_again_and_again(store: Store, tmp_path: Path):
    silent, half = chain(BARE, "silent", text="No idea."), chain(BARE, "half", text="First,", meta={"partial": True})
    store.add_items([SourceItem(BARE, (silent, half))], importing.grade_chains([(None, silent), (None, half)]))
    path = lines(tmp_path / "test.jsonl", GOLD)
    assert import_path(store, "gsm8k", path).regraded == 1
    assert graded(store) == {"silent": "unknown", "half": "unknown"}
    assert import_path(store, "gsm8k", path).regraded == 0


def test_gold_on_a_later_line_of_the_same_file(store: Store, tmp_path: Path):
    response = {"question": BARE.question, "response": "2+3=5\n#### 5"}
    path = lines(tmp_path / "a.jsonl", response, {"question": BARE.question, "answer": "5", "response": "#### 6"})
    report = import_path(store, "table", path)
    assert [row.verdict.value for row in store.chains(BARE.id)] == ["correct", "wrong"]
    assert (report.correct, report.wrong, report.unknown, report.regraded) == (1, 1, 0, 0)


def _source_rows(store: Store) -> list[tuple[Any, ...]]:
    s = ProblemSourceTable
    columns = (s.problem_id, s.source, s.split, s.key, s.question, s.answer, s.solution, s.meta)
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(s.id))]


def test_what_each_source_says_is_carried_over_whole(store: Store, tmp_path: Path):
    first = Problem("A  question\nhere", None, None, "mine", "1", None, {"level": 3})
    second = Problem("A question here", "5", "2+3", "gsm8k", "9", "test", {"world": {"x": [1]}, "level": 4})
    third = Problem("A question  here", "five", "3+2", "other", "7", "dev")
    own = chain(first, text="A: 5")
    store.add_items([SourceItem(first, (own,)), SourceItem(second), SourceItem(third)])
    path = tmp_path / "all.jsonl"
    exporting.write_jsonl(exporting.export_stepviz(store), path)
    assert [json.loads(line)["problem"]["answer"] for line in path.open()] == [None, "5", "five"]
    with open_store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        assert import_path(other, "stepviz", path).refused == []
        assert _source_rows(other) == _source_rows(store)
        assert (other.problem(first.id).answer, other.problem(first.id).solution) == ("5", "2+3")
        assert other.readings(first.id) == [first, second, third]
        assert other.chain(own.id).verdict.value == "correct"


@pytest.mark.parametrize("together", [True, False])
def test_a_gold_answer_that_a_known_source_brings_later_is_the_sources_too(
    store: Store, tmp_path: Path, together: bool
):
    late = problem(source="table", key="bare")  # BARE's source and key, with a gold answer now
    assert (late.answer, late.split) == ("5", BARE.split)
    for items in [[BARE, late]] if together else [[BARE], [late]]:
        store.add_items([SourceItem(p) for p in items])
    path = tmp_path / "all.jsonl"
    exporting.write_jsonl(exporting.export_stepviz(store), path)
    with open_store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        import_path(other, "stepviz", path)
        assert other.problem(BARE.id).answer == "5"
        assert _source_rows(other) == _source_rows(store)


def test_a_world_problem_that_a_table_brought_first_has_its_graph(store: Store, tmp_path: Path):
    world = next(iter(embedded_problems("test", 1)))
    path = tmp_path / "mine.csv"
    path.write_text('question,answer\n"{}",{}\n'.format(world.question.replace('"', '""'), world.answer))
    import_path(store, "table", path)
    assert exact_for(store.problem(world.id).problem) is None
    store.add_items([SourceItem(world)])
    judged = exact_for(store.problem(world.id).problem)
    assert judged is not None
    assert judged.judge([f"#### {world.answer}"]).right
    out = tmp_path / "all.jsonl"
    exporting.write_jsonl(exporting.export_stepviz(store), out)
    with open_store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        import_path(other, "stepviz", out)
        row = other.problem(world.id)
        assert [s.source for s in row.sources] == ["mine/mine", "embedded"]
        assert exact_for(row.problem) is not None
        assert other.readings(world.id)[1] == Problem(
            world.question, world.answer, world.solution, "embedded", world.key, world.split,
            json.loads(json.dumps(world.meta)),
        )  # fmt: skip
