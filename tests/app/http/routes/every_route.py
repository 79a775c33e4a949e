"""One request to each route there is, of a model that serves: for what holds on every route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx2
import orjson

from tests.app.http.routes.running import AMC, CAR_PRICE, CLOUDEVENTS, STRICT_AND, observation

Route = tuple[str, str]  # method and path, as the application declares it
# They ask nothing but the process: whether it runs, and what it takes.
ASK_NOTHING: Final = frozenset(
    {("GET", "/healthz"), ("GET", "/openapi.json"), ("HEAD", "/openapi.json")}
)
_ID: Final = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21"
_LABELLED: Final = {**AMC, "price": 4.9}
_CSV: Final = ",".join(_LABELLED) + "\n" + ",".join(map(str, _LABELLED.values())) + "\n"


@dataclass(frozen=True)
class Asked:
    """A request; what stands in braces in the route's path is named where it differs."""

    method: str
    path: str  # as the application declares it
    query: str = ""
    kind: str = ""
    body: bytes = b""
    prefer: str = ""

    @property
    def route(self) -> Route:
        return self.method, self.path

    def send(self, client: httpx2.Client, **how: Any) -> httpx2.Response:
        """Its answer."""
        path = self.path
        for name, value in _IN_PATH.items():
            path = path.replace("{" + name + "}", value)
        headers = {"Content-Type": self.kind, "Prefer": self.prefer}
        return client.request(
            self.method,
            path + self.query,
            content=self.body,
            headers={name: value for name, value in headers.items() if value},
            **how,
        )


_IN_PATH: Final = {
    "model": "car-price",
    "cycle": "car-price-1",
    "sha256": "0" * 64,
    "decision": _ID,
    "level": "0",
    "index:path": "0",
    "position": "0",
    "row": "0",
}
JSON: Final = "application/json"
YAML: Final = "application/yaml"
_ONE: Final = orjson.dumps({"model": "car-price", "row": AMC})
_BACK: Final = orjson.dumps({"to": "car-price/1", "reason": "complaints"})
EVERY: Final = (
    Asked("GET", "/"),
    Asked("GET", "/readyz"),
    Asked("GET", "/models"),
    Asked("GET", "/models/{model}"),
    Asked("GET", "/models/{model}/health"),
    Asked("GET", "/models/{model}/cycles"),
    Asked("GET", "/models/{model}/cycles/{cycle}"),
    Asked("GET", "/models/{model}/datasets/{sha256}"),
    Asked("GET", "/audit/changes"),
    Asked("GET", "/audit/decisions"),
    Asked("GET", "/audit/decisions/{decision}"),
    Asked("GET", "/audit/export", "?format=jsonl"),
    Asked("GET", "/audit/export", "?format=csv"),
    Asked("GET", "/audit/export", "?format=html"),
    Asked("GET", "/events"),
    Asked("GET", "/ledger/checkpoint", "?new=true"),
    Asked("GET", "/ledger/signing"),
    Asked("GET", "/ledger/proofs/inclusion", "?position=0&size=1"),
    Asked("GET", "/ledger/proofs/consistency", "?from=1&to=2"),
    Asked("GET", "/ledger/tiles/{level}/{index:path}"),
    Asked("GET", "/ledger/events/{position}"),
    Asked("GET", "/ledger/events/{position}", "?receipt=true"),
    Asked("GET", "/ledger/events/{position}/rows"),
    Asked("GET", "/ledger/events/{position}/rows/{row}", "?receipt=true"),
    Asked("POST", "/predictions", kind=JSON, body=_ONE),
    Asked("POST", "/predictions", kind=JSON, body=_ONE, prefer="receipt"),
    Asked("POST", "/events", kind=CLOUDEVENTS, body=orjson.dumps([observation("every")])),
    Asked("POST", "/contracts", kind=YAML, body=CAR_PRICE),
    Asked("POST", "/policies", kind=YAML, body=STRICT_AND),
    Asked("POST", "/models/{model}/datasets", kind="text/csv", body=_CSV.encode()),
    # As of a time to come: it looks, and starts none.
    Asked("POST", "/models/{model}/cycles", kind=JSON, body=b'{"as_of":"9000-01-01T00:00:00Z"}'),
    Asked("POST", "/models/{model}/rollbacks", kind=JSON, body=_BACK),
)
