"""One reign of a champion: from its promotion or rollback to the next, and the rows it served.

A version that a rollback brings back begins another reign: nothing of its first one counts in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import cast

from app.ledger.deciding import Look
from app.ledger.erasures import erased_artefacts
from app.ledger.known_damage import refuse_to_lack
from app.ledger.reading import (
    StreamHistory,
    entries_at,
    read_stream,
    stored_artefact,
    stream_version,
)
from app.ledger.store import Connection
from app.ledger.streams import model_stream
from app.projections.answered_rows import Reach
from app.projections.champions import ChampionView, get_champion
from app.projections.cycles import CycleView, cycles_since, get_cycle
from app.projections.labels import labels_by_identity
from app.projections.reigns import newest_reign
from app.projections.windows import Answers, Window
from domain.canonical_lists import elements
from domain.decisions.lifecycle import Lifecycle, fold
from domain.errors import UnknownThing
from domain.events.cycle_events import CandidateRefitted, CandidateTrained
from domain.events.envelope import Recorded
from domain.events.events import CandidatePromoted, ChampionRolledBack
from domain.identities import Identities
from domain.residuals.frozen import Residual, read_frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """Who serves, since when, and instead of whom."""

    model: str
    champion: ChampionView
    position: int  # of the promotion or rollback it began with
    previous: str | None  # who served before it; None: nobody did


def reign_at(connection: Connection, model: str, *, before: int) -> Reign | None:
    """The reign that lasted when the ledger had `before` entries; None: nobody served.

    Raises:
        StoredDamage: the entry it began with is not what was written, and nobody accepted that.
    """
    entry = _beginning(connection, model, before=before)
    if entry is None:
        return None
    event = cast(CandidatePromoted | ChampionRolledBack, entry.event)
    return Reign(
        model=model,
        champion=get_champion(connection, model, event.model_version),
        position=entry.position,
        previous=event.replaced,
    )


def who_serves(model: str) -> Look[Lifecycle]:
    """Looks at who serves alone: at the entry that the model's last reign began with.

    Its stream says after every cycle what its champion is worth, so it is not read whole.
    """

    def look(connection: Connection) -> tuple[Lifecycle, StreamHistory]:
        entry = _beginning(connection, model, before=None)
        began = () if entry is None else (entry,)
        stream = model_stream(model)
        history = StreamHistory(stream, began, stream_version(connection, stream))
        return fold(each.event for each in began), history

    return Look(look)


def _beginning(connection: Connection, model: str, *, before: int | None) -> Recorded | None:
    """The last promotion or rollback of the model before a position, None: of all.

    The read model of reigns says where it stands; where it does not stand there any more, as when
    it was accepted that it says nothing, the stream is read for it.
    """
    reign = newest_reign(connection, model, up_to=None if before is None else before - 1)
    if reign is None:
        return None
    found = list(entries_at(connection, [reign.since]))
    refuse_to_lack(connection, found)
    if not found or not _begins_reign(found[0], model):
        found = [
            entry
            for entry in read_stream(connection, model_stream(model)).entries
            if _begins_reign(entry, model) and (before is None or entry.position < before)
        ]
    return found[-1] if found else None


def _begins_reign(entry: Recorded, model: str) -> bool:
    event = entry.event
    return isinstance(event, CandidatePromoted | ChampionRolledBack) and event.model == model


def cycles_of(connection: Connection, reign: Reign, *, before: int) -> Iterator[CycleView]:
    """The cycle that the reign began after, and those that started in it before a position.

    Oldest first; the first of them started before the reign did, and gives it its first `as_of`.
    """
    return cycles_since(connection, reign.model, since=reign.position, before=before)


def served_rows(
    connection: Connection,
    reign: Reign,
    *,
    until: str,
    up_to: int,
    by_time: bool = False,
    answers: Answers | None = None,
) -> Window:
    """The rows that the champion answered in its reign and never saw before: latest prediction.

    Args:
        connection: what is asked.
        reign: whose.
        until: event times before it.
        up_to: a position; nothing after it is looked at.
        by_time: in order of event time and identity, not of position.
        answers: all that the champion answered within these bounds; None: they are read.
    """
    if answers is None:
        reach = Reach(start="", end=until, after=reign.position, up_to=up_to)
        answers = Answers(connection, reign.model, reign.champion.model_version, reach)
    answered = answers.window(after=reign.position, by_time=by_time)
    seen = trained_on(connection, reign.champion) | held_out(connection, reign.champion)
    return answered.without(seen.among_rows(answered.row_digests))


def trained_on(connection: Connection, champion: ChampionView) -> Identities:
    """The identities of the rows the champion was trained on; refitted, its holdout too.

    Where an erasure took the list of them: every row that its cycle could have read. That its
    holdout is among them only keeps those rows from judging once more.
    """
    by = refitted(connection, champion) or _trained(connection, champion)
    if by["identities_sha256"] in erased_artefacts(connection):
        return _could_have_read(connection, champion)
    listed = stored_artefact(connection, by["identities_sha256"])
    return Identities(champion.model, chain.from_iterable(elements(listed)))


def refitted(connection: Connection, champion: ChampionView) -> dict[str, str] | None:
    """The event's data that the champion was refitted by; None: its gated plan serves."""
    found: dict[str, str] | None = get_cycle(connection, champion.cycle).state.get(
        CandidateRefitted.type
    )
    return found if found is not None and found["passed"] else None


def held_out(connection: Connection, champion: ChampionView) -> Identities:
    """The identities of the rows that judged the champion before it was promoted.

    Where they are not kept: every row that its cycle could have read.
    """
    frozen = frozen_residuals(connection, champion)
    if frozen is None:
        return _could_have_read(connection, champion)
    return Identities(champion.model, (row.identity for row in frozen))


def frozen_residuals(connection: Connection, champion: ChampionView) -> Iterator[Residual] | None:
    """The champion's residuals on its promotion holdout, to be read once.

    None: none were frozen (it was promoted by an earlier version of this service, or without a
    holdout), or they were erased.
    """
    return residuals_of(connection, _trained(connection, champion)["residuals_sha256"])


def residuals_of(connection: Connection, sha256: str | None) -> Iterator[Residual] | None:
    """The frozen residuals with this digest; None: none were frozen, or they were erased."""
    if sha256 is None or sha256 in erased_artefacts(connection):
        return None
    return read_frozen(stored_artefact(connection, sha256))


def _trained(connection: Connection, champion: ChampionView) -> dict[str, str]:
    """The data of the event that the champion was trained by. Raises UnknownThing: none is kept."""
    found: dict[str, str] | None = get_cycle(connection, champion.cycle).state.get(
        CandidateTrained.type
    )
    if found is None:
        raise UnknownThing(
            f"cycle {champion.cycle!r} trained nobody, and {champion.model_version!r} was promoted "
            "by it. Run `whyledger verify`."
        )
    return found


def _could_have_read(connection: Connection, champion: ChampionView) -> Identities:
    found = labels_by_identity(
        connection,
        champion.model,
        before=champion.as_of,
        up_to=int(_trained(connection, champion)["label_cutoff"]),
    )
    return Identities(champion.model, (identity for identity, _ in found))
