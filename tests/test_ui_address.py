"""Addresses: what is on screen goes into a query string and comes back."""

from __future__ import annotations

import pytest

from stepviz.ui.address import Address, parse


def test_a_bare_page_has_no_query():
    assert Address().query() == ""
    assert parse("") == Address()


def test_every_part_comes_back():
    full = Address("p1", "c1", 0, "a & b ?=#", "gsm8k", "disputed", 50, "o/é", "<img>", "pit", "a/b@c", 0.35)
    assert parse(full.query()) == full


@pytest.mark.parametrize(
    "query",
    [
        "?step=-1",
        "?step=1e9",
        "?step=99999999999999999999",
        "?result=x",
        "?sort=drop table",
        "?skip=²",
        "?%zz",
        "?t=1.01",
        "?t=-1",
        "?t=nan",
        "?t=٠",
        "?t=.",
    ],
)
def test_what_cannot_be_is_left_out(query: str):
    assert parse(query) == Address()


def test_a_long_search_is_cut():
    assert len(parse("?q=" + "x" * 3000).q) == 500


@pytest.mark.parametrize(("written", "read"), [("0", 0.0), ("1", 1.0), (".5", 0.5), ("0.333", 0.33), ("0.05", 0.05)])
def test_a_threshold_has_two_digits(written: str, read: float):
    assert parse(f"?t={written}").t == read
    assert parse(Address(t=read).query()).t == read


@pytest.mark.parametrize("query", ["?t=1.01", "?t=-1", "?t=nan", "?t=1e0", "?t=٠", "?t=.", "?t=0.0000000001"])
def test_no_threshold_is_better_than_a_wrong_one(query: str):
    assert parse(query) == Address()
