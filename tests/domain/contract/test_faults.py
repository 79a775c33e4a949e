from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contract.contract import parse_contract
from domain.contract.faults import adoption_faults
from domain.errors import ContractInvalid
from domain.faults import Fault
from tests.domain.kettles import kettle_document


def faults_of(document: Any) -> tuple[Fault, ...]:
    with pytest.raises(ContractInvalid) as refused:
        parse_contract(document)
    return refused.value.faults


def changed(path: str, value: Any) -> dict[str, Any]:
    """The kettles' document with `value` at a JSON pointer."""
    document = kettle_document()
    *parents, last = path.strip("/").split("/")
    here: Any = document
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here[part]
    here[int(last) if isinstance(here, list) else last] = value
    return document


FAULTS: list[tuple[tuple[str, Any], tuple[str, str]]] = [
    (("/contract", "2"), ("/contract", "'2': should be 'whyledger.contract/1'; choose one")),
    (("/model", "Kettle Noise"), ("/model", "'Kettle Noise': String should match pattern")),
    (("/colour", "red"), ("/colour", "is not a known field; remove it, or correct its spelling")),
    (("/title", ""), ("/title", "'': String should have at least 1 character")),
    (("/target/transform", "sqrt"), ("/target/transform", "'sqrt': should be 'log' or 'none'")),
    (
        ("/target/plausible", {"mean": {"min": 20, "max": 150}}),
        ("/target/plausible/mean/max", "150 is outside the possible range 0 to 140"),
    ),
    (("/target/formerly", ["noise"]), ("/target/formerly/0", "'noise' is the name it has")),
    (("/target/formerly", [7, "noise"]), ("/target/formerly/0", "7: ")),
    (("/confidence", 0.4), ("/confidence", "0.4: should be greater than or equal to 0.5")),
    (("/target/transform", "log"), ("/target/possible/min", "0: a log target must be positive")),
    (("/target/possible/min", 140), ("/target/possible", "min 140 is not below max 140; swap")),
    (("/target/possible/max", "140"), ("/target/possible/max", "'140': should be a valid number")),
    (("/target/possible/max", True), ("/target/possible/max", "True: should be a valid number")),
    (("/target/possible/max", 1e300), ("/target/possible/max", "less than or equal to 9007199")),
    (("/target/name", "power"), ("/features/0/name", "'power' is the target; name it once")),
    (("/features", []), ("/features", "at least 1 item")),
    (("/features/0", 5), ("/features/0", "5: should be an object")),
    (("/features/0", {}), ("/features/0", "its 'type' is missing; add it")),
    (("/features/0/type", "date"), ("/features/0", "'type' should be one of 'number', 'category'")),
    (
        ("/features/2/categories/0", None),
        ("/features/2/categories/0", "None: should be a valid string or should be a valid integer"),
    ),
    (("/features/0/name", "tilt"), ("/features/1/name", "'tilt' stands at /features/0 already")),
    (("/features/0/name", "a b"), ("/features/0/name", "'a b': String should match pattern")),
    (("/features/0/personal", "yes"), ("/features/0/personal", "'yes': should be a valid boolean")),
    (("/features/3/personal", True), ("/features/3/unknown", "'plug' is personal: a category")),
    (("/columns/1/personal", True), ("/group", "'batch' is personal: events say it in bytes")),
    (("/columns/2/personal", True), ("/event_time/column", "'boiled_at' is personal: events say")),
    (
        ("/features/0/missing", "no"),
        (
            "/features/0/missing",
            "'no': should be 'refused' or 'allowed'",
        ),
    ),
    (
        ("/features/0/possible", {"min": 5000, "max": 100}),  # its plausible mean is left alone
        ("/features/0/possible", "min 5000 is not below max 100; swap"),
    ),
    (
        ("/features/0/plausible/mean/min", 99),
        (
            "/features/0/plausible/mean/min",
            "99 is outside the possible range 100 to 5000; a mean never gets there",
        ),
    ),
    (
        ("/features/0/plausible/mean/max", 5000.0001),
        ("/features/0/plausible/mean/max", "5000.0001 is outside the possible range 100 to 5000"),
    ),
    (
        ("/features/0/plausible/mean/max", 5001),
        (
            "/features/0/plausible/mean/max",
            "5001 is outside the possible range 100 to 5000",
        ),
    ),
    (
        ("/features/0/plausible/missing_share_max", 2),
        (
            "/features/0/plausible/missing_share_max",
            "2: should be less than or equal to 1",
        ),
    ),
    (
        ("/features/2/plausible", {"mean": {"min": 0, "max": 1}}),
        (
            "/features/2/plausible/mean",
            "a category has no mean; remove it",
        ),
    ),
    (
        ("/features/0/transformers/0", "sqrt"),
        (
            "/features/0/transformers/0",
            "its 'kind' should be one of 'standardise', 'log', 'clip'",
        ),
    ),
    (("/features/0/transformers/0", 3), ("/features/0/transformers/0", "3: should be an object")),
    (
        ("/features/0/transformers/1", {"clip": {"low": 0.9, "high": 0.1}}),
        (
            "/features/0/transformers/1",
            "clip low 0.9 is not below high 0.1; swap them",
        ),
    ),
    (
        ("/features/0/transformers/1", {"kind": "clip", "low": 0.5, "high": 0.5}),
        (
            "/features/0/transformers/1",
            "clip low 0.5 is not below high 0.5",
        ),
    ),
    (
        ("/features/0/transformers/1", {"clip": {"low": 0.1}}),
        (
            "/features/0/transformers/1/clip/high",
            "is missing; add it",
        ),
    ),
    (
        ("/features/1/transformers", ["log"]),
        (
            "/features/1/transformers/0",
            "log needs a positive possible range, its min is -1",
        ),
    ),
    (
        ("/features/1/transformers", [{"kind": "log"}]),
        (
            "/features/1/transformers/0",
            "log needs a positive possible range",
        ),
    ),
    (("/features/2/categories", []), ("/features/2/categories", "at least 1 item")),
    (("/features/2/categories", ["jug", 1]), ("/features/2/categories", "mixes text and integers")),
    (
        ("/features/2/categories", ["jug", "jug"]),
        ("/features/2/categories/1", "'jug' stands twice"),
    ),
    (("/features/2/categories", ["a\nb"]), ("/features/2/categories/0", "control characters")),
    (("/features/2/categories", [1.5]), ("/features/2/categories/0", "1.5: should be a valid")),
    (("/features/2/categories", [[]]), ("/features/2/categories/0", "should be a valid")),
    (("/features/2/categories", 3), ("/features/2/categories", "3: should be a valid array")),
    (("/features/2/unknown", "ignore"), ("/features/2/unknown", "should be 'accept' or 'refuse'")),
    (("/columns/0/possible", {"min": 0, "max": 1}), ("/columns/0/possible", "text has no range")),
    (("/columns/3/name", "noise"), ("/columns/3/name", "'noise' is the target; name it once")),
    (("/columns/3/name", None), ("/columns/3/name", "None: should be a valid string")),
    (("/ignored/0/name", "power"), ("/ignored/0/name", "'power' stands at /features/0 already")),
    (("/rules/1/name", "idle-below-power"), ("/rules/1/name", "stands at /rules/0 already")),
    (("/rules/0/op", "="), ("/rules/0/op", "'=': should be '<', '<=', '>', '>=', '==' or '!='")),
    (("/rules/0/left", "colour"), ("/rules/0/left", "'colour' is no column; name one of power,")),
    (("/rules/0/left", "shape"), ("/rules/0/left", "'shape' is of type category; rules compare")),
    (("/rules/0/right", "note"), ("/rules/0/right", "'note' is of type text; rules compare")),
    (
        ("/rules/0/right", [1]),
        ("/rules/0/right", "should be a valid string or should be a valid nu"),
    ),
    (("/identity", []), ("/identity", "at least 1 item")),
    (("/identity", ["serial", "serial"]), ("/identity/0", "'serial' stands twice; remove one")),
    (("/identity", ["nobody"]), ("/identity/0", "'nobody' is no column; name one of power,")),
    (("/identity", ["noise"]), ("/identity/0", "'noise' is the target, which predictions lack")),
    (("/identity", ["power"]), ("/identity/0", "'power' is of type number; name a column of type")),
    (
        ("/identity", ["shape"]),
        ("/identity/0", "'shape' may be missing; set its missing to refused"),
    ),
    (("/identity", [7]), ("/identity/0", "7: should be a valid string")),
    (("/group", "idle"), ("/group", "'idle' is of type number; name a column of type integer or")),
    (("/event_time/column", "batch"), ("/event_time/column", "'batch' is of type integer; name a")),
    (
        ("/event_time", {"column": "batch", "as": "mid-year"}),
        (
            "/event_time/column",
            "'batch' is read as a year; give it a possible range within 1 to 9999",
        ),
    ),
    (("/event_time/as", "month"), ("/event_time/as", "should be 'mid-year' or 'timestamp'")),
    (("/estimator/kind", "oracle"), ("/estimator", "its 'kind' should be one of 'ridge',")),
    (("/estimator/trees", 0), ("/estimator/trees", "0: should be greater than or equal to 1")),
    (("/estimator/alpha", 1), ("/estimator/alpha", "is not a known field; remove it")),
    (("/estimator/seed", -1), ("/estimator/seed", "-1: should be greater than or equal to 0")),
    (("/drift_window", {}), ("/drift_window", "nothing given; give one of years, months or days")),
    (("/drift_window/years", 1), ("/drift_window", "years and days given; give one of years")),
    (("/drift_window/days", 0), ("/drift_window/days", "0: should be greater than or equal to 1")),
    (("/holdout/share", 1), ("/holdout/share", "1: should be less than 1")),
    (("/margin", -0.5), ("/margin", "-0.5: should be greater than or equal to 0")),
    (("/refused_share_max", 5), ("/refused_share_max", "5: should be less than or equal to 1")),
    (("/value_of_error/per_unit", 0), ("/value_of_error/per_unit", "0: should be greater than 0")),
    (("/health/rmse_max", None), ("/health/rmse_max", "None: should be a valid number")),
]


@pytest.mark.parametrize(("at", "said"), FAULTS, ids=[f"{p} {v!r}"[:60] for (p, v), _ in FAULTS])
def test_a_fault_is_named_with_its_place_its_value_and_a_remedy(
    at: tuple[str, Any], said: tuple[str, str]
) -> None:
    faults = faults_of(changed(*at))
    path, message = said
    assert message in " ".join(fault.message for fault in faults if fault.path == path)
    assert all("; " in fault.message for fault in faults), "every message ends with a remedy"


def test_every_fault_is_reported_at_once() -> None:
    document = kettle_document()
    for key in ("holdout", "group", "policy"):
        del document[key]
    document["margin"] = -1
    document["identity"] = ["nobody"]
    document["features"][0]["personal"] = "no"
    document["features"][1]["possible"] = {"min": 2, "max": 1}
    document["features"][2] = "shape"
    document["rules"][0]["left"] = "nothing"
    document["features"][0]["plausible"]["mean"]["min"] = 1
    faults = faults_of(document)
    assert {fault.path for fault in faults} == {
        "/holdout",
        "/group",
        "/policy",
        "/margin",
        "/identity/0",
        "/features/0/personal",
        "/features/1/possible",
        "/features/2",
        "/rules/0/left",
        "/features/0/plausible/mean/min",
    }
    assert len(faults) == 10, "one fault a place"


def test_the_message_counts_the_faults_and_shows_the_first_ten() -> None:
    with pytest.raises(
        ContractInvalid, match=r"of None has 1[0-9] faults: .*; and [0-9]+ more\. Corr"
    ):
        parse_contract({"margin": -1})
    with pytest.raises(ContractInvalid, match="'kettle-noise' has 1 fault: /margin: -1: should be"):
        parse_contract(changed("/margin", -1))


def test_a_fault_carries_the_value_that_was_sent() -> None:
    (fault,) = faults_of(changed("/margin", -1))
    assert fault.as_json() == {
        "path": "/margin",
        "message": "-1: should be greater than or equal to 0; correct it",
        "value": -1,
    }


@pytest.mark.parametrize("document", [[], "text", 3, None, {}])
def test_what_is_no_contract_at_all_is_refused_and_not_a_crash(document: Any) -> None:
    assert faults_of(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: str = "") -> list[str]:
    """The JSON pointers of every value in `value`."""
    items = dict(enumerate(value)) if isinstance(value, list) else value
    inner = items.items() if isinstance(items, dict) else ()
    found = [place for key, item in inner for place in places(item, f"{path}/{key}")]
    return [*([path] if path else []), *found]


@given(st.sampled_from(places(kettle_document())), json_values)
def test_whatever_stands_anywhere_the_contract_parses_or_is_refused_in_words(
    path: str, value: Any
) -> None:
    faults: tuple[Fault, ...] = ()
    try:
        parse_contract(changed(path, value))
    except ContractInvalid as refused:
        faults = refused.faults
    assert all(fault.path.startswith("/") and fault.message for fault in faults)


def test_a_cost_of_retraining_needs_the_unit_of_the_value_of_error() -> None:
    document = changed("/retraining_cost", 20)
    assert parse_contract(document).retraining_cost == 20
    del document["value_of_error"]
    (fault,) = faults_of(document)
    assert (fault.path, fault.value) == ("/retraining_cost", 20)
    assert "declare value_of_error" in fault.message


def test_earlier_names_of_the_target_that_differ_are_no_fault() -> None:
    contract = parse_contract(changed("/target/formerly", ["loudness", "sound"]))
    assert contract.target.formerly == ("loudness", "sound")


@pytest.mark.parametrize("category", ["", "x" * 201, "a\ud800"])
def test_a_category_that_cannot_be_read_is_one_fault(category: str) -> None:
    with pytest.raises(ContractInvalid):
        parse_contract(changed("/features/2/categories/0", category), adopting=True)


def test_what_is_no_contract_has_no_categories_to_find_fault_with() -> None:
    assert list(adoption_faults("a text")) == []
