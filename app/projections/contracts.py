"""Every contract that ever was adopted, by digest: a cycle works under the one it started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection, select

from app.ledger.past import Past
from app.projections.read_model import json_text, put, table_of, view_of
from domain.errors import UnknownThing
from domain.events.envelope import Recorded
from domain.events.events import ContractAdopted


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractView:
    """One adopted contract."""

    digest: str
    model: str
    document: dict[str, Any]
    position: int  # of its latest adoption


CONTRACTS: Final = table_of(ContractView, "contracts", number=1, key="digest")


def get_contract(connection: Connection, contract_digest: str) -> dict[str, Any]:
    """The document with this digest, as it was adopted. Raises UnknownThing."""
    row = connection.execute(
        select(CONTRACTS).where(CONTRACTS.c.digest == contract_digest)
    ).one_or_none()
    if row is None:
        raise UnknownThing(f"no contract with digest {contract_digest} was adopted. Adopt it.")
    return view_of(ContractView, row).document


def _adopted(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(ContractAdopted, entry.event)
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
