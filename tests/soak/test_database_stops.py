"""PostgreSQL is stopped, crashed and started under a service that goes on without a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from tests.patience import until
from tests.soak.service import Service, cars, send
from tests.soak.watching import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.conftest import StoppablePostgres


def test_a_service_outlives_its_database(
    stoppable_postgres: StoppablePostgres, tmp_path: Path, soaking: bool
) -> None:
    settings = Settings(
        database_url=stoppable_postgres.url,
        state_dir=tmp_path / "state",
        busy_timeout_seconds=2,
    )
    acknowledged: dict[str, int] = {}
    first = 0
    with Service(settings) as service, service.client() as client:
        service.adopt()
        for how in ("fast", "immediate") * (5 if soaking else 1):
            answer = send(client, cars(first, 10))
            assert answer.status_code == 201, answer.text
            acknowledged |= {e["id"]: e["position"] for e in answer.json()["recorded"]}
            first += 10
            stoppable_postgres.stop(how)
            answer = send(client, cars(first, 10))
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) >= 1
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
            stoppable_postgres.start()
            until(lambda: client.get("/readyz").status_code == 200)
            answer = send(client, cars(first, 10))  # the same ids again
            assert answer.status_code == 201, answer.text
            acknowledged |= {e["id"]: e["position"] for e in answer.json()["recorded"]}
            first += 10
        assert service.process.poll() is None
    ledger = open_ledger(settings)
    watch = Watch(ledger)
    watch.look()
    watch.assert_kept(acknowledged)
    assert len(acknowledged) == first
    assert rebuild(ledger).differing == ()
    ledger.close()
