"""Every policy document that ever was adopted, by digest; of each id the latest is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from sqlalchemy import Connection, select

from app.ledger.past import Past
from app.projections.read_model import json_text, put, table_of, view_of
from domain.errors import UnknownThing
from domain.events.envelope import Recorded
from domain.events.events import PolicyAdopted


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """One adopted policy document."""

    digest: str
    policy: str
    version: int  # as the document says
    document: str  # canonical JSON
    position: int  # of its latest adoption


POLICIES: Final = table_of(PolicyView, "policies", number=1, key="digest")


def get_policy(connection: Connection, policy: str) -> PolicyView | None:
    """The document in force under this id; None when none was adopted."""
    row = connection.execute(
        select(POLICIES)
        .where(POLICIES.c.policy == policy)
        .order_by(POLICIES.c.position.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else view_of(PolicyView, row)


def get_policy_document(connection: Connection, policy_digest: str) -> dict[str, Any]:
    """The document with this digest, as it was adopted. Raises UnknownThing."""
    found = connection.execute(
        select(POLICIES.c.document).where(POLICIES.c.digest == policy_digest)
    ).scalar_one_or_none()
    if found is None:
        raise UnknownThing(f"no policy with digest {policy_digest} was adopted. Adopt it first.")
    document: dict[str, Any] = orjson.loads(found)
    return document


def _adopted(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(PolicyAdopted, entry.event)
        put(
            connection,
            POLICIES,
            {
                "digest": event.policy_digest,
                "policy": event.policy,
                "version": event.policy_version,
                "document": json_text(event.document),
                "position": entry.position,
            },
        )


APPLY: Final = {PolicyAdopted: _adopted}
