"""Refining many drafts from the page: which chains, what it will cost, the run, and what the ledger then has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz.prompt_styles import STYLES
from stepviz.steps import segment
from stepviz.types import Chain, PromptStyle, Sampling, SourceItem, Verdict
from stepviz.ui.refine_address import At, parse
from stepviz.ui.refine_page import Refine
from stepviz.ui.view_many import many_of, spec_of
from stepviz.ui.view_refine import page_of
from stepviz.ui.workbench import Workbench
from tests import tiny, tiny_scorers, ui_cases
from tests.refine_cases import GLOBAL, LOCAL, Scripted, checkpoints
from tests.store_cases import new_url


class Filled:
    """The usual store: one wrong chain and one right one of a problem, two chains elsewhere; and a second wrong one."""

    def __init__(self, store: Store, specs: dict[str, str]) -> None:
        self.store, self.bench, self.ids = store, Workbench(store), ui_cases.fill(store)
        self.script = Scripted(store, specs)
        of = ui_cases.problem()
        text = "6 * 24 = 140\n140 * 2 = 280\n#### 280"
        other = Chain(of.id, "gpt", "z", text, segment(text), "line/1")
        store.add_items([SourceItem(of, (other,))], {other.id: Verdict("wrong", "", "stepviz/1", "280")})
        self.ids["other"] = other.id
        self.models = "&".join(f"{role}={spec}" for role, spec in specs.items())
        self.page = Refine(self.bench)

    def many(self, at: str = "", **form: str):
        at = parse(f"?chain={self.ids['wrong']}&{self.models}{at}")
        return many_of(self.bench, page_of(self.bench, at), form)

    def act(self, name: str, at: str = "", **form: str):
        return self.page.act({"act": name, "at": f"?chain={self.ids['wrong']}&{self.models}{at}", **form}, "ana")


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture
def filled(tmp_path: Path, specs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Filled]:
    for module in ("jobs", "ui.status"):
        monkeypatch.setattr(f"stepviz.{module}.ensure_worker", lambda *_, **__: True)
    with open_store(new_url(tmp_path)) as store:
        yield Filled(store, specs)


def test_the_wrong_the_doubted_or_all_chains_of_the_problem(filled: Filled) -> None:
    ids = filled.ids
    assert set(filled.many().drafts) == {ids["wrong"], ids["other"]}
    assert set(filled.many(scope="problem", which="all").drafts) == {ids["wrong"], ids["right"], ids["other"]}
    doubted = filled.many(scope="problem", which="doubted")
    assert len(doubted.drafts) == 3
    assert spec_of(filled.bench, doubted)["gate"] == 0.5, "the ORM spares the others as the run meets them"
    assert spec_of(filled.bench, filled.many("&gate=0.3", which="doubted"))["gate"] == 0.3
    assert spec_of(filled.bench, filled.many(which="wrong"))["gate"] is None


def test_those_that_explore_lists(filled: Filled) -> None:
    assert filled.many("&answer=280").drafts == (filled.ids["other"],)
    assert filled.many("&origin=gpt", scope="problem", which="all", listed="yes").drafts == (filled.ids["other"],)
    assert len(filled.many("&answer=280", scope="problem", which="wrong").drafts) == 2, "the box is not ticked"
    body = filled.act("many", "&answer=280").reply
    assert "Only those that Explore listed: answer 280" in body


def test_of_a_source_and_a_split_up_to_a_limit(filled: Filled) -> None:
    assert set(filled.many(scope="filter", which="all", source="math").drafts) == {
        c.chain.id for c in filled.store.chains(filled.ids["tex"])
    }
    assert len(filled.many(scope="filter", which="all", source="embedded", split="test").drafts) == 3
    assert filled.many(scope="filter", which="all", source="embedded", split="train").drafts == ()
    texts = [f"{i} candles\n#### {i}" for i in range(25)]
    of = ui_cases.problem()
    more = tuple(Chain(of.id, "gpt", str(i), t, segment(t), "line/1") for i, t in enumerate(texts))
    filled.store.add_items([SourceItem(of, more)], {c.id: Verdict("wrong", "", "stepviz/1", "0") for c in more})
    found = filled.many(scope="filter", source="embedded", limit="20")
    assert (len(found.drafts), found.more) == (20, True)
    assert (
        "20 drafts</b> (there are more: raise the limit)"
        in filled.act("many", scope="filter", source="embedded", limit="20").reply
    )


def test_a_refinement_is_no_draft(filled: Filled) -> None:
    filled.script.refine(filled.ids["wrong"])
    assert len(filled.store.chains(filled.ids["problem"])) == 5, "a global one, which is wrong, and a local one"
    assert len(filled.many(which="all").drafts) == 3
    assert len(filled.many(scope="filter", which="all", source="embedded").drafts) == 3


def test_the_estimate_is_of_what_was_seen(filled: Filled) -> None:
    body = filled.act("many").reply
    assert "2 drafts" in body
    assert "4 refinements" in body, "two drafts, globally and locally"
    assert "nothing was refined with it here yet" in body
    run = filled.store.add_run("refine", {"refiner": filled.script.specs["refiner"], "chains": []})
    filled.store.claim_run("w", 60, ("refine",))
    filled.store.heartbeat(run, "w", {"tokens_per_s": 3}, 60)
    filled.store.finish_run(run, "done", worker="w")
    filled.script.refine(filled.ids["wrong"])  # two refinements of nine tokens
    newest = filled.store.runs()[0]
    assert newest.progress["tokens"] == 18
    found = filled.many()
    assert (found.draws, found.tokens) == (4, 36)
    assert found.speed == newest.progress["tokens_per_s"]
    assert found.seconds == pytest.approx(36 / found.speed)
    local = filled.many("&how=local")
    assert (local.draws, local.tokens) == (2, 18)


def test_one_click_refines_them_and_the_ledger_has_them(filled: Filled) -> None:
    update = filled.act("refine_many", scope="problem", which="wrong")
    run = filled.store.runs()[0]
    assert 'data-kind="run" data-nonce' in update.reply
    assert set(run.spec["chains"]) == {filled.ids["wrong"], filled.ids["other"]}
    assert "Cancel" in update.html["rview"], "it waits, and can be cancelled"
    filled.script.work()
    assert filled.store.run(run.id).state == "done"
    panes = filled.act("open", f"&run={run.id}&of=problem").html
    assert len(re.findall("data-line=", panes["ledger"])) == 2
    # the script's refiner writes LOCAL where a later step is marked; of `other` no step is flagged, so only GLOBAL
    assert (
        "2 drafts: 2 refined, 0 spared, 1 fixed, 0 broken. 0 of 2 were right before, 1 are after. A perfect "
        "ranking would keep 1 right." in panes["rview"]
    )
    texts = {row.chain.text for row in filled.store.chains(filled.ids["problem"]) if row.chain.origin == "refinement"}
    assert texts == {LOCAL, GLOBAL}
    elsewhere = filled.act("open", f"&run={run.id}&of=problem".replace(filled.ids["wrong"], "")).html["ledger"]
    assert "data-line" in elsewhere
    filled.act("dismiss", run=str(run.id))
    assert "2 drafts: 2 refined" not in filled.act("open", f"&run={run.id}").html["rview"]


@pytest.mark.parametrize("act", ["refine", "refine_many"])
def test_refinements_have_the_tokens_of_the_app_and_its_answers_and_the_refiners_own_prompt(
    filled: Filled, act: str
) -> None:
    """`app.py --style chat --max-tokens 2048`, as README starts it on a 7B model."""
    theirs = Sampling(max_tokens=2048, style=replace(STYLES["chat"], answer_rule="choice"))
    filled.page = Refine(Workbench(filled.store, sampling=theirs))
    filled.act(act, "&samples=3", scope="problem", which="wrong")
    drawn = filled.store.sampling(filled.store.runs()[0].spec["sampling"])
    assert (drawn.max_tokens, drawn.temperature) == (2048, 0.7)
    assert drawn.style == PromptStyle("refine", "{question}", answer_rule="choice"), "a refiner learnt no chat"


def test_a_run_over_many_is_shown_where_no_chain_is_open(filled: Filled) -> None:
    filled.act("refine_many", scope="filter", which="wrong")
    run = filled.store.runs()[0]
    shown = filled.page.act({"act": "open", "at": f"?run={run.id}"}, "ana").html["rview"]
    assert "waiting for the engine" in shown


def test_nothing_to_refine_is_said_and_forms_of_anyone_are_read(filled: Filled) -> None:
    assert "No chain fits." in filled.act("many", scope="filter", source="nowhere").reply
    with pytest.raises(Exception, match="nothing to refine"):
        filled.act("refine_many", scope="filter", source="nowhere")
    odd = filled.many(scope="x", which="<b>", limit="9" * 30, source="<script>")
    assert (odd.choice.which, odd.choice.limit, odd.choice.scope) == ("wrong", 100, "filter")
    assert "<script" not in filled.act("many", scope="filter", source="<script>").reply
    lacking = filled.page.act({"act": "many", "at": "?refiner=embedded:nobody"}, "ana").reply
    assert "there is no model embedded:nobody here yet" in lacking
    assert re.search(r"<button[^>]*pri[^>]* disabled", lacking)


def test_the_ledger_of_a_problem(filled: Filled) -> None:
    filled.script.refine(filled.ids["wrong"])
    filled.script.refine(filled.ids["bad"])
    every = filled.act("list").html["ledger"]
    assert len(re.findall("data-line=", every)) == 2
    assert len(re.findall("data-line=", filled.act("list", "&of=problem").html["ledger"])) == 1
    assert '<option value="problem" selected>This problem' in filled.act("list", "&of=problem").html["ledger"]
    assert At(of="problem").query() == "?of=problem"


# ---- with the models that ship, nothing has to be configured


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny stand-ins in the place of the shipped models."""
    from stepviz import embedded

    folder = tmp_path / "shipped"
    for name in ("base", "student", "refiner"):
        tiny.build(folder / name)
    for role in ("orm", "sorm"):
        tiny_scorers.lines(folder / role, role=role)
    monkeypatch.setattr(embedded, "FOLDER", folder)
    return folder


def test_score_and_refine_begin_with_the_shipped_models(filled: Filled, shipped: Path) -> None:
    from stepviz.ui.explore import Explore

    asked = Explore(filled.bench).act({"act": "scorers", "at": f"?chain={filled.ids['wrong']}"}, "ana").reply
    assert re.search(r'value="embedded:sorm" checked', asked), "the one that says where a chain goes wrong"
    assert 'value="embedded:orm"' in asked
    bar = page_of(filled.bench, At(chain=filled.ids["wrong"])).bar
    assert (bar.refiner, bar.orm, bar.sorm, bar.lacks) == ("embedded:refiner", "embedded:orm", "embedded:sorm", "")
