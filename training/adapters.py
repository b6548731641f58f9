"""LoRA (Hu et al., 2106.09685): small matrices beside the linear layers learn, the weights stay; then they are merged.

What comes out is an ordinary checkpoint. The small matrices are in float32, where a small step is not lost, and they
alone have gradients and moments: a base that fits a GPU to draw from fits it to be trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def adapted(model: PreTrainedModel, rank: int, seed: int, tokens: Sequence[int] = ()) -> Any:
    """The model with matrices of this rank beside all linear layers but the output; scaled by 2.

    tokens: ids whose embeddings learn too, as that of a token which the model did not have.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        trainable_token_indices=list(tokens) or None,
    )
    return get_peft_model(model, config)


def merged(model: Any) -> PreTrainedModel:
    """The model as an ordinary one; as it is where it has no adapters."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
