"""The two tables that are the truth: entries, and the artefacts that entries name by digest.

Nothing in them is ever changed or removed; the triggers in `migrations/` refuse it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# On SQLite only INTEGER PRIMARY KEY is the rowid itself; there it holds 64 bits as well.
POSITION: Final = BigInteger().with_variant(Integer(), "sqlite")
# Compared by bytes on both databases, so that both sort alike.
NAME: Final = Text().with_variant(Text(collation="C"), "postgresql")

ENTRIES: Final = Table(
    "entries",
    METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),  # from 0, dense
    Column("id", NAME, nullable=False, unique=True),  # UUID of the event
    Column("stream", NAME, nullable=False),
    Column("stream_version", POSITION, nullable=False),  # from 0, dense in its stream
    Column("type", NAME, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("occurred_at", NAME, nullable=False),
    Column("recorded_at", NAME, nullable=False),
    Column("bytes", LargeBinary, nullable=False),  # canonical bytes of the envelope, as hashed
    Column("leaf_hash", LargeBinary, nullable=False),  # 32 bytes, RFC 6962
    Column("request_digest", LargeBinary),  # 32 bytes; null where no client asked
    UniqueConstraint("stream", "stream_version"),
)

ARTEFACTS: Final = Table(
    "artefacts",
    METADATA,
    Column("sha256", NAME, primary_key=True),  # 64 hex digits of the bytes' digest
    Column("kind", NAME, nullable=False),  # plan, reference or identities
    Column("bytes", LargeBinary, nullable=False),
)
