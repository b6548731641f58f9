"""Opening the store, and what an import puts in: problems, chains, labels."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
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
from db.values import ItemCounts, ModelRow, SourceKey
from stepviz.errors import StepvizError
from stepviz.types import Annotation, SourceItem, Verdict
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
    assert store_url("postgres://ana@server/labels").render_as_string() == "postgresql://ana@server/labels"


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


@pytest.mark.parametrize("length, fits", [(1900, True), (3000, False)])
def test_a_key_too_long_for_an_index_is_refused_on_every_database(store: Store, length: int, fits: bool):
    """PostgreSQL's entries end at 2,704 bytes, of words that cannot be compressed; nobody's file comes in here only."""
    words = "".join(hashlib.sha256(bytes([i])).hexdigest() for i in range(50))[:length]
    long = problem(key=words)
    told = chain(long, origin=words)
    label = Annotation(told.id, "ana", "correct", 1, 1, key=words)
    for brought in (
        SourceItem(long, line=3),
        SourceItem(long, (told,), line=3),
        SourceItem(long, (told,), (label,), 3),
    ):
        if fits:
            assert store.add_items([brought]).unchanged == 0
        else:
            with pytest.raises(StepvizError, match=r"line 3: .* bytes long; no more than 2000"):
                store.add_items([brought])
    assert store.stats()["annotations"] == fits


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


def _dump(store: Store) -> dict[str, list[tuple]]:
    with store.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
        }


def test_where_postgresqls_programs_are_missing_the_make_target_says_what_to_install(tmp_path: Path):
    script = Path(__file__).parent / "postgres.py"
    bare = {**os.environ, "POSTGRES_BIN": str(tmp_path)}
    told = subprocess.run([sys.executable, script], env=bare, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (1, "")
    assert "apt-get install postgresql" in told.stderr
    assert "Traceback" not in told.stderr
