"""The names of the streams."""

from __future__ import annotations

from typing import Final

_CYCLE: Final = "cycle-"


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
