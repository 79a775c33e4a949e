"""One signed ledger exported once; every test makes something else of a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.proof.signed_ledger import Kept, exported, fill


@pytest.fixture(scope="session")
def exported_once(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[Path, Kept]]:
    """One bundle of one ledger, as a folder."""
    folder = tmp_path_factory.mktemp("bundle")
    shutil.copy(sqlite_template, folder / "ledger.db")
    settings = Settings(state_dir=folder)
    ledger = open_ledger(settings)
    kept = fill(ledger, settings)
    yield exported(ledger, kept, folder / "bundle"), kept
    ledger.close()


@pytest.fixture
def bundle(exported_once: tuple[Path, Kept], tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "bundle"
    shutil.copytree(exported_once[0], copy)
    return copy
