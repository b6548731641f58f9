"""People with bad intent, over real HTTP against the running app: refused, told why, logged, and nothing changed."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from db.columns import now
from db.models import SlotTable
from tests.intent_cases import PEOPLE, SECRET, WRONG, Served, ask, sign_in


def post(served: Served, name: str, route: str, body: str | bytes) -> httpx.Response:
    """As it is, half surrogate pairs and all."""
    headers = {"Content-Type": "application/json"}
    return served.people[name].post(f"/stepviz/annotate/{route}", content=body, headers=headers)


# Signing in


def test_twenty_wrong_passwords_slow_one_name_down_and_nobody_else(served: Served) -> None:
    """The first two are free. From the third on a try has to wait, the right password, too."""
    client = served.client()
    with served.refuses("sign-in of 'bob' failed, 3 in a row", "sign-in of 'bob' refused: too many wrong passwords"):
        answers = [sign_in(client, "bob", WRONG) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {400}
        assert [answer.json()["detail"] for answer in answers[:2]] == ["Incorrect credentials."] * 2
        assert all(a.json()["detail"].startswith("Too many wrong passwords: try again in ") for a in answers[2:])
        assert not client.cookies
        while int(re.findall(r"\d+", sign_in(client, "bob", WRONG).json()["detail"])[0]) < 2:
            time.sleep(0.1)
        assert "Too many" in sign_in(client, "BOB").json()["detail"], "the right one, by another spelling, too early"
    assert sign_in(served.client(), "Ana").status_code == 200
    assert "Too many" not in sign_in(served.client(), "nobody here", WRONG).text
    assert ask(served.people["bob"], "next", study=served.studies["open"]).status_code == 200, "whoever is in stays"
    until = time.monotonic() + 60  # some more may have been looked at: waits of 1, 2, 4, … s
    while sign_in(client, "bob").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.3)


def test_a_name_that_is_not_there_is_slowed_down_alike(served: Served) -> None:
    with served.refuses("sign-in of 'mallory' failed, 3 in a row"):
        said = [sign_in(served.nobody, "mallory", WRONG).json()["detail"] for _ in range(4)]
    assert [words.split(":")[0] for words in said] == ["Incorrect credentials."] * 2 + ["Too many wrong passwords"] * 2


@pytest.mark.parametrize("data", [{}, {"username": "root"}, {"username": ["root", "Ana"], "password": ""}])
def test_a_sign_in_without_a_password(served: Served, data: dict[str, Any]) -> None:
    with served.refuses():
        assert served.nobody.post("/login", data=data).status_code in (400, 422)


def test_a_sign_in_of_ten_megabytes_is_not_read(served: Served) -> None:
    with served.refuses("'/login' refused (413)"):
        answer = sign_in(served.nobody, "root", "x" * 10_000_000)
    assert (answer.status_code, answer.text) == (413, "This is too long for a name and a password.")


@pytest.mark.parametrize("path", ["/", "/annotate", "/runs", "/datasets", "/?page=runs", "/gradio_api/../config"])
def test_who_has_not_signed_in_gets_the_form_to_sign_in(served: Served, path: str) -> None:
    answer = served.nobody.get(path, headers={"Accept": "text/html"})
    if answer.status_code == 200:
        assert '"auth_required":true' in answer.text
        assert '"components":[]' in answer.text
        assert "has to wait" in answer.text, "what becomes of many tries is said before the first"
    else:
        assert answer.status_code in (401, 404)


# Who somebody says to be


def test_a_name_that_somebody_writes_into_a_request_is_not_looked_at(served: Served) -> None:
    own, others = served.slot("Ana"), served.slot("bob")
    forged = {"X-User": "root", "X-Forwarded-User": "root", "Remote-User": "root", "Authorization": "Basic cm9vdDp4"}
    label = {"slot": others, "question": "correct", "step": 1, "value": 1}
    with served.refuses("/stepviz/annotate/label of 'Ana' refused (409): This is not your item."):
        for name in ("bob", "root"):
            names = {"annotator": name, "user": name, "username": name, "who": name, "role": "admin"}
            answer = served.people["Ana"].post(
                f"/stepviz/annotate/label?username={name}", json=label | names, headers=forged | {"X-Name": name}
            )
            assert (answer.status_code, answer.json()) == (409, {"error": "This is not your item."})
    assert ask(served.people["Ana"], "label", **label | {"slot": own}, username="bob").status_code == 200
    stored = served.store.annotations(history=True)
    assert [row.annotation.annotator for row in stored] == ["Ana"]


def test_a_cookie_that_somebody_makes_up_is_nobodys(served: Served) -> None:
    real = next(c for c in served.people["root"].cookies.jar if not c.secure)
    for name, value in ((real.name, "root"), (real.name, ""), ("username", "root"), ("access-token", real.value)):
        client = served.client()
        client.cookies.set(name, value)
        with served.refuses("/stepviz/annotate/next of '' refused (401)"):
            answer = ask(client, "next", study=served.studies["open"])
            assert (answer.status_code, answer.json()) == (401, {"error": "Sign in first."})
            assert client.get("/config").status_code == 401


# Items and labels


@pytest.mark.parametrize("route", ["label", "undo", "submit", "release", "keep"])
def test_somebody_elses_item_is_nobodys(served: Served, route: str) -> None:
    slot = served.slot("bob")
    sent = {"question": "correct", "step": 1, "value": 1, "finish": "solution", "seconds": 1}
    for name in ("Ana", "root"):
        with served.refuses(f"/stepviz/annotate/{route} of '{name}' refused (409): This is not your item."):
            answer = ask(served.people[name], route, slot=slot, **sent)
            assert (answer.status_code, answer.json()) == (409, {"error": "This is not your item."})
    for wrong in (0, -1, 10**6, 10**30, "1", True, None, 1.5, [slot], {"id": slot}):
        with served.refuses("of 'Ana' refused (409)"):
            assert ask(served.people["Ana"], route, slot=wrong, **sent).status_code == 409


@pytest.mark.parametrize("step", [0, -1, 4, 1.5, 1.0, "1", "", True, None, 10**30, [1], {"step": 1}, "\ud800", "<b>"])
def test_a_label_for_a_step_that_does_not_exist(served: Served, step: Any) -> None:
    slot = served.slot("Ana")
    with served.refuses("/stepviz/annotate/label of 'Ana' refused (409): there is no step"):
        for more in ({"value": 1}, {"first_error": True}):
            body = json.dumps({"slot": slot, "question": "correct", "step": step, **more})  # "\ud800" as JSON has it
            answer = post(served, "Ana", "label", body)
            assert answer.status_code == 409
            assert answer.json()["error"].startswith("there is no step ")
            assert answer.json()["error"].endswith(" here: 1 to 3")


@pytest.mark.parametrize(
    "question", ["solvable", "verdict", "first_error", "", None, 7, ["correct"], "\ud800", "x" * 999]
)
def test_a_question_that_the_study_does_not_ask(served: Served, question: Any) -> None:
    slot = served.slot("Ana")
    with served.refuses("of 'Ana' refused (409): this study does not ask"):
        body = json.dumps({"slot": slot, "question": question, "step": 1, "value": 1})
        answer = post(served, "Ana", "label", body)
    assert answer.status_code == 409
    assert answer.json()["error"].endswith("it asks: correct")


@pytest.mark.parametrize("value", [2, -2, 0.5, "1", True, 10**30, [1], {}, "\ud800"])
def test_a_rating_that_there_is_not(served: Served, value: Any) -> None:
    slot = served.slot("Ana")
    with served.refuses("of 'Ana' refused (409): a rating is"):
        body = json.dumps({"slot": slot, "question": "correct", "step": 1, "value": value})
        answer = post(served, "Ana", "label", body)
    assert answer.status_code == 409
    assert answer.json()["error"].startswith("a rating is 1, 0, -1")


@pytest.mark.parametrize(("route", "more"), [("label", {"question": "correct", "step": 1, "value": 1}),
                                             ("submit", {"finish": "solution", "seconds": 1})])  # fmt: skip
def test_a_note_of_ten_megabytes(served: Served, route: str, more: dict[str, Any]) -> None:
    slot, ana = served.slot("Ana"), served.people["Ana"]
    with served.refuses("of 'Ana' refused (413)", "of 'Ana' refused (409): a note has at most 10,000 characters"):
        answer = ask(ana, route, slot=slot, note="x" * 10_000_000, **more)
        assert (answer.status_code, answer.json()) == (413, {"error": "This is more than 64 KiB: nothing was saved."})
        for note, said in (("x" * 10_001, "at most 10,000"), ({"a": 1}, "at most 10,000"), (None, "at most 10,000")):
            answer = ask(ana, route, slot=slot, note=note, **more)
            assert (answer.status_code, said in answer.json()["error"]) == (409, True)


def test_a_script_in_a_note_is_text(served: Served) -> None:
    """It is kept as it was written, and is told as JSON, which no browser takes for a page."""
    slot, eve = served.slot("eve"), served.people["eve"]
    note = (
        "<script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }} ${alert(1)} \u202e\x00 '\"; DROP TABLE slots;"
    )
    answer = ask(eve, "label", slot=slot, question="correct", step=2, value=-1, note=note)
    assert answer.status_code == 200
    turn = ask(eve, "next", study=served.studies["open"])
    assert "<script>alert" not in turn.json().get("html", "")
    for told in (answer, turn, eve.get("/stepviz/annotate/studies")):
        assert told.headers["content-type"] == "application/json"
    assert [label.note for label in served.store.labels_of_slot(slot)] == [note]


def test_text_that_is_no_unicode_is_kept(served: Served) -> None:
    slot, eve = served.slot("eve"), served.people["eve"]
    body = json.dumps({"slot": slot, "question": "correct", "step": 3, "value": 1, "note": "half: \ud800"})
    assert post(served, "eve", "label", body).status_code == 200
    assert ask(eve, "next", study=served.studies["open"]).status_code == 200
    assert "half: \ud800" in [label.note for label in served.store.labels_of_slot(slot)]


DEEP = "[" * 30_000 + "]" * 30_000


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '"study"', "7", DEEP, '{"study":' * 5000 + "1" + "}" * 5000, '{"slot": 1' + "0" * 9999,
     b"\xff\xfe", '{"study": NaN}', '{"study": Infinity}', '{"study": 1e999}', '{"study": 1, "study": "x"}'],
)  # fmt: skip
def test_json_that_is_none_or_too_deep(served: Served, body: str | bytes) -> None:
    with served.refuses("/stepviz/annotate/next of 'Ana' refused (409)"):
        answer = post(served, "Ana", "next", body)
    assert answer.status_code == 409
    assert answer.json()["error"] in (
        "The body has to be JSON.",
        "The body has to be a JSON object.",
        "study has to be a number.",
    )


@pytest.mark.parametrize("sent", [
    {"finish": "done", "seconds": 1}, {"finish": ["solution"], "seconds": 1}, {"finish": "solution", "seconds": "1"},
    {"finish": "solution", "seconds": -1}, {"finish": "solution", "seconds": 1e300}, {"finish": "solution"},
    {"finish": "solution", "seconds": 1, "flags": ["nice"]}, {"finish": "solution", "seconds": 1, "flags": "give_up"},
    {"finish": "solution", "seconds": 1, "flags": {"give_up": 1, "x": 2}}, {"finish": "\ud800", "seconds": 1},
])  # fmt: skip
def test_an_ending_that_there_is_not(served: Served, sent: dict[str, Any]) -> None:
    slot = served.slot("Ana")
    with served.refuses("/stepviz/annotate/submit of 'Ana' refused (409)"):
        answer = post(served, "Ana", "submit", json.dumps({"slot": slot, **sent}))
    assert answer.status_code == 409
    assert answer.json()["error"]


@pytest.mark.parametrize("route", ["label", "undo", "submit", "release", "keep"])
def test_a_lease_that_ran_out(served: Served, route: str) -> None:
    slot, eve = served.slot("eve"), served.people["eve"]
    with served.store.writing() as connection:
        late = update(SlotTable).where(SlotTable.id == slot).values(lease_until=now() - timedelta(seconds=1))
        connection.execute(late)
    sent = {"question": "correct", "step": 1, "value": 1, "finish": "solution", "seconds": 1}
    with served.refuses(f"/stepviz/annotate/{route} of 'eve' refused (410): This item's time ran out"):
        answer = ask(eve, route, slot=slot, **sent)
    assert answer.status_code == 410
    assert "time ran out" in answer.json()["error"]


@pytest.mark.parametrize(("study", "said"), [
    ("closed", "This study is closed. What was saved before is kept."), (10**6, "There is no study of this number."),
    (0, "study has to be a number."), ("1", "study has to be a number."), (None, "study has to be a number."),
])  # fmt: skip
def test_a_study_that_is_closed_or_not_there(served: Served, study: Any, said: str) -> None:
    with served.refuses(f"/stepviz/annotate/next of 'Ana' refused (409): {said}"):
        answer = ask(served.people["Ana"], "next", study=served.studies.get(study, study))
    assert (answer.status_code, answer.json()) == (409, {"error": said})


def test_a_study_that_is_closed_takes_no_more_labels(served: Served) -> None:
    slot, bob = served.slot("bob"), served.people["bob"]
    sent = {"question": "correct", "step": 1, "value": 1, "finish": "solution", "seconds": 1}
    served.store.open_study(served.studies["open"], False)
    try:
        for route in ("label", "undo", "submit"):
            with served.refuses(f"/stepviz/annotate/{route} of 'bob' refused (409): This study is closed"):
                assert ask(bob, route, slot=slot, **sent).status_code == 409
    finally:
        served.store.open_study(served.studies["open"], True)
    assert ask(bob, "label", slot=slot, **sent).status_code == 200


# Accounts that change while somebody is signed in


def test_an_account_that_is_disabled_is_out_at_once(served: Served) -> None:
    slot = served.slot("eve")
    served.store.change_user("eve", disabled=True)
    served.store.change_user("max", disabled=True)
    try:
        with served.refuses("/stepviz/annotate/label of 'eve' refused (401)", "of 'max' refused"):
            label = ask(served.people["eve"], "label", slot=slot, question="correct", step=1, value=1)
            closed = {"error": "This account is closed. An admin can open it again.", "closed": True}
            assert (label.status_code, label.json()) == (401, closed)
            for path in ("/runs", "/config", "/gradio_api/info", "/stepviz/dataset/1/jsonl"):
                assert served.people["max"].get(path).status_code in (401, 403), path
            assert "Incorrect" in sign_in(served.client(), "max").text
    finally:
        for name in ("eve", "max"):
            served.store.change_user(name, disabled=False)
    assert served.people["max"].get("/config").status_code == 200


def test_an_admin_who_is_none_any_more_is_an_annotator_at_once(served: Served) -> None:
    served.store.change_user("max", role="annotator")
    try:
        with served.refuses("'/config' of 'max' refused: not an admin"):
            assert served.people["max"].get("/config").status_code == 403
    finally:
        served.store.change_user("max", role=PEOPLE["max"])


def test_who_signs_out_is_out_everywhere(served: Served) -> None:
    here, there = served.signed_in("max"), served.signed_in("max")
    assert here.get("/logout").status_code == 302
    for client in (here, there):
        assert client.get("/config").status_code == 401
    served.people["max"] = served.signed_in("max", SECRET)
