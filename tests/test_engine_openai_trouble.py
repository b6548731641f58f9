"""A server that is silent, refuses everything, or stumbles: how long a call goes on, and what it says."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from stepviz import engines
from stepviz.engines.openai_calls import failure
from stepviz.engines.openai_client import client_of
from stepviz.engines.server import served
from stepviz.errors import StepvizError
from stepviz.types import Request
from tests.openai_cases import REQUESTS, SAMPLING, FakeServer, asked_with_a_key, completion, generate

UNKNOWN = (400, {"error": {"message": "Unrecognized request argument supplied: top_k"}})
TOO_LONG = (400, {"error": {"message": "This model's maximum context length is 9 tokens."}})
MANY = [Request("How many?", "", seed) for seed in range(300)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with asked_with_a_key(monkeypatch) as fake:
        yield fake


# ---- silence


def test_an_answer_that_does_not_come_is_waited_for_once(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_TIMEOUT", "1")
    server.answer = lambda body, _: completion("good") if body["seed"] < 3 else 30
    ended: list[int] = []
    with pytest.raises(StepvizError, match=r"did not answer in time: wait longer \(STEPVIZ_OPENAI_TIMEOUT, now 1 s\)"):
        generate(server, on_completion=lambda i, _: ended.append(i))
    assert sorted(ended) == [0, 1, 2]
    assert len(server.asked) == 12, "once each"


def test_a_server_that_takes_no_connection_is_not_waited_for_as_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.engines.openai_client.CONNECT_S", 0.2)
    monkeypatch.setattr("stepviz.engines.openai_client.RETRIES", 0)
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # its queue is full: what asks it further hears nothing at all
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        asked = served(f"openai:http://127.0.0.1:{deaf.getsockname()[1]}/v1#m")
        began = time.monotonic()
        with pytest.raises(openai.APITimeoutError) as error:
            asyncio.run(_completed(client_of(asked, 1)))
        assert time.monotonic() - began < 60
    assert "cannot be reached (it takes no connection)" in failure(error.value, asked).said


async def _completed(client: openai.AsyncOpenAI) -> Any:
    return await client.completions.create(model="m", prompt="q")


def test_people_are_told_once_that_a_server_is_silent(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.engines.openai.SLOW_S", 0.3)
    server.answer = lambda body, _: 3 if body["seed"] < 12 else completion("good")
    engine, told = engines.load(server.spec), []
    engine.generate(REQUESTS, SAMPLING, on_batch=lambda done, _: told.append((done, len(engine.notes))))
    assert (0, 1) in told, "while it is silent"
    assert engine.notes == [
        f"{server.url} has not answered any request for 0 s: each answer is waited for 600 s (STEPVIZ_OPENAI_TIMEOUT)"
    ]
    engine.notes.clear()
    engine.generate([Request("q", "", 12)], SAMPLING)
    assert engine.notes == []
    engine.close()


# ---- refusals


def test_a_server_that_refuses_everything_is_not_asked_thousands_of_times(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "4")
    server.answer = lambda *_: UNKNOWN
    said = "refused this: Unrecognized request argument.*It said so to 8 requests and answered none"
    with pytest.raises(StepvizError, match=said):
        generate(server, MANY)
    assert 8 <= len(server.asked) < 100


@pytest.mark.parametrize(
    "refusal",
    [
        lambda body, _: TOO_LONG,
        lambda body, _: (413, {"error": "no"}),
        lambda body, _: (422, {"message": f"seed {body['seed']} is none of mine"}),
        lambda body, _: (422, {"message": "no"}) if body["seed"] else completion("good"),
    ],
    ids=["too long", "too large", "each otherwise", "one was answered"],
)
def test_what_is_refused_for_itself_costs_itself_alone(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, refusal: Any
) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "1")
    server.answer = refusal
    found = generate(server)
    assert [c.error is None for c in found[1:]] == [False] * 11
    assert all("the server refused this" in c.error for c in found[1:])
    assert len(server.asked) == 12


def test_a_server_that_has_answered_before_is_asked_on(server: FakeServer) -> None:
    engine = engines.load(server.spec)
    engine.generate(REQUESTS[:1], SAMPLING)
    server.answer = lambda *_: UNKNOWN
    assert [c.error is None for c in engine.generate(REQUESTS, SAMPLING)] == [False] * 12
    engine.close()


# ---- stumbling


def test_what_failed_for_a_while_is_asked_once_more_when_the_others_are_done(server: FakeServer) -> None:
    server.answer = lambda body, again: (503, {}) if body["seed"] == 5 and again < 5 else completion("good")
    ended: list[int] = []
    found = generate(server, on_completion=lambda i, _: ended.append(i))
    assert {c.text for c in found} == {"good"}
    assert ended[-1] == 5
    assert sorted(ended) == list(range(12))
    assert [body["seed"] for body in server.asked].count(5) == 6, "five times by the client, once more by the engine"


def test_what_fails_again_is_failed_and_ends_nothing(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four requests that a server cannot do, among others that it can."""
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "1")
    monkeypatch.setattr("stepviz.engines.openai_client.RETRIES", 0)
    server.answer = lambda body, _: (500, {"error": "assert"}) if body["seed"] % 3 == 2 else completion("good")
    found = generate(server)
    assert [i for i, c in enumerate(found) if c.error] == [2, 5, 8, 11]
    assert {c.error for c in found if c.error} == {f"{server.url} failed (500): assert"}
    assert len(server.asked) == 12 + 4


# ---- connections


def test_as_many_connections_are_kept_as_requests_are_in_flight(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's library keeps a hundred if it is not told."""
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "120")
    server.answer = lambda *_: 0.5
    engine = engines.load(server.spec)
    before = server.connections
    for _ in range(2):
        engine.generate(MANY[:120], SAMPLING)
    engine.close()
    assert server.most == 120
    assert server.connections - before == 120
