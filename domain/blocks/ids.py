"""What a row is found by: the id of its event, and the identity that tells it from other rows.

An id a client sends becomes a UUIDv5, so the same thing sent twice is the same event. Predictions
are answered with ids of ours: in a block those of its rows follow from the first one, so that none
of them is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

ROWS_MAX: Final = 10_000  # rows of one block; far below 65,536, or two of them had one id
_NAMESPACE: Final = UUID("6f0ee2a5-35c7-5d4c-8f1c-0f6d5a5b7f3e")  # ours, fixed for ever
_HEAD: Final = 32  # characters of an id before its last 16 bits
_COUNTED: Final = 0xFFFF
_LOW: Final = re.compile(r"[0-9a-f]{4}")
_ROW_BITS: Final = 16
_SHA1_BYTES: Final = 20
_ID_BYTES: Final = 16
_ID_LENGTH: Final = 36  # of a UUID as text: 32 digits and four dashes
_DASHES: Final = [8, 13, 18, 23]
_DIGITS: Final = [at for at in range(_ID_LENGTH) if at not in _DASHES]
_ENCODED: Final = {ord("%"): "%25", ord("|"): "%7C"}  # keeps the parts of an identity apart


@dataclass(frozen=True, slots=True)
class RowKeys:
    """How the rows of one contract are told from each other, and where their event time stands."""

    identity: tuple[str, ...]  # columns, in the contract's order
    time_column: str
    read_as: Literal["mid-year", "timestamp"]


def source_event_id(source: str, source_id: str) -> str:
    """UUIDv5 of (`source`, `source_id`), the identity CloudEvents gives an event.

    >>> source_event_id("/cars", "1") == source_event_id("/cars", "1")
    True
    >>> source_event_id("/cars", "1") == source_event_id("/cars/", "1")
    False
    """
    return _id_in(_space(f"source {source}"), source_id)


def source_event_ids(source: str, source_ids: Iterable[str]) -> list[str]:
    """`source_event_id` of each, for many at once.

    >>> source_event_ids("/cars", ["1"]) == [source_event_id("/cars", "1")]
    True
    """
    space = _space(f"source {source}")
    drawn = [_drawn(space, each) for each in source_ids]
    bits = np.frombuffer(b"".join(drawn), np.uint8).reshape(len(drawn), _SHA1_BYTES)
    bits = bits[:, :_ID_BYTES].copy()
    bits[:, 6] = bits[:, 6] & 0x0F | 0x50  # the version, RFC 9562
    bits[:, 8] = bits[:, 8] & 0x3F | 0x80  # the variant
    whole = np.full((len(drawn), _ID_LENGTH), ord("-"), np.uint8)
    digits = np.frombuffer(bits.tobytes().hex().encode(), np.uint8)
    whole[:, _DIGITS] = digits.reshape(-1, len(_DIGITS))
    text = whole.tobytes().decode()
    return [text[start : start + _ID_LENGTH] for start in range(0, len(text), _ID_LENGTH)]


def bytes_of_ids(ids: Sequence[str]) -> bytes:
    """The 16 bytes of each of these UUIDs, one behind the other.

    Raises:
        ValueError: one is no UUID, with four dashes where they belong.

    >>> bytes_of_ids(["00000000-0000-0000-0000-0000000000ff"])[-1]
    255
    """
    if {*map(len, ids)} <= {_ID_LENGTH} and (text := "".join(ids)).isascii():
        whole = np.frombuffer(text.encode(), np.uint8).reshape(-1, _ID_LENGTH)
        if (whole[:, _DASHES] == ord("-")).all():
            found = bytes.fromhex(whole[:, _DIGITS].tobytes().decode())
            if len(found) == _ID_BYTES * len(ids):  # spaces are passed over
                return found
    raise ValueError(f"an id is no UUID, which has {_ID_LENGTH} signs")


def keyed_event_id(idempotency_key: str, index: int) -> str:
    """UUIDv5 of (`idempotency_key`, `index` of the row in the request)."""
    return _id_in(_space(f"idempotency-key {idempotency_key}"), str(index))


@lru_cache(maxsize=64)
def _space(name: str) -> bytes:
    """The namespace of ids that one source, or one key, has: most come from few."""
    return uuid5(_NAMESPACE, name).bytes


def _id_in(space: bytes, name: str) -> str:
    """UUIDv5 of (`space`, `name`) as `uuid.uuid5` makes it, in a fifth of the time."""
    drawn = _drawn(space, name).hex()
    variant = f"{int(drawn[16], 16) & 0b0011 | 0b1000:x}"
    return f"{drawn[:8]}-{drawn[8:12]}-5{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:32]}"


def _drawn(space: bytes, name: str) -> bytes:
    return hashlib.sha1(space + name.encode(), usedforsecurity=False).digest()


def prediction_id(first: str, row: int) -> str:
    """The id of row `row` of the block of predictions whose entry has the id `first`.

    Its last 16 bits count on from those of `first`, and from 65,535 on to 0.

    >>> prediction_id("0198f2a4-6d1e-7c3b-9a55-3f0f5f3dffff", 1)
    '0198f2a4-6d1e-7c3b-9a55-3f0f5f3d0000'
    """
    return f"{first[:_HEAD]}{(int(first[_HEAD:], 16) + row) & _COUNTED:04x}"


def prediction_ids(first: str, rows: int) -> list[str]:
    """`prediction_id` of each row from 0 on."""
    return ids_of_rows(first, range(rows))


def ids_of_rows(first: str, rows: Iterable[int]) -> list[str]:
    """`prediction_id` of some rows."""
    head, low = first[:_HEAD], int(first[_HEAD:], 16) & _COUNTED
    counted = np.fromiter(rows, np.int64) + low & _COUNTED
    digits = counted.astype(">u2").tobytes().hex()
    return [head + digits[at : at + 4] for at in range(0, len(digits), 4)]


def head_of(id: str) -> str:
    """What the ids of all rows of one block of predictions have in common.

    >>> head_of("0198f2a4-6d1e-7c3b-9a55-3f0f5f3dffff")
    '0198f2a4-6d1e-7c3b-9a55-3f0f5f3d'
    """
    return id[:_HEAD]


def entries_around(id: str) -> tuple[str, str]:
    """The least and the greatest id that an entry can have in which the prediction `id` stands.

    >>> entries_around("0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe")[0]
    '0198f2a4-6d1e-7c3b-9a55-3f0f5f3d0000'
    """
    return f"{id[:_HEAD]}0000", f"{id[:_HEAD]}ffff"


def row_of_prediction(id: str, first: str, rows: int) -> int | None:
    """Which row has the id `id` in the block of `rows` predictions from `first` on; None: none."""
    return next((row for _, row in rows_of_predictions((id,), first, rows)), None)


def rows_of_predictions(ids: Iterable[str], first: str, rows: int) -> Iterator[tuple[str, int]]:
    """Those of `ids` that stand in such a block, each with its row."""
    head, low = first[:_HEAD], int(first[_HEAD:], 16)
    for id in ids:
        if id[:_HEAD] == head and _LOW.fullmatch(id, _HEAD):
            row = (int(id[_HEAD:], 16) - low) & _COUNTED
            if row < rows:
                yield id, row


def place_of(position: int, row: int) -> int:
    """One number for a row of an entry, in the order in which they were recorded.

    >>> place = place_of(812, 417)
    >>> position_of(place), row_of(place)
    (812, 417)
    """
    return position << _ROW_BITS | row


def end_of(position: int) -> int:
    """The place behind all rows of the entry at `position`.

    >>> place_of(812, 9_999) < end_of(812) <= place_of(813, 0)
    True
    """
    return place_of(position + 1, 0)


def position_of(place: int) -> int:
    """The position of the entry at this place."""
    return place >> _ROW_BITS


def row_of(place: int) -> int:
    """The row of the entry at this place."""
    return place & _COUNTED


def positions_of(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """`position_of` each."""
    return places >> _ROW_BITS


def rows_at_places(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """`row_of` each."""
    return places & _COUNTED


def identity_of(names: Iterable[str], row: Mapping[str, object]) -> str:
    """The key that tells an accepted row from all others, by the columns `names` in their order.

    >>> identity_of(("year", "car_id"), {"car_id": 129, "year": 1976})
    'year=1976|car_id=129'
    """
    return "|".join(identity_part(name, row[name]) for name in names)


def identities_of(names: Iterable[str], columns: Mapping[str, Sequence[object]]) -> list[str]:
    """`identity_of` each of the accepted rows with these columns.

    >>> identities_of(("year", "car_id"), {"car_id": [129, 130], "year": [1976, 1976]})
    ['year=1976|car_id=129', 'year=1976|car_id=130']
    """
    parts = [_parts(name, columns[name]) for name in names]
    return parts[0] if len(parts) == 1 else [*map("|".join, zip(*parts, strict=True))]


def _parts(name: str, column: Sequence[object]) -> list[str]:
    """`identity_part` of each; at once where none of them has a sign that keeps parts apart."""
    texts = [value for value in column if isinstance(value, str)]
    together = "".join(texts)
    if "%" in together or "|" in together:
        return [identity_part(name, value) for value in column]
    return [f"{name}={value}" for value in column]


def identity_part(name: str, value: object) -> str:
    """What one column adds to an identity.

    >>> identity_part("car", "50% | off")
    'car=50%25 %7C off'
    """
    if isinstance(value, str) and ("%" in value or "|" in value):
        value = value.translate(_ENCODED)
    return f"{name}={value}"
