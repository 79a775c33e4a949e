"""What POST /predictions takes is what its document declares, no more and no less."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from app.http.routes.predictions import ROWS
from app.intake.documents import parse_document
from app.intake.predictions import _read
from domain.contract.contract import parse_contract
from domain.contract.rows import RowGuard
from domain.errors import RequestInvalid, RowsRefusedError
from tests.app.http.routes.running import AMC, CAR_PRICE

ROWS_MAX = 3  # a setting, which the document does not name
GUARD = RowGuard(parse_contract(parse_document(CAR_PRICE, name="the contract")))

scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
rows = st.dictionaries(st.sampled_from(["hpwt", "a/b", ""]), scalars, max_size=2) | st.just(AMC)
near_rows = rows | scalars | st.lists(scalars, max_size=1)
changes: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(dict),
    st.fixed_dictionaries({"model": scalars}),
    st.fixed_dictionaries({"row": near_rows}),
    st.fixed_dictionaries({"rows": st.lists(near_rows, max_size=ROWS_MAX) | near_rows}),
    st.fixed_dictionaries({"Rows": rows}),
)
taken: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"model": "car-price", "row": AMC}, {"model": "car-price", "rows": [AMC]}]
)


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """What is taken, with a field changed, added or left out; or something else altogether."""
    body: dict[str, Any] = {**draw(taken), **draw(changes)}
    left_out = draw(st.sampled_from([None, None, None, "model", "row", "rows"]))
    changed = {name: value for name, value in body.items() if name != left_out}
    return draw(st.sampled_from([changed] * 9 + [draw(scalars | st.lists(rows, max_size=1))]))


@cache
def declared() -> Draft202012Validator:
    """The schema of the body as `/openapi.json` gives it, with its parts where it names them."""
    documented = ROWS.documented()
    (content,) = documented["requestBody"]["content"].values()
    parts = {"components": {"schemas": documented["$defs"]}}
    return Draft202012Validator({**content["schema"], **parts})


def takes(body: Any) -> bool:
    """Whether it is read as rows of a model, whatever the contract then says of their columns."""
    try:
        request = _read(body, ROWS_MAX)
        if request.pointer is None:
            GUARD.check_rows(request.rows, labelled=False, path="/rows")
        else:
            GUARD.check_row(request.rows[0], labelled=False, path=request.pointer)
    except RequestInvalid:
        return False
    except RowsRefusedError as refusal:
        places = [request.pointer or f"/rows/{index}" for index in range(len(request.rows))]
        return not {fault.path for fault in refusal.faults} & set(places)
    return True


@given(body=bodies())
@example(body={"model": "car-price", "row": AMC})
@example(body={"model": "car-price", "rows": [AMC, {}]})
@example(body={"model": "car-price", "row": AMC, "rows": [AMC]})
@example(body={"model": "car-price", "row": AMC, "Rows": [AMC]})
@example(body={"model": "car-price", "row": None})
@example(body={"model": "car-price", "rows": [AMC, [AMC]]})
@example(body={"model": "car-price", "row": AMC, "rows": None})
def test_what_is_declared_is_taken_and_nothing_else(body: Any) -> None:
    assert takes(body) == declared().is_valid(body)


def test_more_rows_than_the_setting_allows_are_refused() -> None:
    body = {"model": "car-price", "rows": [AMC] * (ROWS_MAX + 1)}

    with pytest.raises(RequestInvalid, match="has 4 rows; send 1 to 3 in one request"):
        _read(body, ROWS_MAX)
