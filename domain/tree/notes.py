"""Checkpoints as C2SP signed notes: the text that is signed, its signature lines, and the keys.

Formats: c2sp.org/signed-note, c2sp.org/tlog-checkpoint. Only Ed25519 (type 0x01) is known here.
Nothing is signed or verified with a key in this file: that takes a function, given by the caller.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from domain.errors import ProofInvalid

NOTE_BYTES_MAX: Final = 100_000  # a note of ours has about 250 bytes
SIGNATURES_MAX: Final = 100  # the specification asks for 16 at least
_ED25519: Final = b"\x01"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_ID_BYTES: Final = 4
_HASH_BYTES: Final = 32
_DASH: Final = "\u2014 "  # em dash, blank
_NAME: Final = re.compile(r"[^\s+]+")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_ORIGIN_MAX: Final = 255  # characters looked back for it in a file
# A checkpoint wherever it stands, from behind its origin on: what was written before it may have
# been cut off anywhere. Bounded, so that no file takes longer than its length.
_NOTE: Final = re.compile(
    "(?<=\\S)\n(?:0|[1-9][0-9]{0,18})\n[A-Za-z0-9+/]{43}=\n(?:[^\n\u2014][^\n]{0,999}\n){0,16}\n"
    "\u2014 (\\S+) [A-Za-z0-9+/]+={0,2}\n(?:\u2014 \\S+ [A-Za-z0-9+/]+={0,2}\n)*"
)
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")

# (public key, signature, message) -> whether the signature is that key's over the message
CheckEd25519 = Callable[[bytes, bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed: so many entries, under this root, in the ledger called `origin`."""

    origin: str
    size: int  # entries
    root: bytes  # RFC 6962, 32 bytes

    def text(self) -> str:
        """The note text, its last newline included."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Who signs: a name and an Ed25519 public key (32 bytes). `str()` gives what is handed out."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        """Refuse a name or a key that cannot be one. Raises ProofInvalid."""
        if not _NAME.fullmatch(self.name):
            raise ProofInvalid(
                f"key name {self.name!r} is empty or holds a blank or a plus sign. "
                "Name it like a URL without its scheme."
            )
        if len(self.public_key) != _KEY_BYTES:
            raise ProofInvalid(
                f"the public key of {self.name!r} has {len(self.public_key)} bytes; "
                f"Ed25519 has {_KEY_BYTES}."
            )

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x01 || public key), its first 4 bytes."""
        hashed = self.name.encode() + b"\n" + _ED25519 + self.public_key
        return hashlib.sha256(hashed).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """`<name>+<key id in hex>+<base64 of 0x01 and the public key>`."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public_key)}"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line. Signatures of keys nobody here knows are kept, and mean nothing."""

    name: str
    key_id: bytes  # 4 bytes
    signature: bytes

    def line(self) -> str:
        """The line, its newline included."""
        return f"{_DASH}{self.name} {_base64(self.key_id + self.signature)}\n"


def parse_verifier_key(text: str) -> VerifierKey:
    """The key that `text` (as `str(VerifierKey)` writes it) says.

    Raises:
        ProofInvalid: it is no such text, another algorithm's key, or its id is not its own.
    """
    parts = text.split("+", 2)
    if len(parts) != 3:  # noqa: PLR2004 name, id, key
        raise ProofInvalid(f"{text[:80]!r} is no verifier key. It reads <name>+<id>+<base64>.")
    name, key_id, encoded = parts
    content = _decode(encoded, "the verifier key")
    if content[:1] != _ED25519:
        raise ProofInvalid(
            f"the verifier key of {name!r} has type 0x{content[:1].hex()}; only Ed25519 (0x01)."
        )
    key = VerifierKey(name, content[1:])
    if key.key_id.hex() != key_id:
        raise ProofInvalid(
            f"the verifier key of {name!r} says the id {key_id!r} and has {key.key_id.hex()!r}. "
            "It was cut or mistyped; copy it whole."
        )
    return key


def format_note(text: str, signatures: Sequence[NoteSignature]) -> str:
    """The signed note: text, blank line, signature lines.

    Raises:
        ProofInvalid: the text does not end in a newline, holds a control character, or nobody
            signed it.
    """
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ProofInvalid("a note's text ends in a newline and has no other control character.")
    if not signatures:
        raise ProofInvalid("a note without a signature says nothing. Sign it.")
    return f"{text}\n{''.join(each.line() for each in signatures)}"


def parse_note(note: str) -> tuple[str, tuple[NoteSignature, ...]]:
    """Text and signature lines of a note; nothing is verified.

    Raises:
        ProofInvalid: it is no signed note.
    """
    if len(note) > NOTE_BYTES_MAX:
        raise ProofInvalid(f"a note of {len(note)} characters; at most {NOTE_BYTES_MAX}.")
    if _CONTROL.search(note):
        raise ProofInvalid("the note holds a control character other than newline.")
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise ProofInvalid("the note has no blank line and signatures after its text.")
    signatures = tuple(_parse_line(line) for line in lines[:-1].split("\n"))
    if len(signatures) > SIGNATURES_MAX:
        raise ProofInvalid(f"the note has {len(signatures)} signatures; at most {SIGNATURES_MAX}.")
    return text + "\n", signatures


def split_notes(text: str) -> list[str]:
    """The checkpoints in a text that keeps them one after another with a blank line between.

    What a write that was cut off left of one is passed over, also where the next note follows it in
    the same line: a note begins with the name that signs it.

    Raises:
        ProofInvalid: there is none.
    """
    found = [text[_begin(text, match) : match.end()] for match in _NOTE.finditer(text)]
    if not found:
        raise ProofInvalid("no signed note: three lines or more, a blank line, signatures.")
    return found


def _begin(text: str, found: re.Match[str]) -> int:
    """Where the note's origin stands: its signer's name, the last before the signature; or a word.

    A torn note may stand before it as if it were lines of the same one.
    """
    signer, end = f"{found[1]}\n", found.start()
    begin = text.rfind(signer, max(0, end + 1 - len(signer)), found.start(1))
    if begin >= 0:
        return begin
    return end - len(text[max(0, end - _ORIGIN_MAX) : end].rsplit(maxsplit=1)[-1])


def open_note(note: str, key: VerifierKey, check: CheckEd25519) -> str:
    """The note's text, when `key` signed it; signatures of other keys are passed over.

    Raises:
        ProofInvalid: it is no signed note, `key` did not sign it, or a signature of `key` is wrong.
    """
    text, signatures = parse_note(note)
    ours = [s for s in signatures if (s.name, s.key_id) == (key.name, key.key_id)]
    if not ours:
        signers = ", ".join(f"{s.name}+{s.key_id.hex()}" for s in signatures)
        raise ProofInvalid(
            f"the note is not signed by {key.name}+{key.key_id.hex()}, but by {signers}. "
            "Ask for the right key, or do not trust the note."
        )
    for each in ours:
        if len(each.signature) != _SIGNATURE_BYTES or not check(
            key.public_key, each.signature, text.encode()
        ):
            raise ProofInvalid(f"the signature of {key.name!r} does not fit the note's text.")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text; extension lines are passed over.

    Raises:
        ProofInvalid: it is no checkpoint.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):  # noqa: PLR2004 three lines and the end
        raise ProofInvalid("a checkpoint has three lines or more: origin, size, root.")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise ProofInvalid(f"the checkpoint's size reads {size[:40]!r}; it is a plain number.")
    content = _decode(root, "the checkpoint's root")
    if len(content) != _HASH_BYTES:
        raise ProofInvalid(
            f"the checkpoint's root has {len(content)} bytes; SHA-256 has {_HASH_BYTES}."
        )
    return Checkpoint(origin, int(size), content)


def open_checkpoint(note: str, key: VerifierKey, check: CheckEd25519) -> Checkpoint:
    """The checkpoint that `key` signed, of the ledger whose origin is the key's name.

    Raises:
        ProofInvalid: it is none, `key` did not sign it, or it speaks of another ledger.
    """
    checkpoint = parse_checkpoint(open_note(note, key, check))
    if checkpoint.origin != key.name:
        raise ProofInvalid(
            f"the checkpoint is of {checkpoint.origin!r}; this key signs for {key.name!r}."
        )
    return checkpoint


def _parse_line(line: str) -> NoteSignature:
    name, blank, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not blank or not _NAME.fullmatch(name):
        raise ProofInvalid(f"{line[:80]!r} is no signature line.")
    content = _decode(encoded, f"the signature of {name!r}")
    if len(content) <= _ID_BYTES:
        raise ProofInvalid(f"the signature of {name!r} has {len(content)} bytes: too few.")
    return NoteSignature(name, content[:_ID_BYTES], content[_ID_BYTES:])


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decode(text: str, what: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content or _base64(content) != text:  # one value, one text
        raise ProofInvalid(f"{what} is not base64: {text[:80]!r}.")
    return content
