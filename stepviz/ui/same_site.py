"""Requests that pages of other sites make in somebody's browser, and requests that are too long to be read.

Gradio's session cookie is sent with other sites' requests (SameSite=None under TLS), and on any host but this machine
its CORS headers let every site read the answers. Both are taken back here. A browser writes `Origin` by itself into
whatever another site sends or reads by script, and a page cannot change it; what is no browser sends none.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_SIGN_IN = 16 * 1024  # bytes: a name and a password of 1,000 characters, however they are written
UNSECURE = "access-token-unsecure-"
_log = logging.getLogger("stepviz.accounts")


class SameSite:
    """ASGI middleware, of all requests. Hosts are compared without ports, as cookies are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if refusal := _refusal(request):
            status, why = refusal
            _log.warning("%.200r refused (%d): %s", request.scope["path"], status, why)
            await PlainTextResponse(why, status)(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _keep_at_home(message, request)
            await send(message)

        await self.app(scope, receive, sent)


def _refusal(request: Request) -> tuple[int, str] | None:
    origin, own = request.headers.get("origin"), _host("//" + request.headers.get("host", ""))
    if origin is not None and not _host(origin) == own != "":
        return 403, "This was asked by a page of another site."
    if request.method == "POST" and request.scope["path"].rstrip("/") == "/login":
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > LONGEST_SIGN_IN:  # Gradio would read all of it
            return 413, "This is too long for a name and a password."
    return None


def _host(url: str) -> str:
    """ "" for what has none, or cannot be read; that is nobody's own."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _keep_at_home(message: Message, request: Request) -> None:
    """A cookie is not sent with what other sites ask for; a page of ours is not shown inside one of theirs.

    Behind TLS only the cookie that asks for TLS is set: the other has the same token, and would go without.
    """
    headers = MutableHeaders(scope=message)
    headers["X-Frame-Options"] = "SAMEORIGIN"
    cookies = headers.getlist("set-cookie")
    if cookies:
        del headers["set-cookie"]
        for cookie in cookies:
            if cookie.startswith(UNSECURE) and "Max-Age=0" not in cookie and _is_tls(request):
                continue
            headers.append("set-cookie", cookie.replace("SameSite=none", "SameSite=lax"))


def _is_tls(request: Request) -> bool:
    """As the proxy says, wherever it is: who lies here keeps a cookie from themselves."""
    said = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    return "https" in (request.url.scheme, said.lower())
