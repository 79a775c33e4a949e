"""What a browser can be made to send for somebody else is refused, at every door."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.main import create_app
from app.settings import Settings
from tests.app.http.listening import Listening, listening, request
from tests.app.http.routes.running import AMC, adopt, process_behind, running, serve_champion
from tests.app.http.test_edge import doors

BODY = json.dumps({"model": "car-price", "row": AMC}).encode()
JSON = "Content-Type: application/json"
OUR_NAME = "rules.example.org"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    state: Path = tmp_path_factory.mktemp("state")
    return Settings(state_dir=state, host_names=f"{OUR_NAME}, Other.Example.Org")


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Listening]:
    """A model with a champion, behind a real port."""
    with running(settings) as client:
        adopt(client)
        serve_champion(client)
    with listening(create_app(settings), settings) as served:
        yield served


def told(answer: bytes) -> tuple[int, str]:
    """Status and problem."""
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body).get("type", "") if b"json" in head else ""
    return int(head.split()[1]), problem.removeprefix("urn:whyledger:problem:")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8000",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 nobody listens there
        "[::2]:80",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "localhost:evil.example",
        "localhost:80@evil.example",
        "localhost:0",
        "localhost:65536",
        "localhost:99999999",
        "localhost:",
        "localhost..",
        "localhost/evil.example",
        "localhost, evil.example",
        "[::1].evil.example",
        "[::1]evil.example",
        "[::1%25evil]",
        "[::1",
        "[127.0.0.1]",
        "[localhost]",
        " ",
    ],
)
def test_a_name_that_is_not_ours_is_answered_with_421(service: Listening, host: str) -> None:
    for asked in (
        request("GET", "/models", host=host),
        request("GET", "/static/whyledger.css", host=host),
        request("POST", "/predictions", JSON, body=BODY, host=host),
    ):
        assert told(service.say(asked)) == (421, "misdirected-request")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.9.9.9",
        "localhost",
        "LOCALHOST:80",
        "localhost.",
        "[::1]:8000",
        OUR_NAME,
        f"{OUR_NAME.upper()}:443",
        "other.example.org",
    ],
)
def test_names_of_loopback_and_those_of_the_settings_are_ours(
    service: Listening, host: str
) -> None:
    assert told(service.say(request("GET", "/healthz", host=host)))[0] == 200
    answer = service.say(request("POST", "/predictions", JSON, body=BODY, host=host))
    assert told(answer)[0] == 200


def test_a_request_without_a_host_is_for_nobody(service: Listening) -> None:
    assert told(service.say(b"GET /healthz HTTP/1.0\r\n\r\n")) == (421, "misdirected-request")


def test_a_host_in_the_target_stands_above_the_one_in_the_header(service: Listening) -> None:
    for target, host, status in (
        ("http://evil.example/healthz", "localhost", 421),
        ("http://evil.example", "localhost", 400),
        ("http://evil.example?http://localhost/", "localhost", 400),
        ("http://localhost@evil.example/healthz", "localhost", 421),
        ("http://localhost:8000/healthz", "localhost", 200),
        ("http://localhost/healthz", "evil.example", 200),
    ):
        assert told(service.say(request("GET", target, host=host)))[0] == status, target


ONE_OF_TWO = {
    "Host": ("localhost", "evil.example"),
    "Origin": ("http://127.0.0.1", "http://evil.example"),
    "Sec-Fetch-Site": ("same-origin", "cross-site"),
    "Content-Type": ("application/json", "text/plain"),
    "Content-Encoding": ("gzip", "identity"),
    "Content-Length": (f"{len(BODY)}", f"{len(BODY)}"),
    "Transfer-Encoding": ("chunked", "chunked"),
    "Idempotency-Key": ("one", "two"),
    "X-Request-Id": ("one", "two"),
    "ce-id": ("one", "two"),
}


@pytest.mark.parametrize("name", ONE_OF_TWO)
def test_a_header_that_has_one_value_stands_once(service: Listening, name: str) -> None:
    for first, second in (ONE_OF_TWO[name], ONE_OF_TWO[name][::-1]):
        asked = request("POST", "/predictions", body=BODY).replace(b"Host: 127.0.0.1\r\n", b"")
        if name in ("Content-Length", "Transfer-Encoding"):
            asked = asked.replace(b"Content-Length: %d\r\n" % len(BODY), b"")
        lines = [f"{name}: {first}", f"{name.upper()}: {second}"]
        lines += [] if name == "Host" else ["Host: 127.0.0.1"]
        lines += [] if name == "Content-Type" else [JSON]
        asked = asked.replace(b"\r\n", ("\r\n" + "\r\n".join(lines) + "\r\n").encode(), 1)
        assert service.say(asked).startswith(b"HTTP/1.1 400 ")


def test_a_header_that_is_a_list_may_go_on_in_another_line(service: Listening) -> None:
    preferences = ("Prefer: respond-async", "Prefer: receipt")
    for headers in (preferences, preferences[::-1]):
        answer = service.say(request("POST", "/predictions", JSON, *headers, body=BODY))
        assert told(answer)[0] == 200
        assert b'"receipt":{' in answer


# What browsers send, played by hand: always, whether or not one is installed.
ELSEWHERE = {
    "a form": ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site"),
    "a form of an old browser": ("Origin: http://evil.example",),
    "a page without an origin": ("Origin: null",),
    "a fetch": (
        "Origin: http://evil.example",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: cors",
    ),
    "another port of this machine": ("Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"),
    "an origin left out": ("Sec-Fetch-Site: cross-site",),
}


@pytest.mark.parametrize("who", ELSEWHERE)
def test_what_a_browser_sends_for_another_site_changes_nothing_at_any_door(
    service: Listening, settings: Settings, who: str
) -> None:
    for method, path in doors(settings):
        if method in ("GET", "HEAD", "OPTIONS"):
            continue
        for kind in (JSON, "Content-Type: text/plain"):
            for body in (BODY, b""):
                asked = request(method, path, kind, *ELSEWHERE[who], body=body)
                assert told(service.say(asked)) == (403, "cross-site-request"), (method, path)


def test_our_own_pages_and_programs_are_let_in(service: Listening) -> None:
    for headers in (
        (),
        ("Origin: http://127.0.0.1:8000", "Sec-Fetch-Site: same-origin"),
        ("Origin: http://127.0.0.1:8000",),
        ("Sec-Fetch-Site: none",),
    ):
        asked = request("POST", "/predictions", JSON, *headers, body=BODY, host="127.0.0.1:8000")
        assert told(service.say(asked))[0] == 200, headers
    proxied = (f"Origin: https://{OUR_NAME}", "Sec-Fetch-Site: same-origin")
    assert told(service.say(request("POST", "/predictions", JSON, *proxied, body=BODY)))[0] == 200


ELSEWHERE_SITES = ("cross-site", "same-site")
LINK = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")


@pytest.mark.parametrize("site", ELSEWHERE_SITES)
def test_a_page_elsewhere_may_link_here_and_load_nothing(service: Listening, site: str) -> None:
    def asked(path: str, *headers: str) -> tuple[int, str]:
        return told(service.say(request("GET", path, f"Sec-Fetch-Site: {site}", *headers)))

    for path in ("/", "/models", "/ledger/checkpoint"):
        assert asked(path, *LINK)[0] == 200
        assert asked(path, "Sec-Fetch-Mode: navigate")[0] == 200, "an older browser"
        for mode, dest in (
            ("no-cors", "image"),
            ("no-cors", "script"),
            ("cors", "empty"),
            ("navigate", "iframe"),
            ("navigate", "frame"),
            ("navigate", "embed"),
            ("navigate", "object"),
        ):
            loaded = asked(path, f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}")
            assert loaded == (403, "cross-site-request"), (path, mode, dest)
        assert asked(path) == (403, "cross-site-request")


def test_no_link_has_anything_written_whatever_its_query_asks(sqlite_settings: Settings) -> None:
    """Every parameter of every `GET` in the document that can be yes, also in other spellings."""
    settings = sqlite_settings.model_copy(update={"checkpoint_seconds": 3600.0})
    with running(settings) as client:
        adopt(client)
        ledger = process_behind(client).ledger

        def rows() -> list[int]:
            with ledger.connect() as connection:
                counts = (text(f"SELECT count(*) FROM {table}") for table in TABLES)
                return [connection.execute(count).scalar_one() for count in counts]

        before = rows()
        refused: set[tuple[str, str]] = set()
        for path, methods in client.get("/openapi.json").json()["paths"].items():
            for parameter in methods.get("get", {}).get("parameters", ()):
                if parameter["in"] != "query" or parameter["schema"].get("type") != "boolean":
                    continue
                name = parameter["name"]
                for spelling in (name, f"%{ord(name[0]):x}{name[1:]}", f"x=1&{name}"):
                    asked = re.sub(r"\{[^}]*\}", "0", path) + f"?{spelling}=true"
                    answer = client.get(asked, headers=dict(each.split(": ") for each in FOREIGN))
                    if answer.status_code == 403:
                        refused.add((path, name))
        assert rows() == before
    assert refused == {
        ("/ledger/checkpoint", "new"),
        ("/ledger/events/{position}", "receipt"),
        ("/ledger/events/{position}/rows/{row}", "receipt"),
    }


FOREIGN = ("Sec-Fetch-Site: cross-site", *LINK)
TABLES = ("entries", "checkpoints")


@pytest.mark.parametrize("who", ELSEWHERE)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_a_browser_sends_for_another_site_reads_nothing_either(
    service: Listening, who: str, method: str
) -> None:
    for path in ("/models", "/ledger/checkpoint?new=true", "/"):
        head = service.say(request(method, path, *ELSEWHERE[who])).partition(b"\r\n")[0]
        assert head.split()[1] == b"403", (method, path)


def test_our_own_pages_read(service: Listening) -> None:
    own = ("Origin: http://127.0.0.1:8000", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors")
    assert told(service.say(request("GET", "/models", *own, host="127.0.0.1:8000")))[0] == 200


SIMPLE = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b")


@pytest.mark.parametrize("kind", SIMPLE)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_no_door_takes_a_body_of_a_kind_that_a_form_can_send(
    service: Listening, settings: Settings, kind: str, body: bytes
) -> None:
    taken = 0
    for method, path in doors(settings):
        if method == "POST":
            known = path.replace("/models/1/", "/models/car-price/")
            headers = [f"Content-Type: {kind}"] if kind else []
            answer = told(service.say(request(method, known, *headers, body=body)))
            assert answer == (415, "unsupported-content-type"), path
            taken += 1
    assert taken >= 6


def test_a_query_is_short(service: Listening) -> None:
    for query in ("model=" + "m" * 9000, "&".join(f"a{n}=1" for n in range(60)), "&" * 60):
        answer = told(service.say(request("GET", f"/audit/decisions?{query}")))
        assert answer == (414, "query-too-long")
        answer = told(service.say(request("POST", f"/predictions?{query}", JSON, body=BODY)))
        assert answer == (414, "query-too-long")


def test_what_is_not_let_in_reaches_no_route(sqlite_settings: Settings) -> None:
    with running(sqlite_settings) as client:
        adopt(client)
        serve_champion(client)
        ledger = process_behind(client).ledger
        size = ledger.size()
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            answer = client.post("/predictions", content=BODY, headers={**headers, **TYPED})
            assert answer.status_code in (403, 421)
            assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-Id"])
        assert ledger.size() == size


TYPED = {"Content-Type": "application/json"}


@pytest.mark.parametrize("names", ["http://a.example", "a.example:80", "a b", "a.example/x", "*"])
def test_a_name_of_a_host_that_is_none_refuses_the_start(names: str) -> None:
    with pytest.raises(ValueError, match="which is no name of a host"):
        Settings(host_names=names)


def test_every_route_says_in_the_document_what_is_not_let_in(empty: TestClient) -> None:
    for methods in empty.get("/openapi.json").json()["paths"].values():
        for operation in methods.values():
            assert {"403", "414", "421"} <= set(operation["responses"])


@pytest.fixture
def empty(sqlite_settings: Settings) -> Iterator[TestClient]:
    with running(sqlite_settings) as client:
        yield client
