"""vLLM for real, in process and served on loopback, without a GPU (`make test-vllm`): the embedded student on both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from stepviz import engines, jobs, self_explore
from stepviz.bench_server import serving, whole_prompts
from stepviz.embedded import path
from stepviz.engines import Engine
from stepviz.engines.prompts import encode
from stepviz.errors import StepvizError
from stepviz.rollouts import by_prefix, values
from stepviz.types import (
    Chain,
    Completion,
    Continuation,
    PromptStyle,
    Request,
    Sampling,
    SourceItem,
    prefix_hash,
)
from stepviz.worker import Worker
from stepviz.world import embedded_problems
from tests.engine_contract import QUESTIONS, EngineContract

pytestmark = pytest.mark.vllm
pytest.importorskip("vllm", reason="vLLM is not installed here: make test-vllm")

SERVED = ("--served-model-name", "student", *whole_prompts())
GREEDY = Sampling(temperature=0, max_tokens=300)
PROBLEMS = 200
TIE = 1e-3  # logits this close are a matter of the order in which floats are added


@pytest.fixture(scope="module")
def ours() -> Iterator[Engine]:
    engine = engines.load("embedded", "cpu")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def inside() -> Iterator[Engine]:
    engine = engines.load("vllm:embedded")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(path("student"), *SERVED) as url:
        yield f"openai:{url}#student"


@pytest.fixture(scope="module")
def outside(server: str) -> Iterator[Engine]:
    engine = engines.load(server)
    yield engine
    engine.close()


class TestInProcess(EngineContract):
    same = 0.9
    seeds = 3

    @pytest.fixture
    def engine(self, inside: Engine) -> Engine:
        return inside

    def test_it_is_named_apart_from_our_own_engine(self, engine: Engine, ours: Engine) -> None:
        assert (engine.model_id, engine.device, engine.context) == (f"{ours.model_id}+vllm", "cpu", ours.context)

    def test_a_token_that_ends_a_text_is_no_text(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        request, sampling = [Request(QUESTIONS[1], "", 4)], Sampling(max_tokens=40)
        free = engine.generate(request, sampling)[0]
        end = free.token_ids[7]
        monkeypatch.setattr(engine, "end_ids", frozenset({end}))
        ended = engine.generate(request, sampling)[0]
        first = free.token_ids.index(end)
        assert (ended.finish_reason, ended.tokens) == ("stop", first + 1)
        assert ended.text == engine.tokenizer.decode(free.token_ids[:first])

    def test_first_tokens_follow_the_model_s_distribution(self, engine: Engine, ours: Engine) -> None:
        """800 draws against softmax: total variation below what so many fair draws stray."""
        draws, sampling = 800, Sampling(temperature=0.8, max_tokens=1)
        found = engine.generate([Request(QUESTIONS[0], "", seed) for seed in range(draws)], sampling)
        ids = encode(engine.tokenizer, sampling.style, QUESTIONS[0], "")
        expected = (ours.model(torch.tensor([ids])).logits[0, -1] / 0.8).softmax(-1)
        counts = torch.bincount(torch.tensor([c.token_ids[0] for c in found]), minlength=len(expected)) / draws
        fair = 0.5 * (2 * expected * (1 - expected) / (3.14159 * draws)).sqrt().sum()
        assert 0.5 * (counts - expected).abs().sum() < 1.5 * fair


class TestServed(EngineContract):
    same = 0.9
    seeds = 3

    @pytest.fixture
    def engine(self, outside: Engine) -> Engine:
        return outside

    def test_it_reads_the_ids_that_our_own_engine_reads(self, engine: Engine, ours: Engine) -> None:
        """The server says where its model lies, and it lies here: context, tokenizer and weights are known."""
        revision = ours.model_id.partition("@")[2]
        assert (engine.model_id, engine.context) == (f"student@{revision}+openai", ours.context)
        assert encode(engine.tokenizer, PromptStyle(), *QUESTIONS[:2]) == encode(
            ours.tokenizer, PromptStyle(), *QUESTIONS[:2]
        )

    def test_as_text_the_same_goes_out(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        requests = [Request(q, "", seed) for seed, q in enumerate(QUESTIONS)]
        by_ids = engine.generate(requests, GREEDY)
        monkeypatch.setattr(engine, "tokenizer", None)
        assert engine.generate(requests, GREEDY) == by_ids
        long = engine.generate([Request("x " * 2000)], GREEDY)[0]
        assert "the server refused this" in long.error
        assert "context length" in long.error

    def test_a_model_that_is_not_served(self, server: str) -> None:
        with pytest.raises(StepvizError, match="does not serve 'other'; it serves: student"):
            engines.load(server.replace("#student", "#other"))


# ---- the three of them


def test_greedy_texts_of_the_three_agree(ours: Engine, inside: Engine, outside: Engine) -> None:
    """But where two tokens are equally likely but for the last bits; each such place is looked at."""
    requests = [Request(p.question) for p in embedded_problems("test", PROBLEMS)]
    expected = ours.generate(requests, GREEDY)
    for engine in (inside, outside):
        found = engine.generate(requests, GREEDY)
        apart = [i for i in range(PROBLEMS) if found[i].token_ids != expected[i].token_ids]
        gaps = {i: gap_at_parting(ours, requests[i], expected[i], found[i]) for i in apart}
        print(
            f"\n{engine.spec.partition(':')[0]}: {PROBLEMS - len(apart)} of {PROBLEMS} greedy texts agree; apart {gaps}"
        )
        assert len(apart) <= PROBLEMS // 50
        assert all(gap < TIE for gap in gaps.values())


def gap_at_parting(ours: Engine, request: Request, one: Completion, other: Completion) -> float:
    """Between the logits of the two tokens where two texts part."""
    at = next(i for i, (a, b) in enumerate(zip(one.token_ids, other.token_ids, strict=False)) if a != b)
    ids = encode(ours.tokenizer, PromptStyle(), request.question, request.prefix) + one.token_ids[:at]
    logits = ours.model(torch.tensor([ids])).logits[0, -1]
    return float((logits[one.token_ids[at]] - logits[other.token_ids[at]]).abs())


@pytest.mark.parametrize("kind", ["vllm", "openai"])
def test_from_sampling_to_the_first_pit_through_the_app_s_own_job(kind: str, server: str, tmp_path: Path) -> None:
    from db.store import open_store

    spec = server if kind == "openai" else "vllm:embedded"
    problems = list(embedded_problems("test", 3))
    with open_store(f"sqlite:///{tmp_path}/jobs.db") as store:
        store.add_items([SourceItem(p) for p in problems])
        worker = Worker(store)
        drawing = {"engine": spec, "sampling": Sampling()}
        sampled = jobs.start(store, "sample", {"problems": [p.id for p in problems], "n": 4, **drawing}, worker=False)
        assert worker.run_next(None)
        assert store.run(sampled).state == "done", store.run(sampled).error
        chains = [row for p in problems for row in store.chains(p.id)]
        assert len(chains) == 12
        assert {row.model_id.rpartition("+")[2] for row in chains} == {kind}
        row = next(row for row in chains if row.verdict.value == "wrong")
        measured = jobs.start(store, "measure", {"chains": [row.chain.id], "n": 4, **drawing}, worker=False)
        assert worker.run_next(None)
        assert store.run(measured).state == "done", store.run(measured).error
        draws = store.continuations_for(row.chain.problem_id, row.model_id, Sampling().hash)
        found = values(row.chain, by_prefix(draws), row.verdict)
        assert self_explore.first_pit(found, k=4).step == pit_by_hand(row.chain, draws)
        for engine in worker.engines.values():
            engine.close()


def pit_by_hand(chain: Chain, draws: Sequence[Continuation]) -> int:
    """Of a wrong chain of lines: the first from which none of four draws is right, else the one that is the answer."""
    for i in range(1, chain.n):
        after = prefix_hash("".join(f"{step}\n" for step in chain.steps[:i]))
        said = [draw.verdict for draw in draws if draw.prefix_hash == after]
        assert len(said) >= 4
        if "correct" not in said:
            return i
    return chain.n
