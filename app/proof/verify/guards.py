"""Whether the database still refuses what the migrations taught it to refuse."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from app.proof.verify.breaks import Break

_INSERT_ONLY: Final = ("entries", "artefacts", "payloads", "tiles", "checkpoints")
_FOUNDED: Final = ("payloads", "tiles", "checkpoints")  # a row needs the entries it speaks of
_SQLITE: Final = frozenset(
    [f"{table}_refuse_{verb}" for table in _INSERT_ONLY for verb in ("update", "delete", "replace")]
    + [f"ledger_head_refuse_{verb}" for verb in ("update", "delete", "insert")]
    + [f"{table}_refuse_unfounded" for table in _FOUNDED]
)
_POSTGRES: Final = frozenset(
    [f"{table}_refuse_{verb}" for table in _INSERT_ONLY for verb in ("change", "truncate")]
    + [f"ledger_head_refuse_{verb}" for verb in ("change", "other", "truncate")]
    + [f"{table}_refuse_unfounded" for table in _FOUNDED]
    + ["artefacts_refuse_delete", "payloads_refuse_delete"]  # but for what an entry says is erased
)
_SQLITE_QUERY: Final = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
# 'A': fires always, in a session that plays replica too
_POSTGRES_QUERY: Final = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'"


def missing_guards(connection: Connection) -> list[Break]:
    """The triggers that are gone or disabled, as one finding; none when all stand."""
    sqlite = connection.dialect.name == "sqlite"
    expected = _SQLITE if sqlite else _POSTGRES
    rows = connection.exec_driver_sql(_SQLITE_QUERY if sqlite else _POSTGRES_QUERY)
    missing = expected - {row[0] for row in rows}
    if not missing:
        return []
    return [
        Break(
            None,
            "the database's guards",
            f"{len(expected)} triggers",
            f"these dropped or disabled: {', '.join(sorted(missing))}",
        )
    ]
