"""Called by alembic; db.migrate hands over the connection, inside its transaction."""

from __future__ import annotations

from typing import Any

from alembic import context

from db.columns import ExactText, Instant
from db.models import Base


def render(kind: str, item: Any, _context: object) -> str | bool:
    """A migration is frozen: it names SQLAlchemy's types, not ours, which may change."""
    if kind == "type" and isinstance(item, ExactText):
        return "sa.Text()"
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by making it anew
    transactional_ddl=True,
    render_item=render,
)
context.run_migrations()
