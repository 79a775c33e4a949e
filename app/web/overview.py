"""The overview page: what the read models say of one model, as one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from app.audit.champion import champion_told
from app.audit.champion_scale import champion_scale
from app.audit.change import changes, changes_and_decisions, happened_last
from app.audit.checkpoint import checkpoint_sentence
from app.audit.cycle import read_of
from app.audit.decision import decisions
from app.audit.health import Health, current_health
from app.ledger.store import Connection, Ledger
from app.projections.contracts import contract_of
from app.projections.cycles import CycleKept, cycles_kept, newest_cycles_kept
from app.projections.models import ModelView, get_model, list_models
from app.proof.checkpoints import Signed
from app.web.change_rows import SHOWN
from app.web.overview_view import (
    CHANGES_SHOWN,
    ModelFacts,
    Overview,
    overview_of,
)
from app.web.pages import render
from domain.errors import UnknownModel, UnknownThing

WINDOWS_SHOWN: Final = 24  # cycles on the charts; more would not be told apart


def overview_page(
    ledger: Ledger,
    model: str | None,
    now: str,
    alarms: Mapping[str, str],
    *,
    newest: Callable[[Connection], Signed | None] = lambda _: None,
    clock_skew_seconds_max: float,
) -> str:
    """The page of `model`, or of the first model by name, as it stands at `now` (UTC).

    `alarms`: by model, why its champion does not answer in this process; what else is wrong, by
    another name, stands above everything.
    `newest`: the newest checkpoint that is believed.
    `clock_skew_seconds_max`: the setting of that name.

    Raises:
        UnknownModel: no contract was adopted under this name.
    """
    size = ledger.size()
    with ledger.connect() as connection:
        names = tuple(view.model for view in list_models(connection))
        of_process = tuple(said for name, said in alarms.items() if name not in names)
        chosen = model or (names[0] if names else None)
        checkpoint = checkpoint_sentence(newest(connection))
        if chosen is None:
            empty = Overview(
                now=now, ledger_size=size, checkpoint=checkpoint, models=(), alarms=of_process
            )
            return render("overview.html", view=empty)
        view = get_model(connection, chosen)
        if view is None:
            raise UnknownModel.named(chosen)
        cycles = newest_cycles_kept(connection, chosen, limit=WINDOWS_SHOWN)[::-1]
        found = changes_and_decisions(
            connection, model=chosen, kinds=SHOWN, limit=CHANGES_SHOWN + 1
        )
        latest = next(iter(decisions(connection, model=chosen, limit=1)), None)
        trained = _trained(connection, chosen, cycles)
        health = current_health(
            connection,
            view,
            now,
            alarm=alarms.get(view.model),
            clock_skew_seconds_max=clock_skew_seconds_max,
        )
        facts = _facts(connection, view, health)
    page = overview_of(
        facts,
        cycles,
        found,
        latest=latest,
        trained=trained,
        now=now,
        ledger_size=size,
        models=names,
    )
    alarms_shown = (*of_process, *([health.waits] if health.waits else []))
    return render("overview.html", view=replace(page, checkpoint=checkpoint, alarms=alarms_shown))


def _trained(connection: Connection, model: str, cycles: Sequence[CycleKept]) -> CycleKept | None:
    """The cycle of the newest candidate, however many cycles ago that was trained."""
    newest = next((each for each in reversed(cycles) if read_of(each).cycle.trained), None)
    if newest is not None:
        return newest
    for change in changes(connection, model=model, kinds={"promoted", "rejected"}, limit=1):
        cycle = change.cycle or ""
        try:
            return cycles_kept(connection, [cycle])[cycle]
        except UnknownThing:
            return None  # a promotion by a cycle nobody started
    return None


def _facts(connection: Connection, view: ModelView, health: Health) -> ModelFacts:
    return ModelFacts(
        model=view,
        contract=contract_of(view.contract),
        health=health,
        serving=champion_told(connection, view),
        happened_last=happened_last(connection, view.model),
        transform=champion_scale(connection, view),
    )
