"""The registry's alias follows the ledger: set from it, again and again, until both agree.

The alias is a read model of another system. It is never read to decide anything.
"""

from __future__ import annotations

from pathlib import Path

from app.clock import now
from app.database.durable_files import replace_file
from app.database.locks import exclusive
from app.ledger.store import Ledger
from app.projections.models import get_model
from app.settings import Settings
from domain.path_parts import path_part


def follow_champion(ledger: Ledger, settings: Settings, model: str) -> bool:
    """Point MLflow's alias `champion` at the run of who serves; whether it had to be moved.

    What was set last is remembered in a file, so that a cycle that keeps its model need not import
    MLflow to know that nothing is to be done.

    Raises:
        UnknownThing: the MLflow store has lost that run.
    """
    with ledger.connect() as connection:
        view = get_model(connection, model)
    if view is None or view.registry_run is None:
        return False
    remembered = _remembered(settings, model)
    if remembered.is_file() and remembered.read_text() == view.registry_run:
        return False
    from app.training.tracking import MlflowRegistry  # noqa: PLC0415 - heavy, and rarely needed

    with exclusive(settings.by_products_lock):
        MlflowRegistry(settings.state_dir, now()).set_champion(model, view.registry_run)
        remembered.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(remembered, view.registry_run.encode())  # in the lock: it is for one writer
    return True


def forget_alias(settings: Settings, model: str) -> None:
    """Let the next cycle set the alias again, whatever was set last: somebody moved it."""
    _remembered(settings, model).unlink(missing_ok=True)


def _remembered(settings: Settings, model: str) -> Path:
    return settings.state_dir / "registry" / f"{path_part(model, 'a model')}.champion"
