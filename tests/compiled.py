"""What SQLAlchemy compiled for one ledger serves the next: each engine would compile it anew.

That is a tenth of what tests cost that open a ledger of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

_STATEMENTS_MAX: Final = 2_000


class _OfEveryEngine(LRUCache[Any, Any]):
    """By all that SQLAlchemy tells statements apart by, but for the engine's own dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key[1:], value)


_KNOWN: Final[dict[tuple[object, ...], _OfEveryEngine]] = {}


@contextmanager
def compiling_once() -> Iterator[None]:
    """Meanwhile engines of the same kind of database and the same schemas share it."""
    event.listen(Engine, "engine_connect", _share)
    yield
    event.remove(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    engine = connection.engine
    if isinstance(engine._compiled_cache, _OfEveryEngine):
        return
    schemas = engine.get_execution_options().get("schema_translate_map") or {}
    of = (type(engine.dialect), *schemas.items())
    # What may be given in public (`compiled_cache`) is keyed by the dialect of each engine.
    engine._compiled_cache = _KNOWN.setdefault(of, _OfEveryEngine(_STATEMENTS_MAX))
