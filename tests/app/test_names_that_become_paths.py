"""Whatever names a file is checked before it is a path: nothing is written, read or removed
outside the folder it belongs to, whoever wrote the name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cycle.starting import start_worker
from app.database.engine import insert_rows
from app.database.locks import NamedLock
from app.intake.intake import intake_of
from app.intake.quarantine import Quarantine
from app.ledger.store import Ledger
from app.ledger.tables import ARTEFACTS, TILES
from app.proof.bundle import export_bundle
from app.settings import Settings
from app.training.dataset import write_dataset
from app.training.erasing import erase_merged, erase_registry_artefacts
from app.training.registry_alias import forget_alias
from domain.errors import LedgerDamaged
from tests.app.proof.forger import drop_guards, edited, guards_dropped, rewrite
from tests.domain.kettles import KETTLES
from tests.ledger_events import contract_adopted, put, received

OUT = "../../out"


@pytest.mark.parametrize("target", ["bundle", "bundle.zip"])
@pytest.mark.parametrize("name", [OUT, "/tmp/out", "." * 64, "A" * 64])
def test_an_artefact_leads_no_bundle_out_of_its_folder(
    ledger: Ledger, tmp_path: Path, target: str, name: str
) -> None:
    with guards_dropped(ledger) as connection:  # PostgreSQL compares it with the bytes' digest
        insert_rows(connection, ARTEFACTS, [(name, "plan", b"out")])
    with pytest.raises(LedgerDamaged, match="the digest of an artefact is"):
        export_bundle(ledger, tmp_path / "a" / "b" / target, None)
    assert not list(tmp_path.rglob("out*"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL takes no text
@pytest.mark.parametrize("level", [OUT, -1])
def test_a_tile_leads_no_bundle_out_of_its_folder(
    ledger: Ledger, tmp_path: Path, level: object
) -> None:
    with ledger.engine.begin() as connection:
        drop_guards(connection)  # by whoever owns the database: they refuse a tile of no entries
        insert_rows(connection, TILES, [(level, 0, bytes(32), bytes(8192))])
    with pytest.raises(LedgerDamaged, match="has no place in a tree"):
        export_bundle(ledger, tmp_path / "a" / "b" / "bundle", None)
    assert not list(tmp_path.rglob("out*"))


def test_a_document_leads_no_bundle_out_of_its_folder(ledger: Ledger, tmp_path: Path) -> None:
    put(ledger, "model-cars", contract_adopted())
    rewrite(ledger, lambda contents: [contents[0], edited(contents[1], contract_digest=OUT)])
    export_bundle(ledger, tmp_path / "a" / "b" / "bundle", None)
    assert not list(tmp_path.rglob("out*"))
    (document,) = (tmp_path / "a" / "b" / "bundle" / "contracts").iterdir()
    assert len(document.stem) == 64


def test_a_quarantine_file_is_read_and_written_nowhere_else(
    sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "out.jsonl").write_text('{"line": 1, "reasons": ["secret"]}\n')
    (entry,) = put(sqlite_ledger, "observations-cars", received())
    forged = edited(sqlite_ledger.stored_bytes(1, 1)[0], quarantine_file="../out.jsonl")
    rewrite(sqlite_ledger, lambda contents: [contents[0], forged])
    folder = tmp_path / "quarantine"
    folder.mkdir()
    with pytest.raises(LedgerDamaged, match=f"the quarantine file of entry {entry.position} is"):
        intake_of((sqlite_ledger.entry(1), None), folder)
    with pytest.raises(LedgerDamaged, match="an upload is"):
        Quarantine(folder, OUT, 1, 1)


def test_a_cycle_names_no_log_lock_or_data_set_elsewhere(
    sqlite_ledger: Ledger, sqlite_settings: Settings, tmp_path: Path
) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(LedgerDamaged, match="a cycle is"):
        start_worker(sqlite_settings, OUT)
    with pytest.raises(LedgerDamaged, match="a lock is"):
        NamedLock(sqlite_ledger.engine, tmp_path / "locks", OUT)
    with pytest.raises(LedgerDamaged, match="a cycle is"):
        write_dataset(tmp_path / "merged", OUT, KETTLES, [])
    with pytest.raises(LedgerDamaged, match="a model is"):
        forget_alias(sqlite_settings, OUT)
    assert {path for path in set(tmp_path.rglob("*")) - before if not path.is_dir()} == set()


@pytest.mark.parametrize(("model", "cycle"), [("..", "kept"), ("cars", "../kept"), (".", "kept")])
def test_an_erasure_removes_nothing_outside_its_folders(
    tmp_path: Path, model: str, cycle: str
) -> None:
    (tmp_path / "merged" / "cars").mkdir(parents=True)
    (tmp_path / "mlflow.db").touch()
    for folder in (tmp_path, tmp_path / "merged"):
        (folder / "kept.csv").touch()
    with pytest.raises(LedgerDamaged, match=r"a model is|a cycle whose files"):
        erase_merged(tmp_path / "merged", model, [cycle])
    with pytest.raises(LedgerDamaged, match=r"a model is|a cycle whose files"):
        erase_registry_artefacts(tmp_path, model, [cycle])
    assert len(list(tmp_path.rglob("kept.csv"))) == 2
