"""Comparing two judges of steps, by hand, and through the job with scripted scorers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from stepviz import compare_scores, jobs
from stepviz.compare_scored import scored
from stepviz.compare_scores import Scored
from stepviz.compare_spec import settings_of
from stepviz.types import SourceItem, StepValue
from stepviz.worker import Worker
from tests import compare_cases as cases
from tests.job_cases import CHAIN, PROBLEM, WRONG


def one(before: tuple[float, ...], after: tuple[float, ...], labels: tuple[int | None, ...] = ()) -> Scored:
    return Scored("p", "c", "x 1", before, after, {"solvable": labels or (1,) * len(before)})


def test_a_predicted_pit_is_the_first_score_at_or_below_the_threshold() -> None:
    chains = {
        "vanished": one((0.9, 0.5), (0.9, 0.51)),
        "new": one((0.9, 0.6), (0.4, 0.6)),
        "moved": one((0.1, 0.1), (0.9, 0.1)),
        "same": one((0.9, 0.2), (0.8, 0.3)),
        "never": one((0.9, 0.9), (0.9, 0.8)),
    }
    for name, chain in chains.items():
        assert chain.move(0.5) == name
    assert compare_scores.moves(list(chains.values()), 0.5) == dict.fromkeys(compare_scores.MOVES, 1)
    assert chains["vanished"].move(0.51) == "same"


def test_agreement_with_what_is_known_by_hand() -> None:
    # known: 1 1 0 and 1 0; the last step of the second chain is not known
    chains = [
        one((0.9, 0.4, 0.6), (0.9, 0.8, 0.1), (1, 1, 0)),
        Scored("q", "d", "x 2", (0.3, 0.2, 0.5), (0.9, 0.2, 0.5), {"solvable": (1, 0, None)}),
    ]
    (found,) = compare_scores.agreements(chains, 0.5)
    assert (found.target, found.steps, found.positive) == ("solvable", 5, pytest.approx(3 / 5))
    # before: positives .9 .4 .3, negatives .6 .2: 2 + 1 + 1 of 6 pairs; after: all of them
    before, after, gap = found.auc
    assert (before.value, after.value, gap.value) == (pytest.approx(4 / 6), 1, pytest.approx(2 / 6))
    # balanced accuracy at .5: before 1/3 of the positives and 1/2 of the negatives, after all
    before, after, gap = found.accuracy
    assert before.value == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert (after.value, gap.value) == (1, pytest.approx(1 - 5 / 12))


def test_of_one_class_alone_there_is_no_auc() -> None:
    (found,) = compare_scores.agreements([one((0.9, 0.4), (0.9, 0.8))], 0.5)
    assert found.auc is None
    assert [e.value for e in found.accuracy] == [0.5, 1, 0.5]
    text = "\n".join(compare_scores.told(("a", "b"), [one((0.9, 0.4), (0.9, 0.8))], 0.5))
    assert "AUC" not in text
    assert "0.500 → 1.000, difference +0.500" in text
    assert "vanished 1, new 0, moved 0, same 0, never 0" in text


def test_measured_labels() -> None:
    values = [
        StepValue(0, 8, 8),
        StepValue(1, 4, 8),
        StepValue(2, 0, 8),
        StepValue(3, 0, 0),
        StepValue(4, 0, 0, terminal="wrong"),
    ]
    assert compare_scores.measured_labels(values) == {"reached": (1, 0, None, 0), "likely": (0, 0, None, 0)}


# ---- through the job


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/s.db") as opened:
        opened.add_items([SourceItem(PROBLEM, (CHAIN,))], {CHAIN.id: WRONG})
        yield opened


def test_both_judges_score_the_chains_that_are_there_once(store: Store, tmp_path: Path) -> None:
    specs = cases.judges(tmp_path)
    said = dict(zip(specs, ((0.9, 0.4, 0.3), (0.9, 0.8, 0.2)), strict=True))
    asked: list[str] = []
    worker = Worker(store, load_scorer=lambda spec, device: cases.Judge(spec, said[spec], asked))
    spec = {"before": specs[0], "after": specs[1], "source": "mine"}
    settings = settings_of(spec)
    assert settings.scorers
    assert scored(store, settings).unscored == (1, 1)
    run = jobs.start(store, "compare", spec, worker=False)
    assert worker.run_next(None)
    row = store.run(run)
    assert (row.state, row.error, row.progress["done"], row.progress["total"]) == ("done", None, 2, 2)
    assert row.progress["note"] == ""  # nothing to say of it; not what was loaded
    found = scored(store, settings)
    assert (found.unscored, len(found.chains)) == ((0, 0), 1)
    assert (found.chains[0].before, found.chains[0].after) == ((0.9, 0.4, 0.3), (0.9, 0.8, 0.2))
    assert found.chains[0].pits(0.5) == (2, 3)
    assert found.chains[0].move(0.5) == "moved"
    jobs.start(store, "compare", spec, worker=False)
    worker.run_next(None)
    assert len(asked) == 2
