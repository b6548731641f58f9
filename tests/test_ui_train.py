"""The Train page without a browser: its actions, the curve, and a real training through its own handler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from db.store import Store
from db.values import ModelRow
from stepviz import jobs
from stepviz.ui import compare_at, render_loss, view_train
from stepviz.ui.render_train_form import short
from stepviz.ui.runs import Runs
from stepviz.ui.train_page import Train
from stepviz.ui.view_train import parse
from stepviz.ui.view_train_form import form_of
from stepviz.ui.workbench import Workbench
from tests import training_cases as cases
from tests.job_cases import wait_for
from tests.page_cases import said, sender
from tests.training_cases import SMALL
from tests.ui_cases import HOSTILE

pytestmark = pytest.mark.timeout(900)
PATIENCE = 400.0
send = sender(Train)


@pytest.fixture
def store(store: Store) -> Iterator[Store]:
    """No training is left at work."""
    yield store
    cases.stop_all(store)


@pytest.mark.usefixtures("no_worker")
def test_the_rounds_of_expert_iteration_are_shown(store: Store) -> None:
    asked = {"recipe": "expert-iteration", "base": "embedded:base", "name": "ei", "options": {"preset": "embedded"}}
    run = jobs.start(store, "train", asked, worker=False)
    store.claim_run("me", 60, ("train",))
    rounds = [
        {"number": 0, "model": "s@1", "spec": "embedded", "greedy": 0.5, "rows": 0, "dataset": None},
        {"number": 1, "model": "a@1", "spec": "hf:/a", "greedy": 0.625, "rows": 1234, "dataset": 7},
    ]
    told = {"note": "round 2 of at most 3: sampling", "done": 300, "total": 24000, "unit": "draws",
            "steps": 40, "losses": [[1, 3.0], [40, 1.5]], "loss": 1.5, "rounds": rounds}  # fmt: skip
    store.heartbeat(run, "me", told)
    html = send(store, "look", f"?run={run}").html["topen"]
    assert "round 2 of at most 3: sampling" in html
    assert '<b class="num">300 of 24,000</b><span>draws</span>' in html
    assert (
        '<td class="num">62.5 %</td><td class="num"><a class="link" href="/datasets?dataset=7">1,234 rows</a>' in html
    )
    assert "at step 40 of 40" in html  # the curve's steps, not the draws
    assert "<dt>Samples a question</dt>" in html
    assert "python -m training expert-iteration --base embedded:base" in html
    assert "/compare" not in html  # nothing yet to compare
    store.finish_run(run, "cancelled")
    html = send(store, "look", f"?run={run}").html["topen"]
    assert "Nothing of the last round was kept; its finished round is a model of its own, and all draws" in html
    store.resume_run(run)
    store.claim_run("me", 60, ("train",))
    store.add_model(ModelRow("ei@1", "generator", "hf:/ei", ("embedded/base@1",), run, {"round": 1}))
    store.heartbeat(run, "me", told | {"model": "ei@1"})
    store.finish_run(run, "done")
    page = view_train.open_training(Workbench(store), parse(f"?run={run}"))[0]
    assert page.compare == "/compare?before=embedded&after=hf%3A%2Fei&source=embedded&split=dev"
    assert [r.best for r in page.rounds] == [False, True]


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize(
    ("role", "before"), [("orm", "embedded:orm"), ("sorm", "embedded:sorm"), ("prm", ""), ("refiner", "")]
)
def test_a_trained_scorer_is_compared_with_the_one_of_its_kind_that_ships(
    store: Store, tmp_path: Path, role: str, before: str
) -> None:
    """No process reward model ships, and a refiner is no judge of steps."""
    folder = cases.scorer(tmp_path / "mine")
    spec = {"recipe": "sorm", "name": "mine", "datasets": [], "base": "embedded:student", "out": str(folder),
            "settings": {}, "options": {}}  # fmt: skip
    run = store.add_run("train", spec)
    store.claim_run("me", 60, ("train",))
    store.add_model(ModelRow("mine@1", role, f"hf:{folder}", run_id=run))
    store.heartbeat(run, "me", {"model": "mine@1"})
    store.finish_run(run, "done")
    link = re.search(r'href="/compare([^"]*)" title="([^"]*)"', send(store, "look", f"?run={run}").html["topen"])
    if not before:
        assert link is None
        return
    at = compare_at.parse(unescape(link[1]))
    assert (at.before, at.after) == (before, f"hf:{folder}")
    assert link[2] == "With the one that ships, on the same chains"


@pytest.mark.usefixtures("no_worker")
def test_addresses_of_nothing_and_of_other_runs(store: Store) -> None:
    assert "No training yet" in send(store, "open").html["topen"]
    assert "none that fits" in send(store, "open").html["topen"]
    steps = cases.labelled(store, 8)  # nothing that the first training of the list could learn from
    assert "press Train" in send(store, "open", f"?dataset={steps.id}").html["topen"]
    assert "There is no run 77" in send(store, "look", "?run=77").html["topen"]
    other = store.add_run("import", {"format": "gsm8k", "path": "x"})
    assert "is no training" in send(store, "look", f"?run={other}").html["topen"]
    assert parse("?run=1x&dataset=-3") == parse("")
    assert "has no action" in said(send(store, "paint"))
    assert "is not a number of a run" in said(send(store, "cancel", run="x"))


@pytest.mark.usefixtures("no_worker")
def test_hostile_names_and_reasons_are_text(store: Store) -> None:
    cases.solutions(store, name=HOSTILE)
    spec = {"recipe": HOSTILE, "name": HOSTILE, "datasets": [1], "base": HOSTILE, "out": "/" + HOSTILE,
            "settings": {"epochs": HOSTILE}, "options": {}}  # fmt: skip
    run = store.add_run("train", spec)
    store.log(run, HOSTILE)
    store.finish_run(run, "failed", HOSTILE)
    update = send(store, "open", f"?run={run}")
    for html in update.html.values():
        assert "<img" not in html
    assert "&lt;img src=x" in update.html["topen"]
    assert "&lt;img src=x" in update.html["tform"]


@pytest.mark.usefixtures("no_worker")
def test_a_failure_says_why_and_can_go_on(store: Store, base: Path) -> None:
    run = jobs.start(store, "train", cases.spec(cases.solutions(store), base), worker=False)
    store.claim_run("me", 60, ("train",))
    store.heartbeat(run, "me", {"done": 5, "total": 10, "loss": 1.5, "losses": [[1, 3.0], [5, 1.5]]})
    html = send(store, "look", f"?run={run}").html["topen"]
    assert 'style="width:50%"' in html
    assert '<b class="num">5 of 10</b>' in html
    store.finish_run(run, "failed", "the training ran out of memory")
    html = send(store, "look", f"?run={run}").html["topen"]
    assert "the training ran out of memory" in html
    assert 'data-act="resume"' in html
    send(store, "resume", f"?run={run}", run=str(run))
    assert store.run(run).state == "queued"
    listed = Runs(Workbench(store)).act({"act": "open", "at": f"?run={run}"}, "ana").html["page"]
    assert f'href="/train?run={run}">Show the training' in listed


@pytest.mark.usefixtures("no_worker")
def test_what_is_kept_is_said_and_can_be_given_up(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    run = jobs.start(store, "train", cases.spec(made, base), worker=False)
    store.claim_run("gone", -1.0, ("train",))
    kept = cases.left(store, run)
    html = send(store, "look", f"?run={run}").html["topen"]
    assert "The training was interrupted: its process is gone. Its last checkpoint is kept." in html
    assert 'data-act="discard"' in html
    sent = {"recipe": "sft", "of": "sft", "base": "own", "own": str(base), "data": str(made.id), **SMALL}
    taken = send(store, "form", **(sent | {"name": "mine", "epochs": "3"})).html["tform"]
    assert f'belongs to the interrupted <a class="link" href="?run={run}" data-run="{run}">run {run}</a>' in taken
    send(store, "cancel", f"?run={run}", run=str(run))
    html = send(store, "look", f"?run={run}").html["topen"]
    assert not kept.exists()
    assert "Nothing of the model was kept." in html
    assert "Start it again" in html
    assert "discard" not in html
    cases.left(store, run)  # as an older version has left it
    store.resume_run(run)
    store.finish_run(run, "failed", "killed")
    assert "give up that checkpoint there" in send(store, "form", **(sent | {"name": "mine"})).html["tform"]
    html = send(store, "discard", f"?run={run}", run=str(run)).html["topen"]
    assert not kept.exists()
    assert "Start it again" in html


@pytest.mark.usefixtures("no_worker")
def test_a_cancel_that_came_too_late_is_said(store: Store, base: Path) -> None:
    run = jobs.start(store, "train", cases.spec(cases.solutions(store), base), worker=False)
    store.claim_run("me", 60, ("train",))
    store.heartbeat(run, "me", {"done": 9, "total": 9, "note": "the cancel came when the model was made: it is kept"})
    store.finish_run(run, "done")
    assert "it is kept" in send(store, "look", f"?run={run}").html["topen"]


# ---- the curve


def test_the_curve_by_hand() -> None:
    """Steps 1 and 2 of 4, losses 4 and 2: a quarter and a half of the way; both on ticks of the ordinate."""
    html = render_loss.curve([(1, 4.0), (2, 2.0)], 4, running=True)
    assert 'd="M250.0 0.0L500.0 300.0"' in html
    assert "loss 4 at step 1, 2 at step 2 of 4" in html
    assert 'style="left:50.00%;top:100.00%"' in html
    assert "logarithmic" not in html
    assert "logarithmic" in render_loss.curve([(1, 10.0), (2, 0.1)], 4, running=False)


def test_the_running_mean_by_hand() -> None:
    """25 points look back over three: weights 1, 2/3, 4/9 …"""
    points = [(i, float(i == 0)) for i in range(25)]
    found = render_loss.smoothed(points)
    assert found[0] == (0, 1.0)
    assert found[1][1] == pytest.approx((2 / 3) / (1 + 2 / 3))
    assert found[2][1] == pytest.approx((4 / 9) / (1 + 2 / 3 + 4 / 9))


@pytest.mark.parametrize(
    "losses", [[], [(1, 2.0)], [(1, float("nan"))], [(3, 0.0), (4, 0.0)], [(1, 1e9), (2, 1e-9)], [(1, 2.0), (2, 6e6)]]
)
def test_odd_losses_draw_something(losses: list) -> None:
    html = render_loss.curve(losses, None, running=False)
    assert html.startswith("<figure")
    assert "nan" not in html.split("figcaption")[0].replace("finance", "")


def test_large_numbers_are_short() -> None:
    assert [short(n) for n in (950, 12_400, 999_900, 1_240_000, 12_042_240, 3.4e9)] == [
        "950", "12 k", "1.0 M", "1.2 M", "12 M", "3.4 B",
    ]  # fmt: skip


# ---- a real one


def test_a_real_training_through_the_pages_own_handler(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)
    made = cases.labelled(store)
    sent = {"recipe": "sorm", "of": "sorm", "base": "own", "own": str(base), "data": str(made.id), "name": "judge"}
    update = send(store, "start", **sent, **(SMALL | {"epochs": "6"}), held_out="0.2")
    assert said(update) == ""
    (run,) = store.runs()
    wait_for(lambda: store.run(run.id).state not in ("queued", "running"), PATIENCE)
    assert store.run(run.id).error is None
    html = send(store, "poll", f"?run={run.id}", seen="").html["topen"]
    (model,) = store.models("sorm")
    assert f"<b>{model.id}</b>" in html
    assert f'href="/datasets?dataset={made.id}"' in html
    assert re.search(r'<path class="mean" d="M', html)
    assert "held out" in html
    assert "--sorm hf:" in html
    form = form_of(store, {"recipe": "sft"})
    assert model.spec not in [spec for spec, _ in form.choices]  # a scorer is no base


def test_cancel_through_the_page(store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)
    made = cases.solutions(store)
    sent = {"recipe": "sft", "of": "sft", "base": "own", "own": str(base), "data": str(made.id), "name": "mine"}
    send(store, "start", **sent, **(SMALL | {"epochs": "400"}))
    (run,) = store.runs()
    wait_for(lambda: store.run(run.id).progress.get("done", 0) > 3, PATIENCE)
    update = send(store, "cancel", f"?run={run.id}", run=str(run.id))
    assert "stopping" in update.html["topen"]
    wait_for(lambda: store.run(run.id).state == "cancelled", PATIENCE)
    assert "Nothing of the model was kept." in send(store, "look", f"?run={run.id}").html["topen"]
