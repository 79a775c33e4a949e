"""Take in a CSV of labelled rows: good rows become observations, bad ones go to quarantine.

The file is streamed and never held whole. Sent again, even after a crash half-way, it records
nothing twice: a row's id comes from file, line and content, and a row that stands so already is
left alone.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO, Final

import numpy as np

from app.cause import Cause
from app.clock import new_id, now
from app.intake.csv_rows import BrokenLine, csv_header, csv_rows
from app.intake.giving_way import GivingWay
from app.intake.intake import ALSO, FAULTS_SHOWN_MAX, Intake, intake_of, received_dataset
from app.intake.judged_lines import Line, judge_lines, lines_together, observations_of
from app.intake.quarantine import Quarantine, remove_oldest, sweep
from app.intake.recording import Recording
from app.intake.refusals import bounded_reasons
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import observations_stream
from app.serving.champions import Serving
from app.settings import Settings
from domain.blocks.ids import source_event_id
from domain.errors import DocumentInvalid, RowsRefusedError, UnknownThing
from domain.events.events import DatasetReceived, RowsRefused
from domain.faults import Fault

DOOR: Final = "datasets"
_LOG: Final = logging.getLogger("whyledger.datasets")


@dataclass(frozen=True, slots=True)
class Upload:
    """A CSV as received: its bytes in a temporary file, and their SHA-256."""

    file: IO[bytes]
    sha256: str


class Datasets:
    """The use case of one process; `next_cycle` says what a model's next cycle would do."""

    def __init__(
        self, ledger: Ledger, settings: Settings, next_cycle: Callable[[str], str]
    ) -> None:
        self._ledger = ledger
        self._next_cycle = next_cycle
        self._quarantine = settings.state_dir / "quarantine"
        self._quarantine_bytes_max = settings.quarantine_bytes_max
        self._quarantine_total_bytes_max = settings.quarantine_total_bytes_max
        self._chunk_rows = settings.events_per_append_max
        self._under_way: dict[tuple[str, str], Intake] = {}  # by model and SHA-256

    def new_file(self) -> IO[bytes]:
        """A temporary file to receive a CSV in; gone when it is closed, or when we die."""
        self._quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._quarantine)

    def sweep(self) -> None:
        """Remove what uploads of killed processes left half written."""
        swept = sweep(self._quarantine)
        if swept:
            _LOG.info("%d quarantine files that no upload is writing were removed", swept)
        self._make_room()

    def _make_room(self) -> None:
        removed = remove_oldest(self._quarantine, self._quarantine_total_bytes_max)
        if removed:
            _LOG.warning(
                "quarantine had more than %d bytes; the oldest files were removed: %s",
                self._quarantine_total_bytes_max,
                ", ".join(removed),
            )

    def take_in(self, serving: Serving, upload: Upload, *, cause: Cause) -> Intake:
        """What became of the rows.

        Raises:
            DocumentInvalid: no header, or one that does not fit the contract; nothing was kept.
            LedgerBusy: the rest was not kept; send the file again, nothing is recorded twice.
        """
        size = upload.file.seek(0, os.SEEK_END)
        upload.file.seek(0)
        text = io.TextIOWrapper(upload.file, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            read = csv_rows(text)
            header = _header(read, serving)
            intake = Intake(serving.model, upload.sha256)
            self._under_way[serving.model, upload.sha256] = intake
            stem = f"{serving.model}-{upload.sha256[:16]}"
            with (
                Quarantine(self._quarantine, stem, size, self._quarantine_bytes_max) as bad,
                Recording(self._ledger, intake, cause) as recording,
            ):
                keys = array("q")  # of the rows, hashed: eight bytes each, whatever the file holds
                mostly_refused = False
                for lines in lines_together(read, self._chunk_rows):
                    intake.lines += len(lines)
                    told = [cells for _, cells, _ in lines]
                    # Twenty thousand lines that are none are forty kilobytes, and much work.
                    giving_way = GivingWay() if mostly_refused else None
                    judged = judge_lines(serving, header, told, giving_way)
                    for index, refusal in judged.refused.items():
                        line, cells, _ = lines[index]
                        shown = None if serving.guard.personal else cells
                        _refuse(intake, bad, line, header, shown, refusal)
                        if giving_way is not None:
                            giving_way.pause()
                    mostly_refused = 2 * len(judged.accepted) < len(lines)
                    numbers = [lines[index][0] for index in judged.accepted]
                    rows = observations_of(serving, intake.dataset_sha256, numbers, judged.columns)
                    keys.extend(map(hash, rows.identities))
                    recording.record(rows)
            intake.repeated_keys = len(keys) - len(np.unique(np.asarray(keys)))
            intake.quarantine_file = bad.name if intake.quarantined else None
            if intake.quarantined:
                self._make_room()
            intake.position = self._received(intake, cause)
            return self._finished(intake)
        finally:
            self._under_way.pop((serving.model, upload.sha256), None)
            text.detach()

    def look(self, model: str, sha256: str) -> Intake:
        """What became of a file sent earlier, or how far it has come in this process.

        Raises:
            UnknownThing: no such file was read to its end, and none is being read here.
        """
        under_way = self._under_way.get((model, sha256))
        if under_way is not None:
            return replace(under_way)
        with self._ledger.connect() as connection:
            received = received_dataset(connection, model, sha256)
        if received is None:
            raise UnknownThing(
                f"no CSV with SHA-256 {sha256[:64]} was read to its end for {model!r}. Send it "
                "again: what is recorded of it is known."
            )
        return self._finished(intake_of(received, self._quarantine))

    def _finished(self, intake: Intake) -> Intake:
        intake.finished = True
        intake.next_cycle = self._next_cycle(intake.model)
        return intake

    def _received(self, intake: Intake, cause: Cause) -> int | None:
        """Append that the file was read to its end, unless that is known and nothing was new."""
        model, sha256 = intake.model, intake.dataset_sha256
        id = source_event_id(f"/models/{model}/datasets", sha256)
        if id in self._ledger.known([id]):
            if not intake.accepted:
                return None
            id = new_id()
        events = []
        if intake.quarantined:
            refused = RowsRefused(
                model=model,
                door=DOOR,
                rows=intake.quarantined,
                reasons=bounded_reasons(intake.reasons),
            )
            events.append(NewEvent(event=refused, id=new_id(), occurred_at=now()))
        received = DatasetReceived(
            model=model,
            dataset_sha256=sha256,
            accepted=intake.accepted,
            already_known=intake.already_known,
            quarantined=intake.quarantined,
            quarantine_file=intake.quarantine_file,
            also={name: getattr(intake, name) for name in ALSO},
        )
        events.append(NewEvent(event=received, id=id, occurred_at=now()))
        append = StreamAppend(observations_stream(model), tuple(events), None)
        return self._ledger.append([append], cause)[-1].position


def _header(rows: Iterator[Line], serving: Serving) -> list[str]:
    """The first row, held to the contract. Raises DocumentInvalid."""
    line, cells, _ = next(rows, (1, [], 0))
    if isinstance(cells, BrokenLine):
        raise DocumentInvalid(f"the CSV's header, line {line}, {cells}. Nothing was kept.")
    if not cells:
        raise DocumentInvalid(
            "the CSV has no header line; begin it with the contract's column names."
        )
    return csv_header(cells, serving.contract)


def _refuse(
    intake: Intake,
    bad: Quarantine,
    line: int,
    header: list[str],
    cells: list[str] | BrokenLine | None,
    refusal: RowsRefusedError,
) -> None:
    """Count the row and put it into the quarantine; of a person's row (no cells) only the reasons,
    since no erasure would find it there."""
    intake.quarantined += 1
    for reason, rows in refusal.reasons.items():
        intake.reasons[reason] = intake.reasons.get(reason, 0) + rows
    if cells is None:
        reasons = list(refusal.reasons)
    else:
        reasons = [f"{fault.name} {fault.message}".strip() for fault in refusal.faults]
    bad.add(line, reasons, header, cells)
    for reason in reasons:
        if len(intake.faults) < FAULTS_SHOWN_MAX:
            intake.faults.append(Fault(f"/line/{line}", reason))
