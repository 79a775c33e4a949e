"""A page of another site in a real browser: its form, its fetches, and a name of its own for us.

What Chromium sends is played by hand as well, so that it is held where there is no browser.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.main import EDGE, Layer, create_app
from app.settings import Settings
from tests.app.http.layers import NoteAnswers
from tests.app.http.listening import all_of, listening, request
from tests.app.http.routes.running import adopt, process_behind, running, serve_champion
from tests.patience import HANGS_SECONDS

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE = """<!doctype html><title>evil</title>
<img src="http://127.0.0.1:{port}/ledger/checkpoint?new=true">
<iframe name="there"></iframe>
<form id="form" method="post" enctype="text/plain" target="there"
 action="http://127.0.0.1:{port}/models/car-price/cycles">
<input name='{{"as_of":"1977-01-01T00:00:00Z","reason":"x' value='"}}'></form>
<script>
const there = "http://127.0.0.1:{port}";
const said = [];
async function tell(how) {{
  try {{ said.push(how + " " + (await fetch(...ways[how])).type); }}
  catch (error) {{ said.push(how + " failed"); }}
}}
const ways = {{
  simple: [there + "/models/car-price/cycles", {{method: "POST", mode: "no-cors", body: "{{}}"}}],
  empty: [there + "/models/car-price/cycles", {{method: "POST", mode: "no-cors"}}],
  blob: [there + "/models/car-price/cycles",
         {{method: "POST", mode: "no-cors", body: new Blob(["{{}}"])}}],
  json: [there + "/models/car-price/cycles",
         {{method: "POST", body: "{{}}", headers: {{"Content-Type": "application/json"}}}}],
  read: [there + "/models"],
}};
document.getElementById("form").submit();
Promise.all(Object.keys(ways).map(tell)).then(() => {{ document.title = said.sort().join(", "); }});
</script>"""


@contextmanager
def site_of(page: str) -> Iterator[int]:
    """Another site, which answers everything with `page`; its port."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def seen(browser: str, url: str, profile: Path) -> str:
    """What `url` looks like in the browser, once its scripts have run, as HTML."""
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP *.example 127.0.0.1",
        "--virtual-time-budget=5000",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=HANGS_SECONDS
    )
    return done.stdout


@dataclass(frozen=True)
class Visit:
    """What somebody saw who opened the page of another site, and our own by that site's name."""

    page: str
    rebound: str


def in_a_browser(port: int, tmp_path: Path) -> Visit:
    """The visit of a real browser."""
    browser = str(installed())
    with site_of(PAGE.format(port=port)) as site:
        page = seen(browser, f"http://evil.example:{site}/", tmp_path / "profile")
        return Visit(page, seen(browser, f"http://evil.example:{port}/", tmp_path / "again"))


def by_hand(port: int, _tmp_path: Path) -> Visit:
    """What Chromium sends on that visit, and what it lets the page know of the answers."""

    def asked(method: str, path: str, mode: str, *headers: str, body: bytes = b"") -> str:
        foreign = ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site")
        sent = request(method, path, *foreign, f"Sec-Fetch-Mode: {mode}", *headers, body=body)
        with socket.create_connection(("127.0.0.1", port), HANGS_SECONDS) as connection:
            connection.sendall(sent)
            return all_of(connection).decode()

    cycles, said = "/models/car-price/cycles", []
    asked("GET", "/ledger/checkpoint?new=true", "no-cors", "Sec-Fetch-Dest: image")
    text = ("Content-Type: text/plain",)
    asked("POST", cycles, "navigate", "Sec-Fetch-Dest: iframe", *text, body=b"x=")
    asked("POST", cycles, "no-cors", *text, body=b"{}")
    asked("POST", cycles, "no-cors")
    asked("POST", cycles, "no-cors", body=b"{}")
    wanted = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
    for how, answer in (
        ("json", asked("OPTIONS", cycles, "cors", *wanted)),
        ("read", asked("GET", "/models", "cors")),
    ):
        allowed = "access-control-allow-origin" in answer.lower()
        said.append(f"{how} {'cors' if allowed else 'failed'}")
    with socket.create_connection(("127.0.0.1", port), HANGS_SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        return Visit(", ".join(said), all_of(connection).decode())


def installed() -> str | None:
    """The browser of this machine; None without one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.mark.parametrize("visit", [by_hand, *([in_a_browser] if installed() else [])])
def test_a_page_elsewhere_can_start_and_learn_nothing(
    sqlite_settings: Settings, tmp_path: Path, visit: Callable[[int, Path], Visit]
) -> None:
    with running(sqlite_settings) as client:
        adopt(client)
        serve_champion(client)
        size = process_behind(client).ledger.size()
    noted: list[tuple[str, str, int, str]] = []
    edge: tuple[Layer, ...] = (partial(NoteAnswers, noted), *EDGE)
    app = create_app(sqlite_settings, edge)
    with listening(app, sqlite_settings) as service:
        found = visit(service.port, tmp_path)
        after = app.state.process.ledger.size()

    assert "json failed" in found.page, found.page[:2000]
    assert "read failed" in found.page
    posts = [each for each in noted if each[0] == "POST"]
    assert len(posts) >= 4, "the form and three fetches were sent"
    assert {(status, site) for _, _, status, site in posts} == {(403, "cross-site")}
    assert ("GET", "/ledger/checkpoint", 403, "cross-site") in noted
    assert ("GET", "/models", 403, "cross-site") in noted
    assert ("GET", "/", 421, "") in noted  # of a name that is not loopback's it says no more
    assert "misdirected-request" in found.rebound
    assert after == size
