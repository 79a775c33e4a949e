"""A model's years under another policy, lived again in a scratch ledger.

The facts of a cycle depend on who served before it, so a policy is not judged on recorded facts
alone: rows come in as they did, whoever serves in the scratch ledger predicts them anew, and each
cycle runs whole, with its training and its gates, under the rules and the `as_of` it was recorded
with; whom it judges and which cycles it sets aside follows from the scratch ledger, by the rule
that starts real cycles. One that was cut off three times fails again. Forced retrainings stay
forced; rollbacks are not repeated. A row counts once, with its first answer: what answers a row
that comes again may have been trained on it.
Nothing is written to the ledger that is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, Final

from msgspec.structs import replace

from app.audit.cycle import told_of
from app.audit.whatif import CycleRelived, ServedRows, WhatIf
from app.cause import Cause
from app.clock import new_id, now
from app.cycle.run import run_cycle
from app.cycle.whatif_served import Asked, ServedAgain, both_answers, served_rows
from app.ledger.known_damage import damages_of, refuse_to_lack
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import (
    cycle_stream,
    model_stream,
    observations_stream,
    policy_stream,
    predictions_stream,
)
from app.projections.contracts import adopted_contract
from app.projections.cycles import get_cycle
from app.projections.cycles_that_count import judged_by
from app.projections.labels import labels_by_identity
from app.projections.models import ModelView, get_model
from app.serving.plan import ServingPlan, load_plan
from app.settings import Settings
from domain.errors import UnknownModel
from domain.events.cycle_events import (
    CandidateTrained,
    CycleFailed,
    CycleStarted,
    PromotionSettled,
)
from domain.events.envelope import Recorded
from domain.events.erasure import Erased
from domain.events.erasure_reach import model_of_rows
from domain.events.events import (
    ContractAdopted,
    Event,
    ObservationRecorded,
    OutcomeRecorded,
    PayloadErased,
    PolicyAdopted,
    PredictionMade,
    RowsRefused,
)
from domain.events.expansion import expanded
from domain.events.unreadable import Unreadable
from rules.policy import parse_policy, policy_digest

ERASED: Final = "erased"
UNREADABLE: Final = "entries that nobody can read"
NOBODY_SERVED: Final = "nobody served yet"
NOT_PREDICTED: Final = "who served could not predict them"
NO_PREDICTION: Final = "outcomes of predictions that were left out"
_COMES_IN: Final = (ContractAdopted, ObservationRecorded, OutcomeRecorded, RowsRefused)
_EVENTS_PER_APPEND: Final = 500
_FOR_EVER: Final = "9999-12-31T23:59:59.999999Z"
Progress = Callable[[int, int], None]  # cycles lived again, of how many
Waits = tuple[int, str, NewEvent]  # position in the ledger that is read, stream, event


def relive(
    ledger: Ledger,
    scratch: Ledger,
    settings: Settings,
    model: str,
    policy: dict[str, Any],
    progress: Progress = lambda done, of: None,
) -> WhatIf:
    """The cycles of `model` again, each under `policy`.

    Args:
        ledger: what happened; only read.
        scratch: an empty ledger.
        settings: of the scratch ledger: its state directory takes what training leaves behind.
        model: whose cycles.
        policy: the parsed document of the policy; need not have been adopted.
        progress: told after each cycle.

    Raises:
        PolicyInvalid: the document is no policy.
        UnknownModel: no contract was adopted under this name.
        StoredDamage: a contract or a cycle is not what was written.
    """
    with ledger.connect() as connection:
        view = get_model(connection, model)
    if view is None:
        raise UnknownModel.named(model)
    again = _Relived(ledger, scratch, settings, model, policy)
    for entry in _entries(ledger):
        again.takes(entry)
        if len(again.cycles) and isinstance(entry.event, CycleStarted):
            progress(len(again.cycles), view.cycles_started)
    return again.told()


def _entries(ledger: Ledger) -> Iterator[Recorded]:
    """All there are, of many rows each by itself.

    A row that nobody can read is left out, and counted. Nobody lives again without a contract or a
    cycle that is not what was written.

    Raises:
        StoredDamage: there is one, and nobody accepted that.
    """
    after = -1
    while page := ledger.read(after):
        no_rows = [entry for entry in page if model_of_rows(entry.stream) is None]
        if next(damages_of(no_rows), None) is not None:
            with ledger.snapshot() as connection:
                refuse_to_lack(connection, no_rows)
        yield from expanded(page)
        after = page[-1].position


class _Relived:
    """One model's story as it goes on in the scratch ledger."""

    def __init__(
        self,
        ledger: Ledger,
        scratch: Ledger,
        settings: Settings,
        model: str,
        policy: dict[str, Any],
    ) -> None:
        self._ledger, self._scratch, self._settings = ledger, scratch, settings
        self._model = model
        self._streams = frozenset(
            (model_stream(model), predictions_stream(model), observations_stream(model))
        )
        self._policy, self._digest = parse_policy(policy), policy_digest(policy)
        self._waiting: list[Waits] = []
        self._asked: list[Asked] = []  # predictions, before whoever serves has made them again
        self._champion: str | None = None
        self._plan: ServingPlan | None = None
        self._plan_sha256 = ""
        self._first: ServingPlan | None = None
        self._lost: set[str] = set()  # ids of predictions that were left out
        self._left_out: Counter[str] = Counter()
        self._served: list[dict[str, ServedAgain]] = [
            {}
        ]  # by identity: before each cycle, and since
        self._answered: set[str] = set()  # identities that were served: the first answer counts
        self.cycles: list[str] = []
        adopted = PolicyAdopted(
            policy=self._policy.id,
            policy_version=self._policy.version,
            document=policy,
            policy_digest=self._digest,
        )
        self._append([(policy_stream(self._policy.id), _new(adopted, now()))])

    def takes(self, entry: Recorded) -> None:
        """One entry of the ledger, oldest first; what is not about this model is passed over."""
        event = entry.event
        if isinstance(event, CycleStarted) and event.model == self._model:
            self._come_in()
            self._run(event)
        elif isinstance(event, PayloadErased) and event.model == self._model:
            self._left_out[ERASED] += 1  # one row, whatever had been recorded of it
        elif entry.stream not in self._streams:
            return
        elif isinstance(event, Erased):
            self._lost.add(entry.id)  # a prediction, it may be, that an outcome labels
        elif isinstance(event, Unreadable):
            self._lost.add(entry.id)
            self._left_out[UNREADABLE] += entry.stream != model_stream(self._model)
        elif isinstance(event, PredictionMade):
            self._asked.append((entry, event))
        elif isinstance(event, _COMES_IN):
            new = _new(event, entry.occurred_at, entry.id)
            self._waiting.append((entry.position, entry.stream, new))
        if len(self._waiting) + len(self._asked) >= _EVENTS_PER_APPEND:
            self._come_in()

    def told(self) -> WhatIf:
        """What came of it; called once, at the end."""
        self._come_in()
        with self._scratch.connect() as connection:
            view = _known(get_model(connection, self._model), self._model)
            contract = adopted_contract(connection, view.contract_digest)
            up_to = self._scratch.size()
            labels = dict(
                labels_by_identity(connection, self._model, before=_FOR_EVER, up_to=up_to)
            )
        declared = contract.value_of_error
        return WhatIf(
            model=self._model,
            policy=self._policy.id,
            policy_version=self._policy.version,
            policy_digest=self._digest,
            cycles=tuple(
                self._cycle(cycle, served_rows(served, labels, contract))
                for cycle, served in zip(self.cycles, self._served[:-1], strict=True)
            ),
            since=served_rows(self._served[-1], labels, contract),
            left_out={reason: rows for reason, rows in self._left_out.items() if rows},
            per_unit=declared.per_unit if declared else None,
            unit=declared.unit if declared else contract.target.unit,
        )

    def _come_in(self) -> None:
        """Predict what was asked, then append everything that waits, in the order it came in.

        A label means what the contract in force said when it came, and labels a prediction that
        was made before it.
        """
        made = self._predicted()
        events = [*made, *(each for each in self._waiting if not self._labels_nothing(each[2]))]
        in_order = sorted(events, key=lambda each: each[0])
        self._append([(stream, new) for _, stream, new in in_order])
        self._waiting, self._asked = [], []

    def _labels_nothing(self, new: NewEvent) -> bool:
        event = new.event
        lost = isinstance(event, OutcomeRecorded) and event.prediction_id in self._lost
        self._left_out[NO_PREDICTION] += lost
        return lost

    def _append(self, events: list[tuple[str, NewEvent]]) -> None:
        if not events:
            return
        appends = [
            StreamAppend(stream, tuple(new for _, new in run), None)
            for stream, run in groupby(events, key=lambda each: each[0])
        ]
        self._scratch.append(appends, Cause.unauthenticated(new_id()))

    def _predicted(self) -> list[Waits]:
        """What was asked, as who serves in the scratch ledger answers it."""
        if self._plan is None or self._first is None:
            if self._asked:
                self._lose(self._asked, NOBODY_SERVED)
            return []
        made = []
        for (entry, event), prediction, by_first in both_answers(
            self._asked, self._plan, self._first
        ):
            if prediction is None or by_first is None:
                self._lose([(entry, event)], NOT_PREDICTED)
                continue
            if event.identity not in self._answered:
                self._answered.add(event.identity)
                self._served[-1][event.identity] = ServedAgain(prediction, by_first)
            again = replace(
                event,
                model_version=self._champion or "",
                plan_sha256=self._plan_sha256,
                prediction=prediction,
            )
            new = _new(again, entry.occurred_at, entry.id)
            made.append((entry.position, entry.stream, new))
        return made

    def _lose(self, asked: list[Asked], reason: str) -> None:
        self._left_out[reason] += len(asked)
        self._lost |= {entry.id for entry, _ in asked}

    def _run(self, recorded: CycleStarted) -> None:
        """The cycle again: all as it was asked for, but for the policy and what follows from it."""
        with self._scratch.connect() as connection:
            before = _known(get_model(connection, self._model), self._model)
            judged = judged_by(
                connection, before, as_of=recorded.as_of, number=before.cycles_started + 1
            )
        started = replace(
            recorded,
            policy=self._policy.id,
            policy_digest=self._digest,
            champion=judged.champion,
            serves=before.champion,
            sets_aside=judged.sets_aside,
        )
        stream = cycle_stream(started.cycle)
        self._append([(stream, _new(started, started.as_of))])
        failed = self._cut_off(recorded.cycle)
        if failed is None:
            run_cycle(self._scratch, self._settings, started.cycle, by_products=False)
        else:
            self._append([(stream, failed)])
        self.cycles.append(started.cycle)
        self._served.append({})
        with self._scratch.connect() as connection:
            view = _known(get_model(connection, self._model), self._model)
        if view.champion is None or view.plan_sha256 is None:
            return
        if view.champion != self._champion:
            self._champion, self._plan_sha256 = view.champion, view.plan_sha256
            self._plan = load_plan(self._scratch.artefact(view.plan_sha256))
            self._first = self._first or self._plan

    def _cut_off(self, cycle: str) -> NewEvent | None:
        """How the recorded cycle failed; None: it came to an end, or had promoted before.

        What cut it off three times was no policy, so it fails again and trains nobody.
        """
        entries = self._ledger.read_stream(cycle_stream(cycle)).entries
        last = entries[-1]
        settled = (each.event for each in entries if isinstance(each.event, PromotionSettled))
        if not isinstance(last.event, CycleFailed) or any(each.promoted for each in settled):
            return None
        return _new(last.event, last.occurred_at)

    def _cycle(self, cycle: str, before: ServedRows) -> CycleRelived:
        with self._scratch.connect() as connection:
            view = get_cycle(connection, cycle)
        told = told_of(view)
        return CycleRelived(
            cycle=cycle,
            as_of=told.as_of,
            outcome=told.outcome or told.conclusion or "halted",
            sentence=told.sentence,
            conclusion=told.conclusion or "",
            set_aside_by=told.set_aside_by,
            gates=tuple(f"{gate.name} {gate.verdict}" for gate in told.gates),
            trained=CandidateTrained.type in view.state,
            promoted=told.conclusion == "promoted",
            before=before,
            champion=told.champion,
        )


def _new(event: Event, occurred_at: str, id: str = "") -> NewEvent:
    return NewEvent(event=event, id=id or new_id(), occurred_at=occurred_at)


def _known(view: ModelView | None, model: str) -> ModelView:
    if view is None:
        raise UnknownModel.named(model)
    return view
