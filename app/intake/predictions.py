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
from typing import Any, ClassVar, Final

from app.cause import Cause
from app.clock import new_id
from app.intake.refusals import Refusals
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import predictions_stream
from app.serving.champions import Champions, Loaded
from domain.blocks.ids import keyed_event_id, prediction_ids
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
from domain.events.events import PredictionMade, Row
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
class PredictionRequest:
    """What a client asked: rows of one model, in order, and where they stand in its body."""

    model: str
    rows: list[Any]
    pointers: tuple[str, ...] | None  # the single row's JSON pointer; None: /rows/<index>
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
        ("/row",) if single else None,
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

    def make(
        self, body: object, *, idempotency_key: str | None, cause: Cause
    ) -> Sequence[Recorded]:
        """One recorded `PredictionMade` for each row of `body`, in their order, committed.

        `body` is `{"model", "row"}` or `{"model", "rows"}`.

        Raises:
            RequestInvalid: it is neither; with its faults.
            UnknownModel, NoChampion, ChampionUnfit: nobody can answer.
            RowsRefusedError: some row breaks the contract; nothing was recorded but the count.
            IdempotencyKeyReused, RequestInFlight: the key belongs to another request.
            LedgerBusy: nothing was kept.
        """
        request = _read(body, self._rows_max)
        with self._under_way.claim(idempotency_key):
            sent = _digest_of(request, idempotency_key)
            if idempotency_key is not None and sent is not None:
                first = self._first_answer(idempotency_key, sent, len(request.rows))
                if first is not None:
                    return first
            try:
                append = self._judged(request, idempotency_key, cause.request_id, sent)
            except RowsRefusedError as refusal:
                self._count(request, refusal, cause)
                raise
            try:
                return self._ledger.append([append], cause)
            except IdempotencyConflict:
                raise _reused(idempotency_key) from None

    async def make_soon(
        self,
        body: object,
        *,
        idempotency_key: str | None,
        cause: Cause,
        alone: Callable[[], AbstractAsyncContextManager[object]],
    ) -> Sequence[Recorded]:
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
            judged = partial(self._judged, request, idempotency_key, cause.request_id, sent)
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
                return await self._ledger.append_soon([append], cause)
            except IdempotencyConflict:
                raise _reused(idempotency_key) from None

    def _fits(self, request: PredictionRequest) -> bool:
        """Whether the rows are few, or can be judged together."""
        if len(request.rows) <= _FEW_ROWS:
            return True
        guard = self._champions.of(request.model).guard
        return guard.accepted_together(request.rows, labelled=False) is not None

    def _judged(
        self,
        request: PredictionRequest,
        key: str | None,
        request_id: str | None,
        sent: bytes | None,
    ) -> StreamAppend:
        """The predictions to record: rows held to the contract, the champion asked."""
        serving = self._champions.of(request.model)
        champion = serving.ready()
        rows = _accepted(serving.guard, request)
        made = _predict(request.model, champion, serving.guard, rows, request_id)
        first = new_id() if key is None else keyed_event_id(key, 0)
        events = tuple(
            NewEvent(
                event=event,
                id=id,
                occurred_at=occurred_at,
                request_digest=sent,
                personal=serving.guard.personal,
                keys=serving.guard.keys,
            )
            for id, (event, occurred_at) in zip(prediction_ids(first, len(made)), made, strict=True)
        )
        return StreamAppend(predictions_stream(request.model), events, None)

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


def _accepted(guard: RowGuard, request: PredictionRequest) -> list[Row]:
    if request.pointers is None:
        return guard.check_rows(request.rows, labelled=False, path="/rows")
    return [guard.check_row(request.rows[0], labelled=False, path=request.pointers[0])]


def _digest_of(request: PredictionRequest, key: str | None) -> bytes | None:
    """The request digest (32 bytes), which only a request with a key needs."""
    return None if key is None else bytes.fromhex(digest_as_read(request.sent))


def _predict(
    model: str, champion: Loaded, guard: RowGuard, rows: Sequence[Row], request_id: str | None
) -> list[tuple[PredictionMade, str]]:
    """Each row's event and when the row happened."""
    plan = champion.plan
    if guard.personal and len(rows) > 1:
        request_id = None  # what rows share is hashed, and never erased
    if len(rows) == 1:
        one = plan.predict_row(rows[0])
        native, unknown = [one.native], [one.unknown_categories]
    else:
        many = plan.predict_rows(rows)
        native, unknown = many.native.tolist(), many.unknown_categories
    return [
        (
            PredictionMade(
                model=model,
                model_version=champion.model_version,
                plan_sha256=plan.sha256,
                identity=guard.identity_of(row),
                row=row,
                prediction=prediction,
                unknown_categories=tuple(names),
                request_id=request_id,
            ),
            guard.event_time_of(row),
        )
        for row, prediction, names in zip(rows, native, unknown, strict=True)
    ]


def _reused(key: str | None) -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"Idempotency-Key {key!r} was used with another body. Draw a new key for a new request."
    )
