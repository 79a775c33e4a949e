"""Every setting, typed, with unit and default. A setting that makes no sense refuses the start.

Each is read from the environment variable `WHYLEDGER_<NAME>`; `docs/settings.md` lists them all.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_MIB: Final = 1024 * 1024
_DRIVERS: Final = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg://")


class Settings(BaseSettings):
    """What a process is told at its start; nothing changes while it runs."""

    model_config = SettingsConfigDict(
        env_prefix="WHYLEDGER_",
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,  # a URL may hold a password
    )

    state_dir: Path = Field(
        Path("state"),
        description="Directory of everything the service writes: ledger, keys, merged data, "
        "registry, quarantine, locks, logs.",
    )
    database_url: str = Field(
        "",
        repr=False,
        description="Where the ledger is: `sqlite:///path` or `postgresql://user@host/name`. "
        "Empty: `ledger.db` in the state directory.",
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Loopback only: there are no keys yet.",
    )
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    busy_timeout_seconds: float = Field(
        5.0, ge=0.01, le=300, description="Seconds an append waits for the ledger before a 503."
    )
    body_bytes_max: int = Field(
        _MIB, ge=1024, le=256 * _MIB, description="Bytes of one request body, CSV uploads excepted."
    )
    dataset_bytes_max: int = Field(
        256 * _MIB,
        ge=1024,
        description="Bytes of one CSV upload; it is streamed, never held whole.",
    )
    rows_per_request_max: int = Field(
        1000, ge=1, le=10_000, description="Rows (or events) in one request."
    )
    events_per_append_max: int = Field(
        500, ge=1, le=5000, description="Events in one transaction of an upload or a worker."
    )
    page_entries_max: int = Field(
        500, ge=1, le=5000, description="Entries, cycles or decisions in one page of an answer."
    )
    champion_poll_seconds: float = Field(
        0.5, ge=0.05, le=1.0, description="Seconds between looks whether the champion has changed."
    )
    clock_skew_seconds_max: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="Seconds a client's clock may be ahead of ours: times up to that are taken.",
    )
    cycle_wait_seconds_max: int = Field(
        60, ge=0, le=600, description="Seconds a request may ask to wait for its cycle's end."
    )
    workers_outlive: bool = Field(
        True,
        description="Whether a cycle's worker goes on when the service ends. When `false` it stays "
        "in the service's process group, for whoever ends the whole group.",
    )
    retry_after_seconds: int = Field(
        1, ge=1, le=3600, description="Seconds a client is told to wait after a 503."
    )
    signing_key: str = Field(
        "",
        description="File of the key that signs checkpoints, made when missing; what it last "
        "signed is kept beside it. Empty: `keys/signing.key` in the state directory.",
    )
    checkpoint_seconds: float = Field(
        1.0, ge=0.05, le=3600, description="Seconds between checkpoints while the ledger grows."
    )
    anchor_file: str = Field(
        "", description="File every checkpoint is appended to, best on another machine's disk."
    )
    anchor_webhook: str = Field(
        "", description="URL every checkpoint is posted to, as `text/plain`."
    )
    anchor_git: str = Field(
        "", description="Git repository every checkpoint is kept in. Pushing it is up to you."
    )
    anchor_git_form: Literal["tag", "commit"] = Field(
        "tag", description="How Git keeps it: an annotated `tag`, or an empty `commit`."
    )

    @field_validator("state_dir", mode="before")
    @classmethod
    def _names_a_directory(cls, value: object) -> object:
        if value == "":
            raise ValueError(
                "state_dir is empty, which would be wherever this runs. Name a directory, or leave "
                "it out for state/."
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _knows_the_database(cls, value: str) -> str:
        if value and not value.startswith(_DRIVERS):
            raise ValueError(
                f"database_url starts with {value.split(':', 1)[0][:20]!r}; it must start with "
                f"one of {', '.join(_DRIVERS)}. Leave it empty for SQLite in the state directory."
            )
        if value.startswith("sqlite:///") and (
            value == "sqlite:///" or ":memory:" in value or "mode=memory" in value
        ):
            raise ValueError(
                f"database_url {value!r} keeps the ledger in memory, where it would not outlive "
                "the process. Name a file: sqlite:///state/ledger.db"
            )
        return value

    @field_validator("host")
    @classmethod
    def _listens_on_loopback(cls, value: str) -> str:
        try:
            loopback = value == "localhost" or ipaddress.ip_address(value).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ValueError(
                f"host {value!r} is not a loopback address. There are no keys yet, so anybody who "
                "reaches the port may do anything: use 127.0.0.1, and a proxy that asks who it is."
            )
        return value

    @field_validator("anchor_webhook")
    @classmethod
    def _knows_the_scheme(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError(
                f"anchor_webhook begins with {value[:8]!r}. Begin it with https://, or with "
                "http:// on this machine."
            )
        return value

    @property
    def signing_key_path(self) -> Path:
        """Where the signing key is, with the default filled in."""
        return Path(self.signing_key or self.state_dir / "keys" / "signing.key")

    @property
    def ledger_url(self) -> str:
        """The URL of the ledger's database, with the default filled in."""
        return self.database_url or f"sqlite:///{self.state_dir / 'ledger.db'}"

    @property
    def by_products_lock(self) -> Path:
        """The file whose lock a worker holds while it writes to the DVC repository or MLflow."""
        return self.state_dir / "locks" / "by-products.lock"

    def as_environment(self) -> dict[str, str]:
        """Environment variables from which another process reads the same settings."""
        values = {name: str(value) for name, value in self.model_dump(mode="json").items()}
        return {f"WHYLEDGER_{name.upper()}": value for name, value in values.items()}
