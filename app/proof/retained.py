"""What is kept outside the database to verify it with: key, signed notes, the signer's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.proof.leaf_memory import NO_LEAVES, LeafMemory
from app.proof.signer import FileSigner
from domain.errors import ProofInvalid, SigningRefused
from domain.tree.notes import VerifierKey, parse_verifier_key, split_notes


@dataclass(frozen=True, slots=True)
class Retained:
    """The means of a verification; without a key nothing can be proven."""

    key: VerifierKey | None
    notes: tuple[str, ...]
    leaves: LeafMemory
    fault: str = ""  # what is wrong with the signer's memory, which is then not used
    unread: str = ""  # why there is no key although one stands there


def read_retained(signing_key: Path, files: Sequence[Path] = (), key: str = "") -> Retained:
    """The signer's key and memory, where they are; and what was kept elsewhere.

    Args:
        signing_key: the signer's key; nothing is made when it is not there.
        files: signed notes kept elsewhere, one or many in each (an anchor's file, for one).
        key: a verifier key from elsewhere; it is then the one that counts, and what another
            key's signer remembers does not.

    Raises:
        ProofInvalid: a file holds no signed note, or `key` is none, or there are notes and no key.
        SigningRefused: the signer's key is damaged, or others can read it.
    """
    notes = []
    for path in files:
        try:
            notes += split_notes(path.read_text(encoding="utf-8"))
        except (ProofInvalid, UnicodeDecodeError, OSError) as error:
            raise ProofInvalid(f"{path} holds no checkpoint: {error}") from error
    given = parse_verifier_key(key) if key else None
    signer, unread = _signer(signing_key)
    if signer is None or (given is not None and given != signer.key):
        if notes and given is None:
            raise ProofInvalid(
                f"checkpoints are given and no key to check them with; there is none at "
                f"{signing_key} that this user may read. Name the verifier key with --key."
            )
        return Retained(given, tuple(notes), NO_LEAVES, unread=unread if given is None else "")
    try:
        last = signer.last()
    except SigningRefused as error:
        return Retained(signer.key, tuple(notes), NO_LEAVES, fault=error.message)
    kept = signer.last_note() if last is not None else None
    return Retained(
        signer.key,
        (*notes, *([] if kept is None else [kept])),
        signer.remembered_leaves(),
    )


def _signer(signing_key: Path) -> tuple[FileSigner | None, str]:
    """The signer whose key stands there; or None, and why when it is there and not to be read."""
    try:
        signing_key.stat()
        return FileSigner(signing_key, None), ""
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except PermissionError as error:
        return None, (
            f"{error.filename or signing_key} may not be read by this user, and need not be: "
            "whoever checks names the verifier key with --key."
        )
