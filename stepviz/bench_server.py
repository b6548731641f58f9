"""vLLM's own server of a checkpoint on a loopback port, for as long as a benchmark or a test needs it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from stepviz.engines.vllm_here import ANYWHERE
from stepviz.errors import StepvizError

READY_S = 400.0  # on a busy machine; 45 on two idle cores. A test has 900 (pytest.ini), and is to say what was wrong


def installed() -> bool:
    return importlib.util.find_spec("vllm") is not None


def command(model: str | Path, port: int, *options: str) -> list[str]:
    """Of a server without a GPU, in float32, on loopback."""
    # its console script looks for a package named vllm, which on a CPU is named otherwise
    module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    return [*module, "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager", *options]


def whole_prompts(tokens: int = 2048) -> tuple[str, ...]:
    """Options of a server that draws by seeds on a CPU, see stepviz.engines.vllm_here.settings.

    tokens: the model's context, where that is longer.
    """
    return "--no-enable-chunked-prefill", "--max-num-batched-tokens", str(tokens)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def serving(model: str | Path, *options: str) -> Iterator[str]:
    """Its URL with /v1, in float32. StepvizError with its last words where it does not come up."""
    if not installed():
        raise StepvizError("vLLM is not installed here: see README, Engines")
    port = free_port()
    # the development mode has an address at which its cache of prefixes is emptied
    environment = {**ANYWHERE, "VLLM_SERVER_DEV_MODE": "1", **os.environ}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command(model, port, *options), stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            end(process.pid)
            process.wait()


def end(number: int) -> None:
    """A process with all that it has begun: what vLLM computes with is a process, too, which outlives a killed one."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(number)
        family = [process, *process.children(recursive=True)]
        process.terminate()
        psutil.wait_procs([process], timeout=10)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _wait(process: subprocess.Popen[bytes], address: str, log: TextIO) -> None:
    until = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        time.sleep(0.3)
    log.seek(0)
    raise StepvizError(f"vLLM's server did not come up: {log.read()[-1500:]}")


def empty_cache(url: str) -> None:
    """Of prefixes that the server has read."""
    address = f"{url.removesuffix('/v1')}/reset_prefix_cache"
    with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=30):
        pass
