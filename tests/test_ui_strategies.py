"""Measure's choice of a strategy, the posterior's pit beside the others', and intervals where steps differ in n."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest

from db.store import Store
from db.values import ContinuationKey, ModelRow
from stepviz import jobs
from stepviz.posterior import CONFIDENCE
from stepviz.types import Sampling, StepValue, prefix_hash
from stepviz.ui import pits, render_chain, render_inspector, render_legend
from stepviz.ui.explore import Explore
from stepviz.ui.rows import ChainPage, Likely, StepRow
from tests import ui_cases
from tests.page_cases import fields_of, said, sender
from tests.ui_cases import Filled, a_draw, page

pytestmark = pytest.mark.usefixtures("no_worker")
send = sender(Explore)


def likely(v: ChainPage) -> Likely | None:
    return next((row.likely for row in v.rows if row.likely), None)


def more(filled: Filled, step: int, right: int, wrong: int) -> None:
    """So many draws of the prefix of the wrong chain beyond its eight."""
    prefix = prefix_hash(filled.bench.store.chain(filled.ids["wrong"]).chain.prefix(step))
    verdicts = ["correct"] * right + ["wrong"] * wrong
    filled.bench.store.add_continuations(
        [a_draw(8 + j, prefix_hash=prefix, verdict=v, answer="264" if v == "correct" else "244")
         for j, v in enumerate(verdicts)]
    )  # fmt: skip


# ---- the dialog


def dialog(store: Store, at: str, **sent: object) -> str:
    return unescape(send(store, "measurer", at, **sent).reply)


def takes(body: str) -> dict[str, str]:
    """Strategy → what it is said to take."""
    labels = re.findall(r"<label>(.*?)</label>", body)
    found = {re.search(r'value="(\w*)"', label)[1]: label for label in labels if 'name="strategy"' in label}
    return {
        name: re.sub("<[^>]+>", " ", re.search(r'takes num">(.*)', label)[1]).strip() for name, label in found.items()
    }


def reasons(body: str) -> dict[str, str]:
    """Strategy → why it would draw nothing, of those that would."""
    labels = [label for label in re.findall(r"<label>(.*?)</label>", body) if "data-nothing" in label]
    return {re.search(r'value="(\w*)"', label)[1]: re.search(r'class="why">(.*?)<', label)[1] for label in labels}


def may_measure(body: str) -> bool:
    return 'class="btn pri" disabled>Measure<' not in body and 'class="btn pri">Measure<' in body


def at(filled: Filled, chain: str) -> str:
    return f"?problem={filled.ids['problem']}&chain={filled.ids[chain]}"


def test_every_strategy_says_what_it_takes_for_this_chain(filled: Filled) -> None:
    """Of the right chain steps 1 to 3 are open and not measured; V[0] is shared and has its eight draws."""
    body = dialog(filled.bench.store, at(filled, "right"))
    said_of = takes(body)
    assert list(said_of) == ["exhaustive", "backward", "forward", "bisect", "adaptive"]
    assert said_of["exhaustive"].startswith("24 draws ≈ ")
    assert {said_of[name] for name in ("forward", "bisect", "adaptive")} == {"nothing to draw"}
    assert {reasons(body)[name] for name in ("forward", "bisect", "adaptive")} == {"right chain: no pit"}
    assert "0:" not in said_of["exhaustive"]  # nothing ran here yet: no time is invented
    assert fields_of(body)["strategy"] == "exhaustive"
    assert fields_of(body)["n"] == "8"


def test_of_a_measured_chain_the_next_size_is_offered(filled: Filled) -> None:
    body = dialog(filled.bench.store, at(filled, "wrong"))
    assert fields_of(body)["n"] == "16"
    assert takes(body)["exhaustive"] == "32 draws ≈ 640 tokens"  # 8 more from 4 prefixes, 20 tokens each as before
    again = dialog(filled.bench.store, at(filled, "wrong"), n="8", strategy="forward")
    assert set(takes(again).values()) == {"nothing to draw"}
    assert fields_of(again)["strategy"] == "forward"


def test_a_strategy_that_would_draw_nothing_says_why_and_what_it_found(filled: Filled) -> None:
    """6/8, 0/8, 0/8 after steps 1 to 3 of a wrong chain: every rule puts its pit at step 2."""
    store = filled.bench.store
    told = reasons(dialog(store, at(filled, "wrong"), n="8"))
    adaptive = told.pop("adaptive")
    assert told == {
        "exhaustive": "every prefix has its 8 draws",
        "backward": "done: label 1 up to step 1",
        "forward": "done: first pit at step 2, 0/8",
        "bisect": "done: first pit at step 2, 0/8",
    }
    assert re.fullmatch(r"every prefix has its 8 draws: likeliest pit step 2, P = \.\d\d, possible", adaptive)
    for step in (2, 3):
        more(filled, step, 0, 32)
    certain = reasons(dialog(store, at(filled, "wrong"), n="64"))["adaptive"]
    assert re.fullmatch(r"done: likeliest pit step 2, P = \.9\d, certain", certain)


def test_the_posterior_without_draws_has_a_likeliest_pit_too(filled: Filled) -> None:
    """Of four draws a prefix each is a large share of what exhaustive would cost, so none is worth it."""
    asked = {"by": "embedded:base", "was": "embedded:base", "n": "4"}
    told = reasons(dialog(filled.bench.store, at(filled, "wrong"), **asked))
    assert list(told) == ["adaptive"]
    assert re.fullmatch(r"nothing worth its tokens: likeliest pit step 1, P = \.\d\d, possible", told["adaptive"])


def test_an_adaptive_measurement_says_that_its_budget_is_spent(filled: Filled) -> None:
    """The open prefixes are over half of what exhaustive would cost, by what the chain itself goes on with (80, 40 and
    10 of 243 characters, the question's are the rest): 16 draws of 32 there are above a quarter of it. Of 64 not."""
    for step, right in ((1, 2), (2, 1), (3, 1)):
        more(filled, step, right, 8 - right)
    told = reasons(dialog(filled.bench.store, at(filled, "wrong"), n="32"))["adaptive"]
    why = r"its budget is spent, 25 % of an exhaustive measurement: likeliest pit step 3, P = \.\d\d, needs more"
    assert re.fullmatch(why, told)
    assert "adaptive" not in reasons(dialog(filled.bench.store, at(filled, "wrong"), n="64"))


def test_measure_waits_where_nothing_would_be_drawn(filled: Filled) -> None:
    """A model that is typed in may have drawn nothing yet."""
    store, wrong = filled.bench.store, at(filled, "wrong")
    assert may_measure(dialog(store, wrong))
    assert not may_measure(dialog(store, wrong, n="8", strategy="forward"))
    assert may_measure(dialog(store, wrong, n="8", strategy="forward", other="hf:somebody/else"))


def test_another_model_is_offered_what_it_has_not_drawn(filled: Filled) -> None:
    """The chain's own model has eight draws everywhere, the other has none: 16 is the next size of the one, 8 of the
    other."""
    store, asked = filled.bench.store, fields_of(dialog(filled.bench.store, at(filled, "wrong")))
    assert (asked["n"], asked["was"]) == ("16", "")
    other = dialog(store, at(filled, "wrong"), **{**asked, "by": "embedded:base"})
    assert (fields_of(other)["n"], fields_of(other)["was"]) == ("8", "embedded:base")
    assert takes(other)["exhaustive"].startswith("32 draws")
    kept = dialog(store, at(filled, "wrong"), **{**fields_of(other), "n": "4"})
    assert fields_of(kept)["n"] == "4"
    assert takes(kept)["exhaustive"].startswith("16 draws")


def test_the_time_is_that_of_the_engines_last_runs(filled: Filled) -> None:
    store = filled.bench.store
    id = store.add_run("measure", {"engine": "embedded"})
    store.claim_run("w")
    store.heartbeat(id, "w", {"tokens": 1000, "tokens_per_s": 8})
    store.finish_run(id, "done")
    assert takes(dialog(store, at(filled, "wrong")))["exhaustive"] == "32 draws ≈ 640 tokens · about 1:20"
    shown = re.sub("<[^>]+>", "", render_chain.view(page(filled)))
    assert "adds ≈ 640 tokens · about 1:20" in shown


@pytest.mark.parametrize(("seconds", "spoken"), [(0.4, "under 1 s"), (3.6, "about 4 s"), (59.7, "about 1:00")])
def test_a_time_is_told_as_it_is_known(seconds: float, spoken: str) -> None:
    assert render_chain.takes(seconds) == spoken


def test_a_field_that_nobody_offered_falls_back(filled: Filled) -> None:
    body = dialog(filled.bench.store, at(filled, "wrong"), n="-3", strategy="<b>", other='"><script>')
    assert fields_of(body)["strategy"] == "exhaustive"
    assert fields_of(body)["n"] == "16"
    raw = send(filled.bench.store, "measurer", at(filled, "wrong"), other='"><script>').reply
    assert "<script>" not in raw


def test_measure_starts_the_chosen_strategy(filled: Filled) -> None:
    store = filled.bench.store
    send(store, "measure", at(filled, "right"), strategy="backward", n="16", by="")
    assert jobs.normalised(store, "measure", store.runs(1)[0].spec)[1]["strategy"] == "backward"
    assert store.runs(1)[0].spec["n"] == 16
    send(store, "measure", at(filled, "right"))
    assert ("strategy" in store.runs(1)[0].spec, store.runs(1)[0].spec["n"]) == (False, 8)
    update = send(store, "measure", at(filled, "right"), strategy="magic", n="8")
    assert "there is no strategy 'magic'" in said(update)


def test_adaptive_goes_by_the_shown_sorm_where_it_is_not_the_newest(filled: Filled) -> None:
    store = filled.bench.store
    ui_cases.add_scores(store, filled.ids)
    assert "scorer" not in fields_of(dialog(store, at(filled, "wrong")))
    store.add_model(ModelRow("new/sorm@c", "sorm", "hf:new"))
    store.add_scores(filled.ids["wrong"], "new/sorm@c", (0.9, 0.8, 0.7, 0.1))
    assert "scorer" not in fields_of(dialog(store, at(filled, "wrong")))
    asked = fields_of(dialog(store, at(filled, "wrong") + "&scorer=hf:sorm", strategy="adaptive", n="64"))
    assert (asked["scorer"], asked["strategy"], asked["n"]) == ("hf:sorm", "adaptive", "64")
    send(store, "measure", at(filled, "wrong") + "&scorer=hf:sorm", **asked)
    spec = store.runs(1)[0].spec
    assert (spec["scorer"], spec["strategy"], spec["n"]) == ("hf:sorm", "adaptive", 64)


# ---- the posterior


def test_the_posterior_stands_beside_the_others_and_is_not_merged(filled: Filled) -> None:
    """4/8, 6/8, 0/8, 0/8: the pit is step 2 for every rule. Eight failures leave it possible, forty make it certain."""
    v = page(filled)
    found = likely(v)
    assert (found.step, found.sure, found.spend) == (2, "possible", 2)
    assert 0.5 < found.probability < 1
    assert found.here < CONFIDENCE <= found.before
    shown = render_chain.view(v)
    assert '<span class="tag pit"' in shown
    assert '<span class="tag post possible"' in shown
    assert "Self-Explore 0/8 · GLoRe 0/8</span>" in shown
    assert re.search(r'data-act="more"[^>]*data-step="2" data-n="32">\+32<', shown)
    for step in (2, 3):
        more(filled, step, 0, 32)
    sure = page(filled)
    assert likely(sure).sure == "certain"
    assert likely(sure).here >= CONFIDENCE
    assert '<span class="tag post certain"' in render_chain.view(sure)
    assert "+32" not in render_chain.view(sure)


def test_a_right_chain_and_one_without_draws_have_none(filled: Filled) -> None:
    assert likely(page(filled, "right")) is None
    assert likely(page(filled, "bad")) is None


def test_the_tag_says_what_it_is_and_what_it_is_not(filled: Filled) -> None:
    """The likeliest pit of this student is not the first label 0 that adaptive's table counts."""
    v = page(filled)
    shown = render_chain.view(v)
    chance = f"{likely(v).probability:.2f}"[1:]
    tag = re.search(
        r'<span class="tag post possible"[^>]*title="([^"]*)"><b>likeliest pit</b>P = (.\d\d), possible<', shown
    )
    assert tag[2] == chance
    assert f"Likeliest pit for this student, embedded/student: P = {chance}, possible, by all draws." in tag[1]
    assert "It is not adaptive’s first label 0, which docs/measuring.md counts" in tag[1]
    assert "Likeliest pit for embedded/student</span>" in render_inspector.inspector(v, v.rows[2])


def test_the_sorms_scores_move_it_and_are_named(filled: Filled) -> None:
    without = likely(page(filled))
    ui_cases.add_scores(filled.bench.store, filled.ids)
    scored = likely(page(filled))
    assert (without.by, scored.by) == ("", "tiny/sorm")
    assert scored.probability != without.probability
    assert "the scores of tiny/sorm" in render_chain.view(page(filled))


def test_the_chain_itself_is_no_draw_from_the_question(filled: Filled) -> None:
    """Eight draws, four right. Where the chain is draw 5 of them, a wrong one, seven are left."""
    row = filled.bench.store.chain(filled.ids["wrong"])
    draws = page(filled).rows[0].continuations
    every = filled.bench.store.continuations(row.chain.problem_id, prefix_hash(""), ui_cases.MODEL, Sampling().hash)
    assert len(draws) < len(every) == 8
    assert (pits.others(row, every).n, pits.others(row, every).k) == (8, 4)
    own = ContinuationKey(row.chain.problem_id, prefix_hash(""), ui_cases.MODEL, Sampling().hash, 5)
    assert (
        pits.others(replace(row, continuation=own), every).n,
        pits.others(replace(row, continuation=own), every).k,
    ) == (7, 4)


def test_the_inspector_tells_both_sides_and_what_can_be_done(filled: Filled) -> None:
    v = page(filled)
    shown = render_inspector.inspector(v, v.rows[2])
    claim = r"P = \.\d\d, <b>possible</b>: P\(V\[2\] ≤ \.05\) = \.\d\d, P\(V\[1\] &gt; \.05\) = (\.\d\d|1)\."
    assert re.search(claim, shown)
    assert 'data-act="measurer"' in shown
    assert 'data-strategy="adaptive"' in shown
    assert (
        "python -m stepviz pits" in shown
    )  # the model at hand is no embedded student that the pit model was fitted to
    assert "Posterior" not in render_inspector.inspector(v, v.rows[1])


def test_a_claim_is_not_rounded_up_to_its_threshold() -> None:
    found = Likely(2, "possible", 0.9, 0.9496, 0.9999, 2)
    v = ChainPage("", tuple(StepRow(i, "") for i in range(3)))
    shown = render_inspector.inspector(v, replace(v.rows[2], likely=found))
    assert "= .94" in shown


def test_the_legend_knows_the_three_words() -> None:
    sheet = render_legend.help_sheet()
    for sure in ("certain", "possible", "needs more"):
        assert re.search(rf"<b>likeliest pit</b>P = [.]\d\d, {sure}<", sheet)


# ---- intervals


def test_wilsons_where_all_steps_have_as_many_draws(filled: Filled) -> None:
    v = page(filled)
    assert not any(row.sequential for row in v.rows)
    assert v.rows[1].bounds == StepValue(1, 6, 8).interval()
    assert "confidence sequence" not in render_chain.view(v)


def test_a_confidence_sequence_where_somebody_looked_and_drew_more(filled: Filled) -> None:
    """32 more after step 2: every interval of the chain becomes one that stays valid; 0/8 reaches .44, not .32."""
    more(filled, 2, 0, 32)
    v = page(filled)
    assert all(row.sequential for row in v.rows)
    assert v.rows[3].bounds == pytest.approx((0, 0.4389), abs=1e-4)
    shown = render_chain.view(v)
    assert '<path class="rib" d="M0.0 0H43.9V100H0.0Z"/>' in shown
    assert '<span class="ci any" title="95 % confidence sequence' in shown
    assert "95 % at any time" in shown
    told = render_inspector.inspector(v, v.rows[3])
    assert ".00–.44 is a confidence sequence" in told
    assert ".00–.32" in told


def test_more_chains_from_the_question_decide_nothing(filled: Filled) -> None:
    """The question's draws are the problem's sampled chains: their number does not come from this chain's draws."""
    filled.bench.store.add_continuations([a_draw(8 + j) for j in range(8)])
    v = page(filled)
    assert v.rows[0].value.n == 16
    assert not any(row.sequential for row in v.rows)
