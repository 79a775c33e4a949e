"""Checks of entries of many rows: their rows are those of the root, and no id is used twice.

One block is held at a time. That no two rows of observations share an id follows from `row_ids`,
which can hold an id once: every line must be the one that stands there, and no more may stand
there than there are lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, select

from app.ledger.tables import BLOCKS, ENTRIES, ROW_IDS
from app.proof.verify.breaks import BREAKS_KEPT, Break
from app.proof.verify.seen import Seen
from domain.blocks.block import Block, erased_row
from domain.blocks.ids import entries_around, prediction_id, row_of_prediction
from domain.blocks.layouts import LAYOUTS, Layout, is_canonical
from domain.events.block_events import PredictionsMade
from domain.events.envelope import event_data, event_from_data, why_unreadable

_FEW: Final = 8  # blocks fetched at once: each has up to 10,000 rows
_AT_ONCE: Final = 500  # ids of one query
_THING: Final = "the rows that stand apart"
_MANY: Final = "rows that its root commits to"


class BlockChecks:
    """Looks at every block once; what is wrong with them, and how many rows are erased.

    Args:
        connection: reads the moment at which the entries were checked.
        seen: which entries have many rows, and which rows later entries say were erased.
    """

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self.breaks: list[Break] = []
        self.erased = 0
        self._connection = connection
        self._seen = seen
        self._ids = 0  # that stand in lines of observations and outcomes

    def check(self, *, stored: bool = True) -> None:
        """Check every block beside the entries of many rows, both in order of position.

        `stored`: whether there is a table of them; an older schema has none.
        """
        many = self._seen.many()
        expected = next(many, None)
        for position, rows, block in self._blocks() if stored else ():
            while expected is not None and expected < position:
                self._wrong(expected, _THING, _MANY, "none")
                expected = next(many, None)
            if expected != position:
                self._wrong(position, _THING, "none: the entry commits to none", "some")
                continue
            expected = next(many, None)
            self._check_block(position, rows, block)
        while expected is not None:
            self._wrong(expected, _THING, _MANY, "none")
            expected = next(many, None)
        if stored and not self.breaks:  # or they were counted wrongly
            found = self._connection.exec_driver_sql("SELECT count(*) FROM row_ids").scalar_one()
            if found != self._ids:
                said = f"{self._ids}, one for each row that a client named"
                self.breaks.append(Break(None, "the ids of rows", said, str(found)))

    def _check_block(self, position: int, rows: int, block: Block) -> None:
        entry = self._connection.execute(
            select(ENTRIES.c.id, ENTRIES.c.bytes).where(ENTRIES.c.position == position)
        ).one()
        content = bytes(entry.bytes)
        if why_unreadable(content, position) is not None:
            return  # it was named already
        envelope = orjson.loads(content)
        name, schema = envelope["type"], envelope["schema"]
        layout = LAYOUTS[name, schema]
        shared = event_data(event_from_data(name, schema, envelope["data"]))
        if rows != shared["rows"]:
            self._wrong(position, "the number of rows beside them", str(shared["rows"]), str(rows))
        fault = block.fault(shared["rows"])
        if fault is None and (root := block.root().hex()) != shared["rows_root"]:
            fault = f"others, whose root is {root}"
        if fault is not None:
            self._wrong(position, _THING, f"{_MANY}, {shared['rows_root']}", fault)
            return
        if not self._are_laid_out(position, layout, shared, block):
            return
        ids = self._check_rows(position, layout, shared, envelope["id"], block)
        if name == PredictionsMade.type:
            self._check_counted(position, envelope["id"], ids)
        else:
            self._check_named(position, envelope["id"], ids)

    def _are_laid_out(
        self, position: int, layout: Layout, shared: Mapping[str, Any], block: Block
    ) -> bool:
        for row, line in enumerate(block.lines):
            if erased_row(line) is not None:
                continue
            fault = layout.line_fault(shared, line)
            if fault is None and not is_canonical(line):
                fault = "another writing of its values than RFC 8785"
            if fault is not None:
                self._wrong(position, f"row {row}", f"one of {layout.plain!r}", fault)
                return False
        return True

    def _check_rows(
        self,
        position: int,
        layout: Layout,
        shared: Mapping[str, Any],
        first: str,
        block: Block,
    ) -> list[str]:
        """Whether each row is erased exactly where an entry says so, and the times; their ids."""
        ids, times = [], []
        erased = self._seen.erased_rows(position)
        for row, line in enumerate(block.lines):
            gone = erased_row(line)
            named = row in erased
            if gone is None:
                plain = layout.plain_row(first, row, shared, line)
                ids.append(plain.id)
                times.append(plain.occurred_at)
                if named:
                    self._wrong(position, f"row {row}", "erased, as an entry says", "there")
            else:
                ids.append(gone.id)
                self.erased += 1
                if not named:
                    expected = "there, or an entry that says it was erased"
                    self._wrong(position, f"row {row}", expected, "neither")
        said = (shared["occurred_from"], shared["occurred_until"])
        whole = len(times) == len(ids)
        if times and not (said == (min(times), max(times)) if whole else _bounds(said, times)):
            found = f"{min(times)} to {max(times)}"
            self._wrong(position, "the times of its rows", f"{said[0]} to {said[1]}", found)
        return ids

    def _check_counted(self, position: int, first: str, ids: list[str]) -> None:
        """Predictions: each id follows from the first, and nobody else's is among them."""
        rows = len(ids)
        for row, id in enumerate(ids):
            if id != prediction_id(first, row):
                self._wrong(position, f"the id of row {row}", prediction_id(first, row), id)
        least, greatest = entries_around(first)
        query = (
            select(ENTRIES.c.position, ENTRIES.c.id, BLOCKS.c.rows)
            .outerjoin(BLOCKS, BLOCKS.c.position == ENTRIES.c.position)
            .where(ENTRIES.c.id >= least, ENTRIES.c.id <= greatest, ENTRIES.c.position != position)
        )
        for other in self._connection.execute(query):
            if other.rows is not None and other.position > position:
                continue  # it is named there
            if row_of_prediction(other.id, first, rows) is not None or (
                other.rows is not None
                and row_of_prediction(first, other.id, other.rows) is not None
            ):
                self._wrong_id(position, f"that entry {other.position} uses")
        bounds = UUID(least).bytes, UUID(greatest).bytes
        named = select(ROW_IDS.c.id).where(ROW_IDS.c.id.between(*bounds))
        for id in self._connection.execute(named).scalars():
            if row_of_prediction(str(UUID(bytes=bytes(id))), first, rows) is not None:
                self._wrong_id(position, "that a row of observations uses")

    def _check_named(self, position: int, first: str, ids: list[str]) -> None:
        """Others: each id is the one beside the rows, the first the entry's, none another's."""
        self._ids += len(ids)
        if ids[0] != first:
            self._wrong(position, "the id", f"that of row 0, {ids[0]}", first)
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            wanted = [UUID(id).bytes for id in part]
            query = select(ROW_IDS).where(ROW_IDS.c.id.in_(wanted))
            there = {bytes(id): (at, row) for id, at, row in self._connection.execute(query)}
            for row, id in enumerate(wanted, start):
                if there.get(id) != (position, row):
                    found = "none" if id not in there else "row {1} of entry {0}".format(*there[id])
                    expected = f"row {row} of entry {position}"
                    self._wrong(position, f"what the id of row {row} stands for", expected, found)
            others = select(ENTRIES.c.position, ENTRIES.c.id).where(
                ENTRIES.c.id.in_(part), ENTRIES.c.position != position
            )
            for other in self._connection.execute(others):
                self._wrong_id(position, f"that entry {other.position} uses")

    def _blocks(self) -> Iterator[tuple[int, int, Block]]:
        options = {"yield_per": _FEW}
        query = select(BLOCKS.c.position, BLOCKS.c.rows, BLOCKS.c.salts, BLOCKS.c.bytes)
        ordered = query.order_by(BLOCKS.c.position)
        with self._connection.execute(ordered, execution_options=options) as found:
            for position, rows, salts, content in found:
                yield position, rows, Block(bytes(salts), bytes(content))

    def _wrong_id(self, position: int, found: str) -> None:
        self._wrong(position, "the ids of its rows", "ids of their own", f"one {found}")

    def _wrong(self, position: int, thing: str, expected: str, found: str) -> None:
        if len(self.breaks) < BREAKS_KEPT:
            self.breaks.append(Break(position, thing, expected, found))


def _bounds(said: tuple[str, str], times: list[str]) -> bool:
    """Whether the times of the rows that are left lie within what the envelope says of all."""
    return said[0] <= min(times) and max(times) <= said[1]


def block_breaks(
    connection: Connection, seen: Seen, *, stored: bool = True
) -> tuple[int, list[Break]]:
    """How many rows were erased as entries say, and what is wrong with the others.

    Args as `BlockChecks`; `stored`: whether there is a table of blocks, an older schema has none.
    """
    checks = BlockChecks(connection, seen)
    checks.check(stored=stored)
    return checks.erased, checks.breaks
