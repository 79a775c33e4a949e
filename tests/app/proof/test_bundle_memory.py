"""Bundles that would unpack to far more than they weigh: what the verifier holds is bounded."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from app.proof import verify_bundle
from tests.app.proof.signed_ledger import Kept, checked

MIB = 1 << 20


@pytest.fixture
def kept(exported_once: tuple[Path, Kept]) -> Kept:
    return exported_once[1]


def bomb(bundle: Path, name: str, content: bytes, repeated: int) -> Path:
    """A small .zip in which one member is very long."""
    trailer = json.loads((bundle / "trailer.json").read_text())
    target = bundle.parent / "bomb.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(trailer["files"].keys() | {"trailer.json"}):
            with archive.open(each, "w") as member:
                if each != name:
                    member.write((bundle / each).read_bytes())
                for _ in range(repeated if each == name else 0):
                    member.write(content)
    return target


@pytest.mark.parametrize("name", ["events.jsonl", "trailer.json"])
def test_what_is_held_does_not_grow_with_what_a_member_unpacks_to(
    bundle: Path, kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for limit in ("LINE_MAX", "TRAILER_MAX"):
        monkeypatch.setattr(verify_bundle, limit, 2 * MIB)

    def peak(mebibytes: int) -> int:
        packed = bomb(bundle, name, b" " * MIB, mebibytes)
        tracemalloc.start()
        code, said = checked(packed, kept, tmp_path)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (code, "longer than 2097152 bytes" in said) == (1, True), said
        return held

    assert peak(32) < 1.1 * peak(4)


UNDER_A_LIMIT = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import verify_bundle
verify_bundle.read_key(sys.argv[2])
import cryptography.hazmat.primitives.asymmetric.ed25519, zipfile
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (100 << 20),) * 2)
for bundle in sys.argv[3:]:
    print(verify_bundle.main([bundle, "--key", sys.argv[2]]), flush=True)
"""


def test_where_memory_ends_it_says_so(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(verify_bundle.__file__, alone)
    head = b'{"position":0,"stream_version":0,"envelope":{"v":['
    many = head + b"[]," * (5 * MIB) + b"[]]}}\n"  # 15 MiB that would read to some 350
    full = head + b'"12345",' * (15 * MIB // 8) + b"0]}}\n"  # and that read to some 180
    bombs = []
    for number, (name, content, repeated) in enumerate(
        [
            ("events.jsonl", b" " * MIB, 256),
            ("trailer.json", b" " * MIB, 256),
            ("events.jsonl", many, 1),
            ("events.jsonl", full, 1),
        ]
    ):
        bombs.append(bomb(bundle, name, content, repeated).rename(tmp_path / f"{number}.zip"))
    assert all(path.stat().st_size < MIB for path in bombs)
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(alone), str(kept.key), *map(str, bombs)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = io.StringIO(done.stdout).readlines()
    assert said[0].startswith("BROKEN: events.jsonl, line 1 is longer than")
    assert said[2].startswith("BROKEN: the file 'trailer.json' is longer than")
    assert "more than anything honest" in said[4]
    assert said[6].startswith("CANNOT CHECK: it takes more memory than this process may have.")
    assert [line.strip() for line in said[1::2]] == ["1", "1", "1", "2"]


def test_a_trailer_of_empty_objects_is_not_read(bundle: Path, kept: Kept, tmp_path: Path) -> None:
    content = (bundle / "trailer.json").read_bytes().rstrip(b"}\n")
    packed = bomb(bundle, "trailer.json", content + b',"x":[' + b"{}," * 300_000 + b"0]}", 1)
    code, said = checked(packed, kept, tmp_path)
    assert (code, said.startswith("BROKEN: trailer.json holds 600")) == (1, True), said
