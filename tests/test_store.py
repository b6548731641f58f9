"""Opening the store, and what goes in and comes out of it: problems, chains, draws, data sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from db.columns import decode_text, encode_text
from db.models import Base
from db.session import store_url
from db.store import Store, open_store
from db.values import ChainFilter, ContinuationKey, ItemCounts, ModelRow, PrefixCount, SourceKey
from stepviz.errors import StepvizError
from stepviz.types import Annotation, PromptStyle, Sampling, SourceItem, Span, StepScore, Verdict, prefix_hash
from tests.store_cases import RIGHT, SAMPLING, WRONG, chain, draw, item, new_url, problem, sqlite_only


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(new_url(tmp_path)) as opened:
        opened.add_model(ModelRow("embedded/student", spec="embedded:student"))
        opened.add_sampling(SAMPLING)
        yield opened


@sqlite_only
def test_sqlite_runs_in_wal_and_checks_foreign_keys(store: Store):
    with store.reading() as connection:
        for pragma, expected in {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 60_000}.items():
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == expected


def test_what_a_row_refers_to_must_be_there(store: Store):
    with pytest.raises(AssertionError, match="before its chains"):
        store.add_chain(chain(problem()))
    with pytest.raises(IntegrityError):
        store.add_continuations([draw(problem(), 0)])


def test_default_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STEPVIZ_DB", raising=False)
    assert store_url().database == str(tmp_path / "stepviz.db")
    monkeypatch.setenv("STEPVIZ_DB", "sqlite:///elsewhere.db")
    assert store_url().database == str(tmp_path / "elsewhere.db")
    assert store_url("given.db").database == str(tmp_path / "given.db")
    assert store_url("postgresql://server/labels").get_backend_name() == "postgresql"


def test_a_store_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    opened = open_store("sqlite:///here.db")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    opened.add_items([item(1)])
    with open_store(opened.url) as again:
        assert again.stats()["chains"] == 2
    assert [path.name for path in (tmp_path / "below").iterdir()] == []


@pytest.mark.parametrize(
    "url, message",
    [
        ("sqlite:///{}/missing/store.db", "there is no folder"),
        ("sqlite:///{}/text.db", "is not an SQLite database"),
        ("sqlite:///{}", "Check that file and folder may be written"),
        ("sqlite://", "not seen by the worker"),
        ("mysql://server/labels", "SQLite and PostgreSQL"),
        ("nonsense://", "SQLite and PostgreSQL"),
        ("://", "is no database URL"),
        ("postgresql+nonsense://server/labels", "unknown driver"),
    ],
)
def test_what_cannot_be_opened_says_what_to_do(tmp_path: Path, url: str, message: str):
    (tmp_path / "text.db").write_text("this is a text, and a long one, not a database\n" * 50)
    with pytest.raises(StepvizError, match=message):
        open_store(url.format(tmp_path))


def test_items_come_in_once(store: Store):
    p = problem(meta={"question": "as in the file", "n": 1})
    first, second = chain(p, "a"), chain(p, "b", text="2*3=6\nA: 6")
    label = Annotation(first.id, "gsm8k", "verdict", 0, 1, key="1")
    items = [SourceItem(p, (first, second), (label,), line=1)]
    verdicts = {first.id: RIGHT, second.id: WRONG}
    assert store.add_items(items, verdicts) == ItemCounts(1, 2, 1, 0)
    before = _dump(store)
    assert store.add_items(items, verdicts) == ItemCounts(0, 0, 0, 1)
    assert store.add_items(items) == ItemCounts(0, 0, 0, 1)  # no verdicts given: the stored ones stay
    assert _dump(store) == before

    row = store.problem(p.id)
    assert row.problem == p
    assert (row.n_chains, row.n_correct) == (2, 1)
    assert row.sources == (SourceKey("gsm8k", "test/1", "test"),)
    assert [(c.number, c.chain, c.verdict) for c in store.chains(p.id)] == [(1, first, RIGHT), (2, second, WRONG)]
    assert store.chain(second.id).chain == second
    assert store.chain("no such") is None
    assert store.problem("no such") is None


def test_equal_texts_are_still_two_chains(store: Store):
    p = problem()
    counts = store.add_items([SourceItem(p, (chain(p, "0"), chain(p, "1")))])
    assert counts.chains_new == 2


def test_sources_share_a_problem_and_keep_their_own_reading(store: Store):
    bare = problem("A  question\nhere", answer=None, source="stepverify", key="7", split=None)
    gold = problem("A question here", answer="5", solution="2+3", source="gsm8k", key="test/9")
    other = problem("A question here", answer="five", source="mine", key="1", split="dev")
    assert bare.id == gold.id
    store.add_items([SourceItem(bare)])
    assert store.add_items([SourceItem(gold)]) == ItemCounts(0, 0, 0, 0)
    assert store.add_items([SourceItem(other)]) == ItemCounts(0, 0, 0, 0)
    assert store.add_items([SourceItem(x) for x in (bare, gold, other)]) == ItemCounts(0, 0, 0, 3)
    row = store.problem(bare.id)
    assert (row.question, row.answer, row.solution) == ("A  question\nhere", "5", "2+3")
    assert [tuple(s) for s in row.sources] == [
        ("stepverify", "7", None),
        ("gsm8k", "test/9", "test"),
        ("mine", "1", "dev"),
    ]
    with store.reading() as connection:
        own = connection.exec_driver_sql("SELECT question, answer FROM problem_sources ORDER BY id").fetchall()
    assert [tuple(r) for r in own] == [(None, None), ("A question here", "5"), ("A question here", "five")]
    assert store.sources() == [("gsm8k", 1), ("mine", 1), ("stepverify", 1)]
    assert store.splits("gsm8k") == [("test", 1)]
    assert store.find_problem("mine", "1").id == bare.id
    assert store.find_problem("mine", "2") is None


def test_gold_may_come_later_in_the_same_batch(store: Store):
    bare, gold = problem(answer=None, source="a"), problem(answer="5", source="b")
    assert store.add_items([SourceItem(bare), SourceItem(gold)]).problems_new == 1
    assert store.problem(bare.id).answer == "5"


def test_a_changed_chain_is_kept_and_reported(store: Store):
    p = problem()
    store.add_items([SourceItem(p, (chain(p),), line=4)])
    counts = store.add_items([SourceItem(p, (chain(p, text="something else"),), line=9)])
    assert counts == ItemCounts(0, 0, 0, 1, kept=(9,))
    assert store.chains(p.id)[0].chain.text == chain(p).text


def test_a_later_verdict_replaces_the_graders(store: Store):
    p = problem()
    c = chain(p)
    items = [SourceItem(p, (c,))]
    store.add_items(items, {c.id: Verdict("unknown", "no gold answer", "stepviz/1", "5")})
    assert store.add_items(items, {c.id: RIGHT}).unchanged == 0
    assert store.chain(c.id).verdict == RIGHT
    assert store.problem(p.id).n_correct == 1
    store.set_verdicts({c.id: WRONG})
    assert (store.chain(c.id).verdict, store.problem(p.id).n_correct) == (WRONG, 0)


def test_a_refused_item_leaves_nothing_of_its_batch(store: Store):
    p = problem()
    c = chain(p)  # three steps
    bad = SourceItem(p, (c,), (Annotation(c.id, "pb", "first_error", 0, 4),), line=12)
    with pytest.raises(StepvizError, match=r"line 12: .* cannot be 4 on a chain of 3 steps"):
        store.add_items([item(1), bad])
    orphan = SourceItem(p, (chain(p, parent="f" * 24, branch_step=1),))
    with pytest.raises(StepvizError, match="branches from a chain that nobody has"):
        store.add_items([orphan])
    assert set(store.stats().values()) == {0}


def test_a_branch_may_come_before_its_trunk(store: Store):
    p = problem()
    trunk = chain(p, "trunk")
    branch = chain(p, "branch", text="2+3=5\nSo 5.", parent=trunk.id, branch_step=1)
    store.add_items([SourceItem(p, (branch, trunk))])
    assert store.chain(branch.id).chain == branch


@given(st.text(st.characters(codec=None)))
def test_every_string_can_be_stored_and_read(text: str):
    stored = encode_text(text)
    assert decode_text(stored) == text
    stored.encode()  # what every database takes
    assert "\0" not in stored


def test_hostile_text_comes_back_exactly(store: Store):
    hostile = "\0 \ud83d half \udfff \U0010f000 \U0010fffd \U0010f800 é 😀 ' \" %s :x {{y}} \\ \r\n \x1b"
    p = problem(hostile, key=hostile, meta={hostile: [hostile, None, 1.5]})
    c = chain(p, hostile, text=f"{hostile}\nA: 5", meta={"row": hostile})
    store.add_items([SourceItem(p, (c,), (Annotation(c.id, hostile, "correct", 1, 1, note=hostile),))])
    with open_store(store.url) as again:
        assert again.problem(p.id).problem == p
        assert again.chain(c.id).chain == c
        assert again.annotations(c.id)[0].annotation.note == hostile


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
    with pytest.raises(StepvizError, match="labels of ana"):
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


def _dump(store: Store) -> dict[str, list[tuple]]:
    with store.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
        }
