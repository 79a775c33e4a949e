"""Make a golden ledger: a short real story, its entries as stored, and what must follow from them.

    python tests/golden/make.py 0001-first-version

writes `<name>.jsonl` (the canonical bytes of each entry, one a line, in order of position) and
`<name>.json` (size, RFC 6962 root, digest of every read model and of every artefact). It refuses to
write over a ledger that exists: every later version must replay the old ones. `--expect` writes the
second file alone, for a change of read models that is meant; look at what differs.
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
    entries, expected = GOLDEN / f"{asked.name}.jsonl", GOLDEN / f"{asked.name}.json"
    _find_project()
    from tests.app.golden_story import replayed, told

    if not asked.expect:
        if entries.exists():
            parser.error(f"{entries.name} exists, and what is golden stays. Choose another name.")
        with tempfile.TemporaryDirectory(prefix="whyledger-golden-") as folder:
            lines, artefacts = told(Path(folder) / "state")
        entries.write_bytes(b"".join(line + b"\n" for line in lines))
    else:
        artefacts = json.loads(expected.read_text())["artefacts"]
    with tempfile.TemporaryDirectory(prefix="whyledger-golden-") as folder:
        found: dict[str, Any] = replayed(
            entries.read_bytes().splitlines(), f"sqlite:///{Path(folder) / 'ledger.db'}"
        )
    expected.write_text(json.dumps(found | {"artefacts": artefacts}, indent=2) + "\n")
    sys.stdout.write(f"{entries.name}: {found['entries']} entries, {entries.stat().st_size} B\n")


def _find_project() -> None:
    """Let this checkout's packages be found, and its tests before any other package `tests`."""
    sys.path.insert(0, str(PROJECT))
    tests = types.ModuleType("tests")
    tests.__path__ = [str(PROJECT / "tests")]
    sys.modules["tests"] = tests


if __name__ == "__main__":
    main()
