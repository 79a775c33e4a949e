"""However many files are being taken in, every other route has a thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi.testclient import TestClient

from app.http.routes.datasets import UPLOADS_AT_ONCE
from app.settings import Settings
from tests.app.http.routes.running import adopt, process_behind, running
from tests.app.http.routes.test_datasets import HEADER, upload
from tests.patience import HANGS_SECONDS, until

FILES = 45  # more than the threads that all routes share


def test_uploads_that_wait_leave_every_other_route_its_thread(
    service: TestClient, settings: Settings
) -> None:
    def received() -> int:
        """The files that are open in the quarantine: those that came in and are not answered."""
        folder = str(settings.state_dir / "quarantine")
        seen = 0
        for descriptor in Path("/proc/self/fd").iterdir():
            try:
                seen += str(descriptor.readlink()).startswith(folder)
            except FileNotFoundError:
                continue  # closed meanwhile
        return seen

    async def shared_threads_held() -> float:
        return current_default_thread_limiter().borrowed_tokens

    portal = service.portal
    assert portal is not None
    process = process_behind(service)
    files = [(HEADER, f"1971,{n},AMGREM71,0.5,1.9,1.7,1.15,0,US,4.9") for n in range(FILES)]
    with ThreadPoolExecutor(FILES) as clients:
        with process.ledger.writing():  # nothing is taken in meanwhile
            sent = [clients.submit(upload, service, *lines) for lines in files]
            until(lambda: received() == FILES and portal.call(shared_threads_held) == 0)
            assert service.get("/models/car-price").status_code == 200
            assert service.get("/readyz").status_code in (200, 503)
            assert not any(each.done() for each in sent)
        answers = [each.result() for each in sent]
    # Those that waited too long, for the lock or a turn, are told to send it again.
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert all(upload(service, *lines).status_code == 200 for lines in files[:3])


@pytest.fixture
def hurried(settings: Settings) -> Iterator[TestClient]:
    """A service that soon says that it is busy."""
    with running(settings.model_copy(update={"busy_timeout_seconds": 0.5})) as client:
        adopt(client)
        yield client


def test_an_upload_whose_turn_does_not_come_is_told_to_try_again(
    hurried: TestClient,
) -> None:
    portal = hurried.portal
    assert portal is not None
    turns = hurried.app.state.uploads  # type: ignore[attr-defined]
    for _ in range(UPLOADS_AT_ONCE):
        portal.call(turns.acquire)
    try:
        with ThreadPoolExecutor(1) as client:
            answer = client.submit(upload, hurried, HEADER).result(HANGS_SECONDS)
    finally:
        for _ in range(UPLOADS_AT_ONCE):
            portal.call(turns.release)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "other files were being taken in" in answer.json()["detail"]
    assert upload(hurried, HEADER).status_code == 200
