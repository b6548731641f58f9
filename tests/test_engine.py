"""The transformers engine against the library itself, on checkpoints made here with random weights."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers

from stepviz import engines
from stepviz.engines import transformers as engine_module
from stepviz.engines.causal import CausalBatch
from stepviz.engines.llama import LlamaBatch
from stepviz.engines.prompts import encode
from stepviz.errors import StepvizError
from stepviz.types import PromptStyle, Request, Sampling
from tests import tiny
from tests.engine_contract import QUESTIONS, STEPS, EngineContract, requests_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("llama"))


@pytest.fixture(params=["llama", "causal"])
def engine(request: pytest.FixtureRequest, folder: Path) -> engine_module.TransformersEngine:
    """The same checkpoint through the fast path of small Llamas and through the path of every model."""
    loaded = engines.load(f"hf:{folder}", device="cpu")
    if request.param == "causal":
        loaded._weights = None
    assert isinstance(loaded._new_batch(), LlamaBatch if request.param == "llama" else CausalBatch)
    return loaded


class TestTransformers(EngineContract):
    """Both paths keep every promise to the last bit."""


def stock_greedy(model: torch.nn.Module, ids: tuple[int, ...], tokens: int) -> list[int]:
    out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=tokens, pad_token_id=1)
    return out[0, len(ids) :].tolist()


def test_greedy_is_what_stock_generate_gives(engine: engine_module.TransformersEngine) -> None:
    style = PromptStyle(template="Q: {question}\nA:\n")
    requests = requests_of(1)
    completions = engine.generate(requests, Sampling(temperature=0, max_tokens=40, style=style))
    for request, completion in zip(requests, completions, strict=True):
        ids = encode(engine.tokenizer, style, request.question, request.prefix)
        assert list(completion.token_ids) == stock_greedy(engine.model, ids, 40)
        assert completion.prompt_tokens == len(ids)


def test_logits_are_those_of_the_whole_forward_pass(engine: engine_module.TransformersEngine) -> None:
    """Rows of different ages and lengths, some replaced midway, some dropped."""
    prompts = [encode(engine.tokenizer, PromptStyle(), q, p) for q in QUESTIONS[:2] for p in ("", STEPS[0])]
    batch, fed = engine._new_batch(), {}

    def check(logits: torch.Tensor, places: list[int]) -> None:
        for row, place in zip(logits, places, strict=True):
            whole = engine.model(torch.tensor([fed[place]])).logits[0, -1]
            torch.testing.assert_close(row, whole, atol=2e-4, rtol=1e-4)

    with torch.inference_mode():
        fed.update({0: [*prompts[0]], 1: [*prompts[0]], 2: [*prompts[1]]})
        check(batch.add(prompts[:2], [2, 1], [0, 1, 2]), [0, 1, 2])
        for step in range(70):  # past the first growth of the rows' own cache
            tokens = [5 + (7 * step + place) % 200 for place in sorted(fed)]
            for place, token in zip(sorted(fed), tokens, strict=True):
                fed[place].append(token)
            logits = batch.step(torch.tensor(tokens))
            if step % 10 == 0:
                check(logits, sorted(fed))
            if step == 20:  # the middle row leaves, two come in
                fed[1], fed[3] = [*prompts[3]], [*prompts[2]]
                check(batch.add([prompts[3], prompts[2]], [1, 1], [1, 3]), [1, 3])
            if step == 40:
                batch.keep([1, 3])
                fed = {0: fed[1], 1: fed[3]}


def test_a_draw_depends_on_its_seed_and_not_on_its_batch(
    engine: engine_module.TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=30, style=PromptStyle(stop=("e", "a")))
    requests = requests_of(6)
    together = engine.generate(requests, sampling)
    assert len({c.tokens for c in together}) > 5  # rows ended at many different times
    assert engine.generate(requests[::-1], sampling)[::-1] == together
    assert [engine.generate([r], sampling)[0] for r in requests[::9]] == together[::9]
    monkeypatch.setitem(engine_module.ROWS, "cpu", 5)  # many refills
    assert engine.generate(requests, sampling) == together


def test_trunks_whose_rows_are_over_are_let_go(folder: Path) -> None:
    """Row 0 stays while row 1 is replaced four times: two rows read two prompts, and row 0's numbers are its own."""
    engine = engines.load(f"hf:{folder}", device="cpu")
    prompts = [tuple(range(5 + i, 25 + i)) for i in range(6)]
    batch, alone = engine._new_batch(), engine._new_batch()
    with torch.inference_mode():
        batch.add(prompts[:2], [1, 1], [0, 1])
        alone.add(prompts[:1], [1], [0])
        for prompt in prompts[2:]:
            batch.add([prompt], [1], [1])
        assert len(batch.trunk_keys[0]) == 2
        torch.testing.assert_close(batch.step(torch.tensor([7, 9]))[0], alone.step(torch.tensor([7]))[0])


def test_one_prompt_many_seeds_follows_the_model_distribution(engine: engine_module.TransformersEngine) -> None:
    """The first tokens of 4,000 draws against softmax: total variation below what 4,000 fair draws stray."""
    sampling = Sampling(temperature=0.8, max_tokens=1)
    draws = engine.generate([Request(QUESTIONS[0], "", seed) for seed in range(4000)], sampling)
    ids = encode(engine.tokenizer, sampling.style, QUESTIONS[0], "")
    expected = (engine.model(torch.tensor([ids])).logits[0, -1] / 0.8).softmax(-1)
    counts = torch.bincount(torch.tensor([c.token_ids[0] for c in draws]), minlength=len(expected)) / 4000
    # the mean of |count/n - p| is sqrt(2p(1-p)/(pi n)); half the sum, with a quarter on top
    fair = 0.5 * (2 * expected * (1 - expected) / (3.14159 * 4000)).sqrt().sum()
    assert 0.5 * (counts - expected).abs().sum() < 1.25 * fair


def test_the_end_token_ends_a_row_and_is_not_text(engine: engine_module.TransformersEngine) -> None:
    free = engine.generate([Request(QUESTIONS[1], "", 4)], Sampling(max_tokens=40))[0]
    assert (free.finish_reason, free.tokens) == ("length", 40)
    engine.end_ids = frozenset({free.token_ids[17]})
    ended = engine.generate([Request(QUESTIONS[1], "", 4)], Sampling(max_tokens=40))[0]
    first = free.token_ids.index(free.token_ids[17])
    assert ended.finish_reason == "stop"
    assert ended.tokens == first + 1
    assert free.text.startswith(ended.text)
    assert ended.text == engine.tokenizer.decode(free.token_ids[:first])


def test_callers_are_let_in_within_a_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a quarter of a second whenever the decoder looks, so between any two steps."""
    engine, ticks = engines.load(f"hf:{folder}", device="cpu"), itertools.count()
    looked: list[int] = []
    monkeypatch.setattr("stepviz.engines.decode.time", SimpleNamespace(monotonic=lambda: next(ticks) / 4))
    requests = [Request(QUESTIONS[0], "", seed) for seed in range(30)]
    engine.generate(requests, Sampling(max_tokens=40), on_batch=lambda *_: looked.append(next(ticks)))
    assert len(looked) > 5  # of some forty steps
    assert max(b - a for a, b in itertools.pairwise(looked)) <= 4


@pytest.mark.parametrize("kind", ["gpt2", "mistral-sliding", "qwen2"])
def test_other_architectures_go_through_their_own_forward(kind: str, folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    vocabulary = len(transformers.AutoTokenizer.from_pretrained(folder))
    sizes = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 1}
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = {
        "gpt2": lambda: transformers.GPT2Config(n_positions=200, n_embd=32, n_layer=2, n_head=4, **sizes),
        "mistral-sliding": lambda: transformers.MistralConfig(
            sliding_window=16, num_key_value_heads=2, max_position_embeddings=200, **small, **sizes
        ),
        "qwen2": lambda: transformers.Qwen2Config(num_key_value_heads=2, max_position_embeddings=200, **small, **sizes),
    }[kind]()
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    engine = engines.load(f"hf:{tmp_path}", device="cpu", tokenizer=str(folder))
    assert engine._weights is None
    requests = requests_of(1)
    completions = engine.generate(requests, Sampling(temperature=0, max_tokens=30))
    for request, completion in zip(requests, completions, strict=True):
        ids = encode(engine.tokenizer, PromptStyle(), request.question, request.prefix)
        assert list(completion.token_ids) == stock_greedy(engine.model, ids, 30)


def test_new_weights_are_a_new_model(folder: Path, tmp_path: Path) -> None:
    other = tiny.build(tmp_path / folder.name, seed=1)
    one, two = engines.load(f"hf:{folder}", device="cpu"), engines.load(f"hf:{other}", device="cpu")
    assert one.model_id == engines.load(f"hf:{folder}", device="cpu").model_id != two.model_id
    assert one.model_id.startswith(f"{folder.name}@")


@pytest.mark.parametrize("spec", ["", "hf:", "vllm:", "openai:", "gpt"])
def test_an_unknown_spec_names_the_known_ones(spec: str) -> None:
    with pytest.raises(StepvizError, match="supported: embedded"):
        engines.load(spec)


def test_a_model_that_is_not_there_or_not_safetensors_is_a_users_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StepvizError, match="cannot load a model"):
        engines.load(f"hf:{tmp_path}/nothing", device="cpu")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((folder / "config.json").read_text())
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(StepvizError, match="cannot load a model"):
        engines.load(f"hf:{pickled}", device="cpu")


def test_a_scorer_is_not_taken_for_a_language_model(folder: Path, tmp_path: Path) -> None:
    scores = r"no language model but a LlamaForTokenClassification, which scores steps .*embedded:student"
    with pytest.raises(StepvizError, match=scores):
        engines.load("embedded:orm", device="cpu")
    config = json.loads((folder / "config.json").read_text()) | {"architectures": ["LlamaModel"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(StepvizError, match="no language model but a LlamaModel, which has no head that writes"):
        engines.load(f"hf:{tmp_path}", device="cpu")
    assert engines.is_causal(["LlamaForCausalLM"]) is engines.is_causal(["GPT2LMHeadModel"]) is True
    assert engines.is_causal(["Gemma3ForConditionalGeneration"]) is engines.is_causal(None) is None
    assert engines.is_causal(["Qwen2ForProcessRewardModel"]) is False


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_asking_for_cuda_without_one_is_a_users_error(folder: Path) -> None:
    with pytest.raises(StepvizError, match="no CUDA device"):
        engines.load(f"hf:{folder}", device="cuda")
