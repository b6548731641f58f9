"""The store: every query of the project, one short transaction each, safe to call from any thread.

Values go in and come out (stepviz.types, db.values); rows stay here. Each part of it is a module:
items (import), problems, chains, labels, continuations, runs, datasets, refinements, users, studies,
settlements.
"""

from __future__ import annotations

from sqlalchemy import func, select

from db.chains import ChainQueries
from db.continuations import ContinuationQueries
from db.datasets import DatasetQueries
from db.items import ItemQueries
from db.labels import LabelQueries
from db.migrate import migrate
from db.models import AnnotationTable, ChainTable, ContinuationTable, DatasetTable, ProblemTable
from db.problems import ProblemQueries
from db.refinements import RefinementQueries
from db.runs import RunQueries
from db.session import make_engine, store_url
from db.settlements import SettlementQueries
from db.studies import StudyQueries
from db.users import UserQueries

LATE = 10_000  # on PostgreSQL a row may be seen after one with a higher number: of who began earlier and ended later


class Store(
    ItemQueries,
    ProblemQueries,
    ChainQueries,
    LabelQueries,
    ContinuationQueries,
    RunQueries,
    DatasetQueries,
    RefinementQueries,
    UserQueries,
    StudyQueries,
    SettlementQueries,
):
    """Made by open_store; close it, or use it in a `with`."""

    def stats(self) -> dict[str, int]:
        """How much there is. Annotations: labels given and not taken back."""
        p, c, a = ProblemTable, ChainTable, AnnotationTable
        queries = {
            "problems": select(func.count()).select_from(p),
            "chains": select(func.sum(p.n_chains)),
            "correct_chains": select(func.sum(p.n_correct)),
            "steps": select(func.sum(c.n_steps)),
            "annotations": select(func.count() - 2 * func.count().filter(a.undone)).select_from(a),
            "rollouts": select(func.count()).select_from(ContinuationTable),
            "datasets": select(func.count()).select_from(DatasetTable),
        }
        with self.reading() as connection:
            return {name: int(connection.execute(query).scalar() or 0) for name, query in queries.items()}

    def stamp(self) -> tuple[int, ...]:
        """Changes with every problem, chain, draw and label that comes in; quick, for those who keep what they read."""
        numbers = (ProblemTable.seq, ChainTable.seq, ContinuationTable.id, AnnotationTable.id)
        with self.reading() as connection:
            newest = [connection.execute(select(func.max(column))).scalar() or 0 for column in numbers]
            if connection.dialect.name == "sqlite":
                return tuple(newest)
            late = [select(func.count()).where(x > top - LATE) for x, top in zip(numbers, newest, strict=True)]
            return (*newest, *(connection.execute(query).scalar_one() for query in late))


def open_store(url: str | None = None) -> Store:
    """The store behind `url` (default: STEPVIZ_DB, else sqlite:///stepviz.db), made or migrated where needed.

    StepvizError, saying what to do: a URL that cannot be opened, a file that is no database or another
    program's, a database that a newer stepviz wrote.
    """
    where = store_url(url)
    migrate(where)
    return Store(make_engine(where))
