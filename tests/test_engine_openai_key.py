"""Where the key of OPENAI_API_KEY goes, and that nothing repeats it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from stepviz import engines
from stepviz.engines.openai_client import in_flight, trusted
from stepviz.engines.server import Served, served
from stepviz.errors import StepvizError
from tests.openai_cases import REQUESTS, SAMPLING, SECRET, FakeServer, asked_with_a_key, generate


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with asked_with_a_key(monkeypatch) as fake:
        yield fake


def test_the_key_is_sent_from_the_environment(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engines.load(server.spec)
    engine.generate(REQUESTS[:1], SAMPLING)
    assert server.keys == [f"Bearer {SECRET}"] * 2
    assert SECRET not in f"{engine.model_id} {engine.spec} {vars(engine)}"


def test_no_error_repeats_the_key(server: FakeServer) -> None:
    server.answer = lambda *_: (401, {"error": {"message": f"Incorrect API key provided: {SECRET}"}})
    with pytest.raises(StepvizError, match=r"answered 401, it wants a key: set OPENAI_API_KEY .*provided: …\)") as told:
        generate(server)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("around", ["\n", "\r\n", " "])
def test_white_space_around_the_key_is_no_part_of_it(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET + around)
    generate(server, REQUESTS[:1])
    assert set(server.keys) == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("inside", ["\n", "ö", "\x00"])
def test_a_key_that_can_be_none_is_said_and_not_repeated(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.setattr("os.environ", {**os.environ, "OPENAI_API_KEY": f"sk-{inside}secret"})
    with pytest.raises(StepvizError, match="OPENAI_API_KEY holds a character that no key has") as told:
        engines.load(server.spec)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "hosts", "base", "goes"),
    [
        ("http://127.0.0.1:8000/v1", "", "", True),
        ("https://api.openai.com/v1", "", "", True),
        ("http://api.openai.com/v1", "", "", False),
        ("https://api.openai.com.evil.net/v1", "", "", False),
        ("http://anywhere.net/v1", "", "", False),
        ("http://gpu1:8000/v1", "gpu1", "", True),
        ("http://gpu1:8000/v1", "gpu2, GPU1:8000", "", True),
        ("http://gpu1:8001/v1", "gpu1:8000", "", False),
        ("http://gpu1:8000/v1", "", "http://gpu1:8000/v1", True),
        ("http://gpu1:8000/v1", "", "http://gpu2:8000/v1", False),
    ],
)
def test_the_key_goes_only_where_it_may(
    monkeypatch: pytest.MonkeyPatch, url: str, hosts: str, base: str, goes: bool
) -> None:
    """A link to the app may name any server; a click on it must not carry the key there."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("STEPVIZ_OPENAI_HOSTS", hosts)
    monkeypatch.setenv("OPENAI_BASE_URL", base)
    asked = served(f"openai:{url}#m")
    assert trusted(asked) == goes


def test_a_name_that_is_said_to_be_this_machine_s_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers for the name may say so, and send the request elsewhere a moment later."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 0))])
    asked = served("openai:http://rebound.example:8000/v1#m")
    assert asked.here
    assert not trusted(asked)


def test_who_wants_a_key_that_may_not_go_there_says_how(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Served, "loopback", False)
    server.answer = lambda *_: (401, {})
    with pytest.raises(StepvizError, match=r"name 127.0.0.1:\d+ in STEPVIZ_OPENAI_HOSTS and set OPENAI_API_KEY"):
        generate(server)
    assert not any(SECRET in key for key in server.keys)


@pytest.mark.parametrize("goes", [True, False])
def test_what_the_library_takes_from_the_environment_goes_only_where_the_key_may(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, goes: bool
) -> None:
    """An organization, a project, and headers of a gateway, which may be another key."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-ours")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer gateway-ours\nX-Api-Token: token-ours")
    monkeypatch.setattr(Served, "loopback", goes)
    generate(server, REQUESTS[:1])
    assert len(server.headers) == 2  # the look at the models, and the draw
    for headers in server.headers:
        said = " ".join(headers.values())
        assert (SECRET in said or "gateway-ours" in said, "token-ours" in said, "org-ours" in said) == (goes,) * 3
        assert headers["authorization"] == "Bearer none" or goes


def test_no_more_requests_at_once_than_a_process_may_have_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised as far as it may be: of 700 files 128 are for other things."""
    limits = {"now": (256, 700)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.update(now=new))
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "300")
    assert in_flight() == (300, "")
    assert limits["now"] == (428, 700)
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "1000")
    assert in_flight() == (572, "572 requests at once, not 1,000: each is an open file, see ulimit -n")
    assert limits["now"] == (700, 700)
