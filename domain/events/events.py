"""Every event there is: past tense, frozen, with a stable name and a schema number.

The catalogue `docs/events.md` is generated from this file. A changed payload is a new schema number
and an upcaster, never an edit. Cycle events live in `cycle_events.py`, those of many rows at once
in `block_events.py`; all join in `Event` and `EVENT_TYPES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Struct

from domain.canonical import CanonicalInteger
from domain.events.block_events import BLOCK_EVENTS, BlockEvent, RowPlace
from domain.events.cycle_events import CYCLE_EVENTS, CycleEvent
from domain.events.findings import GroupInterval
from domain.units import noted

Json = dict[str, Any]  # a JSON object as the client sent it
How = Literal["verified", "accepted"]  # damage is settled
# A CloudEvent's further attributes, by name; and one row: column -> value, null where missing.
Extensions = dict[str, str | CanonicalInteger | bool]
Row = dict[str, float | CanonicalInteger | str | None]
# Rows by columns: column -> a value for each of them.
RowColumns = Mapping[str, Sequence[float | CanonicalInteger | str | None]]


class LedgerCreated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The first entry of every ledger."""

    type: ClassVar[str] = "ledger.created"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "ledger"

    ledger_id: Annotated[str, noted("UUIDv7", "names this ledger for ever")]
    format: Annotated[int, noted("number", "version of the envelope and its bytes")]


class PayloadErased(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """All that was kept apart about one row was erased; the envelopes and their hashes stay."""

    type: ClassVar[str] = "ledger.payload-erased"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "ledger"

    model: Annotated[str, noted("name", "the model whose row it was")]
    entries: Annotated[tuple[int, ...], noted("positions", "whose data and salt were erased")]
    rows: Annotated[
        tuple[RowPlace, ...], noted("places", "in entries of many, whose line and salt were erased")
    ]
    artefacts: Annotated[
        tuple[str, ...],
        noted("sha256 hex", "frozen references, residuals and identities erased with them"),
    ]
    cycles: Annotated[
        tuple[str, ...],
        noted("ids", "whose merged data held the row; their files and MLflow artefacts are erased"),
    ]
    model_versions: Annotated[
        tuple[str, ...], noted("name/number", "trained by them: they cannot be rebuilt any more")
    ]
    reason: Annotated[str, noted("words", "why, as the person who did it says")]
    legal_basis: Annotated[str, noted("words", "what obliges or allows it")]


class DamageFound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A reader met something that is not as it was written; from here on nothing is decided."""

    type: ClassVar[str] = "ledger.damage-found"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "ledger"

    position: Annotated[int | None, noted("position", "of the entry; null: of no single one")]
    said: Annotated[str, noted("words", "what was expected there, and what was found")]


class DamageSettled(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What was found is gone, or somebody takes it upon himself: deciding goes on."""

    type: ClassVar[str] = "ledger.damage-settled"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "ledger"

    found: Annotated[tuple[int, ...], noted("positions", "of the `ledger.damage-found` it settles")]
    how: Annotated[How, noted("verified or accepted", "nothing is broken any more; or it is known")]
    reason: Annotated[str, noted("words", "why, as who did it says")]


class ContractAdopted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From here on the model's rows are held to this contract."""

    type: ClassVar[str] = "model.contract-adopted"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "model-<model>"

    model: Annotated[str, noted("name", "the model")]
    contract: Annotated[Json, noted("document", "the contract, whole, as parsed, before defaults")]
    contract_digest: Annotated[str, noted("sha256 hex", "of the contract's canonical bytes")]


class PolicyAdopted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From here on cycles whose contract names this policy are judged by this version of it."""

    type: ClassVar[str] = "policy.adopted"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "policy-<id>"

    policy: Annotated[str, noted("id", "the policy")]
    policy_version: Annotated[int, noted("number", "its version, as the document says")]
    document: Annotated[Json, noted("document", "the policy, whole, as parsed, before defaults")]
    policy_digest: Annotated[str, noted("sha256 hex", "of the document's canonical bytes")]


class CandidatePromoted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The candidate serves. This event is the promotion; everything else follows from it."""

    type: ClassVar[str] = "model.candidate-promoted"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "model-<model>"

    model: Annotated[str, noted("name", "the model")]
    model_version: Annotated[str, noted("name/number", "who serves from here on: 'car-price/7'")]
    replaced: Annotated[str | None, noted("name/number", "who served before; null at the first")]
    plan_sha256: Annotated[str, noted("sha256 hex", "the serving plan, an artefact")]
    reference_sha256: Annotated[str, noted("sha256 hex", "the frozen drift reference, an artefact")]
    cycle: Annotated[str, noted("id", "the cycle that trained and judged it: 'car-price-12'")]
    as_of: Annotated[str, noted("time", "the cycle's as_of")]
    trained_until: Annotated[str, noted("time", "end of its training rows' event time, exclusive")]
    registry_run: Annotated[str | None, noted("id", "the MLflow run, null when there is none")]


class ChampionRolledBack(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An earlier champion serves again. History stays."""

    type: ClassVar[str] = "model.champion-rolled-back"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "model-<model>"

    model: Annotated[str, noted("name", "the model")]
    model_version: Annotated[str, noted("name/number", "who serves from here on")]
    replaced: Annotated[str, noted("name/number", "who served before")]
    plan_sha256: Annotated[str, noted("sha256 hex", "the serving plan, an artefact")]
    reference_sha256: Annotated[str, noted("sha256 hex", "the frozen drift reference, an artefact")]
    trained_until: Annotated[str, noted("time", "end of its training rows' event time, exclusive")]
    registry_run: Annotated[str | None, noted("id", "the MLflow run, null when there is none")]
    reason: Annotated[str, noted("words", "why, as the person who did it says")]


class ValueMeasured(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What a champion was worth so far in its reign, against who served before it.

    Over the rows that it served in the reign and that got labels, never either's training or
    holdout; each measurement begins at the reign's begin, so a later one replaces an earlier one.
    """

    type: ClassVar[str] = "champion.value-measured"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "model-<model>"

    model: Annotated[str, noted("name", "the model")]
    model_version: Annotated[str, noted("name/number", "who served")]
    since: Annotated[int, noted("position", "of the promotion or rollback its reign began with")]
    previous: Annotated[str | None, noted("name/number", "who served before; null: nobody did")]
    occasion: Annotated[
        Literal["cycle", "promotion", "rollback"],
        noted("name", "a cycle ended in the reign; or what ended the reign itself"),
    ]
    as_of: Annotated[str, noted("time", "rows with event time before it are looked at")]
    served_rows: Annotated[int, noted("rows", "that it served in its reign, none that either saw")]
    labelled_rows: Annotated[int, noted("rows", "of them, with a label")]
    value: Annotated[
        float | None,
        noted("contract's value unit", "sum of |previous error| - |its error|, valued; or null"),
    ]
    interval: GroupInterval | None
    unit: Annotated[str | None, noted("unit", "of the value; null: the contract declares none")]
    retraining_cost: Annotated[
        float | None, noted("contract's value unit", "of one training; null: nobody has said")
    ]
    note: Annotated[str, noted("words", "why there is no value or interval, and what was left out")]


class PredictionMade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One row was answered with one prediction. The event's id is the prediction id."""

    type: ClassVar[str] = "predictions.prediction-made"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "predictions-<model>"

    model: Annotated[str, noted("name", "the model")]
    model_version: Annotated[str, noted("name/number", "who answered")]
    plan_sha256: Annotated[str, noted("sha256 hex", "the serving plan that answered")]
    identity: Annotated[str, noted("key", "the row's identity columns, 'year=1976|car_id=129'")]
    row: Annotated[Row, noted("contract's", "features and other columns as accepted")]
    prediction: Annotated[float, noted("target's unit", "for a log target a median, not a mean")]
    unknown_categories: Annotated[
        tuple[str, ...], noted("names", "features whose category the plan never saw")
    ]
    request_id: Annotated[str | None, noted("id", "the client's X-Request-Id, null without one")]


class ObservationRecorded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One labelled row was observed, not tied to a prediction."""

    type: ClassVar[str] = "observations.observation-recorded"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "observations-<model>"

    model: Annotated[str, noted("name", "the model")]
    source: Annotated[
        str, noted("URI reference", "who sent it (CloudEvents source, or the upload)")
    ]
    source_id: Annotated[str, noted("id", "the id it has there")]
    identity: Annotated[str, noted("key", "the row's identity columns")]
    row: Annotated[Row, noted("contract's", "features, target and other columns as accepted")]
    extensions: Annotated[Extensions, noted("attributes", "that the CloudEvent had beside ours")]


class OutcomeRecorded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The true value of a prediction became known. A later one for the same row is a correction."""

    type: ClassVar[str] = "observations.outcome-recorded"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "observations-<model>"

    model: Annotated[str, noted("name", "the model")]
    source: Annotated[str, noted("URI reference", "who sent it (CloudEvents source)")]
    source_id: Annotated[str, noted("id", "the id it has there")]
    prediction_id: Annotated[str, noted("UUID", "the prediction whose row is labelled")]
    identity: Annotated[str, noted("key", "that row's identity columns")]
    label: Annotated[float, noted("target's unit", "the true value")]
    extensions: Annotated[Extensions, noted("attributes", "that the CloudEvent had beside ours")]


class RowsRefused(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Rows broke the contract and were not kept: counted, at most once a minute a model."""

    type: ClassVar[str] = "observations.rows-refused"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "observations-<model>"

    model: Annotated[str, noted("name", "the model")]
    door: Annotated[str, noted("name", "where they came in: predictions, events or datasets")]
    rows: Annotated[int, noted("rows", "refused rows, each counted once")]
    reasons: Annotated[dict[str, int], noted("refusals", "'field: reason' -> count")]


class DatasetReceived(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A CSV was read to its end: good rows stand before this event, bad ones in quarantine."""

    type: ClassVar[str] = "observations.dataset-received"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "observations-<model>"

    model: Annotated[str, noted("name", "the model")]
    dataset_sha256: Annotated[str, noted("sha256 hex", "of the CSV bytes as received")]
    accepted: Annotated[int, noted("rows", "recorded as observations")]
    already_known: Annotated[
        int, noted("rows", "recorded by an earlier upload, not recorded again")
    ]
    quarantined: Annotated[
        int, noted("rows", "refused, with line and reason in the quarantine file")
    ]
    quarantine_file: Annotated[str | None, noted("file name", "in the state directory; or null")]
    also: Annotated[
        dict[str, int],
        noted("rows", "corrections, repeated_keys, labelled_predictions: what else was counted"),
    ]


ModelEvent = ContractAdopted | CandidatePromoted | ChampionRolledBack | ValueMeasured
RowEvent = PredictionMade | ObservationRecorded | OutcomeRecorded | RowsRefused | DatasetReceived
LedgerEvent = LedgerCreated | PayloadErased | DamageFound | DamageSettled
Event = LedgerEvent | PolicyAdopted | ModelEvent | RowEvent | BlockEvent | CycleEvent

EVENT_TYPES: Final[tuple[type[Event], ...]] = (
    LedgerCreated,
    PayloadErased,
    DamageFound,
    DamageSettled,
    ContractAdopted,
    PolicyAdopted,
    CandidatePromoted,
    ChampionRolledBack,
    ValueMeasured,
    PredictionMade,
    ObservationRecorded,
    OutcomeRecorded,
    RowsRefused,
    DatasetReceived,
    *BLOCK_EVENTS,
    *CYCLE_EVENTS,
)
