"""refinements are a ledger: each draft that was refined, when, where and how, what the ORM chose from and kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
VIEWS = "93e50eaf1ce5510b0884c48e"  # db.views.views_digest()

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "refinements",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("draft", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=24), nullable=False),
        sa.Column("refiner", sa.Text(), nullable=False),
        sa.Column("orm", sa.Text(), nullable=True),
        sa.Column("locator", sa.Text(), nullable=True),
        sa.Column("sampling_id", sa.String(length=24), nullable=False),
        sa.Column("how", sa.String(length=8), nullable=False),
        sa.Column("gate", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("no_flag", sa.String(length=8), nullable=False),
        sa.Column("at", sa.Integer(), nullable=True),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("pick", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["draft"], ["chains.id"], name=op.f("fk_refinements_draft_chains")),
        sa.ForeignKeyConstraint(["refiner"], ["models.id"], name=op.f("fk_refinements_refiner_models")),
        sa.ForeignKeyConstraint(["orm"], ["models.id"], name=op.f("fk_refinements_orm_models")),
        sa.ForeignKeyConstraint(["locator"], ["models.id"], name=op.f("fk_refinements_locator_models")),
        sa.ForeignKeyConstraint(["sampling_id"], ["samplings.id"], name=op.f("fk_refinements_sampling_id_samplings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refinements")),
        sa.UniqueConstraint("draft", "key", name=op.f("uq_refinements_draft_key")),
    )
    op.create_table(
        "refinement_candidates",
        sa.Column("refinement_id", ROW_ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("chain", sa.String(length=24), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["refinement_id"], ["refinements.id"], name=op.f("fk_refinement_candidates_refinement_id_refinements")
        ),
        sa.ForeignKeyConstraint(["chain"], ["chains.id"], name=op.f("fk_refinement_candidates_chain_chains")),
        sa.PrimaryKeyConstraint("refinement_id", "number", name=op.f("pk_refinement_candidates")),
    )
    op.create_index(op.f("ix_refinement_candidates_chain"), "refinement_candidates", ["chain"])
