"""What can be trained, what files say of a base, and what a training will take. Nothing is trained here."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from db.store import Store
from db.values import ModelRow
from stepviz import recipes, train_estimate, train_job, trainings
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.model_choices import bases, generators, refiners, scorers
from stepviz.train_estimate import estimate
from stepviz.train_memory import Machine, memory_needed
from tests import tiny
from tests import training_cases as cases

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


def test_what_a_round_takes(store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 questions, 4 samples each, 2 problems that judge; without solutions here 80 and 135 tokens are taken."""
    monkeypatch.setattr(train_estimate, "memory_of", lambda: Machine("this machine", 1 << 34, 1 << 34))
    settings = {"epochs": 3.0, "batch": 4, "length": 64, "seed": 0, "learning_rate": 1e-3, "compile": False}
    options = train_job.normalised(store, cases.rounds(questions=10, samples=4, dev=2, supervised=12))["options"]
    found = train_estimate.estimate_rounds(store, look(str(base)), settings, options)
    assert found.sampled == (10 * 4 + 2) * 135
    blocks = -(-12 * 64 // (64 * 0.95))  # each row is cut to a block
    assert (found.rows, found.steps, found.tokens) == (12, 3 * (blocks // 4), 3 * (blocks // 4) * 4 * 64)
    store.add_model(
        ModelRow("last@1", meta={"device": "cpu", "sampled_per_s": 100, "tokens_per_s": 64, "parameters": 1})
    )
    found = train_estimate.estimate_rounds(store, look(str(base)), settings, options)
    assert found.seconds == pytest.approx(42 * 135 / 100 + found.tokens * look(str(base)).parameters / 64)


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
