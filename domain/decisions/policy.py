"""One policy's stream: its fold, and the decision to adopt a version of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from domain.errors import PolicyInvalid
from domain.events.erasure import Erased
from domain.events.events import Event, Json, PolicyAdopted
from domain.events.unreadable import Unreadable

Adopted = tuple[PolicyAdopted, ...]  # oldest first; the last one is in force


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptPolicy:
    """Judge cycles whose contract names this policy by this version of it from here on."""

    policy: str
    policy_version: int
    document: Json
    policy_digest: str


def fold(events: Iterable[Event | Erased | Unreadable]) -> Adopted:
    """Every adoption among `events`, in their order. What is none is passed over."""
    return tuple(event for event in events if isinstance(event, PolicyAdopted))


def adopt_policy(adopted: Adopted, command: AdoptPolicy) -> Adopted:
    """The event that adopts the policy; empty when this very document is already in force.

    One version of a policy is one document for ever; an earlier one may be adopted again.

    Raises:
        PolicyInvalid: this version was adopted with other words.
    """
    if adopted and adopted[-1].policy_digest == command.policy_digest:
        return ()
    for earlier in adopted:
        same_version = earlier.policy_version == command.policy_version
        if same_version and earlier.policy_digest != command.policy_digest:
            newest = max(each.policy_version for each in adopted)
            raise PolicyInvalid(
                f"version {command.policy_version} of policy {command.policy!r} was adopted with "
                f"other words (digest {earlier.policy_digest[:12]}…). "
                f"Give this one version {newest + 1}."
            )
    return (
        PolicyAdopted(
            policy=command.policy,
            policy_version=command.policy_version,
            document=command.document,
            policy_digest=command.policy_digest,
        ),
    )
