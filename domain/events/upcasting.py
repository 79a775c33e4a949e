"""Payloads of older schemas become payloads of the current one as they are read.

One function per (type, older schema), each one step up; its docstring is what the catalogue says.
The stored bytes and their hashes stay as they are for ever: only what is read from them is brought
up to date, so read models hold current payloads however old the entry is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from domain.events.verdicts import ROOT, joined

Payload = dict[str, Any]  # the data of one event, as stored

_NEVER_RETRAINED: Final = "never retrained"  # the note that schema 1 said it by


def _decided_from_1(data: Payload) -> Payload:
    """`verdict.never_retrained` is true when a clause's note says 'never retrained'."""
    verdict = data["verdict"]
    never = any(clause["note"] == _NEVER_RETRAINED for clause in verdict["clauses"])
    return data | {"verdict": verdict | {"never_retrained": never}}


def _drift_measured_from_1(data: Payload) -> Payload:
    """`clean_rate`, `error_increase`, `residual_evidence` and `residuals_sha256` are null."""
    return data | dict.fromkeys(
        ("clean_rate", "error_increase", "residual_evidence", "residuals_sha256")
    )


def _drift_measured_from_2(data: Payload) -> Payload:
    """`refit_comparison` is null: nothing was refitted. `report.test` is `chi-square` and
    `report.too_few` empty: rows were taken one by one."""
    report = data["report"]
    if report is not None:
        report = report | {"test": "chi-square", "too_few": ""}
    return data | {"refit_comparison": None, "report": report}


def _decided_from_2(data: Payload) -> Payload:
    """`verdict.nodes` holds the one node that asked for every clause."""
    verdict = data["verdict"]
    clauses = verdict["clauses"]
    root = {
        "node": ROOT,
        "operator": "all",
        "of": [clause["clause"] for clause in clauses],
        "verdict": joined("all", [clause["verdict"] for clause in clauses]),
    }
    return data | {"verdict": verdict | {"nodes": [root]}}


def _started_from_1(data: Payload) -> Payload:
    """`rules` is empty: every rule in its first form. `serves` is the champion, nothing is set
    aside, and there is no reason.
    """
    return data | {"rules": {}, "serves": data["champion"], "sets_aside": [], "reason": None}


def _received_from_1(data: Payload) -> Payload:
    """`also` is empty: nothing else was counted."""
    return data | {"also": {}}


def _labelled_from_1(data: Payload) -> Payload:
    """`extensions` is empty: none were kept."""
    return data | {"extensions": {}}


def _labels_unmeasured(data: Payload) -> Payload:
    """`labels` is null: labels were not compared."""
    return data | {"labels": None}


def _merged_from_1(data: Payload) -> Payload:
    """`left_out` is empty: every row trained. `holdout_share`, `window_attempt` are null."""
    return data | {"left_out": {}, "holdout_share": None, "window_attempt": None}


def _parity_from_1(data: Payload) -> Payload:
    """`feature` is null: none was named."""
    return data | {"feature": None}


def _compared_from_1(data: Payload) -> Payload:
    """`interval` and `confidence_min` are null: the bootstrap stands alone."""
    return data | {"interval": None, "confidence_min": None}


def _compared_from_2(data: Payload) -> Payload:
    """`refit` is false: nothing was refitted."""
    return data | {"refit": False}


def _health_from_1(data: Payload) -> Payload:
    """What was not counted or measured is null, `window_labelled` is 0."""
    absent = (*("halted", "failed", "undecided"), "window_error", "window_interval")
    return data | dict.fromkeys(absent) | {"window_labelled": 0, "value_interval": None}


def _trained_from_1(data: Payload) -> Payload:
    """`residuals_sha256` is null: no residuals were frozen."""
    return data | {"residuals_sha256": None}


def _erased_from_1(data: Payload) -> Payload:
    """`rows` is empty: no entry held many rows."""
    return data | {"rows": []}


UPCASTERS: Final[Mapping[tuple[str, int], Callable[[Payload], Payload]]] = {
    ("cycle.decided", 1): _decided_from_1,
    ("cycle.drift-measured", 1): _drift_measured_from_1,
    ("cycle.drift-measured", 2): _drift_measured_from_2,
    ("cycle.decided", 2): _decided_from_2,
    ("cycle.started", 1): _started_from_1,
    ("cycle.window-guarded", 1): _labels_unmeasured,
    ("cycle.halted", 1): _labels_unmeasured,
    ("cycle.data-merged", 1): _merged_from_1,
    ("cycle.parity-checked", 1): _parity_from_1,
    ("cycle.candidate-compared", 1): _compared_from_1,
    ("cycle.candidate-compared", 2): _compared_from_2,
    ("cycle.health-reported", 1): _health_from_1,
    ("observations.dataset-received", 1): _received_from_1,
    ("observations.observation-recorded", 1): _labelled_from_1,
    ("observations.outcome-recorded", 1): _labelled_from_1,
    ("cycle.candidate-trained", 1): _trained_from_1,
    ("ledger.payload-erased", 1): _erased_from_1,
}


def upcast(name: str, schema: int, data: Payload) -> tuple[int, Payload]:
    """The payload `data` of schema number `schema`, step by step up to the newest; never changed.

    Returns:
        The schema number it now has, and the payload; both as given when there is nothing to do.

    Raises:
        KeyError, TypeError: the payload is not one of that schema.
    """
    while (step := UPCASTERS.get((name, schema))) is not None:
        data = step(data)
        schema += 1
    return schema, data


def older_schemas(name: str) -> tuple[tuple[int, str], ...]:
    """The older schemas that are read: (number, how it becomes the next one), lowest first."""
    return tuple(
        (schema, (step.__doc__ or "").strip())
        for (type_name, schema), step in sorted(UPCASTERS.items(), key=lambda item: item[0])
        if type_name == name
    )
