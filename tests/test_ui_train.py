"""The Train page without a browser: its form, its actions, the curve, and a real training through its own handler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ModelRow
from stepviz import jobs, trainings
from stepviz.types import Problem, SourceItem
from stepviz.ui import render_loss, train_words, view_train
from stepviz.ui.datasets_page import Datasets
from stepviz.ui.page import Update, guarded
from stepviz.ui.render_train_form import short
from stepviz.ui.runs import Runs
from stepviz.ui.train_page import Train
from stepviz.ui.view_train import parse
from stepviz.ui.view_train_form import form_of, sent_of, spec_of
from stepviz.ui.workbench import Workbench
from tests import tiny
from tests import training_cases as cases
from tests.job_cases import wait_for
from tests.ui_cases import HOSTILE

pytestmark = pytest.mark.timeout(900)
PATIENCE = 400.0
SMALL = {"epochs": "2", "batch": "4", "length": "64", "learning_rate": "0.001", "seed": "0"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("models") / "base", sharp=1.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/ui.db") as opened:
        yield opened
        cases.stop_all(opened)


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ensure_worker", lambda *_, **__: True)
    monkeypatch.setattr("stepviz.ui.status.ensure_worker", lambda *_, **__: True)


def send(store: Store, act: str, at: str = "", **sent: object) -> Update:
    return guarded(Train(Workbench(store)).act, {"act": act, "at": at, **sent}, "ana")


def said(update: Update) -> str:
    found = re.search(r'data-kind="error"[^>]*data-text="([^"]*)"', update.reply)
    return found[1] if found else ""


def value(html: str, name: str) -> str:
    return re.search(rf'name="{name}"[^>]*value="([^"]*)"', html)[1]


# ---- the form


def test_every_training_and_setting_is_explained() -> None:
    assert train_words.TRAININGS.keys() == trainings.TRAININGS.keys()
    for training in trainings.TRAININGS.values():
        assert training.role in train_words.ROLES
        assert training.options.keys() <= train_words.SETTINGS.keys()


@pytest.mark.usefixtures("no_process")
def test_only_datasets_that_fit_can_be_chosen_and_say_how_many_rows_they_have(store: Store) -> None:
    sums, steps, drafts = cases.solutions(store), cases.labelled(store, 60), cases.drafts(store)
    sft = send(store, "form", recipe="sft").html["tform"]
    assert f'type="radio" name="data" value="{sums.id}" checked' in sft
    assert "200 rows" in sft
    assert "steps" not in re.findall(r"<span><b>(\w+)</b> <i", sft)
    sorm = send(store, "form", recipe="sorm").html["tform"]
    assert re.findall(r"<span><b>(\w+)</b> <i", sorm) == ["steps"]
    refiner = send(store, "form", recipe="refiner").html["tform"]
    assert f'type="checkbox" name="data-{drafts.id}" value="on" checked' in refiner
    nothing = send(store, "form", recipe="orm").html["tform"]
    assert "orm learns from a dataset of the recipe orm, and there is none yet: build one first." in nothing
    assert 'class="btn "' in nothing  # no first choice while it cannot start
    assert steps.id


@pytest.mark.usefixtures("no_process")
def test_the_address_of_a_dataset_brings_what_learns_from_it(store: Store) -> None:
    steps = cases.labelled(store)
    cases.labelled(store, 30, name="newer")
    html = send(store, "open", f"?dataset={steps.id}").html["tform"]
    assert 'name="of" value="sorm"' in html
    assert f'value="{steps.id}" checked' in html
    assert send(store, "open", "?dataset=99").html["tform"]
    assert (
        f"/train?dataset={steps.id}"
        in Datasets(Workbench(store)).act({"act": "look", "at": f"?dataset={steps.id}"}, "ana").html["dopen"]
    )
    pairs = store.add_dataset("pairs", "self-explore", {}, [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    assert (
        "Train on this"
        not in Datasets(Workbench(store)).act({"act": "look", "at": f"?dataset={pairs.id}"}, "ana").html["dopen"]
    )


@pytest.mark.usefixtures("no_process")
def test_defaults_follow_the_training_and_what_was_changed_stays(store: Store, base: Path) -> None:
    cases.solutions(store)
    html = send(store, "form", recipe="sft").html["tform"]
    assert (value(html, "learning_rate"), value(html, "batch"), value(html, "length")) == ("0.0015", "16", "384")
    assert "appendix that could not be read" in html
    sent = {"of": "sft", "ofsize": "small", "learning_rate": "0.0015", "epochs": "3", "batch": "16", "length": "384"}
    html = send(store, "form", recipe="refiner", **sent).html["tform"]
    assert (value(html, "batch"), value(html, "length"), value(html, "epochs")) == ("8", "768", "3")
    assert html.count('class="share changed"') == 1


@pytest.mark.usefixtures("no_process")
def test_a_large_base_brings_the_rate_of_large_models(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases.solutions(store)
    monkeypatch.setattr("stepviz.ui.view_train_form.LARGE", 10_000)
    monkeypatch.setattr("stepviz.trainings.LARGE", 10_000)
    sent = {"of": "sft", "ofsize": "small", "learning_rate": "0.0015", "epochs": "5", "batch": "16", "length": "384"}
    html = send(store, "form", recipe="sft", base="own", own=str(base), **sent).html["tform"]
    assert (value(html, "learning_rate"), value(html, "ofsize")) == ("1e-05", "large")
    assert "LlamaForCausalLM" in html


@pytest.mark.usefixtures("no_process")
def test_what_it_takes_is_told_and_what_is_wrong_in_the_forms_own_words(store: Store, tmp_path: Path) -> None:
    small = SMALL | {"of": "sft", "ofsize": "small", "data": str(cases.solutions(store).id)}
    drafts = cases.drafts(store)
    html = send(store, "form", recipe="sft", base="embedded:base", **small).html["tform"]
    assert re.search(r"≈\s[\d.]+\s[kM]\stokens · [\d,]+\ssteps · ≈\s\d+\.\d\sGB · ≈\s\d+\s(s|min)", html)
    few = send(store, "form", recipe="sft", **(small | {"epochs": "0.1"})).html["tform"]
    assert "too few to learn much" in few
    own = send(store, "form", recipe="sft", base="own", own="").html["tform"]
    assert "Give the folder or the hub id of a model." in own
    plain = cases.without_bad(tmp_path / "plain")
    sent = {"recipe": "refiner", "of": "refiner", "base": "own", "own": str(plain), f"data-{drafts.id}": "on"}
    html = send(store, "form", **sent).html["tform"]
    assert "or let the training add it (“Give it [BAD]”)" in html
    odd = send(store, "form", recipe="sft", **(small | {"batch": "many"})).html["tform"]
    assert "the batch is a whole number, not &#x27;many&#x27;" in odd


@pytest.mark.usefixtures("no_process")
def test_nothing_starts_that_cannot_work(store: Store, base: Path) -> None:
    made = cases.solutions(store)
    sent = {"recipe": "sft", "of": "sft", "base": "own", "own": str(base), "data": str(made.id), **SMALL}
    assert "there is no model" in said(send(store, "start", **(sent | {"own": "/nowhere"})))
    assert "choose a dataset" in said(send(store, "start", **(sent | {"data": ""})))
    assert "a model&#x27;s name has" in said(send(store, "start", **sent, name="../up"))
    assert "sorm learns from sorm" in said(send(store, "start", **(sent | {"recipe": "sorm"})))
    assert store.runs() == []
    update = send(store, "start", **sent)
    (run,) = store.runs()
    assert 'data-kind="run" data-nonce' in update.reply
    assert run.spec["name"] == "my-sft"
    assert run.spec["settings"] == {
        "epochs": 2.0, "learning_rate": 0.001, "batch": 4, "length": 64, "seed": 0, "compile": False,
    }  # fmt: skip
    assert 'placeholder="my-sft-2"' in update.html["tform"]
    assert "Waiting for the training process." in update.html["topen"]
    assert spec_of(store, sent_of(run.spec) | {"name": "my-sft"}) | {"base": str(base)} == {
        **spec_of(store, sent | {"name": "my-sft"}), "datasets": [made.id],
    } | {"settings": spec_of(store, sent_of(run.spec))["settings"], "base": str(base)}  # fmt: skip


def options(html: str, name: str) -> list[str]:
    return re.findall(
        r'<option value="([^"]*)"', re.search(rf'<select class="field" name="{name}">(.*?)</select>', html)[1]
    )


@pytest.mark.usefixtures("no_process")
def test_expert_iteration_asks_for_questions_and_no_dataset(store: Store) -> None:
    html = send(store, "form", recipe="expert-iteration").html["tform"]
    assert "It reads questions of the store, and no dataset" in html
    assert "2 · Questions" in html
    assert 'name="data"' not in html
    assert options(html, "student")[:2] == ["embedded", "embedded:base"]
    assert (options(html, "source"), options(html, "split")) == (["embedded"], ["train", "dev"])
    assert options(html, "dev_split") == ["dev", "train"]
    assert (value(html, "samples"), value(html, "questions"), value(html, "rounds")) == ("16", "1500", "3")
    assert re.search(r"a\sround:\s≈\s[\d.]+\sM\ssampled · .*at\smost\s3\srounds", html)
    assert 'class="btn pri">Train expert-iteration' in html


@pytest.mark.usefixtures("no_process")
def test_questions_of_ones_own_bring_the_papers_samples_and_hold_some_out(store: Store) -> None:
    made = [Problem(f"{i}?", "1", f"#### {i}", "school", f"train/{i}", "train") for i in range(30)]
    store.add_items([SourceItem(p) for p in made] + [SourceItem(Problem("t?", "1", None, "school", "test/1", "test"))])
    sent = {"of": "expert-iteration", "ofsize": "small", "ofsource": "embedded", "samples": "16", "questions": "20"}
    html = send(store, "form", recipe="expert-iteration", source="school", **sent).html["tform"]
    assert options(html, "split") == ["train", "any"]  # the test split is not offered
    assert "the last ones of the same, held out" in html
    assert options(html, "dev_split") == ["train"]
    assert (value(html, "samples"), value(html, "questions")) == ("96", "20")  # what was changed stays
    assert "the last 800 problems of school/train judge the rounds, and there are only 30" in html
    sent |= {"recipe": "expert-iteration", "source": "school", "split": "train", "dev_split": "train", "dev": "10"}
    assert said(send(store, "start", **sent, name="mine")) == ""
    (run,) = store.runs()
    assert run.spec["datasets"] == []
    assert {k: run.spec["options"][k] for k in ("source", "split", "dev_split", "dev", "questions", "samples")} == {
        "source": "school", "split": "train", "dev_split": "train", "dev": 10, "questions": 20, "samples": 16,
    }  # fmt: skip
    again = send(store, "like", run=str(run.id)).html["tform"]
    assert (value(again, "questions"), value(again, "dev"), value(again, "samples")) == ("20", "10", "16")
    assert spec_of(store, sent_of(run.spec) | {"name": "mine"})["options"].keys() == run.spec["options"].keys()


@pytest.mark.usefixtures("no_process")
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


# ---- the page


@pytest.mark.usefixtures("no_process")
def test_addresses_of_nothing_and_of_other_runs(store: Store) -> None:
    assert "No training yet" in send(store, "open").html["topen"]
    assert "There is no run 77" in send(store, "look", "?run=77").html["topen"]
    other = store.add_run("import", {"format": "gsm8k", "path": "x"})
    assert "is no training" in send(store, "look", f"?run={other}").html["topen"]
    assert parse("?run=1x&dataset=-3") == parse("")
    assert "has no action" in said(send(store, "paint"))
    assert "is not a number of a run" in said(send(store, "cancel", run="x"))


@pytest.mark.usefixtures("no_process")
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


@pytest.mark.usefixtures("no_process")
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


@pytest.mark.usefixtures("no_process")
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


@pytest.mark.usefixtures("no_process")
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
    wait_for(lambda: store.run(run.id).state == "cancelled", 10)
    assert "Nothing of the model was kept." in send(store, "look", f"?run={run.id}").html["topen"]
