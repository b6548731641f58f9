"""GLoRe's comparison: the whole path on tiny models and an engine that knows, and its tables on hand-made judges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.store import Store, open_store
from stepviz import results
from stepviz.recipes import MASK
from stepviz.types import Completion
from stepviz.world import problem
from tests import tiny
from tests.knowing_engine import KnowingEngine
from training import glore_models
from training.record import base_of
from training.reproduce import glore, glore_arms, glore_data
from training.reproduce.glore_data import Scale

QUICK = {"epochs": 1.0, "batch": 2, "length": 1024, "compile": False, "bf16": False, "max_steps": 1}
SCALE = Scale(
    test=6, dev=5, sampled=3, n=32, three=4, measured=3, deep=2, rollouts=16,
    data=glore_models.Sizes(5, samples=6, wrong=2, k=4, full=True),
)  # fmt: skip
PROBLEMS = [problem(split, i) for split in ("train", "dev", "test") for i in range(6)]


@pytest.fixture
def store(tmp_path: Path):
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened


def test_a_budget_is_said_for_each_stage_and_seed() -> None:
    rows = glore.budget(glore.Settings(seeds=2, sizes=SCALE))
    assert [r["stage"] for r in rows][:3] == ["sample", "measure", "test drafts, samples, labels"]
    assert sum(r["stage"].startswith("seed 1") for r in rows) == 3
    assert sum(r["minutes"] for r in glore.budget(glore.Settings(seeds=1))) <= 75
    assert sum(r["minutes"] for r in glore.budget(glore.Settings(seeds=3))) <= 150


def test_a_smaller_scale_takes_fewer_problems_and_as_many_draws() -> None:
    half = Scale().by(0.5)
    assert (half.test, half.sampled, half.n, half.data.problems) == (2500, 250, 32, 3000)


def test_what_is_refined_is_what_the_first_run_had_not_seen(store: Store) -> None:
    """Three of six test questions have 32 samples, the last four are refined: one of them has 32, the others three."""
    found = glore_data.collect(store, KnowingEngine(PROBLEMS), SCALE, lambda line: None)
    assert found.refined == [2, 3, 4, 5]
    assert [len(group) for group in found.samples] == [32, 32, 32, 3, 3, 3]
    assert (len(found.s8), len(found.deep)) == (3, 2)


# ---- the whole path


def test_each_ablation_learns_from_another_dataset(store: Store) -> None:
    drawn = glore_models.collect(store, KnowingEngine(PROBLEMS), SCALE.data, lambda line: None)
    arms = [glore_models.SORM, *glore_arms.ABLATIONS]
    configs = [
        store.dataset(glore_models.dataset(store, "sorm", {**drawn, **arm.datasets[0][1]}, SCALE.data, arm.name)).config
        for arm in arms
    ]
    off = [[name for name in ("consistent", "carry_back", "balance") if not config[name]] for config in configs]
    assert off == [[], ["consistent"], [], ["carry_back"], ["balance"]]
    assert [config["results"] for config in configs] == ["last", "last", "every", "last", "last"]


def test_the_control_of_equal_tokens_learns_whole_chains_with_their_outcome(store: Store) -> None:
    engine = KnowingEngine(PROBLEMS)
    drawn = glore_models.collect(store, engine, SCALE.data, lambda line: None)
    made = store.dataset(glore_arms.with_traces(store, drawn, SCALE.data))
    plain = store.dataset(glore_models.dataset(store, "orm", drawn, SCALE.data, "orm"))
    rows = list(store.dataset_rows(made.id))
    assert made.n_rows > plain.n_rows
    assert made.recipe == "orm"
    answers = {p.id: f"#### {p.answer}" for p in PROBLEMS}
    assert all(
        set(r["labels"]) - {MASK} == {int(r["completions"][-1] == answers[r["origin"]["problem"]])} for r in rows
    )
    led = [r["labels"] for r in rows if MASK in r["labels"]]
    assert led
    assert all(MASK not in labels[labels.count(MASK) :] for labels in led)  # only what stands before the trace's start
    measured = {r["origin"]["problem"]: 0 for r in rows}
    assert made.n_rows - plain.n_rows <= glore_arms.TRACED * (SCALE.data.wrong + 1) * len(measured)


class Student(KnowingEngine):
    """Greedy, every second problem is solved."""

    def _text(self, request: Any) -> str:
        if request.seed or request.prefix:
            return super()._text(request)
        self.always = list(self.solutions).index(request.question) % 2 == 0
        text = super()._text(request)
        self.always = None
        return text

    def generate(self, requests: Any, sampling: Any, *rest: Any, **more: Any) -> list[Completion]:
        if sampling.temperature == 0:
            requests = [replace(r, seed=0) for r in requests]
        return super().generate(requests, sampling, *rest, **more)


@pytest.fixture
def tiny_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(arm: glore_models.Arm) -> glore_models.Arm:
        return replace(arm, settings=replace(arm.settings, **QUICK))

    arms = {name: tuple(quick(arm) for arm in found) for name, found in glore_arms.SETS.items()}
    monkeypatch.setattr(glore, "SETS", arms)
    monkeypatch.setattr(glore_arms, "CORE", arms["core"])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_comparison_on_tiny_models(
    store: Store, tmp_path: Path, tiny_arms: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.build(tmp_path / "student", sharp=1.0, max_position_embeddings=2048)
    engine = Student(PROBLEMS)
    monkeypatch.setattr(glore, "load", lambda spec: engine)
    settings = glore.Settings(seeds=1, arms="controls", student=str(folder), sizes=SCALE)
    said: list[str] = []
    tables = glore.run(store, tmp_path / "work", settings, said.append)
    assert "in all" in said[0]
    assert base_of(str(folder)).source == str(folder)
    judged = {row["judge"] for row in tables["step accuracy before the answer line, %"]}
    assert judged == {
        "orm", "orm, tuned", "sorm", "sorm, tuned", "balanced-orm", "orm-traces", "orm-traces, tuned",
        "oracle-solvable", "oracle-solvable, tuned", "position only, tuned", "orm and position, tuned",
        "sorm and position, tuned", "orm-traces and position, tuned", "oracle-solvable and position, tuned",
    }  # fmt: skip
    assert tables["contrasts of step judges: balanced accuracy against `solvable`"][0]["contrast"].endswith("(primary)")
    balanced = tables["contrasts at balanced prefix lengths"]
    assert [row["contrast"] for row in balanced][:2] == ["sorm − orm, solvable", "sorm, tuned − orm, tuned, solvable"]
    assert [row["n"] for row in tables["best of n by score, %"]] == [1, 2, 4, 8, 16, 32]
    assert {"any of n", "vote", "orm", "sorm"} <= set(tables["best of n by score, %"][0])
    assert tables["the run"][0]["drafts refined"] == 4
    assert {row["questions"] for row in tables["right in the end"]} == {4}
    fixed = {row["tries"] for row in tables["wrong drafts fixed"]}
    assert {"global", "local, SORM", "local, ORM", "either", "global twice", "local twice"} <= fixed
    labels = tables["wrong SORM labels of K rollouts, % of labels"]
    assert {row["K"] for row in labels} == {1, 2, 4, 8, 16}
    assert all(
        row["wrong"]
        == pytest.approx(row["incapacity"] + row["finite K"] + row["the rule"] + row["false success"], abs=0.03)
        for row in labels
    )
    asked = len(engine.asked)
    again = glore.run(store, tmp_path / "work", settings, said.append)
    assert len(engine.asked) == asked  # nothing is drawn again, trained again or refined again
    unlike = [name for name in tables if name != "what it took" and tables[name] != again[name]]
    assert unlike == []
    _written(tables, settings, tmp_path)


def _written(tables: Any, settings: glore.Settings, tmp_path: Path) -> None:
    glore.write(tables, settings, tmp_path / "results")
    value = json.loads((tmp_path / "results" / "glore.json").read_text())
    assert value["command"] == "python -m training reproduce glore --seeds 1 --arms controls"
    assert (tmp_path / "results" / "glore-rerank.svg").read_text().startswith("<svg")
    page = results.render(tmp_path / "results")
    assert "**wrong drafts fixed**" in page
    assert "results/glore-labels.svg" in page
    assert np.isfinite([row["n"] for row in tables["best of n by score, %"]]).all()
