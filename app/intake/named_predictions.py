"""The predictions that the outcomes of a batch name, looked up together: by id, or by identity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from app.ledger.store import Connection
from app.projections.predictions import MadePrediction, find_predictions, latest_predictions
from app.serving.champions import Champions
from domain.errors import WhyledgerError

_LookUp = Callable[[Connection, str, Sequence[str]], dict[str, MadePrediction]]


class NamedPredictions:
    """As they stand at the moment of one connection.

    What was not looked up together is looked up when it is asked for.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._with_ids = _Found(connection, find_predictions)
        self._latest = _Found(connection, latest_predictions)

    def look_up(self, sent: Iterable[object], champions: Champions) -> None:
        """Look up what the data of outcomes names, as far as it can be read: nothing is judged."""
        for data in sent:
            if not isinstance(data, dict) or not isinstance(model := data.get("model"), str):
                continue
            if isinstance(id := data.get("prediction_id"), str):
                self._with_ids.want(model, id.lower())
            elif isinstance(named := data.get("identity"), dict):
                with suppress(WhyledgerError):
                    self._latest.want(model, champions.of(model).guard.check_identity(named))
        self._with_ids.look_up()
        self._latest.look_up()

    def with_id(self, model: str, id: str) -> MadePrediction | None:
        """The model's prediction with this id; None when it made none."""
        return self._with_ids.of(model, id)

    def latest(self, model: str, identity: str) -> MadePrediction | None:
        """The model's last prediction of the row with this identity; None when it made none."""
        return self._latest.of(model, identity)


class _Found:
    """What was looked up in one way, by model and key."""

    def __init__(self, connection: Connection, look_up: _LookUp) -> None:
        self._connection = connection
        self._look_up = look_up
        self._wanted: defaultdict[str, set[str]] = defaultdict(set)
        self._found: dict[tuple[str, str], MadePrediction | None] = {}

    def want(self, model: str, key: str) -> None:
        self._wanted[model].add(key)

    def look_up(self) -> None:
        for model, keys in self._wanted.items():
            found = self._look_up(self._connection, model, sorted(keys))
            self._found.update(((model, key), found.get(key)) for key in keys)
        self._wanted.clear()

    def of(self, model: str, key: str) -> MadePrediction | None:
        if (model, key) not in self._found:
            self.want(model, key)
            self.look_up()
        return self._found[model, key]
