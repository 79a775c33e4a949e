"""The tree over the entries, its head, and the signed checkpoints; a ledger that stands gets them.

The back-fill hashes the stored bytes again and stops at an entry that is not what its hash says.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domain.canonical import leaf_hash
from domain.errors import LedgerDamaged
from domain.tree.merkle import Frontier, root_of

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
    """Every full tile and the head of the entries that stand already."""
    tree = Frontier()
    unfinished: list[list[bytes]] = [[]]  # by level: hashes of the tile that is not full yet
    done = 0
    while True:
        rows = connection.execute(
            sa.text(
                "SELECT position, bytes, leaf_hash FROM entries"
                " WHERE position >= :done ORDER BY position LIMIT 10000"
            ),
            {"done": done},
        ).all()
        if not rows:
            break
        for expected, row in enumerate(rows, done):
            leaf = leaf_hash(bytes(row.bytes))
            if row.position != expected or leaf != bytes(row.leaf_hash):
                raise LedgerDamaged(
                    f"ledger entry {expected} is missing, or its stored bytes are not what its "
                    "hash says; no tree is built over it. Restore a back-up."
                )
            tree = tree.append([leaf])
            _add(connection, unfinished, expected, leaf)
        done += len(rows)
    connection.execute(
        sa.text("INSERT INTO ledger_head (id, size, frontier) VALUES (1, :size, :frontier)"),
        {"size": tree.size, "frontier": b"".join(tree.roots)},
    )


def _add(
    connection: sa.Connection, unfinished: list[list[bytes]], index: int, hashed: bytes
) -> None:
    """Add the hash with this index to level 0, and every tile that this fills to the table."""
    level = 0
    while True:
        unfinished[level].append(hashed)
        if len(unfinished[level]) < TILE_HASHES:
            return
        index //= TILE_HASHES
        hashed = root_of(unfinished[level])
        connection.execute(
            sa.text("INSERT INTO tiles VALUES (:level, :number, :root, :bytes)"),
            {
                "level": level,
                "number": index,
                "root": hashed,
                "bytes": b"".join(unfinished[level]),
            },
        )
        unfinished[level] = []
        level += 1
        if level == len(unfinished):
            unfinished.append([])


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
