"""The job `refine`: what it stores, what it passes over, what it leaves out, and what a cancel or a kill leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import RefinementFilter, RefinementRow, RunRow
from stepviz import jobs
from stepviz.types import Problem, SourceItem, Verdict
from stepviz.worker import Worker
from tests.job_cases import CHAIN, NOBODY, OTHER, PROBLEM, WRONG, heartbeats, wait_for
from tests.refine_cases import FIXED, ScriptedRefiner, ScriptedScorer, draft
from tests.store_cases import new_url

RIGHT = Verdict("correct", "", "test", "4")
GOOD = draft(OTHER.id, "good", "8/2=4\n#### 4")
MODELS = {"refiner": "hf:refiner", "orm": "hf:orm", "sorm": "hf:sorm"}
# CHAIN is "Tom has 3 apples." "3+12=16" "#### 16": E is 2; the ORM doubts it, doubts the global one more
SORM = {"3+12=16": 0.5, "#### 16": 0.1}
ORM = {"#### 16": 0.2, "#### 9": 0.1, "#### 15": 0.8, "#### 4": 0.95}


class Bench:
    """A store with a wrong draft and a right one, and a worker whose models answer from scripts."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_items([SourceItem(PROBLEM, (CHAIN,)), SourceItem(OTHER, (GOOD,))], {CHAIN.id: WRONG, GOOD.id: RIGHT})
        self.refiner = ScriptedRefiner("hf:refiner")
        self.orm = ScriptedScorer("hf:orm", "orm", ORM)
        self.sorm = ScriptedScorer("hf:sorm", "sorm", SORM)
        self.worker = Worker(
            store, lambda *_, **__: self.refiner, lambda spec, _: {"hf:orm": self.orm, "hf:sorm": self.sorm}[spec]
        )

    def do(self, *chains: str, **settings: object) -> RunRow:
        run_id = self.start(*chains, **settings)
        while self.worker.run_next(None):
            pass
        return self.store.run(run_id)

    def start(self, *chains: str, **settings: object) -> int:
        return jobs.start(self.store, "refine", {"chains": chains or [CHAIN.id], **MODELS, **settings}, **NOBODY)

    def line(self) -> RefinementRow:
        (found,) = self.store.refinements()
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(new_url(tmp_path)) as store:
        yield Bench(store)


def test_a_wrong_draft_is_refined_both_ways_and_the_ledger_says_how(bench: Bench) -> None:
    run = bench.do()
    assert run.state == "done", run.error
    assert (run.kind, run.progress["done"], run.progress["unit"]) == ("refine", 1, "drafts")
    line = bench.line()
    assert (line.when, line.chosen, line.where, line.pick, line.gain) == (0.2, True, 2, "local", 1)
    assert [(c.name, c.score, c.verdict) for c in line.candidates] == [
        ("draft", 0.2, "wrong"), ("global", 0.1, "wrong"), ("local", 0.8, "correct"),
    ]  # fmt: skip
    assert (line.refiner, line.orm, line.locator) == ("refiner@1", "orm@1", "sorm@1")
    made = bench.store.chain(line.picked.chain)
    assert (made.chain.text, made.chain.origin, made.chain.parent) == (FIXED, "refinement", CHAIN.id)
    assert (made.verdict.value, made.verdict.answer) == ("correct", "15")
    assert made.chain.meta["bad"] == 2


def test_scores_of_draft_and_refinements_are_stored_for_the_curves(bench: Bench) -> None:
    bench.do()
    local = bench.line().picked.chain
    assert [(s.step, s.score, s.model_id) for s in bench.store.scores(CHAIN.id)] == [
        (1, 0.9, "orm@1"), (2, 0.9, "orm@1"), (3, 0.2, "orm@1"),
        (1, 0.9, "sorm@1"), (2, 0.5, "sorm@1"), (3, 0.1, "sorm@1"),
    ]  # fmt: skip
    assert [s.score for s in bench.store.scores(local) if s.model_id == "orm@1"] == [0.9, 0.9, 0.8]
    assert {m.role for m in bench.store.models()} == {"refiner", "orm", "sorm"}


def test_a_sorm_that_does_not_locate_is_asked_for_the_curves_all_the_same(bench: Bench) -> None:
    bench.do(how="global")
    line = bench.line()
    assert (line.locator, line.where) == (None, None)
    assert [s.score for s in bench.store.scores(CHAIN.id) if s.model_id == "sorm@1"] == [0.9, 0.5, 0.1]
    assert [s.score for s in bench.store.scores(line.candidates[1].chain) if s.model_id == "sorm@1"] == [0.9, 0.9]


def test_what_stands_in_the_ledger_is_not_done_again_and_other_settings_draw_only_what_is_new(bench: Bench) -> None:
    bench.do()
    bench.do()
    assert (len(bench.store.refinements()), len(bench.refiner.prompts)) == (1, 2)
    bench.do(threshold=0.4)  # E moves to step 3: a new local prompt, the same global one
    assert len(bench.refiner.prompts) == 3
    assert [line.where for line in bench.store.refinements()] == [3, 2]
    bench.do(at=2)  # by hand, where the SORM had put it: nothing to draw
    assert len(bench.refiner.prompts) == 3
    assert bench.store.refinements(RefinementFilter(where="hand"))[0].at == 2


def test_the_gate_spares_what_the_orm_believes(bench: Bench) -> None:
    bench.do(CHAIN.id, GOOD.id, gate=0.5)
    run = bench.do(CHAIN.id, GOOD.id, gate=0.5)  # a second time: the report is about the same drafts
    assert run.progress["report"] == {
        "drafts": 2, "refined": 1, "spared": 1, "fixed": 1, "broken": 0, "right_before": 1, "right_after": 2,
        "right_any": 2, "unjudged": 0,
    }  # fmt: skip
    spared, refined = bench.store.refinements()
    assert (spared.draft, spared.chosen, spared.pick, spared.when) == (GOOD.id, False, "draft", 0.95)
    assert len(spared.candidates) == 1
    assert refined.chosen
    assert len(bench.refiner.prompts) == 2


def test_no_flagged_step_means_a_global_refinement_only(bench: Bench) -> None:
    bench.sorm.of = {}
    bench.do(how="local")
    line = bench.line()
    assert (line.where, [c.name for c in line.candidates]) == (None, ["draft", "global"])
    bench.do(how="local", no_flag="skip")
    assert [c.name for c in bench.store.refinements()[0].candidates] == ["draft"]


def test_the_answer_line_may_be_flagged(bench: Bench) -> None:
    bench.sorm.of = {"#### 16": 0.3}
    bench.do(how="local")
    assert bench.line().where == 3
    assert bench.refiner.prompts[0].endswith("3+12=16\n[BAD] #### 16\nRefinement:\nTom has 3 apples.\n3+12=16\n")


def test_at_the_first_step_one_chain_stands_for_both(bench: Bench) -> None:
    bench.do(at=1)
    _, as_global, as_local = bench.line().candidates
    assert as_global.chain == as_local.chain
    assert len(bench.refiner.prompts) == 1


def test_a_refinement_that_says_the_same_leaves_the_draft_standing(bench: Bench) -> None:
    bench.refiner.local = CHAIN.text
    bench.do(how="local")
    line = bench.line()
    assert line.pick == "draft"
    assert line.candidate("local").score == line.candidate("draft").score
    assert line.gain == 0


def test_an_unfinished_refinement_is_kept_and_never_picked(bench: Bench) -> None:
    bench.refiner.local, bench.refiner.reason = "Tom has 3 apples.\n3+12=15 and", "length"
    bench.do(how="local")
    line = bench.line()
    assert (line.pick, line.candidate("local").score) == ("draft", None)
    made = bench.store.chain(line.candidate("local").chain)
    assert (made.chain.meta["finish_reason"], made.verdict.answer) == ("length", None)


def test_a_repeated_mark_is_taken_out_and_counted(bench: Bench) -> None:
    bench.refiner.local = "Tom has 3 apples.\n[BAD] 3+12=15\n#### 15"
    bench.do(how="local")
    made = bench.store.chain(bench.line().picked.chain)
    assert (made.chain.text, made.chain.meta["marks"], made.verdict.value) == (FIXED, 1, "correct")


def test_suffixes_are_put_behind_the_steps_that_stay(bench: Bench) -> None:
    bench.refiner.local = "3+12=15\n#### 15"
    bench.do(how="local", target="suffix")
    assert bench.store.chain(bench.line().picked.chain).chain.text == FIXED
    bench.store.set_spans(CHAIN.id, CHAIN.spans, "line/1")
    bench.do(how="local", target="suffix", threshold=0.55)  # the same prompt: recalled, and not joined twice
    assert len(bench.refiner.prompts) == 1
    assert bench.store.refinements()[0].picked.score == 0.8


def test_several_samples_are_each_a_chain(bench: Bench) -> None:
    run = bench.do(samples=3)
    assert run.state == "done", run.error
    assert [c.name for c in bench.line().candidates] == [
        "draft", "global", "global 2", "global 3", "local", "local 2", "local 3",
    ]  # fmt: skip
    assert len({c.chain for c in bench.line().candidates}) == 7
    assert bench.store.sampling(bench.line().sampling_id).temperature == 0.7


def test_equal_drafts_are_decoded_once_and_have_a_chain_each(bench: Bench) -> None:
    twin = draft(PROBLEM.id, "twin", CHAIN.text)
    bench.store.add_items([SourceItem(PROBLEM, (twin,))], {twin.id: WRONG})
    bench.do(CHAIN.id, twin.id)
    assert len(bench.refiner.prompts) == 2
    assert {bench.store.chain(line.picked.chain).chain.parent for line in bench.store.refinements()} == {
        CHAIN.id,
        twin.id,
    }


def test_what_cannot_be_refined_costs_no_other_its_refinement(bench: Bench) -> None:
    hard = Problem("This one is unreadable: 2+2?", "4", source="mine", key="3")
    unread, stepless = draft(hard.id, "u", "2+2=5\n#### 5"), draft(PROBLEM.id, "s", "3+12=16", cut=False)
    long = draft(PROBLEM.id, "l", "this is too long\n3+12=16")
    bench.store.add_items([SourceItem(hard, (unread,)), SourceItem(PROBLEM, (stepless, long))])
    run = bench.do(unread.id, stepless.id, long.id, CHAIN.id)
    assert run.state == "done"
    assert run.progress["done"] == 4
    assert run.progress["note"].startswith("3 of the drafts could not be refined: ")
    log = "\n".join(line for _, line in bench.store.log_lines(run.id))
    assert f"chain {unread.id}: the chain has 999 tokens" in log
    assert f"chain {stepless.id}: the chain has no steps" in log
    assert f"chain {long.id}: the prompt has 1001 tokens" in log
    assert bench.line().draft == CHAIN.id
    alone = bench.do(stepless.id)
    assert (alone.state, "no steps" in alone.error) == ("failed", True)
    beyond = bench.do(CHAIN.id, at=7)
    assert (beyond.state, "steps 1 … 3" in beyond.error) == ("failed", True)


def test_without_scorers(bench: Bench) -> None:
    bench.do(orm="none", sorm="none", how="global")
    line = bench.line()
    assert (line.when, line.orm, line.locator, line.pick, line.chosen) == (None, None, None, "global", True)


def test_a_problem_without_a_gold_answer_has_no_gain(bench: Bench) -> None:
    bare = Problem("Tom has 3 apples and buys 12 more, without gold. How many?", source="mine", key="4")
    chain = draft(bare.id, "b", CHAIN.text)
    bench.store.add_items([SourceItem(bare, (chain,))])
    bench.do(chain.id)
    assert (bench.line().gain, bench.line().pick) == (None, "local")


def test_inside_a_chunk_the_draws_are_told_as_the_batches_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from stepviz import worker

    monkeypatch.setattr(worker, "BEAT_S", 0.01)
    beats = heartbeats(bench.store, monkeypatch)
    three = [draft(PROBLEM.id, str(i), f"{i} apples\n3+12=16\n#### 16") for i in range(3)]
    bench.store.add_items([SourceItem(PROBLEM, tuple(three))], {c.id: WRONG for c in three})
    run_id, seen = bench.start(*(c.id for c in three)), []

    def look() -> None:
        time.sleep(0.15)  # there is something to reckon the time left by
        heard = len(beats)
        wait_for(lambda: len(beats) > heard + 2)  # the second of these began after this
        seen.append(dict(bench.store.run(run_id).progress))

    bench.refiner.before_batch = look
    bench.worker.run_next(None)
    # six draws, global and local of three drafts, two a batch, nine tokens each: a third of the three drafts a batch
    told = [(p["done"], p["part"], p["total"], p.get("tokens"), p.get("note")) for p in seen[1:]]
    assert told == [(0, 1, 3, 18, "2 of 6 draws for 3 drafts"), (0, 2, 3, 36, "4 of 6 draws for 3 drafts")]
    assert all(p["tokens_per_s"] > 0 and p["eta_s"] > 0 for p in seen[1:])
    through = bench.store.run(run_id).progress
    assert (through["done"], through["part"], through["note"], through["tokens"]) == (3, 0, "", 54)


def test_a_cancel_keeps_what_was_drawn_and_a_resume_draws_only_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepviz import refine_job, worker

    monkeypatch.setattr(worker, "BEAT_S", 0.01)
    monkeypatch.setattr(refine_job, "CHUNK", 3)
    many = [draft(PROBLEM.id, str(i), f"{i} apples\n3+12=16\n#### 16") for i in range(9)]
    bench.store.add_items([SourceItem(PROBLEM, tuple(many))], {c.id: WRONG for c in many})
    run_id = bench.start(*(c.id for c in many))

    def cancel_in_the_second_chunk() -> None:
        if len(bench.refiner.prompts) >= 8:
            bench.store.request_cancel(run_id)
            wait_for(lambda: bench.store.run(run_id).state == "cancelled")

    bench.refiner.before_batch = cancel_in_the_second_chunk
    bench.worker.run_next(None)
    assert bench.store.run(run_id).state == "cancelled"
    before, lines = len(bench.refiner.prompts), bench.store.count_refinements()
    assert 8 <= before < 18
    assert 3 <= lines <= before // 2, "a draft that was cut short is not in the ledger"
    bench.refiner.before_batch = lambda: None
    jobs.resume(bench.store, run_id, **NOBODY)
    bench.worker.run_next(None)
    assert bench.store.run(run_id).state == "done"
    assert bench.store.count_refinements() == 9
    assert len(bench.refiner.prompts) == len(set(bench.refiner.prompts)) == 18, "a prompt was decoded twice"


def test_a_crash_between_a_draw_and_its_line_repeats_no_draw(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "add_refinement", lambda _: 1 / 0)
        assert bench.do().state == "failed"
    assert (bench.store.count_refinements(), len(bench.refiner.prompts)) == (0, 2)
    assert bench.do().state == "done"
    assert (bench.line().pick, len(bench.refiner.prompts)) == ("local", 2)


def test_a_click_is_served_while_drafts_are_scored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with the first draft's score, and is done before the refiner writes anything."""
    monkeypatch.setattr("stepviz.refine_progress.LOOK_S", -1.0)
    score, clicks, seen = bench.orm.score, [], []

    def scoring(*given: object) -> object:
        if not clicks:
            clicks.append(jobs.start(bench.store, "score", {"chains": [GOOD.id], "model": "hf:sorm"}, **NOBODY))
        return score(*given)

    monkeypatch.setattr(bench.orm, "score", scoring)
    bench.refiner.before_batch = lambda: seen.append(bench.store.run(clicks[0]).state)
    run = bench.start(CHAIN.id)
    bench.worker.run_next(None)
    assert seen == ["done"]
    assert bench.store.run(run).state == "done"
