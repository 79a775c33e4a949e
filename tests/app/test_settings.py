from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, unknown_names
from tests.repository import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "settings.md"


def test_the_defaults_make_a_ledger_in_the_state_directory() -> None:
    assert Settings().ledger_url == "sqlite:///state/ledger.db"
    assert Settings(state_dir=Path("/srv/why")).ledger_url == "sqlite:////srv/why/ledger.db"


def test_the_environment_names_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYLEDGER_PORT", "8080")
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", "postgresql://me@host/name")
    settings = Settings()
    assert settings.port == 8080
    assert settings.ledger_url == "postgresql://me@host/name"


def test_another_process_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(port=0, busy_timeout_seconds=0.25, state_dir=Path("elsewhere"))
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_an_empty_state_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYLEDGER_STATE_DIR", "")
    with pytest.raises(ValidationError, match=r"state_dir is empty.*leave it out for state/"):
        Settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_loopback_addresses_are_listened_on(host: str) -> None:
    assert Settings(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])  # noqa: S104
def test_any_other_address_is_refused_with_the_reason(host: str) -> None:
    with pytest.raises(ValidationError, match=r"not a loopback address\. There are no keys yet"):
        Settings(host=host)


@pytest.mark.parametrize("url", ["mysql://host/name", "ledger.db", "sqlite://", "sqlite:ledger.db"])
def test_an_unknown_database_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(ValidationError, match=r"must start with\s+one of sqlite:///.*Leave it"):
        Settings(database_url=url)


@pytest.mark.parametrize(
    "url", ["sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"]
)
def test_a_ledger_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="would not outlive the process"):
        Settings(database_url=url)


def test_a_password_is_not_shown() -> None:
    url = "postgresql://me:hunter2@host/name"
    assert "hunter2" not in repr(Settings(database_url=url))
    with pytest.raises(ValidationError) as refusal:
        Settings(database_url="mysql://me:hunter2@host/name")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65536),
        ("busy_timeout_seconds", 0),
        ("champion_poll_seconds", 2),
        ("rows_per_request_max", 0),
        ("events_per_append_max", 100_000),
    ],
)
def test_a_bound_is_a_bound(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})


def test_every_setting_is_documented_with_its_default() -> None:
    rows = {
        line.split("|")[1].strip(): line
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `")
    }
    expected = {f"`WHYLEDGER_{name.upper()}`" for name in Settings.model_fields}
    assert set(rows) == expected
    for name, field in Settings.model_fields.items():
        _, _, default, meaning, _ = (
            part.strip() for part in rows[f"`WHYLEDGER_{name.upper()}`"].split("|")
        )
        assert default == (f"`{field.default}`" if field.default != "" else "")
        assert meaning == field.description


def test_a_misspelt_setting_is_named_with_the_one_it_may_mean() -> None:
    assert unknown_names(["PATH", "WHYLEDGER_PORT", "WHYLEDGER_SERVICE_URL"]) == {}
    assert unknown_names(["WHYLEDGER_STATEDIR", "WHYLEDGER_BUSY_TIMEOUT", "WHYLEDGER_FLAVOUR"]) == {
        "WHYLEDGER_BUSY_TIMEOUT": "WHYLEDGER_BUSY_TIMEOUT_SECONDS",
        "WHYLEDGER_FLAVOUR": None,
        "WHYLEDGER_STATEDIR": "WHYLEDGER_STATE_DIR",
    }


def test_what_kubernetes_makes_for_a_service_of_our_name_is_no_misspelt_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = {
        "WHYLEDGER_X_PORT": "tcp://10.0.0.8:5432",
        "WHYLEDGER_PORT": "tcp://10.0.0.7:8000",
        "WHYLEDGER_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "WHYLEDGER_PORT_8000_TCP_ADDR": "10.0.0.7",
        "WHYLEDGER_PORT_8000_TCP_PORT": "8000",
        "WHYLEDGER_PORT_8000_TCP_PROTO": "tcp",
        "WHYLEDGER_SERVICE_HOST": "10.0.0.7",
        "WHYLEDGER_SERVICE_PORT": "8000",
        "WHYLEDGER_SERVICE_PORT_HTTP": "8000",
    }
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    assert unknown_names(made) == {}
    assert Settings() == Settings(port=8000)
    monkeypatch.setenv("WHYLEDGER_PORT", "http://10.0.0.7:8000")
    with pytest.raises(ValidationError, match="port"):
        Settings()
