"""Tokens a second of our engines against the libraries under them used bare, on the same work in one run.

The work: eight continuations of each of 64 prefixes, at temperature 0.7. The sides take turns, each turn in the other
direction, and medians over the turns are told: a machine that is slower for a while is so for all. Prompts are also
read alone (one new token), so that reading and decoding are told apart; no side begins with prompts it has read before.

Beside them the machine's limit: its rate of products of matrices over the two operations that each parameter takes for
a token. Nothing that computes every parameter for every token can be faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from stepviz.bench_engine_sides import (
    SERVED,
    SIDES,
    TRANSFORMERS,
    VLLM,
    Run,
    Side,
    in_a_pass,
    prepare,
    processes,
    product_rate,
    run,
)
from stepviz.bench_server import installed, serving, whole_prompts
from stepviz.checkpoints import look
from stepviz.errors import StepvizError
from stepviz.results import Rows
from stepviz.types import Request, Sampling
from stepviz.world import embedded_problems

PREFIXES, EACH, REPEATS = 64, 8, 3
SAMPLING = Sampling(temperature=0.7, max_tokens=150)
READING = Sampling(temperature=0.7, max_tokens=1)
MOST = 1.05  # of bare vLLM's time


@dataclass
class Measured:
    """A side's turns: reading the prompts alone, and the whole work. `missing`: why there are none."""

    side: Side
    reading: list[Run] = field(default_factory=list)
    whole: list[Run] = field(default_factory=list)
    missing: str = ""

    def take(self, pool: ProcessPoolExecutor, requests: Sequence[Request]) -> None:
        """One turn. A side that fails has none."""
        for runs, asked, sampling in ((self.reading, requests[::EACH], READING), (self.whole, requests, SAMPLING)):
            if not self.missing:
                found = pool.submit(run, self.side.name, asked, sampling).result()
                if isinstance(found, Run):
                    runs.append(found)
                else:
                    self.missing = found

    def a_token(self) -> list[float]:
        """Seconds, turn by turn."""
        return [r.seconds / max(r.tokens, 1) for r in self.whole]

    @property
    def told(self) -> bool:
        return bool(self.whole) and not self.missing

    def over(self, other: Measured) -> float | None:
        """Its time over the other's, turn against turn: the two had the same machine."""
        pairs = zip(self.a_token(), other.a_token(), strict=False)
        return median(a / b for a, b in pairs) if self.told and other.told else None


def tables(engine: str = "embedded", prefixes: int = PREFIXES, repeats: int = REPEATS) -> dict[str, Rows]:
    """The model of a spec with transformers, embedded:NAME or hf:ID_OR_PATH, in every engine on the CPU."""
    found, requests, products = look(engine), list(work(prefixes)), []
    with ExitStack() as open_, processes(SIDES) as pools:
        url, failed = _server(open_, found.source)
        measured = [_opened(side, pools[side.process], found.source, found.spec, url, failed) for side in SIDES]
        for turn in range(repeats):
            products.append(pools[TRANSFORMERS].submit(product_rate).result())
            for m in measured[:: 1 if turn % 2 == 0 else -1]:
                if m.side.turns is None or turn < m.side.turns:
                    m.take(pools[m.side.process], requests)
    limit = median(products) / (2 * (found.parameters or 1))
    machine = {
        "parameters": found.parameters,
        "matrix products, GFLOP/s": round(median(products) / 1e9, 1),
        "limit, tokens/s": round(limit),
        "turns": repeats,
    }
    rows = [row(m, _rival(m, measured), _prompt_tokens(found.source, requests), limit) for m in measured]
    return {"tokens a second": rows, "the machine": [machine], "aims": aims(measured)}


def work(prefixes: int) -> Iterator[Request]:
    """Test problems with the first half of their reference solution, each some times with seeds of its own."""
    for i, problem in enumerate(embedded_problems("test", prefixes)):
        lines = (problem.solution or "").split("\n")
        prefix = "".join(f"{line}\n" for line in lines[: (len(lines) - 1) // 2])
        for j in range(EACH):
            yield Request(problem.question, prefix, seed=i * EACH + j)


def row(m: Measured, ours: Measured | None, prompt: int, limit: float) -> dict[str, Any]:
    """Of the table. `ours`: of a bare side the one of the same library that is ours; prompt: tokens of all prompts."""
    head = {"engine": m.side.engine, "way": m.side.way}
    if m.missing:
        return {**head, "not measured": m.missing}
    reading = median(r.seconds for r in m.reading)
    decoding = median(w.seconds - r.seconds for w, r in zip(m.whole, m.reading, strict=True))
    tokens = round(median(r.tokens for r in m.whole))
    read_rate, decode_rate = prompt / reading, tokens / max(decoding, 1e-9)
    found: dict[str, Any] = {
        **head,
        "sampled tokens": tokens,
        "seconds": round(median(r.seconds for r in m.whole), 2),
        "tokens/s": round(tokens / median(r.seconds for r in m.whole)),
        "prompt tokens": prompt,
        "prefill tokens/s": round(read_rate),
        "decode tokens/s": round(decode_rate),
        "prefill, % of the limit": round(100 * read_rate / limit, 1),
        "decode, % of the limit": round(100 * decode_rate / limit, 1),
        "turns": len(m.whole),
    }
    if ours is not None:
        found |= {"our time over it": round(ours.over(m), 3), "same texts, %": _alike(ours, m)}
    return found


def aims(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """What the engines are meant to reach; what a side that is not here leaves open is said."""
    by = {(m.side.engine, m.side.way): m for m in measured}
    bare = [m for m in measured if m.side.needs_vllm and not m.side.ours]
    pairs = [(by[m.side.engine, "ours"], m, MOST) for m in bare]
    pairs += [(by[TRANSFORMERS, "ours"], m, 1.0) for m in bare if m.side.engine == VLLM]
    rows = []
    for ours, other, most in pairs:
        over = ours.over(other)
        found = {"found": "not measured"} if over is None else {"found": round(over, 3), "met": over <= most}
        rows.append({"time of": ours.side.name, "over": other.side.name, "at most": most, **found})
    return rows


def _server(open_: ExitStack, source: str) -> tuple[str, str]:
    """Its URL, or why there is none."""
    try:
        # unchunked as in process: seeds, on a CPU
        options = whole_prompts(in_a_pass(source))
        return open_.enter_context(serving(source, *options)) if installed() else "", ""
    except StepvizError as error:
        return "", " ".join(str(error).split())[-300:]


def _opened(side: Side, pool: ProcessPoolExecutor, source: str, spec: str, url: str, failed: str) -> Measured:
    if side.needs_vllm and not installed():
        return Measured(side, missing="vLLM is not installed here")
    if side.engine == SERVED and failed:
        return Measured(side, missing=failed)
    made = Measured(side, missing=pool.submit(prepare, side.name, source, spec, url).result())
    if not made.missing:  # warm
        pool.submit(run, side.name, list(work(2)), READING).result()
    return made


def _rival(m: Measured, measured: Sequence[Measured]) -> Measured | None:
    """Ours with the same library, where it was measured; of ours none."""
    if m.side.ours:
        return None
    return next((x for x in measured if x.side.ours and x.side.engine == m.side.engine and not x.missing), None)


def _alike(one: Measured, other: Measured) -> int | None:
    """Of the first turn's texts; None where the library knows no seed of a request."""
    if not other.side.seeded:
        return None
    pairs = list(zip(one.whole[0].texts, other.whole[0].texts, strict=True))
    return round(100 * sum(a == b for a, b in pairs) / len(pairs))


def _prompt_tokens(source: str, requests: Sequence[Request]) -> int:
    from stepviz.engines.prompts import encode
    from stepviz.engines.transformers import load_tokenizer

    tokenizer = load_tokenizer(source)
    return sum(len(encode(tokenizer, SAMPLING.style, r.question, r.prefix)) for r in requests[::EACH])
