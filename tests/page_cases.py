"""A page without a browser: an action sent to it, and what its answer says."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from html import unescape

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
