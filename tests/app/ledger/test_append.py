from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Connection, Ledger, StreamAppend, stored_artefact
from domain.canonical import leaf_hash
from domain.errors import (
    IdempotencyConflict,
    LedgerDamaged,
    NotCanonical,
    RequestInvalid,
    UnknownThing,
    VersionConflict,
)
from domain.events.events import LedgerCreated
from tests.ledger_events import (
    TIME,
    artefact,
    attempted,
    new,
    observation,
    outcome,
    prediction,
    put,
    refused,
    started,
)

DIGEST = hashlib.sha256(b"the request").digest()
OTHER = hashlib.sha256(b"another request").digest()


def test_every_ledger_begins_with_its_creation(ledger: Ledger) -> None:
    first = ledger.entry(0)
    assert isinstance(first.event, LedgerCreated)
    assert (first.stream, first.stream_version) == ("ledger", 0)
    assert ledger.ledger_id() == first.event.ledger_id


def test_positions_are_dense_and_versions_count_per_stream(ledger: Ledger) -> None:
    put(ledger, "observations-cars", refused(), refused())
    put(ledger, "observations-vans", refused())
    put(ledger, "observations-cars", refused())
    entries = ledger.read(0)
    assert [entry.position for entry in entries] == [1, 2, 3, 4]
    assert [(entry.stream, entry.stream_version) for entry in entries] == [
        ("observations-cars", 0),
        ("observations-cars", 1),
        ("observations-vans", 0),
        ("observations-cars", 2),
    ]


def test_what_was_appended_reads_back_equal(ledger: Ledger) -> None:
    appended = put(ledger, "observations-cars", observation("car=1"), refused(7))
    assert tuple(ledger.read(0)) == appended
    assert ledger.read_stream("observations-cars").entries == appended


def test_the_stored_bytes_are_the_hashed_ones(ledger: Ledger) -> None:
    put(ledger, "observations-cars", refused(), refused())
    stored = ledger.stored_bytes(0, 2)
    assert [leaf_hash(content) for content in stored] == ledger.leaf_hashes(0, 2)


def test_an_append_to_several_streams_is_one(ledger: Ledger) -> None:
    entries = ledger.append(
        [
            StreamAppend("cycle-cars-1", (new(started(1)), new(attempted())), -1),
            StreamAppend("observations-cars", (new(refused()),), None),
            StreamAppend("cycle-cars-1", (new(attempted(2)),), 1),
        ],
        Cause.unauthenticated("why"),
    )
    assert [entry.position for entry in entries] == [1, 2, 3, 4]
    assert [entry.stream_version for entry in entries] == [0, 1, 0, 2]
    assert {entry.correlation_id for entry in entries} == {"why"}
    assert len({entry.recorded_at for entry in entries}) == 1


def test_a_conflict_in_one_stream_keeps_nothing_of_the_others(ledger: Ledger) -> None:
    put(ledger, "cycle-cars-1", started(1))
    plan = artefact(b"a plan")
    with pytest.raises(VersionConflict, match="'cycle-cars-1' is at version 0, not -1"):
        ledger.append(
            [
                StreamAppend("observations-cars", (new(refused()),), None),
                StreamAppend("cycle-cars-1", (new(attempted()),), -1),
            ],
            Cause.unauthenticated(new_id()),
            artefacts=[plan],
        )
    assert ledger.size() == 2
    assert ledger.read_stream("observations-cars").version == -1
    with pytest.raises(UnknownThing):
        ledger.artefact(plan.sha256)


@pytest.mark.parametrize("expected", [-1, 0, 2])
def test_any_other_expected_version_is_a_conflict(ledger: Ledger, expected: int) -> None:
    put(ledger, "cycle-cars-1", started(1), attempted(), expected=-1)
    with pytest.raises(VersionConflict) as conflict:
        put(ledger, "cycle-cars-1", attempted(2), expected=expected)
    assert (conflict.value.expected, conflict.value.actual) == (expected, 1)
    put(ledger, "cycle-cars-1", attempted(2), expected=1)


def test_the_same_id_and_request_gets_the_first_answer_and_appends_nothing(ledger: Ledger) -> None:
    id = new_id()
    (first,) = put(ledger, "predictions-cars", prediction(), id=id, request_digest=DIGEST)
    later = prediction(version="cars/2", value=1.0)
    (again,) = put(ledger, "predictions-cars", later, id=id, request_digest=DIGEST)
    assert again == first
    assert ledger.size() == 2
    assert ledger.known([id, "unknown"]) == {id: (first, DIGEST)}


def test_a_retry_is_answered_whatever_the_version_is_by_now(ledger: Ledger) -> None:
    id = new_id()
    (first,) = put(ledger, "cycle-cars-1", started(1), id=id, expected=-1)
    put(ledger, "cycle-cars-1", attempted(), expected=0)
    assert put(ledger, "cycle-cars-1", started(1), id=id, expected=-1) == (first,)


def test_a_retry_with_news_appends_only_the_news(ledger: Ledger) -> None:
    known = new(observation("car=1"), request_digest=DIGEST)
    fresh = new(observation("car=2"), request_digest=OTHER)
    (first,) = ledger.append(
        [StreamAppend("observations-cars", (known,), None)], Cause.unauthenticated(new_id())
    )
    entries = ledger.append(
        [StreamAppend("observations-cars", (fresh, known, fresh), None)],
        Cause.unauthenticated(new_id()),
    )
    assert [entry.position for entry in entries] == [2, 1, 2]
    assert entries[1] == first
    assert ledger.size() == 3


@pytest.mark.parametrize("digest", [OTHER, None])
def test_the_same_id_with_another_request_is_a_conflict(
    ledger: Ledger, digest: bytes | None
) -> None:
    id = new_id()
    put(ledger, "predictions-cars", prediction(), id=id, request_digest=DIGEST)
    with pytest.raises(IdempotencyConflict, match=rf"id '{id}' was used before.*another id"):
        put(ledger, "predictions-cars", prediction(), id=id, request_digest=digest)
    assert ledger.size() == 2


def test_the_same_id_twice_in_one_append_must_mean_the_same(ledger: Ledger) -> None:
    id = new_id()
    pair = (new(refused(), id=id), new(observation(), id=id))
    with pytest.raises(IdempotencyConflict, match=id):
        ledger.append(
            [StreamAppend("observations-cars", pair, None)], Cause.unauthenticated(new_id())
        )
    assert ledger.size() == 1


def test_the_same_id_in_another_stream_is_a_conflict(ledger: Ledger) -> None:
    id = new_id()
    put(ledger, "observations-cars", refused(), id=id)
    with pytest.raises(IdempotencyConflict, match="observations-cars"):
        put(ledger, "observations-vans", refused(), id=id)


def test_what_the_check_under_the_lock_raises_undoes_everything(ledger: Ledger) -> None:
    seen: list[bytes] = []
    plan = artefact(b"a plan that does not load")

    def check(connection: Connection) -> None:
        seen.append(stored_artefact(connection, plan.sha256))
        raise LedgerDamaged("it does not load")

    with pytest.raises(LedgerDamaged, match="it does not load"):
        ledger.append(
            [StreamAppend("observations-cars", (new(refused()),), None)],
            Cause.unauthenticated(new_id()),
            artefacts=[plan],
            check=check,
        )
    assert seen == [plan.content]
    assert ledger.size() == 1
    with pytest.raises(UnknownThing, match=plan.sha256):
        ledger.artefact(plan.sha256)


def test_an_artefact_is_kept_once_and_comes_back_byte_for_byte(ledger: Ledger) -> None:
    plan = artefact(bytes(range(256)))
    put(ledger, "observations-cars", refused(), artefacts=[plan, plan])
    put(ledger, "observations-cars", refused(), artefacts=[plan])
    assert ledger.artefact(plan.sha256) == plan.content


def test_an_artefact_that_is_not_what_its_name_says_is_refused(ledger: Ledger) -> None:
    wrong = artefact(b"one thing")
    with pytest.raises(LedgerDamaged, match=wrong.sha256):
        put(ledger, "observations-cars", refused(), artefacts=[replace(wrong, content=b"other")])
    assert ledger.size() == 1


def test_an_event_without_canonical_bytes_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NotCanonical, match="/data/label"):
        put(ledger, "observations-cars", outcome(new_id(), label=float("nan")))
    assert ledger.size() == 1


def test_an_event_belongs_into_its_own_category_of_streams(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="belongs into 'observations-<model>', not 'model-cars'"):
        put(ledger, "model-cars", refused())


def test_an_append_is_bounded(ledger: Ledger) -> None:
    many = (new(refused()),) * 10_001
    with pytest.raises(RequestInvalid, match="10001 events in one append; at most 10000"):
        ledger.append(
            [StreamAppend("observations-cars", many, None)], Cause.unauthenticated(new_id())
        )


def test_an_append_of_nothing_is_nothing(ledger: Ledger) -> None:
    assert ledger.append([], Cause.unauthenticated(new_id())) == ()
    assert ledger.append([StreamAppend("model-cars", (), 5)], Cause.unauthenticated(new_id())) == ()
    assert ledger.size() == 1


def test_a_thousand_rows_go_in_one_transaction(ledger: Ledger) -> None:
    entries = put(ledger, "predictions-cars", *(prediction(f"car={n}") for n in range(1000)))
    assert [entry.position for entry in entries] == list(range(1, 1001))
    assert entries[-1].occurred_at == TIME
