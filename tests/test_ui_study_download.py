"""GET /stepviz/study/ID.FORMAT: whole files with plain names, for an admin only, over real HTTP with a sign-in, too."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from db.store import Store, open_store
from stepviz.accounts import SignIn, hashed
from stepviz.types import SourceItem
from stepviz.ui.study_download import study_route
from tests.page_cases import alone
from tests.store_cases import RIGHT, chain, new_url, problem
from tests.study_cases import labelled, made
from tests.test_ui_annotate_routes import SECRET, Client

NAME = 'a/b ../<c>"\r\nX: 1'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        of = problem()
        one = chain(of)
        opened.add_items([SourceItem(of, (one,))], {one.id: RIGHT})
        labelled(opened, made(opened, [one.id], name=NAME), "ana", {1: 1, 2: 1, 3: 1})
        yield opened


@pytest.mark.parametrize(
    ("ending", "holds"),
    [
        ("prm800k.jsonl", b'"labeler": "ana"'),
        ("processbench.jsonl", b'"label": -1'),
        ("jsonl", b'"person": "ana"'),
        ("parquet", b"PAR1"),
    ],
)
def test_files_are_whole_and_leave_nothing_behind(
    store: Store, ending: str, holds: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    sent = alone(study_route(store)).get(f"/stepviz/study/1.{ending}")
    assert sent.status_code == 200
    assert sent.headers["content-disposition"] == f'attachment; filename="a-b-..-c-X-1.{ending}"'
    assert (sent.headers["cache-control"], sent.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert holds in sent.content
    assert list((tmp_path / "t").iterdir()) == []


def test_without_names(store: Store):
    sent = alone(study_route(store)).get("/stepviz/study/1.jsonl?anonymous=1")
    assert json.loads(sent.text)["person"] == "person-1"


@pytest.mark.parametrize(
    "path", ["1.csv", "1", "9.jsonl", "x.jsonl", "-1.jsonl", "%C2%B2.jsonl", "99999999999999.jsonl", "1.jsonl.x", "1."]
)
def test_what_is_not_there(store: Store, path: str):
    client = alone(study_route(store))
    assert client.get(f"/stepviz/study/{path}").status_code == 404
    assert client.post("/stepviz/study/1.jsonl").status_code == 405


def test_a_study_without_labels_says_so_and_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    made(store, [row.chain.id for row in store.chains_of()], name="empty")
    sent = alone(study_route(store)).get("/stepviz/study/2.jsonl")
    assert (sent.status_code, sent.text) == (404, "empty gives no row: nobody has labelled an item of it yet")
    assert list((tmp_path / "t").iterdir()) == []


def test_an_admins_and_nobody_elses(store: Store):
    for name, role in (("root", "admin"), ("Ana", "annotator")):
        store.add_user(name, role, hashed(SECRET))
    with gr.Blocks() as page:
        gr.Markdown("stepviz")
    page.launch(
        auth=SignIn(store).check,
        app_kwargs={"routes": [study_route(store)]},
        prevent_thread_lock=True,
        quiet=True,
        run_history=False,
        share=False,
    )
    try:
        nobody, ana, root = (Client(page.local_url.rstrip("/")) for _ in range(3))
        assert (ana.sign_in("Ana"), root.sign_in("root")) == (200, 200)
        assert (refused(nobody), refused(ana)) == (401, 403)
        with root.opener.open(f"{root.url}/stepviz/study/1.jsonl", timeout=30) as answer:
            assert json.loads(answer.read())["person"] == "ana"
    finally:
        page.close()


def refused(client: Client) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        client.opener.open(f"{client.url}/stepviz/study/1.jsonl", timeout=30)
    assert b"ana" not in error.value.read()
    return error.value.code
