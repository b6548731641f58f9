"""vLLM in this process: `vllm:ID_OR_PATH`, for a GPU and models of billions of parameters.

Its scheduler, its kernels and its prefix cache, and nothing else of it: prompts go in as the token ids that every
engine of ours reads, tokens come out, and when a row ends and what its text is, endings.py says. Its own step loop is
driven, in which requests of several calls live side by side, so that a quick job is served inside a long one.

The same weights draw otherwise for the same seed here than in our own engine: the id ends in +vllm.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepviz.engines import memory, vllm_here
from stepviz.engines.base import Cancelled, OnBatch, OnCompletion
from stepviz.engines.call import Call
from stepviz.engines.decode import Row
from stepviz.engines.endings import Endings
from stepviz.engines.precision import precision
from stepviz.engines.rows import rows_of
from stepviz.engines.transformers import causal_config, end_ids, identity, load_tokenizer
from stepviz.types import Completion, Request, Sampling

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedConfig
    from vllm import LLMEngine, RequestOutput, SamplingParams

STRIDE = 16  # tokens of a row handed over at once, where no stop string can end it in between


@dataclass(slots=True)
class Work:
    """The rows of one call: those that wait, that vLLM is decoding, and that have ended since the call last looked."""

    endings: Endings
    waiting: deque[Row] = field(default_factory=deque)
    live: dict[str, Row] = field(default_factory=dict)
    ended: list[Row] = field(default_factory=list)

    def take(self, output: RequestOutput) -> bool:
        """New tokens of a row; True where it is over and vLLM does not know."""
        row = self.live.get(output.request_id)
        if row is None:
            return False  # it was over
        for token in output.outputs[0].token_ids:
            row.tokens.append(token)
            row.reason = self.endings.finish(row.prompt, row.tokens, row.room)
            if row.reason is not None:
                break
        if output.finished and row.reason is None:
            row.reason, row.error = "error", f"vLLM gave this up: {output.outputs[0].finish_reason}"
        if row.reason is not None:
            self.ended.append(self.live.pop(output.request_id))
        return row.reason is not None and not output.finished

    def restart(self) -> None:
        """What is being decoded waits again, before the others, from its start: its seed gives it the same tokens."""
        for row in reversed(self.live.values()):
            row.tokens.clear()
            self.waiting.appendleft(row)
        self.live.clear()


class VllmEngine:
    """See stepviz.engines.base.Engine."""

    def __init__(self, spec: str, source: str, name: str, device: str | None, tokenizer: str | None) -> None:
        self.spec = spec
        self.device = vllm_here.prepare(device)
        config = causal_config(source)
        dtype = precision(config, self.device)
        self.tokenizer = load_tokenizer(tokenizer or source)
        self.model_id = identity(source, name, dtype) + (f"+{Path(tokenizer).name}" if tokenizer else "") + "+vllm"
        positions = getattr(config.get_text_config(), "max_position_embeddings", None)
        self._longest = int(min(positions or self.tokenizer.model_max_length, self.tokenizer.model_max_length))
        self._load = partial(_open, spec, source, self.device, str(dtype).removeprefix("torch."), self._longest)
        self.end_ids = end_ids(_generation(source, config), self.tokenizer)
        self.notes: list[str] = []
        self._names = map(str, itertools.count())
        self._works: list[Work] = []  # of the calls at work, the outermost first
        self.engine: LLMEngine | None = None
        self._ready()

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        on_batch: OnBatch | None = None,
        on_completion: OnCompletion | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[Completion]:
        work = Work(Endings(self.tokenizer, self.end_ids, sampling.style.stop))
        decoded = lambda: sum(len(row.tokens) for row in work.live.values())  # noqa: E731
        call = Call(len(requests), on_batch, on_completion, cancelled, decoded)
        self._ready()
        for row in sorted(rows_of(self.tokenizer, self.context, requests, sampling), key=lambda row: row.prompt):
            if row.error is None:
                work.waiting.append(row)  # prompts that begin alike side by side, for the prefix cache
            else:
                call.end(row.request, _failed(row))
        self._works.append(work)
        try:
            self._drain(call, work, sampling)
        finally:
            self._abort(work)
            self._works.remove(work)
        call.report()
        return call.result()

    def close(self) -> None:
        """A call that is at work goes on with another engine, with what it was decoding from the start."""
        for work in self._works:
            work.restart()
        if self.engine is not None:
            engine, self.engine = self.engine, None
            vllm_here.let_go(engine)

    def _ready(self) -> None:
        """Loads an engine where there is none: what an earlier one had learnt of the memory does not hold for it."""
        if self.engine is not None:
            return
        self.engine = self._load()
        self.context = min(self._longest, self.engine.model_config.max_model_len)
        self.at_once = self.engine.vllm_config.scheduler_config.max_num_seqs
        self._shaken = False  # its memory was full, and it has not made a step since
        if self._works:
            self.notes.append(f"vLLM's engine for {self.spec} was loaded anew: what was under way began again")

    def _drain(self, call: Call, work: Work, sampling: Sampling) -> None:
        while True:
            for row in work.ended:
                done = _failed(row) if row.error else work.endings.completion(row.prompt, row.tokens, row.reason)
                call.end(row.request, done)
            work.ended.clear()
            if not call.going:
                return
            if call.interrupted():
                call.tokens += sum(len(row.tokens) for row in work.live.values())
                self._abort(work)
                call.give_up()
                return
            if not work.ended:  # a call inside this one may have ended some of ours
                self._ready()  # a call inside this one may have lost the engine
                self._feed(work, sampling)
                self._step()

    def _feed(self, work: Work, sampling: Sampling) -> None:
        """As many as it decodes at once and no more: a call inside this one would have to wait for them."""
        while work.waiting and len(work.live) < self.at_once:
            row = work.waiting.popleft()
            name = next(self._names)
            work.live[name] = row
            self.engine.add_request(name, {"prompt_token_ids": list(row.prompt)}, self._asked(row, work, sampling))

    def _asked(self, row: Row, work: Work, sampling: Sampling) -> SamplingParams:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        chance: dict[str, Any] = {"temperature": sampling.temperature}
        if sampling.temperature > 0:
            chance |= {"top_p": sampling.top_p, "top_k": sampling.top_k, "seed": row.seed}
        return SamplingParams(
            max_tokens=row.room,
            stop_token_ids=sorted(self.end_ids),
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            stream_interval=1 if work.endings.stop else STRIDE,
            **chance,
        )

    def _step(self) -> None:
        try:
            outputs = self.engine.step()
        except Exception as error:
            if memory.is_full(error) and self._retreat():
                return
            if memory.is_full(error) or self._shaken:
                self._lose(error)
            raise
        self._shaken = False
        for output in outputs:
            for work in self._works:
                if work.take(output):
                    self.engine.abort_request([output.request_id])

    def _retreat(self) -> bool:
        """Out of memory: half the rows at once, from their starts. False where there is nothing to halve.

        What the failed step was to read counts as read in the prefix cache already, so that is emptied.
        """
        live = [name for work in self._works for name in work.live]
        if len(live) < 2:
            return False
        self.engine.abort_request(live)
        memory.release()
        if not self.engine.reset_prefix_cache():
            return False
        for work in self._works:
            work.restart()
        self.at_once, self._shaken = len(live) // 2, True
        self.notes.append(memory.halved(self.device, len(live), self.at_once, "continuations"))
        return True

    def _lose(self, error: Exception) -> None:
        """vLLM does not get over a full memory: its engine goes, and whoever draws next loads another one."""
        with contextlib.suppress(Exception):
            self.close()
        what = f"the memory of {self.device} was full, and vLLM's engine for {self.spec} did not get over it"
        raise memory.full(error, f"{what} (what was finished before is kept: run it again, and it is loaded anew)")

    def _abort(self, work: Work) -> None:
        if work.live and self.engine is not None:
            self.engine.abort_request(list(work.live))
        work.live.clear()


def _failed(row: Row) -> Completion:
    return Completion("", "error", 0, prompt_tokens=len(row.prompt), error=row.error)


def _generation(source: str, config: PreTrainedConfig) -> GenerationConfig:
    """The checkpoint's, else what follows from its config: as transformers gives it to a model."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(source)
    except OSError:
        return GenerationConfig.from_model_config(config)


def _open(spec: str, source: str, device: str, dtype: str, context: int) -> LLMEngine:
    from vllm import EngineArgs, LLMEngine
    from vllm.usage.usage_lib import UsageContext

    try:
        arguments = EngineArgs(
            model=source,
            dtype=dtype,
            max_model_len=-1,  # the model's own, or what the memory allows
            skip_tokenizer_init=True,
            enable_prefix_caching=True,
            load_format="safetensors",
            trust_remote_code=False,
            disable_log_stats=True,
            generation_config="vllm",
            **vllm_here.settings(device, context),
        )
        # by this vLLM chooses how much it decodes at once: as for its own LLM, twice what it is without
        return LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
    except Exception as error:
        if isinstance(error, (OSError, ValueError, RuntimeError, MemoryError)):
            raise vllm_here.failed(error, spec, device) from error
        raise
