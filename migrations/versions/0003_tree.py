"""The tree over the entries, its head, and the signed checkpoints; a ledger that stands gets them.

The back-fill hashes the stored bytes again and stops at an entry that is not what its hash says.
"""

from __future__ import annotations

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TILE_HASHES = 256

REFUSED = "{table} only grows: nothing in it is changed, replaced or removed"

SQLITE_GUARD = {
    "tiles": "EXISTS (SELECT 1 FROM tiles WHERE level = NEW.level AND number = NEW.number)",
    "checkpoints": "EXISTS (SELECT 1 FROM checkpoints WHERE size = NEW.size)",
}


def upgrade() -> None:
    op.create_table(
        "tiles",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", POSITION, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name="pk_tiles"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", POSITION, nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_head"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", POSITION, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", NAME, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_checkpoints"),
    )
    _fill(op.get_bind())
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def downgrade() -> None:
    raise NotImplementedError("the ledger only grows; restore a back-up instead")


def _fill(connection: sa.Connection) -> None:
    """Every full tile and the head of the entries that stand already (RFC 6962)."""
    hashes = _leaves(connection)
    size, level = len(hashes), 0
    frontier = _frontier(hashes)
    while len(hashes) >= TILE_HASHES:
        tiles = range(len(hashes) // TILE_HASHES)
        full = [hashes[n * TILE_HASHES : (n + 1) * TILE_HASHES] for n in tiles]
        hashes = [_root(tile) for tile in full]
        for number, (root, tile) in enumerate(zip(hashes, full, strict=True)):
            connection.execute(
                sa.text("INSERT INTO tiles VALUES (:level, :number, :root, :bytes)"),
                {"level": level, "number": number, "root": root, "bytes": b"".join(tile)},
            )
        level += 1
    connection.execute(
        sa.text("INSERT INTO ledger_head (id, size, frontier) VALUES (1, :size, :frontier)"),
        {"size": size, "frontier": b"".join(frontier)},
    )


def _leaves(connection: sa.Connection) -> list[bytes]:
    """The leaf hash of every entry, in order of position."""
    leaves: list[bytes] = []
    rows = connection.execute(
        sa.text("SELECT position, bytes, leaf_hash FROM entries ORDER BY position"),
        execution_options={"yield_per": 10_000},
    )
    for expected, row in enumerate(rows):
        leaf = sha256(b"\x00" + bytes(row.bytes)).digest()
        if row.position != expected or leaf != bytes(row.leaf_hash):
            raise ValueError(
                f"ledger entry {expected} is missing, or its stored bytes are not what its "
                "hash says; no tree is built over it. Restore a back-up."
            )
        leaves.append(leaf)
    return leaves


def _frontier(leaves: list[bytes]) -> list[bytes]:
    """The roots of the perfect subtrees at the right edge, largest first."""
    roots, first = [], 0
    while first < len(leaves):
        end = first + (1 << (len(leaves) - first).bit_length() - 1)  # the largest that fits
        roots.append(_root(leaves[first:end]))
        first = end
    return roots


def _root(hashes: list[bytes]) -> bytes:
    """The root over 2^n hashes."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return hashes[0]


def _guard_on_sqlite() -> None:
    for table, taken in SQLITE_GUARD.items():
        refuse = f"SELECT RAISE(ABORT, '{REFUSED.format(table=table)}');"
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN {refuse} END"
            )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_replace BEFORE INSERT ON {table}"
            f" WHEN {taken} BEGIN {refuse} END"
        )
    refuse = f"SELECT RAISE(ABORT, '{REFUSED.format(table='ledger_head')}');"
    op.execute(
        "CREATE TRIGGER ledger_head_refuse_update BEFORE UPDATE ON ledger_head"
        f" WHEN NEW.size < OLD.size OR NEW.id <> OLD.id BEGIN {refuse} END"
    )
    for verb in ("DELETE", "INSERT"):  # the one row stands already
        op.execute(
            f"CREATE TRIGGER ledger_head_refuse_{verb.lower()} BEFORE {verb} ON ledger_head"
            f" BEGIN {refuse} END"
        )


def _guard_on_postgresql() -> None:
    always = []
    for table in SQLITE_GUARD:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION whyledger_refuse()"
        )
        always.append((table, "refuse_change"))
    op.execute(
        "CREATE TRIGGER ledger_head_refuse_change BEFORE UPDATE ON ledger_head FOR EACH ROW"
        " WHEN (NEW.size < OLD.size OR NEW.id <> OLD.id) EXECUTE FUNCTION whyledger_refuse()"
    )
    op.execute(  # the one row stands already
        "CREATE TRIGGER ledger_head_refuse_other BEFORE INSERT OR DELETE ON ledger_head"
        " FOR EACH ROW EXECUTE FUNCTION whyledger_refuse()"
    )
    always += [("ledger_head", "refuse_change"), ("ledger_head", "refuse_other")]
    for table in (*SQLITE_GUARD, "ledger_head"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION whyledger_refuse()"
        )
        always.append((table, "refuse_truncate"))
    for table, trigger in always:
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{trigger}")
