"""The sides of `bench engine`: our engines and the libraries under them used bare, each kept loaded in a process.

A side gets requests and answers with seconds, tokens and texts. Bare is each library's own way for this work: text in,
text out, the same prompts, sampling parameters and seeds; stock `transformers` knows no seed of a request.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from stepviz.bench_server import empty_cache, end
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.types import Request, Sampling

IN_FLIGHT = 256  # requests at a server, which is as many as it decodes at once
TOGETHER = 16  # prefixes in a padded batch
PRODUCT, TIMES = 1024, 8  # matrices of this size, multiplied so many times


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of a side over its work."""

    seconds: float
    tokens: int  # sampled, end tokens included
    texts: tuple[str, ...] = ()


Generate = Callable[[Sequence[Request], Sampling], Run]


@dataclass(frozen=True, slots=True)
class Side:
    """`process`: sides of one name share one. `make(source, spec, url)`: of the checkpoint, and of it at the server."""

    engine: str
    way: str
    process: str
    make: Callable[[str, str, str], Generate]
    turns: int | None = None  # that it takes, where not all: one that needs minutes is no closer for more of them

    @property
    def name(self) -> str:
        return f"{self.engine}, {self.way}"

    @property
    def ours(self) -> bool:
        return self.way == "ours"

    @property
    def needs_vllm(self) -> bool:
        return self.engine != TRANSFORMERS

    @property
    def seeded(self) -> bool:
        """Whether a request has a seed of its own in it."""
        return self.ours or self.engine != TRANSFORMERS


# ---- in the process of a side

_MADE: dict[str, Generate] = {}


def prepare(side: str, source: str, spec: str, url: str) -> str:
    """Loads it; what went wrong, or ""."""
    try:
        _MADE[side] = next(s for s in SIDES if s.name == side).make(source, spec, url)
    except (StepvizError, OSError, ValueError, RuntimeError) as error:
        return " ".join(str(error).split())[:300] or type(error).__name__
    return ""


def run(side: str, requests: Sequence[Request], sampling: Sampling) -> Run | str:
    """One pass; or what went wrong: a library that breaks costs no other side its turn."""
    try:
        return _MADE[side](requests, sampling)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def product_rate() -> float:
    """Floating point operations a second in a product of float32 matrices, with all threads that an engine has."""
    import torch

    a, b = torch.rand(PRODUCT, PRODUCT), torch.rand(PRODUCT, PRODUCT)
    a @ b  # warm
    started = time.perf_counter()
    for _ in range(TIMES):
        a @ b
    return TIMES * 2 * PRODUCT**3 / (time.perf_counter() - started)


@contextmanager
def processes(sides: Sequence[Side]) -> Iterator[dict[str, ProcessPoolExecutor]]:
    """One a name, begun anew: what vLLM sets in a process does not reach the others."""
    pools = {
        p: ProcessPoolExecutor(1, mp_context=get_context("spawn")) for p in dict.fromkeys(s.process for s in sides)
    }
    numbers = [pool.submit(os.getpid).result() for pool in pools.values()]
    try:
        yield pools
    finally:
        for number in numbers:  # a process in which vLLM has begun others does not end by itself
            end(number)
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)


def in_a_pass(source: str) -> int:
    """Tokens that vLLM reads at once, the longest prompt among them."""
    return max(2048, look(source).context or 0)


def _timed(work: Callable[[], Sequence[tuple[int, str]]], before: Callable[[], object] = lambda: None) -> Run:
    """work: (tokens, text) of each request."""
    before()
    started = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - started
    return Run(seconds, sum(tokens for tokens, _ in found), tuple(text for _, text in found))


def _texts(requests: Sequence[Request]) -> list[str]:
    from stepviz.engines.prompts import render
    from stepviz.types import PromptStyle

    return [render(PromptStyle(), r.question) + r.prefix for r in requests]


# ---- ours


def _ours(spec: str, before: Callable[[Any], Callable[[], object]] = lambda engine: lambda: None) -> Generate:
    from stepviz.engines import load

    engine = load(spec, None if spec.startswith("openai:") else "cpu")

    def generate(requests: Sequence[Request], sampling: Sampling) -> Run:
        return _timed(lambda: [(c.tokens, c.text) for c in engine.generate(requests, sampling)], before(engine))

    return generate


def _our_transformers(source: str, spec: str, url: str) -> Generate:
    return _ours(spec)


def _our_vllm(source: str, spec: str, url: str) -> Generate:
    return _ours(f"vllm:{source}", lambda engine: engine.engine.reset_prefix_cache)


def _our_served(source: str, spec: str, url: str) -> Generate:
    return _ours(f"openai:{url}#{source}", lambda engine: lambda: empty_cache(url))


# ---- bare


def _bare_transformers(padded: bool) -> Callable[..., Generate]:
    def make(source: str, spec: str, url: str) -> Generate:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        model = AutoModelForCausalLM.from_pretrained(source, dtype="float32", use_safetensors=True).eval()
        size = TOGETHER if padded else 1

        def generate(requests: Sequence[Request], sampling: Sampling) -> Run:
            each, texts = _each(requests), list(dict.fromkeys(_texts(requests)))
            groups = [texts[i : i + size] for i in range(0, len(texts), size)]
            return _timed(lambda: [x for g in groups for x in _stock(model, tokenizer, g, each, sampling)])

        return generate

    return make


def _stock(model: Any, tokenizer: Any, texts: Sequence[str], each: int, sampling: Sampling) -> list[tuple[int, str]]:
    import torch

    given = tokenizer(list(texts), return_tensors="pt", padding=True, return_token_type_ids=False)
    with torch.inference_mode():
        out = model.generate(
            **given, do_sample=True, temperature=sampling.temperature, top_k=0, top_p=1.0,
            max_new_tokens=sampling.max_tokens, num_return_sequences=each, pad_token_id=tokenizer.pad_token_id,
        )[:, given["input_ids"].shape[1]:]  # fmt: skip
    counts = (out != tokenizer.pad_token_id).sum(1).tolist()
    return list(zip(counts, tokenizer.batch_decode(out, skip_special_tokens=True), strict=True))


def _bare_vllm(own_process: bool) -> Callable[..., Generate]:
    def make(source: str, spec: str, url: str) -> Generate:
        if own_process:
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
        from stepviz.engines import vllm_here

        vllm_here.prepare("cpu")
        from vllm import LLM, SamplingParams

        # as our engine has it: on a CPU vLLM breaks where it reads a prompt in chunks and the request has a seed
        llm = LLM(model=source, dtype="float32", **vllm_here.settings("cpu", in_a_pass(source)))

        def generate(requests: Sequence[Request], sampling: Sampling) -> Run:
            shared = {"temperature": sampling.temperature, "top_p": 1.0, "max_tokens": sampling.max_tokens}

            def work() -> list[tuple[int, str]]:
                asked = [SamplingParams(seed=r.seed, **shared) for r in requests]
                found = llm.generate(_texts(requests), asked, use_tqdm=False)
                return [(len(f.outputs[0].token_ids), f.outputs[0].text) for f in found]

            return _timed(work, llm.reset_prefix_cache)

        return generate

    return make


def _bare_served(source: str, spec: str, url: str) -> Generate:
    from openai import AsyncOpenAI

    def generate(requests: Sequence[Request], sampling: Sampling) -> Run:
        shared: dict[str, Any] = {"model": source, "temperature": sampling.temperature, "top_p": 1.0}
        shared |= {"max_tokens": sampling.max_tokens, "extra_body": {"top_k": 0, "min_p": 0.0}}

        async def work() -> list[tuple[int, str]]:
            room = asyncio.Semaphore(IN_FLIGHT)
            async with AsyncOpenAI(base_url=url, api_key="none") as client:

                async def one(request: Request, text: str) -> tuple[int, str]:
                    async with room:
                        found = await client.completions.create(prompt=text, seed=request.seed, **shared)
                    return found.usage.completion_tokens, found.choices[0].text

                return await asyncio.gather(*map(one, requests, _texts(requests)))

        return _timed(lambda: asyncio.run(work()), lambda: empty_cache(url))

    return generate


def _each(requests: Sequence[Request]) -> int:
    return len(requests) // len({(r.question, r.prefix) for r in requests})


TRANSFORMERS, VLLM, SERVED = "transformers", "vLLM in process", "vLLM served"
SIDES = (
    Side(TRANSFORMERS, "ours", "transformers", _our_transformers),
    Side(TRANSFORMERS, "bare, a prefix a call", "transformers", _bare_transformers(padded=False), turns=1),
    Side(TRANSFORMERS, "bare, 16 prefixes padded", "transformers", _bare_transformers(padded=True), turns=3),
    Side(VLLM, "ours", "vllm", _our_vllm),
    Side(VLLM, "bare", "bare vllm", _bare_vllm(own_process=False)),
    Side(VLLM, "bare, in a process of its own", "bare vllm apart", _bare_vllm(own_process=True)),
    Side(SERVED, "ours", "client", _our_served),
    Side(SERVED, "bare, 256 requests at once", "client", _bare_served),
)
