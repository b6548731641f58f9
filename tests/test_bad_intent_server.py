"""What else the server answers to: Gradio's own routes, pages, downloads, files and other sites, over real HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.routes import App
from starlette.routing import Route

from stepviz.ui.build import launch_options
from stepviz.ui.page import Update, connect, widget
from stepviz.ui.sign_in import signing_in
from tests.intent_cases import SECRET, Served, ask, sign_in

PAGES = ("", "refine", "agreement", "import", "datasets", "train", "compare", "runs")
# of Gradio's own routes those that hold nothing of the store, and open connections that no answer ends
HARMLESS = {"/gradio_api/theme.css", "/gradio_api/startup-events", "/gradio_api/app_id", "/gradio_api/user"}
ENDLESS = {"/gradio_api/heartbeat/x"}


def gradios_routes() -> list[tuple[str, str]]:
    """(method, path) of everything that Gradio answers to beside its pages, whatever its version."""
    routes = App.create_app(gr.Blocks()).routes
    found = {
        (method, re.sub(r"\{[^}]*\}", "x", route.path))
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if re.match(r"/(gradio_api|config|monitoring)\b", route.path)
    }
    return sorted((method, path) for method, path in found if path not in HARMLESS | ENDLESS)


def test_gradios_routes_are_those_we_know() -> None:
    """The list is made by Gradio: an empty one would test nothing."""
    routes = gradios_routes()
    for known in (("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join"), ("GET", "/gradio_api/file=x"),
                  ("POST", "/gradio_api/call/x"), ("GET", "/config"), ("GET", "/gradio_api/info"),
                  ("GET", "/monitoring"), ("POST", "/gradio_api/cancel")):  # fmt: skip
        assert known in routes


def test_gradios_routes_are_nobodys_and_no_annotators(served: Served) -> None:
    for name, client, refused in (("", served.nobody, {401}), ("Ana", served.people["Ana"], {403})):
        with served.refuses(*(["'/gradio_api/upload' of 'Ana' refused: not an admin"] if name else [])):
            for method, path in gradios_routes():
                answer = client.request(method, path, json={} if method == "POST" else None)
                # a page that is switched off says so, to nobody and everybody
                off = path.startswith("/monitoring/") and answer.status_code in (401, 403)
                assert answer.status_code in refused or off, (name, method, path, answer.status_code, answer.text[:200])
                assert answer.text or method == "HEAD", "says why"


@pytest.mark.parametrize("page", PAGES)
def test_an_annotator_gets_no_page_of_an_admins(served: Served, page: str) -> None:
    ana, root = served.people["Ana"], served.people["root"]
    assert root.get(f"/{page}").status_code == 200
    with served.refuses():
        answer = ana.get(f"/{page}", headers={"Accept": "text/html"})
        assert answer.status_code == (403 if page else 303)
        assert answer.headers.get("location", "/annotate") == "/annotate"
        assert "gradio_config" not in answer.text
        for address in (f"/?page={page or 'x'}", f"/{page or 'runs'}/", f"/config?page={page}"):
            assert ana.get(address, follow_redirects=True).status_code == 403, address


def test_an_annotator_sends_no_event_of_any_page(served: Served) -> None:
    """Each way in which Gradio takes one; the same is an admin's to send."""
    ana, root = served.people["Ana"], served.people["root"]
    events = {event["id"]: event["targets"] for event in root.get("/config").json()["dependencies"]}
    assert len(events) >= len(PAGES), "each page has one"
    with served.refuses("'/gradio_api/run/predict' of 'Ana' refused", "'/gradio_api/queue/join' of 'Ana' refused"):
        for id_ in events:
            body = {"fn_index": id_, "data": [], "session_hash": "x", "event_data": {"act": "dismiss", "run": "1"}}
            for path in ("run/predict", "api/predict", "queue/join", "call/act"):
                answer = ana.post(f"/gradio_api/{path}", json=body)
                assert (answer.status_code, answer.text) == (403, "This is an admin's."), (id_, path)
                assert served.nobody.post(f"/gradio_api/{path}", json=body).status_code == 401, (id_, path)
    hub = {"fn_index": next(iter(events)), "data": [], "session_hash": "x", "event_data": {"act": "nothing"}}
    assert "no action" in root.post("/gradio_api/run/predict", json=hub).text


def test_events_check_for_themselves_as_well(served: Served) -> None:
    """A page of our own kind on a server without the gate: its handler is the second to ask who it is."""
    acted: list[tuple[str, str]] = []

    def act(sent: Mapping[str, Any], who: str) -> Update:
        acted.append((sent["act"], who))
        return Update()

    with gr.Blocks() as page:
        hubs = [widget(name, "", hub=True) for name in ("admins", "everybodys")]
        for hub in hubs:
            connect(served.store, hub, {hub.elem_id: hub}, act, everybody=hub.elem_id == "everybodys")
    options = {"auth": signing_in(served.store), "prevent_thread_lock": True, "quiet": True, "share": False}
    page.launch(run_history=False, **options)
    try:
        for name in ("Ana", "root"):
            with httpx.Client(base_url=page.local_url, trust_env=False, timeout=60) as client:
                body = {"data": [], "session_hash": "x"}
                assert client.post("/gradio_api/run/predict", json=body | {"fn_index": 0}).status_code == 401
                assert sign_in(client, name).status_code == 200
                for event in client.get("/config").json()["dependencies"]:
                    sent = {"fn_index": event["id"], "event_data": {"act": hubs[event["id"]].elem_id}}
                    assert client.post("/gradio_api/run/predict", json=body | sent).status_code == 200
    finally:
        page.close()
    assert acted == [("everybodys", "Ana"), ("admins", "root"), ("everybodys", "root")]


def downloads(served: Served) -> Iterator[str]:
    """Our own routes but the annotator's, whichever there are."""
    for route in launch_options(served.store)["app_kwargs"]["routes"]:
        if isinstance(route, Route) and not route.path.startswith("/stepviz/annotate/"):
            yield re.sub(r"\{[^}]*\}", "1", route.path)


def test_downloads_are_an_admins(served: Served) -> None:
    found = list(downloads(served))
    assert "/stepviz/dataset/1/1" in found
    for path in found:
        with served.refuses(f"'{path}' of 'Ana' refused: not an admin", f"'{path}' of '' refused: not an admin"):
            answers = [served.people["Ana"].get(path), served.nobody.get(path)]
            assert [a.status_code for a in answers] == [403, 401], path
            assert [a.text for a in answers] == ["This is an admin's.", "Sign in first."]
        assert served.people["root"].get(path).status_code not in (401, 403), path


def test_the_annotators_routes_are_nobodys(served: Served) -> None:
    for route in launch_options(served.store)["app_kwargs"]["routes"]:
        if isinstance(route, Route) and route.path.startswith("/stepviz/annotate/"):
            for method in (route.methods or set()) - {"HEAD"}:
                with served.refuses(f"{route.path} of '' refused (401): Sign in first."):
                    answer = served.nobody.request(method, route.path, json={} if method == "POST" else None)
                    assert (answer.status_code, answer.json()) == (401, {"error": "Sign in first."})


# Files


def test_an_annotator_uploads_nothing(served: Served) -> None:
    """Nor does nobody; what an admin uploads does come, so that its absence says something."""
    for name, client in (("Ana", served.people["Ana"]), ("", served.nobody)):
        with served.refuses("'/gradio_api/upload' of 'Ana' refused" if name else ""):
            answer = client.post("/gradio_api/upload", files={"files": ("stepviz.db", b"x" * 1_000_000)})
            assert answer.status_code == (403 if name else 401)
    before = served.dump()["files"]
    (came,) = served.people["root"].post("/gradio_api/upload", files={"files": ("../../a.jsonl", b"{}")}).json()
    assert [f for f in served.dump()["files"] if f not in before][-1:] == [came]
    assert came.startswith(str(served.folder / "gradio")), "whatever its name says"


WAYS = (
    "/gradio_api/file={db}", "/gradio_api/file=stepviz.db", "/gradio_api/file=./stepviz.db", "/gradio_api/file/{db}",
    "/gradio_api/file=gradio/../stepviz.db", "/gradio_api/file={folder}/gradio/../stepviz.db",
    "/gradio_api/file=app.log", "/gradio_api/file=/etc/passwd", "/gradio_api/file=file://{db}", "/gradio_api/file=http://127.0.0.1:1/stepviz.db",
    "/gradio_api/proxy=http://127.0.0.1:1/", "/file={db}", "/static/{up}{db}", "/assets/{up}{db}", "/svelte/{up}{db}",
    "/stepviz/{up}{db}", "/stepviz/css/{up}{db}", "/static/{db}", "/stepviz/{db}", "/stepviz/%2e%2e/build.py",
    "/stepviz/..%2f..%2f..%2fapp.py", "/stepviz/..%5c..%5capp.py", "/stepviz/../../app.py",
    "/stepviz/dataset/..%2f1/jsonl",
    "/gradio_api/custom_component/html/client/..%2f..%2f/app.py", "/gradio_api/stream/x/1/1/..%2f..%2fstepviz.db",
    "/?deep_link=../../../stepviz.db", "/gradio_api/file=%2e%2e/stepviz.db%00.png",
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_store_is_no_file_of_the_servers(served: Served, way: str) -> None:
    """An admin's session asks, so that Gradio's own checks are met, too: nobody gets a file of this machine."""
    path = way.format(db=served.folder / "stepviz.db", folder=served.folder, up="../" * 12)
    with served.refuses():
        status, body = served.raw(path)
    for secret in (b"SQLite format 3", b"argon2", b"root:x:0", b"stepviz: ready", b"import annotations"):
        assert secret not in body
    assert status in (400, 403, 404) or (status == 200 and b"gradio_config" in body), (status, body[:200])


def test_the_static_files_are_there(served: Served) -> None:
    """And the way by which the others were asked for works."""
    status, body = served.raw("/stepviz/js/core.js")
    assert (status, b"stepviz" in body) == (200, True)


# Other sites


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://", "x y"])
def test_a_page_of_another_site_asks_in_vain(served: Served, origin: str) -> None:
    """In a signed-in person's browser, with their cookie; a preflight that Gradio allows changes nothing."""
    slot, headers = served.slot("Ana"), {"Origin": origin}
    with served.refuses("'/stepviz/annotate/label' refused (403)", "'/gradio_api/upload' refused (403)"):
        ana, root = served.people["Ana"], served.people["root"]
        label = {"slot": slot, "question": "correct", "step": 1, "value": -1}
        answers = [
            ana.post("/stepviz/annotate/label", json=label, headers=headers),
            ana.get("/stepviz/annotate/studies", headers=headers),
            root.get("/config", headers=headers),
            root.post("/gradio_api/upload", files={"files": ("a", b"x")}, headers=headers),
            root.post("/gradio_api/run/predict", json={"fn_index": 0, "data": []}, headers=headers),
            served.nobody.post("/login", data={"username": "Ana", "password": SECRET}, headers=headers),
        ]
        for answer in answers:
            assert (answer.status_code, answer.text) == (403, "This was asked by a page of another site.")
    assert ask(served.people["Ana"], "label", **label).status_code == 200
    own = {"Origin": served.running.url}
    assert served.people["Ana"].get("/stepviz/annotate/studies", headers=own).status_code == 200


def test_a_body_that_a_form_of_another_site_could_send(served: Served) -> None:
    slot = served.slot("Ana")
    body = f'{{"slot": {slot}, "question": "correct", "step": 1, "value": -1}}'
    kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "")
    with served.refuses("/stepviz/annotate/label of 'Ana' refused (409): The body has to be JSON."):
        for kind in kinds:
            headers = {"Content-Type": kind} if kind else {}
            answer = served.people["Ana"].post("/stepviz/annotate/label", content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (409, {"error": "The body has to be JSON."})
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            assert served.people["Ana"].request(method, "/stepviz/annotate/label").status_code in (404, 405)


def test_the_sessions_cookie_stays_at_home(served: Served) -> None:
    """No script reads it, no other site's request carries it, and under TLS there is one that goes over TLS alone."""
    cookies = sign_in(served.client(), "Ana").headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in cookie and "SameSite=lax" in cookie for cookie in cookies)
    assert sum("Secure" in cookie for cookie in cookies) == 1
    (alone,) = sign_in(served.client(**{"X-Forwarded-Proto": "https"}), "Ana").headers.get_list("set-cookie")
    assert "Secure" in alone, "what goes without TLS would hold the same session"


def test_no_other_site_shows_a_page_of_ours_inside_its_own(served: Served) -> None:
    for path in ("/annotate", "/", "/stepviz/js/core.js"):
        assert served.people["root"].get(path).headers["x-frame-options"] == "SAMEORIGIN"


def test_what_is_asked_for_is_one_line_of_the_log(served: Served) -> None:
    with served.refuses(r"'/stepviz/dataset/1\x1b[2J/jsonl' of 'Ana' refused", r"'/gradio_api/x\n2026 root' of 'Ana'"):
        for path in ("/stepviz/dataset/1%1b[2J/jsonl", "/gradio_api/x%0a2026 root"):
            assert served.people["Ana"].get(path).status_code == 403
    slot = served.slot("Ana")
    with served.refuses("there is no step 1?2026 root here"):
        ask(served.people["Ana"], "label", slot=slot, question="correct", step="1\n2026 root", value=1)


def test_the_log_holds_no_password(served: Served) -> None:
    said = served.running.said()
    assert SECRET not in said
    assert "argon2" not in said
