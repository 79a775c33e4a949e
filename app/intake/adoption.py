"""Adopt a contract or a policy: read it, check it, append it whole, unless it is in force."""

from __future__ import annotations

from app.cause import Cause
from app.clock import new_id, now
from app.cycle.promotions import lifecycle_of
from app.intake.documents import parse_document
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import TRIES, model_stream, policy_stream
from domain.contract.contract import contract_digest, parse_contract
from domain.decisions import lifecycle
from domain.decisions.lifecycle import AdoptContract
from domain.errors import LedgerDamaged, PolicyInvalid, VersionConflict
from domain.events.envelope import Recorded
from domain.events.events import ContractAdopted, PolicyAdopted
from rules.policy import parse_policy, policy_digest


def adopt_contract(
    ledger: Ledger, text: bytes, cause: Cause
) -> tuple[Recorded, ContractAdopted, bool]:
    """The entry that adopted the contract in `text`, its event, and whether it is new.

    Raises:
        DocumentInvalid: broken or ambiguous YAML or JSON.
        ContractInvalid: the contract has faults; all are listed.
        VersionConflict: three times somebody else was first.
    """
    document = parse_document(text, name="the request")
    contract = parse_contract(document)
    command = AdoptContract(
        model=contract.model, contract=document, contract_digest=contract_digest(document)
    )
    stream = model_stream(contract.model)
    conflict: VersionConflict | None = None
    for _ in range(TRIES):
        history = ledger.read_stream(stream)
        adopted = [(e, e.event) for e in history.entries if isinstance(e.event, ContractAdopted)]
        events = lifecycle.adopt_contract(lifecycle_of(history), command)
        if not events:
            return *adopted[-1], False
        new = tuple(NewEvent(event=event, id=new_id(), occurred_at=now()) for event in events)
        try:
            recorded = ledger.append([StreamAppend(stream, new, history.version)], cause)[0]
        except VersionConflict as lost:
            conflict = lost
            continue
        if not isinstance(recorded.event, ContractAdopted):
            raise LedgerDamaged(f"entry {recorded.position} is not the adoption just appended.")
        return recorded, recorded.event, True
    raise conflict or LedgerDamaged(f"stream {stream!r} was never tried.")


def adopt_policy(ledger: Ledger, text: bytes, cause: Cause) -> tuple[Recorded, PolicyAdopted, bool]:
    """The entry that adopted the policy in `text`, its event, and whether it is new.

    Raises:
        DocumentInvalid: broken or ambiguous YAML or JSON.
        PolicyInvalid: the policy has faults, or its version was adopted with other words.
        VersionConflict: three times somebody else was first.
    """
    document = parse_document(text, name="the request")
    policy = parse_policy(document)
    event = PolicyAdopted(
        policy=policy.id,
        policy_version=policy.version,
        document=document,
        policy_digest=policy_digest(document),
    )
    stream = policy_stream(policy.id)
    conflict: VersionConflict | None = None
    for _ in range(TRIES):
        history = ledger.read_stream(stream)
        adopted = [(e, e.event) for e in history.entries if isinstance(e.event, PolicyAdopted)]
        if adopted and adopted[-1][1].policy_digest == event.policy_digest:
            return *adopted[-1], False
        _refuse_reused_version(event, [earlier for _, earlier in adopted])
        new = NewEvent(event=event, id=new_id(), occurred_at=now())
        try:
            recorded = ledger.append([StreamAppend(stream, (new,), history.version)], cause)[0]
        except VersionConflict as lost:
            conflict = lost
            continue
        return recorded, event, True
    raise conflict or LedgerDamaged(f"stream {stream!r} was never tried.")


def _refuse_reused_version(event: PolicyAdopted, adopted: list[PolicyAdopted]) -> None:
    """One version of a policy is one document for ever; an earlier one may be adopted again."""
    for earlier in adopted:
        same_version = earlier.policy_version == event.policy_version
        if same_version and earlier.policy_digest != event.policy_digest:
            newest = max(each.policy_version for each in adopted)
            raise PolicyInvalid(
                f"version {event.policy_version} of policy {event.policy!r} was adopted with other "
                f"words (digest {earlier.policy_digest[:12]}…). Give this one version {newest + 1}."
            )
