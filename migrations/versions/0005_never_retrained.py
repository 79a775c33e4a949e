"""Bring the read models of decisions to schema 2 of `cycle.decided`; the entries stay as they are.

As `domain/events/upcasting.py` reads the entries from now on: a rebuild finds nothing different.
"""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

from domain.canonical import canonical_bytes

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    connection = op.get_bind()
    bodies = connection.execute(sa.text("SELECT position, body FROM decisions")).all()
    for position, text in bodies:
        body = orjson.loads(text)
        if _bring_up(body):
            connection.execute(
                sa.text("UPDATE decisions SET body = :text WHERE position = :position"),
                {"text": canonical_bytes(body).decode(), "position": position},
            )
    states = connection.execute(sa.text("SELECT cycle, state FROM cycles")).all()
    for cycle, text in states:
        state = orjson.loads(text)
        if _bring_up(state.get("cycle.decided", {})):
            connection.execute(
                sa.text("UPDATE cycles SET state = :text WHERE cycle = :cycle"),
                {"text": canonical_bytes(state).decode(), "cycle": cycle},
            )


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt, not migrated back")


def _bring_up(decided: dict[str, Any]) -> bool:
    """Add what schema 2 has, in place; whether there was anything to add."""
    verdict = decided.get("verdict")
    if verdict is None or "never_retrained" in verdict:
        return False
    verdict["never_retrained"] = any(
        clause["note"] == "never retrained" for clause in verdict["clauses"]
    )
    return True
