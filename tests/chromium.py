"""A real Chromium and the app: a test fails whose page lets a request off the machine or runs foreign text."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from db.store import Store
from stepviz.types import Sampling

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 150_000  # ms: a machine at work on something else is slow, and a test that waits too little fails there
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and os.environ.get("CI") != "true", reason="there is no `chromium` on the path"
    ),
]


@dataclass
class Running:
    """The app at work; ids: what a test knows of its store, by its own names."""

    url: str
    store: Store
    ids: dict[str, str]


@contextmanager
def serve(
    store: Store,
    engine: str = "embedded",
    sampling: Sampling | None = None,
    ids: Mapping[str, str] | None = None,
    accounts: bool = False,
) -> Iterator[Running]:
    """The app on a free port, with its own worker; accounts: those of the store sign in."""
    from stepviz.ui.build import build_app, launch_options

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = build_app(store, engine, "cpu", *([sampling] if sampling else []))
    options = launch_options(store, accounts=accounts)
    app.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **options)
    try:
        yield Running(f"http://127.0.0.1:{port}", store, dict(ids or {}))
    finally:
        app.close()


@dataclass
class Seen:
    """What a page did that it must not do."""

    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test where a request left the machine, a script threw, or hostile text ran."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened, seen = context.new_page(), Seen()
    opened.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    opened.on("pageerror", lambda error: seen.errors.append(str(error)))
    opened.on("dialog", lambda dialog: (seen.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    opened.on(
        "request", lambda r: urlsplit(r.url).scheme in ("http", "https", "ws", "wss") and seen.outside.append(r.url)
    )
    yield opened
    title = opened.title()
    context.close()
    assert [u for u in seen.outside if urlsplit(u).hostname != "127.0.0.1"] == []
    assert seen.errors == []
    assert "pwned" not in title


class Held:
    """The page's requests of one action, kept back until a test lets them through."""

    def __init__(self, page: Page, act: str) -> None:
        self.page, self.act, self.routes = page, act, list[Route]()
        page.route("**/gradio_api/**", self._keep)

    def _keep(self, route: Route) -> None:
        if f'"act":"{self.act}"' in (route.request.post_data or "").replace(" ", ""):
            self.routes.append(route)
        else:
            route.continue_()

    def wait(self, n: int) -> None:
        for _ in range(PATIENCE // 100):
            if len(self.routes) >= n:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{len(self.routes)} requests of {self.act}, not {n}")

    def answer(self, i: int) -> None:
        with self.page.expect_response(lambda response: response.request == self.routes[i].request):
            self.routes[i].continue_()
