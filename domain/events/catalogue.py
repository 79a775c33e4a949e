"""The event catalogue, generated from the events themselves: `docs/events.md` must equal it.

Write it again with `python -m domain.events.catalogue > docs/events.md`.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct
from msgspec.structs import fields

from domain.canonical import INTEGER_MAX
from domain.events.block_events import BLOCK_EVENTS
from domain.events.events import EVENT_TYPES, Event
from domain.events.upcasting import older_schemas
from domain.units import Unit

_HEADING: Final = f"""# The event catalogue

Everything that can happen, generated from the events in `domain/events/` by
`python -m domain.events.catalogue > docs/events.md`; a test holds the two equal.

Every entry of the ledger is one event in a closed envelope, stored and hashed as RFC 8785 bytes:

| field | meaning |
| --- | --- |
| `v` | version of the envelope, 1 |
| `id` | UUIDv7 of ours, or UUIDv5 of a client's (`source`, `id`) or (key, row) |
| `stream` | the stream the event belongs to |
| `type`, `schema` | the event's name and schema number, as below |
| `occurred_at` | when it happened in the world, UTC, six decimals, `Z` |
| `recorded_at` | when the ledger took it; never chosen by a client |
| `actor` | opaque id of who caused it; `local:unauthenticated` before there are keys |
| `correlation_id` | the same for everything one outside cause led to |
| `causation_id` | id of the event that directly caused this one, or null |
| `data` | the fields below; or, in rows about people, in its place: |
| `data_commit` | SHA-256(salt ‖ RFC 8785 bytes of the data), hex; both stand apart, erasable |

An entry of many rows says in `data` what they share, and `rows_root`, an RFC 6962 root over them.
Each row is a line, the RFC 8785 bytes of a JSON array, with 16 random bytes of salt; its leaf hash
is SHA-256(0x00 ‖ salt ‖ line). Lines and salts stand apart; an erased row's line becomes its leaf
hash and its id, its salt zeros, and every other proof holds. The id of row 0 is the entry's.
Predictions count on from there in the last 16 bits; other rows have the UUIDv5 of their (`source`,
`source_id`). Exports and read models show each row as the plain event it stands for.

A changed payload is a new schema number. Entries of older schemas keep their bytes and hashes for
ever; they are read as the current schema, as `domain/events/upcasting.py` says and the event's
section repeats.

Position (dense from 0) and stream version are not in the bytes: both follow from the order.
Integers lie within ±{INTEGER_MAX}; numbers are finite. Commands name the stream version they
were decided on; the streams `observations-*` and `predictions-*` are appended without one.
"""


def catalogue() -> str:
    """The catalogue as Markdown: every event with type, schema, stream and all its fields."""
    parts = [
        _HEADING,
        "## Events",
        "",
        "| type | schema | stream | what happened |",
        "| --- | --- | --- | --- |",
    ]
    parts += [
        f"| [`{event.type}`](#{_anchor(event.type)}) | {_schemas(event)} | `{event.stream}` "
        f"| {_first_line(event)} |"
        for event in EVENT_TYPES
    ]
    nested: dict[type, None] = {}
    for event in EVENT_TYPES:
        parts += [
            "",
            f"### {event.type}",
            "",
            f"Schema {event.schema}, stream `{event.stream}`. {_first_line(event)}",
            "",
        ]
        for schema, how in older_schemas(event.type):
            parts += [f"Schema {schema} is read as schema {schema + 1}: {how}", ""]
        if issubclass(event, BLOCK_EVENTS):
            parts += [
                f"Each line is `{event.line}`, and stands for one [`{event.plain}`]"
                f"(#{_anchor(event.plain)}).",
                "",
            ]
        parts += _table(event, nested)
    parts += ["", "## Values inside events"]
    for kind in (done := dict.fromkeys(_closure(nested))):
        parts += ["", f"### {kind.__name__}", "", _first_line(kind), ""]
        parts += _table(kind, done | nested)
    return "\n".join(parts) + "\n"


def _closure(kinds: dict[type, None]) -> Iterator[type]:
    """The nested value types and those nested in them, in the order they are met."""
    queue = deque(kinds)
    while queue:
        kind = queue.popleft()
        yield kind
        inner: dict[type, None] = {}
        _table(kind, inner)
        queue += [found for found in inner if found not in kinds]


def _table(kind: type, nested: dict[type, None]) -> list[str]:
    hints = get_type_hints(kind, include_extras=True)
    rows = ["| field | type | null | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for field in fields(kind):
        hint = hints[field.name]
        note = Unit("", "")
        if get_origin(hint) is Annotated:
            hint, *metadata = get_args(hint)
            note = next(item for item in metadata if isinstance(item, Unit))
        name, nullable = _type_name(hint, nested)
        rows.append(
            f"| `{field.name}` | {name} | {'yes' if nullable else 'no'} | {note.unit or '–'} "
            f"| {note.meaning or 'see below'} |"
        )
    return rows


def _type_name(hint: Any, nested: dict[type, None]) -> tuple[str, bool]:
    """How the catalogue names a field's type, and whether the field may be null."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_name(arguments[0], nested)
    if origin in (Union, types.UnionType):
        named = [_type_name(item, nested)[0] for item in arguments if item is not type(None)]
        return " or ".join(named), type(None) in arguments
    if origin is Literal:
        return " or ".join(f'"{item}"' for item in arguments), False
    if origin is tuple:
        return f"list of {_type_name(arguments[0], nested)[0]}", False
    if origin is dict:
        return f"object of {_type_name(arguments[1], nested)[0]}", False
    if isinstance(hint, type) and issubclass(hint, Struct):
        nested.setdefault(hint)
        return f"[{hint.__name__}](#{hint.__name__.lower()})", False
    plain = {str: "string", int: "integer", float: "number", bool: "boolean", Any: "any value"}
    return plain[hint], False


def _schemas(event: type[Event]) -> str:
    """The schema number, and the older ones that are read still."""
    older = ", ".join(str(schema) for schema, _ in older_schemas(event.type))
    return f"{event.schema} (reads {older})" if older else str(event.schema)


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    sys.stdout.write(catalogue())
