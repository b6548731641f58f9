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

from stepviz.errors import StepvizError

READY_S = 900.0  # on a busy machine; 45 on two idle cores
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}  # it would take 40 % of the memory


def installed() -> bool:
    return importlib.util.find_spec("vllm") is not None


@contextlib.contextmanager
def serving(model: str | Path, *options: str) -> Iterator[str]:
    """Its URL with /v1, in float32. StepvizError with its last words where it does not come up."""
    if not installed():
        raise StepvizError("vLLM is not installed here: see README, Engines")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # its console script looks for a package named vllm, which on a CPU is named otherwise
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager", *options]
    # the development mode has an address at which its cache of prefixes is emptied
    environment = {**CPU, "VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1", **os.environ}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
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
