"""What is said before a training starts, what files say of a base, what it will take. Nothing is trained here."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ModelRow
from stepviz import jobs, recipes, train_estimate, train_job, train_left, trainings
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.model_choices import bases, generators, refiners, scorers
from stepviz.train_estimate import Machine, estimate, memory_needed
from stepviz.types import Problem, SourceItem
from tests import tiny
from tests import training_cases as cases
from training.record import workplace

NOBODY = {"worker": False}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/t.db") as opened:
        yield opened


# ---- the catalogue is what the trainers are


def test_the_catalogue_has_the_trainers_own_defaults() -> None:
    from training import refiner, sft, step_scores

    own = {"sft": sft.STUDENT, "refiner": refiner.REFINER, "expert-iteration": sft.STUDENT} | dict.fromkeys(
        step_scores.RECIPES, step_scores.SCORER
    )
    assert own.keys() == trainings.TRAININGS.keys()
    for name, settings in own.items():
        said = asdict(trainings.TRAININGS[name].defaults)
        assert said == {key: getattr(settings, key) for key in said}, name
    for name, recipe in step_scores.RECIPES.items():
        training = trainings.TRAININGS[name]
        assert (training.role, training.datasets) == (recipe.role, recipe.datasets)
        assert training.options["held_out"] == step_scores.HELD_OUT


def test_expert_iteration_has_the_papers_plan_and_a_preset_for_two_cores(store: Store) -> None:
    """96 samples (issue 2); the embedded preset: 16 on at most 1,500 questions."""
    from training import expert_iteration as ei

    spec = train_job.normalised(store, {"recipe": "expert-iteration", "base": "embedded:base", "name": "x"})
    assert ei.plan_of(spec) == ei.Plan()
    assert spec["options"]["samples"] == 96
    small = {"recipe": "expert-iteration", "base": "embedded:base", "name": "x"}
    spec = train_job.normalised(store, small | {"options": {"preset": "embedded", "rounds": 2}})
    assert (spec["options"]["samples"], spec["options"]["questions"], spec["options"]["rounds"]) == (16, 1_500, 2)
    assert ei.plan_of(spec) == replace(ei.EMBEDDED, rounds=2)
    assert ei.plan_of({**spec, "options": {**spec["options"], "full_epochs": True}}).epochs == 5
    with pytest.raises(StepvizError, match="no preset 'large'; there is: embedded"):
        train_job.normalised(store, small | {"options": {"preset": "large"}})


def test_every_training_is_a_command_with_its_options() -> None:
    import typer

    from training.__main__ import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, training in trainings.TRAININGS.items():
        options = {option for p in commands[name].params for option in (*p.opts, *p.secondary_opts)}
        assert {"--discard", "--checkpoint-every", "--db"} <= options
        settings = {f.name for f in fields(training.defaults)} - {"learning_rate"} | {"lr", *training.options}
        settings = settings - {"samples"} | {"k"} if training.asks else settings
        assert {f"--{s.replace('_', '-')}" for s in settings} <= options


def test_every_dataset_that_a_training_learns_from_can_be_built() -> None:
    for training in trainings.TRAININGS.values():
        for recipe in training.datasets:
            assert recipes.RECIPES[recipe].format == training.format


# ---- said before anything starts


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


def asked(base: Path | str = "embedded:base", **options: object) -> dict:
    return {"recipe": "expert-iteration", "base": str(base), "name": "ei", "options": options}


def test_expert_iteration_that_cannot_work(store: Store, base: Path, tmp_path: Path) -> None:
    refused(store, asked(split="test"), "never reads the test problems of embedded/test")
    refused(store, asked(source="gsm8k"), "no problem of gsm8k/train in this store: import some first")
    refused(store, asked(student="embedded:nobody"), "no embedded model 'nobody'")
    refused(store, asked(student=cases.scorer(tmp_path / "orm")), "is no language model .* it cannot sample")
    refused(store, asked(samples=0), "the number of samples a question is between 1 and 4096")
    refused(store, asked(rounds="two"), "the number of rounds is a whole number")
    refused(store, asked(temper=1), "expert-iteration has no option temper")
    refused(store, asked() | {"datasets": [1]}, "freezes its own datasets: give none")
    store.add_items([SourceItem(Problem("How many?", None, None, "mine", "1", "train"))])
    unknown = asked(source="mine", dev_split="train", dev=1)
    refused(store, unknown, "the last 1 problems of mine/train judge the rounds, and there are only 1")
    store.add_items([SourceItem(Problem("How much?", None, None, "mine", "2", "train"))])
    refused(store, unknown, "without a gold answer nobody knows which samples are right")
    assert jobs.start(store, "train", asked(preset="embedded"), **NOBODY)


def test_what_a_round_takes(store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 questions, 4 samples each, 2 problems that judge; without solutions here 80 and 135 tokens are taken."""
    monkeypatch.setattr(train_estimate, "memory_of", lambda: Machine("this machine", 1 << 34, 1 << 34))
    settings = {"epochs": 3.0, "batch": 4, "length": 64, "seed": 0, "learning_rate": 1e-3, "compile": False}
    options = train_job.normalised(store, asked(questions=10, samples=4, dev=2, supervised=12))["options"]
    found = train_estimate.estimate_rounds(store, look(str(base)), settings, options)
    assert found.sampled == (10 * 4 + 2) * 135
    blocks = -(-12 * 64 // (64 * 0.95))  # each row is cut to a block
    assert (found.rows, found.steps, found.tokens) == (12, 3 * (blocks // 4), 3 * (blocks // 4) * 4 * 64)
    store.add_model(
        ModelRow("last@1", meta={"device": "cpu", "sampled_per_s": 100, "tokens_per_s": 64, "parameters": 1})
    )
    found = train_estimate.estimate_rounds(store, look(str(base)), settings, options)
    assert found.seconds == pytest.approx(42 * 135 / 100 + found.tokens * look(str(base)).parameters / 64)


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


# ---- what the files say


def test_a_checkpoint_is_known_by_its_files(base: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    found, model = look(str(base)), AutoModelForCausalLM.from_pretrained(base)
    tied = {id(p): p for p in model.parameters()}
    assert found.parameters == sum(p.numel() for p in tied.values())
    assert (found.causal, found.context, found.spec) == (True, 256, f"hf:{base}")
    assert (found.has_token("[BAD]"), found.has_token("[NOT THERE]")) == (True, False)
    assert look("embedded").spec == look("embedded:student").spec == "embedded"
    assert look("embedded:base").has_token("[BAD]") is True
    assert look("owner/not-here").folder is None
    assert look("owner/not-here").has_token("[BAD]") is None
    for odd in ("~nobody-of-this-name/x", "a" * 500, "x\0y"):
        with pytest.raises(StepvizError, match="cannot be a folder or a hub id"):
            look(odd)
    assert torch.is_tensor(next(model.parameters()))


def test_a_header_that_lies_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[1]")
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{")
    with pytest.raises(StepvizError, match=r"model.safetensors is broken or cut off: save or download"):
        look(str(tmp_path))


def test_weights_that_were_cut_off(base: Path, tmp_path: Path) -> None:
    cut = tiny.build(tmp_path / "cut")
    whole = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StepvizError, match="is broken or cut off"):
        look(str(cut))


# ---- what it will take


def test_tokens_and_steps_are_counted(store: Store, base: Path) -> None:
    """200 rows of the same length: blocks, steps and tokens by hand."""
    tokenizer = tiny.byte_tokenizer()
    row = {"prompt": "Tom has 3 apples.\n", "completion": "3+12=15\n#### 15\n"}
    each = len(tokenizer(row["prompt"] + row["completion"])["input_ids"])
    made = store.add_dataset("s", "sft", {}, [row] * 200, format="prompt-completion")
    training, settings = trainings.named("sft"), {**cases.QUICK, "epochs": 3.0, "seed": 0, "learning_rate": 1e-3}
    found = estimate(store, training, [made], look(str(base)), settings, {})
    blocks = -(-200 * each // (64 * 0.95))
    assert found.steps == 3 * (blocks // 4)
    assert found.tokens == found.steps * 4 * 64
    assert (found.rows, found.long, found.counted) == (200, 0.0, True)
    short = estimate(store, training, [made], look(str(base)), {**settings, "length": each - 1}, {})
    assert short.long == 1.0


def test_memory_is_weights_gradients_moments_and_what_a_batch_keeps(base: Path) -> None:
    """2 layers of width 32, 4 bytes: 34 numbers a layer, unit and token; the vocabulary's logits beside it."""
    found = look(str(base))
    vocabulary = found.config["vocab_size"]
    a_token = 4 * 34 * 2 * 32 + 10 * vocabulary
    expected = 16 * found.parameters + 4 * 64 * a_token
    assert memory_needed(found, {"batch": 4, "length": 64}, on_gpu=False) == expected


def test_time_is_told_by_the_last_training_here(store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_estimate, "memory_of", lambda: Machine("this machine", 1 << 34, 1 << 34))
    made, found = cases.solutions(store), look(str(base))
    settings = {**cases.QUICK, "seed": 0, "learning_rate": 1e-3}
    meta = {"device": "cpu", "tokens_per_s": 1000, "parameters": found.parameters // 2}
    store.add_model(ModelRow("other@1", "sorm", "hf:/nowhere", meta={**meta, "device": "cuda", "tokens_per_s": 9}))
    store.add_model(ModelRow("last@1", "sorm", "hf:/nowhere", meta=meta))
    told = estimate(store, trainings.named("sft"), [made], found, settings, {})
    assert told.seconds == pytest.approx(told.tokens / 500, rel=0.01)  # twice the model: half the rate


# ---- what can be chosen


def test_models_of_the_store_can_be_chosen_for_what_they_are(store: Store, base: Path, tmp_path: Path) -> None:
    orm = cases.scorer(tmp_path / "orm")
    store.add_model(ModelRow("base@1", "generator", f"hf:{base}"))
    store.add_model(ModelRow("mine@1", "sorm", f"hf:{orm}", ("base@1",), meta={"datasets": [{"name": "steps"}]}))
    store.add_model(ModelRow("fix@1", "refiner", f"hf:{tiny.build(tmp_path / 'fix')}"))
    store.add_model(ModelRow("gone@1", "generator", f"hf:{tmp_path / 'gone'}"))
    assert [c.spec for c in generators(store)][:2] == ["embedded", "embedded:base"]
    assert f"hf:{base}" in [c.spec for c in generators(store)]
    assert "gone@1" not in [c.model_id for c in generators(store)]
    assert [c.model_id for c in scorers(store) if c.model_id] == ["mine@1"]
    assert [c.model_id for c in scorers(store, "orm") if c.model_id] == []
    assert [c.model_id for c in refiners(store) if c.model_id] == ["fix@1"]
    assert {c.model_id for c in bases(store) if c.model_id} == {"base@1", "fix@1"}
    assert json.dumps([asdict(c) for c in bases(store)])
