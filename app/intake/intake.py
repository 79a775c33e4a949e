"""What became of a CSV, as its upload says it, and read back from the ledger afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, cast

from app.ledger.known_damage import refuse_to_lack
from app.ledger.reading import entries_at
from app.ledger.store import Connection
from app.projections.datasets import received_at
from app.projections.read_model import unfit
from domain.events.envelope import Recorded
from domain.events.events import DatasetReceived, RowsRefused
from domain.events.unreadable import Unreadable
from domain.faults import Fault
from domain.path_parts import path_part

ALSO: Final = ("corrections", "repeated_keys", "labelled_predictions")  # counted beside the three
FAULTS_SHOWN_MAX: Final = 20  # in the answer; the quarantine file holds every one


@dataclass(slots=True)
class Intake:
    """What became of a CSV, row by row."""

    model: str
    dataset_sha256: str  # of the bytes as received
    lines: int = 0  # that hold anything, the header apart: the three that follow together
    accepted: int = 0
    already_known: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # why refused -> rows
    faults: list[Fault] = field(default_factory=list)  # the first few
    corrections: int = 0  # of the accepted, that say something else of a row labelled before
    repeated_keys: int = 0  # lines whose row an earlier line names; the last of them holds
    labelled_predictions: int = 0  # of the accepted, rows the model had predicted
    quarantine_file: str | None = None  # name in the state directory's quarantine/
    position: int | None = None  # of `DatasetReceived`; None: nothing was new
    finished: bool = False  # read to its end; until then it is as far as it has come
    next_cycle: str = ""  # what the next cycle would do, in words


Received = tuple[Recorded, Recorded | None]


def received_dataset(connection: Connection, model: str, sha256: str) -> Received | None:
    """The last entry that says the file was read to its end, and the one before it that counts
    the refused rows, if it has some; None when no entry says so.

    Raises:
        StoredDamage: one of them is not what was written, and nobody accepted that.
        ReadModelUnfit: somebody changed where they stand.
    """
    for position in received_at(connection, model, sha256):
        entry = _entry(connection, position)
        event = entry.event
        if isinstance(event, Unreadable):
            continue  # it was accepted that it says nothing any more
        if not isinstance(event, DatasetReceived) or (event.model, event.dataset_sha256) != (
            model,
            sha256,
        ):
            raise unfit("position", "a DatasetView")
        refused = _entry(connection, position - 1) if event.quarantined else None
        mine = (
            refused is not None
            and isinstance(refused.event, RowsRefused)
            and refused.correlation_id == entry.correlation_id
        )
        return entry, refused if mine else None
    return None


def _entry(connection: Connection, position: int) -> Recorded:
    found = list(entries_at(connection, [position]))
    if not found:
        raise unfit("position", "a DatasetView")
    refuse_to_lack(connection, found)
    return found[0]


def intake_of(found: Received, quarantine: Path) -> Intake:
    """What the upload answered, as far as ledger and quarantine still hold it."""
    entry, refused = found
    received = cast(DatasetReceived, entry.event)
    file = None
    if received.quarantine_file:
        what = f"the quarantine file of entry {entry.position}"
        file = quarantine / path_part(received.quarantine_file, what)
    intake = Intake(
        model=received.model,
        dataset_sha256=received.dataset_sha256,
        lines=received.accepted + received.already_known + received.quarantined,
        accepted=received.accepted,
        already_known=received.already_known,
        quarantined=received.quarantined,
        reasons=dict(cast(RowsRefused, refused.event).reasons) if refused else {},
        faults=_faults_in(file) if file is not None and file.is_file() else [],
        quarantine_file=received.quarantine_file,
        position=entry.position,
    )
    for name in ALSO:  # an older upload counted none of them
        setattr(intake, name, received.also.get(name, 0))
    return intake


def _faults_in(file: Path) -> list[Fault]:
    """The first reasons in it; none of a line that is not ours: people mend their rows in there."""
    with file.open("rb") as lines:
        faults = (fault for line in lines for fault in _faults_of(line))
        return list(islice(faults, FAULTS_SHOWN_MAX))


def _faults_of(line: bytes) -> list[Fault]:
    try:
        row = json.loads(line)
        return [Fault(f"/line/{int(row['line'])}", str(said)) for said in row["reasons"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
