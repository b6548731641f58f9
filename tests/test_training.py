"""Tokenizer, packing and fine-tuning, on real tokens and a real (short) training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from db.store import open_store
from stepviz import engines, recipes
from stepviz.checkpoints import look
from stepviz.engines.transformers import fingerprint
from stepviz.errors import StepvizError
from stepviz.train_memory import memory_needed
from stepviz.types import Problem
from stepviz.world import problem
from tests import tiny
from training import sft, step_scores
from training.language_model import LossLog, Settings, new_student, save
from training.packing import IGNORED, Document, PackedBlocks, pack, prompt_completion
from training.record import base_of, id_of
from training.tokenizer import BAD, SPECIAL, STEP, train_tokenizer

TEXTS = [f"{p.question}\n{p.solution}" for p in (problem("train", i) for i in range(40))]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([*TEXTS, *["it is correct", "it is incorrect"] * 20])


@pytest.fixture(scope="module")
def base(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("base")
    save(new_student(tokenizer), tokenizer, out)
    return out


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@given(text=st.text(max_size=80))
@settings(max_examples=150)
def test_any_text_comes_back(text: str) -> None:
    known = _TOKENIZER
    assert known.decode(encode(known, text), skip_special_tokens=False) == text


@given(a=st.text(max_size=40), b=st.text(max_size=40))
@settings(max_examples=150)
def test_encoding_is_additive_at_step_borders(a: str, b: str) -> None:
    known = _TOKENIZER
    assert encode(known, a + "\n" + b) == encode(known, a + "\n") + encode(known, b)


_TOKENIZER = train_tokenizer(TEXTS)


def test_what_the_tokenizer_keeps_apart(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.tokenize("144\n\n12.5") == ["1", "4", "4", "Ċ", "Ċ", "1", "2", ".", "5"]
    assert len(encode(tokenizer, BAD)) == len(encode(tokenizer, STEP)) == 1
    assert len(SPECIAL) == 21
    assert set(SPECIAL) <= set(tokenizer.get_vocab())
    right, wrong = tokenizer.tokenize(" correct"), tokenizer.tokenize(" incorrect")
    assert right[0] != wrong[0]
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id


def test_packing_keeps_documents_whole_and_wastes_little() -> None:
    documents = [Document((i,) * (1 + i % 37), (i,) * (1 + i % 37)) for i in range(500)]
    blocks = pack(documents, 64, seed=1)
    packed = sorted(d.ids for block in blocks for d in block)
    assert packed == sorted(d.ids for d in documents)
    assert all(sum(len(d.ids) for d in block) <= 64 for block in blocks)
    assert sum(len(d.ids) for d in documents) / (64 * len(blocks)) > 0.95


def test_a_document_that_is_too_long_is_left_out() -> None:
    assert pack([Document((1,) * 65, (1,) * 65), Document((2,), (2,))], 64, seed=0) == [[Document((2,), (2,))]]


def test_only_the_completion_is_learnt(tokenizer: PreTrainedTokenizerFast) -> None:
    (document,) = prompt_completion(tokenizer, [("ab\n", "12")])
    row = PackedBlocks([[document, document]], 16, tokenizer.pad_token_id)[0]
    head = len(tokenizer("ab\n")["input_ids"])
    one, two, end = *encode(tokenizer, "12"), tokenizer.eos_token_id
    expected = [IGNORED] * head + [one, two, end]
    assert row["labels"].tolist() == expected * 2 + [IGNORED] * (16 - 2 * len(expected))


def test_fine_tuning_from_the_store_changes_every_weight_and_lowers_the_loss(base: Path, tmp_path: Path) -> None:
    problems = [problem("train", i) for i in range(40)]
    with open_store(f"sqlite:///{tmp_path}/t.db") as store:
        made = store.add_dataset("t", "sft", {}, recipes.sft(problems, recipes.Dropped()))
        short = replace(sft.STUDENT, epochs=6, batch=4, learning_rate=3e-3, compile=False)
        cost = sft.run(store.dataset_rows(made.id), base, tmp_path / "out", short, report=lambda row: None)
    before = AutoModelForCausalLM.from_pretrained(base).state_dict()
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[k], after[k]) for k in before)
    assert all(v.dtype == torch.float32 for v in after.values())
    assert cost["tokens"] == cost["steps"] * 4 * 384
    assert cost["loss_last"] < 6.0  # ln(1024) = 6.93 is what a model that knows nothing pays
    assert AutoTokenizer.from_pretrained(tmp_path / "out").decode(encode(_TOKENIZER, "x=1")) == "x=1"


@pytest.mark.parametrize(
    ("saved", "trained", "size"),
    [
        (torch.float32, torch.float32, 4),
        (torch.bfloat16, torch.bfloat16, 2),
        (torch.float16, torch.bfloat16, 2),  # Llama 2 is published so
    ],
)
def test_on_a_gpu_weights_are_trained_as_they_were_saved(
    saved: torch.dtype, trained: torch.dtype, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of 1e-3 of a weight is less than bfloat16 can tell: the embedded models would hardly learn.

    In float16 the square of a gradient is 0, and so Adam's divisor.
    """
    base = tiny.build(tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(base, dtype=saved).save_pretrained(base)
    need = memory_needed(look(str(base)), {"batch": 0, "length": 64}, on_gpu=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    model, _ = sft.load_base(base)
    assert model.dtype == trained
    assert step_scores.load_base(base, 0)[0].dtype == trained
    assert need == 4 * size * sum(p.numel() for p in model.parameters())  # weights, gradients, two moments


@pytest.mark.parametrize("saved", [torch.float32, torch.bfloat16])
def test_a_base_is_recorded_under_the_name_that_its_engine_gives_it(
    saved: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU, where bfloat16 weights stay so: the parents of what is trained there led to a model that nobody knew.

    The engine's own computing is left on the CPU: what it is told to load, and its name, are those of a GPU.
    """
    base = tiny.build(tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(base, dtype=saved).save_pretrained(base)
    suffix = {torch.float32: "", torch.bfloat16: "+bfloat16"}[saved]
    assert base_of(str(base)).id == engines.load(f"hf:{base}", device="cpu").model_id == f"base@{fingerprint(base)}"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(PreTrainedModel, "to", lambda self, device: self)
    engine = engines.load(f"hf:{base}", device="cuda")
    assert engine.model.dtype == saved
    assert base_of(f"hf:{base}").id == id_of(base) == engine.model_id == f"base@{fingerprint(base)}{suffix}"


def test_a_training_that_diverges_ends_and_says_what_to_do(tmp_path: Path) -> None:
    """The stock trainer shows a loss of 0 in the place of one that is no number, and goes on to the end."""
    base = tiny.build(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    rows = [{"prompt": f"Tom has {i}.\n", "completion": f"{i}+12={i + 12}\n"} for i in range(40)]
    short = Settings(epochs=2, batch=4, length=64, compile=False)
    with pytest.raises(StepvizError, match=r"diverged: its loss is nan at step 1 of \d+\. Take a lower learning rate"):
        sft.run(rows, base, tmp_path / "made", short, lambda row: None)
    assert not (tmp_path / "made" / "config.json").exists()


def test_a_training_that_diverges_after_its_last_line_is_no_model_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has a line every so many steps; of what comes after the last only the mean of all steps tells."""
    monkeypatch.setattr(LossLog, "add", lambda *_: None)
    base = tiny.build(tmp_path / "base")
    rows = [{"prompt": f"Tom has {i}.\n", "completion": f"{i}+12={i + 12}\n"} for i in range(40)]
    wild = Settings(epochs=2, batch=4, length=64, compile=False, learning_rate=float("inf"))
    with pytest.raises(StepvizError, match=r"diverged: its loss is nan at step (\d+) of \1\."):
        sft.run(rows, base, tmp_path / "made", wild, lambda row: None)
    assert not (tmp_path / "made" / "config.json").exists()


def test_the_same_data_is_the_same_dataset(tmp_path: Path) -> None:
    problems = [problem("train", i) for i in range(5)]
    with open_store(f"sqlite:///{tmp_path}/t.db") as store:
        one = store.add_dataset("t", "sft", {}, recipes.sft(problems, recipes.Dropped()))
        two = store.add_dataset("t", "sft", {}, recipes.sft(problems, recipes.Dropped()))
        three = store.add_dataset("t", "sft", {}, recipes.sft(problems[1:], recipes.Dropped()))
    assert one.hash == two.hash != three.hash
    assert (one.version, two.version, three.version) == (1, 1, 2)


def test_a_test_problem_cannot_enter_a_training_set() -> None:
    with pytest.raises(StepvizError, match="test problem"):
        list(recipes.sft([problem("test", 0)], recipes.Dropped()))


def test_problems_without_a_solution_are_dropped_and_counted() -> None:
    dropped = recipes.Dropped()
    assert list(recipes.sft([Problem("1+1?", "2", None)], dropped)) == []
    assert dropped.reasons == {"no reference solution": 1}


@pytest.mark.parametrize(
    "rows, message",
    [
        ([], "empty"),
        ([{"text": "x"}], "prompt and completion"),
        ([{"prompt": "q", "completion": "1" * 2000}], "longer"),
    ],
)
def test_a_dataset_that_cannot_be_trained_on_is_refused(
    rows: list[dict[str, str]], message: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(StepvizError, match=message):
        sft.run(rows, base, tmp_path / "out", Settings(compile=False))


def test_the_checkpoint_is_small_and_plain(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    size = (base / "model.safetensors").stat().st_size
    assert 4_000_000 < size < 6_500_000  # 1 to 1.5 million parameters in float32
