"""A bundle is whole under its name, or not there; what is damaged in it is said."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from app.cause import Cause
from app.ledger.damage import record_damage, settle_known
from app.ledger.met_damage import Met
from app.ledger.store import Ledger
from app.proof.bundle import export_bundle
from domain.decisions.damage import SettleDamage
from tests.app.proof.forger import change
from tests.ledger_events import artefact, promoted, put, refused

TARGETS = ("bundle", "bundle.zip")
SOMEBODY = Cause.unauthenticated("somebody")


@pytest.mark.parametrize("target", TARGETS)
def test_an_export_that_fails_leaves_nothing_and_the_next_one_is_not_in_its_way(
    ledger: Ledger, tmp_path: Path, target: str
) -> None:
    folder = tmp_path / "exports"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # as a disk without room
    try:
        with pytest.raises(OSError, match="File too large"):
            export_bundle(ledger, folder / target, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(folder.iterdir()) == []
    written = export_bundle(ledger, folder / target, None)
    assert (written.entries, written.damage) == (1, None)
    assert [each.name for each in folder.iterdir()] == [target]


@pytest.mark.parametrize("target", TARGETS)
def test_an_entry_that_is_not_what_its_hash_says_is_exported_as_it_stands_and_said(
    ledger: Ledger, tmp_path: Path, target: str
) -> None:
    put(ledger, "observations-cars", refused(2), refused(3))
    content = ledger.stored_bytes(1, 1)[0].replace(b'"rows":2', b'"rows":9')
    change(ledger, "UPDATE entries SET bytes = :content WHERE position = 1", content=content)
    written = export_bundle(ledger, tmp_path / target, None)
    assert str(written.damage).startswith("ledger entry 1: the stored bytes hash to")
    assert [met.position for met in ledger.met.all()] == [1]
    assert written.entries == 3


def test_an_artefact_that_is_not_what_its_digest_says_is_exported_as_it_stands_and_said(
    ledger: Ledger, tmp_path: Path
) -> None:
    plan = artefact(b"cars/1")
    put(ledger, "model-cars", promoted("cars/1", "cars-1"), artefacts=[plan])
    change(ledger, "UPDATE artefacts SET bytes = :content", content=b"another plan")
    written = export_bundle(ledger, tmp_path / "bundle", None)
    assert str(written.damage).startswith(f"artefact {plan.sha256} (plan) has the digest")
    assert [met.said for met in ledger.met.all()] == [written.damage]
    assert (tmp_path / "bundle" / "artefacts" / plan.sha256).read_bytes() == b"another plan"


def test_damage_that_was_found_before_is_said_until_it_is_settled(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.met.add(Met(7, "position 7: it was found by somebody else."))
    record_damage(ledger, SOMEBODY)
    written = export_bundle(ledger, tmp_path / "standing", None)
    assert written.damage == "position 7: it was found by somebody else."
    assert ledger.met.all() == ()
    settle_known(ledger, SettleDamage(how="accepted", reason="we know"), SOMEBODY)
    assert export_bundle(ledger, tmp_path / "settled", None).damage is None
