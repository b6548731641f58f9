"""Expert iteration as a Run: the shipped student through the real trainer process, with a cancel and kill -9."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz import jobs
from stepviz.model_choices import generators
from stepviz.train_job import models_folder
from stepviz.train_left import partial
from tests import training_cases as cases
from tests.job_cases import wait_for

PATIENCE = 1000.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
SMALL = {"questions": 6, "samples": 2, "dev": 4, "supervised": 12, "rounds": 1}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("STEPVIZ_CHECKPOINT_EVERY", "0.3")
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened
        cases.stop_all(opened)


def spec(settings: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return {
        "recipe": "expert-iteration",
        "base": "embedded:base",
        "name": "ei",
        "settings": {"epochs": 1, "batch": 2, "compile": False, **(settings or {})},
        "options": {**SMALL, **options},
    }


def test_from_questions_to_a_student_with_its_parents(store: Store) -> None:
    run = jobs.start(store, "train", spec())
    told: list[dict[str, Any]] = []
    ended = jobs.wait(store, run, lambda p: told.append(dict(p)))
    assert (ended.state, ended.error) == ("done", None)
    model = store.model(ended.progress["model"])
    assert (model.role, model.run_id) == ("generator", run)
    assert model.spec == f"hf:{models_folder(store) / 'ei'}"
    assert [parent.partition("@")[0] for parent in model.parents] == ["embedded/base", "embedded/student"]
    assert model.spec in [choice.spec for choice in generators(store)]
    rounds = ended.progress["rounds"]
    assert [(r["number"], r["rows"] > 0) for r in rounds] == [(0, False), (1, True)]
    assert model.meta["rounds"] == rounds
    (learnt,) = model.meta["datasets"]
    assert learnt["id"] == rounds[1]["dataset"]
    assert {d.name for d in store.datasets()} == {"ei/right samples", "ei/references", "ei/union"}
    assert ended.progress["losses"]
    notes = {p.get("note", "") for p in told}
    assert "round 1 of at most 1: sampling" in notes or "round 1 of at most 1: fine-tuning" in notes
    student = next(m.id for m in store.models() if m.id.startswith("embedded/student"))
    assert len([c for p in store.problems(limit=6) for c in store.chains(p.id, student)]) >= 12
    assert sorted(p.name for p in models_folder(store).iterdir()) == ["ei", "ei-rounds"]


def test_cancelled_while_it_samples_it_ends_soon_and_keeps_only_its_draws(store: Store) -> None:
    run = jobs.start(store, "train", spec(questions=2_000, samples=16))
    wait_for(lambda: store.run(run).progress.get("note") == "round 1 of at most 1: sampling", PATIENCE)
    wait_for(lambda: store.run(run).progress.get("done", 0) > 0, PATIENCE)
    at = store.run(run)
    assert (at.state, at.progress["unit"], at.progress["total"]) == ("running", "draws", 32_000)
    assert at.progress["tokens_per_s"] > 0
    store.request_cancel(run)
    wait_for(lambda: store.run(run).state == "cancelled", PATIENCE)
    wait_for(lambda: cases.training_process(models_folder(store) / "ei") is None, PATIENCE)
    assert 0 < store.stats()["rollouts"] < 16_000  # not half of them
    assert not partial(models_folder(store) / "ei").exists()
    assert not (models_folder(store) / "ei").exists()


def test_killed_in_its_fine_tuning_it_goes_on_there_without_drawing_again(store: Store) -> None:
    run = jobs.start(store, "train", spec({"epochs": 60}))
    out = models_folder(store) / "ei"
    wait_for(lambda: any(partial(out).glob("round-1-*/trainer/checkpoint-*/trainer_state.json")), PATIENCE)
    os.kill(cases.training_process(out), signal.SIGKILL)
    wait_for(lambda: store.run(run).state == "failed", 60)
    assert "Resume goes on from its last checkpoint." in store.run(run).error
    drawn = store.stats()["rollouts"]
    jobs.resume(store, run)
    ended = jobs.wait(store, run)
    assert (ended.state, ended.error) == ("done", None)
    assert store.stats()["rollouts"] == drawn + 4  # the new student's greedy answers
    model = store.model(ended.progress["model"])
    assert 0 < model.meta["resumed_at_step"] < model.meta["steps"]
