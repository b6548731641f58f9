"""The process in which math-verify runs; started by `grader_pool`, speaks length-prefixed JSON over its pipes.

It reads text of models and files, and sympy may compute on it without end: so this process has a memory limit, may
write no file, dies when its processor time is over or its parent no longer can kill it, and is never trusted to answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import struct
import sys
from typing import Any, BinaryIO

MEMORY = 1 << 30  # bytes of address space; sympy and math-verify need about a third of it
HEADER = struct.Struct(">I")


def main() -> None:
    """Answers jobs `{gold, answer, seconds, patience}` with `{verdict, reason}` until the parent goes away.

    The default action of both timers' signals ends the process, whatever code it is in: after `seconds` of processor
    time, and as a backstop a second after the parent's `patience` is over.
    """
    inbox, outbox = _pipes()
    parse, verify = _mathematics()
    _confine()
    _send(outbox, {"ready": True})
    parent = os.getppid()
    while (job := _receive(inbox, parent)) is not None:
        signal.setitimer(signal.ITIMER_PROF, job["seconds"])
        signal.setitimer(signal.ITIMER_REAL, job["patience"] + 1.0)
        reply = _judge(parse, verify, job["gold"], job["answer"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(outbox, reply)


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Private copies of the pipes; nothing a library prints or reads can reach the protocol."""
    inbox, outbox = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return inbox, outbox


def _mathematics() -> tuple[Any, Any]:
    """parse and verify, with what a comparison of polynomials loads: else the first would pay for it from its time."""
    import logging

    import math_verify

    logging.disable(logging.CRITICAL)
    warm = math_verify.parse(r"$x^2+\frac{3}{2}x+0.5$", parsing_timeout=None)
    math_verify.verify(warm, math_verify.parse(r"$(x+1)(x+\frac{1}{2})$", parsing_timeout=None), timeout_seconds=None)
    return math_verify.parse, math_verify.verify


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    sys.addaudithook(_forbid)
    sys.setrecursionlimit(3000)


_PROGRAMS = frozenset(("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen"))
_OUTSIDE = frozenset(("socket.connect", "socket.bind", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


def _forbid(event: str, args: tuple[Any, ...]) -> None:
    """No programs, no sockets, no files written: whatever a text makes a library do."""
    if event in _PROGRAMS or event in _OUTSIDE or (event == "open" and int(args[2] or 0) & _WRITING):
        raise PermissionError(f"{event} is not allowed in a grading worker")


def _judge(parse: Any, verify: Any, gold: str, answer: str) -> dict[str, str]:
    """math-verify's judgement. Its order of arguments matters, and its errors must not become "different"."""
    try:
        sides = [_parsed(parse, text) for text in (gold, answer)]
        for side, name in zip(sides, ("gold answer", "answer"), strict=True):
            if not side:
                return {"verdict": "unknown", "reason": f"the {name} could not be read as mathematics"}
        if any("nan" in str(type(x)).lower() for side in sides for x in side):
            return {"verdict": "unknown", "reason": "it is not a number"}
        same = verify(sides[0], sides[1], timeout_seconds=None, raise_on_error=True)
    except MemoryError:
        return {"verdict": "unknown", "reason": "comparing the expressions took too much memory"}
    except RecursionError:
        return {"verdict": "unknown", "reason": "the expressions are nested too deeply to compare"}
    except Exception as error:  # sympy raises anything; all of it means the same here
        return {"verdict": "unknown", "reason": f"the expressions could not be compared ({type(error).__name__})"}
    return {
        "verdict": "equal" if same else "different",
        "reason": "the same mathematics (math-verify)" if same else "not the same mathematics (math-verify)",
    }


def _parsed(parse: Any, text: str) -> list[Any]:
    framed = text if any(mark in text for mark in ("$", "\\(", "\\[", "\\boxed")) else f"${text}$"
    found = parse(framed, parsing_timeout=None, fallback_mode="no_fallback")
    return found or (parse(text, parsing_timeout=None, fallback_mode="no_fallback") if framed != text else [])


def _receive(inbox: BinaryIO, parent: int) -> dict[str, Any] | None:
    while not select.select([inbox], [], [], 5.0)[0]:
        if os.getppid() != parent:
            return None
    header = _exactly(inbox, HEADER.size)
    body = _exactly(inbox, HEADER.unpack(header)[0]) if header else None
    return json.loads(body) if body else None


def _exactly(inbox: BinaryIO, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        piece = inbox.read(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def _send(outbox: BinaryIO, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    outbox.write(HEADER.pack(len(body)) + body)


if __name__ == "__main__":
    main()
