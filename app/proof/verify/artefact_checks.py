"""Checks of the stored artefacts beside what entries name: each is what its digest and kind say."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from sqlalchemy import Connection, select

from app.ledger.tables import ARTEFACTS
from app.proof.verify.breaks import Break
from domain.canonical import sha256_hex
from domain.faults import shown
from domain.path_parts import is_digest

# Which kinds an entry's field may name. Equal bytes are stored once, under the kind that came
# first; and what is no plan may be erased, so a plan that is called something else is a break.
_ERASABLE: Final = frozenset({"reference", "identities"})
KINDS: Final = {
    "plan_sha256": frozenset({"plan"}),
    "reference_sha256": _ERASABLE,
    "identities_sha256": _ERASABLE,
    "residuals_sha256": _ERASABLE,
}


def artefact_breaks(
    connection: Connection, named: Mapping[str, Set[str]]
) -> tuple[int, list[Break]]:
    """How many artefacts no entry names, and what is wrong with those or with a kind.

    One that nothing names is used by nothing; whoever may append can leave it, so it is counted
    and is no break as long as it is what its digest says.

    Args:
        connection: reads the moment at which the entries were checked.
        named: digest -> the fields by which entries name it; their bytes are compared there.
    """
    unnamed, breaks = [], []
    rows = connection.execute(
        select(ARTEFACTS.c.sha256, ARTEFACTS.c.kind).order_by(ARTEFACTS.c.sha256)
    )
    for sha256, kind in rows:
        if not is_digest(sha256):
            thing = "the digest of an artefact"
            breaks.append(Break(None, thing, "64 of 0-9 and a-f", shown(sha256)))
        elif sha256 not in named:
            unnamed.append(sha256)
        else:
            expected = frozenset().union(*(KINDS[field] for field in named[sha256]))
            if kind not in expected:
                said = " or ".join(sorted(expected))
                breaks.append(Break(None, f"the kind of the artefact {sha256}", said, shown(kind)))
    for sha256 in unnamed:
        query = select(ARTEFACTS.c.bytes).where(ARTEFACTS.c.sha256 == sha256)
        stored = connection.execute(query).scalar_one()
        found = sha256_hex(stored) if isinstance(stored, bytes) else shown(stored)
        if found != sha256:
            breaks.append(Break(None, "an artefact that no entry names", sha256, found))
    return len(unnamed), breaks
