"""From an error to what the client reads: RFC 9457 problems, for everything, 422 included.

`PROBLEMS` is the table from error code to status and title; a new way to say no is a class in
`domain/errors.py` and one row here. Source of the format: RFC 9457.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from app.projections.putting_right import is_suspicious
from domain.errors import CycleRunning, ReadModelUnfit, WhyledgerError
from domain.faults import FAULTS_MAX, Fault, Faults, summary
from domain.reported_faults import reported_faults

MEDIA_TYPE: Final = "application/problem+json"
DETAIL_LENGTH_MAX: Final = 4000  # characters; a message may quote what was sent
_FOR_THE_OPERATOR: Final = frozenset({"ledger-damaged", "signing-refused"})  # logged, too
_LOG: Final = logging.getLogger("whyledger.http")


@dataclass(frozen=True, slots=True)
class Problem:
    """How one error code looks over HTTP. What may go well later is answered with `Retry-After`."""

    status: int
    title: str
    later: bool = False


PROBLEMS: Final[dict[str, Problem]] = {
    "not-canonical": Problem(422, "A value has no canonical form"),
    "document-invalid": Problem(422, "The document cannot be read"),
    "contract-invalid": Problem(422, "The contract has faults"),
    "policy-invalid": Problem(422, "The policy has faults"),
    "rows-refused": Problem(422, "Rows break the contract; nothing was kept"),
    "request-invalid": Problem(422, "The request cannot be accepted as it is"),
    "idempotency-key-reused": Problem(422, "The idempotency key was used with another body"),
    "cycle-refused": Problem(422, "The cycle may not start as asked"),
    "nothing-to-decide": Problem(422, "There is nothing to decide on"),
    "proof-invalid": Problem(422, "A proof, note or key does not show what it claims"),
    "signing-refused": Problem(503, "The ledger may not be signed"),
    "unknown-prediction": Problem(422, "A label names a prediction that does not exist"),
    "version-conflict": Problem(409, "Somebody else was first"),
    "idempotency-conflict": Problem(409, "The id was used with another body"),
    "request-in-flight": Problem(409, "The same request is being answered", later=True),
    "promotion-refused": Problem(409, "The promotion is refused"),
    "rollback-refused": Problem(409, "The rollback is refused"),
    "cycle-running": Problem(409, "A cycle of this model is running", later=True),
    "cross-site-request": Problem(403, "A page of another site sent the request"),
    "query-too-long": Problem(414, "The query is too long"),
    "misdirected-request": Problem(421, "The request names another host"),
    "unauthenticated": Problem(401, "Nobody is known who asks"),
    "unknown-model": Problem(404, "No such model"),
    "not-found": Problem(404, "No such thing"),
    "method-not-allowed": Problem(405, "The resource does not take this method"),
    "body-too-large": Problem(413, "The body is too large"),
    "unsupported-content-type": Problem(415, "The content type is not taken here"),
    "unsupported-content-encoding": Problem(415, "The content encoding is not taken here"),
    "overloaded": Problem(503, "Too many connections are open", later=True),
    "no-champion": Problem(503, "The model has no champion yet", later=True),
    "champion-unfit": Problem(503, "The champion cannot serve under this contract", later=True),
    "not-ready": Problem(503, "The service is not ready", later=True),
    "ledger-busy": Problem(503, "The ledger is busy; nothing was kept", later=True),
    "ledger-unwritable": Problem(
        503, "The ledger's database cannot write; nothing was kept", later=True
    ),
    "storage-failed": Problem(503, "A file of the service cannot be used", later=True),
    "policy-not-decided": Problem(500, "The policy could not be decided"),
    "training-failed": Problem(500, "A candidate could not be trained"),
    "plan-invalid": Problem(500, "A serving plan cannot be loaded"),
    "not-measurable": Problem(500, "There is nothing to measure drift on"),
    "predictions-unusable": Problem(500, "Predictions cannot be judged"),
    "ledger-damaged": Problem(503, "The ledger does not hold what it must"),
    "read-model-unfit": Problem(503, "A read model is being folded anew", later=True),
    "cannot-judge": Problem(503, "The ledger's schema is newer than this version, or out of reach"),
    "error": Problem(500, "Something went wrong"),
}


def install_problems(app: FastAPI) -> None:
    """Let every error that leaves a route become a problem.

    `app.state.retry_after_seconds` is what a client is told to wait.
    """
    app.add_exception_handler(WhyledgerError, refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def problem_response(
    code: str,
    detail: str,
    *,
    instance: str,
    faults: Sequence[Fault] | Faults = (),
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
    retry_after_seconds: int = 1,
) -> Response:
    """One problem. `faults` are listed with their JSON pointers into what was sent; what they
    count beyond their list is counted in `more_faults`."""
    problem = PROBLEMS.get(code, PROBLEMS["error"])
    body: dict[str, object] = {
        "type": f"urn:whyledger:problem:{code}",
        "title": problem.title,
        "status": status or problem.status,
        "detail": detail if len(detail) <= DETAIL_LENGTH_MAX else f"{detail[:DETAIL_LENGTH_MAX]}…",
        "instance": instance,
    }
    if not isinstance(faults, Faults):
        faults = Faults(faults)
    if faults.listed:
        body["faults"] = [fault.as_json() for fault in faults.listed]
    if faults.more:
        body["more_faults"] = faults.more
    body.update(extra or {})
    sent = dict(headers or {})
    if problem.later:
        sent.setdefault("Retry-After", str(retry_after_seconds))
    # ASCII escapes: the detail may quote a lone surrogate, which UTF-8 cannot hold.
    content = json.dumps(body, ensure_ascii=True, allow_nan=False, default=str).encode()
    return Response(content, status or problem.status, sent, MEDIA_TYPE)


def status_of(error: WhyledgerError) -> int:
    """The status that answers it."""
    return PROBLEMS.get(error.code, PROBLEMS["error"]).status


def suspected(scope: Scope, error: Exception) -> ReadModelUnfit | None:
    """What to answer when read models may have made `error`; None: it is our own mistake."""
    process = scope["app"].state.process
    if process is None or not (isinstance(error, ResponseValidationError) or is_suspicious(error)):
        return None
    found: ReadModelUnfit | None = process.read_models.suspected(error)
    return found


def cycle_path(cycle: str) -> str:
    """Where the cycle with this id is looked at."""
    return f"/models/{cycle.rpartition('-')[0]}/cycles/{cycle}"


async def refused(request: Request, error: Exception) -> Response:
    """The problem for one of our own errors."""
    assert isinstance(error, WhyledgerError)  # noqa: S101 the handler's registration says so
    if status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, ReadModelUnfit):
        error = suspected(request.scope, error) or error
    problem = PROBLEMS.get(error.code, PROBLEMS["error"])
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR or error.code in _FOR_THE_OPERATOR:
        _LOG.error("%s: %s", error.code, error.message)
    faults = Faults(error.faults)
    faults.count(error.more_faults)
    extra: dict[str, object] = {}
    headers: dict[str, str] = {}
    if isinstance(error, CycleRunning):
        extra["cycle"] = headers["Location"] = cycle_path(error.cycle)
    return problem_response(
        error.code,
        error.message,
        instance=request.scope["path"],
        faults=faults,
        extra=extra,
        headers=headers,
        retry_after_seconds=request.app.state.retry_after_seconds,
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 the registration says so
    sent = {
        "path": request.path_params,
        "query": request.query_params,
        "header": request.headers,
        "body": error.body,
    }
    # A pointer leads into what was sent; that it was the body goes without saying.
    found = error.errors()
    faults = Faults(
        replace(each, path=each.path.removeprefix("/body"))
        for each in reported_faults(found[:FAULTS_MAX], sent)
    )
    faults.count(max(0, len(found) - FAULTS_MAX))
    return problem_response(
        "request-invalid",
        f"{summary(faults)}.",
        instance=request.scope["path"],
        faults=faults,
    )


_CODE_OF_STATUS: Final = {
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-content-type",
}


async def _http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: no such route, a method a route does not take."""
    assert isinstance(error, HTTPException)  # noqa: S101 the registration says so
    headers = dict(error.headers or {})
    method, path = request.method, request.scope["path"]
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            detail = f"nothing is at {path!r}; /openapi.json lists what there is."
        case HTTPStatus.METHOD_NOT_ALLOWED:
            detail = (
                f"{path!r} does not take {method!r}; it takes {headers.get('Allow', 'others')}."
            )
        case _:
            detail = str(error.detail)
    code = _CODE_OF_STATUS.get(error.status_code, "request-invalid")
    return problem_response(code, detail, instance=path, headers=headers, status=error.status_code)
