"""Accounts in the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz.errors import StepvizError
from tests.store_cases import new_url


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        opened.add_user("Ana", "admin", "$hash$")
        yield opened


def test_a_name_is_one_in_whichever_case(store: Store) -> None:
    assert store.user("aNA").name == "Ana"
    assert store.user("bob") is None
    assert store.user("Ana\0") is store.user("\ud800") is None, "no database takes these"
    with pytest.raises(StepvizError, match="there is a user 'ANA' already"):
        store.add_user("ANA", "annotator", "x")
    store.add_user("Straße", "annotator", "x")
    assert store.user("STRASSE").name == "Straße"


def test_a_password_is_in_no_representation(store: Store) -> None:
    assert "$hash$" not in repr(store.users())
    assert store.user("Ana").password == "$hash$"


def test_what_is_changed_and_what_stays(store: Store) -> None:
    store.add_user("bob", "annotator", "x")
    store.change_user("BOB", password="y")
    assert (store.user("bob").password, store.user("bob").role) == ("y", "annotator")
    store.change_user("bob", role="admin", disabled=True)
    assert (store.user("bob").role, store.user("bob").disabled) == ("admin", True)
    with pytest.raises(StepvizError, match="no user 'eve'"):
        store.change_user("eve", disabled=True)


def test_somebody_stays_admin(store: Store) -> None:
    store.add_user("bob", "admin", "x")
    store.change_user("bob", disabled=True)
    for change in ({"role": "annotator"}, {"disabled": True}):
        with pytest.raises(StepvizError, match="Ana is the last admin"):
            store.change_user("ana", **change)
    store.change_user("bob", disabled=False)
    store.change_user("ana", role="annotator")
    assert store.user("ana").role == "annotator"
