"""Whose draws: the model that samples, the model whose rollouts measure a chain, and what the pages say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import Candidate, ModelRow, RefinementRow
from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.steps import segment
from stepviz.types import Chain, Continuation, SourceItem, Verdict, prefix_hash
from stepviz.ui import render_chain, render_chains, render_head, render_train
from stepviz.ui.address import Address, parse
from stepviz.ui.engine_choice import checked, name_of, offers
from stepviz.ui.explore import Explore
from stepviz.ui.view_chain import chain_page
from stepviz.ui.views import chain_list, problem_list
from stepviz.ui.workbench import Workbench
from stepviz.worker import Worker
from tests import tiny, tiny_scorers, ui_cases
from tests.job_cases import SlowEngine

OTHER = "other@222222222222"


@dataclass
class Filled:
    """The usual store, and beside the embedded student a model that was trained here: it drew a chain of its own."""

    bench: Workbench
    ids: dict[str, str]
    other: str  # its spec

    @property
    def store(self) -> Store:
        return self.bench.store

    def page(self, chain: str = "wrong", **at: str):
        row = self.store.chain(self.ids.get(chain, chain))
        problem = self.store.problem(row.chain.problem_id)
        return chain_page(self.bench, Address(problem.id, row.chain.id, **at), problem, row)

    def act(self, name: str, at: Address | str = "", **sent: str):
        query = at if isinstance(at, str) else at.query()
        return Explore(self.bench).act({"act": name, "at": query, **sent}, "ana")

    def draw(self, text: str, model: str, steps: int, right: int, of: int, base: int = 0) -> None:
        """Continuations of the first steps of WRONG."""
        chain = self.store.chain(self.ids["wrong"]).chain
        self.store.add_continuations(
            [
                Continuation(
                    chain.problem_id, prefix_hash(chain.prefix(steps)), model, ui_cases.SAMPLING.hash, j, j, text,
                    "stop", 20, "264", "correct" if j < right else "wrong", "", "stepviz/1",
                )
                for j in range(of)
            ]
        )  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("models") / "other")


@pytest.fixture
def filled(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Filled]:
    for module in ("jobs", "ui.status"):
        monkeypatch.setattr(f"stepviz.{module}.ensure_worker", lambda *_, **__: True)
    with open_store(f"sqlite:///{tmp_path}/ui.db") as store:
        found = Filled(Workbench(store), ui_cases.fill(store), f"hf:{checkpoint}")
        store.add_model(ModelRow(OTHER, "generator", found.other))
        yield found


def own_chain(filled: Filled) -> str:
    """A chain that the other model drew, with 3 of 4 right from the question."""
    of = ui_cases.problem()
    drawn = Chain(of.id, OTHER, "o", "6 * 24 = 140\n#### 140", segment("6 * 24 = 140\n#### 140"), "line/1")
    filled.store.add_items([SourceItem(of, (drawn,))], {drawn.id: Verdict("wrong", "", "stepviz/1", "140")})
    return drawn.id


def test_a_chain_is_measured_with_its_own_model(filled: Filled):
    theirs = own_chain(filled)
    filled.act("measure", Address(chain=theirs))
    filled.act("measure", Address(chain=filled.ids["wrong"]))
    filled.act("measure", Address(chain=theirs, engine="embedded:base"))
    assert [run.spec["engine"] for run in filled.store.runs()] == ["embedded", filled.other], (
        "who samples does not change whose rollouts a chain's are: the run that waits is joined"
    )


def test_another_model_measures_where_it_is_chosen_and_the_page_says_so(filled: Filled):
    filled.draw("...", OTHER, 0, right=1, of=4)
    chosen = filled.page(by=filled.other)
    assert (chosen.rows[0].value.k, chosen.rows[0].value.n) == (1, 4)
    assert [row.value.n for row in chosen.rows[1:]] == [0, 0, 0, 0], "values of two models are never mixed"
    assert (chosen.measured_by, chosen.own) == ("other", "embedded/student")
    shown = re.sub("<.*?>", "", render_chain.view(chosen))
    assert "These values are of other, not of the chain’s own model embedded/student." in shown
    assert "measured with other, 95 %" in shown
    alone = filled.page()
    assert (alone.rows[0].value.k, alone.rows[0].value.n, alone.own) == (4, 8, "")
    assert "not of the chain’s own model" not in render_chain.view(alone)


def test_a_chosen_model_that_measured_nothing_shows_nothing_of_others(filled: Filled):
    page = filled.page(by=filled.other)
    assert [row.value.n for row in page.rows] == [0] * 5
    shown = re.sub("<.*?>", "", render_chain.view(page))
    assert "other has measured nothing here yet. The chain’s own model is embedded/student." in shown
    assert not page.measured
    assert page.cost.startswith("32 continuations"), "8 each from the question and after three steps"


def test_continuing_and_32_more_are_draws_of_whoever_measures(filled: Filled):
    at = Address(chain=filled.ids["wrong"], by=filled.other)
    filled.act("more", at, step="1", n="32")
    filled.act("branch", at, step="1", n="4")
    assert [(r.kind, r.spec["engine"]) for r in filled.store.runs()] == [
        ("continue", filled.other), ("measure", filled.other),
    ]  # fmt: skip


def test_edits_and_refinements_are_measured_with_the_drafts_model(filled: Filled):
    theirs = own_chain(filled)
    of = filled.store.problem(filled.ids["problem"]).problem
    edit = Chain(
        of.id, "ana", "e", "6 * 24 = 144\n#### 144", segment("6 * 24 = 144\n#### 144"), "line/1", {}, theirs, 0
    )
    filled.store.add_items([SourceItem(of, (edit,))], {})
    filled.act("measure", Address(chain=edit.id))
    assert filled.store.runs()[0].spec["engine"] == filled.other


def test_the_model_that_samples_is_chosen_in_its_dialog_and_stands_in_the_address(filled: Filled):
    at = Address(problem=filled.ids["problem"])
    body = filled.act("sampler", at).reply
    assert f'value="{filled.other}"' in body
    assert re.search(r'value="embedded" checked>.*?embedded/student', body)
    chosen = filled.act("sample", at, engine=filled.other, other="", n="4")
    assert filled.store.runs()[0].spec | {"engine": filled.other, "add": 4} == filled.store.runs()[0].spec
    go = re.search('data-go="([^"]*)"', chosen.reply)[1].replace("&amp;", "&")
    assert parse(go).engine == filled.other
    filled.act("sample", go, n="8")
    assert filled.store.runs()[0].spec["engine"] == filled.other, "the button draws with the model of the address"
    opened = filled.act("open", go).html
    assert 'title="The model that draws new chains' in opened["chains"]
    assert ">other</button>" in opened["chains"]
    back = filled.act("sample", go, engine="embedded", other="", only="yes")
    assert "engine=" not in back.reply, "the app's own model needs no word in the address"
    assert len(filled.store.runs()) == 2, "to choose starts nothing"


def test_any_spec_can_be_typed_in(filled: Filled, checkpoint: Path, tmp_path: Path):
    assert checked(str(checkpoint)) == f"hf:{checkpoint}"
    assert checked("hf:Qwen/Qwen2.5-Math-7B") == "hf:Qwen/Qwen2.5-Math-7B"
    assert checked("Qwen/Qwen2.5-Math-7B") == "hf:Qwen/Qwen2.5-Math-7B"
    assert checked("embedded:student") == "embedded"
    for given, why in (
        (f"hf:{tmp_path}/nothing", "there is no model"),
        ("embedded:nobody", "no embedded model 'nobody'"),
        ("qwen-prm:x/y", "gives scores"),
        ("sglang:x/y", "There is no engine"),
        (str(tiny_scorers.lines(tmp_path / "sorm", role="sorm")), "sorm gives scores"),
    ):
        with pytest.raises(StepvizError, match=why):
            checked(given)
    filled.act("measure", Address(chain=filled.ids["wrong"]), by="", other="Qwen/Qwen2.5-Math-7B")
    assert filled.store.runs()[0].spec["engine"] == "hf:Qwen/Qwen2.5-Math-7B"
    typed = Address(engine="hf:Qwen/Qwen2.5-Math-7B")
    assert [o.spec for o in offers(filled.bench, typed)][-1] == "hf:Qwen/Qwen2.5-Math-7B"


def test_specs_have_short_names():
    assert [name_of(s) for s in ("embedded", "embedded:base", "hf:/a/b/mine", "hf:Qwen/Q-7B")] == [
        "embedded/student", "embedded/base", "mine", "Qwen/Q-7B",
    ]  # fmt: skip


def test_an_address_with_a_hostile_model_is_escaped(filled: Filled):
    at = "?engine=" + "%3Cimg src=x onerror=alert(1)%3E" + "&by=%22%3E%3Cscript%3E"
    panes = filled.act("open", at).html
    for html in (*panes.values(), filled.act("sampler", at).reply, filled.act("measurer", at).reply):
        assert "<img" not in html
        assert "<script" not in html


def test_a_model_that_cannot_be_loaded_fails_its_run_and_loses_nothing(filled: Filled, tmp_path: Path):
    before = filled.store.stats()
    filled.act("sample", Address(problem=filled.ids["problem"], engine="hf:/nowhere/at/all"))
    worker = Worker(filled.store)
    worker.run_next(None)
    run = filled.store.runs()[0]
    assert run.state == "failed"
    assert "/nowhere/at/all" in run.error
    assert filled.store.stats() == before
    shown = filled.act("open", Address(problem=filled.ids["problem"], engine="hf:/nowhere/at/all")).html["view"]
    assert "Sampling this problem failed" in shown
    assert "/nowhere/at/all" in shown


class Counted(SlowEngine):
    def __init__(self, spec: str, log: list[str]) -> None:
        super().__init__(spec)
        self.log = log
        log.append(f"load {spec}")

    def close(self) -> None:
        self.log.append(f"free {self.spec}")


def test_a_switch_frees_the_engine_before_it_loads_the_next(filled: Filled):
    log: list[str] = []
    worker = Worker(filled.store, lambda spec, **_: Counted(spec, log))
    for spec in ("hf:large/a", "hf:large/a", "hf:large/b", "embedded", filled.other):
        jobs.start(
            filled.store, "sample", {"problems": [filled.ids["problem"]], "add": 1, "engine": spec}, worker=False
        )
        while worker.run_next(None):
            pass
    assert log == [
        "load hf:large/a", "free hf:large/a", "load hf:large/b", "free hf:large/b", "load embedded",
        f"load {filled.other}",  # a few MB beside a few MB: nothing has to go
    ]  # fmt: skip


# ---- refinements are named for what they are


def refined(filled: Filled, bad: int | None, key: str) -> str:
    of = filled.store.problem(filled.ids["problem"]).problem
    meta = {"bad": bad, "refiner": "embedded/refiner@3"}
    made = Chain(of.id, "refinement", key, ui_cases.RIGHT, segment(ui_cases.RIGHT), "line/1", meta, filled.ids["wrong"])
    filled.store.add_items([SourceItem(of, (made,))], {made.id: Verdict("correct", "", "stepviz/1", "264")})
    return made.id


def ledger(filled: Filled, *chains: str) -> int:
    filled.store.add_model(ModelRow("embedded/refiner@3", "refiner", "embedded:refiner"))
    draft = filled.ids["wrong"]
    candidates = (Candidate("draft", draft), *(Candidate(f"local {i}", c) for i, c in enumerate(chains)))
    line = RefinementRow(draft, "k", "embedded/refiner@3", None, None, ui_cases.SAMPLING.hash, "both", None, 0.5,
                         "global", None, 1, None, True, 2, candidates, "local 0")  # fmt: skip
    return filled.store.add_refinement(line)


def test_a_refinement_is_called_one_and_leads_to_the_ledger(filled: Filled):
    local, globally = refined(filled, 2, "l"), refined(filled, None, "g")
    line = ledger(filled, local)
    shown = render_chain.view(filled.page(local))
    number = filled.store.chain(filled.ids["wrong"]).number
    assert f"Refinement of chain {number}, local from step 2" in re.sub("<.*?>", "", shown)
    assert f'href="/refine?refinement={line}" title="When, where and how; the draft beside it">In the ledger' in shown
    assert "embedded/refiner" in shown
    other = render_chain.view(filled.page(globally))
    assert f"Refinement of chain {number}, global" in re.sub("<.*?>", "", other)
    assert "/refine?refinement=" not in other, "it was cut short: the ledger has no line of it"
    assert "ranch of" not in shown + other


def test_lists_tell_refinements_from_branches(filled: Filled):
    refined(filled, 2, "l")
    of = filled.store.problem(filled.ids["problem"])
    branch = Chain(of.id, "ana", "b", "6*24=1\n#### 1", segment("6*24=1\n#### 1"), "line/1", {}, filled.ids["wrong"], 1)
    filled.store.add_items([SourceItem(of.problem, (branch,))], {})
    listed = render_chains.chains(chain_list(filled.bench, Address(of.id), of))
    number = filled.store.chain(filled.ids["wrong"]).number
    assert f'title="refinement, refinement of chain {number}, local from step 2"' in listed
    assert f'title="ana, branch of chain {number} after step 1"' in listed
    line = next(x for x in problem_list(filled.bench, Address()).lines if x.id == of.id)
    assert (line.n_chains, line.branches, line.refinements) == (2, 1, 1)
    assert "2 chains · 1 branch · 1 refined" in render_head.problems(problem_list(filled.bench, Address()))


def test_a_trained_model_leads_to_where_it_can_be_used():
    """By links that choose it there; no command has to be typed for that."""
    student = render_train._choose(ModelRow("mine@1", "generator", "hf:/m/mine"))
    refiner = render_train._choose(ModelRow("fix@1", "refiner", "hf:/m/fix"))
    link = {name: re.search('href="([^"]*)"', html)[1] for name, html in (("s", student), ("r", refiner))}
    assert parse(link["s"].removeprefix("/")).engine == "hf:/m/mine"
    assert link["r"] == "/refine?refiner=hf%3A%2Fm%2Ffix"
