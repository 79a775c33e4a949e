"""Every setting, typed, with unit and default. A setting that makes no sense refuses the start.

Each is read from the environment variable `WHYLEDGER_<NAME>`; `docs/settings.md` lists them all.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_MIB: Final = 1024 * 1024
_DRIVERS: Final = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg://")
_HOST_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:.]{2,45}")


def _names(listed: str) -> list[str]:
    return [name for part in listed.split(",") if (name := part.strip().lower())]


PREFIX: Final = "WHYLEDGER_"
_OPTIONS: Final = frozenset({"SERVICE_URL"})  # of the command line, named by the environment


_NEAR: Final = 0.75  # how alike two names are that may be one
# What Kubernetes gives every container for a Service named `whyledger`, or `whyledger-db`.
_SERVICE_LINK: Final = re.compile(
    r"(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)|.+_PORT"
)
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://\S+", re.IGNORECASE)


def unknown_names(environment: Iterable[str]) -> dict[str, str | None]:
    """Each variable that looks like ours and is none, with the setting it may be meant for.

    None: it is like no setting, so somebody else may have made it. What Kubernetes makes for a
    Service of our name is left out.
    """
    known = {*(name.upper() for name in Settings.model_fields), *_OPTIONS}
    found: dict[str, str | None] = {}
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        ours = variable.upper().startswith(PREFIX) and not _SERVICE_LINK.fullmatch(name)
        if ours and name not in known:
            near = get_close_matches(name, sorted(known), n=1, cutoff=_NEAR)
            found[variable] = PREFIX + near[0] if near else None
    return found


class Settings(BaseSettings):
    """What a process is told at its start; nothing changes while it runs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
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
    host_names: str = Field(
        "",
        description="Names by which clients call the service beside loopback's, separated by "
        "commas: a proxy's, for one. A request for any other host is answered with 421.",
    )
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    busy_timeout_seconds: float = Field(
        5.0, ge=0.01, le=300, description="Seconds an append waits for the ledger before a 503."
    )
    answer_seconds_max: float = Field(
        60.0,
        ge=0.2,
        le=3600,
        description="Seconds a command or worker waits for PostgreSQL before it asks, over another "
        "connection, whether the server answers at all, for as long again. Work goes on while it "
        "does; else the command ends with exit code 20.",
    )
    body_bytes_max: int = Field(
        _MIB, ge=1024, le=256 * _MIB, description="Bytes of one request body, CSV uploads excepted."
    )
    dataset_bytes_max: int = Field(
        256 * _MIB,
        ge=1024,
        description="Bytes of one CSV upload; it is streamed, never held whole.",
    )
    quarantine_bytes_max: int = Field(
        64 * _MIB,
        ge=1024,
        description="Bytes of the file that lists an upload's refused rows, and never more than "
        "four times the upload and 64 KiB; what it has no room for is counted in a closing line.",
    )
    quarantine_total_bytes_max: int = Field(
        1024 * _MIB,
        ge=1024,
        description="Bytes of all those files together: beyond, the oldest ones are removed, never "
        "the newest.",
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
    rows_folded_beside: bool = Field(
        True,
        description="Whether a process of its own beside the service folds what came in row by "
        "row. When `false`, who asks for it folds what is missing.",
    )
    connections_max: int = Field(
        500,
        ge=2,
        le=100_000,
        description="Connections that may be open. One more closes the one that keeps the service "
        "waiting the longest, or is answered with 503. Fewer, where the process may open fewer "
        "files.",
    )
    head_seconds_max: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Seconds until a connection has brought the head of a request.",
    )
    stall_seconds_max: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds a body may lag behind 1 KiB a second, and an answer may stand unread.",
    )
    shutdown_seconds: float = Field(
        10.0,
        ge=2,
        le=3600,
        description="Seconds after SIGTERM until the process has ended, whatever it waits for.",
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

    @field_validator("port", mode="before")
    @classmethod
    def _is_no_service_link(cls, value: object) -> object:
        """Kubernetes sets `WHYLEDGER_PORT=tcp://10.0.0.7:8000` for a Service of our name."""
        if isinstance(value, str) and _SERVICE_ADDRESS.fullmatch(value):
            return cls.model_fields["port"].default
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

    @field_validator("host_names")
    @classmethod
    def _names_hosts(cls, value: str) -> str:
        for name in _names(value):
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(
                    f"host_names has {name[:100]!r}, which is no name of a host. Write names "
                    "without scheme and port, separated by commas: rules.example.org"
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
    def names_of_host(self) -> frozenset[str]:
        """The names of `host_names`, in small letters."""
        return frozenset(_names(self.host_names))

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
