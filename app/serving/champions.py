"""The champions in memory: one immutable object a model behind one reference, swapped at once.

A request finishes on the champion it began with. Other processes' promotions and rollbacks are seen
by a poll of the ledger at most every half second; this process's own are taken up at once. A plan
that does not load leaves the old champion serving and raises an alarm.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final

import orjson

from app.background.outage import Outage
from app.background.repeating import Repeating
from app.clock import latest_taken
from app.ledger.store import Ledger
from app.projections.contracts import get_contract
from app.projections.models import Answering, list_answering
from app.serving.plan import ServingPlan, load_plan
from domain.contract.contract import Contract, parse_contract
from domain.contract.rows import RowGuard
from domain.errors import NoChampion, NotReady, UnknownModel, WhyledgerError

_PATIENCE_SECONDS: Final = 5.0  # a service that ends waits so long for a query that hangs
_LOG: Final = logging.getLogger("whyledger.champions")


class ChampionUnfit(WhyledgerError):
    """The champion needs features that the contract in force does not have."""

    code: ClassVar[str] = "champion-unfit"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model version whose plan is in memory."""

    model_version: str
    plan: ServingPlan
    kinds: Mapping[str, str]  # feature -> "number" or "category", as the plan takes it


@dataclass(frozen=True, slots=True)
class Serving:
    """What answers for one model: its contract's guard, and its champion when it has one.

    `alarm` says why the champion the ledger names does not serve; None when all is well.
    """

    model: str
    contract: Contract
    contract_digest: str
    guard: RowGuard
    champion: Loaded | None  # the one that answers, not always the one that should
    alarm: str | None = None

    def ready(self) -> Loaded:
        """The model version that answers.

        Raises:
            NoChampion: nothing was promoted yet, or nothing that loads.
            ChampionUnfit: the contract in force does not have what the plan needs.
        """
        if self.champion is None:
            raise NoChampion(
                self.alarm
                or f"{self.model!r} has no champion yet. Start a cycle (POST "
                f"/models/{self.model}/cycles), then ask again."
            )
        unfit = self.unfit()
        if unfit:
            raise ChampionUnfit(unfit)
        return self.champion

    def unfit(self) -> str | None:
        """Why the champion cannot serve under the contract in force; None when it can."""
        if self.champion is None or self.champion.plan.contract_digest == self.contract_digest:
            return None
        kinds = {feature.name: feature.type for feature in self.contract.features}
        lacking = [f"{n} ({k})" for n, k in self.champion.kinds.items() if kinds.get(n) != k]
        if not lacking:
            return None
        return (
            f"champion {self.champion.model_version!r} needs {', '.join(lacking)}, which the "
            f"contract of {self.model!r} now in force does not have. Run a cycle, or adopt a "
            "contract that has it."
        )


class Champions:
    """Every model's `Serving`, kept up to date from the ledger.

    Reading (`of`) takes no lock and touches no database. `refresh` is safe from any thread.
    """

    def __init__(
        self,
        ledger: Ledger,
        poll_seconds: float,
        skew_seconds: float,
        hears: Callable[[Exception], object] = lambda _: None,  # why the ledger was not read
    ) -> None:
        self._ledger = ledger
        self._hears = hears
        self._latest = partial(latest_taken, skew_seconds)
        self._serving: Mapping[str, Serving] | None = None
        self._size = -1
        self._unreachable: str | None = None
        self._outage = Outage(_LOG, "no champion is taken up", "champions are taken up again")
        self._one_at_a_time = threading.Lock()
        self._polling = Repeating("champions", self.refresh, poll_seconds)

    def of(self, model: str) -> Serving:
        """What answers for `model`.

        Raises:
            UnknownModel: no contract was adopted under this name.
            NotReady: nothing was loaded yet.
        """
        found = self.all().get(model)
        if found is None:
            raise UnknownModel.named(model)
        return found

    def all(self) -> Mapping[str, Serving]:
        """Every model's `Serving`, by name. Raises NotReady when nothing was loaded yet."""
        if self._serving is None:
            raise NotReady("the champions are being loaded. Ask again in a second.")
        return self._serving

    def alarms(self) -> dict[str, str]:
        """What is wrong, by model; the key `ledger` when the ledger cannot be reached."""
        alarms = {name: each.alarm for name, each in (self._serving or {}).items() if each.alarm}
        if self._unreachable:
            alarms["ledger"] = self._unreachable
        return alarms

    def refresh(self) -> None:
        """Take up what the ledger says now, before this returns.

        A ledger that cannot be read leaves everything as it is and raises an alarm.
        """
        with self._one_at_a_time:
            try:
                size = self._ledger.size()
                if size != self._size:
                    self._reload(size)
                self._unreachable = None
                self._outage.over()
            except Exception as error:  # noqa: BLE001 whatever fails, the old champions go on serving
                said = error.message if isinstance(error, WhyledgerError) else type(error).__name__
                self._unreachable = f"the ledger cannot be read: {said}"
                self._outage.failed(error, self._unreachable)
                self._hears(error)

    def start(self) -> None:
        """Load everything now, then look every `poll_seconds` in a thread of its own."""
        self.refresh()
        self._polling.start()

    def close(self) -> None:
        """End the poller."""
        self._polling.close(_PATIENCE_SECONDS)

    def _reload(self, size: int) -> None:
        old = self._serving or {}
        with self._ledger.connect() as connection:
            views = list_answering(connection)
            adopted = {  # of a thousand models one was changed, most times
                view.model: get_contract(connection, view.contract_digest)
                for view in views
                if _newly_adopted(view, old.get(view.model))
            }
        new = {
            view.model: self._serve(view, old.get(view.model), adopted.get(view.model))
            for view in views
        }
        self._serving = new  # the swap: one assignment, seen whole or not at all
        self._size = size
        if any(_plan_of(new[name]) is not _plan_of(old.get(name)) for name in new):
            # Nothing that serves is garbage: keep the collector from walking it on every request.
            gc.collect()
            gc.freeze()

    def _serve(
        self, view: Answering, old: Serving | None, adopted: dict[str, Any] | None
    ) -> Serving:
        """`old` itself when nothing changed; a failed load is tried again at the next entry.

        `adopted`: the contract, where it is another than `old` has.
        """
        current = old.champion.model_version if old is not None and old.champion else None
        if old is not None and adopted is None and current == view.champion and not old.alarm:
            return old
        if adopted is not None:
            contract = parse_contract(adopted)
            guard = RowGuard(contract, latest=self._latest)
        else:
            assert old is not None  # noqa: S101 - then its contract was adopted newly
            contract, guard = old.contract, old.guard
        serving = Serving(view.model, contract, view.contract_digest, guard, None)
        try:
            serving = replace(serving, champion=self._load(view, old))
        except WhyledgerError as error:
            alarm = f"champion {view.champion!r} does not load: {error.message}"[:500]
            _LOG.error("%s", alarm)
            return replace(serving, champion=old.champion if old else None, alarm=alarm)
        return replace(serving, alarm=serving.unfit())

    def _load(self, view: Answering, old: Serving | None) -> Loaded | None:
        if view.champion is None or view.plan_sha256 is None:
            return None
        if old is not None and old.champion and old.champion.model_version == view.champion:
            return old.champion
        content = self._ledger.artefact(view.plan_sha256)
        plan = load_plan(content, view.plan_sha256)
        kinds = {each["name"]: each["type"] for each in orjson.loads(content)["features"]}
        _LOG.info("%s answers for %s", view.champion, view.model)
        return Loaded(view.champion, plan, kinds)


def _newly_adopted(view: Answering, old: Serving | None) -> bool:
    return old is None or old.contract_digest != view.contract_digest


def _plan_of(serving: Serving | None) -> ServingPlan | None:
    return serving.champion.plan if serving is not None and serving.champion else None
