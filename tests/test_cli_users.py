"""`user …`: accounts from a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from db.store import open_store
from stepviz.cli import app
from tests.store_cases import new_url

SECRET = "correct horse battery"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return new_url(tmp_path)


def run(url: str, *words: str, secret: str = SECRET) -> Result:
    return CliRunner().invoke(app, ["user", *words, "--db", url], input=f"{secret}\n")


def add(url: str, name: str, role: str) -> Result:
    return run(url, "add", name, "--role", role, "--password-stdin")


def test_accounts_are_made_listed_and_changed(url: str) -> None:
    first = "Ana can sign in as an admin. An app that runs already asks nobody to sign in: start it anew.\n"
    assert add(url, "Ana", "admin").stdout == first
    assert add(url, "bob", "annotator").stdout == "bob can sign in as an annotator.\n"
    listed = json.loads(run(url, "list", "--json").stdout)
    assert [(u["name"], u["role"], u["disabled"]) for u in listed] == [
        ("Ana", "admin", False),
        ("bob", "annotator", False),
    ]
    assert run(url, "change", "BOB", "--disable").stdout == "bob: annotator, disabled\n"
    assert run(url, "password", "bob", "--password-stdin", secret="another one entirely").exit_code == 0
    with open_store(url) as store:
        assert store.user("bob").disabled
        assert store.user("bob").password.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "bob", "--password-stdin"), "there is no admin yet: `user add bob --role admin`"),
        (("add", "ANA", "--role", "admin", "--password-stdin"), "there is no admin"),
        (("add", "<b>", "--role", "admin", "--password-stdin"), "can be no user's name"),
        (("add", "ana", "--role", "king", "--password-stdin"), "--role is annotator or admin"),
        (("add", "ana", "--role", "admin"), "no terminal to ask for a password"),
        (("password", "eve", "--password-stdin"), "there is no user 'eve'"),
        (("change", "eve", "--disable"), "there is no user 'eve'"),
        (("change", "eve"), "say what to change"),
    ],
)
def test_what_cannot_be(url: str, words: tuple[str, ...], said: str) -> None:
    done = run(url, *words)
    if words[1] == "ANA":
        assert done.exit_code == 0
        done, said = run(url, "add", "ana", "--role", "admin", "--password-stdin"), "there is a user 'ana' already"
    assert done.exit_code == 1
    assert said in str(done.exception)


def test_a_password_that_is_too_short_makes_no_account(url: str) -> None:
    done = run(url, "add", "ana", "--role", "admin", "--password-stdin", secret="short")
    assert "10 to 1,000 characters" in str(done.exception)
    assert "short" not in done.stdout
    assert "There are no accounts" in run(url, "list").stdout


def test_the_last_admin_stays(url: str) -> None:
    add(url, "ana", "admin")
    assert "last admin" in str(run(url, "change", "ana", "--disable").exception)
