"""Make a golden ledger: a short real story, its entries as stored, and what must follow from them.

    python tests/golden/make.py 0001-first-version

tells the story of that name in `tests/app/golden_story.py` and writes `<name>.jsonl` (the canonical
bytes of each entry, one a line, in order of position), `<name>.payloads.jsonl` and
`<name>.rows.jsonl` (what stands apart from them, when anything does) and `<name>.json` (size, RFC
6962 root, digest of every read model and of every artefact). It refuses to write over a ledger that
exists: every later version must replay the old ones. `--expect` looks at
the ledger that exists, for a change of read models that is meant: what the version that wrote it
recorded stays, and the digests that came or differ since are kept beside it, under `since`. A read
model that changed has a new number (`cycles_2`); the digest of the old number is kept, and compared
with nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, Final

GOLDEN: Final = Path(__file__).resolve().parent
PROJECT: Final = GOLDEN.parents[1]


def main() -> None:
    """Read the command line, tell the story, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="file name without ending, such as 0001-first-version")
    parser.add_argument("--expect", action="store_true", help="keep the ledger, write the rest")
    asked = parser.parse_args()
    payloads, rows = (GOLDEN / f"{asked.name}.{kind}.jsonl" for kind in ("payloads", "rows"))
    entries, expected = GOLDEN / f"{asked.name}.jsonl", GOLDEN / f"{asked.name}.json"
    _find_project()
    from tests.app.golden_story import STORIES, replayed, told

    if not asked.expect:
        if entries.exists():
            parser.error(f"{entries.name} exists, and what is golden stays. Choose another name.")
        with tempfile.TemporaryDirectory(prefix="whyledger-golden-") as folder:
            story = told(Path(folder) / "state", STORIES[asked.name])
        entries.write_bytes(b"".join(line + b"\n" for line in story.lines))
        for apart, lines in ((payloads, story.payloads), (rows, story.rows)):
            if lines:
                apart.write_bytes(b"".join(line + b"\n" for line in lines))
        artefacts = story.artefacts
        recorded: dict[str, Any] = {}
    else:
        recorded = json.loads(expected.read_text())
        artefacts = recorded["artefacts"]
    with tempfile.TemporaryDirectory(prefix="whyledger-golden-") as folder:
        found: dict[str, Any] = replayed(
            entries.read_bytes().splitlines(),
            f"sqlite:///{Path(folder) / 'ledger.db'}",
            *(each.read_bytes().splitlines() if each.exists() else () for each in (payloads, rows)),
        )
    first = recorded.get("read_models", found["read_models"])
    since = recorded.get("since", {}) | {
        name: now for name, now in found["read_models"].items() if now != first.get(name)
    }
    kept = found | {"read_models": first, "since": since, "artefacts": artefacts}
    expected.write_text(json.dumps(kept, indent=2) + "\n")
    sys.stdout.write(f"{entries.name}: {found['entries']} entries, {entries.stat().st_size} B\n")


def _find_project() -> None:
    """Let this checkout's packages be found, and its tests before any other package `tests`."""
    sys.path.insert(0, str(PROJECT))
    tests = types.ModuleType("tests")
    tests.__path__ = [str(PROJECT / "tests")]
    sys.modules["tests"] = tests


if __name__ == "__main__":
    main()
