"""Who signs checkpoints: an Ed25519 key in a file, and beside it the memory of what it last signed.

Both live outside the database. The memory is what stops a rollback or a fork by somebody who owns
the database: a tree that does not extend the last signed one is not signed. It is two files:
`<key>.last`, the last signed note, and `<key>.leaves`, the leaf hashes under it (32 bytes each),
which let a verifier name the entry that was changed instead of the checkpoints around it.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.database.durable_files import (
    naming,
    rename_durably,
    replace_file,
    sync_directory,
    write_new_file,
)
from app.database.locks import exclusive
from app.proof.leaf_memory import NO_LEAVES, LeafMemory
from app.proof.signer_words import SignerWords
from domain.errors import ProofInvalid, SigningRefused, WhyledgerError
from domain.tree.notes import (
    Checkpoint,
    NoteSignature,
    VerifierKey,
    format_note,
    open_checkpoint,
    parse_note,
)
from domain.tree.proofs import HASH_BYTES, verify_consistency

_PREFIX: Final = "PRIVATE+KEY"  # the form of Go's sumdb/note: PRIVATE+KEY+<name>+<id>+<base64>
_ED25519: Final = b"\x01"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LEAVES_AT_ONCE: Final = 10_000
TURN_SECONDS: Final = 2.0  # another process needs some milliseconds to sign, and is waited for
_PART: Final = ".part"  # a key on its way to its name


def check_ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes) is that of `public_key` (32 bytes) over `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class FileSigner:
    """Signs for one ledger with the key in a file; the key is made at the first use.

    Args:
        path: the key's file, readable by its owner alone. Its memory stands beside it.
        origin: the ledger's name in checkpoints, which is the key's name too; None: whatever the
            key that stands there says, and none is made.

    Raises:
        SigningRefused: the key cannot be used; the message says what to do.
    """

    def __init__(self, path: Path, origin: str | None) -> None:
        self.path = path
        self._origin = origin
        self._words = SignerWords(path, self.last_path, self.leaves_path)
        remembers = self.last_path.exists()  # before the key: who makes one signs after that
        if origin is not None:
            if remembers and not path.exists():
                raise SigningRefused(self._words.key_missing())
            _make_key(path, origin)
        self._secret, self.key = _read_key(path, origin)

    @property
    def last_path(self) -> Path:
        """Where the last signed note is kept: a copy of it elsewhere is a retained checkpoint."""
        return self.path.with_name(self.path.name + ".last")

    @property
    def leaves_path(self) -> Path:
        """Where the leaf hashes under the last signed note are kept."""
        return self.path.with_name(self.path.name + ".leaves")

    def last_note(self) -> str | None:
        """The last note that was signed, None before the first."""
        if not self.last_path.exists():
            return None
        # What is no text becomes a note that nobody signed.
        return self.last_path.read_text(encoding="utf-8", errors="replace")

    def last(self) -> Checkpoint | None:
        """What was last signed, None before the first.

        Raises:
            SigningRefused: the memory is not what this key signed.
        """
        note = self.last_note()
        if note is None:
            return None
        try:
            return open_checkpoint(note, self.key, check_ed25519)
        except ProofInvalid as error:
            found = self._put_back(note)
            if found is not None:
                return found
            raise SigningRefused(self._memory_fault(note, error)) from error

    def _put_back(self, note: str) -> Checkpoint | None:
        """The checkpoint of `note` when the key's file now holds the key that signed it."""
        with suppress(WhyledgerError, OSError):
            secret, key = _read_key(self.path, self._origin)
            found = open_checkpoint(note, key, check_ed25519)
            self._secret, self.key = secret, key
            return found
        return None

    def _memory_fault(self, note: str, error: ProofInvalid) -> str:
        """What is wrong with the memory, or with the key beside it."""
        with suppress(ProofInvalid):
            ids = {each.key_id.hex() for each in parse_note(note)[1] if each.name == self.key.name}
            if ids and self.key.key_id.hex() not in ids:
                return self._words.another_key(ids, self.key.key_id.hex())
        return self._words.memory_damaged(error.message)

    def remembered_leaves(self) -> LeafMemory:
        """The leaf hashes under the last signed note; fewer when some were lost."""
        last = self.last()
        return NO_LEAVES if last is None else LeafMemory.in_file(self.leaves_path, last.size)

    def sign(
        self,
        checkpoint: Checkpoint,
        prove: Callable[[int], Sequence[bytes]],
        leaves: Callable[[int, int], Sequence[bytes]],
    ) -> str:
        """The signed note of `checkpoint`, remembered on the disk before it is returned.

        Args:
            checkpoint: the tree to sign.
            prove: earlier size -> the consistency proof from it to this tree.
            leaves: (first, end) -> leaf hashes of these positions.

        Raises:
            SigningRefused: the tree does not extend the last one signed, is empty, or the memory is
                damaged.
            LedgerBusy: another process held key and memory for two seconds.
        """
        # One process at a time uses key and memory, whatever ledgers they think they serve.
        with exclusive(self.path, make=False, seconds=TURN_SECONDS):
            last = self.last()
            self.check_extends(last, checkpoint, prove, leaves)
            if last == checkpoint:
                return self.last_path.read_text(encoding="utf-8", errors="replace")
            text = checkpoint.text()
            signature = self._secret.sign(text.encode())
            note = format_note(text, [NoteSignature(self.key.name, self.key.key_id, signature)])
            self._remember_leaves(last.size if last else 0, checkpoint.size, leaves)
            replace_file(self.last_path, note.encode())
            return note

    def check_extends(
        self,
        last: Checkpoint | None,
        checkpoint: Checkpoint,
        prove: Callable[[int], Sequence[bytes]],
        leaves: Callable[[int, int], Sequence[bytes]],
    ) -> None:
        """Refuse a tree that does not extend `last`, read before that tree. Signs nothing.

        `prove` and `leaves` are those of `sign`.

        Raises:
            SigningRefused: entries are missing, or others than those that were signed.
        """
        if checkpoint.size == 0 or checkpoint.origin != self.key.name:
            raise SigningRefused(self._words.not_ours(self.key.name, checkpoint))
        if last is None:
            return
        if checkpoint.size < last.size:
            raise SigningRefused(self._missing(last, checkpoint.size, leaves))
        try:
            proof = () if last.size == checkpoint.size else prove(last.size)
            verify_consistency(last.size, checkpoint.size, last.root, checkpoint.root, proof)
        except ProofInvalid as error:
            if self._still_there(last, checkpoint.size, leaves) < last.size:
                raise SigningRefused(self._missing(last, checkpoint.size, leaves)) from error
            words = self._words.entries_changed(last.size, error.message)
            raise SigningRefused(words) from error

    def _missing(
        self, last: Checkpoint, size: int, leaves: Callable[[int, int], Sequence[bytes]]
    ) -> str:
        there = self._still_there(last, size, leaves)
        return self._words.entries_missing(last.size, size, there)

    def _still_there(
        self, last: Checkpoint, size: int, leaves: Callable[[int, int], Sequence[bytes]]
    ) -> int:
        """How many of the signed entries stand before the first that others have replaced.

        Looked for from the end, where a ledger that lost its tail has grown again, and no further
        than a page; all that there can be, where the memory does not say or the end is the same.
        """
        most = min(last.size, size)
        first = max(0, most - _LEAVES_AT_ONCE)
        signed = LeafMemory.in_file(self.leaves_path, last.size).read(first, most)
        if len(signed) < (most - first) * HASH_BYTES:
            return most
        found = leaves(first, most) if most else ()
        kept = most
        while kept > first and (
            signed[(kept - 1 - first) * HASH_BYTES : (kept - first) * HASH_BYTES]
            != found[kept - 1 - first]
        ):
            kept -= 1
        return kept

    def _remember_leaves(
        self, signed: int, size: int, leaves: Callable[[int, int], Sequence[bytes]]
    ) -> None:
        made = not self.leaves_path.exists()
        descriptor = os.open(self.leaves_path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            have = min(os.fstat(file.fileno()).st_size // HASH_BYTES, signed)
            file.truncate(have * HASH_BYTES)  # what a crash left behind the last note
            file.seek(0, os.SEEK_END)
            while have < size:
                end = min(have + _LEAVES_AT_ONCE, size)
                pages = b"".join(leaves(have, end))
                with naming(self.leaves_path):
                    file.write(pages)
                have = end
            with naming(self.leaves_path):
                file.flush()
                os.fsync(file.fileno())
        if made:
            sync_directory(self.leaves_path.parent)


def _make_key(path: Path, origin: str) -> None:
    """Write a new key, for its owner alone; whoever comes second keeps the first one's.

    What a process that was killed left of one is a secret all the same, and is removed. No other
    file beside it is ours: `signing.key.1` is how somebody keeps a copy.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(path.name + _PART)
    if path.exists() and not temporary.exists():
        return
    with exclusive(path.parent, make=False, seconds=TURN_SECONDS):
        temporary.unlink(missing_ok=True)
        if path.exists():
            return
        secret = Ed25519PrivateKey.generate()
        key = VerifierKey(origin, secret.public_key().public_bytes_raw())
        encoded = base64.b64encode(_ED25519 + secret.private_bytes_raw()).decode()
        write_new_file(temporary, f"{_PREFIX}+{key.name}+{key.key_id.hex()}+{encoded}\n".encode())
        rename_durably(temporary, path)


def _read_key(path: Path, origin: str | None) -> tuple[Ed25519PrivateKey, VerifierKey]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise SigningRefused(
            f"the signing key {path} has the mode {mode:04o}: others can read it. "
            f"Run `chmod 600 {path}`, and ask yourself who has read it."
        )
    parts = path.read_text(encoding="ascii", errors="replace").strip().split("+", 4)
    try:
        if len(parts) != 5 or "+".join(parts[:2]) != _PREFIX:  # noqa: PLR2004 the form's parts
            raise ValueError("it does not begin with PRIVATE+KEY")
        content = base64.b64decode(parts[4], validate=True)
        if content[:1] != _ED25519:
            raise ValueError("it is no Ed25519 key")
        secret = Ed25519PrivateKey.from_private_bytes(content[1:])
    except ValueError as error:
        raise SigningRefused(
            f"the signing key {path} cannot be read: {error}. Put back its copy."
        ) from None
    if origin is not None and parts[2] != origin:
        raise SigningRefused(
            f"the signing key {path} signs for {parts[2]!r}, and this ledger is {origin!r}. "
            "Name another file in WHYLEDGER_SIGNING_KEY, or restore the ledger that belongs to it."
        )
    return secret, VerifierKey(parts[2], secret.public_key().public_bytes_raw())
