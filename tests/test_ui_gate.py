"""What an annotator can fetch of the running app, over real HTTP with its sign-in: nothing of the store but turns."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest

from db.store import Store, open_store
from stepviz.accounts import hashed
from stepviz.studies import StudyConfig
from stepviz.ui.build import build_app, launch_options
from stepviz.ui.render_head import PAGES
from tests import ui_cases
from tests.store_cases import new_url

SECRET = "correct horse battery"
# of the problem, of its chains, of what a model thinks of them, of a run at work
OF_THE_STORE = ("candles", "122", "264", "0.6", "tiny/sorm", ui_cases.MODEL, "a run that nobody may see")
EVERYTHING = (
    *(path for _, _, path in PAGES),
    *("/?page=runs", "/?page=annotate", "/config", "/config/", "/config?page=annotate", "/config?page=", "/runs/"),
    *("/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/runs", "/gradio_api/run-history/buckets"),
    *(
        "/gradio_api/file=/etc/hostname",
        "/gradio_api/deep_link",
        "/monitoring",
        "/gradio_api/queue/data?session_hash=x",
    ),
    *("/stepviz/download", "/stepviz/compare", "/gradio_api/token", "/annotate", "/stepviz/annotate/studies"),
    *("//config", "/annotate/../config", "/stepviz/../config", "/%63onfig", "/assets/../config"),
)


class Browser:
    """Keeps its cookies; follows no redirection, so that it is seen where one leads."""

    def __init__(self, url: str, name: str = "") -> None:
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()), Stay)
        if name:
            status, _, _ = self.get("/login", urlencode({"username": name, "password": SECRET}).encode())
            assert status == 200

    def get(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, str]:
        """Status, text, where it leads."""
        request = urllib.request.Request(self.url + path, body, {"Accept": "text/html", **headers})
        try:
            with self.opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode(errors="replace"), ""
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace"), error.headers.get("Location", "")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(new_url(tmp_path_factory.mktemp("gate"))) as opened:
        for name, role in (("root", "admin"), ("ana", "annotator"), ("eve", "annotator")):
            opened.add_user(name, role, hashed(SECRET))
        ids = ui_cases.fill(opened)
        ui_cases.add_scores(opened, ids)
        run = opened.add_run("score", {"chains": [ids["wrong"]], "model": "embedded:sorm"})
        opened.claim_run("w", id=run)
        opened.heartbeat(run, "w", {"done": 7, "total": 9, "note": "a run that nobody may see"}, lease_s=600)
        asked = StudyConfig(people=1, order="given")
        opened.add_study("first", asked.told(), "Be fair.", [(ids["wrong"], False)], "root")
        yield opened


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    app = build_app(store, device="cpu")
    app.launch(prevent_thread_lock=True, **launch_options(store, accounts=True))
    yield app.local_url.rstrip("/")
    app.close()


@pytest.fixture(scope="module")
def ana(url: str) -> Browser:
    return Browser(url, "ana")


@pytest.mark.parametrize("path", EVERYTHING)
def test_nothing_of_the_store_reaches_an_annotator(ana: Browser, path: str) -> None:
    _, text, _ = ana.get(path)
    for word in OF_THE_STORE:
        assert word not in text, f"{path} says {word!r}"


@pytest.mark.parametrize("path", [path for name, _, path in PAGES if name not in ("annotate", "explore")])
def test_an_admins_page_says_so_and_leads_to_annotate(ana: Browser, path: str) -> None:
    status, text, _ = ana.get(path)
    assert status == 403
    assert "This page is for admins" in text
    assert 'href="/annotate"' in text
    assert 'href="/runs"' not in text


def test_the_sign_in_leads_an_annotator_to_annotate(ana: Browser, url: str) -> None:
    assert ana.get("/")[::2] == (303, "/annotate")
    assert ana.get("/?chain=abc")[0] == 403, "somebody's link to Explore: said, not passed over"
    status, text, _ = ana.get("/annotate")
    assert (status, "auth_required" in text) == (200, False)
    assert '"auth_required":true' in Browser(url).get("/annotate")[1].replace(" ", "")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/gradio_api/queue/join", {"data": [], "fn_index": 0, "session_hash": "x"}),
        ("/gradio_api/run/predict", {"data": [], "fn_index": 0}),
        ("/gradio_api/call/on_act", {"data": []}),
        ("/gradio_api/upload", {}),
    ],
)
def test_no_event_of_another_page_takes_what_an_annotator_sends(ana: Browser, path: str, body: dict) -> None:
    sent = {"Content-Type": "application/json", "Accept": "application/json"}
    assert ana.get(path, json.dumps(body).encode(), **sent)[:2] == (403, "This is an admin's.")


def test_an_admin_gets_every_page_and_none_has_data_before_it_asks(url: str) -> None:
    """Gradio gives the first values of all pages to everybody; what is in them must be nobody's."""
    root = Browser(url, "root")
    for _, _, path in PAGES:
        status, text, _ = root.get(path)
        assert (status, "This page is for admins" in text) == (200, False), path
        assert not [word for word in OF_THE_STORE if word in text], path
    components = json.loads(root.get("/config")[1])["components"]
    values = json.dumps([c["props"].get("value") for c in components])
    assert len(components) > 20
    assert not [word for word in OF_THE_STORE if word in values]


def test_without_accounts_nobody_is_kept_out(store: Store) -> None:
    app = build_app(store, device="cpu")
    app.launch(prevent_thread_lock=True, **launch_options(store))
    try:
        alone = Browser(app.local_url.rstrip("/"))
        assert {alone.get(path)[0] for _, _, path in PAGES} == {200}
    finally:
        app.close()


def test_an_account_that_was_closed_is_out_though_it_signed_in(url: str, store: Store) -> None:
    eve = Browser(url, "eve")
    store.change_user("eve", disabled=True)
    assert "This account is closed" in eve.get("/runs")[1]
    assert eve.get("/config", Accept="application/json")[:2] == (403, "This account is closed.")
