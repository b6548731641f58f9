"""A device whose memory is full: told from other failures, and what to do about it."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

from stepviz.errors import StepvizError

DO = (
    "let the run of the app's other model end, or cancel it; end what else works on that device; or run on the CPU "
    "(--device cpu), or take a smaller model"
)


def is_full(error: BaseException) -> bool:
    """Whether this says that there was no memory: torch's own exception, Python's, or what torch says of a CPU's."""
    name = type(error).__name__
    return name == "OutOfMemoryError" or isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def full(error: BaseException, what: str) -> StepvizError:
    """For people. what: "there is not enough memory on cuda to load hf:…"."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return StepvizError(f"{what}: {DO} ({first[:200]})")


def halved(device: str, before: int, after: int, of: str) -> str:
    """The note of who goes on with smaller batches."""
    return f"the memory of {device} was too small for {before:,} {of} at once: it goes on with {after:,}"


@contextlib.contextmanager
def enough_to_load(spec: str, device: str) -> Iterator[None]:
    """Around the loading of a model: StepvizError where it does not fit."""
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise full(error, f"there is not enough memory on {device} to load {spec}") from error


def release() -> None:
    """Gives back what freed models held, where a GPU's allocator keeps it."""
    gc.collect()
    torch = sys.modules.get("torch")  # not loaded: it holds nothing
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
