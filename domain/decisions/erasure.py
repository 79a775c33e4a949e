"""Erase what is kept about one row: whether that may be done, and what it takes with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from domain.errors import CycleRunning, RequestInvalid
from domain.events.block_events import RowPlace
from domain.events.events import PayloadErased

_WORDS_MAX: Final = 500  # of a reason or a legal basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A cycle that trained with the row, or tried to, and what it froze that holds the row."""

    cycle: str
    candidate: str | None  # None: nothing came of it
    artefacts: tuple[str, ...]  # digests of identities and reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept about one row of a model, and who serves meanwhile."""

    open_cycle: str | None  # of the model, that has started and not ended
    positions: tuple[int, ...]  # of the row's events whose data can be erased, in entries of one
    rows: tuple[RowPlace, ...]  # its events in entries of many
    beyond: tuple[int, ...]  # of those that hold the row in hashed bytes: nobody can erase them
    unread: tuple[int, ...]  # of entries of many that nobody can read: they may hold the row
    trainings: tuple[Training, ...]  # oldest first
    residuals: tuple[str, ...]  # digests of frozen residuals that name it
    champion: str | None
    reference_sha256: str | None  # the champion's frozen reference


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseRow:
    """Erase the model's row, for this reason and on this legal basis."""

    model: str
    identity: str  # of the row, as events name it
    reason: str
    legal_basis: str

    def __post_init__(self) -> None:
        """Raises RequestInvalid: no reason or legal basis, or a longer one than 500 characters; or
        an identity that is no text."""
        try:
            self.identity.encode()
        except UnicodeEncodeError:
            raise RequestInvalid(
                "the row's key holds bytes that are no UTF-8, which no row has. Write it as events "
                "name it: 'year=1976|car_id=129'."
            ) from None
        for name, words in (("reason", self.reason), ("legal basis", self.legal_basis)):
            if not 1 <= len(words.strip()) <= _WORDS_MAX:
                raise RequestInvalid(f"the {name} has to be 1 to {_WORDS_MAX} characters; say it.")


def erase_row(kept: Kept, command: EraseRow) -> tuple[PayloadErased, ...]:
    """The event that erases the row; empty when nothing that can be erased is kept.

    Raises:
        CycleRunning: a cycle of the model has not ended; it may hold the row.
    """
    if kept.open_cycle is not None:
        raise CycleRunning(
            f"cycle {kept.open_cycle!r} has not ended and may hold the row. Let it end "
            f"(`whyledger cycle --model {command.model}` resumes it), then erase.",
            kept.open_cycle,
        )
    if not (kept.positions or kept.rows):
        return ()
    artefacts = {sha256 for training in kept.trainings for sha256 in training.artefacts}
    artefacts.update(kept.residuals)
    return (
        PayloadErased(
            model=command.model,
            entries=kept.positions,
            rows=kept.rows,
            artefacts=tuple(sorted(artefacts)),
            cycles=tuple(training.cycle for training in kept.trainings),
            model_versions=tuple(each.candidate for each in kept.trainings if each.candidate),
            reason=command.reason.strip(),
            legal_basis=command.legal_basis.strip(),
        ),
    )


def trained_with(labels: Iterable[tuple[int, str]], *, started_position: int, as_of: str) -> bool:
    """Whether a cycle with this start and `as_of` saw one of `labels` (position, event time)."""
    return any(position <= started_position and time < as_of for position, time in labels)
