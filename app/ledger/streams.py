"""The names of the streams, and the ids clients give events.

An id a client sends becomes a UUIDv5, so the same thing sent twice is the same event.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

_CYCLE: Final = "cycle-"
_NAMESPACE: Final = UUID("6f0ee2a5-35c7-5d4c-8f1c-0f6d5a5b7f3e")  # ours, fixed for ever


def model_stream(model: str) -> str:
    """The stream of the model: its contracts, promotions and rollbacks."""
    return f"model-{model}"


def policy_stream(policy: str) -> str:
    """The stream of the policy with this id."""
    return f"policy-{policy}"


def cycle_stream(cycle: str) -> str:
    """The stream of the cycle with this id.

    >>> cycle_of_stream(cycle_stream("car-price-3"))
    'car-price-3'
    """
    return f"{_CYCLE}{cycle}"


def cycle_of_stream(stream: str) -> str:
    """The id of the cycle whose stream this is."""
    return stream.removeprefix(_CYCLE)


def cycle_streams(model: str) -> tuple[str, str]:
    """The streams of the model's cycles are not less than the first, and less than the second.

    Others may stand among them, of a model whose name goes on where this one ends.

    >>> first, beyond = cycle_streams("car-price")
    >>> first <= cycle_stream("car-price-1") < cycle_stream("car-price-99") < beyond
    True
    """
    return f"{_CYCLE}{model}-", f"{_CYCLE}{model}-:"  # `:` follows 9


def predictions_stream(model: str) -> str:
    """The stream of the model's predictions."""
    return f"predictions-{model}"


def observations_stream(model: str) -> str:
    """The stream of the model's observations, outcomes, refusals and uploads."""
    return f"observations-{model}"


def source_event_id(source: str, source_id: str) -> str:
    """UUIDv5 of (`source`, `source_id`), the identity CloudEvents gives an event.

    >>> source_event_id("/cars", "1") == source_event_id("/cars", "1")
    True
    >>> source_event_id("/cars", "1") == source_event_id("/cars/", "1")
    False
    """
    return str(uuid5(uuid5(_NAMESPACE, f"source {source}"), source_id))


def keyed_event_id(idempotency_key: str, index: int) -> str:
    """UUIDv5 of (`idempotency_key`, `index` of the row in the request)."""
    return str(uuid5(uuid5(_NAMESPACE, f"idempotency-key {idempotency_key}"), str(index)))
