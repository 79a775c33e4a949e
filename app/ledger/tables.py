"""The tables that are the truth: entries, the artefacts they name, the payloads and rows they
commit to.

Nothing in them is ever changed or removed, but for payloads, rows, references and identities whose
erasure an entry records; the triggers in `migrations/` refuse everything else. Beside them
stand the tree over the entries (tiles and head) and the checkpoints that were signed: all of it
only grows, and all of it but the signatures follows from the entries.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
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

PAYLOADS: Final = Table(  # of events about persons: what their envelopes only commit to
    "payloads",
    METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),  # of the entry
    Column("model", NAME, nullable=False),
    Column("identity", NAME, nullable=False),  # of the row, so that all of it can be found
    Column("salt", LargeBinary, nullable=False),  # 32 random bytes
    Column("bytes", LargeBinary, nullable=False),  # RFC 8785 bytes of the event's data
    Column("request_digest", LargeBinary),  # 32 bytes; here because it could be guessed from
    Index(None, "model", "identity"),
)

BLOCKS: Final = Table(  # of entries of many rows: the rows, which their envelopes only commit to
    "blocks",
    METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),  # of the entry
    Column("rows", Integer, nullable=False),
    Column("salts", LargeBinary, nullable=False),  # 16 random bytes a row; zeros of an erased one
    Column("bytes", LargeBinary, nullable=False),  # a line a row, see `domain/blocks/block.py`
    Column("digests", LargeBinary),  # 16 bytes a row: of each CloudEvent; null where none came
    Column("request_digest", LargeBinary),  # 32 bytes, of all rows; here: it could be guessed from
)

ROW_IDS: Final = Table(  # of observations and outcomes in blocks; ids of predictions are counted
    "row_ids",
    METADATA,
    Column("id", LargeBinary, primary_key=True),  # UUID of the row's event, 16 bytes
    Column("position", POSITION, nullable=False),
    Column("row", Integer, nullable=False),  # from 0
    sqlite_with_rowid=False,
)

TILES: Final = Table(  # full tiles of C2SP tlog-tiles: 256 hashes each; the right edge is computed
    "tiles",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),  # 0: leaf hashes
    Column("number", POSITION, primary_key=True, autoincrement=False),  # from 0 within its level
    Column("root", LargeBinary, nullable=False),  # 32 bytes: the tile's hash one level up
    Column("bytes", LargeBinary, nullable=False),  # 8,192 bytes
)

LEDGER_HEAD: Final = Table(  # one row; a trigger refuses a smaller size
    "ledger_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1
    Column("size", POSITION, nullable=False),  # entries
    Column("frontier", LargeBinary, nullable=False),  # 32 bytes for each set bit of size
)

CHECKPOINTS: Final = Table(
    "checkpoints",
    METADATA,
    Column("size", POSITION, primary_key=True, autoincrement=False),  # entries it covers
    Column("root", LargeBinary, nullable=False),  # 32 bytes
    Column("note", Text, nullable=False),  # C2SP signed note
    Column("signed_at", NAME, nullable=False),
)
