"""The Agreement page without a browser: what can be chosen, what is told, and what is said where nothing can be."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from db.store import Store
from stepviz.agree import Settings, compare
from stepviz.agreement.tables import Number
from stepviz.types import Annotation, SourceItem
from stepviz.ui.agreement_at import At, parse
from stepviz.ui.agreement_plots import thinned
from stepviz.ui.render_agreement_numbers import reasons_of, written
from tests import agreement_cases
from tests.agreement_cases import EXACT_BOB, EXACT_SCORER, SCORER, World, doors, explore, numbers, send, told
from tests.page_cases import said
from tests.store_cases import chain, problem
from tests.ui_cases import HOSTILE

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def world(store: Store) -> World:
    return agreement_cases.fill(store)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    agreement_cases.wait_for_all(monkeypatch)


def test_the_numbers_are_those_of_the_command(store: Store, world: World) -> None:
    for at in (EXACT_BOB, EXACT_SCORER, "?a=bob&b=ana"):
        shown, known = numbers(told(store, at)), compare(store, parse(at).settings)
        for part in ("detection", "localisation", "processbench", "by_step"):
            for name, number in getattr(known.report, part).items():
                assert shown[f"{part}.{name}"] == written(number.value), (at, part, name)
    assert numbers(told(store, EXACT_BOB))["localisation.exact"] == "0"
    assert numbers(told(store, EXACT_SCORER))["processbench.f1"] == "1"
    # eight steps: one error scored .2, one fine step .9, six .8
    assert numbers(told(store, EXACT_SCORER))["scores.brier"] == written((0.2**2 + 0.1**2 + 6 * 0.2**2) / 8)


def test_what_is_undefined_says_why_in_its_place(store: Store, world: World) -> None:
    report = told(store, "?a=exact&b=ana")
    row = re.search(r'data-number="detection.kappa">.*?</div>', report)[0]
    assert "–</b>" in row
    assert "one of the two gave every label alike" in row
    row = re.search(r'data-number="localisation.exact">.*?</div>', report)[0]
    assert "there is no chain in which both see an error" in row


def test_every_number_of_a_scorer_says_of_how_many_steps(store: Store, world: World) -> None:
    report = told(store, EXACT_SCORER)
    rows = re.findall(r'data-number="((?:scores|at)\.[^"]+)">.*?<span class="cnt">(.*?)</span></div>', report)
    assert {name for name, _ in rows} >= {"scores.roc_auc", "scores.ece", "at.balanced", "at.f1", "at.kappa"}
    of = {"at.precision": "1", "at.recall": "1"}  # one is flagged, one is an error
    for name, count in rows:
        assert count.endswith(f">{of.get(name, '8')}</a>"), (name, count)


def test_why_there_is_no_interval_stands_once_beneath() -> None:
    rows = [Number(0.5, why="too few"), Number(0.7, why="too few"), Number(0.5, 0.4, 0.6), Number(None, why="no error")]
    assert reasons_of(rows) == '<p class="dim fine">No interval: too few.</p>'


def test_numbers_as_they_are_written() -> None:
    known = {0.6008: ".601", 1: "1", 0: "0", -0.0124: "−.012", 0.9999: "1.000", None: "–", -1: "−1", -0.0001: ".000"}
    assert {x: written(x) for x in known} == known


def test_the_square_lists_its_two_cells(store: Store, world: World) -> None:
    """By bob the wrong chain's step 2 is not correct; by the scorer it can be solved from there, not from step 1."""
    report = told(store, EXACT_SCORER + f"&right=bob&solved={SCORER}")
    found = {dict(parse_qsl(urlsplit(link).query))["cell"].partition("@")[0]: n for link, n in doors(report)}
    assert [found.get(cell, "0") for cell in ("right_open", "dead_end", "recoverable", "wrong_lost")] == [
        "7",
        "1",
        "1",
        "0",
    ]
    listed = html.unescape(
        re.search(r'<p class="listed"><b>wrong but recoverable</b><a class="link" href="([^"]*)', report)[1]
    )
    shown = explore(store, "open", urlsplit(listed).query).html
    assert f'data-chain="{world.wrong}" data-selected="2"' in shown["view"]
    assert "wrong but recoverable: not correct by bob" in shown["chains"]


def test_plots_are_there_for_a_scorer_alone(store: Store, world: World) -> None:
    page = send(store, "open", EXACT_SCORER).html
    assert all(page[name] is not None for name in ("sweep", "roc", "pr", "reliability"))
    assert "data-plots" in page["areport"]
    assert "http" not in page["sweep"].plot
    people = send(store, "open", EXACT_BOB).html
    assert all(people[name] is None for name in ("sweep", "roc", "pr", "reliability"))
    assert "data-plots" not in people["areport"]
    many = [(i / 5000, 1 - i / 5000) for i in range(5001)]
    assert (len(thinned(many)), thinned(many)[0], thinned(many)[-1]) == (400, many[0], many[-1])


def test_recalibration_is_saved_with_the_model(store: Store, world: World) -> None:
    answer = send(store, "calibrate", EXACT_SCORER, model=SCORER, on="test", kind="isotonic")
    assert "Saved with tiny/sorm: isotonic, learnt from 8 steps of test." in html.unescape(answer.reply)
    assert numbers(answer.html["areport"])["scores.ece.again"] == "0"
    assert "They are among the steps here: look at another split." in answer.html["areport"]
    assert store.model("tiny/sorm@1").meta["calibrations"][0]["against"] == "exact"
    for wrong in ({"model": "bob"}, {"on": ""}, {"kind": "magic"}, {"on": "dev"}):
        assert said(
            send(store, "calibrate", EXACT_SCORER, **({"model": SCORER, "on": "test", "kind": "isotonic"} | wrong))
        )
    assert len(store.model("tiny/sorm@1").meta["calibrations"]) == 1


# ---- what can be chosen, and what cannot be told


def test_choices_say_how_much_each_has_said(store: Store, world: World) -> None:
    form = send(store, "open", "").html["aform"]
    for words in ("ana · 14 labels", "bob · 2 labels", f"{SCORER} · 14 steps", "equations · sympy"):
        assert words in form
    assert "rollouts" not in form  # nothing was drawn
    assert "embedded:sorm · has scored nothing here yet" in form
    at = parse(html.unescape(re.search(r'data-address="([^"]*)"', form)[1]))
    assert (at.a, at.b, at.question) == ("exact", SCORER, "solvable")
    again = send(store, "open", at.query()).html["aform"]
    assert again.partition("<form")[2] == form.partition("<form")[2]
    assert f'data-asked="{html.escape(at.query())}"' in again  # answers may overtake each other


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("?a=exact&b=nobody", "Nobody of that name"),
        ("?a=exact&b=embedded:sorm", "has scored nothing here yet"),
        ("?a=exact&b=ana&question=solvable", "No item in common"),
        ("?a=exact&b=equations&question=solvable", "not whether they are solvable"),
        ("?a=exact&b=ana&threshold=2", "between 0 and 1"),
        (f"?a=exact&b={SCORER}&tune_split=dev", "another split must be looked at"),
        (f"?a=exact&b={SCORER}&tune_split=dev&split=test", "no threshold can be chosen on dev"),
        ("?a=<script>&b=ana", "nobody is called &#x27;&lt;script&gt;&#x27;".replace("nobody", "Nobody")),
    ],
)
def test_what_cannot_be_told_says_why(store: Store, world: World, at: str, words: str) -> None:
    report = told(store, at)
    assert words in report
    assert "<script>" not in report


def test_an_empty_store_says_where_to_begin(store: Store) -> None:
    report = told(store, "")
    assert "Nobody has judged a step here yet" in report
    assert 'href="/studies"' in report


def test_hostile_names_and_texts_are_escaped(store: Store) -> None:
    p = problem(HOSTILE, key="h")
    c = chain(p, "0")
    named = "<img src=x onerror=alert(1)>"
    store.add_items(
        [SourceItem(p, (c,), (Annotation(c.id, named, "correct", 1, 1), Annotation(c.id, "bob", "correct", 1, 1)))]
    )
    at = At(named, "bob").query()
    page = send(store, "open", at)
    shown = explore(store, "open", urlsplit(doors(page.html["areport"])[0][0]).query).html
    for text in (*(v for v in page.html.values() if isinstance(v, str)), *shown.values()):
        assert "<img src=x" not in text


def test_settings_are_those_of_the_command() -> None:
    assert parse("?a=x&b=y&threshold=.4&split=test").settings == Settings("x", "y", "correct", None, "test", 0.4)
    assert parse("?a=x&b=y&question=evil").question == "correct"
    assert parse("?a=x&b=y&split=test&tune_split=dev&threshold=.4").settings.threshold is None
