"""The closed envelope, field by field: what is missing, too much, or of another kind."""

from __future__ import annotations

from typing import Any, Final

import orjson

from domain.canonical import holds_nul
from domain.events.quick import ENVELOPE_VERSION
from domain.events.unreadable import HOLDS_NUL, NO_JSON, EntryUnreadable
from domain.faults import shown

_FIELDS: Final = frozenset(
    "v id stream type schema occurred_at recorded_at actor correlation_id causation_id data".split()
)
_FIELDS_APART: Final = _FIELDS - {"data"} | {"data_commit"}  # the data stands apart
_TEXTS: Final = tuple(
    "id stream type occurred_at recorded_at actor correlation_id causation_id".split()
)
_SHOWN: Final = 60  # characters of a name that somebody else chose
_DEEP: Final = 5  # of them


def envelope_fields(content: bytes, position: int) -> dict[str, Any]:
    """The fields of the envelope that these bytes are, each of its kind; its data as it stands.

    Raises:
        EntryUnreadable: they are none.
    """
    try:
        envelope: dict[str, Any] = orjson.loads(content)
    except ValueError as error:
        raise EntryUnreadable(position, NO_JSON) from error
    if holds_nul(content):
        raise EntryUnreadable(position, HOLDS_NUL)
    if type(envelope) is not dict:
        raise EntryUnreadable(position, "JSON that is no envelope")
    if (fields := envelope.keys()) != _FIELDS and fields != _FIELDS_APART:
        more = sorted(fields - _FIELDS - _FIELDS_APART) or sorted(fields - _FIELDS)
        fewer = sorted(_FIELDS - fields)
        said = f"also {_listed(more)}" if more else f"not {_listed(fewer)}"
        raise EntryUnreadable(position, f"an envelope that has {said}")
    if envelope["v"] != ENVELOPE_VERSION:
        why = f"an envelope of version {shown(envelope['v'])}, not {ENVELOPE_VERSION}"
        raise EntryUnreadable(position, why)
    for name in _TEXTS:
        if type(envelope[name]) is not str:
            if name == "causation_id" and envelope[name] is None:
                continue
            raise EntryUnreadable(position, f"an envelope whose {name} is no text")
    if type(envelope["schema"]) is not int:
        raise EntryUnreadable(position, "an envelope whose schema is no number")
    return envelope


def _listed(names: list[str]) -> str:
    return ", ".join(name[:_SHOWN] for name in names[:_DEEP])
