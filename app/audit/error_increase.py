"""How a champion's error has increased since its promotion, in words."""

from __future__ import annotations

import math

from domain.events.cycle_events import DriftMeasured
from domain.events.residual_findings import RefitComparison
from domain.events.verdicts import significant_digits, told_apart
from domain.residuals.evidence import fact


def error_increase(measured: DriftMeasured | None) -> str:
    """What the residuals of the window and of the reign said; empty when nothing was measured."""
    said = []
    increase = measured.error_increase if measured else None
    if increase is not None and increase.error_ratio is not None:
        p_value = significant_digits(increase.error_increase_p or 0.0)
        said.append(
            f"the error on {increase.labelled_rows} labelled rows is "
            f"{significant_digits(increase.error_ratio)} times that on the promotion holdout "
            f"(p = {p_value})"
        )
    elif increase is not None:
        said.append(f"whether the error has increased is unknown: {increase.note}")
    evidence = measured.residual_evidence if measured else None
    if evidence is not None:
        days = fact(-math.inf if evidence.log_days is None else evidence.log_days)
        blind = f" ({evidence.note})" if evidence.note else ""
        said.append(f"residual evidence {significant_digits(days)} days{blind}")
    refit = measured.refit_comparison if measured else None
    if refit is not None:
        said.append(_refit(refit))
    joined = "; ".join(said)
    return f"{joined[0].upper()}{joined[1:]}." if joined else ""


def _refit(found: RefitComparison) -> str:
    if found.rmse_refitted is None or found.rmse_gated is None:
        return f"the refitted plan could not be compared with the gated one: {found.note}"
    refitted, gated = told_apart(found.rmse_refitted, found.rmse_gated)
    between = f" ({found.note})"
    if found.interval is not None:
        low, high = (significant_digits(each) for each in (found.interval.low, found.interval.high))
        between = f" (gated minus refitted, 95 % interval over groups: {low} to {high})"
    return (
        f"the refitted plan, which was not gated, has RMSE {refitted} on the {found.rows} labelled "
        f"rows of its first window, the gated plan {gated}{between}"
    )
