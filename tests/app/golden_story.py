"""Short stories in which everything happens that can, told once and replayed for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Connection, insert, select

from app.cause import Cause
from app.cycle.promotions import roll_back
from app.cycle.worker import begin_attempt
from app.database.engine import create_database, insert_rows
from app.database.migrating import upgrade
from app.ledger.blocks import insert_row_ids
from app.ledger.damage import record_damage, settle_known
from app.ledger.met_damage import Met
from app.ledger.store import Ledger
from app.ledger.tables import ARTEFACTS, BLOCKS, ENTRIES, PAYLOADS
from app.projections.folding import digests
from app.projections.opening import give_rows, open_ledger
from app.projections.runner import READ_MODELS, apply
from app.settings import Settings
from domain.blocks.block import NO_SALT, Block
from domain.canonical import canonical_bytes, leaf_hash, sha256_hex
from domain.decisions.damage import SettleDamage
from domain.events.block_events import PredictionsMade
from domain.events.envelope import PayloadOf, Recorded, parse_entry
from domain.events.erasure import Payload
from domain.events.events import DatasetReceived, PayloadErased
from domain.events.expansion import expand
from domain.tree.merkle import root_of
from tests.app.car_ledger import CarLedger, document, year_end
from tests.app.golden_rows import rows_together
from tests.app.people import forgets, trained_on_people


@dataclass(frozen=True, slots=True)
class Told:
    """What is kept of a story: stored bytes of every entry, artefacts, and what stands apart."""

    lines: list[bytes]
    artefacts: list[dict[str, Any]]  # digest, kind, size
    payloads: list[bytes]  # one line each, as in a bundle
    rows: list[bytes]  # of entries of many, one line each, as in a bundle


def both_models(ledger: Ledger, settings: Settings) -> None:
    """Both shipped models, and every way a cycle ends."""
    _prices(CarLedger(ledger, settings, "car-price"))
    _sales(CarLedger(ledger, settings, "car-sales"))


def people(ledger: Ledger, settings: Settings) -> None:
    """Cars that belong to people, one of whom asks to be forgotten after a champion was trained."""
    cars, row = trained_on_people(ledger, settings)
    forgets(cars, row)


def reigns(ledger: Ledger, settings: Settings) -> None:
    """Two champions, each measured to the end of its reign, and rows whose residuals are kept."""
    cars = CarLedger(ledger, settings).adopts()
    cars.observes(cars.rows(range(1973, 1975), most=40)).observes(cars.rows([1975], most=80))
    cars.runs(year_end(1975))  # bootstrap
    for year, force in ((1976, None), (1977, "a second champion"), (1978, None)):
        cars.answers(cars.rows([year], most=60))
        cars.runs(year_end(year), force=force)
    cause = Cause.unauthenticated("rollback")
    roll_back(ledger, cars.model, to="car-price/1", reason="customers complained", cause=cause)


def refits(ledger: Ledger, settings: Settings) -> None:
    """A champion refitted after its gates, and its first window, compared with the gated plan."""
    cars = CarLedger(ledger, settings).adopts(refit="after gates")
    cars.observes(cars.rows([1974], most=40)).observes(cars.rows([1975], most=80))
    cars.runs(year_end(1975))
    cars.answers(cars.rows([1976], most=30))
    cars.runs(year_end(1976))


def damage(ledger: Ledger, settings: Settings) -> None:
    """Damage that was met, accepted, met elsewhere, and gone at the next verification."""
    cause = Cause("service:verification", "damage")
    ledger.met.add(Met(0, "ledger entry 0: the stored bytes are others"))
    record_damage(ledger, cause)
    settle_known(ledger, SettleDamage(how="accepted", reason="a copy shows what it said"), cause)
    ledger.met.add(Met(None, "the tree's head is another"))
    record_damage(ledger, cause)
    settle_known(ledger, SettleDamage(how="verified", reason="nothing is broken"), cause)


STORIES: Final = {
    "0001-first-version": both_models,
    "0002-people": people,
    "0003-reigns": reigns,
    "0004-refits": refits,
    "0005-damage": damage,
    "0006-rows": rows_together,
}


def told(state: Path, story: Callable[[Ledger, Settings], None]) -> Told:
    """Tell the story in a new state directory."""
    settings = Settings(state_dir=state)
    ledger = open_ledger(settings)
    story(ledger, settings)
    with ledger.connect() as connection:
        payloads = [
            b'{"position":%d,"salt":"%s","data":%s}'
            % (row.position, row.salt.hex().encode(), row.bytes)
            for row in connection.execute(select(PAYLOADS).order_by(PAYLOADS.c.position))
        ]
        artefacts = [
            {"sha256": row.sha256, "kind": row.kind, "bytes": len(row.bytes)}
            for row in connection.execute(select(ARTEFACTS).order_by(ARTEFACTS.c.sha256))
        ]
    lines = ledger.stored_bytes(0, ledger.size() - 1)
    rows = [line for entry in ledger.read(-1, len(lines)) for line in _row_lines(entry)]
    ledger.close()
    return Told(lines, artefacts, payloads, rows)


def _row_lines(entry: Recorded) -> Iterator[bytes]:
    if entry.rows_apart is None:
        return
    block = entry.rows_apart.block
    for row, line in enumerate(block.lines):
        at = b'{"position":%d,"row":%d,' % (entry.position, row)
        salt = block.salt(row).hex().encode()
        yield at + (
            b'"erased":%b}' % line if line[:1] == b'"' else b'"salt":"%b","data":%b}' % (salt, line)
        )


def _prices(cars: CarLedger) -> None:
    cars.adopts().observes(cars.rows([1971], most=8))
    cars.runs(year_end(1971))  # eight rows: the training fails
    cars.observes(cars.rows([1971], most=30)[8:])
    cars.observes(cars.rows(range(1972, 1975), most=30)).observes(cars.rows([1975]))
    uploaded = DatasetReceived(
        model=cars.model,
        dataset_sha256=sha256_hex(b"the upload"),
        accepted=len(cars.rows([1975])),
        already_known=0,
        quarantined=2,
        quarantine_file="car-price-2-rows.jsonl",
        also={},
    )
    cars.append(f"observations-{cars.model}", [(uploaded, year_end(1975))])
    cars.runs(year_end(1975))  # bootstrap
    cars.lives_through(1976)
    cars.answers(cars.rows([1977], most=60)).refuses(2)
    cars.runs(year_end(1977))  # retrained
    roll_back(
        cars.ledger,
        cars.model,
        to="car-price/1",
        reason="customers complained",
        cause=Cause.unauthenticated("rollback"),
    )
    corrected = [row | {"price": float(row["price"] or 0) + 0.5} for row in cars.rows([1977])[:3]]
    cars.observes(corrected)
    cars.adopts(margin=0.5)  # nobody is better by that much
    cars.answers(cars.rows([1978], most=60))
    cars.runs(year_end(1978), force="a year of new prices")  # override, rejected
    cars.runs(year_end(1976))  # before its last retraining: undecided


def _sales(cars: CarLedger) -> None:
    shipped = document("data", "contracts", "car-sales.yaml")
    cars.adopts(estimator=shipped["estimator"] | {"iterations": 20})
    cars.observes(cars.rows([1974], most=30)).observes(cars.rows([1975]))
    cars.runs(year_end(1975))
    cars.answers(cars.rows([1976], most=40)).refuses(10)
    cars.runs(year_end(1976))  # halted: too many refused rows
    cut_off = cars.starts(year_end(1976))
    while begin_attempt(cars.ledger, cut_off):
        pass  # three attempts, and the cycle has failed
    cars.runs(year_end(1977))  # nothing to judge


def replayed(
    lines: Sequence[bytes], url: str, payloads: Sequence[bytes] = (), rows: Sequence[bytes] = ()
) -> dict[str, Any]:
    """What follows from these entries in an empty database: size, root, read models' digests.

    The bytes are placed as they are, never made again: a later version may write events otherwise.
    """
    settings = Settings(database_url=url)
    engine = create_database(url, settings)
    upgrade(engine, settings.busy_timeout_seconds)
    ledger = Ledger(engine, apply, busy_timeout_seconds=settings.busy_timeout_seconds)
    give_rows(ledger, settings)
    with ledger.writing() as connection:
        apply(connection, place(connection, lines, payloads, rows))
    with ledger.connect() as connection:
        read_models = digests(connection, READ_MODELS)
    found = {
        "entries": ledger.size(),
        "root": root_of(ledger.leaf_hashes(0, ledger.size() - 1)).hex(),
        "read_models": read_models,
    }
    ledger.close()
    return found


def place(
    connection: Connection,
    lines: Sequence[bytes],
    payloads: Sequence[bytes] = (),
    rows: Sequence[bytes] = (),
) -> list[Recorded]:
    """Write these entries into an empty ledger, without its tree and its read models."""
    entries = placed(lines, payloads, rows)
    connection.execute(
        insert(ENTRIES),
        [
            {
                "position": entry.position,
                "id": entry.id,
                "stream": entry.stream,
                "stream_version": entry.stream_version,
                "type": entry.event.type,
                "schema": orjson.loads(line)["schema"],
                "occurred_at": entry.occurred_at,
                "recorded_at": entry.recorded_at,
                "bytes": line,
                "leaf_hash": leaf_hash(line),
            }
            for entry, line in zip(entries, lines, strict=True)
        ],
    )
    insert_rows(connection, PAYLOADS, [_payload_row(line) for line in payloads])
    for entry in entries:
        if entry.rows_apart is not None:
            block = entry.rows_apart.block
            stored = (entry.position, entry.rows, block.salts, block.content, None, None)
            insert_rows(connection, BLOCKS, [stored])
            if not isinstance(entry.event, PredictionsMade):
                insert_row_ids(connection, entry.position, [row.id for row in expand(entry)])
    return entries


def placed(
    lines: Sequence[bytes], payloads: Sequence[bytes] = (), rows: Sequence[bytes] = ()
) -> list[Recorded]:
    """The entries at the positions and stream versions that follow from their order."""
    versions: Counter[str] = Counter()
    entries = []
    apart, blocks = _apart(lines, payloads), _blocks(rows)
    for position, line in enumerate(lines):
        stream = orjson.loads(line)["stream"]
        version = versions[stream]
        entries.append(
            parse_entry(
                line,
                position=position,
                stream_version=version,
                apart=apart,
                blocks=blocks.__getitem__,
            )
        )
        versions[stream] += 1
    return entries


def _apart(lines: Sequence[bytes], payloads: Sequence[bytes]) -> PayloadOf:
    """What stands apart from these entries; only what one of them says is erased may lack."""
    rows = [_payload_row(line) for line in payloads]
    there = {row[0]: Payload(row[3], row[4]) for row in rows}
    envelopes = [orjson.loads(line) for line in lines]
    erasures = [each["data"] for each in envelopes if each["type"] == PayloadErased.type]
    erased = {position for data in erasures for position in data["entries"]}

    def apart(position: int) -> Payload | None:
        return None if position in erased else there[position]

    return apart


def _blocks(rows: Sequence[bytes]) -> dict[int, Block]:
    """The blocks of these rows, by position."""
    stored: dict[int, list[tuple[bytes, bytes]]] = {}
    for line in rows:
        said = orjson.loads(line)
        gone = "erased" in said
        kept = canonical_bytes(said["erased"] if gone else said["data"])
        salt = NO_SALT if gone else bytes.fromhex(said["salt"])
        stored.setdefault(said["position"], []).append((salt, kept))
    return {
        position: Block(b"".join(salt for salt, _ in each), b"\n".join(line for _, line in each))
        for position, each in stored.items()
    }


def _payload_row(line: bytes) -> tuple[Any, ...]:
    document = orjson.loads(line)
    data = document["data"]
    salt, content = bytes.fromhex(document["salt"]), canonical_bytes(data)
    return (document["position"], data["model"], data["identity"], salt, content, None)


def named_artefacts(lines: Sequence[bytes]) -> set[str]:
    """The digests of plans, references and identities that these entries name and did not erase."""
    keys = ("plan_sha256", "reference_sha256", "identities_sha256", "residuals_sha256")
    data = [orjson.loads(line).get("data", {}) for line in lines]
    erased = {sha256 for each in data for sha256 in each.get("artefacts", ())}
    return {each[key] for each in data for key in keys if each.get(key)} - erased
