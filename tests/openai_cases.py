"""A server of OpenAI's protocol on loopback, as badly behaved as a test asks: it stands where a model server stands."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stepviz import engines
from stepviz.types import Completion, Request, Sampling

MODEL = "tiny"


def completion(text: str, tokens: int = 3, reason: str = "stop", **choice: Any) -> dict[str, Any]:
    """A whole answer, as OpenAI and vLLM write it."""
    return {
        "id": "c",
        "object": "text_completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "text": text, "finish_reason": reason, "logprobs": None, **choice}],
        "usage": {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens},
    }


@dataclass
class FakeServer:
    """Answers by `answer(body, how many times this body was asked before)`: see `Handler.do_POST`."""

    port: int = 0
    answer: Callable[[dict[str, Any], int], Any] = lambda body, again: completion(f"{body['seed']}\n")
    models: Any = None  # what /v1/models answers, as `answer` may
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    busy: int = 0
    most: int = 0  # requests at one time
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def spec(self) -> str:
        return f"openai:{self.url}#{MODEL}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    of: FakeServer

    def setup(self) -> None:
        super().setup()
        with self.of.lock:
            self.of.connections += 1

    def do_GET(self) -> None:
        self.of.keys.append(self.headers.get("Authorization"))
        self.of.headers.append({name.lower(): value for name, value in self.headers.items()})
        listed = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "me"}]}
        self._send(listed if self.of.models is None else self.of.models)

    def do_POST(self) -> None:
        """A dict is JSON; (status, dict) an error; bytes go out as they are; a number: so many seconds without a word.

        None closes the connection before a word, "half" in the middle of the answer.
        """
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.of.lock:
            self.of.asked.append(body)
            self.of.keys.append(self.headers.get("Authorization"))
            self.of.headers.append({name.lower(): value for name, value in self.headers.items()})
            name = json.dumps(body, sort_keys=True)
            again = self.of.seen[name] = self.of.seen.get(name, -1) + 1
            self.of.busy += 1
            self.of.most = max(self.of.most, self.of.busy)
        try:
            self._send(self.of.answer(body, again))
        finally:
            with self.of.lock:
                self.of.busy -= 1

    def _send(self, found: Any) -> None:
        if isinstance(found, (int, float)):
            time.sleep(found)
            found = completion("late")
        if found is None:
            self.close_connection = True
            return
        status, found = found if isinstance(found, tuple) else (200, found)
        data = (
            found
            if isinstance(found, bytes)
            else json.dumps(completion("x" * 99) if found == "half" else found).encode()
        )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if found == "half" else data)
        self.close_connection = found == "half"

    def log_message(self, *_: Any) -> None:
        """Tests print nothing."""


@contextmanager
def serving(**settings: Any) -> Iterator[FakeServer]:
    fake = FakeServer(**settings)

    class Bound(Handler):
        of = fake

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # of five, the rest of a dozen connections would wait a second for another try

    server = Server(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


REQUESTS = [Request("How many?", "3+4=7\n", seed) for seed in range(12)]
SAMPLING = Sampling(temperature=0.5, max_tokens=40)
SECRET = "sk-not-to-be-seen-anywhere"


@contextmanager
def asked_with_a_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server, of a client that has a key and tries again at once."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving() as fake:
        yield fake


def generate(
    server: FakeServer, requests: list[Request] = REQUESTS, sampling: Sampling = SAMPLING, **calls: Any
) -> list[Completion]:
    engine = engines.load(server.spec)
    try:
        return engine.generate(requests, sampling, **calls)
    finally:
        engine.close()
