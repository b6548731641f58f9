"""Clients of OpenAI's library: where the key goes, how long they wait, how many requests are in flight.

A spec may come from a link that somebody else has made: one click must carry neither the key to any address nor what
else the library takes from the environment for its own servers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stepviz.engines.server import Served
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    import openai
    from httpx2 import Response

KEY, HOSTS, BASE_URL = "OPENAI_API_KEY", "STEPVIZ_OPENAI_HOSTS", "OPENAI_BASE_URL"
IN_FLIGHT, TIMEOUT = "STEPVIZ_OPENAI_REQUESTS", "STEPVIZ_OPENAI_TIMEOUT"
DEFAULTS = {IN_FLIGHT: 256, TIMEOUT: 600}
RETRIES = 4  # of the client, half a second to eight apart: a server that another one stands in for has that long
LOOK_RETRIES, LOOK_S = 1, 10.0  # when a model is looked for, somebody waits
CONNECT_S = 10.0  # until a server takes a connection, which even a busy one does
SPARE = 128  # files that a process has open beside its connections
NO_KEY = "none"
PLAIN = ("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent")  # headers


def setting(name: str) -> int:
    """A whole number from the environment."""
    given = os.environ.get(name, "").strip()
    if not given:
        return DEFAULTS[name]
    if not given.isdecimal() or int(given) < 1:
        raise StepvizError(f"{name} is {given[:40]!r}: give a whole number of at least 1")
    return int(given)


def in_flight() -> tuple[int, str]:
    """How many requests are at a server at once, and a note where it is fewer than asked for: each holds a connection,
    and a process may have so many files open."""
    wanted = setting(IN_FLIGHT)
    try:
        import resource
    except ImportError:  # Windows
        return wanted, ""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + SPARE:
        most = wanted + SPARE if hard == resource.RLIM_INFINITY else min(hard, wanted + SPARE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted + SPARE:
            some = max(1, most - SPARE)
            return some, f"{some:,} requests at once, not {wanted:,}: each is an open file, see ulimit -n"
    return wanted, ""


def looking(served: Served) -> openai.OpenAI:
    """For a look at the models: somebody waits."""
    openai = library()

    class Asking(openai.DefaultHttpxClient):
        def send(self, request: Any, **how: Any) -> Response:
            return super().send(_without_what_is_ours(request, served), **how)

    return openai.OpenAI(**_options(served, LOOK_RETRIES, LOOK_S), http_client=Asking(timeout=LOOK_S))


def client_of(served: Served, in_flight: int) -> openai.AsyncOpenAI:
    """It asks again by itself where nobody answers, or the server is busy (429) or fails (5xx).

    As many connections as there are requests in flight are kept, where the library would close all but a hundred.
    """
    from httpx2 import Limits, ReadTimeout, WriteTimeout

    openai = library()

    class Waiting(openai.DefaultAsyncHttpxClient):
        """Time that is over is over: the library would wait as long again, four times."""

        async def send(self, request: Any, **how: Any) -> Response:
            try:
                return await super().send(_without_what_is_ours(request, served), **how)
            except (ReadTimeout, WriteTimeout) as error:
                raise openai.APITimeoutError(request=request) from error  # which the library hands on as it is

    timeout = openai.Timeout(setting(TIMEOUT), connect=min(CONNECT_S, setting(TIMEOUT)))
    limits = Limits(max_connections=None, max_keepalive_connections=in_flight)
    return openai.AsyncOpenAI(**_options(served, RETRIES, timeout), http_client=Waiting(timeout=timeout, limits=limits))


def _options(served: Served, retries: int, timeout: Any) -> dict[str, Any]:
    """Without a key a word stands in its place: a server that asks for one says so."""
    key = (_key() if trusted(served) else "") or NO_KEY
    return {"base_url": served.url, "api_key": key, "max_retries": retries, "timeout": timeout}


def _without_what_is_ours(request: Any, served: Served) -> Any:
    """The library adds the organization, the project and OPENAI_CUSTOM_HEADERS, another key perhaps, for any server."""
    if not trusted(served):
        for name in [name for name in request.headers if name.lower() not in PLAIN]:
            del request.headers[name]
        request.headers["authorization"] = f"Bearer {NO_KEY}"
    return request


def trusted(served: Served) -> bool:
    """Whether the key may go there: to this machine, to OpenAI's own, and where those who started the process say.

    A spec may come from a link that somebody else has made: one click must not carry the key to any address. So a name
    that is said to be this machine's is not asked for: who answers for a name may answer otherwise the next time.
    """
    if served.loopback or served.url.startswith("https://api.openai.com/"):
        return True
    named = [host.strip().lower() for host in os.environ.get(HOSTS, "").split(",")]
    named.append(urlsplit(os.environ.get(BASE_URL, "")).netloc.lower())
    return served.host in named or urlsplit(served.url).hostname in named


def _key() -> str:
    """Without the white space around it, which an environment file leaves; "" where there is none."""
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise StepvizError(f"{KEY} holds a character that no key has, a line break perhaps: set it anew")
    return key


def library() -> Any:
    try:
        import openai
    except ImportError:
        raise StepvizError(
            "the client library for servers is missing: .venv/bin/pip install -r requirements.txt"
        ) from None
    return openai
