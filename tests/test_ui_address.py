"""Addresses: what is on screen goes into a query string and comes back."""

from __future__ import annotations

import pytest

from stepviz.ui.address import Address, parse


def test_a_bare_page_has_no_query():
    assert Address().query() == ""
    assert parse("") == Address()


def test_every_part_comes_back():
    full = Address("p1", "c1", 0, "a & b ?=#", "gsm8k", "disputed", 50, "o/é", "<img>", "pit")
    assert parse(full.query()) == full


@pytest.mark.parametrize(
    "query", ["?step=-1", "?step=1e9", "?step=99999999999999999999", "?result=x", "?sort=drop table", "?skip=²", "?%zz"]
)
def test_what_cannot_be_is_left_out(query: str):
    assert parse(query) == Address()


def test_a_long_search_is_cut():
    assert len(parse("?q=" + "x" * 3000).q) == 500
