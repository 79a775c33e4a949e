"""A verification by a command speaks to those who serve: of what it found, and that it is gone."""

from __future__ import annotations

import pytest

from app.cause import Cause
from app.ledger.damage import refuse_on_damage
from app.ledger.known_damage import known_damage
from app.ledger.store import Ledger
from app.projections.policies import POLICIES
from app.proof.checkpoints import Checkpoints
from app.proof.retained import read_retained
from app.proof.verification_recorded import record_verification
from app.proof.verify.verification import Verified, verify
from app.settings import Settings
from domain.decisions.damage import standing
from domain.errors import LedgerDamaged
from tests.app.proof.forger import change, edited, stored_as
from tests.ledger_events import policy_adopted, put, refused

EDITED = 2
OPERATOR = Cause.unauthenticated("an operator")


@pytest.fixture
def original(ledger: Ledger, settings: Settings) -> bytes:
    """The bytes of an entry that is signed, and that nobody reads."""
    put(ledger, "observations-cars", *[refused(n + 1) for n in range(5)])
    checkpoints = Checkpoints(ledger, settings)
    checkpoints.sign()
    checkpoints.close()
    (content,) = ledger.stored_bytes(EDITED, EDITED)
    return content


def verified(ledger: Ledger, settings: Settings) -> Verified:
    kept = read_retained(settings.signing_key_path)
    return verify(ledger, kept.key, retained=kept.notes, remembered=kept.leaves)


def write(ledger: Ledger, content: bytes) -> None:
    statement = f"UPDATE entries SET bytes = :content WHERE position = {EDITED}"
    change(ledger, statement, content=content)


def test_what_it_finds_stops_every_process_once_and_its_end_lets_all_go_on(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    write(ledger, edited(original, rows=99))
    serving = Ledger(ledger.engine, ledger.project, busy_timeout_seconds=5)
    for _ in range(2):
        assert record_verification(ledger, verified(ledger, settings), OPERATOR) == ((), "")
    with serving.snapshot() as connection:
        (known,) = known_damage(connection)
    with pytest.raises(LedgerDamaged, match=r"position 2: .* `whyledger verify --record`"):
        refuse_on_damage(serving)
    assert (known.found.position, ledger.met.all()) == (EDITED, ())

    write(ledger, original)
    came = record_verification(ledger, verified(ledger, settings), OPERATOR)
    assert came == ((known.position,), "")
    with serving.snapshot() as connection:
        assert standing(known_damage(connection)) == ()
    refuse_on_damage(serving)
    assert ledger.read()[-1].actor == OPERATOR.actor


def test_where_nothing_is_known_and_nothing_is_broken_it_says_nothing(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    size = ledger.size()
    assert record_verification(ledger, verified(ledger, settings), OPERATOR) == ((), "")
    assert ledger.size() == size


def test_what_no_checkpoint_covers_is_not_settled_and_it_says_why(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    write(ledger, edited(original, rows=99))
    record_verification(ledger, verified(ledger, settings), OPERATOR)
    write(ledger, original)
    kept = read_retained(settings.signing_key_path)
    change(ledger, "DELETE FROM checkpoints")  # and the signer's last one is lost
    unproven = verify(ledger, kept.key)
    assert (unproven.sound, unproven.covered) == (True, 0)
    came = record_verification(ledger, unproven, OPERATOR)
    assert came.settled == ()
    assert "no entry is proven by a checkpoint, and so not what entry 6 says" in came.unproven
    with pytest.raises(LedgerDamaged, match="position 2"):
        refuse_on_damage(ledger)
    came = record_verification(ledger, verified(ledger, settings), OPERATOR)
    assert came == ((6,), "")


def test_a_read_model_that_differs_is_a_break_and_stops_nothing(
    ledger: Ledger, settings: Settings, original: bytes
) -> None:
    put(ledger, "policy-strict-and", policy_adopted())
    change(ledger, f"UPDATE {stored_as(ledger, POLICIES)} SET document = '{{}}'")
    size = ledger.size()
    found = verified(ledger, settings)
    assert (found.whole, found.sound) == (False, True)
    assert record_verification(ledger, found, OPERATOR) == ((), "")
    assert ledger.size() == size
