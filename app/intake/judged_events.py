"""One event that came in, judged: what is to be recorded of it, or why it is not taken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ValidationError

from app.clock import latest_taken, now
from app.intake.cloud_events import OBSERVATION, Observation
from app.intake.named_predictions import NamedPredictions
from app.intake.names_sent import too_many_fields
from app.intake.quick_events import (
    QuickObservation,
    SentEvent,
    SentObservation,
    SentOutcome,
    read_data,
    read_event,
)
from app.intake.relayed_events import UNPREDICTED, PassedOver, Relayed, relayed
from app.projections.predictions import MadePrediction
from app.serving.champions import Champions, Serving
from domain.blocks.ids import source_event_id
from domain.canonical import digest_as_read
from domain.errors import (
    NotCanonical,
    RequestInvalid,
    RowsRefusedError,
    UnknownModel,
    WhyledgerError,
)
from domain.events.events import ObservationRecorded, OutcomeRecorded
from domain.faults import Fault, Faults
from domain.reported_faults import reported_faults
from domain.times import normalise_time


class UnknownPrediction(WhyledgerError):
    """A label names a prediction that the model never made."""

    code: ClassVar[str] = "unknown-prediction"


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """One event that was sent, before the ledger is asked about it."""

    pointer: str
    event: SentEvent
    id: str
    request_digest: bytes
    relayed: Relayed | None  # what another instance emitted


@dataclass(slots=True)
class JudgedEvents:
    """What became of a batch's events before anything is kept."""

    passed_over: Counter[str] = field(default_factory=Counter)

    faults: Faults = field(default_factory=Faults)
    codes: set[str] = field(default_factory=set)  # of what is wrong
    bad_rows: Counter[str] = field(default_factory=Counter)  # model -> refused rows
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def refuse(self, code: str, fault: Fault) -> None:
        """One more thing that is wrong."""
        self.codes.add(code)
        self.faults.add(fault)

    def refuse_shape(self, error: ValidationError, sent: object, below: str) -> None:
        """What pydantic found wrong with `sent`; worded only as far as it is listed."""
        self.codes.add(RequestInvalid.code)
        if self.faults.is_full:
            self.faults.count(error.error_count())
        else:
            found = error.errors(include_url=False)
            self.faults.extend(reported_faults(found, sent, below=below))

    def refuse_row(self, refusal: WhyledgerError) -> None:
        """What a row was refused for."""
        self.codes.add(refusal.code)
        self.faults.extend(refusal.faults)
        self.faults.count(refusal.more_faults)


def parse_event(
    item: object, pointer: str, judged: JudgedEvents, ledger_id: Callable[[], str]
) -> ParsedEvent | None:
    """The event as it was sent; None when `judged` now says why not."""
    emitted = relayed(item, ledger_id())
    if isinstance(emitted, PassedOver):
        judged.passed_over[emitted.why] += 1
        return None
    item = emitted.sent if emitted else item
    if (crowded := too_many_fields(item)) is not None:
        judged.refuse(RequestInvalid.code, Fault(pointer, crowded))
        return None
    try:
        event = read_event(item)
        request_digest = bytes.fromhex(digest_as_read(item))
    except ValidationError as error:
        judged.refuse_shape(error, item, pointer)
        return None
    except NotCanonical as error:
        judged.refuse(RequestInvalid.code, Fault(pointer, error.message))
        return None
    id = source_event_id(event.source, event.id)
    return ParsedEvent(pointer, event, id, request_digest, emitted)


def refused_at_a_glance(item: object, champions: Champions, ledger_id: Callable[[], str]) -> bool:
    """Whether an event is refused for what it holds; of what only the ledger knows, nothing."""
    judged = JudgedEvents()
    one = parse_event(item, "", judged, ledger_id)
    if one is None or one.event.type != OBSERVATION:
        return bool(judged.codes)
    try:
        data = read_data(one.event)
        if isinstance(data, Observation | QuickObservation):
            guard = champions.of(data.model).guard
            guard.check_row(data.row, labelled=True, briefly=True)
    except (ValidationError, WhyledgerError):
        return True
    return False


def asks_for_rows(each: ParsedEvent) -> bool:
    """Whether it labels a row by its identity, and so asks for the last prediction there is."""
    if each.event.type == OBSERVATION:
        return False
    return each.relayed is not None or each.event.data.get("prediction_id") is None


def made_of(
    each: ParsedEvent,
    judged: JudgedEvents,
    named: NamedPredictions,
    champions: Champions,
    skew_seconds: float,
) -> tuple[ObservationRecorded | OutcomeRecorded, str] | None:
    """The event to record and when it happened; None when `judged` now says why not."""
    event, pointer = each.event, each.pointer
    try:
        time = _past(event.time, skew_seconds) if event.time is not None else None
        data = read_data(event)
        serving = champions.of(data.model)
    except ValidationError as error:
        judged.refuse_shape(error, event.data, f"{pointer}/data")
        return None
    except UnknownModel as error:
        judged.refuse(error.code, Fault(f"{pointer}/data/model", error.message))
        return None
    except RequestInvalid as error:
        judged.refuse(error.code, Fault(f"{pointer}/time", error.message, event.time))
        return None
    try:
        if isinstance(data, Observation | QuickObservation):
            return _observed(event, data, serving, pointer, briefly=judged.faults.is_full)
        prediction = _prediction(data, serving, pointer, named, each.relayed)
        return _outcome(event, data, serving, pointer, time, prediction)
    except RowsRefusedError as refusal:
        judged.refuse_row(refusal)
        judged.bad_rows[data.model] += 1
        judged.reasons[data.model].update(refusal.reasons)
    except UnknownPrediction as refusal:
        if each.relayed:
            judged.passed_over[UNPREDICTED] += 1
            return None
        judged.refuse(refusal.code, Fault(f"{pointer}/data", refusal.message))
    except RequestInvalid as refusal:
        judged.refuse_row(refusal)
    return None


def _past(text: str, skew_seconds: float) -> str:
    """The time in our one form. Raises RequestInvalid: it is none, or it has not come yet."""
    time = normalise_time(text)
    if time > latest_taken(skew_seconds):
        raise RequestInvalid(
            f"is after now ({now()}) by more than the {skew_seconds:g} s that clocks may differ; "
            "send when it became known, or set the clock"
        )
    return time


def _observed(
    event: SentEvent, data: SentObservation, serving: Serving, pointer: str, *, briefly: bool
) -> tuple[ObservationRecorded, str]:
    row = serving.guard.check_row(
        data.row, labelled=True, path=f"{pointer}/data/row", briefly=briefly
    )
    recorded = ObservationRecorded(
        model=data.model,
        source=event.source,
        source_id=event.id,
        identity=serving.guard.identity_of(row),
        row=row,
        extensions=event.extensions,
    )
    return recorded, serving.guard.event_time_of(row)


def _outcome(
    event: SentEvent,
    data: SentOutcome,
    serving: Serving,
    pointer: str,
    time: str | None,
    prediction: MadePrediction,
) -> tuple[OutcomeRecorded, str]:
    label = serving.guard.check_label(data.label, prediction.row, path=f"{pointer}/data/label")
    outcome = OutcomeRecorded(
        model=data.model,
        source=event.source,
        source_id=event.id,
        prediction_id=prediction.id,
        identity=prediction.identity,
        label=label,
        extensions=event.extensions,
    )
    return outcome, time or prediction.event_time


def _prediction(
    data: SentOutcome,
    serving: Serving,
    pointer: str,
    predictions: NamedPredictions,
    passed_on: Relayed | None,
) -> MadePrediction:
    """What is labelled. What another instance emitted labels its prediction, or else ours."""
    if data.prediction_id is not None:
        found = predictions.with_id(data.model, data.prediction_id.lower())
        if found is None and passed_on is not None:
            found = predictions.latest(data.model, passed_on.identity)
        named = f"prediction {data.prediction_id!r}"
    else:
        identity = serving.guard.check_identity(
            data.identity or {}, path=f"{pointer}/data/identity"
        )
        found = predictions.latest(data.model, identity)
        named = f"a prediction for {identity!r}"
    if found is None:
        raise UnknownPrediction(
            f"{data.model!r} never made {named}. Send the label with the id that POST "
            "/predictions answered, or send the whole row as an observation."
        )
    return found
