"""Which kind of step reward model a checkpoint is, and how its scores are read.

What a checkpoint says of itself decides; a spec's prefix overrules it (stepviz.reward). Whatever is loaded is
asked once whether it reads forwards only: a model that sees the steps to come has no score *after* a step.

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
from stepviz.engines.precision import precision
from stepviz.engines.transformers import identity, load_tokenizer
from stepviz.errors import StepvizError
from stepviz.reward.encoding import QWEN_SEPARATOR, Encoder, Lines, Separated, Tagged
from stepviz.reward.scorer import Read, Scorer
from stepviz.reward.specs import ROLES, SPECS, Place, place, role_in

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

SETTINGS = "step_scores"  # what our trainer notes in a config: {"role", "estimates", "template", "separator"}
PROBE = 6  # tokens


def load(spec: str, device: str | None = None) -> Scorer:
    """See stepviz.reward.load_scorer."""
    where = place(spec)
    device = chosen_device(device)
    config = _config(where.source)
    tokenizer = load_tokenizer(where.source)
    kind = where.kind or _kind(config, tokenizer, where)
    load_kind = {"lines": _lines, "qwen-prm": _qwen, "math-shepherd": _shepherd}[kind]
    with enough_to_load(spec, device):
        model, encode, read = load_kind(where.source, config, tokenizer, device)
    name = identity(where.source, where.name, model.dtype)
    role = role_in(noted(config))
    return scorer(model, tokenizer, encode, read, spec=spec, model_id=name, role=role, kind=kind, device=device)


def scorer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encode: Encoder, read: Read, **named: str
) -> Scorer:
    """A scorer of a model in memory: `named` are Scorer's spec, model_id, role, kind, device."""
    if named["role"] not in ROLES:
        raise StepvizError(f"{named['spec']} says it estimates {named['role']!r}; there are: {', '.join(ROLES)}")
    made = Scorer(
        **named,
        context=context_of(model.config, tokenizer),
        model=model,
        tokenizer=tokenizer,
        encode=encode,
        read=read,
    )
    _refuse_looking_ahead(made)
    return made


def chosen_device(device: str | None) -> str:
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        raise StepvizError("there is no CUDA device here: leave the device out, or ask for cpu")
    return chosen


def context_of(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(min(positions or tokenizer.model_max_length, tokenizer.model_max_length))


def noted(config: PreTrainedConfig) -> dict[str, Any]:
    found = getattr(config, SETTINGS, None)
    return found if isinstance(found, dict) else {}


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


def _kind(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, where: Place) -> str:
    is_a = (config.architectures or ["a model that does not say what it is"])[0]
    if is_a.endswith("ForProcessRewardModel"):
        return "qwen-prm"
    if is_a.endswith("ForTokenClassification"):
        separated = QWEN_SEPARATOR in tokenizer.get_vocab() and not noted(config)
        return "qwen-prm" if separated else "lines"
    if is_a.endswith("ForCausalLM") and "shepherd" in where.name.lower():
        return "math-shepherd"
    raise StepvizError(
        f"{where.name} is {is_a}, which gives no score after a step: take a *ForTokenClassification, or train one with "
        f"`python -m training sorm`; where it is a step reward model after all, say which kind ({SPECS})"
    )


def _lines(
    source: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, device: str
) -> tuple[PreTrainedModel, Encoder, Read]:
    from transformers import AutoModelForTokenClassification

    _check_labels(config, source, (1, 2))
    model = _load(AutoModelForTokenClassification, source, config, device)
    given = {k: str(v) for k, v in noted(config).items() if k in ("template", "separator")}
    return model, Lines(tokenizer, **given), head_reader(model)


def _qwen(
    source: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, device: str
) -> tuple[PreTrainedModel, Encoder, Read]:
    from transformers import AutoModelForTokenClassification

    _check_labels(config, source, (2,))
    own_head = (config.architectures or [""])[0].endswith("ForProcessRewardModel")
    if own_head and config.model_type != "qwen2":
        raise StepvizError(f"{source}: a process reward model on {config.model_type}; only Qwen2's head is known")
    model = _load(_process_reward_model() if own_head else AutoModelForTokenClassification, source, config, device)
    return model, Separated(tokenizer), head_reader(model)


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


def _shepherd(
    source: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, device: str
) -> tuple[PreTrainedModel, Encoder, Read]:
    from transformers import AutoModelForCausalLM

    tagged = Tagged(tokenizer)
    labels = list(tagged.labels())
    model = _load(AutoModelForCausalLM, source, config, device)

    def read(ids: torch.Tensor, rows: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        # only what stands at a tag goes through the large output matrix
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[rows, ends]
        return model.get_output_embeddings()(hidden)[:, labels].float().softmax(-1)[:, 0]

    return model, tagged, read


# ---- loading


def _config(source: str) -> PreTrainedConfig:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StepvizError(f"cannot load a scorer from {source!r} (no remote code): {error}") from error


def _load(kind: Any, source: str, config: PreTrainedConfig, device: str) -> PreTrainedModel:
    """Weights as they are: one that the checkpoint lacks would be drawn at random, and scores with it."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model, found = kind.from_pretrained(
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
    lacking = sorted(found["missing_keys"])
    if lacking:
        some = ", ".join(lacking[:3])
        raise StepvizError(f"{source} lacks weights of a trained scorer ({some}): train one with `python -m training`")
    return model.eval().requires_grad_(False).to(device)


def _check_labels(config: PreTrainedConfig, source: str, fitting: tuple[int, ...]) -> None:
    if config.num_labels not in fitting:
        counts = " or ".join(map(str, fitting))
        raise StepvizError(
            f"{source} has {config.num_labels} labels ({', '.join(map(str, config.id2label.values()))[:80]}): a score "
            f"after each step needs {counts} (wrong and right, in this order): take another scorer, or train one with "
            "`python -m training sorm`"
        )


def _refuse_looking_ahead(made: Scorer) -> None:
    """One pass: three sequences that differ in their last token only must agree before it."""
    import torch

    size = min(1000, made.model.config.get_text_config().vocab_size)
    start = torch.arange(PROBE, device=made.device) % size
    ids = start.repeat(3, 1)
    ids[1, -1], ids[2, -1] = (PROBE + size // 3) % size, (PROBE + size // 2) % size
    with torch.inference_mode():
        rows = torch.arange(3, device=made.device).repeat_interleave(PROBE - 1)
        ends = torch.arange(PROBE - 1, device=made.device).repeat(3)
        found = made.read(ids, rows, ends).float().view(3, -1)
    close = 1e-4 if made.model.dtype == torch.float32 else 2e-2
    if not torch.allclose(found, found[:1].expand_as(found), atol=close):
        raise StepvizError(f"{made.spec} reads both ways, so its scores know the steps to come: take a causal backbone")
