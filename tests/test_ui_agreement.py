"""The Agreement page without a browser: what can be chosen and told, and that each door leads to what it counts."""

from __future__ import annotations

import html
import re
import threading
from urllib.parse import parse_qsl, urlsplit

import pytest

from db.store import Store
from stepviz.agree import Settings, compare
from stepviz.types import Annotation, SourceItem
from stepviz.ui.agreement_at import At, Door, door, parse
from stepviz.ui.agreement_page import Agreement
from stepviz.ui.agreement_plots import thinned
from stepviz.ui.explore import Explore
from stepviz.ui.hearing import Hearing, Stopped, Waiting
from stepviz.ui.render_agreement_numbers import written
from tests import agreement_cases
from tests.agreement_cases import SCORER, World
from tests.page_cases import said, sender
from tests.store_cases import chain, problem
from tests.ui_cases import HOSTILE

pytestmark = pytest.mark.usefixtures("no_worker")
send, explore = sender(Agreement), sender(Explore)
EXACT_BOB, EXACT_SCORER = "?a=exact&b=bob", f"?a=exact&b={SCORER}"


@pytest.fixture
def world(store: Store) -> World:
    return agreement_cases.fill(store)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers wait until what is asked for is computed, however busy the machine is; no interval is looked at."""
    monkeypatch.setattr("stepviz.agreement.resampling.DRAWS", 20)
    waits = Hearing.ask
    monkeypatch.setattr(
        Hearing,
        "ask",
        lambda self, key, compute, total=0, wait_s=0.0, anew=True: waits(self, key, compute, total, 60, anew),
    )


def told(store: Store, at: str) -> str:
    page = send(store, "open", at)
    assert said(page) == ""
    return page.html["areport"] + page.html["amore"]


def numbers(report: str) -> dict[str, str]:
    """Each number's text by its name: `localisation.exact` → `0`."""
    rows = re.findall(r'data-number="([^"]+)">.*?<b class="num[^"]*">([^<]*)</b>', report)
    return dict(rows)


def doors(report: str) -> list[tuple[str, str]]:
    """(address, what stands on it), each door of a page."""
    found = re.findall(r'<a class="door[^"]*" href="([^"]*)"[^>]*>([^<]*)</a>', report)
    return [(html.unescape(link), text) for link, text in found]


def asked(of: Door) -> str:
    return urlsplit(of.query).query


def behind(store: Store, link: str) -> tuple[str, int, int, int]:
    """What Explore shows at a door: its bar's words, things, pairs of labels, chains."""
    shown = explore(store, "chains", urlsplit(link).query).html["chains"]
    counts = re.search(r'data-things="(\d+)" data-pairs="(\d+)" data-chains="(\d+)"', shown)
    assert counts, shown
    listed = len(re.findall(r'<a class="crow dw', shown))
    assert listed == min(50, int(counts[3]))
    words = html.unescape(re.sub(r"<[^>]+>", " ", re.search(r'<div class="doorbar".*?</p>', shown)[0]))
    return " ".join(words.split()), *(int(n) for n in counts.groups())


# ---- doors


@pytest.mark.parametrize(
    "at",
    [
        EXACT_BOB,
        "?a=bob&b=ana",
        EXACT_SCORER,
        EXACT_SCORER + "&question=solvable&threshold=0.85",
        EXACT_SCORER + "&right=bob&solved=exact",
        "?a=t/*&b=t/*",
        "?a=t/*&b=exact",
        f"?a=study:first&b={SCORER}",
        "?a=study:first&b=study:first",
        "?a=adjudicated:first&b=study:first",
    ],
)
def test_behind_every_number_are_as_many_chains_steps_or_pairs_as_it_says(store: Store, world: World, at: str) -> None:
    for who, first in (("t/1", 1), ("t/2", 1), ("t/3", 4)):  # three teachers of the wrong chain; two of the right one
        store.add_annotation(Annotation(world.wrong, who, "first_error", 0, first))
    for who in ("t/1", "t/2"):
        store.add_annotation(Annotation(world.right, who, "first_error", 0, None))
    agreement_cases.study(store)
    found = doors(told(store, at))
    assert len(found) > 10
    for link, text in dict.fromkeys(found):
        words, things, pairs, chains = behind(store, link)
        n = int(re.sub(r"\D", "", text))
        assert n in (things, pairs), (link, words)
        assert chains <= things, link


def test_the_doors_of_two_judges_by_hand(store: Store, world: World) -> None:
    cells = {dict(parse_qsl(urlsplit(link).query))["cell"]: link for link, _ in doors(told(store, EXACT_BOB))}
    assert behind(store, cells["both_err"])[0].endswith("1 chain of which exact and bob both see an error")
    assert behind(store, cells["one_apart"])[1:] == (1, 1, 1)
    assert behind(store, cells["neither"])[1:] == (1, 1, 1)
    # the truth stops at step 1 of the wrong chain, where bob sees nothing
    assert behind(store, cells["steps_only_a"])[0].endswith("1 step, in 1 chain that exact calls errors, bob does not")
    assert behind(store, cells["steps"])[1:] == (8, 8, 2)
    wrong = explore(store, "open", urlsplit(cells["both_err"]).query).html
    assert f'data-chain="{world.wrong}" data-selected="1"' in wrong["view"]
    assert world.right not in wrong["chains"]
    # both first errors are marked: exact bare, a person ringed
    assert wrong["view"].count('class="tag voice') == 2
    assert "first error</b>A exact" in wrong["view"]
    assert "first error</b>B bob" in wrong["view"]
    assert '<i class="hl hm" title="bob: an error">−</i>' in wrong["view"]
    assert '<span title="exact: an error"><i class="ic no' in wrong["view"]


def test_a_prediction_is_dashed_and_a_step_after_the_first_error_is_mute(store: Store, world: World) -> None:
    link = next(link for link, _ in doors(told(store, EXACT_SCORER)) if "cell=exact" in link)
    view = explore(store, "open", urlsplit(link).query).html["view"]
    assert view.count('<i class="hl prd hm" title="tiny/sorm@1: an error">−</i>'.replace("tiny/sorm@1", SCORER)) == 1
    assert view.count(f'<i class="mute" title="{SCORER}: nothing">') == 6


def test_a_door_goes_on_over_pages_and_back(store: Store) -> None:
    """120 chains of as many problems, all labelled fine by two people."""
    items = []
    for i in range(120):
        p = problem(f"What is {i} + 0?", key=f"test/{i}", answer=str(i))
        c = chain(p, "0", f"{i}+0={i}")
        items.append(
            SourceItem(p, (c,), (Annotation(c.id, "ana", "correct", 1, 1), Annotation(c.id, "bob", "correct", 1, 1)))
        )
    store.add_items(items)
    to = Door("ana", "bob", cell="steps_fine")
    first, last = (explore(store, "open", f"{asked(to)}&passed={n}").html["chains"] for n in (0, 100))
    assert "1–50 of 120" in first
    assert "101–120 of 120" in last
    assert "120 steps, in 120 chains" in re.sub(r"<[^>]+>", "", first)
    assert len(re.findall('<a class="crow dw', last)) == 20
    assert f'href="{html.escape(to.page)}">Back to Agreement' in first


def test_parts_and_the_human_ceiling_of_a_study(store: Store, world: World) -> None:
    agreement_cases.study(store)
    report = told(store, f"?a=study:first&b={SCORER}")
    shown = re.sub(r"<[^>]+>", " ", report)
    for words in ("The human ceiling", "By arm: anchoring", "scores shown", "By source", "the scorer in their place"):
        assert words in shown
    cells = {dict(parse_qsl(urlsplit(link).query))["cell"]: link for link, _ in doors(report)}
    # of twelve (person, chain) all have others, or what was settled, to be held against
    assert behind(store, cells["ceiling@others:"])[1:] == (12, 12, 4)
    assert behind(store, cells["ceiling@scorer:ana"])[1:] == (4, 4, 4)
    assert behind(store, cells["steps@source:svamp"])[3] == 1
    words = behind(store, cells["steps@arm:scores"])[0]
    assert words.endswith("in the arm scores")


# ---- numbers


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
    assert send(store, "open", at.query()).html["aform"] == form


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


@pytest.mark.parametrize(
    ("agree", "cell"),
    [
        ("", "both"), ("a|b", "both"), ("a|b|correct||||", "both"), ("a|b|correct|||||f1", "evil"),
        ("|b|correct|||||f1", "both"), ("a|b|nice|||||f1", "both"), ("a|b|correct|||9||f1", "both"),
        ("a|b|correct|||||f1", "recoverable@a"),
    ],
)  # fmt: skip
def test_an_address_that_names_no_cell_is_no_door(store: Store, world: World, agree: str, cell: str) -> None:
    assert door(agree, cell) is None
    shown = explore(store, "open", f"?agree={agree}&cell={cell}").html["chains"]
    assert "doorbar" not in shown


def test_a_door_of_nobody_or_of_no_part_says_so(store: Store, world: World) -> None:
    shown = explore(store, "open", asked(Door("exact", "nobody", cell="both"))).html["chains"]
    assert "nobody is called" in shown
    for part in ("position:x", "position:²", "evil:1"):
        shown = explore(store, "open", asked(Door("exact", "bob", cell="steps", part=part))).html["chains"]
        assert "There is no part" in shown
    assert (
        "There is no part"
        in explore(store, "open", asked(Door("exact", "bob", cell="scored", part="bin:11"))).html["chains"]
    )


def test_doors_keep_names_of_any_kind() -> None:
    kept = Door("a|b & c=d", "x%7Cy", "solvable", "s", "t", "0.37", "dev", cell="steps", part="position:6–8")
    query = dict(parse_qsl(urlsplit(kept.query).query))
    assert door(query["agree"], query["cell"]) == kept
    crossed = Door("a", "b", cell="recoverable", part="x%7Cy|z")
    query = dict(parse_qsl(urlsplit(crossed.query).query))
    assert door(query["agree"], query["cell"]).crossed == ("x|y", "z")
    assert parse(urlsplit(kept.page).query).tune_split == "dev"
    assert parse(urlsplit(kept.page).query).threshold == ""


# ---- what takes long


@pytest.fixture
def hearing(store: Store, monkeypatch: pytest.MonkeyPatch) -> Hearing:
    monkeypatch.undo()  # answers wait as long as they are told to
    return Hearing(store)


def test_what_takes_long_is_waited_for_elsewhere_and_can_be_stopped(hearing: Hearing) -> None:
    go = threading.Event()

    def slow(tick: object) -> str:
        while not go.wait(0.01):
            tick()
        return "there"

    waiting = hearing.ask("slow", slow, 100, 0.05)
    assert isinstance(waiting, Waiting)
    assert waiting.total == 100
    assert hearing.ask("slow", lambda tick: "another", 0, 0.05).done >= waiting.done  # one computation for all who ask
    hearing.stop(waiting.key)
    with pytest.raises(Stopped):
        hearing.jobs["slow", hearing.state()].future.result(30)
    with pytest.raises(Stopped):
        hearing.ask("slow", slow, 100, 30, anew=False)  # a page that only watches does not begin it again
    go.set()
    assert hearing.ask("slow", slow, 100, 30) == "there"
    assert hearing.ask("slow", lambda tick: "another", 0, 30) == "there"  # kept


def test_what_is_kept_is_of_the_store_as_it_is(hearing: Hearing, store: Store) -> None:
    assert hearing.ask("n", lambda tick: store.count_problems(), 0, 30) == 0
    agreement_cases.fill(store)
    assert hearing.ask("n", lambda tick: store.count_problems(), 0, 30) == 1
    state = hearing.state()
    store.calibrate("tiny/sorm@1", {"kind": "temperature", "t": 2.0, "question": "correct"})
    assert hearing.state() != state


def test_settings_are_those_of_the_command() -> None:
    assert parse("?a=x&b=y&threshold=.4&split=test").settings == Settings("x", "y", "correct", None, "test", 0.4)
    assert parse("?a=x&b=y&question=evil").question == "correct"
    assert parse("?a=x&b=y&split=test&tune_split=dev&threshold=.4").settings.threshold is None
