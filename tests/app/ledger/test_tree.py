"""The stored tree is the tree over the entries, whatever the appends looked like, on both."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import text

from app.database.engine import create_database, insert_rows
from app.database.migrating import upgrade
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from app.ledger.tree import TILE_HASHES, StoredTree, read_head
from app.settings import Settings
from domain.canonical import leaf_hash
from domain.errors import LedgerDamaged, RequestInvalid, UnknownThing
from domain.tree.merkle import Frontier, root_of
from domain.tree.proofs import verify_consistency, verify_inclusion
from tests.app.proof.forger import drop_guards
from tests.ledger_events import put, refused

SIZE = 700  # two full tiles and a right edge


@pytest.fixture
def grown(ledger: Ledger) -> Ledger:
    chance = random.Random(1)
    while ledger.size() < SIZE:
        count = min(chance.choice([1, 3, 40, 300]), SIZE - ledger.size())
        put(ledger, "observations-cars", *[refused(number + 1) for number in range(count)])
    return ledger


def leaves_of(ledger: Ledger) -> list[bytes]:
    return [leaf_hash(content) for content in ledger.stored_bytes(0, SIZE)]


def test_the_head_names_the_whole_ledger(grown: Ledger) -> None:
    with grown.connect() as connection:
        assert read_head(connection) == Frontier().append(leaves_of(grown))


def test_every_size_has_the_root_of_its_entries(grown: Ledger) -> None:
    leaves = leaves_of(grown)
    with grown.connect() as connection:
        for size in (0, 1, 2, 255, 256, 257, 511, 512, 513, 699, 700):
            assert StoredTree(connection, size).root() == root_of(leaves[:size])


def test_an_entry_is_proved_in_every_larger_tree(grown: Ledger) -> None:
    leaves = leaves_of(grown)
    with grown.connect() as connection:
        for size in (1, 255, 256, 300, 512, 640, 700):
            tree, root = StoredTree(connection, size), root_of(leaves[:size])
            for position in {0, size // 3, size // 2, size - 1}:
                verify_inclusion(leaves[position], position, size, tree.inclusion(position), root)


def test_every_tree_extends_the_earlier_ones(grown: Ledger) -> None:
    leaves = leaves_of(grown)
    with grown.connect() as connection:
        for later in (256, 300, 512, 700):
            tree, root = StoredTree(connection, later), root_of(leaves[:later])
            for earlier in {1, 2, 255, later // 2, later - 1, later}:
                proof = tree.consistency(earlier)
                verify_consistency(earlier, later, root_of(leaves[:earlier]), root, proof)


def test_tiles_have_their_layout(grown: Ledger) -> None:
    leaves = leaves_of(grown)
    with grown.connect() as connection:
        tree = StoredTree(connection, SIZE)
        assert tree.tile(0, 0) == b"".join(leaves[:256])
        assert tree.tile(0, 2) == b"".join(leaves[512:])
        assert tree.tile(1, 0) == root_of(leaves[:256]) + root_of(leaves[256:512])
        assert StoredTree(connection, 256).tile(1, 0) == root_of(leaves[:256])
        for level, number in ((0, 3), (1, 1), (2, 0), (8, 0), (0, -1)):
            with pytest.raises(UnknownThing, match=f"no tile {level}/{number}"):
                tree.tile(level, number)
        stored = connection.execute(text("SELECT level, number FROM tiles ORDER BY 1, 2")).all()
        assert [tuple(row) for row in stored] == [(0, 0), (0, 1)]


def test_a_second_level_of_tiles_is_filled_too(ledger: Ledger) -> None:
    wide = TILE_HASHES * TILE_HASHES
    from app.ledger.tree import grow

    leaves = [leaf_hash(number.to_bytes(4)) for number in range(wide + 300)]
    with ledger.writing() as connection:  # leaf hashes alone: entries would take a minute
        first = ledger.leaf_hashes(0, 0)
        last = (wide + 255, "id", "s", 0, "t", 1, "", "", b"", bytes(32), None)
        drop_guards(connection)
        insert_rows(connection, ENTRIES, [last])  # no tile stands before its entries
        grow(connection, 1, leaves[1:wide])
        grow(connection, wide, leaves[wide : wide + 256])
        tree = StoredTree(connection, wide + 256)
        assert tree.root() == root_of(first + leaves[1 : wide + 256])
        assert len(tree.tile(1, 0)) == 8192
        proof = tree.inclusion(40_000)
        verify_inclusion(leaves[40_000], 40_000, wide + 256, proof, tree.root())


def test_what_is_not_in_the_tree_has_no_proof(grown: Ledger) -> None:
    with grown.connect() as connection:
        with pytest.raises(RequestInvalid, match="position 700 is not in a tree of size 700"):
            StoredTree(connection, SIZE).inclusion(SIZE)


def test_a_conflict_grows_nothing(grown: Ledger) -> None:
    with grown.connect() as connection:
        before = read_head(connection)
    with pytest.raises(Exception, match="is at version"):
        put(grown, "observations-cars", refused(), expected=3)
    with grown.connect() as connection:
        assert read_head(connection) == before


def test_a_ledger_that_stands_gets_its_tree(empty_database_url: str) -> None:
    settings = Settings(database_url=empty_database_url)
    engine = create_database(settings.ledger_url, settings)
    upgrade(engine, 5, "0002")

    contents = [f'{{"number":{number}}}'.encode() for number in range(600)]
    with engine.connect() as connection:
        for position, content in enumerate(contents):
            connection.execute(
                text(
                    "INSERT INTO entries VALUES (:p, :id, 's', :p, 't', 1, 'o', 'r', :c, :h, NULL)"
                ),
                {"p": position, "id": str(position), "c": content, "h": leaf_hash(content)},
            )
        connection.commit()
    upgrade(engine, 5)
    leaves = [leaf_hash(content) for content in contents]
    with engine.connect() as connection:
        assert read_head(connection) == Frontier().append(leaves)
        tree = StoredTree(connection, 600)
        assert tree.root() == root_of(leaves)
        verify_inclusion(leaves[300], 300, 600, tree.inclusion(300), root_of(leaves))
    engine.dispose()


def test_an_entry_removed_behind_our_back_stops_the_next_append(ledger: Ledger) -> None:
    put(ledger, "observations-cars", refused(), refused())
    with ledger.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER entries_refuse_delete"))
        else:
            connection.execute(text("ALTER TABLE entries DISABLE TRIGGER ALL"))
        connection.execute(text("DELETE FROM entries WHERE position = 2"))
        connection.commit()
    with pytest.raises(LedgerDamaged, match="has 2 entries and its tree 3"):
        put(ledger, "observations-cars", refused())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_cold_proof_reads_a_few_rows(grown: Ledger) -> None:
    seen: list[str] = []
    from sqlalchemy import event

    def count(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    with grown.connect() as connection:
        event.listen(connection, "before_cursor_execute", count)
        StoredTree(connection, SIZE).inclusion(300)
    assert len(seen) <= 4
