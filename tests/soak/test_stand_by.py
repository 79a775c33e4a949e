"""A stand-by of PostgreSQL answers who looks, refuses who writes, and takes over."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from app.ledger.reading import head
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from app.projections.opening import look_at_ledger, open_ledger
from app.projections.rebuild import rebuild
from app.projections.rows import STATE
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.errors import LedgerUnwritable
from tests import ledger_events as events
from tests.app.car_ledger import CarLedger
from tests.app.cli.command_line import whyledger
from tests.app.many_rows import predictions, put_many
from tests.app.proof.forged_rows import erase, fill
from tests.patience import until
from tests.postgres import in_memory
from tests.repository import REPOSITORY
from tests.soak.conftest import StoppablePostgres, running_stoppable

CAR_PRICE: Final = REPOSITORY / "data" / "contracts" / "car-price.yaml"
ROUNDS_SHORT: Final = 4
ROUNDS_LONG: Final = 200


class Pair:
    """A server that takes writes, and one that follows it."""

    def __init__(self, server: StoppablePostgres, state: Path) -> None:
        self.server = server
        self.serves = Settings(database_url=server.url, state_dir=state)
        self.ledger = open_ledger(self.serves)
        cars = CarLedger(self.ledger, self.serves).adopts()
        cars.observes(cars.rows([1971], most=5))
        fill(self.ledger)
        erase(self.ledger, (self.ledger.size() - 5, 1))
        self.ledger.rows.catch_up()
        self.stand_by = server.stand_by()
        beside = {"database_url": self.stand_by.url, "busy_timeout_seconds": 1}
        self.follows = self.serves.model_copy(update=beside)

    def arrived(self) -> None:
        """Wait until the stand-by has all that was committed by now."""
        wanted = self.ledger.sizes()

        def there() -> bool:
            with closing(self.looked_at()) as found:
                return found.sizes() == wanted

        until(there)

    def looked_at(self) -> Ledger:
        found = look_at_ledger(self.follows)
        assert found is not None
        return found

    def close(self) -> None:
        self.ledger.close()
        self.stand_by.close()


def made(state: Path) -> Iterator[Pair]:
    with running_stoppable(in_memory()) as server:
        pair = Pair(server, state)
        yield pair
        pair.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield from made(tmp_path_factory.mktemp("pair") / "state")


@pytest.fixture
def pair_that_parts(tmp_path: Path) -> Iterator[Pair]:
    yield from made(tmp_path / "state")


def said(settings: Settings, state: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, output and words of a command."""
    place = {"WHYLEDGER_DATABASE_URL": settings.ledger_url, "WHYLEDGER_BUSY_TIMEOUT_SECONDS": "1"}
    done = whyledger(state, *words, **place)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words",
    ["state --json", "decisions --json", "changes --json", "verify --json", "replay --json"],
)
def test_who_only_looks_is_answered_as_by_the_server_that_it_follows(
    pair: Pair, words: str, tmp_path: Path
) -> None:
    pair.arrived()
    code, out, told = said(pair.follows, tmp_path, *words.split())
    assert (code, out) == said(pair.serves, tmp_path, *words.split())[:2], told
    assert code == 0
    assert json.loads(out)


def test_what_is_exported_of_it_is_what_the_server_that_it_follows_exports(
    pair: Pair, tmp_path: Path
) -> None:
    pair.arrived()
    for settings, name in ((pair.serves, "one"), (pair.follows, "other")):
        code, _, told = said(settings, tmp_path, "export", "--output", str(tmp_path / name))
        assert code == 0, told
    files = sorted(each.relative_to(tmp_path / "one") for each in (tmp_path / "one").rglob("*"))
    assert files == sorted(
        each.relative_to(tmp_path / "other") for each in (tmp_path / "other").rglob("*")
    )


@pytest.mark.parametrize(
    "words",
    [
        f"adopt {REPOSITORY / 'rules' / 'policies' / 'any-evidence.yaml'}",
        "cycle --model car-price",
        f"import car-price {REPOSITORY / 'data' / 'us_cars_1971_1990.csv'}",
        "erase car-price --identity year=1971|car_id=129 --reason asked --legal-basis law",
        "serve --port 0",
    ],
)
def test_whoever_writes_is_refused_in_one_line_that_says_what_to_do(
    pair: Pair, words: str, tmp_path: Path
) -> None:
    pair.arrived()
    size = pair.ledger.size()
    code, out, told = said(pair.follows, tmp_path, *words.split())
    assert (code, out) == (20, "")
    assert "fault in Whyledger" not in told
    assert "Traceback" not in told
    assert "Let WHYLEDGER_DATABASE_URL name the server that takes writes" in told.splitlines()[-1]
    assert pair.ledger.size() == size


def test_a_stand_by_that_lacks_rows_answers_of_those_it_has_and_never_waits_for_others(
    pair: Pair, tmp_path: Path
) -> None:
    """Given entries that arrived before anybody folded their rows: nobody can fold them there."""
    put_many(pair.ledger, predictions(71, 72, 73))
    pair.arrived()
    entries, folded = pair.ledger.sizes()
    assert folded < entries
    code, out, told = said(pair.follows, tmp_path, "state", "--json")
    assert code == 0, told
    assert json.loads(out)["ledger"]["entries"] == entries
    assert said(pair.follows, tmp_path, "verify")[0] == 0
    code, _, told = said(pair.follows, tmp_path, "replay")  # compares all there is
    assert code == 20
    assert "name the server that takes writes" in told
    pair.ledger.rows.catch_up()


def test_rows_of_a_stand_by_are_those_of_entries_that_it_has_and_never_ahead_of_them(
    pair: Pair, soaking: bool
) -> None:
    """Given a service that appends and folds all the time: whenever its stand-by is looked at, its
    rows are what its entries up to theirs give."""
    ended = threading.Event()

    def go_on() -> None:
        car = 1000
        while not ended.is_set():
            put_many(pair.ledger, predictions(car, car + 1, car + 2))
            events.put(pair.ledger, "observations-cars", events.observation(f"car={car}"))
            pair.ledger.rows.catch_up()
            car += 3

    writer = threading.Thread(target=go_on)
    writer.start()
    seen = set()
    try:
        with closing(pair.looked_at()) as looking:
            for _ in range(ROUNDS_LONG if soaking else ROUNDS_SHORT):
                before = looking.sizes()[1]
                until(lambda before=before: looking.sizes()[1] > before)  # type: ignore[misc]
                with looking.snapshot() as connection:
                    folded = looking.rows.folded(connection)
                    assert folded <= head(connection)
                    ((position, leaf_hash),) = connection.execute(select(STATE)).all()
                    entry = select(ENTRIES.c.leaf_hash).where(ENTRIES.c.position == position)
                    assert (position, leaf_hash) == (folded, connection.scalar(entry))
                found = verify(looking, None)
                assert found.breaks == ()
                seen.add(folded)
    finally:
        ended.set()
        writer.join()
    assert len(seen) > 1


def test_one_that_takes_over_goes_on_from_the_rows_that_arrived(
    pair_that_parts: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a server that crashes while its stand-by has entries whose rows nobody has folded."""
    pair = pair_that_parts
    put_many(pair.ledger, predictions(71, 72, 73))
    pair.arrived()
    entries, folded = pair.ledger.sizes()
    impatient = pair.follows.model_copy(update={"busy_timeout_seconds": 0.5})
    with closing(open_ledger(impatient)) as before:
        with pytest.raises(LedgerUnwritable, match="no stand-by"):
            events.put(before, "observations-cars", events.observation("car=9"))
        pair.server.stop("immediate")
        pair.stand_by.promote()
        assert before.sizes() == (entries, folded)
        reached: list[int] = []
        before.rows.catch_up(progress=lambda done, _: reached.append(done))
        events.put(before, "observations-cars", events.observation("car=9"))
        assert rebuild(before).differing == ()
        assert before.sizes() == (entries + 1, entries + 1)
    assert "anew" not in caplog.text
