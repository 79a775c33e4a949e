"""What a champion's residuals said, as events remember it: errors that grew, evidence, refits."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from domain.events.findings import GroupInterval
from domain.units import noted


class ErrorIncrease(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The window's error against that of the champion's promotion holdout."""

    labelled_rows: Annotated[int, noted("rows", "of the window, labelled, in no training")]
    groups: Annotated[int, noted("groups", "that they are of")]
    holdout_rows: Annotated[int, noted("rows", "whose residuals were frozen at the promotion")]
    holdout_groups: Annotated[int, noted("groups", "that they are of")]
    error_ratio: Annotated[
        float | None, noted("ratio", "RMSE of the window / RMSE of that holdout")
    ]
    t_statistic: Annotated[float | None, noted("t", "of the logarithm of the mean squares' ratio")]
    error_increase_p: Annotated[
        float | None, noted("probability", "of as large a t, by permutation of groups")
    ]
    note: Annotated[str, noted("words", "why a figure is null; empty when none is")]


class ResidualEvidence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What the reign's residuals have come to, since its begin or the last completed training."""

    log_days: Annotated[
        float | None, noted("ln days", "ln R: expected days to a false alarm; null: 0 days passed")
    ]
    log_wealth: Annotated[
        tuple[float | None, ...], noted("ln days", "ln R_k of the nine detectors, in their order")
    ]
    days: Annotated[float, noted("days", "since the cycle before of the reign, as staked now")]
    memory: Annotated[
        int, noted("values", "residuals, or means of alike rows, to rank the next one among")
    ]
    holdout_rows: Annotated[int, noted("values", "of them, frozen at the promotion")]
    entered: Annotated[int, noted("values", "new now; one for all rows of a day or group alike")]
    skipped: Annotated[
        int, noted("rows", "of the reign, passed by: no label in time, or their block had entered")
    ]
    corrected: Annotated[int, noted("rows", "of the reign, labelled again; the first label counts")]
    waiting: Annotated[int, noted("rows", "of the reign, later than the front")]
    front: Annotated[
        str | None, noted("time", "every row up to and with it has entered or was skipped")
    ]
    note: Annotated[str, noted("words", "what it cannot see; empty when nothing")]


class RefitComparison(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A refitted champion, which no gate saw, and the gated plan on its first labelled window."""

    rows: Annotated[int, noted("rows", "of the window, labelled, that neither was trained on")]
    groups: Annotated[int, noted("groups", "that they are of")]
    rmse_refitted: Annotated[float | None, noted("transformed target", "of the plan that serves")]
    rmse_gated: Annotated[float | None, noted("transformed target", "of the plan that was gated")]
    interval: GroupInterval | None
    note: Annotated[str, noted("words", "why there is no figure or interval; empty when there is")]
