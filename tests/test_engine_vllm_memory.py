"""vLLM in process when the memory of its device is full, in a step or for good (`make test-vllm`)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import torch

from stepviz import engines
from stepviz.engines import Engine
from stepviz.errors import StepvizError
from stepviz.types import Request, Sampling
from tests.engine_contract import QUESTIONS, STEPS, alike, ids_of

pytestmark = pytest.mark.vllm
pytest.importorskip("vllm", reason="vLLM is not installed here: make test-vllm")

GREEDY = Sampling(temperature=0, max_tokens=300)
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
LOST = r"did not get over it .*loaded anew.*\(CUDA out of memory"


@pytest.fixture
def inside() -> Iterator[Engine]:
    """Of each test its own: one whose memory was full goes on with fewer rows."""
    engine = engines.load("vllm:embedded")
    yield engine
    engine.close()


class Device:
    """The executor of an engine's, with a memory that is full in one of its steps, or from it on."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch, full: Callable[[int], bool]) -> None:
        self.rows: list[int] = []  # of each step
        executor = executor_of(engine.engine)
        run, self.full = executor.execute_model, full
        monkeypatch.setattr(executor, "execute_model", lambda *a, **k: self._step(run, *a, **k))
        assert engine.engine.reset_prefix_cache()

    def _step(self, run: Callable[..., Any], scheduled: Any, **more: Any) -> Any:
        self.rows.append(len(scheduled.num_scheduled_tokens))
        if self.full(len(self.rows)):
            raise FULL
        return run(scheduled, **more)


def executor_of(engine: Any) -> Any:
    return engine.engine_core.engine_core.model_executor


def memory_held() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def long_requests(engine: Engine, seeds: int) -> list[Request]:
    """Prompts that fill blocks of the prefix cache, each for several seeds."""
    requests = [Request(question, "".join(STEPS) * 5, seed) for question in QUESTIONS for seed in range(seeds)]
    block = engine.engine.vllm_config.cache_config.block_size
    assert all(block < len(ids_of(engine, request)) < engine.context - 40 for request in requests)
    return requests


@pytest.mark.parametrize("at", [1, 4], ids=["while prompts are read", "while rows are decoded"])
def test_a_full_memory_halves_the_rows_and_changes_no_draw(
    inside: Engine, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """What the failed step was to read must not count as read: draws would follow prompts that nobody has read."""
    requests, sampling, ended = long_requests(inside, 4), Sampling(max_tokens=30), []
    alone = inside.generate(requests, sampling)
    device = Device(inside, monkeypatch, lambda step: step == at)
    found = inside.generate(requests, sampling, on_completion=lambda i, _: ended.append(i))
    tried = device.rows[at - 1]
    half = {12: 6, 11: 5, 10: 5, 9: 4, 8: 4, 7: 3, 6: 3}[tried]
    told = f"the memory of cpu was too small for {tried} continuations at once: it goes on with {half}"
    assert inside.notes == [told]
    assert max(device.rows[at:]) <= half
    assert sorted(ended) == list(range(12))
    assert alike(found, alone) >= 0.9


def test_a_full_memory_inside_a_call_sends_the_outer_one_s_rows_back_too(
    inside: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepviz.engines.call.CHUNK_S", 0.0)
    requests, sampling, inner = long_requests(inside, 2), Sampling(max_tokens=30), []
    alone = inside.generate(requests, sampling)
    full_at = [0]
    device = Device(inside, monkeypatch, lambda step: step == full_at[0])

    def on_batch(done: int, tokens: int) -> None:
        if device.rows and not full_at[0]:
            full_at[0] = len(device.rows) + 1
            inner.extend(inside.generate(requests[:2], sampling))

    outer = inside.generate(requests, sampling, on_batch=on_batch)
    assert inside.notes == ["the memory of cpu was too small for 8 continuations at once: it goes on with 4"]
    assert alike(outer, alone) >= 0.8
    assert alike(inner, alone[:2]) >= 0.5


def test_an_engine_whose_memory_stays_full_is_loaded_anew_by_the_next_call(
    inside: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that one draws as many rows at once as the first did."""
    many, expected = inside.at_once, inside.generate([Request(QUESTIONS[0])], GREEDY)
    device = Device(inside, monkeypatch, lambda step: True)
    with pytest.raises(StepvizError, match=LOST):
        inside.generate(long_requests(inside, 2), GREEDY)
    assert device.rows == [6, 3, 1]
    assert inside.generate([Request(QUESTIONS[0])], GREEDY) == expected
    assert inside.at_once == many > 6
    later = Device(inside, monkeypatch, lambda step: False)
    inside.generate(long_requests(inside, 2), Sampling(max_tokens=2))
    assert later.rows[0] == 6


def test_what_a_new_engine_cannot_do_is_not_told_as_a_full_memory(
    inside: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(inside, monkeypatch, lambda step: True)
    with pytest.raises(StepvizError, match=LOST):
        inside.generate(long_requests(inside, 2), GREEDY)
    assert len(device.rows) > 1
    load = inside._load

    def broken() -> Any:
        engine = load()
        monkeypatch.setattr(executor_of(engine), "execute_model", lambda *_, **__: 1 // 0)
        return engine

    monkeypatch.setattr(inside, "_load", broken)
    with pytest.raises(ZeroDivisionError):
        inside.generate([Request(QUESTIONS[0])], GREEDY)


@pytest.mark.timeout(120)  # a new engine that is asked for rows it does not know makes steps without end
@pytest.mark.parametrize("again", [False, True], ids=["it loads another", "another call inside has loaded one"])
@pytest.mark.parametrize("halves", [True, False], ids=["the outer waits", "the outer is decoded"])
def test_a_call_inside_that_loses_the_engine_does_not_end_the_outer_one(
    inside: Engine, monkeypatch: pytest.MonkeyPatch, again: bool, halves: bool
) -> None:
    """What had ended is kept; what was being decoded begins again, with an engine that knows nothing of it."""
    monkeypatch.setattr("stepviz.engines.call.CHUNK_S", 0.0)
    requests, sampling = long_requests(inside, 4), Sampling(max_tokens=60)
    alone, many = inside.generate(requests, sampling), inside.at_once
    ended: list[int] = []
    lost: list[int] = []  # how many had ended when the engine was
    Device(inside, monkeypatch, lambda step: bool(lost))
    if not halves:  # the rows of both calls are in vLLM when the engine goes
        monkeypatch.setattr(inside.engine, "reset_prefix_cache", lambda: False)
    held = memory_held()

    def on_batch(done: int, tokens: int) -> None:
        if not 0 < done < len(requests) or lost:
            return
        lost.append(done)
        with pytest.raises(StepvizError, match=LOST):
            inside.generate(requests[:2], sampling)
        if again:
            assert alike(inside.generate(requests[:2], sampling), alone[:2]) >= 0.5

    outer = inside.generate(requests, sampling, on_batch, lambda i, _: ended.append(i))
    assert lost
    assert sorted(ended) == list(range(12))
    assert alike(outer, alone) >= 0.8
    assert inside.at_once == many
    assert inside.notes[-1] == "vLLM's engine for vllm:embedded was loaded anew: what was under way began again"
    assert memory_held() - held < 0.5e9, "the lost one is gone, of which the cache alone is a gigabyte"


def test_closing_gives_the_memory_back(inside: Engine) -> None:
    """The cache alone is a gigabyte; another engine of vLLM in this process goes on."""
    before = inside.generate([Request(QUESTIONS[0])], GREEDY)
    second = engines.load("vllm:embedded:base")
    loaded = memory_held()
    second.close()
    assert loaded - memory_held() > 0.8e9
    assert inside.generate([Request(QUESTIONS[0])], GREEDY) == before
    second.close()  # once more does nothing
    with pytest.raises(StepvizError, match="no language model but a LlamaForTokenClassification"):
        engines.load("vllm:embedded:orm")
