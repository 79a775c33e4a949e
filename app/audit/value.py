"""What a model's champions were worth: each reign as measured, and their sum; never an estimate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.audit.templates import moment
from app.ledger.store import Connection
from app.projections.cycles import completed_trainings
from app.projections.reigns import ReignView, reigns_of
from domain.events.verdicts import amount


@dataclass(frozen=True, slots=True, kw_only=True)
class ReignTold:
    """One champion's reign in words, the same wherever it is shown."""

    model_version: str
    previous: str | None
    ended: bool
    as_of: str | None  # of the last measurement, UTC; None: none yet
    value: float | None  # in `unit`
    low: float | None  # of its 95 % interval
    high: float | None
    trained: bool  # for this reign; a rollback brings back what was trained before
    after_cost: float | None  # value less its own training's cost; None: no cost is declared
    unit: str | None
    served_rows: int
    labelled_rows: int
    sentence: str  # 'car-price/2 saved 61,328 1983 USD against car-price/1 [23,911 to 98,745] ...'


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTold:
    """Every reign of a model, oldest first, and what they come to together."""

    reigns: tuple[ReignTold, ...]
    value: float | None  # of all that were measured, in `unit`
    trainings: int | None  # that are charged: completed since who served before the first of them
    retraining_cost: float | None  # of each, in `unit`; None: no cost is declared
    after_cost: float | None  # value less what all these trainings cost
    unit: str | None
    measured: int  # reigns in the sum
    sentence: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each reign's, oldest first, and the sum's; none before anybody reigned."""
        if not self.reigns:
            return ()
        return (*(reign.sentence for reign in self.reigns), self.sentence)


def value_told(connection: Connection, model: str) -> ValueTold:
    """What the model's champions were worth, as last measured.

    After cost: less the cost of every training that completed since the champion began to serve
    that the first reign of the sum is held against, promoted or rejected, each counted once. So
    the first model's own training is not charged, for it replaced nobody and has no value here;
    nor is a rollback, which trains nothing. The cost is the one that the last reign of the sum was
    measured with.
    """
    views = reigns_of(connection, model)
    measured = [reign for reign in views if reign.value is not None]
    unit = measured[-1].unit if measured else None
    summed = [reign for reign in measured if reign.unit == unit]
    value = sum(reign.value or 0.0 for reign in summed) if summed else None
    cost = summed[-1].retraining_cost if summed else None
    trainings = after = None
    if value is not None:
        before = views[max(0, views.index(summed[0]) - 1)]
        trainings = completed_trainings(connection, model, after=before.since)
        after = None if cost is None else value - trainings * cost
    return ValueTold(
        reigns=tuple(_all_told(views)),
        value=value,
        trainings=trainings,
        retraining_cost=cost,
        after_cost=after,
        unit=unit,
        measured=len(summed),
        sentence=_sum_sentence(value, summed) + _after_trainings(after, trainings or 0, summed),
    )


def _all_told(reigns: Sequence[ReignView]) -> Iterator[ReignTold]:
    earlier: set[str] = set()
    for reign in reigns:
        yield _told(reign, trained=reign.model_version not in earlier)
        earlier.add(reign.model_version)


def _told(reign: ReignView, *, trained: bool) -> ReignTold:
    after = None
    if reign.value is not None and reign.retraining_cost is not None:
        after = reign.value - (reign.retraining_cost if trained else 0.0)
    return ReignTold(
        model_version=reign.model_version,
        previous=reign.previous,
        ended=reign.ended,
        as_of=reign.as_of,
        value=reign.value,
        low=reign.low,
        high=reign.high,
        trained=trained,
        after_cost=after,
        unit=reign.unit,
        served_rows=reign.served_rows,
        labelled_rows=reign.labelled_rows,
        sentence=_sentence(reign) + _after_training(reign, after, trained),
    )


def _sentence(reign: ReignView) -> str:
    if reign.value is None:
        return f"{reign.model_version}: no value, {reign.note}"
    interval = (
        f"[{amount(reign.low)} to {amount(reign.high)}]"
        if reign.low is not None and reign.high is not None
        else f"({reign.note})"
    )
    beside = f"; {reign.note}" if reign.low is not None and reign.note else ""
    return (
        f"{reign.model_version} {_saved(reign.value)} {reign.unit} against {reign.previous} "
        f"{interval}, on {reign.labelled_rows} labelled of {reign.served_rows} rows served, "
        f"{_by_labels(reign)}{beside}"
    )


def _by_labels(reign: ReignView) -> str:
    """Which labels could count: a reign that has ended is not measured again."""
    until = moment(reign.as_of or "")
    if reign.ended:
        return f"by the labels that had come when its reign ended, as of {until}"
    return f"by the labels that came until the cycle as of {until}"


def _after_training(reign: ReignView, after: float | None, trained: bool) -> str:
    if after is None:
        return ""
    if not trained:
        return "; nothing was trained for it"
    cost = amount(reign.retraining_cost or 0.0)
    return f"; {amount(after)} after its training at {cost} {reign.unit}"


def _sum_sentence(value: float | None, summed: Sequence[ReignView]) -> str:
    if value is None:
        return "no reign has a measured value yet"
    reigns = "1 reign" if len(summed) == 1 else f"{len(summed)} reigns"
    return (
        f"together they {_saved(value)} {summed[-1].unit} in {reigns}, each against who served "
        "before it"
    )


def _after_trainings(after: float | None, trainings: int, summed: Sequence[ReignView]) -> str:
    if after is None:
        return ""
    number = "1 training" if trainings == 1 else f"{trainings} trainings"
    return (
        f"; {amount(after)} after {number} at {amount(summed[-1].retraining_cost or 0.0)} "
        f"{summed[-1].unit} each, promoted or rejected, since {summed[0].previous} began to serve, "
        "whose own training is not charged"
    )


def _saved(value: float) -> str:
    return f"saved {amount(value)}" if value >= 0 else f"lost {amount(-value)}"
