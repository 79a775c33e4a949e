"""Answer predictions: hold rows to the contract, ask the champion, record, and only then answer.

The answer is made from the recorded events alone, so a retry under the same idempotency key gets
the first answer again, even after a promotion.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Final, TypeAlias

from app.cause import Cause
from app.clock import new_id
from app.intake.quick_predictions import SentTogether, read_together
from app.intake.refusals import Refusals
from app.ledger.new_events import NewPredictions
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import predictions_stream
from app.serving.champions import Champions, Serving
from domain.blocks.ids import keyed_event_id
from domain.canonical import digest_as_read
from domain.contract.rows import RowGuard
from domain.errors import (
    IdempotencyConflict,
    RequestInFlight,
    RequestInvalid,
    RowsRefusedError,
    WhyledgerError,
)
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade, Row, RowColumns
from domain.faults import FAULTS_MAX, Fault, Faults, pointer, summary

DOOR: Final = "predictions"
_FIELDS: Final = frozenset({"model", "row", "rows"})
_FEW_ROWS: Final = 20  # as long as it takes to say what they lack, others may wait


class IdempotencyKeyReused(WhyledgerError):
    """The idempotency key was used before with another body."""

    code: ClassVar[str] = "idempotency-key-reused"


class UnderWay:
    """The idempotency keys of this process whose first request has not been answered yet."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, key: str | None) -> Iterator[None]:
        """Hold `key` (None: nothing to hold) until the block ends.

        Raises:
            RequestInFlight: somebody holds it.
        """
        if key is None:
            yield
            return
        with self._lock:
            if key in self._keys:
                raise RequestInFlight(
                    f"a request with Idempotency-Key {key!r} is being answered. "
                    "Ask again in a moment; the answer will be the first one's."
                )
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)


@dataclass(frozen=True, slots=True)
class MadeTogether:
    """The predictions of one request as they were recorded just now: in one entry, by columns."""

    entry: Recorded
    rows: NewPredictions


Made: TypeAlias = Sequence[Recorded] | MadeTogether  # one recorded `PredictionMade` a row


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """What a client asked: rows of one model, in order, and where they stand in its body."""

    model: str
    rows: list[Any]
    pointer: str | None  # the single row's JSON pointer; None: /rows/<index>
    sent: object  # the whole body, for the request digest


def _read(body: object, rows_max: int) -> PredictionRequest:
    """The request in a parsed body: `{"model", "row"}` or `{"model", "rows"}`.

    By hand, because every prediction passes here: it takes what the document of the route declares,
    `PredictionOfRow` and `PredictionOfRows`. That a row is an object, the contract's guard says.

    Raises:
        RequestInvalid: anything else, with its faults.
    """
    if not isinstance(body, dict):
        raise RequestInvalid(
            'the body is not an object; send {"model": …, "row": …} or {"model": …, "rows": […]}.'
        )
    faults = Faults(
        Fault(pointer(name), "is not a known field; remove it, or correct its spelling")
        for name in islice(body, FAULTS_MAX + len(_FIELDS))
        if name not in _FIELDS
    )
    if faults.is_full:
        faults.more = len(body) - len(_FIELDS.intersection(body)) - len(faults.listed)
    model, rows = body.get("model"), body.get("rows")
    if not isinstance(model, str):
        faults.add(Fault("/model", "should be the model's name", model))
    if ("row" in body) == ("rows" in body):
        faults.add(Fault("/rows", 'send either "row" or "rows", one of the two'))
    elif "rows" in body and not isinstance(rows, list):
        faults.add(Fault("/rows", "should be a list of rows", rows))
    elif isinstance(rows, list) and not 1 <= len(rows) <= rows_max:
        faults.add(
            Fault("/rows", f"has {len(rows)} rows; send 1 to {rows_max} in one request", len(rows))
        )
    if len(faults):
        raise RequestInvalid(f"{summary(faults)}.", faults)
    single = "row" in body
    return PredictionRequest(
        str(model),
        [body["row"]] if single else list(rows or ()),
        "/row" if single else None,
        body,
    )


class Predictions:
    """The use case of one process: at most `rows_max` rows in one request."""

    def __init__(
        self, ledger: Ledger, champions: Champions, refusals: Refusals, rows_max: int
    ) -> None:
        self._ledger = ledger
        self._champions = champions
        self._refusals = refusals
        self._rows_max = rows_max
        self._under_way = UnderWay()

    def read(self, body: bytes) -> SentTogether | None:
        """What `make` takes, of a body of many rows; None: it must be read with care."""
        return read_together(body, self._champions, self._rows_max)

    def make(self, body: object, *, idempotency_key: str | None, cause: Cause) -> Made:
        """One recorded `PredictionMade` for each row of `body`, in their order, committed.

        `body` is `{"model", "row"}` or `{"model", "rows"}`; or, without a key, what `read` gave.

        Raises:
            RequestInvalid: it is neither; with its faults.
            UnknownModel, NoChampion, ChampionUnfit: nobody can answer.
            RowsRefusedError: some row breaks the contract; nothing was recorded but the count.
            IdempotencyKeyReused, RequestInFlight: the key belongs to another request.
            LedgerBusy: nothing was kept.
        """
        if isinstance(body, SentTogether):
            serving = self._champions.of(body.serving.model)
            if serving.guard is body.serving.guard:
                new = _predictions(serving, body.columns, new_id(), cause, None)
                append = _appending(new.model, new)
                return _answered(append, self._ledger.append([append], cause))
            body = body.as_sent()  # a contract was adopted since
        request = _read(body, self._rows_max)
        with self._under_way.claim(idempotency_key):
            sent = _digest_of(request, idempotency_key)
            if idempotency_key is not None and sent is not None:
                first = self._first_answer(idempotency_key, sent, len(request.rows))
                if first is not None:
                    return first
            try:
                append = self._judged(request, idempotency_key, cause, sent)
            except RowsRefusedError as refusal:
                self._count(request, refusal, cause)
                raise
            try:
                return _answered(append, self._ledger.append([append], cause))
            except IdempotencyConflict:
                raise _reused(idempotency_key) from None

    async def make_soon(
        self,
        body: object,
        *,
        idempotency_key: str | None,
        cause: Cause,
        alone: Callable[[], AbstractAsyncContextManager[object]],
    ) -> Made:
        """As `make`, for an event loop and a short body: only what may take long leaves the loop.

        `alone`: the turn of whoever works long. A short body may hold a thousand empty rows, and
        to say what each lacks takes far longer than to answer as many bytes of rows that fit.
        """
        request = _read(body, self._rows_max)
        with self._under_way.claim(idempotency_key):
            sent = _digest_of(request, idempotency_key)
            if idempotency_key is not None and sent is not None:
                first = await asyncio.to_thread(
                    self._first_answer, idempotency_key, sent, len(request.rows)
                )
                if first is not None:
                    return first
            judged = partial(self._judged, request, idempotency_key, cause, sent)
            try:
                if self._fits(request):
                    append = judged()
                else:
                    async with alone():
                        append = await asyncio.to_thread(judged)
            except RowsRefusedError as refusal:
                await asyncio.to_thread(self._count, request, refusal, cause)
                raise
            try:
                return _answered(append, await self._ledger.append_soon([append], cause))
            except IdempotencyConflict:
                raise _reused(idempotency_key) from None

    def _fits(self, request: PredictionRequest) -> bool:
        """Whether the rows are few, or can be judged together."""
        if len(request.rows) <= _FEW_ROWS:
            return True
        guard = self._champions.of(request.model).guard
        return guard.columns_of_accepted(request.rows, labelled=False) is not None

    def _judged(
        self, request: PredictionRequest, key: str | None, cause: Cause, sent: bytes | None
    ) -> StreamAppend:
        """The predictions to record: rows held to the contract, the champion asked."""
        serving = self._champions.of(request.model)
        serving.ready()
        first = new_id() if key is None else keyed_event_id(key, 0)
        if len(request.rows) == 1:
            row = _accepted(serving.guard, request)
            return _appending(serving.model, _prediction(serving, row, first, cause, sent))
        columns = serving.guard.columns_of_accepted(request.rows, labelled=False)
        if columns is None:
            rows = serving.guard.check_rows(request.rows, labelled=False, path="/rows")
            columns = {name: [row[name] for row in rows] for name in rows[0]}
        return _appending(serving.model, _predictions(serving, columns, first, cause, sent))

    def _first_answer(self, key: str, sent: bytes, rows: int) -> list[Recorded] | None:
        """What was answered before under this key; None when nothing was."""
        first = self._ledger.first_answer(keyed_event_id(key, 0))
        if first is None:
            return None
        answered, digest = first
        if digest != sent:
            raise _reused(key)
        if len(answered) < rows:  # each in an entry of its own, as they once were
            ids = [keyed_event_id(key, index) for index in range(rows)]
            known = self._ledger.known(ids)
            if len(known) != rows:
                raise _reused(key)
            answered = [known[id].recorded for id in ids]
        return answered

    def _count(self, request: PredictionRequest, refusal: RowsRefusedError, cause: Cause) -> None:
        self._refusals.count(request.model, DOOR, refusal.rows, refusal.reasons, cause)


def _digest_of(request: PredictionRequest, key: str | None) -> bytes | None:
    """The request digest (32 bytes), which only a request with a key needs."""
    return None if key is None else bytes.fromhex(digest_as_read(request.sent))


def _accepted(guard: RowGuard, request: PredictionRequest) -> Row:
    """The one row, as the contract keeps it."""
    if request.pointer is None:
        return guard.check_rows(request.rows, labelled=False, path="/rows")[0]
    return guard.check_row(request.rows[0], labelled=False, path=request.pointer)


def _prediction(serving: Serving, row: Row, id: str, cause: Cause, sent: bytes | None) -> NewEvent:
    champion, guard = serving.ready(), serving.guard
    made = champion.plan.predict_row(row)
    event = PredictionMade(
        model=serving.model,
        model_version=champion.model_version,
        plan_sha256=champion.plan.sha256,
        identity=guard.identity_of(row),
        row=row,
        prediction=made.native,
        unknown_categories=made.unknown_categories,
        request_id=cause.request_id,
    )
    return NewEvent(
        event=event,
        id=id,
        occurred_at=guard.event_time_of(row),
        request_digest=sent,
        personal=guard.personal,
        keys=guard.keys,
    )


def _predictions(
    serving: Serving, columns: RowColumns, first: str, cause: Cause, sent: bytes | None
) -> NewPredictions:
    """Of two rows at least. `first`: the id of the first one's event."""
    champion, guard = serving.ready(), serving.guard
    times = guard.event_times_of(columns)
    made = champion.plan.predict_together(columns, len(times))
    return NewPredictions(
        model=serving.model,
        model_version=champion.model_version,
        plan_sha256=champion.plan.sha256,
        first=first,
        identities=guard.identities_of(columns),
        occurred_at=times,
        columns=columns,
        predictions=made.native.tolist(),
        unknown_categories=made.unknown_categories,
        # What rows share is hashed, and never erased.
        request_id=None if guard.personal else cause.request_id,
        request_digest=sent,
        keys=guard.keys,
        personal=guard.personal,
    )


def _appending(model: str, new: NewEvent | NewPredictions) -> StreamAppend:
    return StreamAppend(predictions_stream(model), (new,), None)


def _answered(append: StreamAppend, recorded: Sequence[Recorded]) -> Made:
    """What was recorded for an append: of many rows the entry, unless another request was first."""
    (new,) = append.events
    if isinstance(new, NewPredictions) and recorded[0].rows_apart is not None:
        return MadeTogether(recorded[0], new)
    return recorded


def _reused(key: str | None) -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"Idempotency-Key {key!r} was used with another body. Draw a new key for a new request."
    )
