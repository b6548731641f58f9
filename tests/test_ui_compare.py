"""The Compare page without a browser: its form, its actions, what it says of a comparison, links and downloads."""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from db.store import open_store
from db.values import ModelRow
from stepviz.ui.compare_at import parse
from stepviz.ui.runs import Runs
from stepviz.ui.workbench import Workbench
from tests import compare_cases as cases
from tests.compare_cases import AFTER, BEFORE, HERE, Students, send
from tests.page_cases import said

pytestmark = pytest.mark.usefixtures("no_worker")


def chosen(form: str, name: str) -> str:
    select = re.search(rf'<select class="field" name="{name}".*?</select>', form)[0]
    found = re.search(r'<option value="([^"]*)" selected', select)
    return found[1] if found else ""


def text(fragment: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", fragment))


# ---- the form


def test_a_new_store_offers_the_embedded_base_and_student_and_says_what_to_do(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/new.db") as store:
        page = send(store, "open", "").html
        assert (chosen(page["cform"], "before"), chosen(page["cform"], "after")) == (BEFORE, AFTER)
        assert "This store has no problem of embedded dev." in page["copen"]
        assert 'data-act="world"' in page["copen"]
        added = send(store, "world", "?limit=5").html
        assert store.count_problems() == 5
        assert "Not drawn yet" in added["copen"]


def test_the_newest_training_and_its_parent_are_chosen(students: Students, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    students.store.add_model(ModelRow("embedded/base@1", "generator", BEFORE))
    students.store.add_model(ModelRow("mine@2", "generator", f"hf:{folder}", parents=("embedded/base@1",)))
    form = send(students.store, "open", "").html["cform"]
    assert (chosen(form, "before"), chosen(form, "after")) == (BEFORE, f"hf:{folder}")
    assert "mine · from embedded/base" in text(form)


def test_before_a_run_it_says_what_is_to_be_drawn(students: Students) -> None:
    page = send(students.store, "open").html
    # 6 greedy chains; five steps a chain are guessed: 4 continuations of 6 prefixes for each
    assert "≈\u00a0150\u00a0draws" in page["cform"]
    assert "time\u00a0known\u00a0once\u00a0it\u00a0runs" in page["cform"]
    assert "Not drawn yet" in page["copen"]
    assert "What you compare is listed here." in page["clist"]


def test_the_address_comes_back_with_every_default(students: Students) -> None:
    form = send(students.store, "open").html["cform"]
    address = html.unescape(re.search(r'data-address="([^"]*)"', form)[1])
    at = parse(address)
    assert (at.limit, at.samples, at.k, at.sampling) == ("40", "1", "4", Workbench(students.store).sampling.hash)
    assert send(students.store, "open", address).html["cform"] == form


def test_any_source_can_be_asked_for(students: Students) -> None:
    form = send(students.store, "open", "?source=*&before=embedded:base&after=embedded").html["cform"]
    assert chosen(form, "source") == "*"
    assert chosen(send(students.store, "open", "?before=embedded:base").html["cform"], "source") == "sums"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"after": "hf:/no/such/folder"}, "there is no model 'hf:/no/such/folder'"),
        ({"after": "embedded:base"}, "before and after are the same model: choose two"),
        ({"limit": "many"}, "the number of problems is a whole number"),
        ({"sampling": "unknown"}, "a sampling that this store does not have"),
        ({"source": "nothing"}, "This store has no problem of nothing dev."),
    ],
)
def test_what_cannot_be_is_said_in_the_form_and_on_the_click(
    students: Students, changes: dict[str, str], message: str
) -> None:
    at = "?" + urlencode(parse(HERE).asked | changes)
    form = send(students.store, "open", at).html["cform"]
    assert message in text(form)
    if "source" not in changes:
        assert message in said(send(students.store, "start", at))
        assert students.store.runs() == []


# ---- drawing


def test_a_click_draws_and_the_page_shows_how_far_it_is(students: Students) -> None:
    update = send(students.store, "start")
    (run,) = students.store.runs()
    assert f'data-text="{run.id}"' in update.reply
    assert (run.kind, run.spec["before"], run.spec["limit"]) == ("compare", BEFORE, 40)
    assert "Waiting for the engine." in update.html["copen"]
    assert "disabled" in update.html["cform"]
    assert "sums dev, 40 problems" in update.html["clist"]
    again = send(students.store, "start")
    assert len(students.store.runs()) == 1  # the same comparison is one run
    assert f'data-text="{run.id}"' in again.reply
    assert send(students.store, "poll", seen=re.search(r'data-seen="([^"]*)"', update.html["top"])[1]).html == {}
    students.work()
    done = send(students.store, "poll").html
    assert "Greedy accuracy" in done["copen"]
    assert "Everything is drawn." in done["cform"]
    assert "compared" in done["clist"]


def test_cancel_and_going_on(students: Students) -> None:
    send(students.store, "start")
    (run,) = students.store.runs()
    assert 'data-act="cancel"' in send(students.store, "open").html["copen"]
    stopped = send(students.store, "cancel", run=run.id).html["copen"]
    assert "Drawing was stopped. What was drawn is kept." in stopped
    send(students.store, "resume", run=run.id)
    assert students.store.run(run.id).state == "queued"
    students.work()
    assert "Greedy accuracy" in send(students.store, "open").html["copen"]


def test_a_model_that_cannot_be_loaded_is_said_with_the_way_out(students: Students, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setitem(cases.IDS, AFTER, "student")
    students.worker.load = lambda spec, **_: (_ for _ in ()).throw(
        cases.StepvizError(f"cannot load a model from {spec}")
    )
    send(students.store, "start")
    students.work()
    page = send(students.store, "open").html["copen"]
    assert "cannot load a model from embedded:base" in page
    assert 'data-act="resume"' in page


def test_a_run_leads_here(drawn: Students) -> None:
    page = (
        Runs(Workbench(drawn.store)).act({"act": "open", "at": f"?run={drawn.store.runs()[0].id}"}, "ana").html["page"]
    )
    assert "Comparing" in page
    assert 'href="/compare?before=embedded%3Abase&amp;after=embedded&amp;source=sums' in page
    assert "Show the comparison" in page
