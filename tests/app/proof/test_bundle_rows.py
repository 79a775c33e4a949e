"""Rows of entries of many are in the bundle, which its verifier walks row by row."""

from __future__ import annotations

import json
import math
import random
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import rfc8785

from app.clock import new_id
from app.ledger.store import Ledger
from app.proof import verify_bundle
from app.proof.bundle import export_bundle
from app.proof.checkpoints import Checkpoints
from app.settings import Settings
from domain.blocks.block import Block
from domain.blocks.ids import prediction_id
from domain.blocks.layouts import LAYOUTS, is_canonical
from domain.canonical import holds_nul
from tests.app.many_rows import predictions, put_many
from tests.app.proof.forged_rows import FIRST, erase, fill, forge
from tests.app.proof.forger import change
from tests.app.proof.signed_history import History, lines_of, true_history, verified
from tests.app.proof.signed_ledger import Kept, checked, exported, zipped
from tests.app.proof.verify.test_memory import GROWS_MAX
from tests.ledger_events import observation, put
from tests.peak import peak
from tests.repository import REPOSITORY

OLDER_VERIFIER = REPOSITORY / "tests" / "golden" / "verify_bundle-1.py.txt"


def signed(ledger: Ledger, settings: Settings) -> Kept:
    checkpoints = Checkpoints(ledger, settings)
    kept = Kept(checkpoints.signer.key, checkpoints.sign().note, b"")
    checkpoints.close()
    return kept


def by_the_older_verifier(bundle: Path, kept: Kept) -> tuple[int, str]:
    """Exit code and words of the verifier that was handed out with bundles of the first format."""
    shutil.copy(OLDER_VERIFIER, bundle.parent / "older.py")
    asked = [str(bundle.parent / "older.py"), str(bundle), "--key", str(kept.key)]
    done = subprocess.run(
        [sys.executable, "-I", *asked], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


# What the service writes.


def test_a_bundle_has_a_line_for_each_row_and_its_erased_ones_are_counted(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    fill(ledger)
    erase(ledger, (1, 1), (3, 0))
    kept = signed(ledger, settings)
    bundle = exported(ledger, kept, tmp_path / "bundle")
    code, said = checked(bundle, kept, tmp_path, ["note"])
    assert (code, said.splitlines()[0]) == (
        0,
        "erased rows  2 of entries of many are gone, as other entries say",
    )
    assert checked(zipped(bundle, tmp_path / "bundle.zip"), kept, tmp_path, ["note"]) == (0, said)
    assert json.loads((bundle / "trailer.json").read_text())["format"] == "whyledger.bundle/2"
    schemas = json.loads((bundle / "schema" / "events.json").read_text())
    assert "x-line" not in schemas["predictions.prediction-made/1"]
    said_line = schemas["predictions.predictions-made/1"]["x-line"]
    assert said_line == "[prediction, unknown_categories, v_1 … v_c]"
    lines = [json.loads(line) for line in (bundle / "rows.jsonl").read_text().splitlines()]
    assert [(each["position"], each["row"]) for each in lines] == [
        *[(1, 0), (1, 1), (1, 2)],
        *[(2, 0), (2, 1), (2, 2)],
        *[(3, 0), (3, 1)],
    ]
    assert [set(each) - {"position", "row"} for each in lines[:2]] == [{"salt", "data"}, {"erased"}]
    assert lines[0]["data"] == [7.5, [], "1", 0.5, 1976]
    assert lines[1]["erased"].endswith(prediction_id(FIRST, 1))


def test_the_bytes_behind_data_are_the_line_itself(tmp_path: Path) -> None:
    values = [(1e-7, ["region", "Zürich\n"], "é\u2028", 0.5, 1976), (7, [], "1", 0.5, 1976)]
    history = History()
    block = history.add_many(replace(predictions(1, 2), values=values))
    assert history.rows[0] == lines_of(0, block)
    code, said = verified(history, tmp_path)
    assert code == 0, said
    assert block.lines[0] == '[1e-7,["region","Zürich\\n"],"é\u2028",0.5,1976]'.encode()
    assert b'"data":' + block.lines[0] + b"}\n" in history.rows[0][0]


def test_without_such_an_entry_the_bundle_is_of_the_first_format_and_any_verifier_reads_it(
    sqlite_ledger: Ledger, sqlite_settings: Settings, tmp_path: Path
) -> None:
    put(sqlite_ledger, "observations-cars", observation())
    kept = signed(sqlite_ledger, sqlite_settings)
    bundle = exported(sqlite_ledger, kept, tmp_path / "bundle")
    assert json.loads((bundle / "trailer.json").read_text())["format"] == "whyledger.bundle/1"
    assert not (bundle / "rows.jsonl").exists()
    assert checked(bundle, kept, tmp_path, ["note"])[0] == 0
    assert by_the_older_verifier(bundle, kept)[0] == 0


def test_an_older_verifier_does_not_take_the_second_format_for_the_first(tmp_path: Path) -> None:
    bundle, kept = true_history().bundle(tmp_path / "bundle")
    code, said = by_the_older_verifier(bundle, kept)
    assert (code, "the file 'rows.jsonl' is none of the format" in said) == (1, True), said


def test_a_later_format_may_have_files_that_this_verifier_does_not_know(tmp_path: Path) -> None:
    bundle, kept = true_history().bundle(tmp_path / "bundle")
    (bundle / "more").mkdir()
    (bundle / "columns.jsonl").write_text("")
    for format, expected in (("3", (2, "use the verifier of its version")), ("2", (1, "is n"))):
        trailer = json.loads((bundle / "trailer.json").read_text())
        said = trailer | {"format": f"whyledger.bundle/{format}"}
        (bundle / "trailer.json").write_text(json.dumps(said))
        for there in (bundle, zipped(bundle, tmp_path / f"{format}.zip")):
            code, words = checked(there, kept, tmp_path, ["note"])
            assert (code, expected[1] in words) == (expected[0], True), words


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_rows_that_are_damaged_are_exported_as_they_stand_and_said(
    sqlite_ledger: Ledger, sqlite_settings: Settings, tmp_path: Path, name: str
) -> None:
    fill(sqlite_ledger)
    kept = signed(sqlite_ledger, sqlite_settings)
    forge(sqlite_ledger, 2, lambda block: Block(block.salts + bytes(16), block.content))
    damage = export_bundle(sqlite_ledger, tmp_path / name, kept.key).damage
    assert "the rows that stand apart for entry 2 are not as written" in str(damage)
    code, said = checked(tmp_path / name, kept, tmp_path, ["note"])
    assert (code, "position 2: row 3: rows.jsonl, line 7 is cut or no row" in said) == (1, True)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM blocks WHERE position = 1", "the rows of entry 1 are missing."),
        ("UPDATE blocks SET position = 4 WHERE position = 3", "rows stand at 4, where an entry"),
        ("UPDATE blocks SET position = 99 WHERE position = 3", "rows stand at 99, where no entry"),
    ],
)
def test_rows_that_are_missing_or_stand_where_none_may_are_said(
    sqlite_ledger: Ledger, tmp_path: Path, statement: str, said: str
) -> None:
    fill(sqlite_ledger)
    change(sqlite_ledger, statement)
    written = export_bundle(sqlite_ledger, tmp_path / "bundle", None)
    assert str(written.damage).startswith(said)


# What is bounded, and what is one rule in two places.


def test_rows_that_nobody_signed_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_bundle, "UNPROVEN_ROWS_MAX", 4)
    code, said = verified(true_history(), tmp_path, signed=2)
    assert (code, "over 4 rows lie after the last checkpoint (2 entries)" in said) == (2, True)


def test_what_is_held_grows_neither_with_such_entries_nor_for_a_reader_with_their_rows(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("TRAILER_MAX", "CHUNK"):  # or as much is held for one file
        monkeypatch.setattr(verify_bundle, bound, 1 << 14)
    writing, reading = [], []
    for entries in (8, 20):
        while sqlite_ledger.size() <= entries:
            put_many(sqlite_ledger, predictions(*range(100)))
        writing.append(peak(lambda: export_bundle(sqlite_ledger, tmp_path / new_id(), None)))
    for rows in (200, 800):
        history = History()
        history.add_many(predictions(*range(rows)))
        bundle, kept = history.bundle(tmp_path / str(rows))
        reading.append(peak(partial(checked, bundle, kept, tmp_path, [])))
    assert writing[1] <= GROWS_MAX * writing[0]
    assert reading[1] <= GROWS_MAX * reading[0]


def test_a_row_of_many_marks_is_not_read(tmp_path: Path) -> None:
    history = true_history()
    history.rows[1][0] = history.rows[1][0].replace(b"[]", b"[" + b"[]," * 200_000 + b"[]]")
    code, said = verified(history, tmp_path)
    assert (code, "position 1: row 0 holds 4000" in said) == (1, True), said[:300]
    assert "more than anything honest" in said


def test_an_erasure_may_name_many_rows() -> None:
    place = b'{"position":1234567,"row":9999},'
    many = b'{"rows":[' + 110_000 * place + b"0]}"
    assert len(verify_bundle.parse(many, "an erasure")["rows"]) == 110_001
    with pytest.raises(verify_bundle.Broken, match="more than anything honest"):
        verify_bundle.parse(many.replace(b'"row"', b'"raw"'), "an erasure")


def test_numbers_are_written_as_rfc_8785_writes_them() -> None:
    draw = random.Random(8785)
    edges = [5e-324, 1.7976931348623157e308, 1e21, 1e-6, 1e-7, 123456789012345680000.0, 0.1, -0.0]
    bits = [struct.unpack("<d", draw.randbytes(8))[0] for _ in range(3000)]
    near = [draw.uniform(-1, 1) * 10.0 ** draw.randint(-9, 23) for _ in range(3000)]
    for value in (*edges, *bits, *near, *(float(round(each)) for each in near)):
        if math.isfinite(value):
            assert verify_bundle.canonical(value).encode() == rfc8785.dumps(value), repr(value)
    texts = ["".join(chr(draw.randrange(0xD800)) for _ in range(9)) for _ in range(300)]
    texts += ["".join(map(chr, range(300))), "\U0001f600\u2028\x7f"]
    assert verify_bundle.is_canonical(texts, rfc8785.dumps(texts))


def test_each_layout_is_read_as_the_vectors_say() -> None:
    assert {(kind, 1) for kind in verify_bundle.LAYOUTS} == set(LAYOUTS)
    for path in sorted((REPOSITORY / "tests" / "vectors" / "blocks").glob("*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        many = verify_bundle.Many(0, json.loads(vector["envelope"]))
        assert many.root.hex() == vector["rows_root"]
        for row, each in enumerate(vector["rows"]):
            assert many.read(row, each["line"].encode()) == (each["id"], each["occurred_at"])


PIECES = (
    *(b'"', b"\\u0000", b'\\"', b"1e5", b"1E5", b"-0", b"0.1", b"1e-7", b"1e+21", b"null", b"true"),
    *(b"[]", b'["a"]', b",", b" ", b"\\ud800", b"\\ud83d\\ude00", "é".encode(), b"\xff", b"1.0"),
    *(b"9007199254740993", b"100000000000000000000", b"1e999", b"NaN", b"1971", b"-1", b"10000"),
    b'"1976-07-01T00:00:00.000000Z"',
)


def test_the_service_and_the_bundles_verifier_judge_any_line_alike() -> None:
    draw, judged = random.Random(9), {True: 0, False: 0}
    for path in sorted((REPOSITORY / "tests" / "vectors" / "blocks").glob("*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        said = json.loads(vector["envelope"])
        layout, shared = LAYOUTS[said["type"], said["schema"]], said["data"]
        many = verify_bundle.Many(0, said)
        for _ in range(700):
            line = bytearray(draw.choice(vector["rows"])["line"].encode())
            at = draw.randrange(1, len(line))
            line[at : at + draw.choice([0, 1, 1, 2, 4])] = draw.choice(PIECES)
            fits = line.startswith(b"[") and line.endswith(b"]")
            content = bytes(line) if fits else b"[" + bytes(line[1:-1]) + b"]"
            whole = (
                layout.line_fault(shared, content) is None
                and is_canonical(content)
                and not holds_nul(content)
            )
            expected = layout.plain_row(said["id"], 0, shared, content)[:2] if whole else None
            try:
                found = many.read(0, content)
            except verify_bundle.Broken:
                found = None
            assert found == expected, content
            judged[whole] += 1
    assert min(judged.values()) > 100
