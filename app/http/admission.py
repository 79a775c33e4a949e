"""Which requests are let in: by a name of ours, not on behalf of another site, with a short query.

There are no keys yet, so whatever a browser on this machine can be made to send would be obeyed.
A page elsewhere may point a name of its own at this address (rebinding), post a form, or fetch.
Plain ASGI: a layer of the edge, before the hot path and before FastAPI.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Container
from typing import Final
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.problems import problem_response

QUERY_BYTES_MAX: Final = 8 * 1024
PARAMETERS_MAX: Final = 50  # of a query; each that is unknown would be a fault of its own
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # methods that change nothing, but for these:
SIGNING: Final = frozenset({"new", "receipt"})  # parameters for which a `GET` may sign a checkpoint
# Headers whose first and second may be read by two programs; those that are lists may come twice.
ONCE: Final = re.compile(
    rb"host|origin|content-(?:type|encoding|length)|idempotency-key|x-request-id|sec-fetch-.*|ce-.*"
)
_ELSEWHERE: Final = (b"cross-site", b"same-site")  # another port of this machine is another site
LISTS: Final = (b"prefer", b"if-none-match")  # of those that are read here
_HOST: Final = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9][a-z0-9.-]{0,253}))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_PORT_MAX: Final = 65535
_REMEMBERED_MAX: Final = 1000  # spellings of our names, with their ports
_SHOWN_MAX: Final = 100


class Admission:
    """Refuses what a browser sends for another site, and what calls us by a name that is not ours.

    Names of loopback are ours, and those in `app.state.host_names`. A request without `Origin` and
    `Sec-Fetch-Site` comes from no browser of today, and is let in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ours: set[bytes] = set()  # hosts that were found to be ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        if len(headers) != len(scope["headers"]):
            twice = _twice(scope["headers"])
            if twice is not None:
                return problem_response(
                    "request-invalid",
                    f"the header {twice!r} stands more than once; send it once.",
                    instance=scope["path"],
                    status=400,
                )
            scope["headers"] = _joined(scope["headers"])
        host = headers.get(b"host", b"")
        if host not in self._ours:
            named = _name_of(host)
            if named is None or not is_ours(named, scope["app"].state.host_names):
                shown = host.decode("latin-1")[:_SHOWN_MAX]
                return problem_response(
                    "misdirected-request",
                    f"the request is for the host {shown!r}, which is no name of this service. "
                    "Call it by a name of loopback, or add the name to WHYLEDGER_HOST_NAMES.",
                    instance=scope["path"],
                )
            if len(self._ours) < _REMEMBERED_MAX:
                self._ours.add(host)
        if b"sec-fetch-site" in headers or b"origin" in headers:
            said = _from_elsewhere(scope, headers, host)
            if said is not None:
                return problem_response("cross-site-request", said, instance=scope["path"])
        query = scope["query_string"]
        if query and (len(query) > QUERY_BYTES_MAX or query.count(b"&") >= PARAMETERS_MAX):
            return problem_response(
                "query-too-long",
                f"the query has {len(query)} bytes and {query.count(b'&') + 1} parameters; send at "
                f"most {QUERY_BYTES_MAX} and {PARAMETERS_MAX}.",
                instance=scope["path"],
            )
        return None


def is_ours(name: str, host_names: Container[str]) -> bool:
    """Whether `name`, in small letters, is loopback's or one of `host_names`."""
    if name == "localhost" or name in host_names:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _twice(headers: list[tuple[bytes, bytes]]) -> str | None:
    """A header that stands more than once and must not."""
    for name, times in Counter(name for name, _ in headers).items():
        if times > 1 and ONCE.fullmatch(name):
            return str(name.decode("latin-1")[:_SHOWN_MAX])
    return None


def _joined(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers with the lines of each list in one, as whoever reads only the first must have."""
    others = [each for each in headers if each[0] not in LISTS]
    for name in LISTS:
        if lines := [value for given, value in headers if given == name]:
            others.append((name, b", ".join(lines)))
    return others


def _name_of(host: bytes) -> str | None:
    """The name in a `Host` header: without port, brackets and a last full stop; None when it is no
    name, or more than one."""
    matched = _HOST.fullmatch(host.decode("latin-1").lower())
    if matched is None or not 1 <= int(matched["port"] or 1) <= _PORT_MAX:
        return None
    if matched["name"]:
        return matched["name"].removesuffix(".")
    return matched["address"] if ":" in matched["address"] else None


def _from_elsewhere(scope: Scope, headers: dict[bytes, bytes], host: bytes) -> str | None:
    """Why a browser's request is refused; None when it comes from our own pages, or is a link."""
    site, method = headers.get(b"sec-fetch-site", b""), scope["method"]
    origin = headers.get(b"origin", b"")
    if site not in _ELSEWHERE and (not origin or _is_own(origin, host, scope)):
        return None
    if method in SAFE:
        # A link may lead here. A page elsewhere that loads something of ours has no good reason.
        if _is_link(headers) and not _signs(scope):
            return None
        return (
            "a page of another site may link to this service; it may load nothing of it, show it "
            "in no frame, and have nothing signed."
        )
    shown = origin.decode("latin-1")[:_SHOWN_MAX] or site.decode("latin-1")[:_SHOWN_MAX]
    return (
        f"a browser sent this {method} for a page of {shown!r}, another site. Send it from a "
        "program, or from a page of this service."
    )


def _is_link(headers: dict[bytes, bytes]) -> bool:
    """Whether the browser opens it as a page of its own: not as a part of another, nor in one."""
    return headers.get(b"sec-fetch-mode") == b"navigate" and (
        headers.get(b"sec-fetch-dest", b"document") == b"document"
    )


def _signs(scope: Scope) -> bool:
    """Whether a `GET` asks for something that may have to be signed first."""
    query = scope["query_string"][: QUERY_BYTES_MAX + 1].decode("latin-1")
    return any(name in SIGNING for name, _ in parse_qsl(query, keep_blank_values=True))


def _is_own(origin: bytes, host: bytes, scope: Scope) -> bool:
    """Whether `origin` is a page of ours: of the host that was called, or of a configured name."""
    _, _, place = origin.lower().partition(b"://")
    return bool(place) and (
        place == host.lower() or _name_of(place) in scope["app"].state.host_names
    )
