"""What a base takes in memory, from its config alone: said in a training's own process before weights are loaded.

Of a hub id whose weights are not on this machine nobody knows the size before. Here its config is fetched, a few
hundred bytes, and the model built without its numbers: a training that cannot fit downloads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepviz import train_job
from stepviz.checkpoints import Checkpoint, look
from stepviz.errors import StepvizError
from stepviz.train_memory import memory_needed, memory_of
from stepviz.trainings import is_large


def parameters_of(base: Checkpoint) -> int | None:
    """By its files, else by its config; None where it is of no known kind: loading says so."""
    if base.parameters:
        return base.parameters
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(base.source, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, ValueError):
        return None
    return sum(p.numel() for p in model.parameters())


def require(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the training of this spec takes, as a row of its report. StepvizError where the machine has less."""
    parameters = parameters_of(look(spec["base"]))
    base = look(spec["base"])  # its config is here now
    train_job.check_memory(base, spec, parameters)
    machine = memory_of()
    on_gpu, lora = machine.on_gpu if machine else False, spec["options"].get("lora", 0)
    need = memory_needed(base, spec["settings"], on_gpu, parameters, lora)
    return {
        "parameters": parameters,
        "needs_gb": round(need / 1e9, 1) if need else None,
        "on": machine.where if machine else None,
        "has_gb": round(machine.total / 1e9, 1) if machine else None,
        "one_block_at_a_time": is_large(parameters),
    }


def told(given: str, length: int, batch: int, lora: int = 0) -> dict[str, Any]:
    """Of any base, for a GPU and for a machine without one."""
    parameters = parameters_of(look(given))
    base, settings = look(given), {"length": length, "batch": batch}
    if not parameters or base.folder is None:
        raise StepvizError(f"cannot read the config of {base.source!r}: give embedded:NAME, a folder or a hub id")
    gpu, cpu = (memory_needed(base, settings, on_gpu, parameters, lora) or 0 for on_gpu in (True, False))
    return {
        "base": base.spec,
        "parameters": parameters,
        "gb_on_a_gpu": round(gpu / 1e9, 1),
        "gb_without": round(cpu / 1e9, 1),
        "one_block_at_a_time": is_large(parameters),
    }
