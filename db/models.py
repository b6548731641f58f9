"""The tables. Rows never leave db/: the store takes and gives values (stepviz.types, db.values).

Some columns are caches, marked so: they are computed again from what they summarise, in the transaction
that changes it, so that lists of 100,000 chains can be filtered by an index.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.columns import ExactText, Instant

# SQLite numbers rows by itself only in a column that says INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")
Hash = String(24)  # stepviz.types.digest


class Base(DeclarativeBase):
    # Named constraints: alembic's batch mode cannot touch nameless ones.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: ExactText, datetime: Instant, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class ProblemTable(Base):
    __tablename__ = "problems"
    seq: Mapped[int] = mapped_column(RowId, primary_key=True)  # order of arrival
    id: Mapped[str] = mapped_column(Hash, unique=True)
    n_chains: Mapped[int] = mapped_column(default=0)  # cache
    n_correct: Mapped[int] = mapped_column(default=0)  # cache
    n_disputed: Mapped[int] = mapped_column(default=0)  # cache
    created_at: Mapped[datetime]
    question: Mapped[str]
    answer: Mapped[str | None]  # the first that any source brought
    solution: Mapped[str | None]


class ProblemSourceTable(Base):
    """What one source says of a problem. `question` is NULL where the source writes it as problems.question does."""

    __tablename__ = "problem_sources"
    __table_args__ = (
        UniqueConstraint("problem_id", "source", "split", "key"),
        Index(None, "source", "split", "problem_id"),
        Index(None, "key"),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    problem_id: Mapped[str] = mapped_column(Hash, ForeignKey("problems.id"))
    source: Mapped[str]
    split: Mapped[str]  # "" for none: NULLs would never be equal
    key: Mapped[str]
    question: Mapped[str | None]
    answer: Mapped[str | None]
    solution: Mapped[str | None]
    meta: Mapped[dict[str, Any]]


class ModelTable(Base):
    __tablename__ = "models"
    id: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    spec: Mapped[str]
    parents: Mapped[list[Any]]
    run_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("runs.id"))
    meta: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class SamplingTable(Base):
    __tablename__ = "samplings"
    id: Mapped[str] = mapped_column(Hash, primary_key=True)
    spec: Mapped[dict[str, Any]]


class ContinuationTable(Base):
    __tablename__ = "continuations"
    __table_args__ = (
        UniqueConstraint("problem_id", "prefix_hash", "model_id", "sampling_id", "j", name="uq_continuations_key"),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    problem_id: Mapped[str] = mapped_column(Hash, ForeignKey("problems.id"))
    prefix_hash: Mapped[str] = mapped_column(Hash)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    sampling_id: Mapped[str] = mapped_column(Hash, ForeignKey("samplings.id"))
    j: Mapped[int]
    finish_reason: Mapped[str] = mapped_column(String(8))
    verdict: Mapped[str] = mapped_column(String(8))
    tokens: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    text: Mapped[str]
    answer: Mapped[str | None]
    reason: Mapped[str]
    grader: Mapped[str]


class ChainTable(Base):
    """The text is own_text and then the continuation's: a sampled chain's own_text is empty."""

    __tablename__ = "chains"
    __table_args__ = (
        Index(None, "problem_id", "seq"),
        Index("ix_chains_counts", "problem_id", "verdict", "disputed", "n_steps"),
        Index(None, "parent"),
        Index(None, "continuation_id"),
        Index(None, "origin"),
    )
    seq: Mapped[int] = mapped_column(RowId, primary_key=True)  # order of arrival
    id: Mapped[str] = mapped_column(Hash, unique=True)
    problem_id: Mapped[str] = mapped_column(Hash, ForeignKey("problems.id"))
    number: Mapped[int]  # 1, 2, … within the problem, in the order of arrival
    n_steps: Mapped[int]  # cache: the length of spans
    verdict: Mapped[str] = mapped_column(String(8))  # cache: a person's where one spoke, else `graded`
    disputed: Mapped[bool] = mapped_column(default=False)  # cache
    graded: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime]
    continuation_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("continuations.id"))
    # deferred: a tree's branches may come before their trunk, within a transaction
    parent: Mapped[str | None] = mapped_column(Hash, ForeignKey("chains.id", deferrable=True, initially="DEFERRED"))
    branch_step: Mapped[int | None]
    origin: Mapped[str]
    key: Mapped[str]
    rule: Mapped[str]
    grader: Mapped[str]
    reason: Mapped[str]
    answer: Mapped[str | None]
    overridden_by: Mapped[str | None]  # cache: the annotator whose verdict stands
    override_note: Mapped[str | None]  # cache
    spans: Mapped[list[Any]]  # [[start, end, kind], …]
    own_text: Mapped[str]
    meta: Mapped[dict[str, Any]]


class AnnotationTable(Base):
    """Appended, never changed: an undo is another row."""

    __tablename__ = "annotations"
    __table_args__ = (
        Index(None, "chain_id", "annotator", "question", "step"),
        UniqueConstraint("annotator", "key"),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    chain_id: Mapped[str] = mapped_column(Hash, ForeignKey("chains.id"))
    annotator: Mapped[str]
    question: Mapped[str] = mapped_column(String(16))
    step: Mapped[int]
    value: Mapped[int | None]
    undone: Mapped[bool]
    key: Mapped[str | None]  # NULL for live labels: they may repeat
    note: Mapped[str]
    meta: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    slot_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("slots.id"), index=True)  # given in a study


class ScoreTable(Base):
    __tablename__ = "step_scores"
    chain_id: Mapped[str] = mapped_column(Hash, ForeignKey("chains.id"), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    score: Mapped[float]


class RunTable(Base):
    __tablename__ = "runs"
    __table_args__ = (Index(None, "state", "id"),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]
    progress: Mapped[dict[str, Any]]
    spec: Mapped[dict[str, Any]]


class RunLogTable(Base):
    __tablename__ = "run_log"
    __table_args__ = (Index(None, "run_id", "id"),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_id: Mapped[int] = mapped_column(RowId, ForeignKey("runs.id"))
    at: Mapped[datetime]
    line: Mapped[str]


class DatasetTable(Base):
    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    recipe: Mapped[str]
    config: Mapped[dict[str, Any]]
    hash: Mapped[str] = mapped_column(Hash)
    n_rows: Mapped[int]
    created_at: Mapped[datetime]
    format: Mapped[str] = mapped_column(String(24))
    counts: Mapped[dict[str, Any]]
    dropped: Mapped[dict[str, Any]]


class DatasetRowTable(Base):
    __tablename__ = "dataset_rows"
    dataset_id: Mapped[int] = mapped_column(RowId, ForeignKey("datasets.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)  # 0, 1, …
    row: Mapped[dict[str, Any]]


class RefinementTable(Base):
    """The ledger of refinements: a draft, when and where and how it was refined, and what was kept. Never changed."""

    __tablename__ = "refinements"
    __table_args__ = (UniqueConstraint("draft", "key"),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    draft: Mapped[str] = mapped_column(Hash, ForeignKey("chains.id"))
    key: Mapped[str] = mapped_column(Hash)  # digest of the draft's steps and of every setting
    refiner: Mapped[str] = mapped_column(ForeignKey("models.id"))
    orm: Mapped[str | None] = mapped_column(ForeignKey("models.id"))
    locator: Mapped[str | None] = mapped_column(ForeignKey("models.id"))
    sampling_id: Mapped[str] = mapped_column(Hash, ForeignKey("samplings.id"))
    how: Mapped[str] = mapped_column(String(8))
    gate: Mapped[float | None]
    threshold: Mapped[float]
    no_flag: Mapped[str] = mapped_column(String(8))
    at: Mapped[int | None]  # E given by hand
    samples: Mapped[int]
    score: Mapped[float | None]  # the ORM's of the draft
    chosen: Mapped[bool]  # the gate's decision
    step: Mapped[int | None]  # E
    pick: Mapped[str] = mapped_column(String(16))  # a candidate's name
    note: Mapped[str]
    created_at: Mapped[datetime]


class RefinementCandidateTable(Base):
    """What the ORM chose from: number 0 is the draft itself."""

    __tablename__ = "refinement_candidates"
    __table_args__ = (Index(None, "chain"),)
    refinement_id: Mapped[int] = mapped_column(RowId, ForeignKey("refinements.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(16))  # "draft", "global", "local", "local 2", …
    chain: Mapped[str] = mapped_column(Hash, ForeignKey("chains.id"))
    score: Mapped[float | None]


class UserTable(Base):
    """Who may sign in. `folded`: the name as it is compared, so that Ana and ana are one."""

    __tablename__ = "users"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    folded: Mapped[str] = mapped_column(String(192), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str]  # argon2's encoded hash
    disabled: Mapped[bool]
    created_at: Mapped[datetime]


class StudyTable(Base):
    """config: stepviz.studies.StudyConfig as JSON; what people are asked, of whom how many, in which arms."""

    __tablename__ = "studies"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    open: Mapped[bool]
    config: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class GuidelineTable(Base):
    """Appended: a slot names the version that was read."""

    __tablename__ = "study_guidelines"
    study_id: Mapped[int] = mapped_column(RowId, ForeignKey("studies.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class StudyItemTable(Base):
    """A chain of a study. gold: its labels are known, everybody gets it. taken: slots that are open or submitted."""

    __tablename__ = "study_items"
    __table_args__ = (UniqueConstraint("study_id", "chain_id"), Index(None, "study_id", "position"))
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[int] = mapped_column(RowId, ForeignKey("studies.id"))
    position: Mapped[int]
    chain_id: Mapped[str] = mapped_column(Hash, ForeignKey("chains.id"))
    gold: Mapped[bool]
    taken: Mapped[int] = mapped_column(default=0)  # cache


class SlotTable(Base):
    """One person's turn at one item: in which arm, by which guideline, from when to when, and how it ended."""

    __tablename__ = "slots"
    __table_args__ = (UniqueConstraint("item_id", "annotator"), Index(None, "study_id", "annotator", "state"))
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[int] = mapped_column(RowId, ForeignKey("studies.id"))
    item_id: Mapped[int] = mapped_column(RowId, ForeignKey("study_items.id"))
    annotator: Mapped[str]
    arm: Mapped[str] = mapped_column(String(16))
    guideline: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))  # open, submitted, released
    opened_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    seconds: Mapped[float | None]
    finish: Mapped[str | None] = mapped_column(String(32))  # PRM800K's words
    flags: Mapped[list[Any]]
    note: Mapped[str]
