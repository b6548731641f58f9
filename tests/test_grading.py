"""What an older grader judged is judged again: once, by the draws before the chains, and never above a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ContinuationKey, ModelRow
from stepviz import grading
from stepviz.answers import GRADER
from stepviz.grading import Regraded, grade_chains, regrade
from stepviz.sampling import branch, finished
from stepviz.types import Problem, PromptStyle, SourceItem, Verdict
from tests.store_cases import SAMPLING, chain, draw, item, new_url
from tests.test_cli import run, value

NOON = Problem("When does she leave?", "5 p.m.", source="mine", key="1")
OLD = Verdict("correct", "the same number", "stepviz/1", "5 a.m.")  # words beside a number were not read then


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        opened.add_model(ModelRow("embedded/student", spec="embedded:student"))
        opened.add_sampling(SAMPLING)
        yield opened


@pytest.fixture
def judged(store: Store) -> Store:
    """A written chain, one that a person judged, two draws, and a chain that is the first draw."""
    written, overridden = chain(NOON, "w", text="A: 5 a.m."), chain(NOON, "o", text="A: 5 a.m.")
    store.add_items([SourceItem(NOON, (written, overridden))], {written.id: OLD, overridden.id: OLD})
    store.override_verdict(overridden.id, "unknown", "a.m. is not plausible", "ana")
    draws = [draw(NOON, j, f"A: 5 {half}.m.", answer=f"5 {half}.m.") for j, half in enumerate("ap")]
    store.add_continuations(draws)
    key = ContinuationKey(NOON.id, draws[0].prefix_hash, draws[0].model_id, draws[0].sampling_id, 0)
    store.add_chain(chain(NOON, "s", text="A: 5 a.m.", origin="embedded/student"), OLD, key)
    return store


def graded(store: Store) -> dict[str, tuple[str, str]]:
    found = {row.chain.key: (row.verdict.value, row.graded.grader) for row in store.chains(NOON.id)}
    return found | {f"draw {c.j}": (c.verdict, c.grader) for c in store.continuations_for(NOON.id)}


NEW = {
    "w": ("wrong", GRADER), "o": ("unknown", GRADER), "s": ("wrong", GRADER),
    "draw 0": ("wrong", GRADER), "draw 1": ("correct", GRADER),
}  # fmt: skip


def test_an_older_graders_verdicts_are_given_again_and_a_persons_stays(judged: Store):
    assert judged.problem(NOON.id).n_correct == 2
    report = regrade(judged)
    assert report == Regraded(problems=1, chains=3, draws=2, changed=4)
    assert graded(judged) == NEW
    overridden = next(row for row in judged.chains(NOON.id) if row.chain.key == "o")
    assert (overridden.verdict.grader, overridden.graded.value) == ("person:ana", "wrong")
    assert judged.problem(NOON.id).n_correct == 0
    assert regrade(judged) == Regraded()


def test_stopped_between_draws_and_chains_the_next_call_goes_on(judged: Store, monkeypatch: pytest.MonkeyPatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(judged, "set_verdicts", killed)
        with pytest.raises(KeyboardInterrupt):
            regrade(judged)
    assert graded(judged)["s"] == ("correct", "stepviz/1")
    report = regrade(judged)
    assert (report.chains, report.draws) == (3, 0)
    assert graded(judged) == NEW


def test_batches_tell_how_far_they_are_and_can_be_stopped(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grading, "BATCH", 2)
    items = [item(n, n_chains=1) for n in range(5)]
    store.add_items(items, {x.chains[0].id: OLD for x in items})
    seen: list[tuple[int, int]] = []
    report = regrade(store, lambda *now: seen.append(now), cancelled=lambda: len(seen) == 2)
    assert (seen, report.chains) == ([(2, 5), (4, 5)], 4)
    assert regrade(store).chains == 1


def test_only_this_graders_older_verdicts_are_old(store: Store):
    ours, theirs = ("stepviz/1", GRADER, "", "other/1"), ("file:mine", f"{GRADER}+file:mine")
    verdicts = [Verdict("correct", "", grader, "5") for grader in (*ours, *theirs)]
    items = [item(n, n_chains=1) for n in range(len(verdicts))]
    store.add_items(items, {x.chains[0].id: v for x, v in zip(items, verdicts, strict=True)})
    assert store.graded_before(GRADER) == [items[0].problem.id, items[4].problem.id]
    assert [grading.is_old(v) for v in verdicts] == [True, False, False, False, True, False]


def test_where_the_file_decided_its_flag_is_asked_only_if_we_still_cannot(store: Store):
    """Its first answer can be judged by now; the second still cannot, and is as the file says."""
    p = Problem("When?", "5 p.m.")
    by_file = Verdict("correct", "cannot judge; the file says that the answer is right", "file:mine", "17:00")
    clear = chain(p, "1", text="A: 17:00", origin="mine/x", meta={"flag": True})
    unclear = chain(p, "2", text="A: 5 apples", origin="mine/x", meta={"flag": False})
    store.add_items([SourceItem(p, (clear, unclear))], {clear.id: by_file, unclear.id: by_file})
    regrade(store)
    found = [(row.verdict.value, row.verdict.grader) for row in store.chains(p.id)]
    assert found == [("correct", GRADER), ("wrong", f"{GRADER}+file:mine")]
    assert "the file says that the answer is wrong" in store.chain(unclear.id).verdict.reason
    assert store.graded_before(GRADER) == []


@pytest.mark.parametrize(
    ("meta", "text"), [({"answer_rule": "last-number"}, "so\nit is 5 or 7 apples"), ({}, "it is 7 now")]
)
def test_answers_are_read_again_by_the_rule_they_were_read_by(store: Store, meta: dict, text: str):
    """A chain of an older version does not say its rule: there what was read tells it."""
    p = Problem("How many?", "7")
    one = chain(p, "1", text=text, meta=meta)
    store.add_items([SourceItem(p, (one,))], {one.id: Verdict("correct", "the same number", "stepviz/1", "7")})
    regrade(store)
    verdict = store.chain(one.id).verdict
    assert (verdict.value, verdict.answer, verdict.grader) == ("correct", "7", GRADER)


def test_an_edited_chain_says_by_which_rule_its_answer_is_read():
    p = Problem("How many?", "7")
    parent = chain(p, "1", text="3+4=8\nA: 8")
    style = PromptStyle(answer_rule="gsm8k")
    made, verdict = finished(branch(parent, 2, "A: 7", style), p, "ana", style)
    assert (made.meta["answer_rule"], verdict.value) == ("gsm8k", "correct")
    assert grade_chains([("7", made)], "gsm8k")[made.id].value == "correct"


def test_the_command_says_what_it_did_and_stats_that_it_is_needed(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/cli.db") as store:
        one = chain(NOON, text="A: 5 a.m.")
        store.add_items([SourceItem(NOON, (one,))], {one.id: OLD})
    assert "1 problem has verdicts of an older grader: python -m stepviz regrade" in run(tmp_path, "stats").stderr
    done = value(run(tmp_path, "regrade", "--json"))
    assert done == {"grader": GRADER, "problems": 1, "chains": 1, "draws": 0, "changed": 1}
    again = run(tmp_path, "regrade")
    assert (again.returncode, "0 verdicts changed" in again.stdout) == (0, True)
    assert "older grader" not in run(tmp_path, "stats").stderr
