"""A set of row identities in 16 bytes a row: which rows were trained on, held out, or have entered.

A set of a million texts takes 100 MB and more. What is kept here are digests, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain.packed import Flags

RowDigests: TypeAlias = NDArray[np.bytes_]  # `row_digest` of each of some rows
_DIGEST_BYTES: Final = 16  # two rows share one once in 2^64 tries, so nobody finds such a pair
_AT_ONCE: Final = 8_192  # identities that are objects at a time


def row_digest(model: str, identity: str) -> bytes:
    """16 bytes that stand for one row of one model, and tell nothing of it to who does not know it.

    >>> row_digest("cars", "car=1") == row_digest("car", "scar=1")
    False
    """
    return blake2b(f"{model}\n{identity}".encode(), digest_size=_DIGEST_BYTES).digest()


def digests_of_rows(model: str, identities: Iterable[str]) -> list[bytes]:
    """`row_digest` of each of these rows of one model."""
    before = f"{model}\n".encode()
    return [
        blake2b(before + each.encode(), digest_size=_DIGEST_BYTES).digest() for each in identities
    ]


def row_digests(model: str, identities: Iterable[str]) -> RowDigests:
    """The same, packed; some thousand of them are objects at a time."""
    found, given = bytearray(), iter(identities)
    while page := list(islice(given, _AT_ONCE)):
        found += b"".join(digests_of_rows(model, page))
    return as_row_digests(found)


def as_row_digests(content: bytes | bytearray) -> RowDigests:
    """Digests that stand one behind the other."""
    return np.frombuffer(content, f"S{_DIGEST_BYTES}")


def each_digest(digests: RowDigests) -> list[bytes]:
    """The same as Python has them: 16 bytes each, also where the last of them are zero.

    >>> each_digest(row_digests("cars", ["car=1"])) == [row_digest("cars", "car=1")]
    True
    """
    content = digests.tobytes()
    return [content[at : at + _DIGEST_BYTES] for at in range(0, len(content), _DIGEST_BYTES)]


class Identities:
    """Which identities of a model's rows there are; the texts themselves are not kept."""

    __slots__ = ("_added", "_model", "_ordered")

    def __init__(self, model: str, identities: Iterable[str] = ()) -> None:
        self._model = model
        self._ordered = np.unique(row_digests(model, identities))
        self._added: list[RowDigests] = []  # since they were put in order

    def add(self, identities: Iterable[str]) -> None:
        """These, too."""
        self.add_rows(row_digests(self._model, identities))

    def add_rows(self, rows: RowDigests) -> None:
        """The identities of these rows of the model, too."""
        self._added.append(rows)

    def among(self, identities: Sequence[str]) -> Flags:
        """Which of these are in the set, one flag each."""
        return self.among_rows(row_digests(self._model, identities))

    def among_rows(self, rows: RowDigests) -> Flags:
        """Which of these rows of the model have an identity in the set, one flag each."""
        ordered = self._whole()
        if not len(ordered):
            return np.zeros(len(rows), np.bool_)
        at = np.searchsorted(ordered, rows)
        at[at == len(ordered)] = 0
        found: Flags = ordered[at] == rows
        return found

    def __contains__(self, identity: str) -> bool:
        """Whether it is in the set."""
        return bool(self.among([identity])[0])

    def __or__(self, other: Identities) -> Identities:
        """Those of both."""
        both = Identities(self._model)
        both._added = [self._whole(), other._whole()]
        return both

    def __len__(self) -> int:
        """How many there are."""
        return len(self._whole())

    def _whole(self) -> RowDigests:
        if self._added:
            self._ordered = np.unique(np.concatenate([self._ordered, *self._added]))
            self._added = []
        return self._ordered
