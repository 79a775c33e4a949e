"""Look at a ledger again and again, each entry once: nothing lost, doubled or out of order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from sqlalchemy import select

from app.ledger.blocks import BlocksApart
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from app.ledger.tree import read_head
from domain.canonical import leaf_hash
from domain.events.envelope import parse_entry
from domain.events.expansion import expand
from domain.tree.merkle import Frontier

COLUMNS = (
    ENTRIES.c.position,
    ENTRIES.c.id,
    ENTRIES.c.stream,
    ENTRIES.c.stream_version,
    ENTRIES.c.bytes,
    ENTRIES.c.leaf_hash,
)


class Watch:
    """What was found in a ledger so far."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._versions: Counter[str] = Counter()
        self._tree = Frontier()
        self.positions: dict[str, int] = {}  # event id -> position
        self.streams: defaultdict[str, set[str]] = defaultdict(set)  # correlation id -> streams

    def look(self) -> None:
        """Check every entry that is new since the last look, and the head of the tree."""
        query = (
            select(*COLUMNS)
            .where(ENTRIES.c.position >= self._tree.size)
            .order_by(ENTRIES.c.position)
        )
        with self._ledger.connect() as connection:
            head = read_head(connection)
            leaves = []
            for expected, row in enumerate(connection.execute(query), self._tree.size):
                content = bytes(row.bytes)
                entry = parse_entry(
                    content,
                    position=row.position,
                    stream_version=0,
                    apart=lambda _: None,
                    blocks=BlocksApart(connection),
                )
                assert row.position == expected
                assert row.stream_version == self._versions[row.stream]
                assert (entry.id, entry.stream) == (row.id, row.stream)
                ids = [each.id for each in expand(entry)]
                assert ids[0] == row.id
                assert self.positions.keys().isdisjoint(ids)
                leaves.append(leaf_hash(content))
                assert leaves[-1] == bytes(row.leaf_hash)
                self._versions[row.stream] += 1
                self.positions |= dict.fromkeys(ids, row.position)
                self.streams[entry.correlation_id].add(row.stream)
        self._tree = self._tree.append(leaves)
        assert head == self._tree

    def assert_kept(self, acknowledged: Mapping[str, int]) -> None:
        """Every acknowledged event (id -> position) is there once, where the answer said."""
        lost = {id: at for id, at in acknowledged.items() if self.positions.get(id) != at}
        assert lost == {}

    @property
    def size(self) -> int:
        """Entries looked at."""
        return self._tree.size
