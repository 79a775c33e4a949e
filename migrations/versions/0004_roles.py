"""On PostgreSQL one role owns the tables, another may only add to them: `app/database/roles.py`."""

from __future__ import annotations

from alembic import op

from app.database.roles import divide_rights

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    divide_rights(op.get_bind())


def downgrade() -> None:
    raise NotImplementedError("rights once given up stay so; a superuser may grant what he likes")
