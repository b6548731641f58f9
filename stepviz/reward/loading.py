"""Scorers that compute here, with the `transformers` library: a checkpoint of any of the three kinds.

Two labels are a softmax of which the second is the positive one, one label is a sigmoid.

The published Qwen2.5-Math-PRM brings code of its own, which fails on transformers from 4.54 on and which we would
not run anyway. Its parts are stock: `model.*` is a Qwen2Model, and the head `score.*` is Linear(h, h), ReLU,
Linear(h, 2). So the stock Qwen2ForTokenClassification is given that head and reads the weights under their own
names; any that is missing is an error, while `lm_head`, which the original carries and does not use, is passed
over. Checked: against that description written out by hand, on random weights saved under these names, in float32.
Not checked: the published weights themselves, which could not be had where this was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepviz.engines.memory import enough_to_load, is_full
from stepviz.engines.precision import named_by, precision
from stepviz.engines.transformers import identity
from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoder, Tagged
from stepviz.reward.forward import ForwardScorer, Read
from stepviz.reward.probe import refuse_looking_ahead
from stepviz.reward.recognise import PROCESS_REWARD, Recognised, check_role, context_of, recognise
from stepviz.reward.specs import Place

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def load(spec: str, where: Place, device: str | None = None) -> ForwardScorer:
    """See stepviz.reward.load_scorer."""
    device = chosen_device(device)
    found = recognise(where, spec)
    load_kind = {"lines": _lines, "qwen-prm": _qwen, "math-shepherd": _shepherd}[found.kind]
    with enough_to_load(spec, device):
        model, read = load_kind(found, device)
    name = identity(found.source, found.name, model.dtype)
    named = {"spec": spec, "model_id": name, "role": found.role, "kind": found.kind, "device": device}
    return scorer(model, found.tokenizer, found.encode, read, **named)


def scorer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encode: Encoder, read: Read, **named: str
) -> ForwardScorer:
    """A scorer of a model in memory: `named` are Scorer's spec, model_id, role, kind, device."""
    check_role(named["role"], named["spec"])
    made = ForwardScorer(
        **named,
        context=context_of(model.config, tokenizer),
        encode=encode,
        model=model,
        tokenizer=tokenizer,
        read=read,
    )
    close = 1e-4 if named_by(model.dtype) == "" else 2e-2
    refuse_looking_ahead(made, model.config.get_text_config().vocab_size, close)
    return made


def chosen_device(device: str | None) -> str:
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        raise StepvizError("there is no CUDA device here: leave the device out, or ask for cpu")
    return chosen


def head_reader(model: PreTrainedModel) -> Read:
    """Probabilities of a token classification head with two labels or one."""
    logits = _small_llama(model) or _library(model)

    def read(ids: torch.Tensor, rows: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        found = logits(ids, rows, ends).float()
        return found.softmax(-1)[:, 1] if model.config.num_labels == 2 else found[:, 0].sigmoid()

    return read


def _library(model: PreTrainedModel) -> Read:
    return lambda ids, rows, ends: model(input_ids=ids, use_cache=False).logits[rows, ends]


def _small_llama(model: PreTrainedModel) -> Read | None:
    """Our engine's pass over a Llama in float32 on the CPU: the same numbers in less time. None for other models."""
    from torch.nn import functional as F

    from stepviz.engines.llama import LlamaBatch, LlamaWeights, fits

    if model.device.type != "cpu" or not fits(model):
        return None
    context = model.config.max_position_embeddings
    weights = LlamaWeights(model, context, model.score)
    batch = LlamaBatch(weights, context)
    return lambda ids, rows, ends: F.linear(batch.hidden(ids)[rows, ends], weights.head, model.score.bias)


# ---- the three kinds


def _lines(found: Recognised, device: str) -> tuple[PreTrainedModel, Read]:
    from transformers import AutoModelForTokenClassification

    model = _load(AutoModelForTokenClassification, found, device)
    return model, head_reader(model)


def _qwen(found: Recognised, device: str) -> tuple[PreTrainedModel, Read]:
    from transformers import AutoModelForTokenClassification

    own_head = found.architecture.endswith(PROCESS_REWARD)
    if own_head and found.config.model_type != "qwen2":
        said = f"a process reward model on {found.config.model_type}"
        raise StepvizError(f"{found.source}: {said}; only Qwen2's head is known")
    model = _load(_process_reward_model() if own_head else AutoModelForTokenClassification, found, device)
    return model, head_reader(model)


def _process_reward_model() -> type[PreTrainedModel]:
    from torch import nn
    from transformers import Qwen2ForTokenClassification

    class Qwen2ForProcessRewardModel(Qwen2ForTokenClassification):
        """Qwen2 with the head of two layers that its process reward models were published with."""

        def __init__(self, config: PreTrainedConfig) -> None:
            super().__init__(config)
            width = config.hidden_size
            self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.num_labels))

    return Qwen2ForProcessRewardModel


def _shepherd(found: Recognised, device: str) -> tuple[PreTrainedModel, Read]:
    from transformers import AutoModelForCausalLM

    labels = list(Tagged(found.tokenizer).labels())
    model = _load(AutoModelForCausalLM, found, device)

    def read(ids: torch.Tensor, rows: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        # only what stands at a tag goes through the large output matrix
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[rows, ends]
        return model.get_output_embeddings()(hidden)[:, labels].float().softmax(-1)[:, 0]

    return model, read


# ---- loading


def _load(kind: Any, found: Recognised, device: str) -> PreTrainedModel:
    """Weights as they are: one that the checkpoint lacks would be drawn at random, and scores with it."""
    from transformers.utils import logging

    source, config = found.source, found.config
    logging.disable_progress_bar()
    try:
        model, read = kind.from_pretrained(
            source,
            config=config,
            dtype=precision(config, device),
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        if is_full(error):
            raise
        raise StepvizError(f"cannot load a scorer from {source!r} (safetensors, no remote code): {error}") from error
    lacking = sorted(read["missing_keys"])
    if lacking:
        some = ", ".join(lacking[:3])
        raise StepvizError(f"{source} lacks weights of a trained scorer ({some}): train one with `python -m training`")
    return model.eval().requires_grad_(False).to(device)
