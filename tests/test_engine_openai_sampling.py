"""What a server is told of a sampling, and what its model is called: a draw stands under what it was drawn with."""

from __future__ import annotations

import socket
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from stepviz import engines
from stepviz.engines.server import served
from stepviz.types import Sampling
from tests import tiny
from tests.openai_cases import MODEL, REQUESTS, FakeServer, asked_with_a_key, generate

STANDARD = {"model", "prompt", "seed", "max_tokens", "temperature", "top_p"}
NEUTRAL = {"min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
# Each server's own words: its request's fields and what its documentation says switches them off.
VLLM = {**NEUTRAL, "top_k": 0, "repetition_penalty": 1.0, "skip_special_tokens": False, "return_token_ids": True}
SGLANG = {**NEUTRAL, "top_k": -1, "repetition_penalty": 1.0, "min_tokens": 0, "ignore_eos": False}
LLAMACPP = {
    **NEUTRAL,
    "top_k": 0,
    "samplers": ["temperature", "top_k", "top_p"],
    "repeat_penalty": 1.0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "dry_multiplier": 0.0,
    "dynatemp_range": 0.0,
    "mirostat": 0,
    "ignore_eos": False,
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with asked_with_a_key(monkeypatch) as fake:
        yield fake


@pytest.mark.parametrize(
    ("owner", "told"),
    [("vllm", VLLM), ("sglang", SGLANG), ("llamacpp", LLAMACPP), ("library", {}), (None, {}), (7, {})],
)
def test_a_server_is_told_all_that_it_might_add(server: FakeServer, owner: Any, told: dict[str, Any]) -> None:
    server.models = {"data": [{"id": MODEL, "owned_by": owner}]}
    generate(server, REQUESTS[:1], Sampling(top_p=0.9))
    generate(server, REQUESTS[:1], Sampling(top_k=5))
    free, five = server.asked
    assert {name: value for name, value in free.items() if name not in STANDARD} == told
    assert {name: value for name, value in five.items() if name not in STANDARD} == told | {"top_k": 5}
    assert (free["top_p"], five["top_p"]) == (0.9, 1.0)


# ---- whose server it is

Address = namedtuple("Address", "family address")
OWN = {
    "lo": [Address(socket.AF_INET, "127.0.0.1"), Address(psutil.AF_LINK, "00:00:00:00:00:00")],
    "eth0": [Address(socket.AF_INET, "192.0.2.2"), Address(socket.AF_INET6, "fe80::1%eth0")],
}
NAMES = {
    "gpu1": ["192.0.2.2"],
    "gpu1.lab": ["192.0.2.2", "fe80::1"],
    "me": ["127.0.1.1"],
    "gpu2": ["192.0.2.3"],
    "both": ["192.0.2.2", "192.0.2.3"],
}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of these addresses, and a net of these names."""

    def look(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        if host not in NAMES and not host[0].isdigit():
            raise socket.gaierror("Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, 0)) for at in NAMES.get(host, [host])]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: OWN)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, True) for host in ("127.0.0.1", "192.0.2.2", "gpu1", "gpu1.lab", "me", "0.0.0.0")),
        *((host, False) for host in ("gpu2", "both", "192.0.2.3", "nobody")),
    ],
)
def test_a_server_is_on_this_machine_by_any_of_its_names(names: None, host: str, here: bool) -> None:
    assert served(f"openai:http://{host}:8000/v1#m").here is here


def test_a_model_has_one_id_by_all_names_of_this_machine(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere nobody sees which files those are: not even where the same path is here, too."""
    folder, other = str(tiny.build(tmp_path / "its")), f"openai:http://gpu1:{server.port}/v1"
    server.models = {"data": [{"id": MODEL, "root": folder}, {"id": folder, "root": folder}]}
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1" if host in ("gpu1", b"gpu1") else host, *a, **k)
    )
    by_address, by_name = engines.load(server.spec), engines.load(f"{other}#{MODEL}")
    assert by_name.model_id == by_address.model_id
    assert by_name.tokenizer is not None
    assert "@" in by_name.model_id
    monkeypatch.setattr("stepviz.engines.server.Served.here", False)
    elsewhere = [engines.load(f"{other}#{model}") for model in (MODEL, folder)]
    assert [engine.model_id for engine in elsewhere] == [f"{MODEL}+openai", f"{folder}+openai"]
    assert [engine.tokenizer for engine in elsewhere] == [None, None]
