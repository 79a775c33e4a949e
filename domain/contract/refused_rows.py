"""Why a row was refused, in words that any answer can hold, and in a few that can be counted."""

from __future__ import annotations

from domain.contract.checks import Refusal
from domain.faults import Fault, pointer, shown

Found = tuple[str | None, object, Refusal]  # field (None: the row itself), value, why


def ahead_of(happened: object, latest: str) -> Refusal | None:
    """Why a row that happened then cannot be known yet; of a year only its beginning counts."""
    ahead = happened > latest if isinstance(happened, str) else happened > int(latest[:4])  # type: ignore[operator]
    if not ahead:
        return None
    return Refusal(
        "in the future",
        f"is {happened}, after now ({latest} is the latest that is taken); send the row once it "
        "has happened, and set the clock",
    )


def row_fault(path: str, field: str | None, value: object, refusal: Refusal) -> Fault:
    """The fault of a row at `path`, in `field` of it; None: in the row itself."""
    if field is not None:
        path = pointer(_valid(field), below=path)
    return Fault(path, refusal.message, safe_value(value))


def safe_value(value: object) -> object:
    """`value`, or its text where a JSON writer would refuse it."""
    if isinstance(value, str):
        return printable(value)
    if type(value) is int and value.bit_length() > 64:  # noqa: PLR2004 more than writers take
        return shown(value)
    return value


def printable(text: str) -> str:
    """At most 200 characters of `text`."""
    return _valid(text[:200])


def _valid(text: str) -> str:
    """`text` with lone surrogates escaped: answers must be valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


def counted_reason(field: str | None, refusal: Refusal) -> str:
    """How the refusal is counted in the ledger. A name that a client made up is never kept."""
    if refusal.reason == "unknown field":
        return "(any): unknown field"
    return f"{'(row)' if field is None else field}: {refusal.reason}"
