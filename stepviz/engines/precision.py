"""In which precision a checkpoint is read and trained: one rule for engines, scorers and trainings.

A model is named by it, too (stepviz.engines.transformers.identity): where the rules differed, a student that was
trained on a GPU would be another model than the one that its record says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig


def precision(config: PreTrainedConfig, device: str) -> torch.dtype:
    """float32 on a CPU; on a GPU what the checkpoint says of itself, else bfloat16."""
    import torch

    said = config.get_text_config().dtype
    said = getattr(torch, said) if isinstance(said, str) else said
    return (said or torch.bfloat16) if device.startswith("cuda") else torch.float32


def named_by(dtype: torch.dtype) -> str:
    """What it adds to a model's id: nothing in float32."""
    name = str(dtype).removeprefix("torch.")
    return "" if name == "float32" else f"+{name}"


def trained_in(config: PreTrainedConfig, device: str) -> torch.dtype:
    """The same for weights that are to be trained, but bfloat16 in the place of float16, as Llama 2 is published in.

    Adam's second moment, the square of a gradient, is 0 in float16: after a few steps the weights are no numbers.
    """
    import torch

    found = precision(config, device)
    return torch.bfloat16 if found == torch.float16 else found
