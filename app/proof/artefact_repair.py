"""What a repair does about artefacts that nobody but somebody behind the ledger's back can have put
there: they stand in the way of the right ones.

Which one an entry names is read as `verify` reads it: from the fields of the events that stored
one, and from nothing else that an entry may hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Final, NamedTuple

import orjson
from sqlalchemy import Connection, delete, select, update

from app.ledger.tables import ARTEFACTS
from app.proof.verify.artefact_checks import KINDS
from app.proof.verify.entry_checks import STORES
from domain.canonical import sha256_hex

_FIELD: Final = b'_sha256":"'  # no entry without it names an artefact
_FIRST: Final = ("plan", "reference", "identities")  # of several kinds that would be right


class ArtefactStep(NamedTuple):
    """One artefact that has to go, or to be called what it is."""

    sha256: str
    kind: str | None  # the right one; None: it is removed
    said: str


def named_in(content: bytes) -> Iterator[tuple[str, str]]:
    """Digest and field of each artefact that an entry's bytes name; of other bytes none."""
    if _FIELD not in content:
        return
    try:
        envelope = orjson.loads(content)
        data, fields = envelope["data"], STORES.get(envelope["type"], ())
        named = [(data.get(field), field) for field in fields]
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # nobody can read it: that is damage of its own
    for digest, field in named:
        if isinstance(digest, str):
            yield digest, field


def artefact_steps(connection: Connection, named: Mapping[str, Set[str]]) -> Iterator[ArtefactStep]:
    """What is wrong with the artefacts that stand there, by digest.

    Args:
        connection: to look with.
        named: digest -> the fields by which entries name it.
    """
    query = select(ARTEFACTS.c.sha256, ARTEFACTS.c.kind).order_by(ARTEFACTS.c.sha256)
    for sha256, kind in connection.execute(query).all():
        thing = f"the artefact {sha256!r}"
        if sha256 not in named:
            said = "is named by no entry, and would be in the way of one that is; it is removed"
            yield ArtefactStep(sha256, None, f"{thing} {said}")
            continue
        content = connection.execute(
            select(ARTEFACTS.c.bytes).where(ARTEFACTS.c.sha256 == sha256)
        ).scalar_one()
        right = frozenset().union(*(KINDS[field] for field in named[sha256]))
        if not isinstance(content, bytes) or sha256_hex(content) != sha256:
            said = (
                "is other bytes than its digest says, in the way of the right ones; it is removed. "
                "`whyledger verify` names it until they are stored again or a back-up is restored"
            )
            yield ArtefactStep(sha256, None, f"{thing} {said}")
        elif kind not in right:
            expected = next(each for each in _FIRST if each in right)
            said = f"is called {kind!r}, and entries name it as {expected!r}; that it is called"
            yield ArtefactStep(sha256, expected, f"{thing} {said}")


def mend_artefact(connection: Connection, step: ArtefactStep) -> None:
    """Do what the step says, where no guard stands."""
    this = ARTEFACTS.c.sha256 == step.sha256
    if step.kind is None:
        connection.execute(delete(ARTEFACTS).where(this))
    else:
        connection.execute(update(ARTEFACTS).where(this).values(kind=step.kind))
