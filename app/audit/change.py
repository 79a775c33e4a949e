"""What changed, by whom, when and why: decisions, who serves, adoptions, erasures, damage."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Final, Unpack

from app.audit.cycle import read_of
from app.audit.decision import Bounds, Decision, decisions_told
from app.audit.setting_aside import set_aside_sentence, sets_aside_sentence
from app.ledger.store import Connection
from app.projections.changes import DECISIONS_AMONG, ChangeView, Kind, list_changes
from app.projections.cycles import SetAside, newest_cycles_kept, set_aside_among

NOTHING_DECIDED: Final = "Nothing was decided yet."  # of a model whose `happened_last` is None
_DIGITS: Final = 12  # of a digest in a sentence
_RECORDED: Final = tuple(field.name for field in fields(ChangeView))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(ChangeView):
    """One change as recorded, in words."""

    sentence: str  # of a decision the verdict sentence, as recorded
    headline: str  # of a decision what happened, and who serves; empty for any other change
    set_aside_by: str | None  # the later cycle that set aside the one it is a step of
    set_aside: str  # 'Set aside by car-price-13: the clock ran ahead.'; empty: it was not


def changes(
    connection: Connection,
    *,
    kinds: Collection[Kind] | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 500,
    **bounds: Unpack[Bounds],
) -> list[Change]:
    """At most `limit` changes within the bounds, newest first; from `after` on, oldest first.

    `before` and `after` are positions to page on from, both exclusive. With an `outcome` there
    are only decisions.
    """
    found = changes_and_decisions(
        connection, kinds=kinds, before=before, after=after, limit=limit, **bounds
    )
    return [change for change, _ in found]


def changes_and_decisions(
    connection: Connection,
    *,
    kinds: Collection[Kind] | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 500,
    **bounds: Unpack[Bounds],
) -> list[tuple[Change, Decision | None]]:
    """As `changes`, each decision with all that is told of it; None beside any other change."""
    views = list_changes(connection, kinds=kinds, before=before, after=after, limit=limit, **bounds)
    among = [view.position for view in views if view.kind in DECISIONS_AMONG]
    by_position = decisions_told(connection, among)
    aside = set_aside_among(connection, {view.cycle for view in views if view.cycle})
    return [
        _told(view, by_position.get(view.position), aside.get(view.cycle or "")) for view in views
    ]


def happened_last(connection: Connection, model: str) -> str | None:
    """The headline of the model's newest cycle, or the rollback since; None: nothing happened yet.

    A cycle counts from its decision on, or from its end when it came to none.
    """
    cycles = newest_cycles_kept(connection, model, limit=2)  # at most one of them is open
    cycle = next((each for each in cycles if each.outcome or each.ended_at), None)
    rollback = next(iter(changes(connection, model=model, kinds={"rolled back"}, limit=1)), None)
    since = -1 if cycle is None else cycle.ended_position or cycle.started_position
    if rollback is not None and rollback.position > since:
        return rollback.sentence
    return None if cycle is None else read_of(cycle).told.headline


def _told(
    view: ChangeView, decision: Decision | None, aside: SetAside | None
) -> tuple[Change, Decision | None]:
    said = set_aside_sentence(aside.by, aside.reason) if aside else ""
    change = Change(
        **{name: getattr(view, name) for name in _RECORDED},
        sentence=decision.sentence if decision else f"{_sentence(view)} {said}".rstrip(),
        headline=decision.headline if decision else "",
        set_aside_by=aside.by if aside else None,
        set_aside=said,
    )
    return change, decision


def _sentence(view: ChangeView) -> str:
    body, version = view.body, view.model_version
    match view.kind:
        case "promoted" if body["replaced"] is None:
            said = _first_of(f"{version} was promoted", view.reason)
        case "promoted":
            said = _because(f"{version} took over from {body['replaced']}", view.reason)
        case "rejected":
            said = _because(f"{version or 'The candidate'} was turned away", view.reason)
        case "rolled back":
            said = _because(f"Rolled back from {body['replaced']} to {version}", view.reason)
        case "halted" | "failed":
            said = _because(f"{view.cycle} {view.kind}", view.reason)
        case "set aside":
            return sets_aside_sentence(view.cycle or "", body["sets_aside"], view.reason)
        case "contract adopted":
            said = f"Contract {_short(view.digest)} of {view.model} adopted by {view.actor}"
        case "policy adopted":
            name = f"{body['policy']} version {body['policy_version']}"
            said = f"Policy {name}, {_short(view.digest)}, adopted by {view.actor}"
        case "erased":
            asked = f"{_bare(view.reason)} ({_bare(body['legal_basis'])})"
            said = _because(f"What was kept about one row of {view.model} was erased", asked)
        case "damage found" | "damage settled":
            said = _because(_of_damage(view), view.reason)
        case _:  # a decision
            return str(body["sentence"])
    return f"{said}."


def _of_damage(view: ChangeView) -> str:
    if view.kind == "damage found":
        return "Damage was found, and deciding stopped"
    if view.body["how"] == "verified":
        return "The damage found before is gone, and deciding goes on"
    return f"{view.actor} let deciding go on in spite of the damage found before"


def _first_of(happened: str, reason: str) -> str:
    """The reason in brackets; what else it says, of a refit, as a sentence behind them.

    >>> _first_of("car/1 was promoted", "nothing to beat, on 9 rows. refitted on 20 rows.")
    'car/1 was promoted (nothing to beat, on 9 rows). Refitted on 20 rows'
    """
    first, _, rest = _bare(reason).partition(". ")
    said = f"{happened} ({first})" if first else happened
    return f"{said}. {rest[:1].upper()}{rest[1:]}" if rest else said


def _because(happened: str, reason: str) -> str:
    return f"{happened}: {_bare(reason)}" if reason else happened


def _bare(text: str) -> str:
    return text.removesuffix(".")


def _short(digest: str | None) -> str:
    return f"{(digest or '')[:_DIGITS]}…"
