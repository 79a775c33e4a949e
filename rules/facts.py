"""The facts a policy may name, each with its unit and bounds, and the check of what is offered.

A fact is a finite number within its bounds, or unknown (None, or not offered). Unknown is not
false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from domain.canonical import INTEGER_MAX
from domain.errors import PolicyNotDecided
from domain.events.findings import Band, psi_band
from domain.faults import Fault, pointer

Facts = dict[str, float | None]  # name -> value in the fact's unit; None: unknown

RETRAINING_FACT: Final = "hours_since_last_retraining"  # the one fact that may never have begun


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSpec:
    """One fact a policy may name: what it is, its unit, bounds and bands."""

    label: str  # as people say it
    unit: str  # empty when dimensionless
    low: float  # smallest possible value, inclusive
    high: float | None  # largest possible value, inclusive; None: no upper bound
    whole: bool  # counts have no fraction
    meaning: str
    about_drift: bool = False  # whether it says how far the window moved
    band: Callable[[float], Band] | None = None  # in which band a value lies; None: it has none

    def complaint(self, value: float) -> str:
        """Why `value` is impossible for this fact, as the end of a sentence; empty if possible."""
        if value < self.low or (self.high is not None and value > self.high):
            most = "" if self.high is None else f" and at most {self.high:.15g}"
            return f"is outside its bounds: at least {self.low:.15g}{most}"
        if self.whole and not value.is_integer():
            return "is a count and must be whole"
        return ""


FACTS: Final[Mapping[str, FactSpec]] = MappingProxyType(
    {
        "feature_drift_score": FactSpec(
            label="feature drift",
            unit="",
            low=0.0,
            high=None,
            whole=False,
            meaning="largest PSI among features with evidence; 0 when none has",
            about_drift=True,
            band=psi_band,
        ),
        "psi_max": FactSpec(
            label="largest PSI",
            unit="",
            low=0.0,
            high=None,
            whole=False,
            meaning="largest PSI of all features, with or without evidence",
            about_drift=True,
            band=psi_band,
        ),
        "drifted_feature_share": FactSpec(
            label="drifted features",
            unit="",
            low=0.0,
            high=1.0,
            whole=False,
            meaning="significant features / features measured; inputs only",
            about_drift=True,
        ),
        "prediction_drift_p": FactSpec(
            label="prediction drift p",
            unit="",
            low=0.0,
            high=1.0,
            whole=False,
            meaning="KS p-value of the window's predictions against the training target",
            about_drift=True,
        ),
        "prediction_drift_p_out_of_fold": FactSpec(
            label="calibrated prediction drift p",
            unit="",
            low=0.0,
            high=1.0,
            whole=False,
            meaning="KS p-value of the window's predictions against out-of-fold predictions",
            about_drift=True,
        ),
        "error_ratio": FactSpec(
            label="error increase",
            unit="",
            low=0.0,
            high=None,
            whole=False,
            meaning="RMSE of the window's labelled rows / RMSE of the champion's promotion holdout",
            about_drift=True,
        ),
        "error_increase_p": FactSpec(
            label="error increase p",
            unit="",
            low=0.0,
            high=1.0,
            whole=False,
            meaning="p-value of that increase, by permutation of groups",
            about_drift=True,
        ),
        "residual_evidence": FactSpec(
            label="residual evidence",
            unit="days",
            low=0.0,
            high=None,
            whole=False,
            meaning="expected days to a false alarm, however often one looks; on first labels",
            about_drift=True,
        ),
        "new_samples": FactSpec(
            label="new samples",
            unit="rows",
            low=0.0,
            high=None,
            whole=True,
            meaning="labelled rows that the last completed training could not have had",
        ),
        "window_rows": FactSpec(
            label="window rows",
            unit="rows",
            low=0.0,
            high=None,
            whole=True,
            meaning="predictions of the champion in the drift window",
        ),
        "label_shift_p": FactSpec(
            label="label shift p",
            unit="",
            low=0.0,
            high=1.0,
            whole=False,
            meaning="KS p-value of the window's labels against the training target",
            about_drift=True,
        ),
        RETRAINING_FACT: FactSpec(
            label="cool-down",
            unit="h",
            low=0.0,
            high=None,
            whole=False,
            meaning="as_of less the as_of of the last decision to retrain; may never have begun",
        ),
    }
)


def finite_number(value: object) -> float | None:
    """`value` as a float when it is a finite int or float with |int| <= 2^53 - 1, else None.

    A bool is no number, and neither is "3": the engine would compare both, and say nonsense.
    """
    if type(value) is int:
        return float(value) if abs(value) <= INTEGER_MAX else None
    return value if type(value) is float and math.isfinite(value) else None


def check_facts(facts: Mapping[str, object], never_retrained: bool = False) -> Facts:
    """The facts as a policy may look at them: floats, or None for unknown; only what was offered.

    `never_retrained` says that hours_since_last_retraining never began; the fact is then None.

    Raises:
        PolicyNotDecided: a fact that no policy may name, a value that is no finite number, is out
            of its bounds or a fraction of a count; every fault at once. Nothing is retrained on it.
    """
    checked: Facts = {}
    faults = []
    for name, value in facts.items():
        complaint = _complaint(name, value, never_retrained)
        if complaint:
            faults.append(Fault(pointer(name), complaint, value))
        else:
            checked[name] = finite_number(value)
    if faults:
        listed = "; ".join(f"fact {fault.name!r} {fault.message}" for fault in faults)
        raise PolicyNotDecided(f"{listed}. Correct the facts and decide again.", faults)
    return checked


def _complaint(name: str, value: object, never_retrained: bool) -> str:
    spec = FACTS.get(name)
    if spec is None:
        return f"is none of those a policy may name: {', '.join(FACTS)}"
    if value is None:
        return ""
    if name == RETRAINING_FACT and never_retrained:
        return f"is {value!r} for a model that was never retrained; it must be unknown"
    number = finite_number(value)
    if number is None:
        return f"is {value!r}, not a finite number (whole numbers up to 2^53 - 1)"
    complaint = spec.complaint(number)
    return f"is {value!r}, which {complaint}" if complaint else ""
