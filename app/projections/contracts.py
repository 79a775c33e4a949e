"""Every contract that ever was adopted, by digest: a cycle works under the one it started with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from app.projections.rows import json_text, put
from app.projections.tables import CONTRACTS
from domain.errors import UnknownThing
from domain.events.envelope import Recorded
from domain.events.events import ContractAdopted


def get_contract(connection: Connection, contract_digest: str) -> dict[str, Any]:
    """The document with this digest, as it was adopted. Raises UnknownThing."""
    found = connection.execute(
        select(CONTRACTS.c.document).where(CONTRACTS.c.digest == contract_digest)
    ).scalar_one_or_none()
    if found is None:
        raise UnknownThing(f"no contract with digest {contract_digest} was adopted. Adopt it.")
    document: dict[str, Any] = orjson.loads(found)
    return document


def _adopted(connection: Connection, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = entry.event
        assert isinstance(event, ContractAdopted)  # noqa: S101 - narrows for the checker
        put(
            connection,
            CONTRACTS,
            {
                "digest": event.contract_digest,
                "model": event.model,
                "document": json_text(event.contract),
                "position": entry.position,
            },
        )


APPLY: Final = {ContractAdopted: _adopted}
