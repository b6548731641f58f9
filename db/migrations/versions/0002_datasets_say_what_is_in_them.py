"""datasets say what is in them: format, counts, and what was dropped.

Before it there was one recipe, sft, and what it dropped stood in its configuration.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
VIEWS = "93e50eaf1ce5510b0884c48e"  # db.views.views_digest()


def upgrade() -> None:
    with op.batch_alter_table("datasets") as batch:
        batch.add_column(sa.Column("format", sa.String(length=24), nullable=True))
        batch.add_column(sa.Column("counts", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("dropped", sa.JSON(), nullable=True))
    op.execute(
        "UPDATE datasets SET counts = '{}', dropped = '{}',"
        " format = CASE WHEN recipe = 'sft' THEN 'prompt-completion' ELSE '' END"
    )
    with op.batch_alter_table("datasets") as batch:
        batch.alter_column("format", existing_type=sa.String(length=24), nullable=False)
        batch.alter_column("counts", existing_type=sa.JSON(), nullable=False)
        batch.alter_column("dropped", existing_type=sa.JSON(), nullable=False)
