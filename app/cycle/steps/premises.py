"""What a cycle starts from: contract, policy, who is judged and what that one was trained on.

As it stood when the cycle started: the position of `CycleStarted` is the cut-off.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property, lru_cache
from typing import Any, Final

from app.ledger.erasures import erased_artefacts
from app.ledger.store import Connection, Ledger
from app.projections.champions import ChampionView, get_champion
from app.projections.contracts import adopted_contract
from app.projections.cycles import get_cycle, trainings_until
from app.projections.cycles_that_count import Basis, basis, set_aside
from app.projections.models import ModelView, get_model
from app.projections.policies import get_policy_document
from app.projections.refusals import RowCounts, rows_between
from app.serving.plan import ServingPlan, load_plan
from app.settings import Settings
from domain.contract.contract import Contract
from domain.contract.rows import RowGuard
from domain.contract.window import stretch_start, window_start
from domain.errors import LedgerDamaged
from domain.events.cycle_events import CandidateTrained, CycleStarted

_PLANS_KEPT: Final = 4  # the champion's, the candidate's and two earlier ones


class Premises:
    """What stood when one cycle started, but for rows.

    Args:
        ledger: where it reads.
        settings: state directory.
        started: what the cycle was asked to do.
        cutoff: position of `CycleStarted`; nothing after it is looked at.
    """

    def __init__(
        self, ledger: Ledger, settings: Settings, started: CycleStarted, cutoff: int
    ) -> None:
        self.ledger = ledger
        self.settings = settings
        self.started = started
        self.cutoff = cutoff

    def connect(self) -> AbstractContextManager[Connection]:
        """A connection on which every row is there that may be looked at, however long it takes.

        They were when the cycle started; since then they may have been begun anew.
        """
        return self.ledger.connect(with_rows=self.cutoff)

    @cached_property
    def model(self) -> ModelView:
        """The model's read model. One cycle of a model runs at a time, so it stands still but for
        what this cycle's own steps did."""
        with self.connect() as connection:
            return model_now(connection, self.started.model)

    @cached_property
    def contract(self) -> Contract:
        """The contract in force when the cycle started."""
        with self.connect() as connection:
            return adopted_contract(connection, self.started.contract_digest)

    @cached_property
    def guard(self) -> RowGuard:
        """The contract's compiled row guard."""
        return RowGuard(self.contract)

    @cached_property
    def policy_document(self) -> dict[str, Any]:
        """The policy in force when the cycle started."""
        with self.connect() as connection:
            return get_policy_document(connection, self.started.policy_digest)

    @cached_property
    def champion(self) -> ChampionView | None:
        """Who is judged, and how it was trained: who served when the cycle started, or, where that
        one's cycle is set aside, who served last of those that cycles which count have made."""
        if self.started.champion is None:
            return None
        with self.connect() as connection:
            return get_champion(connection, self.started.model, self.started.champion)

    @cached_property
    def bounds(self) -> tuple[str, str]:
        """The window: start (inclusive) and end (exclusive), clipped at the champion's training."""
        start = self.drift_window_start
        if self.champion is not None:
            start = max(start, self.champion.trained_until)
        return start, self.started.as_of

    @cached_property
    def drift_window_start(self) -> str:
        """as_of less the contract's drift window, not clipped."""
        return window_start(self.started.as_of, self.contract.drift_window)

    @cached_property
    def plan(self) -> Callable[[str], ServingPlan]:
        """The stored serving plan with a digest; the last few that were asked for are kept."""
        return lru_cache(_PLANS_KEPT)(lambda sha256: load_plan(self.ledger.artefact(sha256)))

    @property
    def training_on_window(self) -> int:
        """Which training on windows that end on this day this one is, from 1."""
        with self.connect() as connection:
            return 1 + trainings_until(
                connection,
                self.started.model,
                day=self.started.as_of[:10],
                before_number=self.started.number,
            )

    @cached_property
    def counts(self) -> RowCounts:
        """Rows accepted and refused since the model's previous cycle started."""
        with self.connect() as connection:
            return rows_between(
                connection, self.started.model, after=self.previous_cutoff, up_to=self.cutoff
            )

    @cached_property
    def previous_cutoff(self) -> int:
        """Where the model's previous cycle started; -1 at the first."""
        if self.started.number == 1:
            return -1
        previous = f"{self.started.model}-{self.started.number - 1}"
        with self.connect() as connection:
            return get_cycle(connection, previous).started_position

    @cached_property
    def basis(self) -> Basis:
        """What the earlier cycles that count left: those that none has set aside."""
        number = self.started.number
        with self.connect() as connection:
            aside = set_aside(connection, self.started.model, before_number=number)
            aside |= frozenset(self.started.sets_aside)
            return basis(
                connection,
                self.started.model,
                before_number=number,
                aside=aside,
                up_to=self.cutoff,
            )

    @cached_property
    def reference_start(self) -> str | None:
        """First event time that the champion's reference may hold, inclusive; None: unrecorded."""
        champion = self.champion
        if champion is None or champion.trained_from is None:
            return None
        reference = self.trained_under(champion).reference
        return max(champion.trained_from, stretch_start(champion.as_of, reference))

    def trained_under(self, champion: ChampionView) -> Contract:
        """The contract of the cycle that made this champion: what its reference was frozen by."""
        with self.connect() as connection:
            started = get_cycle(connection, champion.cycle).state[CycleStarted.type]
            return adopted_contract(connection, started["contract_digest"])

    @cached_property
    def reference_end(self) -> str | None:
        """End of the event times that the champion's reference may hold, exclusive.

        A refit trains on later rows too, and leaves the reference as it was."""
        champion = self.champion
        if champion is None or champion.trained_from is None:
            return champion.trained_until if champion else None
        with self.connect() as connection:
            trained = get_cycle(connection, champion.cycle).state[CandidateTrained.type]
        return str(trained["trained_until"])

    @cached_property
    def reference_erased(self) -> bool:
        """Whether the champion's frozen reference was erased, so that drift cannot be measured."""
        if self.champion is None:
            return False
        with self.connect() as connection:
            return self.champion.reference_sha256 in erased_artefacts(connection)


def model_now(connection: Connection, model: str) -> ModelView:
    """The read model of a model that has a cycle, as it stands now. Raises LedgerDamaged."""
    view = get_model(connection, model)
    if view is None:
        raise LedgerDamaged(
            f"model {model!r} has a cycle and no read model. Stop writing; run `whyledger verify`, "
            "then `whyledger replay`."
        )
    return view
