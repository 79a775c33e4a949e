"""A block: what stands apart from the entry that many rows share, and the root it is hashed into.

    line_k  = RFC 8785 bytes of the row's JSON array; never empty, never with a newline in it
    salt_k  = 16 random bytes of this row alone
    leaf_k  = SHA-256(0x00 || salt_k || line_k)
    root    = RFC 6962 MTH(leaf_0 ... leaf_(n-1)), 2 <= n <= 10,000

A path in the tree shows a neighbour's leaf; without a salt whoever guesses that row could check the
guess. An erased row keeps its leaf and its id in its line, and zeros for its salt: so the root, and
with it every proof of another row, stays as it was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from domain.blocks.ids import ROWS_MAX
from domain.errors import RequestInvalid
from domain.tree.merkle import root_of

SALT_BYTES: Final = 16
ROWS_MIN: Final = 2  # one row alone is a plain event, which is smaller
NO_SALT: Final = bytes(SALT_BYTES)  # of an erased row
_ERASED: Final = re.compile(rb'"([0-9a-f]{64}) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')
_ROW: Final = b"["
_GONE: Final = b'"'
_NEWLINE: Final = b"\n"
_BETWEEN_ROWS: Final = _NEWLINE + _ROW
# What every leaf's hash begins with: to copy that takes less than to begin a hash.
_begun_leaf: Final = hashlib.sha256(b"\x00").copy


class ErasedRow(NamedTuple):
    """What is left of an erased row."""

    leaf: bytes  # 32 bytes
    id: str  # of its event


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one entry as they are stored."""

    salts: bytes  # 16 bytes a row
    content: bytes  # their lines, a newline between two of them

    @property
    def lines(self) -> list[bytes]:
        """The lines, in order."""
        return self.content.split(_NEWLINE)

    def salt(self, row: int) -> bytes:
        """The salt of a row, 16 bytes."""
        return self.salts[row * SALT_BYTES : (row + 1) * SALT_BYTES]

    def leaves(self) -> list[bytes]:
        """The leaf hash of each row, 32 bytes; of an erased one as its line says it.

        Of a block that `fault` finds nothing in; of another they mean nothing.
        """
        salts, leaves = self.salts, []
        at = 0
        for line in self.lines:
            if line[:1] == _ROW:
                leaf = _begun_leaf()
                leaf.update(salts[at : at + SALT_BYTES])
                leaf.update(line)
                leaves.append(leaf.digest())
            else:
                leaves.append(bytes.fromhex(line[1:65].decode()))
            at += SALT_BYTES
        return leaves

    def root(self) -> bytes:
        """The RFC 6962 root over the rows' leaf hashes, 32 bytes."""
        return root_of(self.leaves())

    def rows_erased(self) -> list[int]:
        """The rows of which only the leaf hash and the id are left, in order."""
        if self.content[:1] != _GONE and _NEWLINE + _GONE not in self.content:
            return []
        return [row for row, line in enumerate(self.lines) if line[:1] == _GONE]

    def erased(self, ids: dict[int, str]) -> Block:
        """The block without the rows in `ids` (row -> the id of its event); the root stays.

        A row that is erased already stays as it is.
        """
        lines, leaves, salts = self.lines, self.leaves(), bytearray(self.salts)
        for row, id in ids.items():
            if lines[row][:1] == _ROW:
                lines[row] = erased_line(leaves[row], id)
                salts[row * SALT_BYTES : (row + 1) * SALT_BYTES] = NO_SALT
        return Block(bytes(salts), _NEWLINE.join(lines))

    def fault(self, rows: int) -> str | None:
        """Why these are not `rows` rows with a salt each, in words; None: they are.

        Whether a line is one of its layout is not looked at.
        """
        if not ROWS_MIN <= rows <= ROWS_MAX:
            return f"a block of {rows} rows, which has {ROWS_MIN} to {ROWS_MAX}"
        if len(self.salts) != SALT_BYTES * rows:
            return f"{len(self.salts)} bytes of salts for {rows} rows of {SALT_BYTES} each"
        if self.content.count(_NEWLINE) != rows - 1:
            return f"{len(self.lines)} lines for {rows} rows"
        if self.content.startswith(_ROW) and self.content.count(_BETWEEN_ROWS) == rows - 1:
            return None  # each line begins as a row
        lines = self.lines
        for row, line in enumerate(lines):
            if line[:1] == _ROW:
                continue
            if not _ERASED.fullmatch(line):
                return f"a line that is no row in row {row}"
            if self.salt(row) != NO_SALT:
                return f"a salt where row {row} is erased"
        return None


def block_of(lines: Sequence[bytes], salts: bytes) -> Block:
    """The block of these lines (`lines_of`) with 16 random bytes of salt for each.

    Raises:
        RequestInvalid: they are not 2 to 10,000 rows.
    """
    return block_of_content(_NEWLINE.join(lines), len(lines), salts)


def block_of_content(content: bytes, rows: int, salts: bytes) -> Block:
    """As `block_of`, of so many lines with a newline between two (`lines_of_columns`)."""
    block = Block(salts, content)
    fault = block.fault(rows)
    if fault is not None:
        raise RequestInvalid(f"no block: {fault}. Give 2 to {ROWS_MAX} rows, and a salt for each.")
    return block


def row_members(row: int, line: bytes, salt: bytes) -> bytes:
    """A row as JSON members, to be handed on: its salt and its line, or what is left of it.

    The line stands there as it is, so that who checks it hashes what stands behind `"data":`.
    """
    if salt == NO_SALT and line[:1] != _ROW:
        return b'"row":%d,"erased":%s' % (row, line)
    return b'"row":%d,"salt":"%s","data":%s' % (row, salt.hex().encode(), line)


def erased_line(leaf: bytes, id: str) -> bytes:
    """What stands for a row that is erased: its leaf hash and the id of its event."""
    return f'"{leaf.hex()} {id}"'.encode()


def erased_row(line: bytes) -> ErasedRow | None:
    """What an erased row's line says; None: a row is there.

    The line is one of a block that `Block.fault` finds nothing in.
    """
    if line[:1] == _ROW:
        return None
    return ErasedRow(bytes.fromhex(line[1:65].decode()), line[66:-1].decode())
