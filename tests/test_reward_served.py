"""A scorer behind HTTP: a real server on loopback, in which a tiny checkpoint stands for vLLM's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification

from stepviz.errors import StepvizError
from stepviz.reward import load_scorer, served
from stepviz.reward.scorer import TOKENS
from tests import tiny_scorers
from tests.pooling_server import Logits, PoolingServer
from tests.test_reward import CHAINS, QUESTION


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library asks again at once."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)


@pytest.fixture(scope="module")
def sorm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_scorers.lines(tmp_path_factory.mktemp("models") / "sorm", role="sorm")


@pytest.fixture
def server(sorm: Path) -> Iterator[PoolingServer]:
    with PoolingServer(sorm, by_library(sorm)) as serving:
        yield serving


def by_library(folder: Path) -> Logits:
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    return lambda ids: model(torch.tensor([ids])).logits[0].tolist()


def test_scores_are_those_of_the_same_weights_here(server: PoolingServer, sorm: Path) -> None:
    scorer, here = load_scorer(server.spec()), load_scorer(f"hf:{sorm}", "cpu")
    assert (scorer.kind, scorer.role, scorer.context) == ("lines", "sorm", 256)
    assert scorer.model_id == f"{here.model_id}+openai"
    for one, other in zip(scorer.score(CHAINS), here.score(CHAINS), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert {asked["model"] for asked in server.asked} == {str(sorm)}
    assert {(asked["task"], asked["use_activation"]) for asked in server.asked} == {("token_classify", False)}
    sent = [ids for asked in server.asked for ids in asked["input"]]
    assert all(list(here.encode(*chain).ids) in sent for chain in CHAINS)


def test_a_name_of_its_own_is_looked_up_where_the_server_has_the_weights(sorm: Path) -> None:
    with PoolingServer(sorm, by_library(sorm), name="judge") as server:
        assert load_scorer(server.spec()).role == "sorm"
    elsewhere = {"logits": lambda ids: [[0.0, 1.0]] * len(ids), "root": "/not/on/this/machine"}
    said = r"computes, but .* read on this machine, .*--served-model-name"
    with PoolingServer(sorm, name="judge", **elsewhere) as server, pytest.raises(StepvizError, match=said):
        load_scorer(server.spec())
    with PoolingServer(sorm, name="embedded:sorm", **elsewhere) as server:
        assert load_scorer(server.spec()).model_id.startswith("embedded/sorm@")


def test_what_is_read_for_a_name_of_its_own_is_told(sorm: Path, server: PoolingServer) -> None:
    with PoolingServer(sorm, by_library(sorm), name="judge") as judge:
        spec = judge.spec()
        told = f"tokenizer and config of {spec} are those of {sorm}: the server says that it runs it"
        assert load_scorer(spec).notes == [told]
    assert load_scorer(server.spec()).notes == []


def test_a_path_of_another_machine_is_none_of_this_one(
    sorm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server elsewhere says "models/sorm", from where it was started; here that is another model."""
    monkeypatch.chdir(tmp_path)
    tiny_scorers.lines(tmp_path / "models" / "sorm", role="orm")
    with PoolingServer(sorm, by_library(sorm), name="judge", root="models/sorm") as server:
        assert load_scorer(server.spec()).role == "orm", "on this machine it may be what it says"
        monkeypatch.setattr("stepviz.engines.server.Served.here", False)
        with pytest.raises(StepvizError, match="read on this machine, where they are not"):
            load_scorer(server.spec())
    monkeypatch.chdir("/")
    above = PoolingServer(sorm, by_library(sorm), name="judge", root="../models/sorm")
    with above, pytest.raises(StepvizError, match="there is no folder and no hub id of this name"):
        load_scorer(above.spec())
    with PoolingServer(sorm, by_library(sorm)) as server:
        assert load_scorer(server.spec()).model_id == f"{sorm.name}+openai", "whose weights are there is not known"


@pytest.mark.parametrize("only_tags", [False, True])
def test_a_qwen_prm_may_return_all_tokens_or_its_steps_ends(only_tags: bool, tmp_path: Path) -> None:
    """STEP, a pooling type of vLLM's, returns the rows at one token only."""
    folder = tiny_scorers.qwen_prm(tmp_path / "prm", own_head=False)
    here = load_scorer(f"hf:{folder}", "cpu")
    every = by_library(folder)
    tag = here.tokenizer.convert_tokens_to_ids("<extra_0>")

    def logits(ids: list[int]) -> list[list[float]]:
        return [row for i, row in zip(ids, every(ids), strict=True) if not only_tags or i == tag]

    with PoolingServer(folder, logits) as server:
        scorer = load_scorer(server.spec("qwen-prm:"))
        assert scorer.kind == "qwen-prm"
        for one, other in zip(scorer.score(CHAINS), here.score(CHAINS), strict=True):
            assert one == pytest.approx(other, abs=1e-5)


def test_a_shepherds_first_label_is_the_positive_one(tmp_path: Path) -> None:
    """Of `+` and `-`, in this order: 1 / (1 + e^-2) where + has 1 and - has -1."""
    folder = tiny_scorers.shepherd(tmp_path / "prm")
    with PoolingServer(folder, lambda ids: [[1.0, -1.0]] * len(ids)) as server:
        scorer = load_scorer(server.spec("math-shepherd:"))
        assert scorer.score([(QUESTION, ["a", "b ки b"])]) == [[pytest.approx(0.880797), pytest.approx(0.880797)]]


def test_what_cannot_be_scored_is_refused_and_the_server_may_read_less_than_the_model(sorm: Path) -> None:
    with PoolingServer(sorm, by_library(sorm), length=100) as server:
        scorer = load_scorer(server.spec())
        why: dict[int, str] = {}
        asked = [CHAINS[0], (QUESTION, []), (QUESTION, ["1+1=2"] * 30)]
        assert [len(s) for s in scorer.score(asked, on_refused=why.__setitem__)] == [2, 0, 0]
        assert ("no steps" in why[1], "reads 100" in why[2]) == (True, True)


def test_several_requests_are_under_way_at_once_and_all_are_told(
    server: PoolingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = load_scorer(server.spec())
    monkeypatch.setitem(TOKENS, "cpu", 1)  # a request a chain
    together = threading.Barrier(4, timeout=10)
    server.does = lambda n: (together.wait(), None)[1]
    told: list[int] = []
    scorer.score(CHAINS[:1] * 4, on_scores=lambda i, scores: told.append(i))
    assert sorted(told) == [0, 1, 2, 3]


def test_a_cancel_is_heard_while_the_server_thinks(server: PoolingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = load_scorer(server.spec())
    monkeypatch.setitem(TOKENS, "cpu", 1)
    first, thinking = len(server.asked), threading.Event()
    server.does = lambda n: (n == first or thinking.wait(30), None)[1]
    told: list[int] = []
    started = time.monotonic()
    found = scorer.score(CHAINS, on_scores=lambda i, scores: told.append(i), cancelled=lambda: bool(told))
    thinking.set()
    assert time.monotonic() - started < 2
    assert [bool(scores) for scores in found].count(True) == len(told) == 1


# ---- failures


def test_the_key_is_of_the_environment(server: PoolingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-mine")
    load_scorer(server.spec()).score(CHAINS)
    assert server.keys == {"Bearer of-mine"}


@pytest.mark.parametrize("does", [429, 500, "nothing"])
def test_what_passes_is_asked_again(does: Any, server: PoolingServer) -> None:
    scorer = load_scorer(server.spec())
    first = len(server.asked)
    server.does = lambda n: does if n == first else None
    assert [len(s) for s in scorer.score(CHAINS)] == [2, 4, 1]


@pytest.mark.parametrize(
    "does, message",
    [
        (400, "refused this: no 400 today"),
        (401, "answered 401, it wants a key: set OPENAI_API_KEY"),
        (404, "/pooling is not there, or not for .*--runner pooling"),
        (429, "answered 429, too many requests"),
        (500, "failed .500.: no 500 today"),
        ("nothing", "cannot be reached, or breaks off"),
        ("middle", "cannot be reached, or breaks off"),
        ("garbage", "answered what is not of OpenAI's protocol"),
        ("other", "answered something else than logits"),
    ],
)
def test_a_failure_says_what_to_do_and_what_was_finished_is_kept(
    does: Any, message: str, server: PoolingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = load_scorer(server.spec())
    monkeypatch.setitem(TOKENS, "cpu", 1)
    monkeypatch.setattr(served, "IN_FLIGHT", 1)
    first = len(server.asked)
    server.does = lambda n: does if n > first else None
    kept: dict[int, list[float]] = {}
    with pytest.raises(StepvizError, match=message):
        scorer.score(CHAINS, on_scores=kept.__setitem__)
    assert {i: len(scores) for i, scores in kept.items()} == {1: 4}  # the longest chain goes first


def test_nobody_there_and_another_model_there_are_said(server: PoolingServer) -> None:
    with pytest.raises(StepvizError, match=r"does not serve 'gpt'; it serves: /.*sorm"):
        load_scorer(f"openai:{server.url}#gpt")
    nobody = PoolingServer(server.folder, server.logits)
    with nobody:
        spec = nobody.spec()
    with pytest.raises(StepvizError, match="cannot be reached"):
        load_scorer(spec)


@pytest.mark.parametrize(
    "logits, message",
    [
        (lambda ids: [[0.1] * 32] * len(ids), "32 numbers for a token"),
        (lambda ids: [[0.1, 0.2]] * 2, r"2 rows for a chain of 6 tokens"),
        (lambda ids: [0.1, 0.2], "something else than a row"),
        (lambda ids: [], "returned no row: does it look for another step tag"),
        (lambda ids: [["a", "b"]] * len(ids), "something else than a row of logits"),
        (lambda ids: [[float("nan"), 0.0]] * len(ids), "no numbers"),
        (lambda ids: [[0.0, ids[-1] / 100]] * len(ids), "reads both ways"),
    ],
)
def test_another_model_behind_the_name_is_said(logits: Callable, message: str, sorm: Path) -> None:
    with PoolingServer(sorm, logits) as server, pytest.raises(StepvizError, match=message):
        load_scorer(server.spec())
