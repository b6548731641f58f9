"""Trainings as Runs: real trainings of a tiny model by the real trainer process, with kill -9 and cancel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from db.store import Store, open_store
from stepviz import jobs
from stepviz.train_job import models_folder, normalised, words
from stepviz.train_left import partial
from stepviz.trainer import died
from stepviz.worker import Worker
from tests import tiny
from tests import training_cases as cases
from tests.job_cases import wait_for
from training.record import workplace
from training.recorded import Recorded

ROOT = Path(__file__).parents[1]
PATIENCE = 800.0
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("models") / "base", sharp=1.0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums in one order, whatever the machine
    monkeypatch.setenv("STEPVIZ_CHECKPOINT_EVERY", "0.3")
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened
        cases.stop_all(opened)


def steps_done(store: Store, run: int, least: int) -> None:
    wait_for(lambda: store.run(run).progress.get("done", 0) >= least or store.run(run).state == "failed", PATIENCE)
    assert store.run(run).state == "running", store.run(run).error


def by_hand(store: Store, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "training", *command, "--db", store.url],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_training_is_a_run_and_its_result_a_model_with_parents(store: Store, base: Path) -> None:
    made = cases.labelled(store)
    run = jobs.start(store, "train", cases.spec(made, base, epochs=100))
    told: list[dict] = []
    done = jobs.wait(store, run, lambda p: told.append(dict(p)))
    assert (done.state, done.error) == ("done", None)
    assert any(p.get("loss") and p.get("total") and p["done"] < p["total"] for p in told)  # heard of on its way
    last = done.progress
    assert (last["done"], last["unit"]) == (last["total"], "steps")
    assert last["tokens"] == last["total"] * 4 * 64
    assert last["losses"][-1] == [last["done"], last["loss"]]
    assert last["losses"][0][0] == 1
    model = store.model(last["model"])
    assert (model.role, model.run_id, model.spec) == ("sorm", run, f"hf:{models_folder(store) / 'mine'}")
    (parent,) = model.parents
    assert store.model(parent).spec == f"hf:{base}"
    assert model.meta["datasets"][0]["hash"] == made.hash
    assert model.meta["settings"]["epochs"] == 100
    assert not partial(models_folder(store) / "mine").exists()
    assert sorted(p.name for p in models_folder(store).iterdir()) == ["mine"]


@pytest.mark.slow
def test_killed_it_says_why_and_resumed_it_ends_with_the_weights_of_one_that_nobody_killed(
    store: Store, base: Path, tmp_path: Path
) -> None:
    made = cases.solutions(store)
    run = jobs.start(store, "train", cases.spec(made, base, epochs=60))
    out = models_folder(store) / "mine"
    wait_for(lambda: any((partial(out) / "trainer").glob("checkpoint-*/trainer_state.json")), PATIENCE)
    os.kill(cases.training_process(out), signal.SIGKILL)
    wait_for(lambda: store.run(run).state == "failed", 60)  # of seconds; the lease would be over in minutes
    said = store.run(run).error
    assert said.startswith("the training was killed (signal 9), as the system does when memory runs out")
    assert '"loss"' in said  # the last lines of what it printed
    assert not out.exists()
    assert [m for m in store.models() if m.run_id] == []
    jobs.resume(store, run)
    assert jobs.wait(store, run).state == "done"
    (model,) = [m for m in store.models() if m.run_id == run]
    assert 0 < model.meta["resumed_at_step"] < model.meta["steps"]
    steps = [step for step, _ in store.run(run).progress["losses"]]
    assert steps == sorted(set(steps))
    quiet = jobs.start(store, "train", cases.spec(made, base, "quiet", epochs=60))
    assert jobs.wait(store, quiet).state == "done"
    one, two = cases.weights(out), cases.weights(models_folder(store) / "quiet")
    assert all(torch.equal(one[name], two[name]) for name in two)
    assert (
        json.loads((out / "training.json").read_text())["losses"]
        == json.loads((models_folder(store) / "quiet" / "training.json").read_text())["losses"]
    )


def test_cancel_ends_it_long_before_its_last_step_and_leaves_no_half_model(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    run = jobs.start(store, "train", cases.spec(made, base, **cases.LONG))
    steps_done(store, run, 20)
    store.request_cancel(run)
    wait_for(lambda: store.run(run).state == "cancelled", PATIENCE)
    assert store.run(run).progress["done"] < store.run(run).progress["total"] / 2
    out = models_folder(store) / "mine"
    wait_for(lambda: cases.training_process(out) is None, PATIENCE)
    assert list(models_folder(store).iterdir()) == []
    assert [m for m in store.models() if m.run_id] == []


def test_cancel_before_the_first_step_ends_it_too(store: Store, base: Path) -> None:
    run = jobs.start(store, "train", cases.spec(cases.solutions(store), base, **cases.LONG))
    wait_for(lambda: store.run(run).state == "running", PATIENCE)
    store.request_cancel(run)
    wait_for(lambda: store.run(run).state == "cancelled", PATIENCE)
    wait_for(lambda: cases.training_process(models_folder(store) / "mine") is None, PATIENCE)
    assert [*models_folder(store).glob("*"), *models_folder(store).glob(".*")] == []


def test_a_training_that_fails_says_why_and_the_next_one_runs(store: Store, base: Path, tmp_path: Path) -> None:
    broken = tiny.build(tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))  # the weights have 64
    made = cases.solutions(store)
    first = jobs.start(store, "train", cases.spec(made, broken, "first"))
    second = jobs.start(store, "train", cases.spec(made, base, "second"))
    assert jobs.wait(store, first).state == "failed"
    assert "mismatch" in store.run(first).error
    assert any("Traceback" in line for _, line in store.log_lines(first))
    assert jobs.wait(store, second).state == "done"
    assert [p.name for p in models_folder(store).iterdir()] == ["second"]


def test_the_trainer_may_die_and_the_training_goes_on(store: Store, base: Path) -> None:
    run = jobs.start(store, "train", cases.spec(cases.solutions(store), base, epochs=40))
    steps_done(store, run, 5)
    os.kill(cases.trainer_process(store), signal.SIGKILL)
    wait_for(lambda: store.run(run).state != "running", PATIENCE)
    assert store.run(run).state == "done"
    assert store.model(store.run(run).progress["model"]).run_id == run


def test_the_worker_leaves_trainings_alone(store: Store, base: Path) -> None:
    run = jobs.start(store, "train", cases.spec(cases.solutions(store), base), worker=False)
    assert Worker(store).run_next(None) is False
    assert store.run(run).state == "queued"


# ---- a cancel that comes when the model is made


def test_a_cancel_after_the_model_is_made_comes_too_late(store: Store, base: Path, tmp_path: Path) -> None:
    made, out = cases.solutions(store), tmp_path / "own"
    command = ["sft", "--dataset", str(made.id), "--base", str(base), "--out", str(out), "--epochs", "1",
               "--batch", "4", "--length", "64", "--no-compile", "--db", store.url]  # fmt: skip
    environment = {**os.environ, "MADE": str(tmp_path / "made")}
    process = subprocess.Popen([sys.executable, "-c", cases.LATE, *command], cwd=ROOT, env=environment)
    wait_for((tmp_path / "made").exists, PATIENCE)
    (run,) = store.runs()
    store.request_cancel(run.id)
    time.sleep(2.5)  # it hears of that, and what ends others at once (GRACE_S) leaves it alone
    (tmp_path / "made").unlink()
    assert process.wait(PATIENCE) == 0
    (model,) = [m for m in store.models() if m.run_id == run.id]
    assert model.spec == f"hf:{out}"
    ended = store.run(run.id)
    assert (ended.state, ended.progress["model"]) == ("done", model.id)
    assert ended.progress["note"] == "the cancel came when the model was made: it is kept"
    assert not partial(out).exists()


@pytest.mark.slow
def test_killed_before_its_record_a_model_gets_it_by_the_same_command(store: Store, base: Path, tmp_path: Path) -> None:
    made, out = cases.solutions(store), tmp_path / "own"
    command = ["sft", "--dataset", str(made.id), "--base", str(base), "--out", str(out), "--epochs", "1",
               "--batch", "4", "--length", "64", "--no-compile"]  # fmt: skip
    environment = {**os.environ, "MADE": str(tmp_path / "made")}
    process = subprocess.Popen(
        [sys.executable, "-c", cases.LATE, *command, "--db", store.url], cwd=ROOT, env=environment
    )
    wait_for((tmp_path / "made").exists, PATIENCE)
    process.send_signal(signal.SIGINT)  # Ctrl-C while it is put on record
    assert process.wait(PATIENCE) != 0
    (run,) = store.runs()
    assert run.state == "failed"
    assert run.error.startswith("the model is made, and was not put on record yet: resume does that")
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert by_hand(store, *command).wait(PATIENCE) == 0
    (run,) = store.runs()
    assert (run.state, (out / "model.safetensors").stat().st_mtime_ns) == ("done", before)
    assert [m.run_id for m in store.models() if m.run_id] == [run.id]


# ---- by hand


@pytest.mark.slow
def test_by_hand_it_is_a_run_as_well_and_the_same_command_goes_on_after_a_kill(
    store: Store, base: Path, tmp_path: Path
) -> None:
    made, out = cases.solutions(store), tmp_path / "own"
    command = ("sft", "--dataset", str(made.id), "--base", str(base), "--out", str(out), "--epochs", "40",
               "--batch", "4", "--length", "64", "--no-compile")  # fmt: skip
    first = by_hand(store, *command)
    wait_for(lambda: any((partial(out) / "trainer").glob("checkpoint-*/trainer_state.json")), PATIENCE)
    (run,) = store.runs()
    assert (run.kind, run.state, run.spec["name"]) == ("train", "running", "own")
    again = by_hand(store, *command)
    assert again.wait(PATIENCE) == 1
    assert f"the name own is being trained by run {run.id}" in again.stderr.read()
    first.kill()
    first.wait()
    with store.writing() as connection:  # what time would do
        connection.exec_driver_sql("UPDATE runs SET lease_until = '2020-01-01 00:00:00.000000'")
    assert store.run(run.id).state == "interrupted"
    second = by_hand(store, *command)
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0
    (after,) = store.runs()
    assert (after.id, after.state) == (run.id, "done")
    result = json.loads(said.splitlines()[-1])
    assert result["model"] == after.progress["model"]
    assert result["resumed_at_step"] > 0


@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_keeps_a_checkpoint_to_go_on_from(store: Store, base: Path, kept: bool) -> None:
    """A cancel gives it up; Ctrl-C, which also ends a terminal that was closed in haste, does not."""
    spec = normalised(store, cases.spec(cases.solutions(store), base))
    with pytest.raises(KeyboardInterrupt), Recorded(store, spec) as record:  # noqa: PT012
        workplace(spec)
        if kept:
            cases.checkpoint(partial(record.out))
        raise KeyboardInterrupt
    (run,) = store.runs()
    assert (run.state, partial(record.out).exists()) == (("failed", True) if kept else ("cancelled", False))
    if kept:
        assert run.error == "it was stopped by Ctrl-C: resume, or the same command, goes on from its last checkpoint"
        assert jobs.start(store, "train", cases.spec(cases.solutions(store), base), worker=False) == run.id


def test_a_command_that_is_wrong_leaves_no_run(store: Store, base: Path, tmp_path: Path) -> None:
    made = cases.solutions(store)
    wrong = by_hand(store, "sorm", "--dataset", str(made.id), "--base", str(base), "--out", str(tmp_path / "own"))
    assert wrong.wait(PATIENCE) == 1
    assert "was built by the recipe sft; sorm learns from sorm" in wrong.stderr.read()
    assert store.runs() == []


def test_the_command_says_all_that_the_run_does(store: Store, base: Path) -> None:
    made = cases.labelled(store)
    spec = normalised(store, {**cases.spec(made, base, learning_rate=1.25e-5), "options": {"held_out": 0.25}})
    said = words(spec)
    assert said[:7] == ["sorm", "--dataset", str(made.id), "--base", f"hf:{base}", "--out", spec["out"]]
    for option, value in (("--lr", "1.25e-05"), ("--held-out", "0.25"), ("--seed", "0"), ("--batch", "4")):
        assert said[said.index(option) + 1] == value
    assert "--no-compile" in said
    assert "--soft" not in said


@pytest.mark.parametrize(
    "code, said, expected",
    [
        (-9, '{"step": 3}', "killed (signal 9), as the system does when memory runs out"),
        (-11, "", "ended by signal 11 (SIGSEGV)"),
        (1, "Traceback\ntorch.OutOfMemoryError: CUDA out of memory. Tried", "ran out of memory: take a smaller batch"),
        (1, "x\ntraining: the dataset is empty", "the dataset is empty"),
        (3, "odd", "ended with code 3 and without a result"),
    ],
)
def test_how_a_death_is_told(code: int, said: str, expected: str) -> None:
    told = died(code, said)
    assert expected in told
    assert said.splitlines()[-1:] == [] or said.splitlines()[-1].removeprefix("training: ") in told
