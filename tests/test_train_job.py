"""What is said before a training starts: what cannot work, names that are taken, checkpoints that are left."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from db.store import Store
from stepviz import jobs, train_job, train_left
from stepviz.errors import StepvizError
from stepviz.train_memory import Machine
from stepviz.types import Problem, SourceItem
from tests import training_cases as cases
from training.record import workplace

NOBODY = {"worker": False}


def refused(store: Store, spec: dict, message: str) -> None:
    before = store.runs()
    with pytest.raises(StepvizError, match=message):
        jobs.start(store, "train", spec, **NOBODY)
    assert store.runs() == before


def test_a_dataset_of_another_kind(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    spec = cases.spec(made, base)
    refused(
        store,
        spec | {"recipe": "sorm"},
        r"built by the recipe sft; sorm learns from sorm: build one.*\(sft is for sft\)",
    )
    refused(store, spec | {"recipe": "refiner"}, "refiner learns from refine-local or refine-global")
    steps = cases.labelled(store)
    refused(store, cases.spec(steps, base) | {"recipe": "orm"}, "orm learns from orm: build one")
    refused(store, cases.spec(steps, base) | {"recipe": "sft"}, "sft learns from sft or rft")
    refused(store, cases.spec(cases.drafts(store), base) | {"recipe": "sft"}, "refine-local is for refiner")
    odd = cases.solutions(store, name="odd", recipe="orm")
    refused(store, cases.spec(odd, base), "has no columns prompt, completions and labels")
    soft = cases.spec(steps, base) | {"options": {"soft": True}}
    refused(store, soft, "no counts k and n for each step: train without --soft")
    refused(store, spec | {"dataset": 99}, "no dataset 99")
    both = cases.spec(steps, base) | {"datasets": [steps.id, cases.labelled(store, 30, name="more").id]}
    del both["dataset"]
    refused(store, both, "sorm learns from one dataset, not from 2")


def test_a_dataset_with_nothing_to_learn(store: Store, base: Path) -> None:
    refused(store, cases.spec(cases.solutions(store, 0, "none"), base), r"\(none\) is empty: nothing to train on")
    row = {"prompt": "Q\n", "completions": ["a"], "labels": [-100]}
    made = store.add_dataset("m", "sorm", {}, [row], format="stepwise", counts={"labels": {"masked": 1}})
    refused(store, cases.spec(made, base), "no step of dataset .* has a label: measure chains first")


def test_a_base_that_cannot_be_trained(store: Store, base: Path, tmp_path: Path) -> None:
    made, marked = cases.solutions(store), cases.drafts(store)
    refused(store, cases.spec(made, "embedded:nobody"), "no embedded model 'nobody'; there are: base")
    refused(
        store, cases.spec(made, tmp_path / "nowhere"), "there is no model .*nowhere.*: give embedded:NAME, a folder"
    )
    refused(store, cases.spec(made, "no such model"), "there is no model 'no such model'")
    refused(store, cases.spec(made, "typo"), "there is no folder 'typo' here.*OWNER/NAME")
    refused(store, cases.spec(made, ""), "no base model is given")
    (tmp_path / "empty").mkdir()
    refused(store, cases.spec(made, tmp_path / "empty"), "is no checkpoint: it has no readable config.json")
    (tmp_path / "empty" / "config.json").write_text("{}")
    refused(store, cases.spec(made, tmp_path / "empty"), "has no .safetensors")
    refused(store, cases.spec(made, cases.scorer(tmp_path / "orm")), "is no language model .*ForTokenClassification")
    plain = cases.without_bad(tmp_path / "plain")
    refine = cases.spec(marked, plain) | {"recipe": "refiner"}
    refused(store, refine, r"plain has no \[BAD\] token.*start from embedded:base.*--add-token")
    assert jobs.start(store, "train", refine | {"options": {"add_token": True}}, **NOBODY)
    assert jobs.start(store, "train", cases.spec(marked, base, "r") | {"recipe": "refiner"}, **NOBODY)


def test_a_name_that_is_taken(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    run = jobs.start(store, "train", cases.spec(made, base), **NOBODY)
    assert jobs.start(store, "train", cases.spec(made, base), **NOBODY) == run  # the same once more is the same run
    refused(store, cases.spec(made, base, epochs=3), f"the name mine is being trained by run {run}: cancel that one")
    there = train_job.models_folder(store) / "theirs"
    there.mkdir(parents=True)
    (there / "config.json").write_text("{}")
    refused(store, cases.spec(made, base, "theirs"), "theirs is not empty; choose another --out")
    assert (there / "config.json").read_text() == "{}"
    for odd in ("", "../up", ".hidden", "a/b", "x" * 65, "a b"):
        refused(store, cases.spec(made, base, odd), "a model's name has 1 to 64 letters")


def test_the_same_asked_for_at_once_is_one_run(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    barrier, found = threading.Barrier(6), []

    def ask(epochs: int) -> None:
        barrier.wait()
        try:
            found.append(jobs.start(store, "train", cases.spec(made, base, epochs=epochs), **NOBODY))
        except StepvizError as error:
            found.append(str(error))

    for epochs in ((2,) * 6, (2, 3, 4, 5, 6, 7)):
        found.clear()
        threads = [threading.Thread(target=ask, args=(n,)) for n in epochs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runs = store.live_runs("train")
        assert len(runs) == 1  # of equal ones, and of those that want the same name
        for answer in found:
            assert answer == runs[0].id or f"is being trained by run {runs[0].id}: cancel" in answer
        store.request_cancel(runs[0].id)


def stopped(store: Store, spec: dict, state: str) -> int:
    """A training of this spec that failed or was interrupted, with a checkpoint."""
    run = jobs.start(store, "train", spec, **NOBODY)
    store.claim_run("gone", -1.0, ("train",), run)
    cases.left(store, run)
    if state == "failed":
        store.finish_run(run, "failed", "it was killed")
    assert store.run(run).state == state
    return run


def test_a_checkpoint_of_other_settings_is_not_lost_to_the_same_name(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    run = stopped(store, cases.spec(made, base), "failed")
    work = train_left.partial(Path(store.run(run).spec["out"]))
    other = cases.spec(made, base, epochs=3)
    refused(
        store, other, rf"mine has the checkpoint of .*run {run}, which failed: go on with that one, .*\(--discard\)"
    )
    assert train_left.keeps(work)
    with pytest.raises(StepvizError, match="the name mine has the checkpoint of another training"):
        workplace(train_job.normalised(store, other))
    assert train_left.keeps(work)
    jobs.discard(store, run)
    assert not work.exists()
    later = jobs.start(store, "train", other, **NOBODY)
    with pytest.raises(StepvizError, match=f"the name mine is being trained by run {later}"):
        jobs.resume(store, run, **NOBODY)
    with pytest.raises(StepvizError, match=f"run {later} is queued: cancel it"):
        jobs.discard(store, later)
    with pytest.raises(StepvizError, match=f"the name mine is being trained by run {later}"):
        jobs.discard(store, run)


def test_the_same_settings_go_on_with_the_run_that_failed(store: Store, base: Path) -> None:
    spec = cases.spec(cases.solutions(store), base)
    run = stopped(store, spec, "failed")
    assert jobs.start(store, "train", spec, **NOBODY) == run
    assert store.run(run).state == "queued"
    work = workplace(store.run(run).spec)
    assert train_left.keeps(work)
    store.finish_run(run, "failed")
    jobs.discard(store, run)
    assert jobs.start(store, "train", spec, **NOBODY) != run  # nothing to go on from: a run of its own


def test_discard_gives_up_what_was_left_under_the_name_and_nothing_at_work(store: Store, base: Path) -> None:
    """What `--discard` does before a training."""
    made = cases.solutions(store)
    run = stopped(store, cases.spec(made, base), "interrupted")
    other = train_job.normalised(store, cases.spec(made, base, epochs=3))
    train_job.discard(store, other)
    assert not train_left.partial(Path(other["out"])).exists()
    assert store.run(run).state == "cancelled"
    later = jobs.start(store, "train", other, **NOBODY)
    kept = cases.left(store, later)
    store.claim_run("me", 60.0, ("train",), later)
    with pytest.raises(StepvizError, match=f"the name mine is being trained by run {later}: cancel that one"):
        train_job.discard(store, other)
    assert kept.exists()


def test_an_interrupted_training_that_is_cancelled_leaves_nothing(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    run = stopped(store, cases.spec(made, base), "interrupted")
    refused(store, cases.spec(made, base, epochs=3), f"mine belongs to the interrupted run {run}: go on with that one")
    work = train_left.partial(Path(store.run(run).spec["out"]))
    jobs.cancel(store, run)
    assert store.run(run).state == "cancelled"
    assert not work.exists()
    later = jobs.start(store, "train", cases.spec(made, base), **NOBODY)
    cases.left(store, later)
    jobs.cancel(store, run)  # from a page that is not up to date
    assert train_left.keeps(work)


def test_expert_iteration_that_cannot_work(store: Store, base: Path, tmp_path: Path) -> None:
    refused(store, cases.rounds(split="test"), "never reads the test problems of embedded/test")
    refused(store, cases.rounds(source="gsm8k"), "no problem of gsm8k/train in this store: import some first")
    refused(store, cases.rounds(student="embedded:nobody"), "no embedded model 'nobody'")
    refused(store, cases.rounds(student=cases.scorer(tmp_path / "orm")), "is no language model .* it cannot sample")
    refused(store, cases.rounds(samples=0), "the number of samples a question is between 1 and 4096")
    refused(store, cases.rounds(rounds="two"), "the number of rounds is a whole number")
    refused(store, cases.rounds(temper=1), "expert-iteration has no option temper")
    refused(store, cases.rounds() | {"datasets": [1]}, "freezes its own datasets: give none")
    store.add_items([SourceItem(Problem("How many?", None, None, "mine", "1", "train"))])
    unknown = cases.rounds(source="mine", dev_split="train", dev=1)
    refused(store, unknown, "the last 1 problems of mine/train judge the rounds, and there are only 1")
    store.add_items([SourceItem(Problem("How much?", None, None, "mine", "2", "train"))])
    refused(store, unknown, "without a gold answer nobody knows which samples are right")
    assert jobs.start(store, "train", cases.rounds(preset="embedded"), **NOBODY)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": "many"}, "the number of epochs is a number, not 'many'"),
        ({"epochs": 0}, "the number of epochs is between 0.001 and 1000, not 0"),
        ({"learning_rate": 2}, "the learning rate is between 1e-09 and 1"),
        ({"batch": "2.5"}, "the batch is a whole number, not '2.5'"),
        ({"length": 4}, "the block length is between 16 and"),
        ({"epochs": float("nan")}, "the number of epochs is between"),
        ({"colour": 1}, "a training has no setting colour"),
    ],
)
def test_settings_that_cannot_be(store: Store, base: Path, settings: dict, message: str) -> None:
    refused(store, cases.spec(cases.solutions(store), base, **settings), message)


def test_memory_that_is_not_there(store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cases.solutions(store)
    small = Machine("this machine", 20_000_000, 20_000_000)
    monkeypatch.setattr(train_job, "memory_of", lambda: small)
    huge = cases.spec(made, base, batch=4000, length=256)
    refused(
        store, huge, r"needs about \d+\.\d GB, and this machine has 0.0 GB: take a smaller batch, shorter blocks or"
    )
    assert jobs.start(store, "train", cases.spec(made, base, batch=1, length=16), **NOBODY)
    monkeypatch.setattr(train_job, "memory_of", lambda: Machine("the GPU", 100_000, 100_000, on_gpu=True))
    refused(store, cases.spec(made, base, "two", batch=1), "the GPU has 0.0 GB: take a smaller base model")
