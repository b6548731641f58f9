"""A real HTTP server on loopback that stands for vLLM's with a pooling model: `GET /v1/models`, `POST /pooling`.

It computes with a tiny checkpoint, and does what `does` says in the place of an answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Logits = Callable[[list[int]], list[list[float]]]


@dataclass
class PoolingServer:
    """Serves while it is entered. `does(n)` is asked before the n-th request for logits is answered, n from 0.

    It gives None (answer), a status, "garbage", "nothing" (the connection is closed) or "middle" (closed in the body).
    """

    folder: Path
    logits: Logits
    name: str = ""  # that it is served under; else its folder's
    root: str = ""  # where it says that the weights lie; else in their folder
    length: int = 256
    does: Callable[[int], Any] = lambda n: None
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    most: int = 0  # requests under way at once
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def spec(self, kind: str = "") -> str:
        return f"openai:{self.url}#{kind}{self.name or self.folder}"

    def __enter__(self) -> PoolingServer:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"of": self}))
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def models(self) -> dict[str, Any]:
        entry = {"id": self.name or str(self.folder), "root": self.root or str(self.folder)}
        return {"object": "list", "data": [{**entry, "max_model_len": self.length}]}

    def pooled(self, asked: dict[str, Any]) -> dict[str, Any]:
        data = [{"index": i, "object": "pooling", "data": self.logits(ids)} for i, ids in enumerate(asked["input"])]
        return {"object": "list", "data": data[::-1]}


class _Handler(BaseHTTPRequestHandler):
    of: PoolingServer
    protocol_version = "HTTP/1.1"
    under_way = 0

    def do_GET(self) -> None:
        self._send(200 if self.path == "/v1/models" else 404, json.dumps(self.of.models()))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/pooling":
            return self._send(404, '{"error": {"message": "Not Found"}}')
        with self.of.lock:
            n = len(self.of.asked)
            self.of.asked.append(asked)
            self.of.keys.add(self.headers["Authorization"])
        does = self.of.does(n)
        if isinstance(does, int):
            return self._send(does, json.dumps({"error": {"message": f"no {does} today", "code": does}}))
        if does == "nothing":
            self.close_connection = True
            return None
        if does == "garbage":
            return self._send(200, "<html>it works</html>")
        if does == "other":
            return self._send(200, '{"data": [{"index": 0}]}')
        return self._send(200, json.dumps(self.of.pooled(asked)), cut=does == "middle")

    def _send(self, status: int, body: str, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode()[: len(body) // 2 if cut else None])
        self.close_connection = self.close_connection or cut

    def log_message(self, *_: object) -> None:
        pass
