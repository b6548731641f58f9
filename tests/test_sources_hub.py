"""Data sets of the hub: read like a file, and where there is no network it is said soon."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest
from huggingface_hub import constants

from stepviz import sources
from stepviz.sources import hub
from stepviz.sources.files import Unreadable

TRACES = [
    {"question": "2 + 3?", "answer": "5", "response": "2 + 3 = 5\nso 5\n#### 5"},
    {"question": "2 + 4?", "answer": "6", "response": "2 + 4 = 7\nso 7\n#### 7"},
]


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where HF_HUB_OFFLINE is not set; a machine that tests may set it."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)


def test_a_datasets_folder_and_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given = datasets.DatasetDict({"train": datasets.Dataset.from_list(TRACES[:1])})
    given["validation"] = datasets.Dataset.from_list(TRACES[1:])
    given.save_to_disk(str(tmp_path / "saved"))
    first, second = sources.read("table", tmp_path / "saved")
    assert (first.problem.split, second.problem.split) == ("train", "dev")
    asked = []

    def network(repository: str, config: str | None) -> Any:
        asked.append((repository, config))
        return given

    monkeypatch.setattr(hub, "load_dataset", network)
    found = sources.read("table", "someone/traces:main")
    assert next(item.problem for item in found).question == "2 + 3?"
    assert set(asked) == {("someone/traces", "main")}


def test_without_a_network_a_hub_id_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_network(repository: str, config: str | None) -> Any:
        raise ConnectionError(f"Couldn't reach {repository!r} on the Hub")

    monkeypatch.setattr(hub, "load_dataset", no_network)
    with pytest.raises(Unreadable, match="Without a network, fetch the data set elsewhere and give the path"):
        list(sources.read("gsm8k", "openai/gsm8k"))

    def no_config(repository: str, config: str | None) -> Any:
        raise ValueError("Config name is missing.\nPlease pick one")

    monkeypatch.setattr(hub, "load_dataset", no_config)
    with pytest.raises(Unreadable, match="a configuration is written openai/gsm8k:NAME"):
        list(sources.read("gsm8k", "openai/gsm8k"))


def test_what_is_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "traces").mkdir()
    assert hub.is_hub_id("openai/gsm8k")
    assert hub.is_hub_id("Qwen/ProcessBench:default")
    for path in ("openai/gsm8k.jsonl", "traces/run1", "/abs/path", "one", "a/b/c", "../x", "traces"):
        assert not hub.is_hub_id(path), path


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A place on this machine to connect to; what happens then is the test's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def refused_by_the_hub() -> tuple[str, float]:
    """What is said when the hub is asked, and after how many seconds."""
    start = time.monotonic()
    with pytest.raises(Unreadable) as error:
        list(sources.read("gsm8k", "openai/gsm8k:main"))
    return str(error.value), time.monotonic() - start


def test_nobody_there_is_said_at_once(listening: socket.socket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "ENDPOINT", address(listening))
    listening.close()
    said, seconds = refused_by_the_hub()
    assert "cannot be reached" in said
    assert "refused" in said
    assert "Without a network, fetch the data set elsewhere" in said
    assert seconds < 60  # what the library itself tries again for would take minutes
    assert not datasets.config.HF_HUB_OFFLINE


def test_an_address_that_nobody_finds_is_given_up_after_seconds(monkeypatch: pytest.MonkeyPatch):
    class Hanging:
        def head(self, *_: Any, **__: Any) -> None:
            threading.Event().wait(600)

    monkeypatch.setattr(huggingface_hub, "get_session", Hanging)
    monkeypatch.setattr(hub, "CONNECT", 1)
    said, seconds = refused_by_the_hub()
    assert "no connection in 1 s (HF_HUB_ETAG_TIMEOUT=60 waits longer)" in said
    assert seconds < 60


def test_a_slow_network_is_a_network(listening: socket.socket, monkeypatch: pytest.MonkeyPatch):
    """It connects and answers nothing for long: the data set is asked for all the same."""
    monkeypatch.setattr(constants, "ENDPOINT", address(listening))
    given = datasets.Dataset.from_list(TRACES)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: given)
    first, _ = sources.read("table", "someone/traces")
    assert first.problem.question == "2 + 3?"


def test_without_a_network_the_cache_is_read(listening: socket.socket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "ENDPOINT", address(listening))
    listening.close()
    offline = []

    def from_cache(*_: Any) -> datasets.Dataset:
        offline.append(datasets.config.HF_HUB_OFFLINE)
        return datasets.Dataset.from_list(TRACES)

    monkeypatch.setattr(datasets, "load_dataset", from_cache)
    assert len(list(sources.read("table", "someone/traces"))) == 2
    assert set(offline) == {True}
