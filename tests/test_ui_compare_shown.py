"""The Compare page without a browser: what it says of a comparison, links and downloads."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from stepviz.compare import Pair, Trial
from stepviz.statistics import Estimate
from stepviz.types import Annotation, Problem, SourceItem
from stepviz.ui import render_compare_curve, render_compare_pits
from stepviz.ui.compare_at import At, parse
from stepviz.ui.compare_download import compare_route
from stepviz.ui.compare_page import Compare
from stepviz.ui.workbench import Workbench
from tests import compare_cases as cases
from tests.compare_cases import AFTER, BEFORE, HERE, Students, model_id, send
from tests.page_cases import alone
from tests.ui_cases import HOSTILE

pytestmark = pytest.mark.usefixtures("no_worker")


def text(fragment: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", fragment))


# ---- what it shows


def test_accuracy_and_what_changed(drawn: Students) -> None:
    shown = text(send(drawn.store, "open", HERE + "&samples=2").html["copen"])
    assert "0.0 %" in shown
    assert "66.7 %" in shown
    assert "+66.7" in shown
    assert "wrong → right  2" in shown
    assert "right → wrong  0" in shown
    assert "pass@2" in shown
    assert "1 without a gold answer are left out." in shown
    assert "The training of embedded/student" in shown


def test_the_same_comparison_with_more_problems_starts_from_what_is_there(drawn: Students) -> None:
    drawn.store.add_items([SourceItem(replace(p, question=p.question + "?", key="x")) for p in cases.PROBLEMS[:1]])
    page = send(drawn.store, "open", HERE + "&samples=2").html
    assert "1 of 4 problems have no chain of both models yet." in page["copen"]
    assert "draws" in page["cform"]


def test_a_persons_verdict_counts_at_once_though_what_was_read_is_kept(drawn: Students) -> None:
    page = Compare(Workbench(drawn.store))
    at = {"act": "open", "at": HERE + "&show=still"}
    link = re.findall(r'class="ps" href="[^"]*chain=(\w+)', page.act(at, "ana").html["copen"])[1]
    drawn.store.add_annotation(Annotation(link, "ana", "verdict", 0, 1, "right after all"))
    shown = page.act({"act": "open", "at": HERE}, "ana").html["copen"]
    assert "100.0 %" in shown
    assert "wrong → right  3" in text(shown)


def test_problems_are_filtered_by_what_became_of_their_pits(drawn: Students) -> None:
    every = send(drawn.store, "open").html["copen"]
    assert re.findall(r'data-go href="[^"]*"[^>]*>(?:All|Vanished|New|Still there|Never) <b>(\d+)', every) == [
        "3",
        "2",
        "1",
    ]
    still = send(drawn.store, "open", HERE + "&show=still").html["copen"]
    assert re.findall(r'class="pl"[^>]*>([^<]*)<', still) == ["sums dev 5"]
    assert '<span class="pc still">still there</span>' in still
    vanished = send(drawn.store, "open", HERE + "&show=vanished&pit=glore").html["copen"]
    assert re.findall(r'class="pl"[^>]*>([^<]*)<', vanished) == ["sums dev 3", "sums dev 4"]


def test_a_chain_opens_in_explore_at_its_pit(drawn: Students) -> None:
    shown = send(drawn.store, "open", HERE + "&show=still").html["copen"]
    before, after = re.findall(r'class="ps" href="([^"]*)"', shown)
    chain = html.unescape(after)
    assert chain.startswith(f"/?problem={cases.PROBLEMS[2].id}&chain=")
    assert chain.endswith("&step=1")
    found = drawn.store.chain(re.search(r"chain=(\w+)", chain)[1])
    assert found is not None
    assert found.model_id == model_id(AFTER)
    assert before != after


def test_the_curve_by_step_and_by_share(drawn: Students) -> None:
    by_step = send(drawn.store, "open").html["copen"]
    assert 'title="embedded/student, step 1' not in by_step  # short names where they differ
    assert 'title="student, step 1: 0.67 [' in by_step
    assert 'title="base, step 2: 0.00 [0.00, 0.00]"' in by_step
    by_share = send(drawn.store, "open", HERE + "&along=share").html["copen"]
    assert 'title="student, 100 % of the way: 0.67 [' in by_share


def test_texts_from_models_and_files_are_escaped(students: Students) -> None:
    hostile = Problem(f"Tom has 8 apples {HOSTILE}", "20", source="<b>s</b>", key="k", split="dev")
    students.store.add_items([SourceItem(hostile)])
    at = "?" + urlencode({"before": BEFORE, "after": AFTER, "source": "<b>s</b>", "split": "dev", "k": "4"})
    students.compare(source="<b>s</b>")
    page = send(students.store, "open", at).html
    for fragment in page.values():
        assert "<img" not in fragment
        assert "<b>s</b>" not in fragment
    assert "&lt;img src=x onerror=" in page["copen"]


def test_an_address_written_by_anyone(students: Students) -> None:
    assert parse("?pit=mine&along=time&show=<b>&skip=-3&k=<script>") == At(k="<script>", skip="-3")
    page = send(students.store, "open", "?" + urlencode({"before": "<script>alert(1)</script>", "after": "x" * 900}))
    assert "<script>" not in "".join(page.html.values())


# ---- download


def test_one_click_downloads_the_table_as_it_is_filtered(drawn: Students) -> None:
    client = alone(compare_route(drawn.store))
    shown = send(drawn.store, "open", HERE + "&show=vanished").html["copen"]
    links = [html.unescape(link) for link in re.findall(r'href="(/stepviz/compare/[^"]*)" download', shown)]
    assert [link.partition("?")[0] for link in links] == ["/stepviz/compare/csv", "/stepviz/compare/jsonl"]
    found = client.get(links[0])
    assert found.headers["content-disposition"] == 'attachment; filename="comparison.csv"'
    assert [row["place"] for row in csv.DictReader(io.StringIO(found.text))] == ["sums dev 3", "sums dev 4"]
    rows = [json.loads(line) for line in client.get(links[1]).text.splitlines()]
    assert [row["pit"] for row in rows] == ["vanished", "vanished"]
    assert client.get("/stepviz/compare/xlsx" + HERE).status_code == 404
    gone = client.get("/stepviz/compare/csv?before=hf:/gone&after=embedded")
    assert (gone.status_code, "there is no model" in gone.text) == (404, True)


# ---- pieces


def test_a_curve_of_one_problem_and_many_steps_names_its_ticks() -> None:
    flat = tuple(Estimate(0.5, 0.25, 0.75) for _ in range(30))
    drawn_ = render_compare_curve.values(
        render_compare_curve.Curve(tuple(map(float, range(30))), flat, flat, 1), ("a", "b"), "step"
    )
    assert re.findall(r">(Q|\d+)</span>", drawn_)[-6:] == ["Q", "5", "10", "15", "20", "25"]
    assert "mean V of 1 problem," in drawn_


def test_a_problem_without_measurements_has_a_line_without_a_strip() -> None:
    pair = Pair("p", "?", Trial("a", "wrong", steps=2), Trial("b", "correct", steps=2), "x 1")
    line = render_compare_pits._row(pair, "glore", False)
    assert "strip" not in line
    assert 'class="pc "' in line
