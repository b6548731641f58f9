"""Who is no admin reaches the page Annotate, its routes and the sign-in, and nothing else of the server.

Gradio checks that somebody signed in, not who: its /config has the first values of all pages' components, its queue
takes every event, and /?page=runs is a page, too. So what annotators may ask is listed here, and all else is refused
before Gradio sees it; the handlers and routes check for themselves as well (page.connect, signed_in.admins_only).
"""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from db.store import Store
from stepviz.ui.page import stylesheets
from stepviz.ui.render import esc
from stepviz.ui.render_head import annotate
from stepviz.ui.signed_in import Person, named, session_name

# nothing of the store is behind these; what Gradio's page asks at its start is among them
OPEN = frozenset(
    {
        *("/annotate", "/annotate/", "/login", "/login/", "/logout"),
        *("/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon"),
        *("/gradio_api/theme.css", "/gradio_api/startup-events", "/gradio_api/app_id", "/gradio_api/user"),
    }
)
OPEN_BELOW = ("/stepviz/", "/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/")
_log = logging.getLogger("stepviz.accounts")


class Gate:
    """ASGI middleware; it lets everything through where there are no accounts, or nobody has signed in."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app, self.store = app, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        path = request.scope["path"]
        if request.app.auth is None or path in OPEN or path.startswith(OPEN_BELOW):
            return None
        name = session_name(request)
        if name is None:  # Gradio shows the sign-in, or refuses; but not everywhere: /gradio_api/cancel is anybody's
            return PlainTextResponse("Sign in first.", 401) if path.startswith("/gradio_api/") else None
        who = await run_in_threadpool(named, self.store, name)
        if who is not None and who.role == "admin":
            return None
        if who is not None and path == "/" and not request.url.query:
            return RedirectResponse("/annotate", 303)  # where the sign-in leads
        _log.warning("%r of %r refused: not an admin", path[:200], name[:64])
        return _page(request, who)


def _page(request: Request, who: Person | None) -> Response:
    """For a reader a page with the way to their own; for a script a line."""
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse("This is an admin's." if who else "This account is closed.", 403)
    if who is None:
        body = (
            '<b>This account is closed</b><p>An admin can open it again.</p><a class="btn" href="/logout">Sign out</a>'
        )
    else:
        body = (
            "<b>This page is for admins</b><p>Your items are on the page Annotate. You are signed in as "
            f'{esc(who.name)}.</p><a class="btn pri" href="/annotate">To your items</a>'
        )
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>stepviz</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{stylesheets()}'
        '</head><body class="gradio-container bare">'
        f'<div id="top" class="sv"><div class="html-container"><div>{annotate(who)}</div></div></div>'
        f'<main class="sv"><div class="empty">{body}</div></main>'
        '<script src="/stepviz/js/core.js"></script></body></html>',
        403,
    )
