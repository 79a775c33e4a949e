"""What routes take and answer, with examples; the OpenAPI document is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

EXAMPLE_ROW: Final[dict[str, JsonValue]] = {
    "year": 1976,
    "car_id": 129,
    "vintage_id": "AMGREM71",
    "hpwt": 0.53,
    "mpd": 1.89,
    "mpg": 1.7,
    "space": 1.15,
    "air": 0,
    "region": "US",
}
_ID: Final = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21"
_SHA256: Final = "9f2c41aa" * 8
_TIME: Final = "1977-01-01T00:00:00.000000Z"

# What a person says: blanks alone are no reason.
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PredictionOfRow(_Request):
    """One row to predict."""

    model: str = Field(examples=["car-price"])
    row: dict[str, JsonValue] = Field(
        description="the contract's columns without the target", examples=[EXAMPLE_ROW]
    )


class PredictionOfRows(_Request):
    """Many rows to predict, all or none."""

    model: str = Field(examples=["car-price"])
    rows: list[dict[str, JsonValue]] = Field(min_length=1, examples=[[EXAMPLE_ROW]])


class ForceRequest(_Request):
    """Retrain whatever the policy says."""

    reason: Reason = Field(examples=["new supplier since March"])


class CycleRequest(_Request):
    """How a cycle shall run."""

    as_of: str | None = Field(
        default=None,
        max_length=64,
        description="RFC 3339; rows that happened before it are looked at; default now",
        examples=["1977-01-01T00:00:00Z"],
    )
    force: ForceRequest | None = None


class RollbackRequest(_Request):
    """Let an earlier champion serve again."""

    to: str = Field(min_length=1, max_length=128, examples=["car-price/6"])
    reason: Reason = Field(examples=["complaints from the west"])


RECEIPT: Final = Field(
    default=None, description="only with `Prefer: receipt`: position, leaf hash, proof, checkpoint"
)


class PredictionAnswer(BaseModel):
    """One row's prediction, as recorded."""

    prediction: float = Field(
        description="target's unit; for a log target a median, not a mean", examples=[5.37]
    )
    prediction_id: str = Field(description="name it when the label is known", examples=[_ID])
    identity: str = Field(description="the row's identity", examples=["year=1976|car_id=129"])
    position: int = Field(description="where it stands in the ledger", examples=[812])
    unknown_categories: list[str] = Field(
        description="features whose category the model never saw", examples=[[]]
    )
    receipt: dict[str, Any] | None = RECEIPT


class PredictionsAnswer(BaseModel):
    """Who answered, and the answers in the order of the rows; committed before they are sent."""

    model: str = Field(examples=["car-price"])
    model_version: str = Field(examples=["car-price/3"])
    plan_digest: str = Field(description="SHA-256 of the serving plan", examples=[_SHA256])
    request_id: str | None = Field(description="the first request's X-Request-Id", examples=[None])
    predictions: list[PredictionAnswer]


class RecordedEvent(BaseModel):
    """Where an event the client sent stands in the ledger."""

    source: str = Field(examples=["/cars/1976"])
    source_id: str = Field(description="the id it has there", examples=["129"])
    id: str = Field(description="UUIDv5 of both", examples=[_ID])
    position: int = Field(examples=[813])
    recorded_at: str = Field(examples=["2026-02-03T09:30:00.000000Z"])
    receipt: dict[str, Any] | None = RECEIPT


class EventsAnswer(BaseModel):
    """The events, in the order they were sent."""

    recorded: list[RecordedEvent]


class AdoptionAnswer(BaseModel):
    """The document in force."""

    name: str = Field(
        description="the contract's model, or the policy's id", examples=["car-price"]
    )
    digest: str = Field(description="SHA-256 of the canonical document", examples=[_SHA256])
    position: int = Field(description="of the event that adopted it", examples=[1])


class IntakeFault(BaseModel):
    """One bad row of a CSV."""

    path: str = Field(examples=["/line/17"])
    message: str = Field(examples=["price is -1.0; the contract allows 0.5 to 500"])
    value: Any = None


class DatasetAnswer(BaseModel):
    """What became of a CSV."""

    model: str = Field(examples=["car-price"])
    dataset_sha256: str = Field(description="of the bytes as received", examples=[_SHA256])
    accepted: int = Field(description="rows recorded as observations", examples=[463])
    already_known: int = Field(description="rows that stood so before", examples=[0])
    quarantined: int = Field(description="rows refused", examples=[2])
    quarantine_file: str | None = Field(
        description="in the state directory's quarantine/: every bad row with line and reason",
        examples=["car-price-9f2c41aa9f2c41aa.jsonl"],
    )
    faults: list[IntakeFault] = Field(description="the first 20 reasons")
    position: int | None = Field(
        description="of the event that closes the upload; null: nothing new", examples=[1390]
    )


class RollbackAnswer(BaseModel):
    """Who serves from here on."""

    model: str = Field(examples=["car-price"])
    model_version: str = Field(examples=["car-price/6"])
    replaced: str = Field(examples=["car-price/7"])
    reason: str = Field(examples=["complaints from the west"])
    position: int = Field(examples=[4021])


class CycleAnswer(BaseModel):
    """A retraining cycle."""

    cycle: str = Field(examples=["car-price-12"])
    model: str = Field(examples=["car-price"])
    number: int = Field(examples=[12])
    url: str = Field(examples=["/models/car-price/cycles/car-price-12"])
    as_of: str = Field(examples=[_TIME])
    status: str = Field(description="open or ended", examples=["ended"])
    outcome: str | None = Field(description="of the decision", examples=["retrain"])
    conclusion: str | None = Field(description="how it ended", examples=["promoted"])
    sentence: str | None = Field(
        description="the verdict sentence", examples=["KEEP: cool-down 20.8 h (needs > 24 h)"]
    )
    attempts: int = Field(examples=[1])
    started_at: str = Field(examples=["2026-02-03T09:30:00.000000Z"])
    started_position: int = Field(examples=[1391])
    ended_at: str | None = Field(examples=["2026-02-03T09:30:04.100000Z"])
    ended_position: int | None = Field(examples=[1402])
    steps: dict[str, Any] = Field(description="event type -> its data, refusals included")


class CyclePage(BaseModel):
    """Cycles of one model, newest first."""

    cycles: list[CycleAnswer]


class ClauseAnswer(BaseModel):
    """One clause of the policy: exact, and in the words every page and report shows."""

    clause: str = Field(examples=["cool_down"])
    fact: str = Field(examples=["hours_since_last_retraining"])
    label: str = Field(examples=["cool-down"])
    operator: str = Field(examples=[">"])
    threshold: float = Field(examples=[24.0])
    unit: str = Field(description="empty when dimensionless", examples=["h"])
    observed: float | None = Field(description="null: unknown", examples=[20.75])
    verdict: str = Field(description="met, unmet or unknown", examples=["unmet"])
    margin: float | None = Field(description="past the threshold", examples=[-3.25])
    note: str = Field(description="why it is unknown", examples=[""])
    symbol: str = Field(examples=["✗"])
    shown: str = Field(description="what was observed", examples=["20.75 h"])
    needs: str = Field(examples=["> 24 h"])
    distance: str = Field(examples=["3.25 h short of it"])
    band: str = Field(description="of a PSI: stable, minor or significant", examples=[""])
    sentence: str = Field(examples=["cool-down 20.75 h (needs > 24 h)"])


class GateAnswer(BaseModel):
    """One gate, in the words every page and report shows."""

    name: str = Field(examples=["Deployment"])
    question: str = Field(examples=["Does the candidate beat the champion on the same rows?"])
    verdict: str = Field(description="passed, failed, not evaluated or waiting")
    symbol: str = Field(examples=["✓"])
    reason: str = Field(examples=["RMSE 0.1536 beats car-price/1's 0.2342, on 24 rows."])
    rows: int | None = Field(examples=[24])
    figures: dict[str, float] = Field(
        description="side -> RMSE, transformed scale", examples=[{"candidate": 0.1536}]
    )
    errors: str = Field(description="the figures", examples=["candidate 0.1536"])
    note: str = Field(description="what else was measured", examples=[""])


class DecisionAnswer(BaseModel):
    """One decision, why, and what came of it."""

    id: str = Field(examples=[_ID])
    position: int = Field(examples=[1397])
    model: str = Field(examples=["car-price"])
    cycle: str = Field(examples=["car-price-12"])
    outcome: str = Field(examples=["keep: rules not met"])
    as_of: str = Field(examples=[_TIME])
    recorded_at: str = Field(examples=["2026-02-03T09:30:02.000000Z"])
    sentence: str = Field(examples=["KEEP: cool-down 20.8 h (needs > 24 h)"])
    occurred_at: str = Field(examples=[_TIME])
    clauses: list[ClauseAnswer] = Field(description="in the policy's order; none: undecided")
    gates: list[GateAnswer] = Field(description="in their order; none: nothing was trained")
    conclusion: str | None = Field(description="how its cycle ended", examples=["rejected"])
    conclusion_reason: str = Field(description="why it ended early", examples=[""])
    candidate: str | None = Field(examples=["car-price/12"])
    champion_compared: str | None = Field(examples=["car-price/3"])
    champion: str | None = Field(description="who serves at its end", examples=["car-price/3"])
    aftermath: str = Field(
        description="what came of it",
        examples=["rejected. Candidate car-price/12 against champion car-price/3."],
    )
    earliest_retraining: str | None = Field(
        description="the end of its cool-down; null: it does not hold back", examples=[_TIME]
    )
    decision: dict[str, Any] = Field(description="facts, clauses, trace: the event's data, whole")


class DecisionPage(BaseModel):
    """Decisions by position, oldest first; the `Link` header leads to the next page."""

    decisions: list[DecisionAnswer]


class ModelAnswer(BaseModel):
    """One model: what serves, since when, and what has happened."""

    model: str = Field(examples=["car-price"])
    title: str = Field(examples=["List price of car models sold in the United States"])
    contract_digest: str = Field(examples=[_SHA256])
    contract_position: int = Field(examples=[1])
    policy: str = Field(examples=["strict-and"])
    champion: str | None = Field(examples=["car-price/3"])
    answers: str | None = Field(
        description="the version this process answers with; differs for less than a second",
        examples=["car-price/3"],
    )
    plan_digest: str | None = Field(examples=[_SHA256])
    champion_since: str | None = Field(examples=["2026-02-03T09:30:04.000000Z"])
    champion_as_of: str | None = Field(examples=[_TIME])
    champion_cycle: str | None = Field(examples=["car-price-12"])
    trained_until: str | None = Field(examples=["1976-07-01T00:00:00.000001Z"])
    last_cycle: str | None = Field(examples=["car-price-12"])
    cycles: int = Field(examples=[12])
    decisions: int = Field(examples=[12])
    trainings: int = Field(examples=[8])
    promotions: int = Field(examples=[7])
    rejections: int = Field(examples=[1])
    rollbacks: int = Field(examples=[0])
    alarm: str | None = Field(description="why the champion does not serve", examples=[None])


class WholeModelAnswer(ModelAnswer):
    """One model with its contract."""

    contract: dict[str, Any] = Field(description="the document in force, whole, as adopted")


class ModelPage(BaseModel):
    """Every model, by name."""

    models: list[ModelAnswer]


class HealthAnswer(BaseModel):
    """A model's health now. Stale is never green."""

    model: str = Field(examples=["car-price"])
    state: str = Field(description="healthy, degraded, stale or no champion", examples=["healthy"])
    reasons: list[str] = Field(description="why it is not healthy", examples=[[]])
    sentence: str = Field(description="both in one", examples=["car-price is healthy"])
    champion: str | None = Field(examples=["car-price/3"])
    at: str = Field(description="when this was asked", examples=["2026-02-03T09:31:00.000000Z"])
    days_since_evaluation: float | None = Field(examples=[0.0006])
    overdue_predictions: int = Field(
        description="older than the contract lets labels take", examples=[0]
    )
    overdue_unlabelled: int = Field(description="of those, without a label", examples=[0])
    success_rate: float | None = Field(description="promotions / trainings", examples=[0.875])
    promotion_rate: float | None = Field(description="promotions / decisions", examples=[0.583])
    last_cycle: str | None = Field(description="that ended", examples=["car-price-12"])
    last_report: dict[str, Any] | None = Field(description="what that cycle measured; or null")
    alarm: str | None = Field(examples=[None])


class Liveness(BaseModel):
    """The process runs."""

    status: str = Field(examples=["alive"])


class Readiness(BaseModel):
    """Whether the process can answer."""

    status: str = Field(examples=["ready"])
    ledger: str = Field(description="the ledger's id", examples=[_ID])
    size: int = Field(description="entries of the ledger", examples=[1403])
    champions: dict[str, str | None] = Field(examples=[{"car-price": "car-price/3"}])
    alarms: dict[str, str] = Field(examples=[{}])
