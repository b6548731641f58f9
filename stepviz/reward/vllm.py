"""A scorer in this process on vLLM's pooling runner (task token_classify).

What vLLM has no class for it makes of the language model's: a head of one linear layer read from the checkpoint, and
for a Math-Shepherd, which is a language model, a head of two rows of its output matrix, those of `+` and `-`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepviz.engines import memory
from stepviz.engines.precision import named_by, precision
from stepviz.engines.transformers import identity
from stepviz.errors import StepvizError
from stepviz.reward.encoding import Encoded, Tagged
from stepviz.reward.loading import chosen_device
from stepviz.reward.logits import TASK, at_ends
from stepviz.reward.probe import refuse_looking_ahead
from stepviz.reward.recognise import Recognised, recognise
from stepviz.reward.scorer import Scorer
from stepviz.reward.specs import Place


def load(spec: str, where: Place, device: str | None = None) -> VllmScorer:
    """See stepviz.reward.load_scorer. The id is that of the same weights with transformers: scores are the same."""
    device = chosen_device(device)
    found = recognise(where, spec)
    dtype = precision(found.config, device)
    llm = _open(spec, found, str(dtype).removeprefix("torch."))
    made = VllmScorer(
        spec=spec,
        model_id=identity(found.source, found.name, dtype),
        role=found.role,
        kind=found.kind,
        device=device,
        context=found.context,
        encode=found.encode,
        llm=llm,
    )
    close = 1e-4 if named_by(dtype) == "" else 2e-2
    refuse_looking_ahead(made, found.config.get_text_config().vocab_size, close)
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
        self.llm = None
        memory.release()


def _open(spec: str, found: Recognised, dtype: str) -> Any:
    try:
        from vllm import LLM
        from vllm.config import PoolerConfig
    except ImportError as error:
        raise StepvizError(f"{spec} needs vLLM, which is not installed here ({error}): see README, vLLM") from error
    try:
        return LLM(
            model=found.source,
            runner="pooling",
            pooler_config=PoolerConfig(task=TASK, tok_pooling_type="ALL"),
            dtype=dtype,
            max_model_len=found.context,
            enforce_eager=True,
            trust_remote_code=False,
            **_settings(found),
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise StepvizError(f"vLLM cannot load {spec}: {error}") from error


def _settings(found: Recognised) -> dict[str, Any]:
    """What vLLM must be told of this kind of model."""
    if found.kind != "math-shepherd":
        return {}
    labels = found.tokenizer.convert_ids_to_tokens(list(Tagged(found.tokenizer).labels()))
    return {
        "convert": "classify",
        "hf_overrides": {"method": "no_post_processing", "classifier_from_token": labels},
    }
