"""A real ledger with checkpoints, and what an auditor keeps of it elsewhere."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from app.ledger.payloads import delete_erased
from app.ledger.store import Ledger
from app.proof import verify_bundle
from app.proof.bundle import export_bundle
from app.proof.checkpoints import Checkpoints
from app.proof.leaf_memory import NO_LEAVES, LeafMemory
from app.proof.signer import FileSigner
from app.proof.verify.verification import Verified, verify
from app.settings import Settings
from domain.events.block_events import RowPlace
from domain.events.events import PayloadErased
from domain.tree.notes import VerifierKey
from tests.app.many_rows import observations, predictions, put_many
from tests.ledger_events import (
    artefact,
    contract_adopted,
    decided,
    observation,
    policy_adopted,
    prediction,
    promoted,
    put,
    received,
    refused,
    rolled_back,
    started,
)

SIGNED = (120, 260, 300)  # sizes with a checkpoint
SIZE = 320
POLICY, CONTRACT, PROMOTED = 1, 2, 4  # positions
PLAN = b"cars/1"  # what `promoted` names by digest


@dataclass(frozen=True, slots=True)
class Kept:
    """What is outside the database: the key, the last note, the signer's memory."""

    key: VerifierKey
    note: str
    leaves: bytes


def fill(ledger: Ledger, settings: Settings) -> Kept:
    """Write and sign a history: a policy, a contract, a promotion, and many rows."""
    put(ledger, "policy-strict-and", policy_adopted())
    put(ledger, "model-cars", contract_adopted())
    put(ledger, "cycle-cars-1", started(1))
    put(
        ledger,
        "model-cars",
        promoted("cars/1", "cars-1"),
        artefacts=[artefact(PLAN), artefact(b"", "reference")],
    )
    checkpoints = Checkpoints(ledger, settings)
    for size in SIGNED:
        grow_to(ledger, size)
        checkpoints.sign()
    grow_to(ledger, SIZE)
    note = checkpoints.signer.last_note()
    assert note is not None
    checkpoints.close()
    return Kept(checkpoints.signer.key, note, leaves_of(checkpoints.signer))


def leaves_of(signer: FileSigner) -> bytes:
    """All that the signer remembers, 32 bytes an entry."""
    memory = signer.remembered_leaves()
    return memory.read(0, memory.size)


def fill_further(ledger: Ledger, settings: Settings) -> Kept:
    """After `fill`: rows of persons and of many an entry, of each one erased, a rollback, a
    decision and an upload.

    Signed to the last entry.
    """
    people = [observation(f"owner={n}") for n in range(4)]
    erased = put(ledger, "observations-cars", *people, personal=True)[0].position
    put(ledger, "predictions-cars", prediction("owner=9"), personal=True)
    put(ledger, "model-cars", rolled_back("cars/1", "cars/1"))
    put(ledger, "cycle-cars-2", started(2, champion="cars/1"), decided("keep: no drift"))
    put(ledger, "observations-cars", received())
    many = put_many(ledger, predictions(1, 2, 3)).position
    put_many(ledger, observations(4, 5))
    gone = replace(erasure_of(erased), rows=(RowPlace(position=many, row=1),))
    put(ledger, "ledger", gone)
    with ledger.writing() as connection:
        delete_erased(connection, gone)
    checkpoints = Checkpoints(ledger, settings)
    checkpoints.sign()
    grow_to(ledger, 2 * SIZE)
    checkpoints.sign()
    note = checkpoints.signer.last_note()
    assert note is not None
    checkpoints.close()
    return Kept(checkpoints.signer.key, note, leaves_of(checkpoints.signer))


def erasure_of(position: int) -> PayloadErased:
    """What says that the data of this entry of `cars` is gone."""
    return PayloadErased(
        model="cars",
        entries=(position,),
        rows=(),
        artefacts=(),
        cycles=(),
        model_versions=(),
        reason="the owner asked",
        legal_basis="GDPR Art. 17",
    )


def grow_to(ledger: Ledger, size: int) -> None:
    """Append rows until there are so many entries."""
    first = ledger.size()
    for stream in ("observations-cars", "observations-vans"):
        half = (size - first) // 2 if stream == "observations-cars" else size - ledger.size()
        rows = [refused(n + 1) if n % 3 else observation(f"car={first + n}") for n in range(half)]
        put(ledger, stream, *rows)


def verified(ledger: Ledger, kept: Kept, *, leaves: bool = True, note: bool = True) -> Verified:
    """What the verification of the database says, with this kept."""
    return verify(
        ledger,
        kept.key,
        retained=[kept.note] if note else [],
        remembered=LeafMemory.of(kept.leaves) if leaves else NO_LEAVES,
    )


def exported(ledger: Ledger, kept: Kept, target: Path) -> Path:
    """A bundle of the ledger as it stands."""
    export_bundle(ledger, target, kept.key)
    return target


def checked(
    bundle: Path, kept: Kept, folder: Path, options: Iterable[str] = ("leaves", "note")
) -> tuple[int, str]:
    """Exit code and words of the stand-alone verifier."""
    import contextlib
    import io

    chosen = set(options)
    arguments = [str(bundle), "--key", str(kept.key)]
    if "note" in chosen:
        (folder / "kept.note").write_text(kept.note)
        arguments += ["--checkpoint", str(folder / "kept.note")]
    if "leaves" in chosen:
        (folder / "kept.leaves").write_bytes(kept.leaves)
        arguments += ["--leaves", str(folder / "kept.leaves")]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = verify_bundle.main(arguments)
    return code, said.getvalue()


def with_true_trailer(bundle: Path) -> Path:
    """Let the trailer say what is there: its digests are nobody's secret."""
    trailer = json.loads((bundle / "trailer.json").read_text())
    files = (path for path in bundle.rglob("*") if path.is_file() and path.name != "trailer.json")
    for what in ("tiles", "artefacts"):
        trailer[what] = sum(path.is_file() for path in (bundle / what).rglob("*"))
    trailer["files"] = {
        path.relative_to(bundle).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    (bundle / "trailer.json").write_text(json.dumps(trailer))
    return bundle


def zipped(bundle: Path, target: Path) -> Path:
    """The folder as one .zip, as an export writes it: its files, one after another."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(bundle).as_posix())
    return target
