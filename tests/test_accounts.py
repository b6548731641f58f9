"""Signing in: argon2's hashes, and what guessing costs."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from db.store import open_store
from stepviz import accounts
from stepviz.accounts import SignIn, checked_name, hashed
from stepviz.errors import StepvizError
from stepviz.ui.sign_in import signing_in
from stepviz.ui.signed_in import named
from tests.store_cases import new_url

RIGHT, WRONG = "correct horse battery", "wrong horse battery"


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same algorithm with less to compute."""
    if request.node.name != "test_the_hash_is_argon2s_and_salted":
        quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        monkeypatch.setattr(accounts, "_hasher", lambda: quick)
        accounts._nobody.cache_clear()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[SignIn]:
    with open_store(new_url(tmp_path)) as store:
        store.add_user("Ana", "annotator", hashed(RIGHT))
        yield SignIn(store)


def tries(door: SignIn, name: str, password: str) -> bool:
    return asyncio.run(door.check(name, password))


def test_who_has_the_password_signs_in(door: SignIn) -> None:
    assert tries(door, "Ana", RIGHT)
    assert tries(door, " ANA ", RIGHT)
    assert not tries(door, "Ana", WRONG)
    assert not tries(door, "Ana", "")
    assert not tries(door, "bob", RIGHT)
    assert not tries(door, "Ana", RIGHT + "x" * 5000)


def test_a_name_is_the_same_by_whichever_keyboard(door: SignIn) -> None:
    """Å may be typed as one character or as two; the session has the name as it was typed."""
    door.store.add_user(checked_name("A\u030ase"), "annotator", hashed(RIGHT))
    for typed in ("\u00c5se", "A\u030ase", " a\u030aSE "):
        assert tries(door, typed, RIGHT)
        assert named(door.store, typed).name == "\u00c5se"


def test_how_long_a_name_waits(door: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(accounts.time, "monotonic", lambda: clock[0])
    for _ in range(4):
        tries(door, "Ana", WRONG)
        clock[0] += door.wait_s("ANA")
    tries(door, "Ana", WRONG)
    assert (door.wait_s("Ana"), door.wait_s("bob")) == (4, 0)
    clock[0] += 3
    assert door.wait_s(" ana ") == 1


def test_gradio_awaits_it(door: SignIn) -> None:
    """What it does not know for a coroutine function it calls, and takes the coroutine for a yes."""
    assert inspect.iscoroutinefunction(signing_in(door.store))


def test_a_disabled_user_does_not(door: SignIn) -> None:
    door.store.change_user("Ana", disabled=True)
    assert not tries(door, "Ana", RIGHT)


def test_the_hash_is_argon2s_and_salted() -> None:
    assert hashed(RIGHT).startswith("$argon2id$")
    assert hashed(RIGHT) != hashed(RIGHT)
    for password in ("short", "x" * 1001):
        with pytest.raises(StepvizError, match="10 to 1,000 characters"):
            hashed(password)


@pytest.mark.parametrize("name", ["Ana", "nobody"])
def test_twenty_wrong_passwords_are_slowed_down(door: SignIn, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Two tries are free; the third is followed by a second, then two, four, … and at most a minute. A try in between
    is refused unlooked at, the right password, too."""
    clock = [1000.0]
    monkeypatch.setattr(accounts.time, "monotonic", lambda: clock[0])
    waits = []
    for _ in range(20):
        assert not tries(door, name, WRONG)
        wait = max(0.0, door.tries[name.casefold()].again_at - clock[0])
        if wait:
            assert not tries(door, name, RIGHT)
            assert door.tries[name.casefold()].again_at - clock[0] == wait
        waits.append(wait)
        clock[0] += wait
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, *[60] * 12]
    assert tries(door, name, RIGHT) == (name == "Ana")
    assert tries(door, "Ana", RIGHT), "another name is not held up"


def test_many_tries_at_once_gain_nothing(door: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr(door, "_right", lambda _, password: looked.append(password))

    async def guesses() -> list[bool]:
        return await asyncio.gather(*(door.check("Ana", f"guess {i} of many") for i in range(30)))

    assert asyncio.run(guesses()) == [False] * 30
    assert len(looked) == accounts.FREE


def test_the_right_password_forgets_the_wrong_ones(door: SignIn) -> None:
    assert not tries(door, "Ana", WRONG)
    assert tries(door, "Ana", RIGHT)
    assert door.tries == {}


def test_the_event_loop_is_free_while_a_hash_is_computed(door: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_right", lambda *_: time.sleep(0.5))

    async def beside() -> int:
        signing, ticks = asyncio.ensure_future(door.check("Ana", RIGHT)), 0
        while not signing.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(beside()) > 10


def test_names_that_are_remembered_are_so_many_and_no_more(door: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "KEPT", 3)
    monkeypatch.setattr(door, "_right", lambda *_: False)
    for name in "abcde":
        tries(door, name, WRONG)
    assert list(door.tries) == ["c", "d", "e"]


@pytest.mark.parametrize("name", ["", "a" * 65, "a\nb", "<b>", "../x", "_x", "x/y", "a\x00b", " "])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(StepvizError, match="can be no user's name"):
        checked_name(name)


@pytest.mark.parametrize("name", ["processbench", "PRM800K", "math-shepherd", "local", "exact", "equations"])
def test_names_under_which_others_speak(name: str) -> None:
    """ProcessBench's labels are by "processbench": an account of that name would change where their first error is."""
    with pytest.raises(StepvizError, match="called so already"):
        checked_name(name)


def test_names_that_can() -> None:
    for name in ("Ana", "ana.maria@example.org", "Ån-gström 2", "李"):
        assert checked_name(f" {name} ") == name
