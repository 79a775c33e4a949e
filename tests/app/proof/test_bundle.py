"""A bundle is checked by one file that shares nothing with us; what was made of it is found."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from app.ledger.store import Ledger
from app.proof import verify_bundle
from app.proof.bundle import export_bundle
from app.proof.signer import FileSigner
from domain.errors import RequestInvalid
from tests.app.proof.signed_ledger import (
    PLAN,
    SIZE,
    Kept,
    checked,
    with_true_trailer,
    zipped,
)


@pytest.fixture
def kept(exported_once: tuple[Path, Kept]) -> Kept:
    return exported_once[1]


def lines_of(bundle: Path) -> list[bytes]:
    return (bundle / "events.jsonl").read_bytes().splitlines(keepends=True)


def put_lines(bundle: Path, lines: list[bytes]) -> Path:
    (bundle / "events.jsonl").write_bytes(b"".join(lines))
    return with_true_trailer(bundle)


def test_a_true_bundle_is_ok_by_the_command_line_alone(
    bundle: Path, kept: Kept, tmp_path: Path
) -> None:
    alone = tmp_path / "verify_bundle.py"
    shutil.copy(verify_bundle.__file__, alone)
    (tmp_path / "kept.note").write_text(kept.note)
    options = ["--key", str(kept.key), "--checkpoint", str(tmp_path / "kept.note")]
    done = subprocess.run(
        [sys.executable, "-I", str(alone), str(bundle), *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"entries      {SIZE}"
    assert done.stdout.splitlines()[-1] == "OK"


def test_the_verifier_shares_nothing_with_us() -> None:
    tree = ast.parse(Path(verify_bundle.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_folder_and_zip_hold_the_same(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    export_bundle(sqlite_ledger, tmp_path / "folder", None)
    export_bundle(sqlite_ledger, tmp_path / "one.zip", None)
    export_bundle(sqlite_ledger, tmp_path / "two.zip", None)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        for name in archive.namelist():
            assert archive.read(name) == (tmp_path / "folder" / name).read_bytes()


def test_nothing_is_written_over(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(RequestInvalid, match=r"exists\. Name a folder"):
        export_bundle(sqlite_ledger, tmp_path, None)


def test_a_bundle_holds_all_that_a_rebuild_needs(bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == [
        "artefacts",
        "checkpoints.jsonl",
        "contracts",
        "events.jsonl",
        "payloads.jsonl",
        "policies",
        "schema",
        "tiles",
        "trailer.json",
        "verify_bundle.py",
    ]
    first = json.loads(lines_of(bundle)[0])
    assert (first["position"], first["envelope"]["type"]) == (0, "ledger.created")


def empty(bundle: Path) -> Path:
    shutil.rmtree(bundle / "tiles")
    return put_lines(bundle, [])


def empty_and_agreeing(bundle: Path) -> Path:
    trailer = json.loads((bundle / "trailer.json").read_text())
    trailer |= {"entries": 0, "root": hashlib.sha256(b"").hexdigest()}
    (bundle / "trailer.json").write_text(json.dumps(trailer))
    return empty(bundle)


def without_trailer(bundle: Path) -> Path:
    (bundle / "trailer.json").unlink()
    return bundle


def cut_in_a_line(bundle: Path) -> Path:
    content = (bundle / "events.jsonl").read_bytes()
    (bundle / "events.jsonl").write_bytes(content[:-40])
    return with_true_trailer(bundle)


def cut_between_lines(bundle: Path) -> Path:
    return put_lines(bundle, lines_of(bundle)[:290])


def reordered(bundle: Path) -> Path:
    lines = lines_of(bundle)
    lines[57], lines[58] = lines[58], lines[57]
    return put_lines(bundle, lines)


def renumbered(bundle: Path) -> Path:
    lines = lines_of(bundle)
    one, other = (line.partition(b',"stream_version"') for line in (lines[57], lines[58]))
    lines[57], lines[58] = b"".join((one[0], *other[1:])), b"".join((other[0], *one[1:]))
    return put_lines(bundle, lines)


def other_versions(bundle: Path) -> Path:
    lines = lines_of(bundle)
    lines[57] = lines[57].replace(b'"stream_version":', b'"stream_version":9')
    return put_lines(bundle, lines)


def repeated(bundle: Path) -> Path:
    lines = lines_of(bundle)
    return put_lines(bundle, [*lines, lines[-1]])


def other_tile(bundle: Path) -> Path:
    (bundle / "tiles" / "0" / "0").write_bytes(bytes(8192))
    return with_true_trailer(bundle)


def missing_tile(bundle: Path) -> Path:
    (bundle / "tiles" / "0" / "0").unlink()
    return with_true_trailer(bundle)


def exchanged_artefact(bundle: Path) -> Path:
    (bundle / "artefacts" / hashlib.sha256(PLAN).hexdigest()).write_bytes(b"another plan")
    return with_true_trailer(bundle)


def missing_artefact(bundle: Path) -> Path:
    for path in (bundle / "artefacts").iterdir():
        path.unlink()
    return with_true_trailer(bundle)


def other_policy(bundle: Path) -> Path:
    (policy,) = (bundle / "policies").iterdir()
    policy.write_text("{}")
    return with_true_trailer(bundle)


def missing_contract(bundle: Path) -> Path:
    for path in (bundle / "contracts").iterdir():
        path.unlink()
    return with_true_trailer(bundle)


def other_schema(bundle: Path) -> Path:
    (bundle / "schema" / "events.json").write_text("{}")
    return bundle


def a_file_more(bundle: Path) -> Path:
    (bundle / "more").write_text("")
    return bundle


def other_count(bundle: Path) -> Path:
    trailer = json.loads((bundle / "trailer.json").read_text())
    trailer["entries"] += 1
    (bundle / "trailer.json").write_text(json.dumps(trailer))
    return bundle


def fewer_checkpoints(bundle: Path) -> Path:
    (bundle / "checkpoints.jsonl").write_text("")
    return with_true_trailer(bundle)


def edited_checkpoint(bundle: Path) -> Path:
    path = bundle / "checkpoints.jsonl"
    path.write_text(path.read_text().replace("\\n120\\n", "\\n121\\n"))
    return with_true_trailer(bundle)


def key_twice(bundle: Path) -> Path:
    lines = lines_of(bundle)
    lines[57] = lines[57].replace(b'"envelope":{', b'"envelope":{"v":1,')
    return put_lines(bundle, lines)


FORGERIES: dict[Callable[[Path], Path], str] = {
    empty: "no entries at all",
    empty_and_agreeing: "no entries at all",
    without_trailer: "the trailer is missing",
    cut_in_a_line: "events.jsonl, line 320 is cut",
    cut_between_lines: "position 290: expected an entry, 300 were signed",
    reordered: "position 57: expected that entry; found position 58",
    renumbered: "position 57: expected",
    other_versions: "position 57: expected version",
    repeated: "position 320: expected that entry; found position 319",
    other_tile: "positions 0 to 255: the tile 'tiles/0/0'",
    missing_tile: "positions 0 to 255: the tile 'tiles/0/0'",
    exchanged_artefact: "position 4: expected the artefact",
    missing_artefact: "position 4: the artefact",
    other_policy: "position 1: 'policies/",
    missing_contract: "position 2: the document 'contracts/",
    other_schema: "the file 'schema/events.json' is not the one",
    a_file_more: "the file 'more' is none of the format",
    other_count: "320 entries with the root",
    fewer_checkpoints: "0 checkpoints; the trailer says 3",
    edited_checkpoint: "signature does not fit its text",
    key_twice: "a key stands twice",
}


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forged_bundle_is_broken(
    bundle: Path, kept: Kept, tmp_path: Path, forge: Callable[[Path], Path]
) -> None:
    code, said = checked(forge(bundle), kept, tmp_path)
    assert (code, FORGERIES[forge] in said) == (1, True), said


def test_a_cut_zip_is_broken(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    whole = zipped(bundle, tmp_path / "whole.zip")
    assert checked(whole, kept, tmp_path)[0] == 0
    content = whole.read_bytes()
    for share in (0.2, 0.6, 0.99):
        whole.write_bytes(content[: int(len(content) * share)])
        code, said = checked(whole, kept, tmp_path)
        assert (code, "is no whole .zip file" in said) == (1, True)
    damaged = bytearray(content)
    damaged[len(damaged) // 3] ^= 0xFF
    whole.write_bytes(bytes(damaged))
    assert checked(whole, kept, tmp_path)[0] == 1


def still_holds(archive: Path, events: bytes) -> bool:
    """Whether the events can be read from the archive as they were."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read("events.jsonl") == events
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False


def test_a_damaged_zip_is_broken_wherever_the_damage_is(
    bundle: Path, kept: Kept, tmp_path: Path
) -> None:
    whole = zipped(bundle, tmp_path / "whole.zip")
    content = whole.read_bytes()
    with zipfile.ZipFile(whole) as archive:
        info = archive.getinfo("events.jsonl")
        events = archive.read(info)
    first = info.header_offset + 30 + len(info.filename)  # of the compressed bytes
    for at in range(first, first + info.compress_size, info.compress_size // 60):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        whole.write_bytes(bytes(damaged))
        code, said = checked(whole, kept, tmp_path)
        if not still_holds(whole, events):  # a bit that pads the stream says nothing
            assert (code, "BROKEN: " in said) == (1, True), at


def test_entries_of_another_shape_are_broken(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    lines = lines_of(bundle)
    lines[57] = (
        lines[57].replace(b'"stream":"', b'"stream":{"":"').replace(b'","type":', b'"},"type":')
    )
    code, said = checked(put_lines(bundle, lines), kept, tmp_path, ["note"])
    assert (code, "BROKEN: " in said) == (1, True), said


def test_without_a_kept_checkpoint_it_says_what_goes_unnoticed(
    bundle: Path, kept: Kept, tmp_path: Path
) -> None:
    unnoticed = "a truncated or older copy would not be noticed"
    assert unnoticed in checked(bundle, kept, tmp_path, [])[1]
    assert unnoticed not in checked(bundle, kept, tmp_path)[1]


def test_the_wrong_key_is_never_ok(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    other = FileSigner(tmp_path / "other.key", kept.key.name).key
    code, said = checked(bundle, Kept(other, kept.note, kept.leaves), tmp_path)
    assert (code, "the wrong key" in said) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (["{bundle}", "--key", "nonsense"], "no Ed25519 verifier key"),
        (["{bundle}", "--key", "{key}x"], "no Ed25519 verifier key"),
        (["{bundle}/missing", "--key", "{key}"], "does not exist"),
        (["{bundle}", "--key", "{key}", "--checkpoint", "{bundle}/trailer.json"], "no signed note"),
        (["{bundle}", "--key", "{key}", "--leaves", "{bundle}/missing"], "No such file"),
    ],
)
def test_what_cannot_be_checked_is_not_called_broken(
    bundle: Path,
    kept: Kept,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    saying: str,
) -> None:
    given = [each.format(bundle=bundle, key=kept.key) for each in arguments]
    assert verify_bundle.main(given) == 2
    said = capsys.readouterr().out
    assert said.startswith("CANNOT CHECK")
    assert saying in said


def test_a_bundle_that_nobody_signed_cannot_be_checked(
    sqlite_ledger: Ledger, kept: Kept, tmp_path: Path
) -> None:
    export_bundle(sqlite_ledger, tmp_path / "unsigned", kept.key)
    code, said = checked(tmp_path / "unsigned", kept, tmp_path, [])
    assert (code, "nothing is signed" in said) == (2, True)


def test_a_format_of_later_cannot_be_checked(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    text = (bundle / "trailer.json").read_text()
    (bundle / "trailer.json").write_text(text.replace("bundle/1", "bundle/3"))
    code, said = checked(bundle, kept, tmp_path)
    assert (code, "use the verifier of its version" in said) == (2, True)


def test_several_kept_checkpoints_may_stand_in_one_file(
    bundle: Path, kept: Kept, tmp_path: Path
) -> None:
    notes = [
        json.loads(line)["note"] for line in (bundle / "checkpoints.jsonl").read_text().splitlines()
    ]
    anchored = Kept(
        kept.key, "\n".join([*notes, ""]), kept.leaves
    )  # as the file anchor writes them
    assert checked(bundle, anchored, tmp_path)[0] == 0
    assert verify_bundle.notes_in(anchored.note) == notes
