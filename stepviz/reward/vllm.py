"""A scorer in this process on vLLM's pooling runner (task token_classify).

What vLLM has no class for it makes of the language model's: a head of one linear layer read from the checkpoint, and
for a Math-Shepherd, which is a language model, a head of two rows of its output matrix, those of `+` and `-`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepviz.engines import vllm_here
from stepviz.engines.precision import named_by, precision
from stepviz.engines.transformers import identity
from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoded, Tagged
from stepviz.reward.logits import TASK, at_ends
from stepviz.reward.probe import refuse_looking_ahead
from stepviz.reward.recognise import Recognised, recognise
from stepviz.reward.scorer import Scorer
from stepviz.reward.specs import Place

if TYPE_CHECKING:
    import torch

CACHED = 65536  # tokens


def load(spec: str, where: Place, device: str | None = None) -> VllmScorer:
    """See stepviz.reward.load_scorer. The id is that of the same weights with transformers: scores are the same."""
    device = vllm_here.prepare(device)
    found = recognise(where, spec)
    dtype = precision(found.config, device)
    made = VllmScorer(
        spec=spec,
        model_id=identity(found.source, found.name, dtype),
        role=found.role,
        kind=found.kind,
        device=device,
        context=found.context,
        encode=found.encode,
        llm=_open(spec, found, device, dtype),
    )
    try:
        close = 1e-4 if named_by(dtype) == "" else 2e-2
        refuse_looking_ahead(made, found.config.get_text_config().vocab_size, close)
    except (StepvizError, RuntimeError) as error:
        made.close()
        if isinstance(error, StepvizError):
            raise
        raise vllm_here.failed(error, spec, device) from error
    return made


@dataclass
class VllmScorer(Scorer):
    llm: Any  # vllm.LLM

    def probabilities(self, batch: Sequence[Encoded]) -> list[list[float]]:
        from vllm import PoolingParams

        prompts = [{"prompt_token_ids": list(chain.ids)} for chain in batch]
        asked = PoolingParams(use_activation=False)
        returned = self.llm.encode(prompts, asked, pooling_task=TASK, use_tqdm=False)
        try:
            return [at_ends(r.outputs.data, chain, self.kind) for r, chain in zip(returned, batch, strict=True)]
        except StepvizError as error:
            raise StepvizError(f"vLLM does not run {self.spec} so that steps can be scored: {error}") from None

    def close(self) -> None:
        if self.llm is not None:
            llm, self.llm = self.llm, None
            vllm_here.let_go(llm.llm_engine)


def _open(spec: str, found: Recognised, device: str, dtype: torch.dtype) -> Any:
    from vllm import LLM
    from vllm.config import PoolerConfig

    try:
        return LLM(
            model=found.source,
            runner="pooling",
            pooler_config=PoolerConfig(task=TASK, tok_pooling_type="ALL"),
            dtype=str(dtype).removeprefix("torch."),
            max_model_len=found.context,
            load_format="safetensors",
            trust_remote_code=False,
            **vllm_here.settings(device, found.context),
            **_cache(found, device, dtype),
            **_settings(found),
        )
    except Exception as error:
        if isinstance(error, (OSError, ValueError, RuntimeError, MemoryError)):
            raise vllm_here.failed(error, spec, device) from error
        raise


def _cache(found: Recognised, device: str, dtype: torch.dtype) -> dict[str, int]:
    """On a GPU no more than a pass over some chains needs: a student has its place beside it."""
    if device == "cpu":
        return {}
    config = found.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    a_token = 2 * config.num_hidden_layers * heads * width * dtype.itemsize
    return {"kv_cache_memory_bytes": a_token * max(CACHED, 2 * found.context)}


def _settings(found: Recognised) -> dict[str, Any]:
    """What vLLM must be told of this kind of model."""
    if found.kind != "math-shepherd":
        return {}
    labels = found.tokenizer.convert_ids_to_tokens(list(Tagged(found.tokenizer).labels()))
    return {
        "convert": "classify",
        "hf_overrides": {"method": "no_post_processing", "classifier_from_token": labels},
    }
