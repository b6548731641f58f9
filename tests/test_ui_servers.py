"""A served model as the pages take it: asked before the worker is, with its tokenizer; mistakes are said at once."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from db.values import ModelRow
from stepviz import model_choices
from stepviz.types import Chain, PromptStyle, Sampling, SourceItem, Verdict
from stepviz.ui import servers
from stepviz.ui.address import Address, parse
from stepviz.ui.compare_page import Compare
from stepviz.ui.engine_choice import settled, tokenizer_of
from stepviz.ui.explore import Explore
from stepviz.ui.page import Update, guarded
from stepviz.ui.refine_page import Refine
from stepviz.ui.workbench import Workbench
from tests import ui_cases
from tests.openai_cases import MODEL, FakeServer, serving
from tests.page_cases import fields_of, said
from tests.ui_cases import Filled

pytestmark = pytest.mark.usefixtures("no_worker")
CHAT = Sampling(style=PromptStyle("chat", chat=True))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def silent() -> Iterator[str]:
    """The spec of a server that lets one connect and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"openai:http://127.0.0.1:{listening.getsockname()[1]}/v1#m"


def act(filled: Filled, name: str, at: Address, page: type = Explore, **sent: str) -> Update:
    return guarded(page(filled.bench).act, {"act": name, "at": at.query(), **sent}, "ana")


def at(filled: Filled, **more: str) -> Address:
    return Address(problem=filled.ids["problem"], chain=filled.ids["wrong"], **more)


def go(update: Update) -> Address:
    return parse(unescape(re.search('data-go="([^"]*)"', update.reply)[1]))


def test_a_server_that_does_not_answer_is_said_in_seconds_and_no_run_begins(
    filled: Filled, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client would wait for twenty, twice; the worker would do nothing else meanwhile."""
    monkeypatch.setattr(servers, "WAIT_S", 0.5)
    for name, sent in (("sample", {"n": "4"}), ("measure", {}), ("sample", {"only": "yes"})):
        began = time.monotonic()
        update = act(filled, name, at(filled), other=silent, **sent)
        assert time.monotonic() - began < 15  # a machine at work on something else is slow
        assert "has not answered in 0.5 s: is the server running" in said(update)
    for name in ("sample", "more", "branch"):  # the address has it already
        assert "has not answered" in said(act(filled, name, at(filled, engine=silent, by=silent), step="1"))
    compared = guarded(Compare(filled.bench).act, {"act": "start", "at": f"?after=embedded&before={silent}"}, "ana")
    assert "has not answered" in said(compared)
    assert filled.bench.store.runs() == []


def test_nobody_there_and_a_model_that_is_not_served_are_told_apart(filled: Filled, server: FakeServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nobody = act(filled, "sample", at(filled), other=f"openai:http://127.0.0.1:{port}/v1#m")
    assert "cannot be reached" in said(nobody)
    other = act(filled, "measure", at(filled), other=f"openai:{server.url}#mistyped")
    assert f"does not serve 'mistyped'; it serves: {MODEL}" in said(other)
    assert filled.bench.store.runs() == []


def test_a_scorer_and_a_refiner_behind_a_server_are_asked_for_too(
    filled: Filled, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "WAIT_S", 0.3)
    prm = silent.replace("#m", "#math-shepherd:m")
    assert "has not answered" in said(act(filled, "score", at(filled), other=prm))
    bar = {"refiner": silent, "orm": "none", "sorm": "none", "how": "global", "gate": "always"}
    refined = guarded(Refine(filled.bench).act, {"act": "refine", "at": f"?chain={filled.ids['wrong']}", **bar}, "ana")
    assert "has not answered" in said(refined)
    assert filled.bench.store.runs() == []


def test_a_missing_vllm_is_said_at_the_form(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {"other": "vllm:Qwen/Qwen2.5-Math-7B-Instruct"}
    monkeypatch.setattr(servers, "find_spec", lambda name: None)
    assert "vLLM is not installed here" in said(act(filled, "sample", at(filled), **sent))
    assert filled.bench.store.runs() == []
    monkeypatch.setattr(servers, "find_spec", lambda name: name)
    act(filled, "sample", at(filled), **sent)
    assert filled.bench.store.runs()[0].spec["engine"] == sent["other"]


def test_others_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "card_of", lambda _: pytest.fail("asked"))
    servers.reached(["embedded", "hf:Qwen/Qwen2.5-Math-7B", "qwen-prm:Qwen/PRM", "none", ""], CHAT.style)


# ---- its tokenizer


def test_the_form_says_how_engines_are_named_and_asks_for_a_tokenizer_of_servers_only(
    filled: Filled, server: FakeServer
) -> None:
    for name in ("sampler", "measurer"):
        body = act(filled, name, at(filled)).reply
        for form in ("hf:Qwen/Qwen2.5-Math-1.5B", "vllm:Qwen/", "openai:http://127.0.0.1:8000/v1#MODEL"):
            assert f"<code>{form}" in body
        assert '<label class="tokenizer" hidden>' in body
        asked = act(filled, name, at(filled, engine=server.spec, by=server.spec, tokenizer="a/b", by_tokenizer="c/d"))
        assert '<label class="tokenizer"><' in asked.reply
        assert fields_of(asked.reply)["tokenizer"] == ("a/b" if name == "sampler" else "c/d")


def test_a_tokenizer_goes_with_the_run_and_stands_in_the_address(filled: Filled, server: FakeServer) -> None:
    store, tokenizer = filled.bench.store, "Qwen/Qwen2.5-Math-7B-Instruct"
    chosen = go(act(filled, "sample", at(filled), other=server.spec, tokenizer=tokenizer, n="4"))
    assert (chosen.engine, chosen.tokenizer) == (server.spec, tokenizer)
    assert (store.runs()[0].spec["engine"], store.runs()[0].spec["tokenizer"]) == (server.spec, tokenizer)
    act(filled, "sample", chosen, n="8")
    assert store.runs()[0].spec["tokenizer"] == tokenizer, "the button draws as the dialog did"
    measured = go(act(filled, "measure", at(filled), other=server.spec, tokenizer=tokenizer))
    assert (measured.by, measured.by_tokenizer) == (server.spec, tokenizer)
    for name in ("measure", "more", "branch"):
        act(filled, name, measured, step="1")
        assert store.runs()[0].spec["tokenizer"] == tokenizer, name
    other = act(filled, "sample", at(filled), engine="embedded:base", other="", tokenizer=tokenizer)
    assert go(other).tokenizer == ""
    assert "tokenizer" not in store.runs()[0].spec, "a model with files brings its own"


def test_a_tokenizer_that_is_none_is_refused(filled: Filled, server: FakeServer, tmp_path: Path) -> None:
    for given in (str(tmp_path), str(tmp_path / "nowhere"), "not a name", "hf:a/b", "../up"):
        update = act(filled, "sample", at(filled), other=server.spec, tokenizer=given)
        assert f"There is no tokenizer {given!r}" in said(update), given
    (tmp_path / "tokenizer.json").write_text("{}")
    assert go(act(filled, "sample", at(filled), other=server.spec, tokenizer=str(tmp_path))).tokenizer == str(tmp_path)


def test_a_chat_style_without_a_tokenizer_is_said_at_the_form(filled: Filled, server: FakeServer) -> None:
    filled.bench.sampling = CHAT
    update = act(filled, "sample", at(filled), other=server.spec)
    assert f"name the tokenizer of {MODEL}" in said(update)
    assert filled.bench.store.runs() == []
    act(filled, "sample", at(filled), other=server.spec, tokenizer="Qwen/Qwen2.5-Math-7B-Instruct")
    assert len(filled.bench.store.runs()) == 1
    server.models = {"object": "list", "data": [{"id": MODEL, "owned_by": "vllm", "root": "/m", "object": "model"}]}
    act(filled, "measure", at(filled), other=server.spec)
    assert len(filled.bench.store.runs()) == 2, "a server of this machine says where the model lies"


def test_compare_has_no_field_for_a_tokenizer_and_says_what_can_be_done(filled: Filled, server: FakeServer) -> None:
    start = {"act": "start", "at": f"?after=embedded&before={quote(server.spec)}"}
    filled.bench.sampling = CHAT
    compared = guarded(Compare(filled.bench).act, start, "ana")
    assert "take a model whose files are on this machine" in said(compared)
    assert filled.bench.store.runs() == []


def test_a_chain_is_measured_with_the_tokenizer_that_it_was_drawn_with(filled: Filled, server: FakeServer) -> None:
    store, of = filled.bench.store, ui_cases.problem()
    with_one, without = f"{MODEL}+openai+Qwen2.5", f"{MODEL}+openai"
    for id in (with_one, without):
        store.add_model(ModelRow(id, "generator", server.spec))
        drawn = Chain(of.id, id, id, f"{id}\n#### 1", (), "line/1")
        store.add_items([SourceItem(of, (drawn,))], {drawn.id: Verdict("wrong", "", "stepviz/1", "1")})
    for given in ("Qwen/Qwen2.5", "other/one"):
        store.add_run("sample", {"engine": server.spec, "tokenizer": given})
    assert tokenizer_of(filled.bench, server.spec, with_one) == "Qwen/Qwen2.5"
    assert tokenizer_of(filled.bench, server.spec, without) == ""
    assert tokenizer_of(filled.bench, server.spec) == "other/one", "in a form the last one is offered"
    drawn = next(row for row in store.chains(of.id) if row.chain.origin == with_one)
    act(filled, "measure", Address(problem=of.id, chain=drawn.chain.id))
    assert (store.runs()[0].spec["engine"], store.runs()[0].spec["tokenizer"]) == (server.spec, "Qwen/Qwen2.5")


@pytest.mark.parametrize("id", [f"{MODEL}+openai", f"{MODEL}@abc+openai", f"{MODEL}+openai+Qwen2.5"])
def test_a_servers_model_is_listed_by_its_own_name(filled: Filled, id: str) -> None:
    filled.bench.store.add_model(ModelRow(id, "generator", "openai:http://h/v1#tiny"))
    assert "tiny (a server’s)" in [choice.label for choice in model_choices.generators(filled.bench.store)]


def test_an_address_keeps_a_tokenizer_only_beside_a_servers_model(filled: Filled) -> None:
    bench = Workbench(filled.bench.store, "openai:http://127.0.0.1:8/v1#m", tokenizer="a/b")
    mine = Address(engine="hf:a/b", tokenizer="a/b", by="embedded", by_tokenizer="c/d")
    assert settled(bench, mine) == Address(engine="hf:a/b", by="embedded")
    assert settled(bench, Address(engine=bench.engine, tokenizer="a/b")) == Address()
    other = settled(bench, Address(engine=bench.engine, tokenizer="c/d"))
    assert other == Address(engine=bench.engine, tokenizer="c/d")
    assert bench.drawn_by(other.engine, other.tokenizer).drawing()["tokenizer"] == "c/d"
    assert bench.drawn_by("").drawing()["tokenizer"] == "a/b"
    assert "tokenizer" not in bench.drawn_by("embedded").drawing()


def test_a_hostile_tokenizer_is_escaped(filled: Filled) -> None:
    hostile = replace(at(filled), engine="openai:http://h/v1#m", tokenizer='"><script>alert(1)</script>')
    shown = act(filled, "sampler", hostile).reply
    assert "<script>" not in shown
    assert json.dumps(fields_of(shown)["tokenizer"]) == json.dumps(hostile.tokenizer)
