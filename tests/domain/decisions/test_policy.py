"""When a version of a policy is adopted, told as given, when, then."""

from __future__ import annotations

from msgspec.structs import replace

from domain.decisions.policy import AdoptPolicy, fold
from domain.errors import PolicyInvalid
from domain.events.events import PolicyAdopted
from tests.domain.events.sample_events import STARTED
from tests.story import given

FIRST = PolicyAdopted(
    policy="strict-and",
    policy_version=1,
    document={"id": "strict-and", "version": 1},
    policy_digest="1" * 64,
)
SECOND = replace(FIRST, policy_version=2, policy_digest="2" * 64)


def adopt(event: PolicyAdopted) -> AdoptPolicy:
    """The command to adopt just that."""
    return AdoptPolicy(
        policy=event.policy,
        policy_version=event.policy_version,
        document=event.document,
        policy_digest=event.policy_digest,
    )


def test_a_policy_is_adopted_whole() -> None:
    given().when(adopt(FIRST)).then(FIRST)


def test_adopting_the_policy_in_force_again_changes_nothing() -> None:
    given(SECOND, FIRST).when(adopt(FIRST)).then()


def test_an_earlier_version_may_be_adopted_again() -> None:
    given(FIRST, SECOND).when(adopt(FIRST)).then(FIRST)


def test_a_version_is_one_document_for_ever() -> None:
    given(FIRST, SECOND).when(adopt(replace(FIRST, policy_digest="3" * 64))).then_refused(
        PolicyInvalid,
        saying=r"^version 1 of policy 'strict-and' was adopted with other words "
        r"\(digest 111111111111…\)\. Give this one version 3\.$",
    )


def test_what_is_no_adoption_is_passed_over() -> None:
    assert fold((STARTED, FIRST)) == (FIRST,)
