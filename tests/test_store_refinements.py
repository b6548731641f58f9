"""The ledger of refinements: a line stands once, is found by every filter, and its gain follows the verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import Candidate, ModelRow, RefinementFilter, RefinementRow
from stepviz.errors import StepvizError
from stepviz.types import SourceItem, Verdict
from tests.store_cases import RIGHT, SAMPLING, WRONG, chain, new_url, problem

P = problem()
DRAFT = chain(P, "draft", "2+3=6\nA: 6")
FIXED = chain(P, "fixed", "2+3=5\nA: 5", origin="refinement", parent=DRAFT.id)
SPOILT = chain(P, "spoilt", "2-3=1\nA: 1", origin="refinement", parent=DRAFT.id)
GOOD = chain(P, "good")
UNKNOWN = Verdict("unknown", "no gold answer", "stepviz/1", None)
LINE = RefinementRow(
    draft=DRAFT.id, key="k1", refiner="refiner@1", orm="orm@1", locator="sorm@1", sampling_id=SAMPLING.hash,
    how="both", gate=0.5, threshold=0.5, no_flag="global", at=None, samples=1, when=0.2, chosen=True, where=1,
    candidates=(
        Candidate("draft", DRAFT.id, 0.2), Candidate("global", SPOILT.id, 0.1), Candidate("local", FIXED.id, 0.9)
    ), pick="local",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        for name in ("refiner", "orm", "sorm"):
            opened.add_model(ModelRow(f"{name}@1", name, f"hf:{name}"))
        opened.add_sampling(SAMPLING)
        verdicts = {DRAFT.id: WRONG, FIXED.id: RIGHT, SPOILT.id: WRONG, GOOD.id: RIGHT}
        opened.add_items([SourceItem(P, (DRAFT, FIXED, SPOILT, GOOD))], verdicts)
        yield opened


def spared() -> RefinementRow:
    """A right draft that the ORM believes."""
    only = (Candidate("draft", GOOD.id, 0.9),)
    return replace(LINE, draft=GOOD.id, when=0.9, chosen=False, where=None, candidates=only, pick="draft", how="local")


def test_a_line_comes_back_with_what_the_store_knows(store: Store) -> None:
    id_ = store.add_refinement(LINE)
    found = store.refinement(id_)
    assert [(c.name, c.score, c.verdict) for c in found.candidates] == [
        ("draft", 0.2, "wrong"),
        ("global", 0.1, "wrong"),
        ("local", 0.9, "correct"),
    ]
    blank = tuple(replace(c, verdict="unknown") for c in found.candidates)
    assert replace(found, id=0, problem_id="", created_at=None, candidates=blank) == LINE
    assert (found.problem_id, found.gain, found.picked.chain) == (P.id, 1, FIXED.id)
    with pytest.raises(StepvizError, match="no refinement 99"):
        store.refinement(99)


def test_a_line_stands_once_under_its_key(store: Store) -> None:
    first = store.add_refinement(LINE)
    assert store.add_refinement(replace(LINE, pick="draft")) == first
    assert store.refinement(first).pick == "local"
    second = store.add_refinement(replace(LINE, key="k2", threshold=0.3))
    assert [row.id for row in store.refinements()] == [second, first]
    assert store.refined([(DRAFT.id, "k1"), (DRAFT.id, "k3"), (GOOD.id, "k1")]) == {(DRAFT.id, "k1"): first}
    assert [row.id for row in store.refinement_lines([second, first, second, 99])] == [first, second]


def test_the_gain_follows_a_persons_verdict(store: Store) -> None:
    id_ = store.add_refinement(LINE)
    store.override_verdict(DRAFT.id, "correct", "six pens after all", "ana")
    assert store.refinement(id_).gain == 0
    store.override_verdict(FIXED.id, "wrong", "five is wrong then", "ana")
    assert store.refinement(id_).gain == -1
    assert [row.id for row in store.refinements(RefinementFilter(gain="broken"))] == [id_]
    store.override_verdict(FIXED.id, "unknown", "who knows", "ana")
    assert store.refinement(id_).gain is None
    assert store.count_refinements(RefinementFilter(gain="unknown")) == 1
    assert store.count_refinements(RefinementFilter(gain="same")) == 0


@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("when", "refined", {"fixed", "broken", "hand", "unflagged"}),
        ("when", "spared", {"spared"}),
        ("where", "flagged", {"fixed", "broken"}),
        ("where", "unflagged", {"unflagged"}),
        ("where", "hand", {"hand"}),
        ("how", "both", {"fixed", "hand", "unflagged"}),
        ("how", "global", {"broken"}),
        ("gain", "fixed", {"fixed", "hand", "unflagged"}),
        ("gain", "broken", {"broken"}),
        ("gain", "same", {"spared"}),
        ("draft", GOOD.id, {"spared", "broken"}),
        ("refiner", "orm@1", set()),
        ("problem_id", P.id, {"fixed", "broken", "hand", "unflagged", "spared"}),
    ],
)
def test_every_filter(store: Store, field: str, value: str, expected: set[str]) -> None:
    spoilt = (Candidate("draft", GOOD.id, 0.3), Candidate("global", SPOILT.id, 0.4))
    lines = {
        "fixed": LINE,
        "hand": replace(LINE, key="k2", at=1),
        "unflagged": replace(LINE, key="k3", where=None),
        "broken": replace(LINE, key="k4", draft=GOOD.id, candidates=spoilt, pick="global", how="global"),
        "spared": spared(),
    }
    ids = {store.add_refinement(line): name for name, line in lines.items()}
    wanted = RefinementFilter(**{field: value})
    assert {ids[row.id] for row in store.refinements(wanted)} == expected
    assert store.count_refinements(wanted) == len(expected)


def test_pages_and_unknown_filters(store: Store) -> None:
    ids = [store.add_refinement(replace(LINE, key=f"k{i}")) for i in range(5)]
    assert [row.id for row in store.refinements(limit=2, offset=1)] == [ids[3], ids[2]]
    with pytest.raises(StepvizError, match="'better' is none of fixed, same, broken, unknown"):
        store.refinements(RefinementFilter(gain="better"))


def test_who_writes_at_the_same_time_writes_one_line(tmp_path: Path, store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(store.add_refinement, [LINE] * 24))
    assert len(set(ids)) == 1
    assert len(store.refinement(ids[0]).candidates) == 3
