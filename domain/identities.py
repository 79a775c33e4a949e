"""A set of row identities in 16 bytes a row: which rows were trained on, held out, or have entered.

A set of a million texts takes 100 MB and more. What is kept here are digests, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.packed import Flags, text_digests

_DIGEST_BYTES: Final = 16  # two rows share one once in 2^64 tries, so nobody finds such a pair


def row_digest(model: str, identity: str) -> bytes:
    """16 bytes that stand for one row of one model, and tell nothing of it to who does not know it.

    >>> row_digest("cars", "car=1") == row_digest("car", "scar=1")
    False
    """
    return blake2b(f"{model}\n{identity}".encode(), digest_size=_DIGEST_BYTES).digest()


class Identities:
    """Which identities there are; the texts themselves are not kept."""

    __slots__ = ("_added", "_ordered")

    def __init__(self, identities: Iterable[str] = ()) -> None:
        self._ordered = np.unique(text_digests(identities))
        self._added: list[NDArray[np.bytes_]] = []  # since they were put in order

    def add(self, identities: Iterable[str]) -> None:
        """These, too."""
        self._added.append(text_digests(identities))

    def among(self, identities: Sequence[str]) -> Flags:
        """Which of these are in the set, one flag each."""
        ordered, asked = self._whole(), text_digests(identities)
        if not len(ordered):
            return np.zeros(len(asked), np.bool_)
        at = np.searchsorted(ordered, asked)
        at[at == len(ordered)] = 0
        found: Flags = ordered[at] == asked
        return found

    def __contains__(self, identity: str) -> bool:
        """Whether it is in the set."""
        return bool(self.among([identity])[0])

    def __or__(self, other: Identities) -> Identities:
        """Those of both."""
        both = Identities()
        both._added = [self._whole(), other._whole()]
        return both

    def __len__(self) -> int:
        """How many there are."""
        return len(self._whole())

    def _whole(self) -> NDArray[np.bytes_]:
        if self._added:
            self._ordered = np.unique(np.concatenate([self._ordered, *self._added]))
            self._added = []
        return self._ordered
