"""An anchor's file survives a write that was cut off at any byte, and old ones are still read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from app.proof.anchors import FileAnchor
from app.proof.signer import FileSigner, check_ed25519
from app.proof.verify_bundle import notes_in
from domain.tree.notes import Checkpoint, open_checkpoint, split_notes

ORIGIN = "whyledger/0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21"
CHECKPOINTS = [Checkpoint(ORIGIN, size, bytes([size] * 32)) for size in (11, 12, 13)]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> FileSigner:
    return FileSigner(tmp_path_factory.mktemp("key") / "signing.key", ORIGIN)


@pytest.fixture(scope="module")
def notes(signer: FileSigner) -> list[str]:
    def leaves(first: int, end: int) -> list[bytes]:
        return [bytes(32)] * (end - first)

    made = []
    for each in CHECKPOINTS:
        signer.last_path.unlink(missing_ok=True)
        made.append(signer.sign(each, lambda _: (), leaves))
    return made


def test_a_note_cut_off_at_any_byte_is_cut_back_before_the_next(
    notes: list[str], signer: FileSigner, tmp_path: Path
) -> None:
    anchor = FileAnchor(tmp_path / "anchor")
    whole = notes[0] + "\n"
    for length in range(len((notes[1] + "\n").encode())):
        torn = (notes[1] + "\n").encode()[:length]
        anchor.path.write_bytes(whole.encode() + torn)
        anchor.keep(CHECKPOINTS[2], notes[2])
        assert anchor.path.read_bytes() == (whole + notes[2] + "\n").encode()


@pytest.mark.parametrize("read", [split_notes, notes_in], ids=["ours", "the bundle's verifier"])
def test_a_file_that_was_torn_and_written_on_is_read_for_every_whole_note(
    notes: list[str], signer: FileSigner, read: type
) -> None:
    """As versions before wrote on: behind whatever was torn."""
    for length in range(len(notes[1].encode())):
        torn = notes[1].encode()[:length].decode(errors="ignore")
        found = read(f"{notes[0]}\n{torn}{notes[2]}\n")
        opened = [open_checkpoint(each, signer.key, check_ed25519) for each in found]
        assert opened == [CHECKPOINTS[0], CHECKPOINTS[2]], (length, torn)


@pytest.mark.parametrize("read", [split_notes, notes_in], ids=["ours", "the bundle's verifier"])
@pytest.mark.parametrize("unit", ["a", f"{ORIGIN}\n1\n{'A' * 43}=\n"], ids=["one word", "headers"])
def test_what_is_no_note_is_read_once_however_long(notes: list[str], unit: str, read: type) -> None:
    """Else this would not end: each place where a note may begin would be read to the end."""
    assert read(f"{unit * (4_000_000 // len(unit))}{notes[0]}\n") == [notes[0]]


def test_what_no_note_of_ours_is_is_not_cut(notes: list[str], tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "diary")
    diary = b"Dear diary,\n" * 10_000
    anchor.path.write_bytes(diary)
    anchor.keep(CHECKPOINTS[0], notes[0])
    assert anchor.path.read_bytes() == diary + b"\n\n" + notes[0].encode() + b"\n"
    assert split_notes(anchor.path.read_text()) == [notes[0]]


def test_the_first_note_cut_off_leaves_none_of_it(notes: list[str], tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "anchor")
    for length in range(len((notes[1] + "\n").encode())):
        anchor.path.write_bytes((notes[1] + "\n").encode()[:length])
        anchor.keep(CHECKPOINTS[2], notes[2])
        assert anchor.path.read_text() == notes[2] + "\n"


def keep_for_ever(anchor: FileAnchor, note: str) -> NoReturn:
    while True:
        anchor.keep(CHECKPOINTS[1], note)


def test_a_pipe_is_written_to_while_somebody_reads_and_never_waited_for(
    notes: list[str], tmp_path: Path
) -> None:
    anchor = FileAnchor(tmp_path / "printer")
    os.mkfifo(anchor.path)
    with pytest.raises(OSError, match="No such device"):
        anchor.keep(CHECKPOINTS[0], notes[0])
    reader = os.open(anchor.path, os.O_RDONLY | os.O_NONBLOCK)
    anchor.keep(CHECKPOINTS[0], notes[0])
    assert os.read(reader, 65_536) == f"{notes[0]}\n".encode()
    with pytest.raises(BlockingIOError):  # nobody reads on, and the pipe fills
        keep_for_ever(anchor, notes[1])
    os.close(reader)
