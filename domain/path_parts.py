"""What may stand in a path: names and digests by their form, wherever they come from.

A ledger's row, a bundle, a request and another tool's database are written by others. Whatever of
them becomes part of a path passes here first, so that it names one file where it is put.
"""

from __future__ import annotations

import re
from typing import Final, NewType, TypeGuard

from domain.errors import LedgerDamaged
from domain.faults import shown

FileDigest = NewType("FileDigest", str)  # 64 lower-case hex digits: it may name a file
PathPart = NewType("PathPart", str)  # one name, neither a way up nor hidden: it may name a file

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def is_digest(value: object) -> TypeGuard[FileDigest]:
    """Whether it is the text of a SHA-256 as this project writes one: 64 of 0-9 and a-f."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def file_digest(value: object, what: str) -> FileDigest:
    """The digest, which may name a file; `what` says whose it is.

    Raises:
        LedgerDamaged: it is none.
    """
    if is_digest(value):
        return value
    raise LedgerDamaged(
        f"{what} is {shown(value)}, which is no SHA-256 (64 of 0-9 and a-f), and names no file. "
        "Stop writing; run `whyledger verify`."
    )


def path_part(value: object, what: str) -> PathPart:
    """The name, which may be one part of a path; `what` says whose it is.

    Raises:
        LedgerDamaged: it could lead elsewhere: a separator, a leading dot, over 200 characters.
    """
    if isinstance(value, str) and _PART.fullmatch(value):
        return PathPart(value)
    raise LedgerDamaged(
        f"{what} is {shown(value)}, which names no file: letters, digits, '.', '_' and '-', at "
        "most 200, the first a letter or digit. Stop writing; run `whyledger verify`."
    )
