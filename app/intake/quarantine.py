"""What an upload's bad rows leave: a file of JSON Lines, for a person to read and mend."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import IO

from app.database.durable_files import rename_durably
from app.intake.csv_rows import BrokenLine


class Quarantine:
    """The file of one upload's bad rows, JSON Lines; whole under its name, or not there at all."""

    def __init__(self, directory: Path, stem: str) -> None:
        self.name = f"{stem}.jsonl"
        self._path = directory / self.name
        self._part: IO[str] | None = None

    def __enter__(self) -> Quarantine:
        """The file, which the first bad row makes."""
        return self

    def add(
        self, line: int, reasons: list[str], header: list[str], cells: list[str] | BrokenLine | None
    ) -> None:
        """One bad row: where it stood, why it was refused, its cells as text (None: not shown)."""
        if self._part is None:
            self._part = tempfile.NamedTemporaryFile(
                "w",
                dir=self._path.parent,
                suffix=".part",
                delete=False,
                encoding="utf-8",
                errors="backslashreplace",
            )
        row: dict[str, str] | list[str]
        if isinstance(cells, list) and len(cells) == len(header):
            row = dict(zip(header, map(_readable, cells), strict=True))
        else:
            row = [_readable(cell) for cell in _shown_cells(cells)]
        json.dump({"line": line, "reasons": reasons, "row": row}, self._part, ensure_ascii=False)
        self._part.write("\n")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the file its name; leave none when the upload failed."""
        if self._part is None:
            return
        self._part.flush()
        os.fsync(self._part.fileno())
        self._part.close()
        if kind is None:
            rename_durably(Path(self._part.name), self._path)
        else:
            Path(self._part.name).unlink()


def _shown_cells(cells: list[str] | BrokenLine | None) -> list[str]:
    """What is shown of a line that has not the header's cells: its cells, or itself."""
    if isinstance(cells, BrokenLine):
        return [cells.line] if cells.line else []
    return cells or []


def _readable(cell: str) -> str:
    """The cell as a person reads it; a byte that is not UTF-8 as \\xff."""
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
