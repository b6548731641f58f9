"""The Refine page without a browser: what it shows of a draft, its refinements and the ledger, and what it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from db.store import Store, open_store
from stepviz.types import VerdictValue
from stepviz.ui import render_ledger, render_refine_bar
from stepviz.ui.refine_address import At, parse
from stepviz.ui.refine_page import Refine
from stepviz.ui.view_refine import page_of
from stepviz.ui.workbench import Workbench
from tests import ui_cases
from tests.refine_cases import KEEPS, LOCAL, Scripted, checkpoints
from tests.store_cases import new_url


class Page:
    """A store with one refined draft, and the page over it."""

    def __init__(self, store: Store, specs: dict[str, str]) -> None:
        self.store, self.ids = store, ui_cases.fill(store)
        self.script = Scripted(store, specs)
        self.line = self.script.refine(self.ids["wrong"])
        self.bench = Workbench(store)
        self.page = Refine(self.bench)

    def html(self, query: str, act: str = "open", **sent: object) -> dict[str, str]:
        return self.page.act({"act": act, "at": query, **sent}, "ana").html

    def text(self, query: str, pane: str) -> str:
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.html(query)[pane]))


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture
def page(tmp_path: Path, specs: dict[str, str]) -> Iterator[Page]:
    with open_store(new_url(tmp_path)) as store:
        yield Page(store, specs)


def underlined(html: str) -> list[str]:
    return [re.sub("<.*?>", "", u) for u in re.findall(r"<u>(.*?)</u>", html)]


def test_a_draft_stands_beside_what_the_orm_picked(page: Page) -> None:
    shown = page_of(page.bench, At(chain=page.ids["wrong"]))
    assert shown.draft is not None
    assert shown.refined is not None
    assert (shown.draft.page.chain, shown.refined.note) == (page.ids["wrong"], "rewritten from step 2")
    assert page.store.chain(shown.refined.page.chain).chain.text == LOCAL
    assert [(c.name, c.score, c.verdict, c.picked) for c in shown.cards] == [
        ("draft", 0.21, "wrong", False),
        ("global", 0.12, "wrong", False),
        ("local", 0.91, "correct", True),
    ]
    assert (shown.bar.when, shown.bar.flagged, shown.bar.threshold, shown.bar.how) == (0.21, 2, 0.5, "both")
    assert shown.bar.lacks == ""


def test_what_stays_is_grey_and_what_changed_is_underlined(page: Page) -> None:
    html = page.html(f"?chain={page.ids['wrong']}")["rview"]
    left, right = html.split('<section class="half right">')
    assert left.count(" kept") == right.count(" kept") == 1
    assert underlined(left) == ["122", "122", "244", "244"]
    assert underlined(right) == ["132", "for sale", "132", "264", "264"]
    assert "Fixed" in html


def test_another_candidate_is_an_address(page: Page) -> None:
    html = page.html(f"?refinement={page.line}&show=global")["rview"]
    assert "rewritten as a whole" in html
    assert 'aria-checked="true" data-act="show" data-name="global"' in html
    assert "272" in html


def test_the_threshold_of_the_address_moves_the_flag(page: Page) -> None:
    at = f"?chain={page.ids['wrong']}&t="
    assert page_of(page.bench, parse(at + "0.25")).bar.flagged == 3
    assert page_of(page.bench, parse(at + "0.01")).bar.flagged is None
    assert "no step" in page.text(at + "0.01", "rform")
    by_hand = page_of(page.bench, parse(f"?chain={page.ids['wrong']}&step=3")).bar
    assert by_hand.step == 3
    assert "step 3 by hand" in page.text(f"?chain={page.ids['wrong']}&step=3", "rform")


def test_the_gate_says_what_it_would_decide(page: Page) -> None:
    page.script.refine(page.ids["right"], gate=0.5)
    assert "ORM .91 spared" in page.text(f"?chain={page.ids['right']}", "rform")
    assert "The ORM believes this draft (.91 > .50)" in page.text(f"?chain={page.ids['right']}", "rview")
    assert "spared" not in page.text(f"?chain={page.ids['right']}&gate=always", "rform")
    assert '<option value="0" selected>' in page.html(f"?chain={page.ids['right']}&gate=0")["rform"]


@pytest.mark.parametrize(("verdict", "said"), [("correct", "rightly"), ("wrong", "wrongly"), ("unknown", "nobody")])
def test_whether_the_gate_was_right_is_said_where_it_is_known(page: Page, verdict: VerdictValue, said: str) -> None:
    page.script.refine(page.ids["right"], gate=0.5)
    page.store.override_verdict(page.ids["right"], verdict, "by hand", "ana")
    assert f"The gate spared it: {said}" in page.text(f"?chain={page.ids['right']}", "rview")


def test_every_line_of_the_ledger_is_a_link_and_the_filters_work(page: Page) -> None:
    page.script.refine(page.ids["right"], gate=0.5)
    page.script.refine(page.ids["wrong"], at=3)
    everything = page.html("?")["ledger"]
    links = re.findall(r'href="\?([^"]*)" data-line="(\d+)"', everything)
    assert [int(line) for _, line in links] == [3, 2, 1]
    assert all(f"refinement={line}" in link for link, line in links)
    for query, lines in (("?when=spared", [2]), ("?where=hand", [3]), ("?gain=same", [2]), ("?by=global", []),
                         (f"?of=chain&chain={page.ids['wrong']}", [3, 1]), ("?gain=nonsense", [3, 2, 1])):  # fmt: skip
        found = re.findall(r'data-line="(\d+)"', page.html(query)["ledger"])
        assert [int(line) for line in found] == lines, query
    assert "gain=fixed" in re.findall(r'href="([^"]*)"', page.html("?gain=fixed")["ledger"])[0], "a link keeps filters"


def test_a_line_of_the_ledger_says_itself_what_the_bar_says(page: Page) -> None:
    form = "t=0.2&gate=0.3&how=local&step=3&samples=4&no_flag=skip&target=suffix&sorm=embedded:orm"
    link = re.search(r'href="([^"]*)" data-line', page.html(f"?{form}&gain=fixed")["ledger"])[1]
    assert link == f"?refinement={page.line}&amp;gain=fixed"
    page.script.refiner.local = "So 6 * 24 - 12 = 132."
    page.script.refine(page.ids["wrong"], how="local", samples=2)
    assert page.text("?", "ledger").count("2 samples") == 1


def test_a_step_given_by_hand_is_taken_back(page: Page, no_worker: None) -> None:
    line = page.script.refine(page.ids["wrong"], at=3)
    assert page_of(page.bench, parse(f"?refinement={line}")).bar.step == 3
    taken_back = f"?refinement={line}&step=0"
    assert page_of(page.bench, parse(taken_back)).bar.step is None
    assert 'name="step" value="0"' in page.html(taken_back)["rform"]
    page.html(taken_back, "refine", step="0", how="local", t="0.5", **page.script.specs)
    assert page.store.runs()[0].spec.get("at") is None


def test_addresses_of_nowhere_say_so(page: Page) -> None:
    assert "There is no refinement 99" in page.text("?refinement=99", "rview")
    assert "names no refinement" in page.text("?refinement=x&of=chain", "rview")
    assert "This chain is not in this store" in page.text("?chain=nobody", "rview")
    assert "rewritten from step 2" in page.text("?", "rview"), "without an address the newest line is open"
    assert page.text(f"?chain={page.ids['wrong']}&run=99&t=9&gate=x&skip=5&show=nobody", "rview")


def test_hostile_text_is_escaped_on_both_sides(page: Page) -> None:
    page.script.refiner.local = page.script.refiner.globally = ui_cases.HOSTILE_CHAIN + "\n<u>not ours</u>"
    page.script.refine(page.ids["bad"])
    panes = page.html(f"?chain={page.ids['bad']}")
    for html in panes.values():
        assert "<script" not in html
        assert "<img" not in html
        assert "<u>not ours" not in html
        assert "<i>x</i>" not in html
    assert "&lt;script&gt;" in panes["rview"]


def test_what_is_odd_about_a_refinement_is_said(page: Page) -> None:
    draft = page.store.chain(page.ids["right"]).chain.text
    page.script.refiner.local, page.script.refiner.globally = draft, "[BAD] " + draft.replace("264", "265")
    page.script.refine(page.ids["right"], at=2)
    notes = [card.notes for card in page_of(page.bench, At(chain=page.ids["right"])).cards]
    assert notes == [(), ("the refiner repeated [BAD] 1 time; taken out",), ("says what the draft says",)]
    page.script.refiner.local, page.script.refiner.reason = "She buys 6 * 24 = 144 candles.\nShe", "length"
    page.script.refine(page.ids["wrong"], how="local", threshold=0.4)
    page.script.refine(page.ids["wrong"], how="local", at=3)
    cut = page_of(page.bench, At(chain=page.ids["wrong"])).cards[1]
    assert cut.notes == ("cut off by the token limit, so never picked",)


def test_without_models_the_page_says_how_to_train_them(tmp_path: Path) -> None:
    with open_store(new_url(tmp_path)) as store:
        ids = ui_cases.fill(store)
        shown = page_of(Workbench(store), At(chain=ids["wrong"], refiner="embedded:nobody"))
        assert (
            "there is no model embedded:nobody here yet: train one by `python -m stepviz dataset build"
            in shown.bar.lacks
        )
        html = render_refine_bar.bar(shown)
        assert re.search(r"<button[^>]*pri[^>]* disabled", html)
        assert "<code>python -m stepviz dataset build refine-local</code>" in html
        assert "Nothing has been refined yet" in render_ledger.ledger(shown)
        bare = Refine(Workbench(store)).act({"act": "open", "at": ""}, "ana").html["rview"]
        assert "No chain is open" in bare
        assert f"?chain={ids['wrong']}" in bare
        reply = Refine(Workbench(store)).act({"act": "nonsense", "at": "?"}, "ana").reply
        assert "no action" in reply


def test_refine_starts_the_run_that_the_form_describes(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.jobs.ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)
    at = f"?chain={page.ids['wrong']}"
    form = {"gate": "0.5", "t": "0.25", "how": "local", "step": "", **page.script.specs}
    update = page.page.act({"act": "refine", "at": at, **form}, "ana")
    run = page.store.runs()[0]
    assert (run.kind, run.spec["chains"]) == ("refine", [page.ids["wrong"]])
    assert (run.spec["gate"], run.spec["threshold"], run.spec["how"]) == (0.5, 0.25, "local")
    assert 'data-kind="run" data-nonce' in update.reply
    assert f'data-text="{run.id}"' in update.reply
    page.script.work()
    done = page_of(page.bench, parse(f"{at}&run={run.id}"))
    assert (done.line.where, done.line.threshold) == (3, 0.25)
    with pytest.raises(Exception, match="Open a chain first"):
        page.page.act({"act": "refine", "at": "?chain=nobody", **form}, "ana")


def test_samples_the_unflagged_and_what_is_written_are_said_in_the_bar(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepviz.jobs.ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)
    at, form = f"?chain={page.ids['wrong']}", {"t": "0.01", "how": "local", **page.script.specs}
    page.page.act({"act": "refine", "at": at, **form, "samples": "3", "no_flag": "argmin", "target": "suffix"}, "ana")
    run = page.store.runs()[0]
    assert [run.spec.get(name) for name in ("samples", "no_flag", "target", "at")] == [3, "argmin", "suffix", None]
    page.script.work()
    line = page_of(page.bench, parse(f"{at}&run={run.id}")).line
    assert [c.name for c in line.candidates] == ["draft", "local", "local 2", "local 3"]
    bar = page.html(f"?refinement={line.id}")["rform"]
    assert '<option value="3" selected>3</option>' in bar
    assert "<summary>3 samples, from the lowest step</summary>" in bar
    assert "<summary>More</summary>" in page.html(f"{at}&samples=1&no_flag=global")["rform"]


def test_a_forged_form_falls_back_to_what_the_form_can_say(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.jobs.ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)
    forged = {"how": "sideways", "no_flag": "<b>", "target": "x", "samples": "9" * 9, "t": "0.3", **page.script.specs}
    page.page.act({"act": "refine", "at": f"?chain={page.ids['wrong']}", **forged}, "ana")
    spec = page.store.runs()[0].spec
    assert [spec[name] for name in ("how", "no_flag", "samples", "threshold")] == ["both", "global", 32, 0.3]


def test_the_same_settings_again_open_the_line_that_is_there(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.script.refine(page.ids["wrong"], threshold=0.25)
    run_line = page.script.refine(page.ids["wrong"])  # as the first time
    assert page.store.count_refinements() == 2
    assert run_line == 2, "the newest line is the other one"
    run = page.store.runs()[0].id
    assert page_of(page.bench, parse(f"?chain={page.ids['wrong']}&run={run}")).line.id == page.line


def test_score_is_offered_where_nothing_was_scored(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.jobs.ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)
    chosen = {name: page.script.specs[name] for name in ("orm", "sorm")}
    at = "?" + urlencode({"chain": page.ids["right"], **chosen})
    assert 'data-act="score"' in page.html(at)["rview"]
    page.html(at, "score")
    page.script.work()
    assert page_of(page.bench, parse(at)).bar.scored
    assert 'data-act="score"' not in page.html(at)["rview"]
    assert KEEPS not in page.html(at)["rview"]
