"""A hub id that is not on this machine and not to be had: said at once and in our words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import transformers
from huggingface_hub import constants

from stepviz import engines
from stepviz.errors import StepvizError
from stepviz.ui.engine_choice import checked
from tests.hub_cases import Hub

ID = "Qwen/Does-Not-Exist-7B"
asked: list[str] = []


class NoSuchModel(BaseHTTPRequestHandler):
    """What the hub answers for a name that it has not, by its own documentation of errors."""

    def do_GET(self) -> None:
        asked.append(self.path)
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), NoSuchModel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library, which asks six times and half a minute, is not reached."""
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", lambda *_, **__: pytest.fail("it was asked"))


@pytest.mark.usefixtures("unasked")
def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(tmp_path, monkeypatch)  # an empty cache, and offline
    with pytest.raises(StepvizError) as refused:
        engines.load(f"hf:{ID}", device="cpu")
    said = str(refused.value)
    assert said.startswith(
        f"there is no model '{ID}': it is not in this machine's cache, and the hub cannot be reached"
    )
    assert said.endswith("or give a folder of safetensors")


@pytest.mark.usefixtures("unasked", "hub")
def test_a_name_that_the_hub_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(tmp_path, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(StepvizError, match="the hub has none of this name that is open to you"):
        engines.load(f"hf:{ID}", device="cpu")
    assert asked == [f"/api/models/{ID}"], "once"


def test_what_is_in_the_cache_is_loaded_without_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its config is here, so that it is the library that says what is missing."""
    Hub(tmp_path, monkeypatch).put_config("some/one", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    with pytest.raises(StepvizError, match="cannot load a model from 'some/one'"):
        engines.load("hf:some/one", device="cpu")


def test_hf_alone_says_what_to_type() -> None:
    with pytest.raises(StepvizError, match=r"hf: alone names no model: a hub id \(hf:OWNER/NAME\) or a folder") as said:
        checked("hf:")
    assert "base" not in str(said.value)
