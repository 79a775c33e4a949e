"""Checks of the signatures under checkpoints: those in the database, and those kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from app.ledger.tables import CHECKPOINTS
from app.proof.signer import check_ed25519
from app.proof.verify.breaks import BREAKS_KEPT, Break
from app.proof.verify.seen import Seen
from domain.errors import ProofInvalid
from domain.tree.notes import Checkpoint, VerifierKey, open_checkpoint

_ROWS: Final = 1000  # fetched at once


def read_checkpoints(
    connection: Connection,
    key: VerifierKey | None,
    retained: Sequence[str],
    seen: Seen,
    stored: bool,
) -> list[Break]:
    """See every checkpoint that is signed: those in the database, and those kept elsewhere.

    Returns:
        What is wrong with others.
    """
    breaks: list[Break] = []
    if key is None:
        return breaks
    for note in retained:
        try:
            checkpoint = open_checkpoint(note, key, check_ed25519)
        except ProofInvalid as error:
            breaks.append(Break(None, "a retained checkpoint", "its key's", error.message))
        else:
            seen.add_checkpoint(checkpoint.size, checkpoint.root)
    for row in _stored_checkpoints(connection) if stored else ():
        wrong, signed = _opened(row, key)
        if wrong is not None and len(breaks) < BREAKS_KEPT:
            breaks.append(wrong)
        if signed is not None:
            seen.add_checkpoint(signed.size, signed.root)
    return breaks


def _stored_checkpoints(connection: Connection) -> Iterator[Row[*tuple[Any, ...]]]:
    query = select(CHECKPOINTS).order_by(CHECKPOINTS.c.size)
    with connection.execute(query, execution_options={"yield_per": _ROWS}) as rows:
        yield from rows


def _opened(row: Row[*tuple[Any, ...]], key: VerifierKey) -> tuple[Break | None, Checkpoint | None]:
    """What is wrong with a row of checkpoints, and what is signed in it all the same."""
    thing = f"the checkpoint of size {row.size}"
    try:
        checkpoint = open_checkpoint(row.note, key, check_ed25519)
    except ProofInvalid as error:
        return Break(None, thing, f"signed by {key.name}", error.message), None
    if (row.size, bytes(row.root)) == (checkpoint.size, checkpoint.root):
        return None, checkpoint
    said = f"{row.size}, {bytes(row.root).hex()}"
    signed = f"{checkpoint.size}, {checkpoint.root.hex()}"
    return Break(None, thing, f"as signed: {signed}", said), checkpoint
