"""Adopt a contract or a policy: read it, check it, append it whole, unless it is in force."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

from app.cause import Cause
from app.intake.documents import parse_document
from app.ledger.deciding import Decision, decide, folded
from app.ledger.store import Ledger
from app.ledger.streams import model_stream, policy_stream
from domain.contract.contract import contract_digest, parse_contract
from domain.decisions import lifecycle, policy
from domain.decisions.lifecycle import AdoptContract
from domain.decisions.policy import AdoptPolicy
from domain.errors import DocumentInvalid
from domain.events.envelope import Recorded
from domain.events.events import ContractAdopted, PolicyAdopted
from domain.faults import Fault, pointer
from domain.strict_json import without_pause
from rules.policy import parse_policy, policy_digest

FIELDS_MAX: Final = 100  # of one object in a document; the top of a contract has twenty-five
ENTRIES_MAX: Final = 2_000  # of one list; a contract has at most a thousand features or categories
_Place: TypeAlias = tuple[str | int, ...]  # from the top, step by step

Adopted = TypeVar("Adopted", ContractAdopted, PolicyAdopted)


def adopt_contract(
    ledger: Ledger, text: bytes, cause: Cause, pause: Callable[[], None] = without_pause
) -> tuple[Recorded, ContractAdopted, bool]:
    """The entry that adopted the contract in `text`, its event, and whether it is new.

    `pause`: see `parse_document`.

    Raises:
        DocumentInvalid: broken or ambiguous YAML or JSON.
        ContractInvalid: the contract has faults; all are listed.
        VersionConflict: three times somebody else was first.
    """
    document = _read(text, pause)
    model = parse_contract(document, adopting=True).model
    command = AdoptContract(
        model=model, contract=document, contract_digest=contract_digest(document)
    )
    decision = decide(
        ledger,
        folded(model_stream(model), lifecycle.fold),
        lifecycle.adopt_contract,
        command,
        cause,
    )
    return _in_force(decision, ContractAdopted)


def adopt_policy(
    ledger: Ledger, text: bytes, cause: Cause, pause: Callable[[], None] = without_pause
) -> tuple[Recorded, PolicyAdopted, bool]:
    """The entry that adopted the policy in `text`, its event, and whether it is new.

    `pause`: see `parse_document`.

    Raises:
        DocumentInvalid: broken or ambiguous YAML or JSON.
        PolicyInvalid: the policy has faults, or its version was adopted with other words.
        VersionConflict: three times somebody else was first.
    """
    document = _read(text, pause)
    parsed = parse_policy(document)
    command = AdoptPolicy(
        policy=parsed.id,
        policy_version=parsed.version,
        document=document,
        policy_digest=policy_digest(document),
    )
    decision = decide(
        ledger,
        folded(policy_stream(parsed.id), policy.fold),
        policy.adopt_policy,
        command,
        cause,
    )
    return _in_force(decision, PolicyAdopted)


def _read(text: bytes, pause: Callable[[], None]) -> dict[str, Any]:
    """The document. Raises DocumentInvalid as `parse_document`, and where a list or an object has
    more than any that is taken: each of its entries would be judged, and most refused, alone."""
    document = parse_document(text, name="the request", pause=pause)
    waiting: deque[tuple[Any, _Place]] = deque([(document, ())])
    while waiting:
        here, place = waiting.popleft()
        in_object = isinstance(here, dict)
        most = FIELDS_MAX if in_object else ENTRIES_MAX
        if len(here) > most:
            kind = "fields" if in_object else "entries"
            said = f"has {len(here)} {kind}; write at most {most} in one place"
            path = pointer(*place)
            raise DocumentInvalid(f"{path or 'the request'} {said}.", [Fault(path, said)])
        steps = here.items() if in_object else enumerate(here)
        waiting += [(item, (*place, step)) for step, item in steps if isinstance(item, dict | list)]
    return document


def _in_force(decision: Decision[Any], kind: type[Adopted]) -> tuple[Recorded, Adopted, bool]:
    """The latest adoption: the one just recorded, or the one that made another needless."""
    entries = (*decision.history.entries, *decision.recorded)
    adopted = [(entry, entry.event) for entry in entries if isinstance(entry.event, kind)]
    latest, event = adopted[-1]
    return latest, event, bool(decision.recorded)
