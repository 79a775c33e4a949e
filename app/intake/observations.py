"""Take in observations and outcomes as CloudEvents: all of a batch, or nothing and its faults.

An observation is a labelled row; an outcome is the label of a prediction, named by its id or by the
row's identity. The same (`source`, `id`) with the same body gets the first answer again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, Final

from anyio import CapacityLimiter, to_thread
from pydantic import ValidationError

from app.cause import Cause
from app.clock import latest_taken, now
from app.intake.cloud_events import (
    OBSERVATION,
    CloudEvent,
    Observation,
    Outcome,
    too_many_fields,
)
from app.intake.refusals import Refusals
from app.intake.relayed_events import (
    UNPREDICTED,
    PassedOver,
    Relayed,
    relayed,
    says_the_same,
)
from app.ledger.store import Connection, Ledger, NewEvent, StreamAppend
from app.ledger.streams import observations_stream, source_event_id
from app.projections.predictions import StoredPrediction, find_prediction, latest_prediction
from app.serving.champions import Champions, Serving
from domain.canonical import digest
from domain.errors import (
    IdempotencyConflict,
    NotCanonical,
    RequestInvalid,
    RowsRefusedError,
    UnknownModel,
    WhyledgerError,
)
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded
from domain.faults import Fault, Faults, summary
from domain.reported_faults import reported_faults
from domain.times import normalise_time

DOOR: Final = "events"
FEW: Final = 16  # events that are judged beside others
_NEEDED: Final = frozenset({"specversion", "id", "source", "type"})  # of every event


class UnknownPrediction(WhyledgerError):
    """A label names a prediction that the model never made."""

    code: ClassVar[str] = "unknown-prediction"


@dataclass(slots=True)
class Taken:
    """What became of the events that were sent: recorded, in order; or passed over, by why."""

    recorded: list[Recorded]
    passed_over: dict[str, int]  # see `relayed_events`


@dataclass(frozen=True, slots=True)
class _Parsed:
    """One event that was sent, before the ledger is asked about it."""

    pointer: str
    event: CloudEvent
    id: str
    request_digest: bytes
    relayed: Relayed | None  # what another instance emitted


@dataclass(slots=True)
class _Judged:
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


class Observations:
    """The use case of one process."""

    def __init__(
        self, ledger: Ledger, champions: Champions, refusals: Refusals, skew_seconds: float
    ) -> None:
        self._ledger = ledger
        self._champions = champions
        self._refusals = refusals
        self._skew_seconds = skew_seconds
        self._ledger_id = cache(ledger.ledger_id)  # asked for once it is needed
        self._judging_many = CapacityLimiter(1)

    async def record_soon(self, sent: Sequence[object], *, batch: bool, cause: Cause) -> Taken:
        """One recorded event for each one sent, in order, committed together.

        Of what another instance emitted, only labelled rows and labels are recorded.

        `batch`: whether `sent` came as a list, so that faults point to `/<index>`. Judging reads
        the ledger, so it is done in a thread; nobody's thread waits for the commit. One batch of
        more than `FEW` is judged at a time: it is work for the interpreter, so that several at
        once would end no sooner, and all others would wait for each of them.

        Raises:
            RequestInvalid, UnknownModel, UnknownPrediction, RowsRefusedError: some event cannot be
                taken; nothing was kept; the first faults are listed by index, the others counted.
            IdempotencyConflict: a (source, id) was used with another body.
            LedgerBusy: nothing was kept.
        """
        limiter = self._judging_many if len(sent) > FEW else None
        ids, entries, appends, passed_over = await to_thread.run_sync(
            self._judge, sent, batch, cause, limiter=limiter
        )
        if appends:
            recorded = await self._ledger.append_soon(appends, cause)
            entries.update((entry.id, entry) for entry in recorded)
        return Taken([entries[id] for id in ids], passed_over)

    def _judge(
        self, sent: Sequence[object], batch: bool, cause: Cause
    ) -> tuple[list[str], dict[str, Recorded], list[StreamAppend], dict[str, int]]:
        """The id of each event, what is recorded already by id, what is to be appended, and what
        is passed over."""
        judged = _Judged()
        parsed: list[_Parsed] = []
        full = False
        bare = 0  # of those beyond the list: to say what else is wrong would cost more than they
        for index, item in enumerate(sent):
            if full and not (type(item) is dict and item.keys() >= _NEEDED):
                bare += 1
                continue
            pointer = f"/{index}" if batch else ""
            one = _parse(item, pointer, judged, self._ledger_id)
            if one is not None:
                parsed.append(one)
            full = judged.faults.is_full
        judged.faults.count(bare)
        known = self._ledger.known([each.id for each in parsed])
        ids: list[str] = []
        # An erased event has no digest: nothing equals it, so its id is not taken again.
        first: dict[str, bytes] = {id: digest or b"" for id, (_, digest) in known.items()}
        new: dict[str, NewEvent] = {}
        with self._ledger.connect() as connection:
            for each in parsed:
                pointer, id, request_digest = each.pointer, each.id, each.request_digest
                if each.relayed and id in known and says_the_same(known[id][0], each.relayed):
                    ids.append(id)
                    continue
                if first.setdefault(id, request_digest) != request_digest:
                    judged.refuse(
                        IdempotencyConflict.code,
                        Fault(f"{pointer}/id", "was used before in this source with another body"),
                    )
                    continue
                if id not in known and id not in new:
                    made = self._made(each, judged, connection)
                    if made is None:
                        continue
                    new[id] = NewEvent(
                        event=made[0],
                        id=id,
                        occurred_at=made[1],
                        request_digest=request_digest,
                        personal=self._champions.of(made[0].model).guard.personal,
                    )
                ids.append(id)
        self._refuse_if_any(judged, len(sent), cause)
        streams: dict[str, list[NewEvent]] = defaultdict(list)
        for each_new in new.values():
            streams[_stream_of(each_new.event)].append(each_new)
        appends = [StreamAppend(name, tuple(each), None) for name, each in streams.items()]
        entries = {id: entry for id, (entry, _) in known.items()}
        return ids, entries, appends, dict(judged.passed_over)

    def _made(
        self, each: _Parsed, judged: _Judged, connection: Connection
    ) -> tuple[ObservationRecorded | OutcomeRecorded, str] | None:
        """The event to record and when it happened; None when `judged` now says why not."""
        event, pointer = each.event, each.pointer
        kind = Observation if event.type == OBSERVATION else Outcome
        try:
            time = _past(event.time, self._skew_seconds) if event.time is not None else None
            data = kind.model_validate(event.data)
            serving = self._champions.of(data.model)
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
            if isinstance(data, Observation):
                return _observed(event, data, serving, pointer)
            prediction = _prediction(data, serving, pointer, connection, each.relayed)
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

    def _refuse_if_any(self, judged: _Judged, sent: int, cause: Cause) -> None:
        """Raise what weighs most, with the first faults, by the events they stand in."""
        if not judged.codes:
            return
        for model, rows in judged.bad_rows.items():
            self._refusals.count(model, DOOR, rows, judged.reasons[model], cause)
        code = next(code for code in _BY_WEIGHT if code in judged.codes)
        faults = judged.faults
        faults.listed.sort(key=lambda fault: _index_of(fault.path))
        said = (
            f"{summary(faults)}. Nothing of the {sent} events was kept; "
            "correct them and send all again."
        )
        raise _BY_WEIGHT[code](said, faults)


_BY_WEIGHT: Final[Mapping[str, type[WhyledgerError]]] = {
    kind.code: kind
    for kind in (
        IdempotencyConflict,
        RequestInvalid,
        UnknownModel,
        UnknownPrediction,
        RowsRefusedError,
    )
}


def _parse(
    item: object, pointer: str, judged: _Judged, ledger_id: Callable[[], str]
) -> _Parsed | None:
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
        event = CloudEvent.model_validate(item)
        request_digest = bytes.fromhex(digest(item))
    except ValidationError as error:
        judged.refuse_shape(error, item, pointer)
        return None
    except NotCanonical as error:
        judged.refuse(RequestInvalid.code, Fault(pointer, error.message))
        return None
    id = source_event_id(event.source, event.id)
    return _Parsed(pointer, event, id, request_digest, emitted)


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
    event: CloudEvent, data: Observation, serving: Serving, pointer: str
) -> tuple[ObservationRecorded, str]:
    row = serving.guard.check_row(data.row, labelled=True, path=f"{pointer}/data/row")
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
    event: CloudEvent,
    data: Outcome,
    serving: Serving,
    pointer: str,
    time: str | None,
    prediction: StoredPrediction,
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
    data: Outcome,
    serving: Serving,
    pointer: str,
    connection: Connection,
    passed_on: Relayed | None,
) -> StoredPrediction:
    """What is labelled. What another instance emitted labels its prediction, or else ours."""
    if data.prediction_id is not None:
        found = find_prediction(connection, data.model, data.prediction_id.lower())
        if found is None and passed_on is not None:
            found = latest_prediction(connection, data.model, passed_on.identity)
        named = f"prediction {data.prediction_id!r}"
    else:
        identity = serving.guard.check_identity(
            data.identity or {}, path=f"{pointer}/data/identity"
        )
        found = latest_prediction(connection, data.model, identity)
        named = f"a prediction for {identity!r}"
    if found is None:
        raise UnknownPrediction(
            f"{data.model!r} never made {named}. Send the label with the id that POST "
            "/predictions answered, or send the whole row as an observation."
        )
    return found


def _index_of(path: str) -> int:
    part = path.split("/")[1] if path else ""
    return int(part) if part.isdecimal() else 0


def _stream_of(event: object) -> str:
    assert isinstance(event, ObservationRecorded | OutcomeRecorded)  # noqa: S101 made above
    return observations_stream(event.model)
