"""Soft labels of chains that a strategy has walked along: which runs spoil them, and which measure them whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ModelRow, RunRow
from stepviz import jobs
from stepviz.cli_runs import _listed
from stepviz.datasets import build
from stepviz.errors import StepvizError
from stepviz.worker import Worker
from tests import dataset_cases as cases
from tests.dataset_cases import LOST, MODEL, SAMPLING, text
from tests.job_cases import NOBODY, SlowEngine, finish_lease
from tests.store_cases import new_url

OTHER = "embedded/other-weights"
SOFT = {"soft": True, "balance": False, "rollout_model": MODEL}
PARTLY = "a chain measured in part, or by a strategy that stops early"
ALL, LEFT_OUT = (18, []), (16, [2])  # rows of the school; the walked chain, and the right one that begins like it


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def school(store: Store) -> Store:
    """Of each problem there are a right chain, a wrong one that begins like it, and a wrong one that does not."""
    cases.school(store)
    return store


@pytest.fixture
def lost(school: Store) -> str:
    """The wrong chain of the first problem that begins like its right one."""
    return next(row.chain.id for row in school.chains(cases.problem(2).id) if row.chain.n == 4)


def rows(store: Store) -> tuple[int, list[int]]:
    """(rows, chains left out as walked along)."""
    made = build(store, "sorm", SOFT)
    return made.n_rows, [n for reason, n in made.dropped.items() if reason.startswith(PARTLY)]


# ---- runs that note their model


def measure(store: Store, chain: str, model: str, **spec: object) -> RunRow:
    """By a worker to whom every engine's spec gives this model."""
    wanted = {"chains": [chain], "n": 8, "engine": "embedded", "sampling": SAMPLING, **spec}
    run = jobs.start(store, "measure", wanted, **NOBODY)
    work(store, model)
    return store.run(run)


def work(store: Store, model: str) -> None:
    def load(spec: str, **_: object) -> SlowEngine:
        engine = SlowEngine(spec)
        engine.model_id = model
        return engine

    Worker(store, load).run_next(None)


def test_a_whole_measurement_counts_whatever_address_its_model_had(school: Store, lost: str):
    """The model's record keeps the address at which it was met first: embedded."""
    assert measure(school, lost, MODEL, strategy="backward").state == "done"
    assert rows(school) == LEFT_OUT
    assert measure(school, lost, MODEL, engine="hf:elsewhere").state == "done"
    assert [model.spec for model in school.models()] == ["embedded"]
    assert rows(school) == ALL


def test_what_other_weights_did_at_the_same_address_says_nothing_of_this_model(school: Store, lost: str):
    assert measure(school, lost, OTHER, strategy="backward").state == "done"
    assert rows(school) == ALL
    measure(school, lost, MODEL, strategy="backward")
    assert measure(school, lost, OTHER).state == "done"
    assert {model.spec for model in school.models()} == {"embedded"}
    assert rows(school) == LEFT_OUT
    measure(school, lost, MODEL)
    assert rows(school) == ALL


@pytest.mark.parametrize(
    ("lives", "spec", "expected"),
    [
        ((MODEL, OTHER), {"strategy": "backward", "n": 16}, LEFT_OUT),  # the first life has walked
        ((OTHER, MODEL), {}, ALL),  # the second has drawn all that this model lacked
        ((MODEL, OTHER), {}, LEFT_OUT),
    ],
)
def test_a_run_that_was_killed_goes_on_with_other_weights(
    lives: tuple[str, str],
    spec: dict[str, object],
    expected: tuple[int, list[int]],
    school: Store,
    lost: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("stepviz.worker.LEASE_S", 1.2)
    if "strategy" not in spec:
        measure(school, lost, MODEL, strategy="backward")

    class Killed(BaseException):
        """As little caught as a signal 9."""

    def fall(*_: object) -> int:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(school, "add_continuations", fall)
        with pytest.raises(Killed):
            measure(school, lost, lives[0], **spec)
    run = school.runs(1)[0].id
    finish_lease(school, run)
    jobs.resume(school, run, **NOBODY)
    work(school, lives[1])
    assert school.run(run).state == "done"
    assert rows(school) == expected


@pytest.mark.parametrize("spec", [{"n": 4}, {"strategy": "backward"}, {"n": None, "add": 1}])
def test_whose_draws_they_were_a_run_keeps_for_itself(spec: dict[str, object], school: Store, lost: str):
    """Not for those who list it: it is noted beside the run's plan, where there is one."""
    run = measure(school, lost, MODEL, **spec)
    assert run.state == "done"
    assert MODEL in json.dumps(dict(run.progress))
    assert MODEL not in json.dumps(_listed(run)["progress"])


# ---- runs from before


def measured(store: Store, chain: str, state: str = "done", **spec: object) -> None:
    """A run of an older version that has measured this chain."""
    run = store.add_run("measure", {"chains": [chain], "engine": "embedded", "sampling": SAMPLING.hash, **spec})
    store.finish_run(run, state)


def test_runs_that_name_no_model_are_told_by_their_engine(school: Store, lost: str):
    school.add_model(ModelRow(OTHER, spec="hf:other"))
    assert rows(school) == ALL
    measured(school, lost, n=8, strategy="backward", sampling="another")
    assert rows(school) == ALL
    measured(school, lost, n=8, strategy="backward", engine="hf:second-address")
    assert rows(school) == LEFT_OUT
    assert build(school, "sorm", {"balance": False}).n_rows == 18  # labels are right however they were drawn
    for spec in ({"n": 4}, {"n": 8, "steps": [1]}, {"n": 8, "engine": "hf:other"}, {"n": 8, "state": "cancelled"}):
        measured(school, lost, **spec)
        assert rows(school) == LEFT_OUT
    measured(school, lost, add=8)
    assert rows(school) == ALL


def test_where_no_chain_is_whole_soft_labels_say_what_to_measure(store: Store):
    cases.add(store, one := cases.problem(2))
    lost = text(LOST, 2)
    (chain,) = cases.sample(store, one, lost)
    cases.measure(store, one, lost.split("\n")[0] + "\n", "3+1=4\n#### 4", "#### 9", k=1, good=1)
    with pytest.raises(StepvizError, match=r"Measure whole chains: .*--k 8, without a strategy, or leave out --soft"):
        build(store, "sorm", {"soft": True})
    assert build(store, "sorm", {"balance": False}).n_rows == 1
    assert chain.n == 4
