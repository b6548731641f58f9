"""Any causal language model of the `transformers` library, by hub id or folder, on a GPU or a CPU.

Safetensors only, no code from the hub, dtype explicit (stepviz.engines.precision). The decoding
loop is ours (decode.py), because stock `generate` has no seed per request, keeps finished rows in the
batch, and computes a prompt again for each of its continuations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stepviz.engines import is_causal
from stepviz.engines.base import Cancelled, OnBatch, OnCompletion
from stepviz.engines.decode import Batch, Decoder, Row, by_length, by_trunk
from stepviz.engines.endings import Endings
from stepviz.engines.memory import enough_to_load
from stepviz.engines.precision import named_by, precision
from stepviz.engines.rows import rows_of
from stepviz.errors import StepvizError
from stepviz.types import Completion, Request, Sampling

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

ROWS = {"cpu": 256, "cuda": 256}  # in one batch, where the memory allows
CACHE_BYTES = 2 << 30  # for the attention cache on a CPU
HUB_S = 8.0  # for the hub to say whether it has a model
_SCORES = ("ForTokenClassification", "RewardModel")
SAMPLE_BYTES = 1 << 20  # of each end of a large file, for its fingerprint


class TransformersEngine:
    """See stepviz.engines.base.Engine."""

    def __init__(self, spec: str, source: str, name: str, device: str | None, tokenizer: str | None) -> None:
        import torch

        self.spec = spec
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise StepvizError("there is no CUDA device here: leave the device out, or ask for cpu")
        with enough_to_load(spec, self.device):
            self.model = _load_model(source, self.device)
        self.tokenizer = load_tokenizer(tokenizer or source)
        self.model_id = identity(source, name, self.model.dtype) + (f"+{Path(tokenizer).name}" if tokenizer else "")
        positions = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        self.context = int(min(positions or self.tokenizer.model_max_length, self.tokenizer.model_max_length))
        self.end_ids = end_ids(self.model.generation_config, self.tokenizer)
        self.notes: list[str] = []
        self._room: int | None = None  # tokens of a batch's cache, where its memory has turned out to be too small
        self._weights = self._fused_weights()

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch: OnBatch | None = None,
        on_completion: OnCompletion | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[Completion]:
        completions: dict[int, Completion] = {}
        endings = Endings(self.tokenizer, self.end_ids, sampling.style.stop)

        def ended(row: Row) -> None:
            if row.error is not None:
                done = Completion("", "error", 0, prompt_tokens=len(row.prompt), error=row.error)
            else:
                done = endings.completion(row.prompt, row.tokens, row.reason)
            completions[row.request] = done
            if on_completion is not None:
                on_completion(row.request, done)

        rows = rows_of(self.tokenizer, self.context, requests, sampling)
        decoder = Decoder(
            new_batch=self._new_batch,
            sampling=sampling,
            over=lambda row: endings.finish(row.prompt, row.tokens, row.room),
            ended=ended,
            capacity=self._capacity(rows),
            device=self.device,
            on_batch=on_batch,
            cancelled=cancelled,
            notes=self.notes,
        )
        capacity = decoder.capacity
        decoder.run(by_trunk(rows) if self._weights is not None else by_length(rows))
        if decoder.capacity < capacity:
            self._room = decoder.capacity * _longest(rows)
        return [completions[i] for i in range(len(requests))]

    def close(self) -> None:
        import torch

        self.model = self._weights = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _new_batch(self) -> Batch:
        if self._weights is not None:
            from stepviz.engines.llama import LlamaBatch

            return LlamaBatch(self._weights, self.context)
        from stepviz.engines.causal import CausalBatch

        return CausalBatch(self.model, self.context)

    def _fused_weights(self) -> object | None:
        if self.device != "cpu":
            return None
        from stepviz.engines import llama

        return llama.LlamaWeights(self.model, self.context) if llama.fits(self.model) else None

    def _capacity(self, rows: Sequence[Row]) -> int:
        """Rows whose cache fits into the free memory, twice over: it is copied as it grows."""
        import torch

        config = self.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        a_token = 2 * config.num_hidden_layers * heads * dim * self.model.dtype.itemsize
        longest = _longest(rows)
        free = torch.cuda.mem_get_info()[0] if self.device.startswith("cuda") else CACHE_BYTES
        most = [ROWS[self.device.split(":")[0]], int(0.4 * free / (a_token * longest))]
        if self._room is not None:
            most.append(self._room // longest)
        return max(1, min(most))


def _longest(rows: Sequence[Row]) -> int:
    """Tokens of the longest row, with all that it has room for."""
    return max((len(r.prompt) + max(r.room, 0) for r in rows), default=1)


def causal_config(source: str) -> PreTrainedConfig:
    """StepvizError where there is none, or where it is no language model's."""
    from transformers import AutoConfig

    if "/" in source and not source.startswith(("/", ".", "~")) and not Path(source).exists():
        _there(source)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _unloadable(source, error) from error
    if is_causal(config.architectures) is False:
        named = ", ".join(config.architectures)
        does = "scores steps and writes none" if named.endswith(_SCORES) else "has no head that writes"
        raise StepvizError(
            f"{source} is no language model but a {named}, which {does}: choose a model that writes "
            "(embedded:student, embedded:refiner)"
        )
    return config


def _there(hub_id: str) -> None:
    """StepvizError where a hub id is neither on this machine nor to be had: one question, where the library asks six
    times and half a minute passes. What else a hub answers, the library meets again and says.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    if isinstance(try_to_load_from_cache(hub_id, "config.json"), str):
        return
    try:
        HfApi().model_info(hub_id, timeout=HUB_S)
    except RepositoryNotFoundError:
        why = "the hub has none of this name that is open to you: look at its spelling, set HF_TOKEN"
    except (HfHubHTTPError, HFValidationError):
        return
    except Exception:  # no network, no answer in time, asked to stay offline: of whichever client's types
        why = "the hub cannot be reached from here: look at the network and at HF_HUB_OFFLINE"
    else:
        return
    raise StepvizError(
        f"there is no model {hub_id!r}: it is not in this machine's cache, and {why}, or give a folder of safetensors"
    )


def _load_model(source: str, device: str) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = causal_config(source)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=precision(config, device),
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
        )
    except (OSError, ValueError) as error:
        raise _unloadable(source, error) from error
    return model.eval().requires_grad_(False).to(device)


def _unloadable(source: str, error: Exception) -> StepvizError:
    return StepvizError(f"cannot load a model from {source!r} (safetensors, no remote code): {error}")


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StepvizError(f"cannot load a tokenizer from {source!r}: {error}") from error


def end_ids(config: GenerationConfig, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """All tokens that end a text: chat models have several."""
    listed = config.eos_token_id
    ids = listed if isinstance(listed, list) else [listed]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


def identity(source: str, name: str, dtype: torch.dtype) -> str:
    """NAME@REVISION: the hub's commit, or a hash of the folder's weights, so that new weights are a new model.

    In another precision than float32 the same weights draw otherwise, and are a model of their own:
    NAME@REVISION+bfloat16. Engines, scorers and the records of trainings all name a model by this.
    """
    folder = Path(source)
    revision = fingerprint(folder) if folder.is_dir() else commit(source)
    return f"{name}{f'@{revision}' if revision else ''}{named_by(dtype)}"


def commit(hub_id: str) -> str:
    """12 hex digits of the commit whose config was read last; "" where none is on this machine.

    Of the cache's own links: the library's configs do not tell it since its version 5.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, "config.json")
    return Path(found).parent.name[:12] if isinstance(found, str) else ""


def fingerprint(folder: Path) -> str:
    """12 hex digits over weights and tokenizer; of a large file both ends and its size are read."""
    total = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer.json"), *folder.glob("config.json")]):
        total.update(f"{path.name}:{path.stat().st_size}:".encode())
        for piece in _ends(path):
            total.update(piece)
    return total.hexdigest()[:12]


def _ends(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= 64 * SAMPLE_BYTES:
            yield file.read()
            return
        yield file.read(SAMPLE_BYTES)
        file.seek(size - SAMPLE_BYTES)
        yield file.read()
