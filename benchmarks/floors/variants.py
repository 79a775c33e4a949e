"""Our service without some of what it does, to see what that costs. Run as a program:

python -m benchmarks.floors.variants VARIANT PORT

The settings come from the environment, as for every process of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from app.cause import Cause
from app.cli.main import main as whyledger
from app.ledger import inserting, many_rows
from app.ledger.new_events import NewPredictions, NewRows, StreamAppend
from app.ledger.store import Ledger
from app.settings import Settings
from benchmarks.servers import free_port, process
from domain.blocks.block import Block
from domain.events.block_events import PredictionsMade, TimeColumn
from domain.events.envelope import Recorded
from domain.events.erasure import Erased
from domain.events.rows_apart import RowsApart

_append = Ledger.append


def _nothing_kept(
    ledger: Ledger, appends: Sequence[StreamAppend], cause: Cause, **chosen: Any
) -> tuple[Recorded, ...]:
    """Rows of many are answered as if they were recorded; everything else is."""
    return _answered(appends, cause) or _append(ledger, appends, cause, **chosen)


def _not_stored(
    ledger: Ledger, appends: Sequence[StreamAppend], cause: Cause, **chosen: Any
) -> tuple[Recorded, ...]:
    """Rows of many are made ready to be recorded: lines, salts, hashes and root."""
    answer = _answered(appends, cause)
    if answer:
        ledger._prepared(appends, cause, None, (), None, ())
        return answer
    return _append(ledger, appends, cause, **chosen)


def _answered(appends: Sequence[StreamAppend], cause: Cause) -> tuple[Recorded, ...]:
    rows = [each for append in appends for each in append.events if isinstance(each, NewRows)]
    return tuple(_entry(each, cause) for each in rows for _ in range(len(each)))


def _entry(rows: NewRows, cause: Cause) -> Recorded:
    when = rows.occurred_at[0]
    return Recorded(
        position=0,
        stream="nowhere",
        stream_version=0,
        id=rows.ids[0],
        occurred_at=when,
        recorded_at=when,
        actor="",
        correlation_id=cause.correlation_id,
        causation_id=None,
        event=_event(rows) if isinstance(rows, NewPredictions) else Erased(type="", schema=1),
        rows=len(rows),
        rows_apart=cast("RowsApart", rows),  # whoever answers looks only whether there are some
    )


def _event(rows: NewPredictions) -> PredictionsMade:
    return PredictionsMade(
        model=rows.model,
        model_version=rows.model_version,
        plan_sha256=rows.plan_sha256,
        request_id=rows.request_id,
        columns=tuple(rows.columns),
        identity=rows.keys.identity,
        event_time=TimeColumn(column=rows.keys.time_column, read_as=rows.keys.read_as),
        row_schema=1,
        rows=len(rows),
        rows_root="",
        occurred_from=rows.occurred_at[0],
        occurred_until=rows.occurred_at[-1],
    )


class _Flat(Block):
    """A block whose root is of no tree: its rows are not provable one by one."""

    def root(self) -> bytes:
        return bytes(32)


def _flat(content: bytes, _rows: int, salts: bytes) -> Block:
    return _Flat(salts, content)


def _nothing(*_: object) -> None:
    return None


def _patched(of: object, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(of, name, value)


VARIANTS: Final[dict[str, Callable[[], None]]] = {
    "nothing kept": _patched(Ledger, "append", _nothing_kept),
    "made ready, not stored": _patched(Ledger, "append", _not_stored),
    "ids of rows not kept": _patched(inserting, "insert_row_ids", _nothing),
    "rows not provable": _patched(many_rows, "block_of_content", _flat),
}


@contextmanager
def variant(name: str, settings: Settings) -> Iterator[int]:
    """The port of a service that is such a variant, on the ledger of the settings."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.floors.variants", name, str(port)]
    log = settings.state_dir / "variant.log"
    with process(command, port, "/readyz", log, settings.as_environment()) as found:
        yield found


if __name__ == "__main__":
    VARIANTS[sys.argv[1]]()
    sys.argv[1:] = ["serve", "--port", sys.argv[2]]
    whyledger()
