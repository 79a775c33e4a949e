"""What is kept outside the database to verify it with: key, signed notes, the signer's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.proof.signer import FileSigner
from domain.errors import ProofInvalid, SigningRefused
from domain.tree.notes import VerifierKey, parse_verifier_key, split_notes


@dataclass(frozen=True, slots=True)
class Retained:
    """The means of a verification; without a key nothing can be proven."""

    key: VerifierKey | None
    notes: tuple[str, ...]
    leaves: bytes  # 32 bytes each, from position 0 on


def read_retained(signing_key: Path, files: Sequence[Path] = (), key: str = "") -> Retained:
    """The signer's key and memory, where they are; and what was kept elsewhere.

    Args:
        signing_key: the signer's key; nothing is made when it is not there.
        files: signed notes kept elsewhere, one or many in each (an anchor's file, for one).
        key: a verifier key from elsewhere; it is then the one that counts.

    Raises:
        ProofInvalid: a file holds no signed note, or `key` is none, or there are notes and no key.
        SigningRefused: the signer's key or memory is damaged.
    """
    notes = []
    for path in files:
        try:
            notes += split_notes(path.read_text(encoding="utf-8"))
        except (ProofInvalid, UnicodeDecodeError, OSError) as error:
            raise ProofInvalid(f"{path} holds no checkpoint: {error}") from error
    given = parse_verifier_key(key) if key else None
    if not signing_key.exists():
        if notes and given is None:
            raise ProofInvalid(
                f"checkpoints are given and no key to check them with; there is none at "
                f"{signing_key}. Name the verifier key with --key."
            )
        return Retained(given, tuple(notes), b"")
    signer = FileSigner(signing_key, None)
    if given is not None and given != signer.key:
        raise SigningRefused(
            f"the key given is {given}, and the signer here has {signer.key}. Which one is right? "
            "Leave out the key to use the signer's, or name another in WHYLEDGER_SIGNING_KEY."
        )
    last = signer.last_note()
    return Retained(
        signer.key, (*notes, *([] if last is None else [last])), signer.remembered_leaves()
    )
