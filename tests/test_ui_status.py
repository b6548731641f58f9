"""Which run a chain's page tells of, at work or stopped, and what may cancel it."""

from __future__ import annotations

import pytest

from db.store import Store
from stepviz.errors import StepvizError
from stepviz.ui import render_chain
from stepviz.ui.explore import Explore
from stepviz.ui.page import guarded
from stepviz.ui.refine_page import Refine
from stepviz.ui.status import head_of, run_here, stop
from tests.ui_cases import Filled


def stopped(store: Store, kind: str, spec: dict[str, object], state: str = "cancelled", note: str = "") -> int:
    run = store.add_run(kind, spec)
    store.claim_run("me", id=run)
    store.heartbeat(run, "me", {"done": 12, "total": 64, "unit": "continuations", "note": note})
    store.finish_run(run, state, worker="me")
    return run


def bar(filled: Filled, name: str) -> str:
    chain = filled.bench.store.chain(filled.ids[name])
    problem = filled.bench.store.problem(chain.chain.problem_id)
    return render_chain.run_bar(run_here(filled.bench, problem, chain))


def test_a_cancelled_run_is_named_where_it_ran_until_a_later_one_of_its_kind(filled: Filled):
    store, ids = filled.bench.store, filled.ids
    problem, number = store.problem(ids["problem"]), store.chain(ids["wrong"]).number
    sampling = "Sampling this problem was cancelled after 12 of 64 continuations."
    measuring = f"Measuring chain {number} was cancelled after 12 of 64 continuations."
    stopped(store, "sample", {"problems": [problem.id], "add": 64})
    assert sampling in bar(filled, "wrong")
    first = stopped(store, "measure", {"chains": [ids["wrong"]], "n": 8})
    assert measuring in bar(filled, "wrong")
    assert sampling in bar(filled, "right"), "measuring another chain has not brought its chains"
    stopped(store, "score", {"chains": [ids["right"]], "model": "m"}, "done")
    assert measuring in bar(filled, "wrong")
    assert f'data-act="resume" data-run="{first}"' in bar(filled, "wrong")
    stopped(store, "measure", {"chains": [ids["wrong"]], "n": 16}, "done")
    filled.bench.dismissed.add(1)
    assert "hidden" in bar(filled, "wrong")


def test_a_run_over_many_chains_is_told_at_each_however_many_began_since(filled: Filled):
    """A shell's run over 56 chains; clicks are let in while it works, here and elsewhere, and it is cancelled then."""
    store, ids = filled.bench.store, filled.ids
    spec = {"chains": [ids["wrong"], *(f"{i:024x}" for i in range(55))], "n": 128}
    run = store.add_run("measure many", spec)
    store.claim_run("me", 3600, id=run)
    store.heartbeat(run, "me", {"done": 1663, "total": 18112, "unit": "continuations"}, 3600)
    for _ in range(2):
        stopped(store, "measure", {"chains": [ids["wrong"]], "n": 8}, "done")
    for _ in range(240):
        store.finish_run(store.add_run("import", {"path": "x"}, worker="other"), "done")
    assert "<b>1,663 of 18,112</b> continuations of 56 chains" in bar(filled, "wrong")
    assert ">Cancel all 56 chains</button>" in bar(filled, "wrong")
    assert sum(line.kind == "measure" for line in head_of(filled.bench, "explore").runs if line.active) == 1
    with pytest.raises(StepvizError, match="over 56 chains, and Esc stops what is of this page alone"):
        stop(filled.bench, run, by_key=True)
    assert not store.run(run).cancel_requested
    assert stop(filled.bench, run) == f"Run {run}, over 56 chains, is asked to stop."
    assert store.run(run).cancel_requested


def test_a_click_that_ended_before_the_cancel_hides_no_notice(filled: Filled):
    store, ids = filled.bench.store, filled.ids
    run = store.add_run("measure many", {"chains": [ids["wrong"], ids["right"], ids["bad"]], "n": 128})
    store.claim_run("me", id=run)
    store.heartbeat(run, "me", {"done": 3, "total": 90, "unit": "continuations"})
    stopped(store, "measure", {"chains": [ids["wrong"]], "n": 8}, "done")
    store.finish_run(run, "cancelled", worker="me")
    said = f"Measuring chain {store.chain(ids['wrong']).number} and 2 other chains was cancelled after 3 of 90"
    assert said in bar(filled, "wrong")
    assert f'data-act="resume" data-run="{run}"' in bar(filled, "wrong")


def test_esc_stops_what_is_of_this_chain_alone(filled: Filled):
    store, chain = filled.bench.store, filled.ids["wrong"]
    alone = store.add_run("measure", {"chains": [chain], "n": 8}, worker="me")
    many = store.add_run("measure many", {"chains": [chain, filled.ids["right"]], "n": 8}, worker="me")
    assert "of 2 chains" not in bar(filled, "wrong"), "the run of this chain alone is shown first"
    for run, key, cancelled in ((many, {"key": "Esc"}, False), (alone, {"key": "Esc"}, True), (many, {}, True)):
        sent = {"act": "cancel", "run": str(run), "at": f"?chain={chain}", **key}
        update = guarded(Explore(filled.bench).act, sent, "ana")
        assert ("is over 2 chains" in update.reply) is not cancelled
        assert store.run(run).cancel_requested is cancelled


def test_in_refine_esc_stops_what_its_address_started(filled: Filled):
    store, chain = filled.bench.store, filled.ids["wrong"]
    chains = [chain, filled.ids["right"]]
    for kind, at, cancelled in (("measure many", "", False), ("refine many", "&run={run}", True)):
        run = store.add_run(kind, {"chains": chains}, worker="me")
        sent = {"act": "cancel", "run": str(run), "at": f"?chain={chain}" + at.format(run=run), "key": "Esc"}
        update = guarded(Refine(filled.bench).act, sent, "ana")
        assert ("is over 2 chains" in update.reply) is not cancelled
        assert store.run(run).cancel_requested is cancelled
