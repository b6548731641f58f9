"""Annotate in a real Chromium, with accounts: by keys, by mouse, over a reload, without a network, past the lease."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from playwright.sync_api import Locator, Page, Route, expect
from sqlalchemy import update

from db.columns import now
from db.models import SlotTable
from db.store import Store, open_store
from db.study_values import SlotRow
from db.values import ModelRow
from stepviz.accounts import hashed
from stepviz.studies import StudyConfig
from stepviz.types import Annotation, SourceItem
from tests import chromium, ui_cases
from tests.chromium import Running

pytestmark = [*chromium.MARKS, pytest.mark.timeout(300)]
SECRET = "correct horse battery"
WRONG, RIGHT = ui_cases.WRONG, ui_cases.RIGHT
WORKED = "Half of $1$ is $\\frac{1}{2}$.\n\\[\\frac{1}{2} = 0.5\\]\n#### 0.5"
OPINIONS = ("0.9", "0.05", ".85", "tiny/", "sorm", "predicted", "ppit", "blind", '"arm"', "gold", "sampled")
_names = (f"study {n}" for n in count(1))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('annotate')}/ui.db") as store:
        store.add_model(ModelRow(ui_cases.SORM, "sorm", "hf:sorm"))
        for name in ("ana", "bob"):
            store.add_user(name, "annotator", hashed(SECRET))
        with chromium.serve(store, accounts=True) as app:
            yield app


def study(running: Running, *texts: str, arm: str = "blind", asked: tuple[str, ...] = ("correct",)) -> int:
    """Of chains of its own; four steps of the first are scored .9, .6, .3, .05."""
    name, of = next(_names), ui_cases.problem()
    chains = [ui_cases.chain(of, text, "sampled", f"{name}/{i}") for i, text in enumerate(texts)]
    running.store.add_items([SourceItem(of, tuple(chains))])
    for chain, scores in zip(chains, ui_cases.SCORES[ui_cases.SORM], strict=False):
        running.store.add_scores(chain.id, ui_cases.SORM, scores[: chain.n])
    config = StudyConfig(asked, 1, "given", {arm: 1}, scorer=ui_cases.SORM)
    return running.store.add_study(name, config.told(), "Be fair.", [(c.id, False) for c in chains], "root")


def opened(page: Page, running: Running, of: int, who: str = "ana") -> None:
    answer = page.request.post(f"{running.url}/login", form={"username": who, "password": SECRET})
    assert answer.ok
    page.goto(f"{running.url}/annotate?study={of}")
    expect(step(page, 1)).to_be_visible()


def step(page: Page, i: int) -> Locator:
    return page.locator(f"#aview .row[data-i='{i}']")


def marked(page: Page, question: str = "correct") -> dict[int, str]:
    """Step → what is marked, as it is sent."""
    found = page.locator(f"#aview [data-act=rate][data-q={question}][aria-checked=true]")
    return {int(b.get_attribute("data-step")): b.get_attribute("data-value") for b in found.all()}


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def saved(page: Page) -> None:
    expect(page.locator("#aview .saved")).to_have_attribute("data-state", "saved")


def slot_of(store: Store, of: int, who: str = "ana") -> SlotRow:
    return store.slots(of, who)[-1]


def said(store: Store, of: int, who: str = "ana") -> list[Annotation]:
    """Every row that was appended, undone ones and all."""
    chain = slot_of(store, of, who).chain_id
    rows = store.annotations(chain, who, history=True)
    return [row.annotation for row in rows]


def lapse(store: Store, of: int) -> None:
    with store.writing() as connection:
        late = update(SlotTable).where(SlotTable.study_id == of).values(lease_until=now() - timedelta(seconds=1))
        connection.execute(late)


def test_signed_in_and_labelled_by_keys_alone(page: Page, running: Running) -> None:
    of, asked, got = study(running, WRONG, RIGHT), [], []
    page.on("request", lambda request: asked.append(request.url))

    def record(route: Route) -> None:
        answer = route.fetch()
        got.append(answer.text())
        route.fulfill(response=answer)

    page.route(re.compile(r"/(annotate|login|gradio_api)"), record)
    page.goto(f"{running.url}/annotate?study={of}")
    page.get_by_label("username").fill("ana")
    page.get_by_label("password").fill(SECRET)
    page.keyboard.press("Enter")
    expect(step(page, 4)).to_be_visible()
    expect(page.locator("#top nav a")).to_have_text(["Annotate"])
    expect(page.locator("#aview .prog")).to_have_text("0 of 2 · yours")
    press(page, "2", "j", "j", "e")
    assert marked(page) == {1: "0", 2: "1", 3: "-1"}
    press(page, "j", "e")
    assert marked(page) == {1: "0", 2: "1", 3: "1", 4: "-1"}, "the first error is further down"
    press(page, "z", "k", "z")
    expect(step(page, 3).locator("[aria-checked=true]")).to_have_count(0)
    assert marked(page) == {1: "0"}
    press(page, "k", "u", "j", "3")
    saved(page)
    page.reload()
    expect(step(page, 3)).to_have_class(re.compile(r"\bon\b"))
    assert marked(page) == {1: "0", 2: "unsure", 3: "-1"}
    press(page, "Enter")
    expect(page.locator("#aview .prog")).to_have_text("1 of 2 · yours")
    first = running.store.slots(of, "ana")[0]
    assert (first.state, first.finish, first.flags) == ("submitted", "found_error", ())
    assert 0 < first.seconds < 120
    press(page, "1", "Enter")
    asks = page.locator("#sv-dialog")
    expect(asks).to_contain_text("Correct? Steps 2, 3 and 4 are not rated, and no error is marked.")
    press(page, "Enter")
    expect(step(page, 2)).to_have_class(re.compile(r"\bon\b"))
    press(page, "Enter")
    asks.get_by_role("button", name="Submit as it is").click()
    expect(page.locator("#aview .empty")).to_contain_text("All done")
    assert slot_of(running.store, of).finish == "solution"
    assert not [url for url in asked if re.search(r"/config|/gradio_api/(?!heartbeat|startup)", url)]
    assert sum("144 candles" in text for text in got) >= 2, "the turn, and again after the reload"
    for text in got:
        assert not [word for word in OPINIONS if word in text]


def test_by_mouse_with_notes_flags_and_three_questions(page: Page, running: Running) -> None:
    of = study(running, WORKED, asked=("correct", "solvable", "decides"))
    opened(page, running, of)
    expect(step(page, 2).locator(".katex")).not_to_have_count(0)
    step(page, 2).get_by_role("radio", name="−1, wrong").click()
    step(page, 1).get_by_role("radio", name="yes, it can still be solved").click()
    step(page, 3).get_by_role("radio", name="this step decides").click()
    step(page, 2).locator(".tx").click()
    press(page, "q", "q", "n")
    assert page.evaluate("document.activeElement.name") == "step_note"
    page.keyboard.type("</p><script>document.title='pwned'</script> 1 2 3 e z")
    press(page, "Escape")
    expect(step(page, 2).locator(".said")).to_contain_text("</p><script>")
    assert marked(page, "solvable") == {1: "1"}
    press(page, "3")
    saved(page)
    assert [(a.question, a.step, a.value) for a in said(running.store, of)] == [
        ("correct", 2, -1), ("solvable", 1, 1), ("decides", 0, 3), ("solvable", 2, -1),
    ]  # fmt: skip
    assert said(running.store, of)[-1].note.startswith("</p><script>"), "it waited for the rating"
    page.get_by_label("Note on the item").fill("reads oddly")
    page.get_by_label("bad problem", exact=True).check()
    expect(page.get_by_role("radio", name="bad_problem")).to_be_checked()
    page.reload()
    expect(page.get_by_label("Note on the item")).to_have_value("reads oddly")
    expect(step(page, 2).locator(".said")).to_contain_text("</p><script>")
    page.locator("#aview").get_by_role("button", name="Submit").click()
    expect(page.locator("#aview .empty")).to_contain_text("All done")
    done = slot_of(running.store, of)
    assert (done.finish, done.flags, done.note) == ("bad_problem", ("bad_problem",), "reads oddly")


def test_without_a_network_nothing_is_lost_and_nothing_is_said_twice(page: Page, running: Running) -> None:
    of, heard = study(running, WRONG), []
    opened(page, running, of)

    def deaf(route: Route) -> None:  # the server hears it, and the answer is lost
        heard.append(route.fetch().status)
        route.abort()

    page.route("**/stepviz/annotate/label", deaf)
    press(page, "1")
    expect(page.locator("#aview .saved")).to_contain_text("Not saved: 1 change kept here")
    page.unroute("**/stepviz/annotate/label")
    page.route("**/stepviz/annotate/*", lambda route: route.abort())
    press(page, "j", "3")
    expect(page.locator("#aview .saved")).to_contain_text("2 changes kept here")
    assert marked(page) == {1: "1", 2: "-1"}
    press(page, "Enter")
    expect(page.locator("#aview .tab")).to_have_class(re.compile("busy"))
    page.reload()
    expect(page.locator("#aview .empty")).to_contain_text("The server does not answer")
    page.unroute("**/stepviz/annotate/*")
    expect(page.locator("#aview .empty")).to_contain_text("All done")
    assert heard == [200] * len(heard) != []
    assert [(a.step, a.value) for a in said(running.store, of)] == [(1, 1), (2, -1)]
    assert slot_of(running.store, of).finish == "found_error"


def test_retry_now_asks_at_once(page: Page, running: Running) -> None:
    of = study(running, WRONG)
    opened(page, running, of)
    page.route("**/stepviz/annotate/label", lambda route: route.abort())
    press(page, "1")
    expect(page.locator("#aview .saved")).to_have_attribute("data-state", "failed")
    page.unroute("**/stepviz/annotate/label")
    page.get_by_role("button", name="Retry now").click()
    saved(page)
    expect(page.locator("#aview .says")).to_be_empty()
    assert len(said(running.store, of)) == 1


def test_signed_out_meanwhile_keeps_the_labels_for_the_same_person(page: Page, running: Running) -> None:
    of = study(running, WRONG)
    opened(page, running, of)
    page.context.clear_cookies()
    press(page, "1")
    notice = page.locator("#aview .notice[data-kind=out]")
    expect(notice).to_contain_text("sent when you sign in again")
    press(page, "j", "1")
    notice.get_by_role("link", name="Sign in again").click()
    expect(page.get_by_label("password")).to_be_visible()
    assert said(running.store, of) == []
    opened(page, running, study(running, RIGHT), "bob")
    saved(page)
    assert said(running.store, of) == [], "bob says nothing for ana"
    opened(page, running, of)
    saved(page)
    assert marked(page) == {1: "1", 2: "1"}
    assert [(a.annotator, a.step) for a in said(running.store, of)] == [("ana", 1), ("ana", 2)]
    page.request.post(f"{running.url}/login", form={"username": "bob", "password": SECRET})  # in another tab
    press(page, "j", "j", "3")
    expect(notice).to_contain_text("somebody else signed in here")
    assert len(said(running.store, of)) == 2
    running.store.change_user("bob", disabled=True)
    try:
        page.reload()
        empty = page.locator("#aview .empty")
        expect(empty).to_contain_text("This account is closed")
        empty.get_by_role("link", name="Sign out").click()
        expect(page.get_by_label("password")).to_be_visible()
    finally:
        running.store.change_user("bob", disabled=False)


def test_an_item_whose_time_ran_out_is_taken_again_or_said_to_be_anothers(page: Page, running: Running) -> None:
    of = study(running, WRONG, RIGHT)
    opened(page, running, of)
    lapse(running.store, of)
    press(page, "1")
    expect(page.locator(".sv-toast")).to_contain_text("It is still yours")
    saved(page)
    assert [a.step for a in said(running.store, of)] == [1]
    lapse(running.store, of)
    theirs = running.store.next_slot(of, "bob", 1, 600, lambda _: "blind")
    assert theirs.position == 0
    press(page, "j", "3")
    lost = page.locator("#aview .notice[data-kind=lost]")
    expect(lost).to_contain_text("somebody else has it now")
    expect(lost).to_contain_text("was not saved: step 2: −1.")
    expect(step(page, 2)).to_contain_text("144 - 12 = 132")
    assert slot_of(running.store, of).position == 1
    assert [a.step for a in said(running.store, of)] == []


def test_the_arms_that_show_something(page: Page, running: Running) -> None:
    opened(page, running, study(running, WRONG, arm="scores"))
    expect(page.locator("#aview .row .sc.num")).to_have_text(["", ".90", ".60", ".30", ".05"])
    opened(page, running, study(running, WRONG, arm="pit"))
    expect(page.locator("#aview .row.ppit .no")).to_have_text(["3"])


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits(page: Page, running: Running, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, running, study(running, WRONG, asked=("correct", "solvable", "decides")))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    for part in (".tab", ".side", ".vhead"):
        assert page.locator(f"#aview {part}").evaluate("e => e.scrollWidth <= e.clientWidth"), part
    box = page.locator("#aview").get_by_role("button", name="Submit").bounding_box()
    assert box["y"] + box["height"] <= 800


def test_a_guideline_that_has_changed_is_said(page: Page, running: Running) -> None:
    of = study(running, WRONG, RIGHT)
    opened(page, running, of)
    running.store.revise_guideline(of, "Be fairer.", "root")
    page.reload()
    says = page.locator("#aview .notice[data-kind=guideline]")
    expect(says).to_contain_text("There is a newer guideline, version 2. This item still goes by version 1")
    press(page, "e", "Enter")
    expect(says).to_contain_text("this is version 2, and your last item went by version 1")
    expect(page.locator("#aview .gtext")).to_have_text("Be fairer.")
