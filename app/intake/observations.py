"""Take in observations and outcomes as CloudEvents: all of a batch, or nothing and its faults.

An observation is a labelled row; an outcome is the label of a prediction, named by its id or by the
row's identity. The same (`source`, `id`) with the same body gets the first answer again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from anyio import CapacityLimiter, to_thread

from app.cause import Cause
from app.intake.cloud_events import OUTCOME
from app.intake.giving_way import GivingWay
from app.intake.judged_events import (
    JudgedEvents,
    ParsedEvent,
    UnknownPrediction,
    asks_for_rows,
    made_of,
    parse_event,
    refused_at_a_glance,
)
from app.intake.labels_together import labels_of, read_labels
from app.intake.named_predictions import NamedPredictions
from app.intake.refusals import Refusals
from app.intake.relayed_events import says_the_same
from app.ledger.known import is_same_request
from app.ledger.new_events import NewOutcomes
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import observations_stream, predictions_stream
from app.serving.champions import Champions
from domain.errors import (
    IdempotencyConflict,
    RequestInvalid,
    RowsRefusedError,
    UnknownModel,
    WhyledgerError,
)
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded, PayloadErased
from domain.events.expansion import expanded
from domain.faults import Fault, summary

DOOR: Final = "events"
FEW: Final = 16  # events that are judged beside others
_NEEDED: Final = frozenset({"specversion", "id", "source", "type"})  # of every event


@dataclass(slots=True)
class Taken:
    """What became of the events that were sent: recorded, in order; or passed over, by why."""

    recorded: list[Recorded]
    passed_over: dict[str, int]  # see `relayed_events`


@dataclass(frozen=True, slots=True)
class TakenTogether:
    """Events as they were recorded just now: in one entry, by columns."""

    entry: Recorded
    rows: NewOutcomes


@dataclass(slots=True)
class _Judged:
    """What is to be appended for the events that were sent."""

    ids: Sequence[str]  # of each, in order
    known: dict[str, Recorded]  # what is recorded already, by id
    appends: list[StreamAppend]
    passed_over: dict[str, int]
    together: NewOutcomes | None = None  # all that is appended, where it was judged together


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

    async def record_soon(
        self, sent: Sequence[object], *, batch: bool, cause: Cause
    ) -> Taken | TakenTogether:
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
        judged = await to_thread.run_sync(self._judge, sent, batch, cause, limiter=limiter)
        entries = judged.known
        if judged.appends:
            recorded = await self._ledger.append_soon(judged.appends, cause)
            if judged.together is not None:
                if all(entry is recorded[0] for entry in recorded):
                    return TakenTogether(recorded[0], judged.together)
                recorded = tuple(expanded({entry.id: entry for entry in recorded}.values()))
            entries |= {entry.id: entry for entry in recorded}
        return Taken([entries[id] for id in judged.ids], judged.passed_over)

    def _judge(self, sent: Sequence[object], batch: bool, cause: Cause) -> _Judged:
        if len(sent) > FEW and (together := self._judge_together(sent)) is not None:
            append = StreamAppend(observations_stream(together.model), (together,), None)
            return _Judged(together.ids, {}, [append], {}, together)
        return self._judge_each(sent, batch, cause)

    def _judge_together(self, sent: Sequence[object]) -> NewOutcomes | None:
        """The labels of an ordinary batch; None: it is to be judged event by event."""
        labels = read_labels(sent, self._skew_seconds)
        if labels is None:
            return None
        serving = self._champions.all().get(labels.model)
        if serving is None or self._ledger.known(labels.ids):
            return None
        folded = _folded_for([labels.model] if labels.rows else [])
        with self._ledger.connect(with_rows=folded) as connection:
            return labels_of(labels, serving, connection)

    def _judge_each(self, sent: Sequence[object], batch: bool, cause: Cause) -> _Judged:
        judged = JudgedEvents()
        parsed: list[ParsedEvent] = []
        giving_way = GivingWay()
        # What is wrong with rows is only found behind this loop; others need not wait for it.
        in_vain = len(sent) > FEW and any(
            refused_at_a_glance(item, self._champions, self._ledger_id)
            for item in sent[:: -(-len(sent) // FEW)]
        )
        full = False
        bare = 0  # of those beyond the list: to say what else is wrong would cost more than they
        for index, item in enumerate(sent):
            if in_vain or judged.codes:
                giving_way.pause()
            if full and not (type(item) is dict and item.keys() >= _NEEDED):
                bare += 1
                continue
            pointer = f"/{index}" if batch else ""
            one = parse_event(item, pointer, judged, self._ledger_id)
            if one is not None:
                parsed.append(one)
            full = judged.faults.is_full
        judged.faults.count(bare)
        known = self._ledger.known([each.id for each in parsed])
        ids: list[str] = []
        # An erased event has no digest: nothing equals it, so its id is not taken again.
        first: dict[str, bytes | None] = {id: each.request_digest for id, each in known.items()}
        new: dict[str, NewEvent] = {}
        named = {str(each.event.data.get("model")) for each in parsed if asks_for_rows(each)}
        models = self._champions.all().keys() & named
        with self._ledger.connect(with_rows=_folded_for(models)) as connection:
            predictions = NamedPredictions(connection)
            outcomes = (e.event.data for e in parsed if e.event.type == OUTCOME)
            predictions.look_up(outcomes, self._champions)
            for each in parsed:
                if in_vain or judged.codes:
                    giving_way.pause()
                pointer, id, request_digest = each.pointer, each.id, each.request_digest
                if each.relayed and id in known and says_the_same(known[id].recorded, each.relayed):
                    ids.append(id)
                    continue
                if not is_same_request(request_digest, first.setdefault(id, request_digest)):
                    judged.refuse(
                        IdempotencyConflict.code,
                        Fault(f"{pointer}/id", "was used before in this source with another body"),
                    )
                    continue
                if id not in known and id not in new:
                    made = made_of(each, judged, predictions, self._champions, self._skew_seconds)
                    if made is None:
                        continue
                    guard = self._champions.of(made[0].model).guard
                    new[id] = NewEvent(
                        event=made[0],
                        id=id,
                        occurred_at=made[1],
                        request_digest=request_digest,
                        personal=guard.personal,
                        keys=guard.keys,
                    )
                ids.append(id)
        self._refuse_if_any(judged, len(sent), cause)
        streams: dict[str, list[NewEvent]] = defaultdict(list)
        for each_new in new.values():
            streams[_stream_of(each_new.event)].append(each_new)
        appends = [StreamAppend(name, tuple(each), None) for name, each in streams.items()]
        entries = {id: each.recorded for id, each in known.items()}
        return _Judged(ids, entries, appends, dict(judged.passed_over))

    def _refuse_if_any(self, judged: JudgedEvents, sent: int, cause: Cause) -> None:
        """Raise what weighs most, with the first faults, by the events they stand in."""
        if not judged.codes:
            return
        for model, rows in judged.bad_rows.items():
            self._refusals.count(model, DOOR, rows, judged.reasons[model], cause)
        code = next(code for code in _BY_WEIGHT if code in judged.codes)
        faults = judged.faults
        faults.listed.sort(key=lambda fault: _index_of(fault.path))
        said = (
            f"{summary(faults)}. Nothing was kept (events sent: {sent}); correct what is wrong "
            "and send all again."
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


def _folded_for(models: Collection[str]) -> list[str]:
    """The streams that must be folded for who asks for the last prediction of rows of these models:
    he must not be led to one that was erased."""
    return [PayloadErased.stream, *map(predictions_stream, models)] if models else []


def _index_of(path: str) -> int:
    part = path.split("/")[1] if path else ""
    return int(part) if part.isdecimal() else 0


def _stream_of(event: object) -> str:
    assert isinstance(event, ObservationRecorded | OutcomeRecorded)  # noqa: S101 made above
    return observations_stream(event.model)
