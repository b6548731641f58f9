"""Exports load with `datasets.load_dataset`, carry a card, and go through a stock TRL trainer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, open_store
from stepviz.dataset_files import FORMATS, write
from stepviz.datasets import build
from stepviz.errors import StepvizError
from tests import dataset_cases as cases
from tests import tiny
from tests.store_cases import new_url


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(new_url(tmp_path_factory.mktemp("store"))) as opened:
        cases.school(opened)
        yield opened


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def load(path: Path, cache: Path, kind: str | None = None) -> Any:
    from datasets import load_dataset

    where = {"path": str(path)} if kind is None else {"path": kind, "data_files": str(path)}
    return load_dataset(**where, split="train", cache_dir=str(cache))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("recipe", ["sft", "sorm", "self-explore"])
def test_every_format_loads_with_its_columns(store: Store, tmp_path: Path, format: str, recipe: str):
    made = build(store, recipe, {"soft": True} if recipe == "sorm" else {})
    path = write(store, made.id, format, tmp_path / "out")
    found = load(path, tmp_path / "cache")
    assert found.to_list() == list(store.dataset_rows(made.id))
    columns = {
        "sft": ["prompt", "completion", "origin"],
        "sorm": ["prompt", "completions", "labels", "k", "n", "origin"],
        "self-explore": ["prompt", "chosen", "rejected", "origin"],
    }
    assert sorted(found.column_names) == sorted(columns[recipe])
    if recipe == "sorm":
        assert str(found.features["labels"].feature.dtype) == "int64"
    if format == "hf":
        from datasets import load_from_disk

        assert load_from_disk(str(path))["train"].to_list() == found.to_list()


@pytest.mark.parametrize("format, suffix, kind", [("jsonl", ".jsonl", "json"), ("parquet", ".parquet", "parquet")])
def test_a_single_file_with_its_card_beside_it(store: Store, tmp_path: Path, format: str, suffix: str, kind: str):
    made = build(store, "rft")
    out = tmp_path / "deep" / f"pairs{suffix}"
    assert write(store, made.id, format, out) == out
    assert load(out, tmp_path / "cache", kind).to_list() == list(store.dataset_rows(made.id))
    assert {p.name for p in out.parent.iterdir()} == {"pairs.md", out.name}
    assert f'"path": "pairs{suffix}"' in (tmp_path / "deep" / "pairs.md").read_text()


def test_the_card_says_what_is_in_it(store: Store, tmp_path: Path):
    import yaml

    made = build(store, "balanced-orm", name='a "name": [x]\n---')
    text = (write(store, made.id, "jsonl", tmp_path / "out") / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    read = yaml.safe_load(header)
    assert read["license"] == "other"  # the questions are the school's
    assert read["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "train.jsonl"}]}]
    assert read["size_categories"] == ["n<1K"]
    for said in (made.hash, "balanced-orm", "| rows | 12 |", "a chain of the majority of its question | 6", "school"):
        assert said in body
    config = json.loads(body.split("```json\n")[1].split("```")[0])
    assert config == dict(made.config)


def test_the_worlds_own_sets_are_free_and_oracle_arms_say_so(store: Store, tmp_path: Path):
    from stepviz.world import embedded_problems

    *_, world = embedded_problems("train", 4)
    cases.add(store, world)
    cases.sample(store, world, world.solution)
    made = build(store, "stepwise", {"oracle": True, "source": "embedded"})
    card = (write(store, made.id, "parquet", tmp_path / "out") / "README.md").read_text()
    assert 'license: "apache-2.0"' in card
    assert '"oracle"' in card
    assert "An oracle arm" in card


def test_hostile_text_goes_through(store: Store, tmp_path: Path):
    evil = "a\u2028b\x85c\r\n|<script>\ud800\x00"
    rows = [{"prompt": evil, "completion": "x", "origin": {"problem": "p", "chain": None, "step": None}}]
    made = store.add_dataset("evil", "rft", {"name": evil}, rows, format="prompt-completion")
    for format in FORMATS:
        found = load(write(store, made.id, format, tmp_path / format), tmp_path / f"cache-{format}")
        assert found[0]["prompt"] == evil.replace("\ud800", "\ufffd")


def test_places_that_are_taken_and_mistakes(store: Store, tmp_path: Path):
    made = build(store, "sft")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(StepvizError, match="is there already; choose another --out"):
        write(store, made.id, "jsonl", tmp_path / "full")
    (tmp_path / "a.md").write_text("mine")
    with pytest.raises(StepvizError, match=r"a\.md is there already"):
        write(store, made.id, "jsonl", tmp_path / "a.jsonl")
    with pytest.raises(StepvizError, match="no format 'csv'"):
        write(store, made.id, "csv", tmp_path / "b")
    with pytest.raises(StepvizError, match="no dataset 99"):
        write(store, 99, "jsonl", tmp_path / "b")
    with pytest.raises(StepvizError, match="cannot be written"):
        write(store, made.id, "jsonl", tmp_path / "a.md" / "b")
    empty = store.add_dataset("empty", "sft", {}, [])
    with pytest.raises(StepvizError, match="no rows"):
        write(store, empty.id, "jsonl", tmp_path / "b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.md", "full"]  # nothing half-written
    (tmp_path / "room").mkdir()
    assert write(store, made.id, "jsonl", tmp_path / "room").is_dir()


def test_a_stock_trl_trainer_takes_the_pairs(store: Store, tmp_path: Path):
    """Two steps of DPO on a tiny random model, from the exported folder as it is."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    path = write(store, build(store, "self-explore").id, "hf", tmp_path / "pairs")
    pairs = load(path, tmp_path / "cache")
    folder = tiny.build(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = DPOConfig(
        output_dir=str(tmp_path / "dpo"),
        max_steps=2,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        logging_steps=1,
    )
    trainer = DPOTrainer(model=model, args=config, train_dataset=pairs, processing_class=tokenizer)
    result = trainer.train()
    assert result.global_step == 2
    assert any(not torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert next(row["loss"] for row in trainer.state.log_history if "loss" in row) == pytest.approx(0.6931, abs=1e-3)
