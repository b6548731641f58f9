"""vLLM in this process: what engines and scorers on it share. How it is prepared, loaded, and let go of again.

In this process, and not in one of its own: a worker that is killed leaves no orphan behind that keeps the device.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from stepviz.engines import memory
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from vllm import LLMEngine

SHARE = "STEPVIZ_VLLM_MEMORY"
DEFAULT_SHARE = 0.7  # of a GPU's memory: a scorer has its place beside it
INSTALL = (
    "vLLM is not installed here: .venv/bin/pip install -r requirements-gpu.txt; without a GPU `make vllm`, and "
    ".venv-vllm/bin/python in the place of .venv/bin/python (README, Engines)"
)
ANYWHERE = {  # in this process or as a server
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB, on a CPU: it would take 40 % of the memory
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the process has the cores that it was given
}
_ENVIRONMENT = {**ANYWHERE, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}


def prepare(device: str | None) -> str:
    """Before anything of vLLM is imported: "cpu" or "cuda", whichever it was made for. StepvizError where that is not
    the `device` asked for, or there is no vLLM."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from vllm.platforms import current_platform
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "vllm":
            raise StepvizError(INSTALL) from None
        raise StepvizError(f"vLLM is not whole here, {error}: install it anew (README, Engines)") from error
    own = "cpu" if current_platform.is_cpu() else "cuda"
    if device not in (None, own):
        other = "it takes the first GPU that it sees: set CUDA_VISIBLE_DEVICES" if ":" in device else "use hf:"
        raise StepvizError(
            f"the vLLM that is installed runs on {own}, not on {device}: leave the device out, or {other}"
        )
    return own


def settings(device: str, context: int) -> dict[str, Any]:
    """Engine arguments for this device and a model that reads `context` tokens.

    On a CPU prompts are not read in chunks: a seeded draw would have to be taken back, which a CPU's generator cannot.
    """
    if device == "cpu":
        return {
            "enforce_eager": True,
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(2048, context),
        }
    return {"gpu_memory_utilization": share()}


def share() -> float:
    """Of the GPU's memory; less where other programs hold so much of it."""
    import torch

    given = os.environ.get(SHARE, "").strip() or str(DEFAULT_SHARE)
    try:
        wanted = float(given)
    except ValueError:
        wanted = 0.0
    if not 0 < wanted < 1:
        raise StepvizError(f"{SHARE} is {given[:40]!r}: give the share of the GPU's memory, between 0 and 1")
    free, total = torch.cuda.mem_get_info()
    return min(wanted, max(0.05, free / total - 0.02))


def failed(error: Exception, spec: str, device: str) -> StepvizError:
    """What vLLM's exception while loading means to people."""
    memory.release()
    words = " ".join(str(error).split())[-400:]
    if memory.is_full(error):
        return memory.full(error, f"there is not enough memory on {device} for {spec} in vLLM")
    if "memory" in words.lower() or "KV cache" in words:
        more = f"raise {SHARE} (now {share():.2f})" if device == "cuda" else "raise VLLM_CPU_KVCACHE_SPACE (GB)"
        return StepvizError(f"vLLM has too little memory for {spec}: {more}, or {memory.DO} ({words})")
    return StepvizError(f"vLLM cannot load {spec}: {words}")


def let_go(engine: LLMEngine) -> None:
    """Frees weights and cache. What vLLM shares in this process stays: another model of it may be at work."""
    client = engine.engine_core
    client._finalizer.detach()  # that one would take down what is shared, too
    core = client.engine_core
    core.structured_output_manager.clear_backend()
    core.model_executor.shutdown()
    core.scheduler.shutdown()
    client.engine_core = engine.model_executor = None
    del core
    import gc

    gc.unfreeze()  # vLLM froze what it made while loading
    memory.release()
