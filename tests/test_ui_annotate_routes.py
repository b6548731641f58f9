"""The annotator's routes over real HTTP, on Gradio's own server with its sign-in: what is given, what is refused."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
import pytest

from db.store import Store, open_store
from db.values import ModelRow
from stepviz.accounts import SignIn, hashed
from stepviz.studies import StudyConfig
from stepviz.types import SourceItem
from stepviz.ui.annotate_routes import annotate_routes
from tests.store_cases import chain, new_url, problem

SECRET = "correct horse battery"


@dataclass
class Client:
    """A browser of one person: it keeps its cookies."""

    url: str

    def __post_init__(self) -> None:
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def sign_in(self, name: str, password: str = SECRET) -> int:
        return self.send("/login", urlencode({"username": name, "password": password}).encode(), {})[0]

    def post(self, name: str, **sent: Any) -> tuple[int, dict[str, Any]]:
        body = json.dumps(sent).encode()
        return self.send(f"/stepviz/annotate/{name}", body, {"Content-Type": "application/json"})

    def studies(self) -> tuple[int, dict[str, Any]]:
        return self.send("/stepviz/annotate/studies", None, {})

    def send(self, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with self.opener.open(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(new_url(tmp_path_factory.mktemp("annotate"))) as opened:
        password = hashed(SECRET)
        for name, role in (("root", "admin"), ("Ana", "annotator"), ("bob", "annotator")):
            opened.add_user(name, role, password)
        yield opened


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    with gr.Blocks() as app:
        gr.Markdown("stepviz")
    kwargs = {"routes": annotate_routes(store)}
    app.launch(
        auth=SignIn(store).check,
        app_kwargs=kwargs,
        prevent_thread_lock=True,
        quiet=True,
        run_history=False,
        share=False,
    )
    yield app.local_url.rstrip("/")
    app.close()


@pytest.fixture
def ana(url: str) -> Client:
    return signed_in(url, "Ana")


@pytest.fixture
def bob(url: str) -> Client:
    return signed_in(url, "bob")


def signed_in(url: str, name: str) -> Client:
    client = Client(url)
    assert client.sign_in(name) == 200
    return client


@pytest.fixture
def study(store: Store, request: pytest.FixtureRequest) -> int:
    """Of two chains; everybody is in the arm that the test names, else blind."""
    arm = getattr(request, "param", "blind")
    of = problem(f"How many, {len(store.studies())}?", key=request.node.name)
    chains = [chain(of, key, text=f"2+3=5\n{{{{ {key} }}}} <script>alert(1)</script>\nA: 5") for key in "xy"]
    store.add_items([SourceItem(of, tuple(chains))])
    store.add_model(ModelRow("tiny/sorm@1", "sorm", "hf:tiny/sorm"))
    for one in chains:
        store.add_scores(one.id, "tiny/sorm@1", (0.91, 0.37, 0.6))
    config = StudyConfig(("correct", "solvable"), 1, "given", {arm: 1}, scorer="tiny/sorm@1")
    return store.add_study(request.node.name, config.told(), "Be fair.", [(c.id, False) for c in chains], "root")


def test_nobody_who_has_not_signed_in_gets_anything(url: str, study: int) -> None:
    client = Client(url)
    for status, said in (client.studies(), client.post("next", study=study), client.post("label", slot=1)):
        assert (status, said) == (401, {"error": "Sign in first."})
    assert client.sign_in("Ana", "wrong horse battery") == 400
    assert client.post("next", study=study)[0] == 401


def test_an_item_is_labelled_and_submitted(ana: Client, store: Store, study: int) -> None:
    status, turn = ana.post("next", study=study)
    assert status == 200
    assert turn["steps"][0] == {"text": "2+3=5", "kind": "step"}
    assert (turn["questions"], turn["guideline"], turn["done"]) == (
        ["correct", "solvable"], {"text": "Be fair.", "version": 1, "newest": 1}, 0,
    )  # fmt: skip
    slot = turn["slot"]
    assert ana.post("label", slot=slot, question="correct", step=1, value=0)[1]["labels"] == {"correct": {"1": 0}}
    first = ana.post("label", slot=slot, question="correct", step=3, first_error=True, note="<b>")[1]
    assert first == {"saved": 2, "labels": {"correct": {"1": 0, "2": 1, "3": -1}}}
    assert ana.post("next", study=study)[1]["notes"] == {"correct": {"3": "<b>"}}
    ana.post("label", slot=slot, question="correct", step=2, value=-1)
    moved = ana.post("label", slot=slot, question="correct", step=3, first_error=True)[1]["labels"]
    assert moved == {"correct": {"1": 0, "2": 1, "3": -1}}, "what was called wrong before the first error is not"
    assert [ana.post("undo", slot=slot)[1]["undone"] for _ in range(2)] == [2, 1]
    assert ana.post("undo", slot=slot)[1] == {"undone": 2, "labels": {"correct": {"1": 0}}, "notes": {}}
    assert ana.post("label", slot=slot, question="solvable", step=2, value=None)[0] == 200
    assert ana.post("next", study=study)[1]["labels"] == {"correct": {"1": 0}, "solvable": {"2": None}}, "a reload"
    assert ana.post("keep", slot=slot)[1] == {"lease_s": 1800.0}
    done = ana.post("submit", slot=slot, finish="found_error", seconds=12.5, flags=["bad_problem"], note="hm")
    assert done == (200, {"submitted": slot})
    again = ana.post("submit", slot=slot, finish="found_error", seconds=12.5, flags=["bad_problem"], note="hm")
    assert again == done, "sent twice, for want of an answer"
    assert ana.post("next", study=study)[1]["slot"] != slot
    assert [x.annotation.annotator for x in store.annotations(store.slot(slot).chain_id)] == ["Ana"] * 2


@pytest.mark.parametrize(
    ("study", "shown"),
    [("blind", {}), ("scores", {"scores": [0.91, 0.37, 0.6]}), ("pit", {"pit": 2})],
    indirect=["study"],
)
def test_what_each_arm_gets(ana: Client, study: int, shown: dict[str, Any]) -> None:
    turn = ana.post("next", study=study)[1]
    assert {name: turn[name] for name in ("scores", "pit") if name in turn} == shown
    said = json.dumps(turn)
    for opinion in ("0.91", "0.37", "tiny", "sorm", "blind", "gold", "arm"):
        assert (opinion in said) == (opinion in json.dumps(shown)), opinion


def test_a_name_in_the_request_is_nobodys(ana: Client, bob: Client, store: Store, study: int) -> None:
    slot = ana.post("next", study=study)[1]["slot"]
    for name in ("label", "undo", "submit", "release"):
        sent = {"slot": slot, "annotator": "Ana", "user": "Ana", "question": "correct", "step": 1, "value": 1}
        assert bob.post(name, **sent, finish="solution", seconds=1) == (409, {"error": "This is not your item."})
    assert store.labels_of_slot(slot) == []
    assert store.slot(slot).state == "open"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"question": "correct", "step": 9, "value": 1}, "there is no step 9 here: 1 to 3"),
        ({"question": "correct", "step": "1", "value": 1}, "there is no step 1 here"),
        ({"question": "correct", "step": True, "value": 1}, "there is no step True"),
        ({"question": "correct", "step": 1, "value": 5}, "a rating is 1, 0, -1"),
        ({"question": "decides", "step": 1}, "this study does not ask 'decides'"),
        ({"question": "verdict", "step": 1, "value": 1}, "does not ask 'verdict'"),
        ({"question": "solvable", "step": 1, "value": 0}, "a rating is 1, -1, or none for unsure, not 0"),
        ({"question": "correct", "step": 1, "value": [1]}, "a rating is 1, 0, -1"),
        ({"question": "correct", "step": 1, "value": 1, "key": "x" * 65}, "at most 64 characters"),
        ({"question": "correct", "step": 1, "value": 1, "key": 7}, "at most 64 characters"),
        ({"question": "correct", "step": 1, "value": 1, "note": "x" * 10_001}, "at most 10,000 characters"),
    ],
)
def test_a_label_that_cannot_be_changes_nothing(
    ana: Client, store: Store, study: int, sent: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    slot = ana.post("next", study=study)[1]["slot"]
    with caplog.at_level(logging.WARNING, "stepviz.annotate"):
        status, answer = ana.post("label", slot=slot, **sent)
    assert status == 409
    assert said in answer["error"]
    assert "of 'Ana' refused (409)" in caplog.text
    assert store.labels_of_slot(slot) == []


def test_ten_megabytes_are_no_note(ana: Client, store: Store, study: int) -> None:
    slot = ana.post("next", study=study)[1]["slot"]
    status, answer = ana.post("submit", slot=slot, finish="solution", seconds=1, note="x" * 10_000_000)
    assert (status, "nothing was saved" in answer["error"]) == (413, True)
    assert store.slot(slot).state == "open"


def test_a_body_that_another_site_could_send_is_refused(ana: Client, study: int) -> None:
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        body = json.dumps({"study": study}).encode()
        assert ana.send("/stepviz/annotate/next", body, headers) == (409, {"error": "The body has to be JSON."})
    for body in (b"{", b"[]", b"\xff", b"[" * 60_000):
        assert ana.send("/stepviz/annotate/next", body, {"Content-Type": "application/json"})[0] == 409


def test_an_item_that_is_over_is_said_so(ana: Client, bob: Client, store: Store, study: int) -> None:
    slot = ana.post("next", study=study)[1]["slot"]
    assert ana.post("release", slot=slot)[0] == 200
    status, said = ana.post("label", slot=slot, question="correct", step=1, value=1)
    assert (status, "time ran out" in said["error"]) == (410, True)
    assert ana.post("next", study=study, again=slot)[1]["slot"] == slot, "nobody has taken it since"
    assert ana.post("release", slot=slot)[0] == 200
    for who in (bob, ana):
        turn = who.post("next", study=study)[1]
        assert who.post("submit", slot=turn["slot"], finish="solution", seconds=1)[0] == 200
    assert ana.post("next", study=study)[1] == {"done": 1, "over": True}
    store.open_study(study, False)
    closed = (409, {"error": "This study is closed. What was saved before is kept."})
    assert ana.post("next", study=study) == closed
    assert ana.post("next", study=99_999) == (409, {"error": "There is no study of this number."})
    assert study not in [s["id"] for s in ana.studies()[1]["studies"]]


def test_an_account_that_is_disabled_is_out_at_once(url: str, store: Store, study: int) -> None:
    store.add_user("eve", "annotator", hashed(SECRET))
    eve = signed_in(url, "EVE")
    assert eve.studies()[1]["you"] == "eve"
    store.change_user("eve", disabled=True)
    assert eve.post("next", study=study)[0] == 401


def test_an_admin_sees_how_far_it_is(url: str, ana: Client, study: int) -> None:
    (mine,) = [s for s in ana.studies()[1]["studies"] if s["id"] == study]
    assert mine == {"id": study, "name": mine["name"], "questions": ["correct", "solvable"], "done": 0, "total": 2}
    (all_,) = [s for s in signed_in(url, "root").studies()[1]["studies"] if s["id"] == study]
    assert (all_["items"], all_["submitted"], all_["open"]) == (2, 0, True)


def test_endings_have_prm800ks_words(ana: Client, store: Store, study: int) -> None:
    slot = ana.post("next", study=study)[1]["slot"]
    for sent, said in (
        ({"finish": "done", "seconds": 1}, "an item ends as solution, found_error, give_up, bad_problem"),
        ({"finish": "solution", "seconds": -1}, "from 0 to a day"),
        ({"finish": "solution", "seconds": True}, "from 0 to a day"),
        ({"finish": "solution", "seconds": 1, "flags": ["nice"]}, "flags are"),
    ):
        assert said in ana.post("submit", slot=slot, **sent)[1]["error"]
    assert store.slot(slot).state == "open"


def test_without_accounts_there_is_one_local_user(tmp_path: Path) -> None:
    with open_store(new_url(tmp_path)) as alone, gr.Blocks() as app:
        gr.Markdown("stepviz")
        kwargs = {"routes": annotate_routes(alone)}
        app.launch(app_kwargs=kwargs, prevent_thread_lock=True, quiet=True, run_history=False, share=False)
        try:
            status, said = Client(app.local_url.rstrip("/")).studies()
            assert (status, said["you"], said["role"], said["studies"]) == (200, "local", "admin", [])
            assert 'href="/runs"' in said["head"]
            assert "Sign out" not in said["head"]
        finally:
            app.close()


def test_a_stroke_that_is_sent_twice_counts_once(ana: Client, store: Store, study: int) -> None:
    slot = ana.post("next", study=study)[1]["slot"]
    for _ in range(2):
        sent = ana.post("label", slot=slot, question="correct", step=2, first_error=True, key="abc")
        assert sent[1]["labels"] == {"correct": {"1": 1, "2": -1}}
    assert len(store.annotations(store.slot(slot).chain_id, history=True)) == 2
    ana.post("label", slot=slot, question="correct", step=3, value=0, key="abd")
    for _ in range(2):
        assert ana.post("undo", slot=slot, key="abe")[1]["labels"] == {"correct": {"1": 1, "2": -1}}


def test_texts_come_as_html_that_runs_nothing(ana: Client, study: int) -> None:
    html = ana.post("next", study=study)[1]["html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html


def test_a_page_of_somebody_who_is_signed_in_no_more_says_nothing_for_who_is(
    ana: Client, bob: Client, study: int
) -> None:
    slot = bob.post("next", study=study, **{"as": "bob"})[1]["slot"]
    refused = (401, {"error": "Somebody else signed in here meanwhile."})
    assert bob.post("label", slot=slot, question="correct", step=1, value=1, **{"as": "Ana"}) == refused
    assert ana.post("next", study=study, **{"as": ["Ana"]}) == refused
    assert bob.post("next", study=study)[1]["labels"] == {}
