"""A page without a browser: an action sent to it, and what its answer says."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from html import unescape

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from db.store import Store
from stepviz.ui.page import Update, guarded
from stepviz.ui.workbench import Workbench


def sender(page: type) -> Callable[..., Update]:
    """send(store, act, at="", **sent) for the class of a page."""
    return partial(_send, page)


def _send(page: type, store: Store, act: str, at: str = "", **sent: object) -> Update:
    return guarded(page(Workbench(store)).act, {"act": act, "at": at, **sent}, "ana")


def said(update: Update) -> str:
    """The mistake that the answer names."""
    found = re.search(r'data-kind="error"[^>]*data-text="([^"]*)"', update.reply)
    return unescape(found[1]) if found else ""


def value(html: str, name: str) -> str:
    """What stands in a field."""
    return re.search(rf'name="{name}"[^>]*value="([^"]*)"', html)[1]


def options(html: str, name: str) -> list[str]:
    """What a dropdown offers."""
    select = re.search(rf'<select class="field" name="{name}">(.*?)</select>', html)
    return re.findall(r'<option value="([^"]*)"', select[1])


def fields_of(html: str) -> dict[str, str]:
    """What a browser would send of a form: boxes that are ticked, options that are chosen."""
    sent = {}
    for tag in re.findall(r"<input [^>]*>", html):
        named, given = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if named and (" checked" in tag or not re.search(r'type="(?:radio|checkbox)"', tag)):
            sent[named[1]] = unescape(given[1]) if given else ""
    for name, inside in re.findall(r'<select class="field" name="(\w+)"[^>]*>(.*?)</select>', html):
        listed = re.findall(r'<option value="([^"]*)"( selected)?', inside)
        sent[name] = unescape(next((v for v, on in listed if on), listed[0][0]))
    return sent


def alone(*routes: Route) -> TestClient:
    """Routes of an app without accounts, as Gradio's own says it: whoever asks is the one local user."""
    app = Starlette(routes=routes)
    app.auth = None  # type: ignore[attr-defined]
    return TestClient(app)
