"""Predicted scores in Explore: a column a role, each held against its own target, a threshold, and what Score starts.

Scores are put there by hand (ui_cases.SCORES): the SORM says .9 .6 .3 .05 along the wrong chain, the ORM .7 .55 .1 .02.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.store import open_store
from db.values import ModelRow
from stepviz import embedded
from stepviz.glore import Counting
from stepviz.types import StepValue, Verdict, prefix_hash
from stepviz.ui import render_chain, render_chains, scoring
from stepviz.ui.address import Address, parse
from stepviz.ui.explore import Explore
from stepviz.ui.page import Update, guarded
from stepviz.ui.rows import ChainPage, ExactMark, Scorer
from stepviz.ui.status import run_line
from stepviz.ui.view_chain import chain_page
from stepviz.ui.view_scores import counting, predicted
from stepviz.ui.views import chain_list
from stepviz.ui.workbench import Workbench
from tests import ui_cases
from tests.compare_cases import scorer_files
from tests.test_ui_pages import said


@dataclass
class Filled:
    bench: Workbench
    ids: dict[str, str]

    def page(self, name: str = "wrong", **at: object) -> ChainPage:
        row = self.bench.store.chain(self.ids[name])
        problem = self.bench.store.problem(row.chain.problem_id)
        return chain_page(self.bench, Address(problem.id, row.chain.id, **at), problem, row)

    def send(self, act: str, name: str = "wrong", **data: object) -> Update:
        at = Address(self.ids["problem"], self.ids[name]).query()
        return guarded(Explore(self.bench).act, {"act": act, "at": at, **data}, "ana")


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    with open_store(f"sqlite:///{tmp_path}/ui.db") as store:
        yield Filled(Workbench(store), ui_cases.fill(store))


@pytest.fixture
def scored(filled: Filled) -> Filled:
    ui_cases.add_scores(filled.bench.store, filled.ids)
    return filled


def test_a_chain_nobody_scored_has_no_column(filled: Filled):
    page = filled.page()
    assert (page.columns, page.drawn, page.predicted_pit) == ((), None, None)
    assert "ppit" not in render_chain.view(page)


def test_each_role_has_its_column_and_the_sorm_is_drawn(scored: Filled):
    page = scored.page()
    assert [s.label for s in page.columns] == ["SORM", "ORM"]
    assert page.drawn.name == "tiny/sorm"
    assert [r.score for r in page.rows] == [None, 0.9, 0.6, 0.3, 0.05]
    assert [[p.score for p in r.predicted] for r in page.rows[1:3]] == [[0.9, 0.7], [0.6, 0.55]]


@pytest.mark.parametrize("asked", [ui_cases.ORM, "hf:orm"])
def test_whose_curve_is_drawn_is_asked_for_by_id_or_by_spec(scored: Filled, asked: str):
    page = scored.page(scorer=asked)
    assert (page.drawn.id, [s.label for s in page.columns]) == (ui_cases.ORM, ["SORM", "ORM"])
    assert [r.score for r in page.rows] == [None, 0.7, 0.55, 0.1, 0.02]
    assert scored.page(scorer="hf:nobody").drawn.id == ui_cases.SORM


def test_of_two_sorms_the_newest_is_shown_unless_the_other_is_asked_for_and_they_never_mix(scored: Filled):
    newer = "tiny/sorm@cccccccccccc"
    scored.bench.store.add_model(ModelRow(newer, "sorm", "hf:sorm2"))
    scored.bench.store.add_scores(scored.ids["wrong"], newer, (0.8, 0.2))
    page = scored.page()
    assert [s.name for s in page.scorers] == ["tiny/sorm@cccccc", "tiny/sorm@aaaaaa", "tiny/orm"]
    assert (page.drawn.id, [r.score for r in page.rows]) == (newer, [None, 0.8, 0.2, None, None])
    assert [r.score for r in scored.page(scorer=ui_cases.SORM).rows] == [None, 0.9, 0.6, 0.3, 0.05]
    assert scored.page("right").drawn.id == ui_cases.SORM  # the newer one has not scored that chain


@pytest.mark.parametrize(
    ("t", "pit"), [(None, 3), (0.5, 3), (0.3, 3), (0.29, 4), (0.04, None), (0.6, 2), (0.59, 3), (0.9, 1), (1.0, 1)]
)
def test_the_predicted_pit_is_the_first_step_at_or_below_t(scored: Filled, t: float | None, pit: int | None):
    page = scored.page(t=t)
    assert page.predicted_pit == pit
    drawn = re.findall(r'<div class="row[^"]* ppit[^"]*" role="row" data-i="(\d)"', render_chain.view(page))
    assert drawn == ([str(pit)] if pit else [])


def test_a_chain_opens_at_its_measured_pit_before_the_predicted_one(scored: Filled):
    assert scored.page().selected == 2
    assert scored.page("right", t=0.9).selected == 2  # .95 .90: nothing is measured here


def test_each_score_stands_beside_its_own_target(scored: Filled):
    """After step 1 6 of 8 rollouts are right and use its 144: V is 6/8, and of 8 draws one is surely right (S₈ = 1)."""
    sorm, orm = scored.page().rows[1].predicted
    assert sorm.beside == ("measured S₈ 1",)
    assert orm.beside == ("measured V .75",)
    sorm, orm = scored.page().rows[2].predicted
    assert (sorm.beside, orm.beside) == (("measured S₈ 0",), ("measured V 0",))
    html = render_chain.view(scored.page(step=1))
    assert "<b>SORM .90</b> estimates whether the right answer can still be reached from here" in html
    assert "<b>ORM .70</b> estimates the student&#x27;s chance to reach the right answer from here (V)" in html


def test_a_sorm_is_held_against_consistent_successes_only():
    """5 of 8 right and none of them uses what the prefix computed: no label would be positive (GLoRe, 1.2)."""
    sorm = Scorer("s", "sorm", "s")
    value = StepValue(2, 5, 8, consistent=0)
    (shown,) = predicted((sorm,), {"s": {2: 0.75}}, 2, {None: value}, ExactMark(True, solvable=True))
    assert shown.beside == ("measured S₈ 0 (0 of 5 successes consistent)", "exact judge: yes")


EVERY, LAST = Counting(), Counting(results="last")


def needless(filled: Filled) -> str:
    """A chain whose second step nobody needs; from its third one all of 8 rollouts are right, and use its 132."""
    of = ui_cases.problem()
    made = ui_cases.chain(of, "6 * 24 = 144\n5 + 5 = 10\n144 - 12 = 132\n132 * 2 = 264\n#### 264", ui_cases.MODEL, "n")
    filled.bench.store.add_chain(made, Verdict("correct", "", "stepviz/1", "264"))
    text, after = "132 * 2 = 264\n#### 264", prefix_hash(made.prefix(3))
    filled.bench.store.add_continuations([ui_cases.a_draw(j, prefix_hash=after, text=text) for j in range(8)])
    filled.ids["needless"] = made.id
    return made.id


@pytest.mark.parametrize(
    ("role", "counts", "beside"),
    [
        ("sorm", None, "measured S₈ 0 (0 of 8 successes consistent)"),  # the paper's rule: the 10 is never used
        ("sorm", EVERY, "measured S₈ 0 (0 of 8 successes consistent)"),
        ("sorm", LAST, "measured S₈ 1"),
        ("sorm", Counting(consistent=False), "measured S₈ 1"),
        ("orm", None, "measured V 1"),
        ("orm", EVERY, "measured V 0 (0 of 8 successes consistent)"),  # soft labels: k is of consistent successes
    ],
)
def test_a_scorer_is_held_against_successes_as_its_labels_counted_them(
    filled: Filled, tmp_path: Path, role: str, counts: Counting | None, beside: str
):
    """Told by its record, by its dataset where the record is older, or by training.json where there is no record."""
    store, chain = filled.bench.store, needless(filled)
    rule = counts._asdict() if counts else {}
    made = store.add_dataset("labels", "sorm" if counts else "orm", rule, [{"prompt": "Q"}])
    folder = scorer_files(tmp_path / "scorer", role)
    (folder / "training.json").write_text(json.dumps({"role": role} | ({"counts": rule} if counts else {})))
    for spec, meta in (
        ("hf:gone", {"counts": rule} if counts else {}),
        ("hf:gone", {"datasets": [{"id": made.id, "hash": made.hash}]}),
        (f"hf:{folder}", {}),
    ):
        model = ModelRow(f"tiny/{role}@{len(store.models())}", role, spec, meta=meta)
        store.add_model(model)
        store.add_scores(chain, model.id, (0.9, 0.8, 0.7, 0.9, 0.9))
        page = filled.page("needless", step=3)
        (shown,) = page.rows[3].predicted
        assert (shown.scorer.id, shown.beside) == (model.id, (beside,))
        html = render_chain.view(page)
        used = {EVERY: "every result of the prefix", LAST: "the prefix&#x27;s last result"}
        for rule_, words in used.items():
            assert (words in html) == (shown.scorer.counting == rule_)


def test_the_sorm_that_ships_says_by_which_rule_it_learnt(filled: Filled):
    model = ModelRow("embedded/sorm@1", "sorm", "embedded:sorm")
    assert counting(filled.bench.store, model) == LAST
    assert counting(filled.bench.store, ModelRow("embedded/orm@1", "orm", "embedded:orm")) is None


@pytest.mark.parametrize("said", ["[1]", "3", "no JSON", '{"counts": [1]}', '{"counts": {"plain": 1}}'])
def test_a_strange_file_beside_a_scorer_says_nothing(filled: Filled, tmp_path: Path, said: str):
    folder = scorer_files(tmp_path / "scorer", "sorm")
    (folder / "training.json").write_text(said)
    assert counting(filled.bench.store, ModelRow("tiny/sorm@1", "sorm", f"hf:{folder}")) == Counting()


def test_a_prm_is_held_against_the_exact_judge_and_finds_errors(filled: Filled):
    store = filled.bench.store
    store.add_model(ModelRow("tiny/prm@1", "prm", "hf:prm"))
    store.add_scores(filled.ids["wrong"], "tiny/prm@1", (0.9, 0.4, 0.8, 0.7))
    page = filled.page()
    assert page.predicted_pit == 2
    html = render_chain.view(page)
    assert "predicted error" in html
    assert "predicted pit" not in html


def test_lines_of_chains_carry_the_last_score_of_the_drawn_scorer(scored: Filled):
    problem = scored.bench.store.problem(scored.ids["problem"])
    by_sorm = chain_list(scored.bench, Address(problem.id), problem)
    assert [line.score for line in by_sorm.lines] == [0.05, 0.97]
    by_orm = chain_list(scored.bench, Address(problem.id, scorer="hf:orm"), problem)
    assert ([line.score for line in by_orm.lines], by_orm.scorer.label) == ([0.02, 0.88], "ORM")
    assert re.search(r'class="sc"[^>]*>ORM<', render_chains.chains(by_orm))


def test_new_borders_take_the_scores_with_them(scored: Filled):
    scored.send("merge", "right", step="1")
    assert scored.page("right").columns == ()


def test_the_dialog_offers_what_ships_and_what_scored_here(
    scored: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "embedded"
    for name, config in (("sorm", {"step_scores": {"role": "sorm"}}), ("student", {"architectures": ["Llama"]})):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config))
        (folder / name / "model.safetensors").touch()
    monkeypatch.setattr(embedded, "FOLDER", folder)
    offers = scoring.offered(scored.bench.store)
    assert [(s.spec, s.label) for s in offers] == [("embedded:sorm", "SORM"), ("hf:sorm", "SORM"), ("hf:orm", "ORM")]
    dialog = scored.send("scorers").reply
    assert 'value="embedded:sorm"' in dialog
    assert "All 2 chains of this problem" in dialog


@pytest.mark.parametrize(
    ("sent", "spec", "chains"),
    [
        ({"model": "hf:sorm", "of": "this"}, {"model": "hf:sorm"}, ("wrong",)),
        ({"model": "hf:sorm", "of": "all"}, {"model": "hf:sorm"}, ("wrong", "right")),
        ({"model": "hf:sorm", "other": " Qwen/A-PRM ", "role": ""}, {"model": "hf:Qwen/A-PRM"}, ("wrong", "right")),
        (
            {"other": "math-shepherd:some/one", "role": "orm"},
            {"model": "math-shepherd:some/one", "role": "orm"},
            ("wrong", "right"),
        ),
        ({"model": "hf:sorm", "role": "orm", "other": ""}, {"model": "hf:sorm"}, ("wrong", "right")),
    ],
)
def test_score_starts_a_run(filled: Filled, monkeypatch: pytest.MonkeyPatch, sent: dict, spec: dict, chains: tuple):
    monkeypatch.setattr("stepviz.jobs.ensure_worker", lambda *_, **__: True)
    update = filled.send("score", **sent)
    (run,) = filled.bench.store.runs()
    assert (run.kind, run.spec) == ("score", spec | {"chains": [filled.ids[name] for name in chains]})
    assert f"scorer={spec['model'].split(':')[0]}%3A" in update.reply  # and the page will draw it
    at = parse(run_line(run).link.removeprefix("/"))
    assert (at.chain, at.scorer) == (filled.ids["wrong"], spec["model"])


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({}, "Choose a step reward model, or name one"),
        ({"model": "embedded:nobody"}, "no embedded model"),
        ({"other": "hf:"}, "unknown scorer"),
        ({"other": "some/model", "role": "judge"}, "role is one of"),
    ],
)
def test_what_cannot_score_is_answered_with_a_sentence(filled: Filled, sent: dict, answer: str):
    assert answer in said(filled.send("score", **sent))
    assert filled.bench.store.runs() == []
