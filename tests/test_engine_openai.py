"""The openai engine against a small real server on loopback: what is sent, and what becomes of every bad answer."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepviz import engines, worker
from stepviz.engines.openai_client import setting
from stepviz.engines.server import served
from stepviz.errors import StepvizError
from stepviz.rollouts import Want, draw
from stepviz.types import Problem, PromptStyle, Request, Sampling
from stepviz.ui.engine_choice import checked, name_of
from tests import tiny
from tests.openai_cases import MODEL, REQUESTS, SAMPLING, FakeServer, asked_with_a_key, completion, generate
from training.record import base_of


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with asked_with_a_key(monkeypatch) as fake:
        yield fake


def test_each_draw_is_a_request_with_its_own_seed(server: FakeServer) -> None:
    found = generate(server)
    assert [c.text for c in found] == [f"{seed}\n" for seed in range(12)]
    assert {(c.finish_reason, c.tokens, c.prompt_tokens) for c in found} == {("stop", 3, 7)}
    assert sorted(body.pop("seed") for body in server.asked) == list(range(12))
    assert (
        server.asked
        == [{"model": MODEL, "prompt": "How many?\n3+4=7\n", "max_tokens": 40, "temperature": 0.5, "top_p": 1.0}] * 12
    )


def test_what_came_while_the_caller_was_busy_is_kept(server: FakeServer) -> None:
    """Twelve in flight; the caller works for a second after the first, and behind the failure stand good answers."""
    kept: list[int] = []
    server.answer = lambda body, _: (404, {}) if body["seed"] == 6 else completion("good")
    with pytest.raises(StepvizError, match="what was finished before is kept"):
        generate(server, on_completion=lambda i, _: (kept.append(i), time.sleep(1.0 if len(kept) == 1 else 0)))
    assert sorted(kept) == [i for i in range(12) if i != 6]


def test_requests_that_begin_alike_go_out_one_after_the_other(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "1")
    prefixes = ["b", "a", "ab", "b", "a", "bc"]
    found = generate(server, [Request("q", prefix, seed) for seed, prefix in enumerate(prefixes)])
    assert [body["prompt"] for body in server.asked] == ["q\na", "q\na", "q\nab", "q\nb", "q\nb", "q\nbc"]
    assert [c.text for c in found] == [f"{seed}\n" for seed in range(6)], "in the order of the requests"


def test_many_are_in_flight_and_no_more_than_allowed(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "5")
    server.answer = lambda *_: 0.2
    generate(server, [Request("q", "", seed) for seed in range(15)])
    assert server.most == 5


def test_a_server_of_vllm_is_held_to_the_sampling_and_returns_token_ids(server: FakeServer, tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "its")
    server.models = {"data": [{"id": MODEL, "owned_by": "vllm", "root": str(folder), "max_model_len": 64}]}
    ids = tiny.byte_tokenizer().encode("3+4=7 é", add_special_tokens=False)
    server.answer = lambda *_: completion("what it made of them", token_ids=[*ids, 1], stop_reason=None)
    engine = engines.load(server.spec)
    assert engine.context == 64
    found = engine.generate(REQUESTS[:1], Sampling(temperature=0, top_k=4, top_p=0.9, max_tokens=60))[0]
    assert (found.text, found.token_ids, found.tokens) == ("3+4=7 é", (*ids, 1), len(ids) + 1)
    body, prompt = server.asked[0], engine.tokenizer.encode("How many?\n3+4=7\n")
    assert body["prompt"] == prompt
    assert prompt[0] == 0, "the special token that the tokenizer puts before a text, once"
    assert body["max_tokens"] == 64 - len(prompt) < 60
    kept = {"top_p": 1.0, "top_k": 4, "min_p": 0.0, "repetition_penalty": 1.0, "temperature": 0.0}
    assert {name: body[name] for name in kept} == kept
    assert (body["skip_special_tokens"], body["return_token_ids"]) == (False, True)


def test_a_model_is_named_by_its_weights_where_they_are_here(server: FakeServer, tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "its")
    assert engines.load(server.spec).model_id == f"{MODEL}+openai"
    server.models = {"data": [{"id": MODEL, "owned_by": "vllm", "root": str(folder)}]}
    ours = engines.load(f"hf:{folder}", device="cpu").model_id
    assert engines.load(server.spec).model_id == ours.replace("its@", f"{MODEL}@") + "+openai"
    server.models["data"][0]["id"] = str(folder)
    assert engines.load(f"openai:{server.url}#{folder}").model_id == ours + "+openai"


def test_stop_strings_are_asked_for_and_left_out_whatever_comes(server: FakeServer) -> None:
    server.answer = lambda *_: completion("7 apples\n\nQ: and", reason="length")
    style = PromptStyle(stop=("\n\n",))
    assert generate(server, REQUESTS[:1], Sampling(style=style))[0].text == "7 apples"
    assert server.asked[0]["stop"] == ["\n\n"]
    server.answer = lambda *_: completion("7 app\ufffd", reason="length")
    assert generate(server, REQUESTS[:1], Sampling(style=style))[0].text == "7 app"


def test_a_chat_style_needs_the_tokenizer(server: FakeServer) -> None:
    with pytest.raises(StepvizError, match=r"a chat style needs the model's tokenizer: .*--tokenizer"):
        generate(server, sampling=Sampling(style=PromptStyle(chat=True)))
    assert server.asked == []


# ---- bad answers


def odd(body: dict[str, Any], _again: int) -> Any:
    refused = {"error": {"message": "This model's maximum context length is 9 tokens.", "code": 400}}
    return (400, refused) if body["seed"] % 2 else completion("good")


def test_what_is_too_long_is_the_error_of_one_request(server: FakeServer) -> None:
    server.answer = odd
    found = generate(server)
    assert [c.text for c in found] == ["good", ""] * 6
    assert {c.error for c in found[1::2]} == {
        "the server refused this: This model's maximum context length is 9 tokens."
    }
    assert len(server.asked) == 12, "a refusal is not asked again"


@pytest.mark.parametrize("first", [(429, {}), (500, {}), (503, {"error": "loading"}), None, "half"])
def test_what_may_pass_is_asked_again_by_the_client(server: FakeServer, first: Any) -> None:
    server.answer = lambda body, again: first if again == 0 else completion("good")
    assert {c.text for c in generate(server)} == {"good"}
    assert len(server.asked) == 24, "once more each: nobody else tries again"


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (
            (429, {"error": {"message": "slow down"}}),
            "429, too many requests: lower STEPVIZ_OPENAI_REQUESTS.*slow down",
        ),
        ((500, {"error": {"message": "CUDA error"}}), r"failed \(500\): CUDA error"),
        ((404, {"error": {"message": "no such model"}}), "404, it does not know 'tiny'.*/v1"),
        ((403, {}), "403, this key may not do that"),
        (None, "cannot be reached, or breaks off"),
        ("half", "cannot be reached, or breaks off"),
        (b"<html>\x1b[31mhello</html>", "not of OpenAI's protocol"),
        (b"{", "not of OpenAI's protocol"),
        (b"[]", "no completion"),
        ({"choices": []}, "no completion"),
        ({"choices": [{"text": 7, "finish_reason": "stop"}]}, "gave up|no completion"),
        (completion("x", reason="abort"), "gave up on this: finish_reason abort"),
    ],
)
def test_a_server_that_only_fails_ends_the_call_and_says_why(server: FakeServer, bad: Any, told: str) -> None:
    server.answer = lambda *_: bad
    with pytest.raises(StepvizError, match=f"(?s){told}.*what was finished before is kept") as error:
        generate(server)
    assert "\x1b" not in str(error.value)


def test_what_was_finished_before_a_failure_is_handed_over_first(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "1")
    server.answer = lambda body, _: completion("good") if len(server.seen) <= 4 else None
    ended: list[int] = []
    kept: list[int] = []
    with pytest.raises(StepvizError, match="breaks off"):
        generate(
            server,
            on_completion=lambda i, c: ended.append(i),
            on_batch=lambda *_: (kept.extend(ended), ended.clear()),
        )
    assert kept == [0, 1, 2, 3]
    assert ended == []


def test_draws_that_were_finished_before_a_failure_are_recorded_and_not_asked_for_again(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "1")
    monkeypatch.setattr("stepviz.engines.openai_client.RETRIES", 0)
    server.answer = lambda *_: completion("#### 7") if len(server.seen) <= 3 else None
    engine, kept = engines.load(server.spec), []
    wants = [Want(Problem("How many?", "7"), "", 8)]
    with pytest.raises(StepvizError, match="breaks off"):
        draw(wants, engine, SAMPLING, recall=lambda *_: (), record=kept.extend)
    assert [(c.j, c.verdict) for c in kept] == [(0, "correct"), (1, "correct"), (2, "correct")]
    server.answer = lambda *_: completion("#### 7")
    drawn = draw(wants, engine, SAMPLING, recall=lambda *_: list(kept), record=kept.extend)
    asked = [body["seed"] for body in server.asked]  # a request behind the failure may have been on its way
    assert [asked.count(c.seed) for c in kept[:3]] == [1, 1, 1]
    assert [c.j for c in next(iter(drawn.continuations.values()))] == list(range(8))
    engine.close()


def test_a_server_that_stumbles_over_one_request_fails_that_one(server: FakeServer) -> None:
    server.answer = lambda body, _: (500, {"error": "assert"}) if body["seed"] == 5 else completion("good")
    found = generate(server)
    assert [i for i, c in enumerate(found) if c.finish_reason == "error"] == [5]
    assert "failed (500): assert" in found[5].error


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        spec = f"openai:http://127.0.0.1:{taken.getsockname()[1]}/v1#m"
        with pytest.raises(StepvizError, match=r"cannot be reached.*is the server running"):
            engines.load(spec)


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({"data": [{"id": "a/b"}, {"id": "c"}]}, "does not serve 'tiny'; it serves: a/b, c"),
        ({"data": []}, "it serves: none"),
        (b"<html>", "not of OpenAI's protocol|it serves: none"),
        (b"[1]", "not of OpenAI's protocol|it serves: none"),
        ({"data": [{"id": 3}, 4]}, "it serves: none"),
        ((404, {}), "lists no models: does the URL end in /v1"),
        ((401, {}), "OPENAI_API_KEY"),
    ],
)
def test_a_model_that_is_not_served_is_said_at_once(server: FakeServer, models: Any, told: str) -> None:
    server.models = models
    with pytest.raises(StepvizError, match=told):
        engines.load(server.spec)


def test_a_cancel_is_heard_while_a_server_is_silent(server: FakeServer) -> None:
    server.answer = lambda body, _: completion("good") if body["seed"] < 3 else 30
    began = time.monotonic()
    found = generate(server, cancelled=lambda: time.monotonic() > began + 0.7)
    assert time.monotonic() - began < 2
    assert [c.text for c in found[:3]] == ["good"] * 3
    assert {c.error for c in found[3:]} == {"cancelled"}


def test_a_call_inside_on_batch_is_served_while_the_outer_one_waits(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", "2")
    server.answer = lambda body, _: 0.4 if body["seed"] < 100 else completion("inner")
    engine, inner, looks = engines.load(server.spec), [], []

    def on_batch(done: int, tokens: int) -> None:
        looks.append(time.monotonic())
        if len(inner) < 2:
            inner.append(engine.generate([Request("q", "", 100 + len(inner))], SAMPLING)[0].text)

    outer = engine.generate(REQUESTS, SAMPLING, on_batch=on_batch)
    assert inner == ["inner"] * 2
    assert {c.text for c in outer} == {"late"}
    assert max(b - a for a, b in itertools.pairwise(looks)) < 1


# ---- specs


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("openai:", "give openai:http://HOST:PORT/v1#MODEL"),
        ("openai:http://h:1/v1", "which of the models .* behind a #"),
        ("openai:http://h:1/v1#", "which of the models"),
        ("openai:ftp://h/v1#m", "no URL of a server"),
        ("openai:localhost:8000/v1#m", "no URL of a server"),
        ("openai:http://h:99999/v1#m", "no URL of a server"),
        ("openai:http://h h/v1#m", "no URL of a server"),
        ("openai:http://me:secret@h/v1#m", "leave keys out of the URL"),
        ("openai:http://h/v1?api_key=secret#m", "leave keys out of the URL"),
    ],
)
def test_a_url_is_checked_before_anybody_is_asked(spec: str, told: str) -> None:
    with pytest.raises(StepvizError, match=told) as error:
        served(spec)
    assert "secret" not in str(error.value)
    assert engines.canonical(spec) == spec


def test_one_spelling_of_a_server() -> None:
    spec = engines.canonical("openai:HTTP://LocalHost:8000/v1/#Qwen/Qwen2.5-Math-7B")
    assert spec == "openai:http://localhost:8000/v1#Qwen/Qwen2.5-Math-7B"
    assert [served(f"openai:http://{h}/v1#m").here for h in ("[::1]:8", "127.0.0.1", "localhost", "10.0.0.1", "h")] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["0", "-1", "many", "1e3"])
def test_a_setting_that_is_no_number_is_said(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPVIZ_OPENAI_REQUESTS", value)
    with pytest.raises(StepvizError, match=r"STEPVIZ_OPENAI_REQUESTS is .* whole number"):
        setting("STEPVIZ_OPENAI_REQUESTS")


# ---- where specs are read


def test_a_server_holds_no_memory_here_and_is_known_by_what_it_serves(server: FakeServer, tmp_path: Path) -> None:
    """The worker keeps it beside other models, and loads it anew where another model is served under its name."""
    assert worker._light(server.spec)
    assert not worker._light(f"vllm:{tmp_path}")
    before = worker._stamp(server.spec)
    assert before == worker._stamp(server.spec) == f"{MODEL}+openai"
    server.models = {"data": [{"id": MODEL, "root": str(tiny.build(tmp_path / "its"))}]}
    assert worker._stamp(server.spec) not in ("", before)


def test_forms_take_a_server_and_vllm_or_say_what_is_wrong(tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "mine")
    assert checked("openai:http://H:1/v1/#Qwen/Qwen2.5-Math-7B") == "openai:http://h:1/v1#Qwen/Qwen2.5-Math-7B"
    assert checked(f"vllm:{folder}") == f"vllm:{folder}"
    assert checked("vllm:embedded:student") == "vllm:embedded"
    assert [name_of(s) for s in ("openai:http://h:1/v1#Qwen/Q-7B", f"vllm:{folder}", "vllm:embedded")] == [
        "Q-7B (h:1)", "mine (vLLM)", "embedded/student (vLLM)",
    ]  # fmt: skip
    for wrong, told in [
        ("openai:http://h:1/v1", "Name it behind a #"),
        ("openai:h:1/v1#m", "no URL of a server"),
        ("vllm:", "vllm"),
        (f"vllm:{tmp_path}/nothing", "there is no model"),
        ("vllm:embedded:orm", "gives scores"),
        ("sglang:m", "There is no engine"),
    ]:
        with pytest.raises(StepvizError, match=told):
            checked(wrong)


def test_a_server_s_model_is_no_base_of_a_training() -> None:
    with pytest.raises(StepvizError, match="cannot be trained: name its checkpoint"):
        base_of("openai:http://h:1/v1#m")
    assert base_of("vllm:embedded:base") == base_of("embedded:base")
