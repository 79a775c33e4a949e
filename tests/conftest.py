"""Real databases for every test that asks: a fresh SQLite file, a fresh PostgreSQL database."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from app.database.engine import create_database
from app.database.migrating import upgrade
from app.database.rows_file import rows_files
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from tests.compiled import compiling_once
from tests.postgres import command, create, in_memory, named, running_postgres
from tests.soak.tables import Say, Show, said_beside, say, show
from tests.told import Story, Told, ToldOnce, dialect_of

__all__ = ["Say", "Show", "say", "show"]

_NUMBERS = count(1)
# One thread each, as a cycle's worker has: two that wait for one another burn a busy machine.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# Begun in the background (`make test &`) they would ignore Ctrl-C, and so would all they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What tests write, too: to wait for a disk costs an eighth of the CPU time of those that append.
# Not where nothing may be executed: one of them makes a library there.
if (_memory := in_memory()) and not os.statvfs(_memory).f_flag & os.ST_NOEXEC:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_memory))

# The same cases wherever it runs, whatever the order's seed and however busy the machine;
# --hypothesis-profile=anew draws others.
hypothesis.register_profile(
    "anew", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
hypothesis.register_profile(
    "same", hypothesis.get_profile("anew"), derandomize=True, max_examples=60
)
hypothesis.load_profile("same")


# Files of few tests that take long. Begun last, one of them would keep one worker busy alone.
_LONG = (
    "test_run_story.py",
    "test_program.py",
    "test_openapi_generated.py",
    "test_hostile_clients.py",
    "test_every_part_is_killed.py",
    "test_demo.py",
    "test_commands.py",
    "test_disk.py",
    "test_label_days.py",
    "test_waiting.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In any order but that: what takes long begins first (with `--no-loadscope-reorder`)."""
    items.sort(key=lambda item: item.path.name not in _LONG)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The long forms that `make soak` runs, wherever they stand."""
    parser.addoption("--soak", action="store_true", help="the long form: many rounds")
    parser.addoption("--kills", type=int, help="how many kills, halved over the two databases")
    parser.addoption("--into", type=Path, help="the page that their tables are written into")
    parser.addoption("--hours", type=float, help="how long under steady mixed load")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WHYLEDGER_")]:
            patch.delenv(name)
        # A process beside each service of a test would cost more than most tests.
        patch.setenv("WHYLEDGER_ROWS_FOLDED_BESIDE", "false")
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiling_once() -> Iterator[None]:
    with compiling_once():
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests that ran beside each other said."""
    for text in said_beside(terminalreporter):
        terminalreporter.write(f"\n{text}\n")


@pytest.fixture
def soaking(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long form."""
    return bool(request.config.getoption("--soak", default=False))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger with its first entry, to copy: quicker than making one for each test."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _begin(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL of this test process, as the URL of its maintenance database."""
    with running_postgres() as url:
        create(url, "template", like="template0")
        _begin(named(url, "template"))
        yield url


@pytest.fixture
def fresh_postgres(postgres_server: str) -> Iterator[Callable[[bool], str]]:
    """Makes databases of its own for the test: with the first entry, or empty ones."""
    made: list[str] = []

    def make(begun: bool) -> str:
        made.append(f"test_{next(_NUMBERS)}")
        create(postgres_server, made[-1], like="template" if begun else "template0")
        return named(postgres_server, made[-1])

    yield make
    for name in made:
        command(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def told_once(
    request: pytest.FixtureRequest,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> ToldOnce:
    """Tells a story to a ledger on the database of these settings, once however often asked."""

    @cache
    def told(story: Story, dialect: str) -> Told:
        settings = Settings(state_dir=tmp_path_factory.mktemp("told") / "state")
        settings.state_dir.mkdir()
        if dialect == "sqlite":
            copy_of(sqlite_template, settings.state_dir / "ledger.db")
        else:
            server: str = request.getfixturevalue("postgres_server")
            name = f"told_{next(_NUMBERS)}"
            create(server, name, like="template")
            settings = settings.model_copy(update={"database_url": named(server, name)})
        ledger = open_ledger(settings)
        gives = story(ledger, settings)
        ledger.close()
        return Told(settings, gives)

    return lambda story, settings: told(story, dialect_of(settings))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the first entry; the test runs once on SQLite and once on PostgreSQL."""
    return _fresh(request, tmp_path, begun=True)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database without any table, on SQLite and on PostgreSQL."""
    return _fresh(request, tmp_path, begun=False)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings that point to the test's own database and state directory."""
    return Settings(database_url=database_url, state_dir=tmp_path / "state")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """An open ledger with its first entry, on both databases."""
    opened = open_ledger(settings)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_settings(sqlite_template: Path, tmp_path: Path) -> Settings:
    """Settings on a fresh SQLite file, for tests that do not concern the database."""
    path = tmp_path / "ledger.db"
    copy_of(sqlite_template, path)
    return Settings(database_url=f"sqlite:///{path}", state_dir=tmp_path / "state")


@pytest.fixture(scope="session")
def registry_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store."""
    from app.training.tracking import MlflowRegistry

    folder = tmp_path_factory.mktemp("registry")
    assert MlflowRegistry(folder, "1970-01-01T00:00:00Z").champion_run("nobody") is None
    return folder / "mlflow.db"


@pytest.fixture
def with_registry(registry_store: Path) -> Callable[[Settings], Settings]:
    """Puts the empty MLflow store into the state directory of these settings."""

    def prepare(settings: Settings) -> Settings:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy(registry_store, settings.state_dir / "mlflow.db")
        return settings

    return prepare


@pytest.fixture
def sqlite_ledger(sqlite_settings: Settings) -> Iterator[Ledger]:
    """An open ledger on SQLite alone."""
    opened = open_ledger(sqlite_settings)
    yield opened
    opened.close()


def _fresh(request: pytest.FixtureRequest, tmp_path: Path, *, begun: bool) -> str:
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        if begun:
            copy_of(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    make: Callable[[bool], str] = request.getfixturevalue("fresh_postgres")
    return make(begun)


def copy_of(template: Path, to: Path) -> None:
    """A copy of such a ledger and of its rows: making their tables costs more than most tests."""
    shutil.copy(template, to)
    for rows in rows_files(template):
        shutil.copy(rows, to.with_name(rows.name.replace(template.name, to.name)))


def _begin(url: str) -> None:
    settings = Settings(database_url=url)
    engine = create_database(url, settings)
    upgrade(engine, 30)
    engine.dispose()
    open_ledger(settings).close()
    if url.startswith("sqlite"):
        for rows in rows_files(Path(url.removeprefix("sqlite:///"))):
            with closing(sqlite3.connect(rows)) as whole:
                whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
