"""The ledger of refinements goes out with stepviz's own format and comes in again, as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db import item_refinements
from db.store import Store, open_store
from db.values import Candidate, ModelRow, RefinementRow
from stepviz import exporting
from stepviz.importing import import_path
from stepviz.types import SourceItem
from tests.source_rows import lines
from tests.store_cases import RIGHT, SAMPLING, WRONG, chain, new_url, problem

P, OTHER = problem(), problem("How many pens?")
DRAFT = chain(P, "draft", "2+3=6\nA: 6")
FIXED = chain(P, "fixed", "2+3=5\nA: 5", origin="refinement", parent=DRAFT.id)
GOOD = chain(P, "good")
FAR = chain(OTHER, "far")
LINE = RefinementRow(
    draft=DRAFT.id, key="k1", refiner="refiner@1", orm="orm@1", locator=None, sampling_id=SAMPLING.hash,
    how="both", gate=0.5, threshold=0.25, no_flag="argmin", at=2, samples=3, when=0.125, chosen=True, where=1,
    candidates=(Candidate("draft", DRAFT.id, 0.125), Candidate("local", FIXED.id, None)), pick="local",
    note="local: it is \u201ccut off\u201d",
)  # fmt: skip
SPARED = replace(
    LINE, draft=GOOD.id, key="k2", orm=None, gate=None, at=None, when=None, chosen=False, where=None,
    candidates=(Candidate("draft", GOOD.id),), pick="draft", note="",
)  # fmt: skip


def filled(url: str) -> Store:
    store = open_store(url)
    store.add_model(ModelRow("refiner@1", "refiner", "hf:refiner", ("student@1",), meta={"dataset": 3}))
    store.add_model(ModelRow("orm@1", "orm", "hf:orm"))
    store.add_model(ModelRow("unused@1", "sorm", "hf:sorm"))
    store.add_sampling(SAMPLING)
    verdicts = {DRAFT.id: WRONG, FIXED.id: RIGHT, GOOD.id: RIGHT, FAR.id: RIGHT}
    store.add_items([SourceItem(P, (DRAFT, FIXED, GOOD)), SourceItem(OTHER, (FAR,))], verdicts)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with filled(new_url(tmp_path)) as opened:
        for line in (LINE, SPARED, replace(LINE, key="k3", pick="draft")):
            opened.add_refinement(line)
        yield opened


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/other.db") as opened:
        yield opened


def exported(store: Store, path: Path) -> list[dict[str, Any]]:
    exporting.write_jsonl(exporting.export_stepviz(store), path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_ledger_comes_into_another_store_as_it_was(store: Store, other: Store, tmp_path: Path) -> None:
    rows = exported(store, tmp_path / "all.jsonl")
    report = import_path(other, "auto", tmp_path / "all.jsonl")
    assert (report.refinements, report.refinements_new, report.refused) == (3, 3, [])
    there, here = other.refinements(), store.refinements()
    assert there == here  # with the moments, and the verdicts that stand
    assert [(line.key, line.gain) for line in there] == [("k3", 0), ("k2", 0), ("k1", 1)]
    assert {(m.id, m.role, m.spec, m.parents, m.meta.get("dataset")) for m in other.models()} == {
        ("refiner@1", "refiner", "hf:refiner", ("student@1",), 3),
        ("orm@1", "orm", "hf:orm", (), None),
    }
    assert other.samplings() == {SAMPLING.hash: SAMPLING}
    back = exported(other, tmp_path / "back.jsonl")
    assert [row | {"verdicts": None} for row in back] == [row | {"verdicts": None} for row in rows]  # graded anew


def test_the_same_file_twice_changes_nothing_and_a_new_line_is_added(
    store: Store, other: Store, tmp_path: Path
) -> None:
    exported(store, tmp_path / "all.jsonl")
    import_path(other, "stepviz", tmp_path / "all.jsonl")
    again = import_path(other, "stepviz", tmp_path / "all.jsonl")
    assert (again.refinements_new, again.unchanged, other.count_refinements()) == (0, 2, 3)
    store.add_refinement(replace(LINE, key="k4"))
    exported(store, tmp_path / "more.jsonl")
    more = import_path(other, "stepviz", tmp_path / "more.jsonl")
    assert (more.refinements_new, more.unchanged) == (1, 1)
    assert other.refinements() == store.refinements()


def test_a_model_that_is_here_stays_as_it_is(store: Store, other: Store, tmp_path: Path) -> None:
    other.add_model(ModelRow("refiner@1", "refiner", "embedded:refiner"))
    exported(store, tmp_path / "all.jsonl")
    import_path(other, "stepviz", tmp_path / "all.jsonl")
    assert other.model("refiner@1").spec == "embedded:refiner"
    assert other.count_refinements() == 3


def test_a_line_that_a_job_writes_during_the_import_is_not_written_twice(
    store: Store, other: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import has looked which lines are there before the job's came; on a server both write at once."""
    exported(store, tmp_path / "all.jsonl")
    import_path(other, "stepviz", tmp_path / "all.jsonl")
    monkeypatch.setattr(item_refinements, "_stored", lambda *_: set())
    report = import_path(other, "stepviz", tmp_path / "all.jsonl")
    assert (report.refinements, report.refinements_new) == (3, 0)
    assert [len(line.candidates) for line in other.refinements()] == [2, 1, 2]


def test_a_file_from_before_the_ledger_was_in_it_still_comes_in(store: Store, other: Store, tmp_path: Path) -> None:
    rows = exported(store, tmp_path / "all.jsonl")
    assert not {"refinements", "models", "samplings"} & rows[1].keys()  # a problem without refinements
    old = [{name: value for name, value in row.items() if name not in ("refinements", "models", "samplings")}
           for row in rows]  # fmt: skip
    report = import_path(other, "stepviz", lines(tmp_path / "old.jsonl", *old))
    assert (report.chains_new, report.refinements_new, report.refused) == (4, 0, [])
    assert (other.count_refinements(), other.models()) == (0, [])
    whole = import_path(other, "stepviz", lines(tmp_path / "whole.jsonl", *rows))  # the ledger comes after
    assert (whole.chains_new, whole.refinements_new) == (0, 3)


def test_lines_of_a_chain_that_is_stored_with_another_text_stay_out(store: Store, other: Store, tmp_path: Path) -> None:
    other.add_items([SourceItem(P, (replace(DRAFT, text="2+3=7\nA: 6"),))])
    exported(store, tmp_path / "all.jsonl")
    report = import_path(other, "stepviz", tmp_path / "all.jsonl")
    assert [refusal.reason[:33] for refusal in report.refused] == ["its chain is stored with another "]
    assert [line.key for line in other.refinements()] == ["k2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"draft": FAR.id}, "'draft' is .* which the row does not bring"),
        ({"refiner": "nobody"}, "'refiner' is 'nobody'"),
        ({"sampling_id": "x"}, "'sampling_id' is 'x'"),
        ({"how": "sideways"}, "'how' is 'sideways'"),
        ({"pick": "global"}, "'pick' is 'global'"),
        ({"threshold": "high"}, "'threshold' must be"),
        ({"chosen": 1}, "'chosen' must be true or false"),
        ({"created_at": "yesterday"}, "no moment with its zone"),
        ({"created_at": "2026-01-01T00:00:00"}, "no moment with its zone"),
        ({"key": "../" * 20}, "is no digest"),
        ({"candidates": []}, "begin with its draft"),
        ({"candidates": [7]}, "an object must be"),
    ],
)
def test_a_line_that_cannot_be_is_refused_with_its_row(
    store: Store, other: Store, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    rows = exported(store, tmp_path / "all.jsonl")
    rows[0]["refinements"][0] |= change
    report = import_path(other, "stepviz", lines(tmp_path / "bad.jsonl", *rows))
    (refusal,) = report.refused
    assert re.search(said, refusal.reason), refusal.reason
    assert (other.count_refinements(), report.chains_new) == (0, 1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("models", [{"id": "refiner@1"}], "'parents' is missing"),
        ("samplings", [{"temperature": 1}], "a sampling cannot be read"),
        ("refinements", {"a": 1}, "'refinements' must be a list"),
    ],
)
def test_what_lines_name_is_checked_too(
    store: Store, other: Store, tmp_path: Path, name: str, value: Any, said: str
) -> None:
    rows = exported(store, tmp_path / "all.jsonl")
    rows[0][name] = value
    (refusal,) = import_path(other, "stepviz", lines(tmp_path / "bad.jsonl", *rows)).refused
    assert said in refusal.reason
