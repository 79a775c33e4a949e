"""Every contract that ever was adopted, by digest: a cycle works under the one it started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import Connection, select

from app.ledger.past import Past
from app.projections.read_model import json_text, object_of, put, table_of, unfit
from domain.contract.contract import Contract, parse_contract
from domain.errors import UnknownThing
from domain.events.envelope import Recorded
from domain.events.events import ContractAdopted

_REMEMBERED: Final = 16  # contracts that were parsed; a model has one in force and a few before


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
    return object_of("document", ContractView, _document(connection, contract_digest))


def adopted_contract(connection: Connection, contract_digest: str) -> Contract:
    """The contract with this digest. Raises UnknownThing."""
    return contract_of(_document(connection, contract_digest))


@lru_cache(maxsize=_REMEMBERED)
def contract_of(document: str) -> Contract:
    """The contract of a document as the read models keep it, as text: parsed once for each.

    Raises:
        ReadModelUnfit: it is no JSON object.
        ContractInvalid: it has faults, which none has that was adopted.
    """
    return parse_contract(object_of("document", ContractView, document))


def _document(connection: Connection, contract_digest: str) -> str:
    found = connection.execute(
        select(CONTRACTS.c.document).where(CONTRACTS.c.digest == contract_digest)
    ).scalar_one_or_none()
    if found is None:
        raise UnknownThing(f"no contract with digest {contract_digest} was adopted. Adopt it.")
    if not isinstance(found, str):
        raise unfit("document", "a ContractView")
    return found


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
