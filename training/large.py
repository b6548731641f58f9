"""How a model of a published size is trained on one GPU; smaller ones keep their whole batches.

Of stepviz.trainings.LARGE parameters on: one block of a batch at a time, gradients added up over it, and each layer's
numbers computed again on the way back, so that a batch takes one block's memory, and there one layer's. The update is
that of the whole batch: the loss is divided by the labels of all its blocks (a test holds the two together). The
blocks that are left beside whole batches are a smaller batch of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepviz.trainings import is_large

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def counted(model: PreTrainedModel) -> int:
    """Parameters; what is tied once."""
    return sum(p.numel() for p in model.parameters())


def in_parts(model: PreTrainedModel, batch: int) -> dict[str, Any]:
    """TrainingArguments: how a batch comes to the device."""
    if not is_large(counted(model)):
        return {"per_device_train_batch_size": batch}
    again = model.supports_gradient_checkpointing
    return {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": batch,
        "gradient_checkpointing": again,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if again else None,
    }


def head_of(model: PreTrainedModel) -> torch.nn.Linear:
    """Of a token classifier: called `score` in most, `classifier` in some."""
    return model.score if hasattr(model, "score") else model.classifier


def with_exact_head(model: PreTrainedModel) -> PreTrainedModel:
    """A new head in float32 whatever the body's precision.

    Its weights are drawn around 0.02, where bfloat16 tells 1e-4 apart: at a rate of 1e-5 it would hardly learn.
    """
    import torch

    def as_head(head: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (given[0].to(head.weight.dtype),)

    if model.dtype != torch.float32:
        head_of(model).float().register_forward_pre_hook(as_head)
    return model
