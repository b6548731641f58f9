"""What a refinement job is told: mistakes are said before anything starts, and how to come by a model that lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ModelRow
from stepviz import jobs
from stepviz.errors import StepvizError
from stepviz.train_job import check_datasets
from stepviz.trainings import named
from tests.job_cases import CHAIN, NOBODY
from tests.store_cases import new_url

MODELS = {"refiner": "hf:refiner", "orm": "hf:orm", "sorm": "hf:sorm"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        yield opened


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"refiner": "embedded:nobody"}, r"no model embedded:nobody here yet.*training refiner.*hf:models/refiner"),
        ({"orm": "embedded:nobody"}, r"no model embedded:nobody here yet.*dataset build orm.*python -m training orm"),
        ({"sorm": "embedded:nobody"}, r"dataset build sorm.*python -m training sorm"),
        ({"sorm": "orm:x"}, "unknown scorer"),
        ({"how": "twice"}, "how is one of both, global, local"),
        ({"threshold": 1.5}, "threshold is a score between 0 and 1"),
        ({"threshold": "nan"}, "threshold is a score between 0 and 1"),
        ({"gate": "x"}, "gate is a score between 0 and 1"),
        ({"gate": 0.5, "orm": "none"}, "a gate needs an ORM"),
        ({"sorm": "none"}, "needs a SORM that says where"),
        ({"refiner": "none"}, "a refiner is needed"),
        ({"samples": 0}, "samples is a whole number between 1 and 1,024, not '0'"),
        ({"samples": 5000}, "samples is a whole number between 1 and 1,024, not '5000'"),
        ({"at": 2, "chains": [CHAIN.id, "another"]}, "one draft"),
        ({"engine": "embedded"}, "does not know engine"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_before_anything_starts(
    store: Store, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(StepvizError, match=message):
        jobs.start(store, "refine", {"chains": [CHAIN.id], **MODELS, **settings}, **NOBODY)
    assert store.runs() == []


def test_many_drafts_wait_for_other_peoples_clicks(store: Store) -> None:
    spec = {"chains": [str(i) for i in range(300)], **MODELS}
    assert jobs.normalised(store, "refine", spec)[0] == "refine many"
    assert jobs.normalised(store, "refine", {**spec, "how": "global"})[0] == "refine"


def test_every_setting_is_written_out(store: Store) -> None:
    """A later default must not change what a run that waits will do."""
    _, spec = jobs.normalised(store, "refine", {"chains": ["a"], **MODELS, "samples": 3})
    sampling = store.sampling(spec.pop("sampling"))
    assert (sampling.temperature, sampling.max_tokens, sampling.style.template) == (0.7, 300, "{question}")
    assert spec == {
        "chains": ["a"], **MODELS, "how": "both", "threshold": 0.5, "no_flag": "global", "samples": 3, "target": "full",
    }  # fmt: skip


def test_a_refiner_learns_to_write_one_thing(store: Store) -> None:
    rows = [{"prompt": "[BAD]x", "completion": "y"}]
    ids = [store.add_dataset(t, "refine-local", {"target": t}, rows).id for t in ("full", "suffix")]
    refiner = named("refiner")
    assert len(check_datasets(store, refiner, ids[:1])) == 1
    with pytest.raises(StepvizError, match="whole solutions in one, suffixes in another"):
        check_datasets(store, refiner, ids)


@pytest.mark.parametrize(("written", "given", "expected"), [("suffix", None, "suffix"), ("full", None, "full"),
                                                           ("suffix", "full", "full")])  # fmt: skip
def test_a_refiner_is_asked_for_what_it_was_trained_to_write(
    store: Store, written: str, given: str | None, expected: str
) -> None:
    """One of suffixes that is handed the steps before E, as one of whole solutions is, has never seen such a prompt."""
    rows = [{"prompt": "[BAD]x", "completion": "y"}]
    local = store.add_dataset("local", "refine-local", {"target": written}, rows)
    everything = store.add_dataset("global", "refine-global", {"targets": 1}, rows)
    made_of = [{"id": d.id, "recipe": d.recipe, "hash": d.hash} for d in (everything, local)]
    store.add_model(ModelRow("refiner@1+bfloat16", "refiner", MODELS["refiner"], meta={"datasets": made_of}))
    store.add_model(ModelRow("refiner@1", "refiner", MODELS["refiner"]))  # on a CPU, after it was used there once
    _, spec = jobs.normalised(store, "refine", {"chains": ["a"], **MODELS, "target": given})
    assert spec["target"] == expected
