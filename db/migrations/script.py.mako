<%! from db.views import views_digest %>"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
VIEWS = "${views_digest()}"  # db.views.views_digest()


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
