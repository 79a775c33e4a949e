"""Notes, checkpoints and keys are C2SP's: published examples are read, corruptions are not."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis.strategies import binary, integers

from domain.errors import ProofInvalid
from domain.tree.notes import (
    Checkpoint,
    NoteSignature,
    VerifierKey,
    format_note,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    split_notes,
)
from tests.repository import REPOSITORY

PUBLISHED = json.loads(
    (REPOSITORY / "tests" / "vectors" / "notes" / "peter-neumann.json").read_text()
)
# The example in c2sp.org/tlog-checkpoint; its key is not published.
SOFA = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""  # noqa: E501 - as published
SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey("whyledger/test", SECRET.public_key().public_bytes_raw())


def check(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def signed(text: str, key: VerifierKey = KEY) -> str:
    return format_note(text, [NoteSignature(key.name, key.key_id, SECRET.sign(text.encode()))])


def test_the_published_note_opens_with_the_published_key() -> None:
    text = open_note(PUBLISHED["note"], parse_verifier_key(PUBLISHED["verifier_key"]), check)
    assert text.startswith("If you think cryptography is the answer")


def test_signing_the_published_text_gives_the_published_note() -> None:
    key = parse_verifier_key(PUBLISHED["verifier_key"])
    secret = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(PUBLISHED["seed"]))
    text, _ = parse_note(PUBLISHED["note"])
    line = NoteSignature(key.name, key.key_id, secret.sign(text.encode()))
    assert secret.public_key().public_bytes_raw() == key.public_key
    assert format_note(text, [line]) == PUBLISHED["note"]


def test_the_published_checkpoint_reads() -> None:
    text, (signature,) = parse_note(SOFA)
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == text
    assert signature.name == checkpoint.origin
    assert format_note(text, [signature]) == SOFA


def test_a_key_reads_back_from_its_text() -> None:
    assert parse_verifier_key(str(KEY)) == KEY
    assert str(parse_verifier_key(PUBLISHED["verifier_key"])) == PUBLISHED["verifier_key"]


def test_every_mangling_of_a_key_is_refused() -> None:
    text = PUBLISHED["verifier_key"]
    mangled = [text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)]
    mangled.remove(text)
    mangled += [text[:i] + chr(ord(text[i]) + 1) + text[i + 1 :] for i in range(len(text))]
    for each in mangled:
        with pytest.raises(ProofInvalid):
            parse_verifier_key(each)


@given(integers(0, 2**53), binary(min_size=32, max_size=32))
def test_a_signed_checkpoint_opens_again(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(KEY.name, size, root)
    assert open_checkpoint(signed(checkpoint.text()), KEY, check) == checkpoint


@given(integers(0, 500))
def test_any_changed_character_is_noticed(where: int) -> None:
    note = signed(Checkpoint(KEY.name, 42, bytes(32)).text())
    where %= len(note)
    changed = note[:where] + chr(ord(note[where]) ^ 1) + note[where + 1 :]
    with pytest.raises(ProofInvalid):
        open_checkpoint(changed, KEY, check)


def test_another_key_of_the_same_name_is_not_trusted() -> None:
    other = VerifierKey(KEY.name, bytes(32))
    with pytest.raises(ProofInvalid, match="is not signed by whyledger/test"):
        open_note(signed("text\n"), other, check)


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    note = signed("text\n")
    witness = NoteSignature("witness.example/one", b"1234", b"anything")
    assert open_note(note + witness.line(), KEY, check) == "text\n"


def test_one_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    wrong = NoteSignature(KEY.name, KEY.key_id, bytes(64))
    with pytest.raises(ProofInvalid, match="does not fit the note's text"):
        open_note(signed("text\n") + wrong.line(), KEY, check)


def test_a_checkpoint_of_another_ledger_is_refused() -> None:
    with pytest.raises(ProofInvalid, match="is of 'whyledger/other'"):
        open_checkpoint(signed(Checkpoint("whyledger/other", 1, bytes(32)).text()), KEY, check)


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("text", "saying"),
    [
        ("o\n1\n", "three lines"),
        ("\n1\n" + ROOT + "\n", "three lines"),
        ("o\n1\n" + ROOT, "three lines"),
        ("o\n01\n" + ROOT + "\n", "plain number"),
        ("o\n-1\n" + ROOT + "\n", "plain number"),
        ("o\n1\nAAAA\n", "3 bytes"),
        ("o\n1\n" + ROOT[:-2] + "B=\n", "not base64"),
        ("o\n1\n" + ROOT + "\n\n", "three lines"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str, saying: str) -> None:
    with pytest.raises(ProofInvalid, match=saying):
        parse_checkpoint(text)


def test_extension_lines_are_passed_over() -> None:
    assert parse_checkpoint(f"o\n1\n{ROOT}\nmore\n").size == 1


@pytest.mark.parametrize(
    ("note", "saying"),
    [
        ("text\n", "no blank line"),
        ("text\n\n— name AAAAAAAA", "no blank line"),
        ("text\n\n-- name AAAAAAAA\n", "no signature line"),
        ("text\n\n— na+me AAAAAAAA\n", "no signature line"),
        ("text\n\n— name\n", "no signature line"),
        ("text\n\n— name AAA\n", "not base64"),
        ("text\n\n— name AAAA\n", "too few"),
        ("te\x00xt\n\n— name AAAAAAAA\n", "control character"),
        ("text\n\n" + "— name AAAAAAAA\n" * 101, "101 signatures"),
        ("x" * 100_001, "at most 100000"),
    ],
)
def test_what_is_no_note_is_refused(note: str, saying: str) -> None:
    with pytest.raises(ProofInvalid, match=saying):
        parse_note(note)


@pytest.mark.parametrize("text", ["no newline", "tab\t\n"])
def test_a_text_that_no_note_may_have_is_not_signed(text: str) -> None:
    with pytest.raises(ProofInvalid, match="ends in a newline"):
        signed(text)


def test_notes_that_are_kept_one_after_another_come_apart() -> None:
    notes = [signed(Checkpoint(KEY.name, size, bytes(32)).text()) for size in (1, 20, 300)]
    assert split_notes("\n".join([*notes, ""])) == notes
    assert split_notes(notes[0]) == notes[:1]
    assert split_notes(SOFA) == [SOFA]
    countersigned = SOFA.replace("\u2014 example.com/behind-the-sofa", "\u2014 example.com/witness")
    assert split_notes(f"torn\n\n{countersigned}") == [countersigned], "its first line begins it"
    with pytest.raises(ProofInvalid, match="no signed note"):
        split_notes("nothing\n")


def test_a_note_needs_a_signature() -> None:
    with pytest.raises(ProofInvalid, match="Sign it"):
        format_note("text\n", [])


@pytest.mark.parametrize(
    ("name", "public_key", "saying"),
    [("", bytes(32), "is empty"), ("a b", bytes(32), "blank"), ("a", bytes(31), "31 bytes")],
)
def test_what_is_no_key_is_refused(name: str, public_key: bytes, saying: str) -> None:
    with pytest.raises(ProofInvalid, match=saying):
        VerifierKey(name, public_key)


def test_a_key_of_another_algorithm_is_refused() -> None:
    encoded = base64.b64encode(b"\x02" + bytes(32)).decode()
    with pytest.raises(ProofInvalid, match="type 0x02"):
        parse_verifier_key(f"name+00000000+{encoded}")
