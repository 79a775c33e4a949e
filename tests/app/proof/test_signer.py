"""The signer: a key of its owner alone, and a memory that stops rollbacks and forks."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.proof.signer import FileSigner, check_ed25519
from domain.canonical import leaf_hash
from domain.errors import ProofInvalid, SigningRefused
from domain.tree.merkle import EMPTY_ROOT, root_of
from domain.tree.notes import Checkpoint, open_checkpoint
from domain.tree.proofs import consistency_proof
from tests.app.proof.signed_ledger import leaves_of

ORIGIN = "whyledger/test"
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    return FileSigner(tmp_path / "keys" / "signing.key", ORIGIN)


def sign(signer: FileSigner, leaves: Sequence[bytes]) -> str:
    from domain.tree.merkle import node_hash

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return signer.sign(
        Checkpoint(ORIGIN, len(leaves), root_of(leaves)),
        lambda earlier: consistency_proof(earlier, len(leaves), node),
        lambda first, end: leaves[first:end],
    )


def test_key_and_memory_are_for_their_owner_alone(signer: FileSigner) -> None:
    sign(signer, LEAVES[:5])
    for path in (signer.path, signer.last_path, signer.leaves_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(signer.path.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in signer.path.parent.iterdir()) == [
        "signing.key",
        "signing.key.last",
        "signing.key.leaves",
    ]


def test_a_signed_checkpoint_opens_with_the_key(signer: FileSigner) -> None:
    note = sign(signer, LEAVES[:5])
    checkpoint = open_checkpoint(note, signer.key, check_ed25519)
    assert checkpoint == Checkpoint(ORIGIN, 5, root_of(LEAVES[:5]))


def test_the_memory_outlives_the_process(signer: FileSigner) -> None:
    sign(signer, LEAVES[:5])
    sign(signer, LEAVES[:17])
    again = FileSigner(signer.path, ORIGIN)
    assert again.key == signer.key
    assert again.last() == Checkpoint(ORIGIN, 17, root_of(LEAVES[:17]))
    assert leaves_of(again) == b"".join(LEAVES[:17])


def test_what_was_signed_is_signed_again_alike(signer: FileSigner) -> None:
    assert sign(signer, LEAVES[:5]) == sign(signer, LEAVES[:5])


def test_a_shorter_ledger_is_not_signed(signer: FileSigner) -> None:
    sign(signer, LEAVES[:17])
    with pytest.raises(SigningRefused, match="has 9 entries, and 17 were signed: 8 are missing"):
        sign(signer, LEAVES[:9])
    assert signer.last() == Checkpoint(ORIGIN, 17, root_of(LEAVES[:17]))


@pytest.mark.parametrize("size", [17, 25])
def test_a_ledger_with_another_past_is_not_signed(signer: FileSigner, size: int) -> None:
    sign(signer, LEAVES[:17])
    forged = list(LEAVES[:size])
    forged[3] = bytes(32)
    with pytest.raises(SigningRefused, match="no longer holds what was signed at size 17"):
        sign(signer, forged)


def test_nothing_empty_and_no_other_ledger_is_signed(signer: FileSigner) -> None:
    for checkpoint in (Checkpoint(ORIGIN, 0, EMPTY_ROOT), Checkpoint("other", 1, bytes(32))):
        with pytest.raises(SigningRefused, match="signs for 'whyledger/test' and nothing empty"):
            signer.sign(checkpoint, lambda _: (), lambda _first, _end: ())


def test_leaves_that_a_crash_left_behind_or_lost_are_put_right(signer: FileSigner) -> None:
    sign(signer, LEAVES[:5])
    signer.leaves_path.write_bytes(signer.leaves_path.read_bytes() + b"x" * 50)
    sign(signer, LEAVES[:9])
    assert leaves_of(signer) == b"".join(LEAVES[:9])
    signer.leaves_path.unlink()
    sign(signer, LEAVES[:11])
    assert leaves_of(signer) == b"".join(LEAVES[:11])


def test_a_damaged_memory_signs_nothing(signer: FileSigner) -> None:
    sign(signer, LEAVES[:5])
    signer.last_path.write_text(signer.last_path.read_text().replace("\n5\n", "\n3\n"))
    with pytest.raises(SigningRefused, match=r"memory .*signing\.key\.last is damaged"):
        sign(signer, LEAVES[:9])


def test_a_memory_that_is_no_text_signs_nothing(signer: FileSigner) -> None:
    sign(signer, LEAVES[:5])
    signer.last_path.write_bytes(b"\xff\xfe garbage")
    for asked in (signer.last, signer.remembered_leaves, lambda: sign(signer, LEAVES[:9])):
        with pytest.raises(SigningRefused, match=r"memory .*signing\.key\.last is damaged"):
            asked()


@pytest.mark.parametrize("made", [False, True])
def test_what_a_killed_process_left_of_a_key_is_removed_and_stops_nobody(
    tmp_path: Path, made: bool
) -> None:
    path = tmp_path / "signing.key"
    before = FileSigner(path, ORIGIN).key if made else None
    (tmp_path / "signing.key.part").write_text("PRIVATE+KEY+never used")
    signer = FileSigner(path, ORIGIN)
    assert before in (None, signer.key)
    sign(signer, LEAVES[:5])
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "signing.key",
        "signing.key.last",
        "signing.key.leaves",
    ]


@pytest.mark.parametrize("copy", ["signing.key.1", "signing.key.7", "signing.key.bak"])
def test_a_copy_that_somebody_keeps_beside_the_key_is_left_alone(
    signer: FileSigner, copy: str
) -> None:
    kept = signer.path.with_name(copy)
    kept.write_bytes(signer.path.read_bytes())
    FileSigner(signer.path, ORIGIN)
    assert kept.read_bytes() == signer.path.read_bytes()


def test_a_key_that_others_can_read_is_refused(signer: FileSigner) -> None:
    signer.path.chmod(0o640)
    with pytest.raises(SigningRefused, match="has the mode 0640: others can read it"):
        FileSigner(signer.path, ORIGIN)


def test_a_key_of_another_ledger_is_refused(signer: FileSigner) -> None:
    with pytest.raises(SigningRefused, match="signs for 'whyledger/test', and this ledger is 'o'"):
        FileSigner(signer.path, "o")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "PRIVATE+KEY+a+00000000+????", "PRIVATE+KEY+a+00000000+AgAA"]
)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "signing.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SigningRefused, match="cannot be read"):
        FileSigner(path, ORIGIN)


def test_a_key_that_stands_is_never_replaced(tmp_path: Path) -> None:
    from app.proof.signer import _make_key

    signer = FileSigner(tmp_path / "signing.key", ORIGIN)
    _make_key(signer.path, ORIGIN)
    assert FileSigner(signer.path, ORIGIN).key == signer.key
    assert [path.name for path in tmp_path.iterdir()] == ["signing.key"]


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63)])
def test_a_wrong_signature_is_wrong(signer: FileSigner, signature: bytes) -> None:
    assert not check_ed25519(signer.key.public_key, signature, b"message")
    with pytest.raises(ProofInvalid):
        open_checkpoint("no note", signer.key, check_ed25519)
