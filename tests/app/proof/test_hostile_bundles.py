"""Bundles made to harm who checks them: each ends soon, in little memory, with one plain line."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.proof import verify_bundle
from domain.canonical import sha256_hex
from tests.app.proof.signed_ledger import Kept, checked, with_true_trailer, zipped

Forge = Callable[[Path], Path]  # folder of a true bundle -> what is handed over
MIB = 1 << 20


@pytest.fixture
def kept(exported_once: tuple[Path, Kept]) -> Kept:
    return exported_once[1]


# What is done to a folder.


def linked_file(bundle: Path) -> Path:
    (bundle / "checkpoints.jsonl").rename(bundle.parent / "elsewhere")
    (bundle / "checkpoints.jsonl").symlink_to(bundle.parent / "elsewhere")
    return bundle


def linked_folder(bundle: Path) -> Path:
    (bundle / "artefacts").rename(bundle.parent / "elsewhere")
    (bundle / "artefacts").symlink_to(bundle.parent / "elsewhere")
    return bundle


def pipe(bundle: Path) -> Path:
    (bundle / "payloads.jsonl").unlink()
    os.mkfifo(bundle / "payloads.jsonl")
    return bundle


def strange_folder(bundle: Path) -> Path:
    (bundle / "more").mkdir()
    return bundle


def strange_file(bundle: Path) -> Path:
    (bundle / "artefacts" / "readme").write_text("named in the trailer, and yet none of the format")
    return with_true_trailer(bundle)


def unsigned_tile(bundle: Path) -> Path:
    (bundle / "tiles" / "0" / "7").write_bytes(bytes(8192))
    return with_true_trailer(bundle)


def unsigned_document(bundle: Path) -> Path:
    (bundle / "policies" / f"{sha256_hex(b'{}')}.json").write_text("{}")
    return with_true_trailer(bundle)


def said_tiles(bundle: Path) -> Path:
    return says(bundle, tiles=99)


def said_artefacts(bundle: Path) -> Path:
    return says(bundle, artefacts=99)


def said_a_surrogate(bundle: Path) -> Path:
    return says(bundle, checkpoints="\ud800")


def said_escapes(bundle: Path) -> Path:
    return says(bundle, root="\x1b[2J\nOK\n")


def said_at_length(bundle: Path) -> Path:
    return says(bundle, entries="9" * 5000)


def said_yes(bundle: Path) -> Path:
    return says(bundle, tiles=True)


def named_in_escapes(bundle: Path) -> Path:
    trailer = json.loads((bundle / "trailer.json").read_text())
    name = "\x1b[2J\nOK\n\ud800" + "x" * 5000
    return says(bundle, files=trailer["files"] | {name: "0" * 64})


def says(bundle: Path, **other: object) -> Path:
    trailer = json.loads((bundle / "trailer.json").read_text())
    (bundle / "trailer.json").write_text(json.dumps(trailer | other))
    return bundle


def garbage_after(name: str) -> Forge:
    def forge(bundle: Path) -> Path:
        with (bundle / name).open("ab") as file:
            file.write(b"garbage")
        return bundle if name == "trailer.json" else with_true_trailer(bundle)

    forge.__name__ = f"garbage_after_{name}"
    return forge


def garbage_before(name: str) -> Forge:
    def forge(bundle: Path) -> Path:
        content = (bundle / name).read_bytes()
        (bundle / name).write_bytes(b"\xef\xbb\xbf" + content)
        return bundle if name == "trailer.json" else with_true_trailer(bundle)

    forge.__name__ = f"garbage_before_{name}"
    return forge


def no_number(bundle: Path) -> Path:
    content = (bundle / "events.jsonl").read_bytes()
    forged = content.replace(b'"data":{', b'"data":{"":NaN,', 1)
    (bundle / "events.jsonl").write_bytes(forged)
    return with_true_trailer(bundle)


def deep(bundle: Path) -> Path:
    nested = b'{"position":0,"stream_version":0,"envelope":{"v":' + b"[" * 50_000 + b"}}\n"
    (bundle / "events.jsonl").write_bytes(nested)
    return with_true_trailer(bundle)


def named_outside(bundle: Path) -> Path:
    content = (bundle / "events.jsonl").read_bytes()
    at = content.index(b'"plan_sha256":"') + len(b'"plan_sha256":"')
    forged = content[:at] + b"../trailer.json" + content[at + 64 :]
    (bundle / "events.jsonl").write_bytes(forged)
    return with_true_trailer(bundle)


def erasable_outside(bundle: Path) -> Path:
    """A field that its event does not have, and that an erasure may speak of."""
    content = (bundle / "events.jsonl").read_bytes()
    at = content.index(b'"plan_sha256":"')
    forged = content[:at] + b'"identities_sha256":"../trailer.json",' + content[at:]
    (bundle / "events.jsonl").write_bytes(forged)
    return with_true_trailer(bundle)


# What is done to a .zip.


def with_zip(change: Callable[[bytes], bytes], name: str) -> Forge:
    def forge(bundle: Path) -> Path:
        target = zipped(bundle, bundle.parent / "bundle.zip")
        target.write_bytes(change(target.read_bytes()))
        return target

    forge.__name__ = name
    return forge


def with_member(name: str, content: bytes = b"", **how: Any) -> Forge:
    """A member more in the .zip, which the trailer names."""

    def forge(bundle: Path) -> Path:
        trailer = json.loads((bundle / "trailer.json").read_text())
        trailer["files"][name] = sha256_hex(content)
        (bundle / "trailer.json").write_text(json.dumps(trailer))
        target = zipped(bundle, bundle.parent / "bundle.zip")
        info = zipfile.ZipInfo(name)
        for field, value in how.items():
            setattr(info, field, value)
        with zipfile.ZipFile(target, "a") as archive, pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *_, **__: None)  # that a name stands twice
            archive.writestr(info, content)
        return target

    forge.__name__ = f"member_{name}_{'_'.join(how)}"
    return forge


def gap(content: bytes) -> bytes:
    """Garbage between the last member and the directory, whose place the end tells truly."""
    start = struct.unpack("<I", content[-6:-2])[0]
    end = content[start:-6] + struct.pack("<IH", start + 7, 0)
    return content[:start] + b"garbage" + end


def encrypted(content: bytes) -> bytes:
    at = content.index(b"PK\1\2")
    return content[: at + 8] + b"\1" + content[at + 9 :]


def huge_directory(content: bytes) -> bytes:
    return content[:-10] + struct.pack("<I", 1 << 30) + content[-6:]


FORGERIES: dict[Forge, str] = {
    linked_file: "'checkpoints.jsonl' is neither a regular file nor",
    linked_folder: "'artefacts' is neither a regular file nor",
    pipe: "'payloads.jsonl' is neither a regular file nor",
    strange_folder: "'more' is neither a regular file nor a folder of the format",
    strange_file: "the file 'artefacts/readme' is none of the format",
    unsigned_tile: "the tile 'tiles/0/7' is none of 320 entries: nobody signed it",
    unsigned_document: "no entry adopts the document",
    said_tiles: "1 tiles; the trailer says 99",
    said_a_surrogate: "the trailer's checkpoints are no number",
    said_escapes: "the trailer's root is no SHA-256",
    said_at_length: "the trailer's entries are no number",
    said_yes: "the trailer's tiles are no number",
    named_in_escapes: r"the file '\x1b[2J\nOK\n\ud800xxx",
    said_artefacts: "2 artefacts; the trailer says 99",
    garbage_after("trailer.json"): "trailer.json is cut or no JSON",
    garbage_after("events.jsonl"): "events.jsonl, line 321 is cut or no entry",
    garbage_after("payloads.jsonl"): "payloads.jsonl, line 1 is cut or no payload",
    garbage_after("checkpoints.jsonl"): "checkpoints.jsonl is cut or no JSON",
    garbage_before("trailer.json"): "trailer.json is cut or no JSON",
    garbage_before("events.jsonl"): "events.jsonl, line 1 is cut or no entry",
    garbage_before("checkpoints.jsonl"): "checkpoints.jsonl is cut or no JSON",
    no_number: "holds NaN, which is no JSON",
    deep: "nested deeper than anything honest",
    named_outside: "position 4: its plan_sha256 is no SHA-256",
    erasable_outside: "position 4: its identities_sha256 is no SHA-256",
    with_zip(lambda content: b"garbage" + content, "before"): "before its first file or after",
    with_zip(lambda content: content + b"garbage", "after"): "ends with something else than its",
    with_zip(lambda content: content[:-2] + b"\3\0abc", "comment"): "ends with something else",
    with_zip(gap, "gap"): "7 bytes of the .zip before 'the directory' belong to no file",
    with_zip(encrypted, "encrypted"): "is encrypted, or compressed as none of the format",
    with_zip(huge_directory, "huge_directory"): "the directory of the .zip has 1073741824 bytes",
    with_zip(lambda _: b"PK\5\6" + bytes(18), "nothing"): "the trailer is missing",
    with_member("events.jsonl"): "the file 'events.jsonl' stands twice in the .zip",
    with_member("tiles/"): "'tiles/' in the .zip is an entry for a folder, which",
    with_member("payloads.jsonl", external_attr=0o120777 << 16): "is no regular file",
    with_member("schema/pipe", external_attr=0o010644 << 16): "is no regular file",
    with_member("../out"): "the file '../out' is none of the format",
    with_member("/etc/passwd"): "the file '/etc/passwd' is none of the format",
    with_member("artefacts/" + "A" * 64): "is none of the format",
    with_member("tiles/00/0"): "the file 'tiles/00/0' is none of the format",
    with_member("artefacts/" + sha256_hex(b"x"), b"x", compress_type=12): "compressed as none",
}


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\n", "\r", "\x9b", "\ud800", "\u202e", "é" * 9999])
def test_whatever_a_bundle_holds_is_said_in_one_plain_line(
    hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verify_bundle.say(f"BROKEN: {hostile} OK")
    said = capsys.readouterr().out
    assert said.startswith("BROKEN: ")
    assert (said.count("\n"), said[:-1].isascii(), said[:-1].isprintable()) == (1, True, True)


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_what_the_format_does_not_allow_is_broken(
    bundle: Path, kept: Kept, tmp_path: Path, forge: Forge
) -> None:
    code, said = checked(forge(bundle), kept, tmp_path, ["note"])
    assert (code, FORGERIES[forge] in said) == (1, True), said
    assert said.count("\n") == 1, "one line"
    assert said.rstrip("\n").isprintable()
    assert len(said) <= verify_bundle.SAID_MAX + 100


def test_a_true_bundle_says_what_nobody_signed(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    for true in (bundle, zipped(bundle, tmp_path / "true.zip")):
        code, said = checked(true, kept, tmp_path)
        assert (code, "unnamed" in said) == (0, False)
        assert "not signed   schema/events.json and verify_bundle.py: run and believe your" in said


def test_an_artefact_that_no_entry_names_is_said(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    (bundle / "artefacts" / sha256_hex(b"planted")).write_bytes(b"planted")
    code, said = checked(with_true_trailer(bundle), kept, tmp_path)
    assert (code, "unnamed      1 artefacts that no entry names" in said) == (0, True)


@pytest.mark.parametrize("option", ["bundle", "--checkpoint", "--leaves"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_the_command_line_names_regular_files(
    bundle: Path,
    kept: Kept,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    kind: str,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = {"pipe": tmp_path / "pipe", "device": Path("/dev/zero"), "folder": tmp_path}[kind]
    arguments = [str(bundle), option, str(path)] if option != "bundle" else [str(path)]
    code = verify_bundle.main([*arguments, "--key", str(kept.key)])
    said = capsys.readouterr().out
    expected = (1, "BROKEN: ") if (option, kind) == ("bundle", "folder") else (2, "CANNOT CHECK: ")
    assert (code, said.startswith(expected[1])) == (expected[0], True), said


def test_entries_that_nobody_signed_are_not_kept_in_mind_without_end(
    bundle: Path, kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_bundle, "UNPROVEN_MAX", 19)  # twenty lie after the last checkpoint
    code, said = checked(bundle, kept, tmp_path)
    assert (code, "over 19 entries lie after the last checkpoint (300 entries)" in said) == (
        2,
        True,
    )
    monkeypatch.setattr(verify_bundle, "UNPROVEN_MAX", 20)
    assert checked(bundle, kept, tmp_path)[0] == 0
