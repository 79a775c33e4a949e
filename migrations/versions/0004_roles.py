"""Rights were divided here; 0007 divides them for all tables there are."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("rights once given up stay so; a superuser may grant what he likes")
