"""Who asks: the account that signed in through Gradio, or the one local user where there are no accounts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from db.store import Store
from db.study_values import Role
from stepviz.accounts import LOCAL, as_known

_log = logging.getLogger("stepviz.accounts")


@dataclass(frozen=True, slots=True)
class Person:
    """account: whether there is one, so that somebody signed in and can sign out."""

    name: str
    role: Role
    account: bool = True


def person(request: Request, store: Store) -> Person | None:
    """By the session's cookie; None for nobody, and for an account that was disabled since."""
    app = request.app
    if app.auth is None:
        return Person(LOCAL, "admin", account=False)
    name = session_name(request)
    return named(store, name) if name else None


def session_name(request: Request) -> str | None:
    """Whoever Gradio lets in by the session's cookie, as the name was typed; the account may be disabled since."""
    app = request.app
    cookies = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    tokens = (request.cookies.get(cookie) for cookie in cookies)
    return next((app.tokens[token] for token in tokens if token in app.tokens), None)


def named(store: Store, name: str) -> Person | None:
    """Whoever signed in by this name, as it was typed."""
    user = store.user(as_known(name))
    return None if user is None or user.disabled else Person(user.name, user.role)


def admins_only(store: Store, endpoint: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """A route that an admin may ask, or the one user of an app without accounts."""

    def guarded(request: Request) -> Response:
        who = person(request, store)
        if who is not None and who.role == "admin":
            return endpoint(request)
        _log.warning("%r of %r refused: not an admin", request.url.path[:200], who.name[:64] if who else "")
        return PlainTextResponse("This is an admin's." if who else "Sign in first.", status_code=403 if who else 401)

    return guarded
