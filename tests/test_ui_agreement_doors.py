"""From every number of the Agreement page a door leads to what it counts, in Explore, with both opinions marked."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from db.store import Store, open_store
from stepviz.types import Annotation, SourceItem
from stepviz.ui.agreement_at import Door, door, parse
from tests import agreement_cases
from tests.agreement_cases import EXACT_BOB, EXACT_SCORER, SCORER, World, asked, behind, doors, explore, told
from tests.store_cases import chain, problem

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests here: none of them changes what another one counts."""
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('doors')}/ui.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def world(store: Store) -> World:
    """With a study, three teachers of the wrong chain, and two of them of the right one."""
    found = agreement_cases.fill(store)
    agreement_cases.study(store)
    for who, first in (("t/1", 1), ("t/2", 1), ("t/3", 4)):
        store.add_annotation(Annotation(found.wrong, who, "first_error", 0, first))
    for who in ("t/1", "t/2"):
        store.add_annotation(Annotation(found.right, who, "first_error", 0, None))
    return found


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    agreement_cases.wait_for_all(monkeypatch)


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
        p = problem(f"How much is {i} and 0?", key=f"test/{i}", answer=str(i))
        c = chain(p, "0", f"{i}+0={i}")
        items.append(
            SourceItem(p, (c,), (Annotation(c.id, "pia", "correct", 1, 1), Annotation(c.id, "quin", "correct", 1, 1)))
        )
    store.add_items(items)
    to = Door("pia", "quin", cell="steps_fine")
    first, last = (explore(store, "open", f"{asked(to)}&passed={n}").html["chains"] for n in (0, 100))
    assert "1–50 of 120" in first
    assert "101–120 of 120" in last
    assert "120 steps, in 120 chains" in re.sub(r"<[^>]+>", "", first)
    assert len(re.findall('<a class="crow dw', last)) == 20
    assert f'href="{html.escape(to.page)}">Back to Agreement' in first


def test_parts_and_the_human_ceiling_of_a_study(store: Store, world: World) -> None:
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
