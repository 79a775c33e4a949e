"""The signer's memory of leaf hashes, read a part at a time: 32 bytes for every entry signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.tree.proofs import HASH_BYTES

_LEAVES_AT_ONCE: Final = 1024


@dataclass(frozen=True, slots=True)
class LeafMemory:
    """Leaf hashes from position 0 on."""

    size: int  # how many there are; a part of one at the end counts
    _read: Callable[[int, int], bytes]  # offset and length -> bytes, fewer at the end

    @classmethod
    def of(cls, hashes: bytes) -> LeafMemory:
        """Of what is in memory already."""
        return cls(_size(len(hashes)), lambda at, length: hashes[at : at + length])

    @classmethod
    def in_file(cls, path: Path, most: int) -> LeafMemory:
        """Of the first `most` in a file that only grows; of none where it is missing.

        It is opened for each part: who signs meanwhile is not in the way.
        """

        def read(at: int, length: int) -> bytes:
            if not path.exists():
                return b""
            with path.open("rb") as file:
                file.seek(at)
                return file.read(length)

        there = path.stat().st_size if path.exists() else 0
        return cls(min(_size(there), most), read)

    def read(self, first: int, end: int) -> bytes:
        """Those of the positions `first` to `end` - 1, concatenated, as far as there are."""
        last = min(end, self.size)
        if not 0 <= first < last:
            return b""
        return self._read(first * HASH_BYTES, (last - first) * HASH_BYTES)

    def pages(self) -> Iterator[list[bytes]]:
        """All of them, a thousand at a time."""
        for first in range(0, self.size, _LEAVES_AT_ONCE):
            page = self.read(first, first + _LEAVES_AT_ONCE)
            yield [page[at : at + HASH_BYTES] for at in range(0, len(page), HASH_BYTES)]


def _size(length: int) -> int:
    return -(-length // HASH_BYTES)


NO_LEAVES: Final = LeafMemory.of(b"")
