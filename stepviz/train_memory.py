"""The memory that a training takes, and the machine's: said before it starts, and again once a hub's base is known.

Weights, gradients and Adam's two moments; what a batch leaves for its way back: about 34 numbers a layer and hidden
unit of each token (Korthikanti et al., 2205.05198, without the attention matrix, which our attention does not keep);
and the logits. A large model is trained block by block, gradients added up over the batch, and each layer computed
again on the way back (training.large): of it one block is kept, as each layer's input, and the whole of one layer.
With adapters (training.adapters) only they have gradients and moments.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stepviz.checkpoints import Checkpoint
from stepviz.errors import StepvizError
from stepviz.trainings import is_large

A_LAYER = 34  # numbers kept a layer, hidden unit and token
LOGIT = 10  # bytes a token and word: as computed, in float32, and its gradient


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a training would run, in bytes."""

    where: str  # "this machine", "the GPU"
    total: int
    free: int
    on_gpu: bool = False


def memory_needed(
    base: Checkpoint, settings: Mapping[str, Any], on_gpu: bool, parameters: int | None = None, lora: int = 0
) -> int | None:
    """Bytes; None for a base of which nothing is known yet. parameters: where its weights are not here yet."""
    parameters = parameters or base.parameters
    if not parameters:
        return None
    size = _bytes_each(base, on_gpu)
    length = min(settings["length"], base.context or settings["length"])
    layers, hidden = base.size("num_hidden_layers"), base.size("hidden_size")
    large = is_large(parameters)
    numbers = layers + A_LAYER if large else A_LAYER * layers
    a_token = size * numbers * hidden + LOGIT * base.size("vocab_size")
    return _learnt(base, size, parameters, lora) + (1 if large else settings["batch"]) * length * a_token


def adapters(base: Checkpoint, rank: int) -> int:
    """Numbers in the matrices beside the linear layers (training.adapters): rank × (what goes in + what comes out)."""
    hidden, heads = base.size("hidden_size"), base.size("num_attention_heads")
    each = base.size("head_dim") or (hidden // heads if heads else 0)
    keys = (base.size("num_key_value_heads") or heads) * each
    attention = 2 * (hidden + heads * each) + 2 * (hidden + keys)
    return base.size("num_hidden_layers") * rank * (attention + 3 * (hidden + base.size("intermediate_size")))


def _learnt(base: Checkpoint, size: int, parameters: int, lora: int) -> int:
    """Bytes of weights, gradients and two moments; adapters are in float32."""
    return size * parameters + 16 * adapters(base, lora) if lora else 4 * size * parameters


def require(
    base: Checkpoint,
    settings: Mapping[str, Any],
    machine: Machine | None,
    parameters: int | None = None,
    lora: int = 0,
    can_adapt: bool = False,
) -> None:
    """StepvizError where the machine's memory is less than the training needs; said of nothing that is not known.

    can_adapt: this training takes adapters in the place of the weights.
    """
    if machine is None or (need := memory_needed(base, settings, machine.on_gpu, parameters, lora)) is None:
        return
    if need > machine.total:
        parameters = parameters or base.parameters or 0
        fits = _learnt(base, _bytes_each(base, machine.on_gpu), parameters, lora) < machine.total
        less = "shorter blocks or " if is_large(parameters) else "a smaller batch, shorter blocks or "
        adapt = ", or train adapters beside its weights (--lora 16)" if can_adapt and not lora else ""
        raise StepvizError(
            f"this training needs about {need / 1e9:.1f} GB, and {machine.where} has {machine.total / 1e9:.1f} GB: "
            f"take {less if fits else ''}a smaller base model{adapt if is_large(parameters) else ''}"
        )


def _bytes_each(base: Checkpoint, on_gpu: bool) -> int:
    """Of a weight: float32 on the CPU, and on a GPU where it was saved so; two bytes else."""
    text = base.config.get("text_config")
    said = {c.get(name) for c in (base.config, text) if isinstance(c, Mapping) for name in ("dtype", "torch_dtype")}
    return 2 if on_gpu and "float32" not in said else 4


def memory_of() -> Machine | None:
    """The GPU's where torch uses one, else the machine's; None where the system does not say."""
    return _gpu(int(time.monotonic() / 10)) or _ram()


@lru_cache(maxsize=1)
def _gpu(_now: int) -> Machine | None:
    """Asked of the driver: the app does not load torch for it."""
    asked = shutil.which("nvidia-smi")
    try:
        if asked is None or "+cpu" in version("torch"):
            return None
        command = [asked, "--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        total, free = (int(x) << 20 for x in said.splitlines()[0].split(","))
    except (OSError, ValueError, IndexError, subprocess.SubprocessError, PackageNotFoundError):
        return None
    return Machine("the GPU", total, free, on_gpu=True)


def _ram() -> Machine | None:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line)
        total, free = (1024 * int(lines[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    except (OSError, ValueError, KeyError):
        return None
    return Machine("this machine", total, free)
