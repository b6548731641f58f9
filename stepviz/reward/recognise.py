"""What a step reward model's config and tokenizer say of it: its kind, what a score estimates, how it is asked.

What a checkpoint says of itself decides; a spec's prefix overrules it (stepviz.reward). No weights are read here, so
that a model which computes elsewhere is recognised by the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepviz.engines.transformers import load_tokenizer
from stepviz.errors import StepvizError
from stepviz.reward.encoding import QWEN_SEPARATOR, Encoder, Lines, Separated, Tagged
from stepviz.reward.specs import ROLES, SPECS, Place, role_in

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

SETTINGS = "step_scores"  # what our trainer notes in a config: {"role", "estimates", "template", "separator"}
LABELS = {"lines": (1, 2), "qwen-prm": (2,)}  # how many labels a head of this kind may have
PROCESS_REWARD = "ForProcessRewardModel"  # what the published Qwen2.5-Math-PRM call themselves


@dataclass(frozen=True, slots=True)
class Recognised:
    source: str  # folder or hub id
    name: str
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    kind: str  # stepviz.reward.KINDS
    role: str  # stepviz.reward.ROLES
    encode: Encoder
    context: int  # tokens, question included

    @property
    def architecture(self) -> str:
        return (self.config.architectures or [""])[0]


def recognise(where: Place, spec: str) -> Recognised:
    """StepvizError for a model that gives no score after a step, saying what to do."""
    config, tokenizer = _config(where.source), load_tokenizer(where.source)
    kind = where.kind or _kind(config, tokenizer, where)
    if kind in LABELS:
        _check_labels(config, where.source, LABELS[kind])
    role = role_in(noted(config))
    check_role(role, spec)
    encode = _encoder(kind, config, tokenizer)
    context = context_of(config, tokenizer)
    return Recognised(where.source, where.name, config, tokenizer, kind, role, encode, context)


def check_role(role: str, spec: str) -> None:
    if role not in ROLES:
        raise StepvizError(f"{spec} says it estimates {role!r}; there are: {', '.join(ROLES)}")


def context_of(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(min(positions or tokenizer.model_max_length, tokenizer.model_max_length))


def noted(config: PreTrainedConfig) -> dict[str, Any]:
    found = getattr(config, SETTINGS, None)
    return found if isinstance(found, dict) else {}


def _config(source: str) -> PreTrainedConfig:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StepvizError(f"cannot load a scorer from {source!r} (no remote code): {error}") from error


def _kind(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, where: Place) -> str:
    is_a = (config.architectures or ["a model that does not say what it is"])[0]
    if is_a.endswith(PROCESS_REWARD):
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


def _encoder(kind: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> Encoder:
    if kind == "qwen-prm":
        return Separated(tokenizer)
    if kind == "math-shepherd":
        return Tagged(tokenizer)
    return Lines(tokenizer, **{k: str(v) for k, v in noted(config).items() if k in ("template", "separator")})


def _check_labels(config: PreTrainedConfig, source: str, fitting: tuple[int, ...]) -> None:
    if config.num_labels not in fitting:
        counts = " or ".join(map(str, fitting))
        raise StepvizError(
            f"{source} has {config.num_labels} labels ({', '.join(map(str, config.id2label.values()))[:80]}): a score "
            f"after each step needs {counts} (wrong and right, in this order): take another scorer, or train one with "
            "`python -m training sorm`"
        )
