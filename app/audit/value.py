"""What a model's champions were worth: each reign as measured, and their sum; never an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from app.ledger.store import Connection
from app.projections.reigns import ReignView, reigns_of
from domain.events.verdicts import significant_digits


@dataclass(frozen=True, slots=True, kw_only=True)
class ReignTold:
    """One champion's reign in words, the same wherever it is shown."""

    model_version: str
    previous: str | None
    ended: bool
    value: float | None  # in `unit`
    low: float | None  # of its 95 % interval
    high: float | None
    after_cost: float | None  # value less what the training cost; None: no cost is declared
    unit: str | None
    served_rows: int
    labelled_rows: int
    sentence: str  # 'car-price/2 saved 61,328 1983 USD against car-price/1 [23,911 to 98,745] ...'


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTold:
    """Every reign of a model, oldest first, and what they come to together."""

    reigns: tuple[ReignTold, ...]
    value: float | None  # of all that were measured, in `unit`
    after_cost: float | None
    unit: str | None
    measured: int  # reigns in the sum
    sentence: str


def value_told(connection: Connection, model: str) -> ValueTold:
    """What the model's champions were worth, as last measured."""
    reigns = tuple(_told(reign) for reign in reigns_of(connection, model))
    measured = [reign for reign in reigns if reign.value is not None]
    unit = measured[-1].unit if measured else None
    summed = [reign for reign in measured if reign.unit == unit]
    value = sum(reign.value or 0.0 for reign in summed) if summed else None
    costs = [reign.after_cost for reign in summed]
    after = sum(cost for cost in costs if cost is not None) if costs and None not in costs else None
    return ValueTold(
        reigns=reigns,
        value=value,
        after_cost=after,
        unit=unit,
        measured=len(summed),
        sentence=_sum_sentence(value, after, unit, len(summed)),
    )


def _told(reign: ReignView) -> ReignTold:
    after = (
        None
        if reign.value is None or reign.retraining_cost is None
        else reign.value - reign.retraining_cost
    )
    return ReignTold(
        model_version=reign.model_version,
        previous=reign.previous,
        ended=reign.ended,
        value=reign.value,
        low=reign.low,
        high=reign.high,
        after_cost=after,
        unit=reign.unit,
        served_rows=reign.served_rows,
        labelled_rows=reign.labelled_rows,
        sentence=_sentence(reign, after),
    )


def _sentence(reign: ReignView, after: float | None) -> str:
    if reign.value is None:
        return f"{reign.model_version}: no value, {reign.note}"
    interval = (
        f"[{_amount(reign.low)} to {_amount(reign.high)}]"
        if reign.low is not None and reign.high is not None
        else f"({reign.note})"
    )
    said = (
        f"{reign.model_version} {_saved(reign.value)} {reign.unit} against {reign.previous} "
        f"{interval}, on {reign.labelled_rows} labelled of {reign.served_rows} rows served"
    )
    if after is None:
        return said
    return f"{said}; {_amount(after)} after a retraining cost of {_amount(reign.retraining_cost)}"


def _sum_sentence(value: float | None, after: float | None, unit: str | None, measured: int) -> str:
    if value is None:
        return "no reign has a measured value yet"
    reigns = "1 reign" if measured == 1 else f"{measured} reigns"
    said = f"together they {_saved(value)} {unit} in {reigns}, each against who served before it"
    return said if after is None else f"{said}; {_amount(after)} after what retraining cost"


def _saved(value: float) -> str:
    return f"saved {_amount(value)}" if value >= 0 else f"lost {_amount(-value)}"


def _amount(value: float | None) -> str:
    """An amount as people write it: whole from a hundred on, with separators.

    >>> _amount(61328.017), _amount(-2.5), _amount(None)
    ('61,328', '-2.5', '0')
    """
    amount = value or 0.0
    return f"{amount:,.0f}" if abs(amount) >= 100 else significant_digits(amount)  # noqa: PLR2004
