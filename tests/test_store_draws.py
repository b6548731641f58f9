"""What is derived from chains and models: draws, scores, other steps, pages of chains, data sets, counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store, open_store
from db.values import ChainFilter, ContinuationKey, ModelRow, PrefixCount
from stepviz.errors import StepvizError
from stepviz.types import Annotation, PromptStyle, Sampling, SourceItem, Span, StepScore, prefix_hash
from tests.store_cases import RIGHT, SAMPLING, chain, draw, item, new_url, problem


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        opened.add_model(ModelRow("embedded/student", spec="embedded:student"))
        opened.add_sampling(SAMPLING)
        yield opened


def test_continuations_are_drawn_once(store: Store):
    p = problem()
    store.add_items([SourceItem(p)])
    draws = [
        draw(p, 0),
        draw(p, 1, "A: 6", "wrong"),
        draw(p, 2, "She has", "unknown", finish_reason="length", answer=None),
        draw(p, 3, "A: 5\nA", finish_reason="length"),  # cut off, but not before its answer
        draw(p, 0, "She has 5.", prefix="2+3=5\n"),
    ]
    assert store.add_continuations(draws[:2]) == 2
    assert store.add_continuations(draws) == 3
    assert store.add_continuations([draw(p, 0, text="another text")]) == 0
    at = (p.id, prefix_hash(""), "embedded/student", SAMPLING.hash)
    assert store.continuations(*at) == draws[:4]
    assert store.continuations(*at, limit=2) == draws[:2]
    assert sorted(store.continuations_for(p.id), key=draws.index) == draws
    counts = {prefix_hash(""): PrefixCount(4, 2, 1), prefix_hash("2+3=5\n"): PrefixCount(1, 1, 0)}
    assert store.continuation_counts(p.id) == counts
    assert store.continuation_counts(p.id, "embedded/student", SAMPLING.hash) == counts
    assert store.continuation_counts(p.id, "another") == {}
    assert store.measurements(p.id) == [("embedded/student", SAMPLING.hash, 5)]
    store.set_continuation_verdicts([draw(p, 1, verdict="correct", grader="stepviz/2")])
    again = store.continuations(*at)[1]
    assert (again.text, again.verdict, again.grader) == ("A: 6", "correct", "stepviz/2")


def test_a_sampled_chain_stores_its_text_once(store: Store):
    p = problem()
    whole = chain(p, "sampled", origin="embedded/student")
    cut = whole.prefix(1)
    store.add_items([SourceItem(p)])
    store.add_continuations([draw(p, 0, text=whole.text), draw(p, 3, text="A: 5", prefix=cut)])
    branch = chain(p, "branch", text=cut + "A: 5", parent=whole.id, branch_step=1)
    first = ContinuationKey(p.id, prefix_hash(""), "embedded/student", SAMPLING.hash, 0)
    second = ContinuationKey(p.id, prefix_hash(cut), "embedded/student", SAMPLING.hash, 3)
    assert store.add_chains([(whole, RIGHT, first), (branch, RIGHT, second)]) == 2
    assert store.add_chain(whole, RIGHT, first) is False
    assert [row.chain for row in store.chains(p.id)] == [whole, branch]
    row = store.chain(branch.id)
    assert (row.continuation, row.model_id, row.sampling_id) == (second, "embedded/student", SAMPLING.hash)
    assert row.seed == draw(p, 3, prefix=cut).seed
    with store.reading() as connection:
        own = connection.exec_driver_sql("SELECT own_text FROM chains ORDER BY number").scalars().all()
    assert own == ["", cut]
    with pytest.raises(AssertionError, match="does not end with its continuation"):
        store.add_chain(chain(p, "no", text="of another text"), RIGHT, first)
    assert store.add_items([SourceItem(p, (whole,))]).unchanged == 1  # an export comes in again


def test_samplings_and_models_come_back(store: Store):
    style = PromptStyle("chat", chat=True, system="Be brief.", few_shot=(("q", "s"), ("q2", "s2")), stop=("\n\n",))
    sampling = Sampling(temperature=0.0, top_k=5, style=style)
    assert store.add_sampling(sampling) == store.add_sampling(sampling) == sampling.hash
    assert store.sampling(sampling.hash) == sampling
    assert set(store.samplings()) == {sampling.hash, SAMPLING.hash}
    with pytest.raises(KeyError):
        store.sampling("unknown")
    model = ModelRow("sorm/1", "sorm", "hf:/models/sorm", ("embedded/student",), store.add_run("train", {}), {"k": 8})
    assert store.add_model(model) is True
    assert store.add_model(model) is False
    assert store.model("sorm/1") == model
    assert store.models("sorm") == [model]
    assert [m.id for m in store.models()] == ["embedded/student", "sorm/1"]
    assert store.model("unknown") is None


def test_scores_replace_a_models_earlier_ones(store: Store):
    p = problem()
    c = chain(p)
    store.add_items([SourceItem(p, (c,))])
    store.add_scores(c.id, "embedded/student", [0.1, 0.2])
    store.add_scores(c.id, "embedded/student", [0.9, 0.5, 0.25])
    assert store.scores(c.id) == [StepScore(i, s, "embedded/student") for i, s in ((1, 0.9), (2, 0.5), (3, 0.25))]
    assert store.scores_for(p.id) == {c.id: store.scores(c.id)}


def test_a_chain_can_be_cut_otherwise(store: Store):
    p = problem()
    c = chain(p)
    branch = chain(p, "branch", text="2+3=5\nShe has 5.\nNo.", parent=c.id, branch_step=2)
    store.add_items([SourceItem(p, (c, branch))])
    store.add_scores(c.id, "embedded/student", [0.1, 0.2, 0.3])
    merged = (Span(0, 16), Span(17, 21, "answer"))  # steps 1 and 2 in one
    store.set_spans(c.id, merged, "hand/1")
    row = store.chain(c.id)
    assert (row.chain.spans, row.chain.rule, row.chain.steps[0]) == (merged, "hand/1", "2+3=5\nShe has 5.")
    assert store.chain(branch.id).chain.branch_step == 1  # the same place as before
    assert store.scores(c.id) == []
    assert store.stats()["steps"] == 2 + 3
    with pytest.raises(StepvizError, match="border has to stay"):
        store.set_spans(c.id, (Span(0, 21),), "hand/1")
    store.override_verdict(c.id, "wrong", "not what was asked", "ana")  # of the whole chain: moves nothing
    store.set_spans(c.id, c.spans, "line/1")
    store.add_annotation(Annotation(c.id, "ana", "correct", 2, 1))
    with pytest.raises(StepvizError, match=r"Steps 1 and 2 \(labelled by ana\) would become one step"):
        store.set_spans(c.id, merged, "hand/1")
    assert store.chain(c.id).chain == c
    with pytest.raises(StepvizError, match="no chain"):
        store.set_spans("unknown", merged, "hand/1")


def test_chains_of_walks_through_all_pages(store: Store):
    items = [item(i, n_chains=3) for i in range(400)]
    right = {x.chains[0].id: RIGHT for x in items}
    store.add_items(items, right)
    assert [row.chain for row in store.chains_of()] == [c for x in items for c in x.chains]
    assert [row.chain.id for row in store.chains_of(ChainFilter(verdict="correct"))] == list(right)
    assert store.count_chains(ChainFilter(source="gsm8k", split="test", verdict="unknown")) == 800
    assert store.count_chains(ChainFilter(source="gsm8k", split="train")) == 0
    assert store.count_chains(ChainFilter(origin="human", problem_id=items[0].problem.id)) == 3
    assert store.origins() == [("human", 1200)]
    assert store.chains(items[0].problem.id, origin="machine") == []


def test_datasets_are_frozen_and_versioned(store: Store):
    rows = [{"prompt": f"p{i}", "label": i % 2 == 0, "x": None} for i in range(2500)]
    one = store.add_dataset("orm", "orm/1", {"k": 8}, iter(rows))
    assert (one.version, one.n_rows, one.config) == (1, 2500, {"k": 8})
    assert store.add_dataset("orm", "orm/1", {"k": 8}, rows) == one
    two = store.add_dataset("orm", "orm/1", {"k": 8}, rows[:3])
    assert (two.version, two.hash != one.hash) == (2, True)
    assert list(store.dataset_rows(one.id)) == rows
    assert store.dataset(two.id) == two
    assert store.datasets() == [two, one]
    with pytest.raises(StepvizError, match="no dataset 99"):
        store.dataset(99)


def test_stats_count_by_hand(store: Store):
    p = problem()
    c = chain(p)
    store.add_items([SourceItem(p, (c, chain(p, "1", text="A: 6"))), item(1)], {c.id: RIGHT})
    store.add_continuations([draw(p, 0)])
    store.add_dataset("d", "r", {}, [])
    for undone in (False, False, True):
        store.add_annotation(Annotation(c.id, "ana", "correct", 1, 1, undone=undone))
    assert store.stats() == {
        "problems": 2,
        "chains": 4,
        "correct_chains": 1,
        "steps": 3 + 1 + 3 + 3,
        "annotations": 1,
        "rollouts": 1,
        "datasets": 1,
    }


def test_equal_samplings_have_one_id() -> None:
    assert Sampling(temperature=1).hash == Sampling(temperature=1.0).hash
    assert Sampling(temperature=0, top_p=1).hash == Sampling(temperature=0.0, top_p=1.0).hash
    assert Sampling(temperature=1).hash != Sampling(temperature=0.7).hash


def test_who_writes_models_and_datasets_at_the_same_time_harms_nobody(store: Store) -> None:
    """On a server writers do not wait for each other: two found no record, or the same last version."""
    from concurrent.futures import ThreadPoolExecutor

    def dataset(i: int) -> tuple[int, int]:
        made = store.add_dataset("sums", "sft", {"i": i}, [{"prompt": str(i), "completion": "x"}])
        return i, made.version

    with ThreadPoolExecutor(8) as threads:
        new = list(threads.map(store.add_model, [ModelRow("base@1", spec="hf:base")] * 16))
        versions = set(threads.map(dataset, [i // 2 for i in range(16)]))
    assert sorted(new) == [False] * 15 + [True]
    assert sorted(version for _, version in versions) == [1, 2, 3, 4, 5, 6, 7, 8]
