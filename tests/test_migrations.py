"""Migrations: they make what the models say, from every earlier revision, and lose no label; on either database."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import BigInteger, DateTime, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from db.migrate import HEAD, SCRIPTS, migrate
from db.models import Base
from db.session import make_engine, store_url
from db.store import open_store
from db.values import ProblemFilter
from db.views import views, views_digest
from stepviz.errors import StepvizError
from stepviz.types import Annotation, Chain, Problem, Span, Verdict
from tests.store_cases import new_url, sqlite_only

REVISIONS = [step.revision for step in ScriptDirectory(str(SCRIPTS)).walk_revisions()][::-1]

QUESTION = "How many legs have three cows?"
PROBLEM = Problem(QUESTION, "12", None, "old", "1", "test", {"line": 1})
CHAIN = Chain(PROBLEM.id, "human", "0", "3*4=12\nA: 12", (Span(0, 6), Span(7, 12, "answer")), "line/1")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# What a store of revision 0001 holds, in that revision's own columns: frozen, whatever the models become. The database
# numbers the rows itself, so that what comes later is numbered on.
FILL_0001: list[tuple[str, list[dict[str, object]]]] = [
    (
        "INSERT INTO problems (id, n_chains, n_correct, n_disputed, created_at, question, answer)"
        " VALUES (:id, 1, 0, 1, :at, :question, '12')",
        [{"id": PROBLEM.id, "at": AT, "question": QUESTION}],
    ),
    (
        "INSERT INTO problem_sources (problem_id, source, split, key, meta) VALUES (:id, 'old', 'test', '1', :meta)",
        [{"id": PROBLEM.id, "meta": '{"line": 1}'}],
    ),
    (
        "INSERT INTO chains (id, problem_id, number, n_steps, verdict, disputed, graded, created_at, origin, key,"
        " rule, grader, reason, answer, overridden_by, override_note, spans, own_text, meta)"
        " VALUES (:id, :of, 1, 2, 'wrong', :yes, 'correct', :at, 'human', '0', 'line/1', 'stepviz/1', 'equal', '12',"
        " 'ana', 'wrong unit', '[[0, 6, \"step\"], [7, 12, \"answer\"]]', :text, '{}')",
        [{"id": CHAIN.id, "of": PROBLEM.id, "yes": True, "at": AT, "text": CHAIN.text}],
    ),
    (
        "INSERT INTO annotations (chain_id, annotator, question, step, value, undone, key, note, meta, created_at)"
        " VALUES (:of, :who, :question, :step, :value, :undone, :key, :note, '{}', :at)",
        [
            {"of": CHAIN.id, "who": who, "question": question, "step": step, "value": value}
            | {"undone": undone, "key": key, "note": note, "at": AT}
            for who, question, step, value, undone, key, note in [
                ("ana", "correct", 1, 1, False, None, ""),
                ("ana", "correct", 1, -1, False, None, "a slip"),
                ("ana", "correct", 1, None, True, None, ""),
                ("pb", "first_error", 0, 2, False, "row 1", ""),
                ("ana", "verdict", 0, -1, False, None, "wrong unit"),
            ]
        ],
    ),
    (
        "INSERT INTO datasets (name, version, recipe, config, hash, n_rows, created_at)"
        " VALUES (:name, 1, :recipe, :config, 'abc', 1, :at)",
        [
            {"name": name, "recipe": recipe, "config": '{"dropped": {}}', "at": AT}
            for name, recipe in (("mine", "sft"), ("other", "orm/1"))
        ],
    ),
    ("INSERT INTO dataset_rows (dataset_id, number, row) VALUES (1, 0, :row)", [{"row": '{"prompt": "p"}'}]),
]
LABELS = [
    Annotation(CHAIN.id, "ana", "correct", 1, 1),
    Annotation(CHAIN.id, "pb", "first_error", 0, 2, key="row 1"),
    Annotation(CHAIN.id, "ana", "verdict", 0, -1, "wrong unit"),
]


def _old_store(folder: Path, revision: str) -> str:
    """A store that people used at revision 0001 and that was brought up to `revision` since."""
    url = new_url(folder)
    migrate(store_url(url), to=REVISIONS[0])
    engine = make_engine(store_url(url))
    with engine.execution_options(writes=True).begin() as connection:
        for sql, rows in FILL_0001:
            query = text(sql)
            if ":at" in sql:  # SQLite keeps moments as text, in SQLAlchemy's way of writing
                query = query.bindparams(bindparam("at", type_=DateTime(timezone=True)))
            for row in rows:  # one by one: they are numbered in this order
                connection.execute(query, row)
    engine.dispose()
    migrate(store_url(url), to=revision)
    return url


def _ask(url: str, sql: str) -> list[tuple[object, ...]]:
    """The rows, whatever revision the store has."""
    engine = make_engine(store_url(url))
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_revision_comes_up_with_its_labels(tmp_path: Path, revision: str):
    with open_store(_old_store(tmp_path, revision)) as store:
        assert [row.annotation for row in store.annotations()] == LABELS
        assert len(store.annotations(history=True)) == 5
        assert store.problem(PROBLEM.id).problem == PROBLEM
        row = store.chain(CHAIN.id)
        assert (row.chain, row.verdict) == (CHAIN, Verdict("wrong", "wrong unit", "person:ana", "12"))
        assert [p.id for p in store.problems(ProblemFilter(result="disputed"))] == [PROBLEM.id]
        assert [(d.name, d.format, d.counts, d.dropped) for d in store.datasets()] == [
            ("other", "", {}, {}),
            ("mine", "prompt-completion", {}, {}),
        ]
        assert list(store.dataset_rows(1)) == [{"prompt": "p"}]
        assert store.refinements() == []
        assert row.created_at == AT
        with store.reading() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
            seen = connection.exec_driver_sql("SELECT annotation_id FROM v_annotations ORDER BY 1").scalars().all()
        assert differences == []
        assert seen == [1, 4, 5]
        again = Annotation(CHAIN.id, "eva", "correct", 2, 1)
        store.add_annotation(again)
        assert [row.annotation for row in store.annotations()] == [*LABELS, again]


@sqlite_only
def test_migrations_make_what_the_models_say(tmp_path: Path):
    """Column by column, index by index, as SQLite describes them: compare_metadata overlooks some things."""
    engine = make_engine(store_url(f"{tmp_path}/models.db"))
    Base.metadata.create_all(engine)
    engine.dispose()
    open_store(f"{tmp_path}/migrated.db").close()
    made, said = _schema(tmp_path / "migrated.db"), _schema(tmp_path / "models.db")
    made.pop("alembic_version")
    assert made == said


def test_head_and_views_are_those_of_the_last_revision():
    assert REVISIONS[-1] == HEAD
    script = ScriptDirectory(str(SCRIPTS)).get_revision(HEAD).module
    assert views_digest() == script.VIEWS, "db/views.py changed: add a revision, an empty one will do"


def test_an_old_revision_upgrades_across_a_table_made_anew(tmp_path: Path):
    """SQLite: batch mode replaces `chains` under its views, and under labels that refer to it. PostgreSQL changes a
    column that views show."""
    scripts, url = tmp_path / "migrations", _old_store(tmp_path, HEAD)
    how = "always" if url.startswith("sqlite") else "auto"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "9999_later.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9999'\ndown_revision = {HEAD!r}\n"
        "def upgrade():\n"
        f"    with op.batch_alter_table('chains', recreate={how!r}) as batch:\n"
        "        batch.add_column(sa.Column('mood', sa.Text(), nullable=True))\n"
        "        batch.alter_column('rule', type_=sa.String(99))\n"
    )
    migrate(store_url(url), scripts=scripts, head="9999")
    assert _ask(url, "SELECT mood, id FROM chains") == [(None, CHAIN.id)]
    assert _ask(url, "SELECT count(*) FROM annotations") == [(5,)]
    assert _ask(url, "SELECT count(*) FROM v_chains") == [(1,)]
    assert _ask(url, "SELECT version_num FROM alembic_version") == [("9999",)]
    with pytest.raises(StepvizError, match="newer one wrote it"):
        open_store(url)  # this stepviz knows no 9999


def test_a_migration_that_fails_leaves_everything_as_it_was(tmp_path: Path):
    scripts = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "9999_broken.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = {HEAD!r}\n"
        "def upgrade():\n    op.drop_table('annotations')\n    op.execute('SELECT nonsense FROM nowhere')\n"
    )
    url = _old_store(tmp_path, HEAD)
    with pytest.raises(StepvizError, match="nowhere"):
        migrate(store_url(url), scripts=scripts, head="9999")
    with open_store(url) as store:
        assert [row.annotation for row in store.annotations()] == LABELS
        with store.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM v_steps").scalar() == 2


@sqlite_only
def test_another_programs_database_is_left_alone(tmp_path: Path):
    with sqlite3.connect(tmp_path / "places.db") as raw:
        raw.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(StepvizError, match="belongs to another program"):
        open_store(f"{tmp_path}/places.db")
    with sqlite3.connect(tmp_path / "places.db") as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


def test_migrations_work_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "50% of it").mkdir()
    monkeypatch.chdir(tmp_path / "50% of it")
    with open_store("sqlite:///here.db") as store:
        assert store.stats()["problems"] == 0


def test_the_schema_is_sql_that_postgresql_has_words_for():
    """No server here: at least every table compiles, and no name is longer than PostgreSQL's 63 bytes."""
    dialect = postgresql.dialect()
    for table in Base.metadata.sorted_tables:
        ddl = str(CreateTable(table).compile(dialect=dialect))
        numbered = [c for c in table.primary_key.columns if isinstance(c.type, BigInteger) and not c.foreign_keys]
        assert ddl.count("BIGSERIAL") == len(numbered), ddl
        names = [table.name, *(str(c.name) for c in table.constraints), *(str(i.name) for i in table.indexes)]
        assert all(len(name) <= 63 for name in names)
    assert views("postgresql").keys() == views("sqlite").keys()


def _schema(path: Path) -> dict[str, object]:
    """Table → columns, foreign keys and indexes, as pragmas tell them."""
    schema = {}
    with sqlite3.connect(path) as raw:
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            indexes = {
                name: (unique, raw.execute(f"PRAGMA index_info({name})").fetchall())
                for _, name, unique, *_ in raw.execute(f"PRAGMA index_list({table})")
            }
            columns = raw.execute(f"PRAGMA table_info({table})").fetchall()
            keys = sorted(key[2:] for key in raw.execute(f"PRAGMA foreign_key_list({table})"))
            schema[table] = (columns, keys, indexes)
    return schema
