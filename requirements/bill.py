"""Completes a CycloneDX bill of materials, read from stdin, of what requirements/runtime.txt pins.

`cyclonedx-py requirements` reads names, versions and hashes. What it cannot know is added: licences
(from the packages' metadata, see `licences.py`) and who needs whom (from the lock's own remarks).
Which registry a package came from is left out: that is for whoever installs it to say.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any, Final

from requirements.licences import Licences, LicenceUnknown, normal

LOCK: Final = Path(__file__).with_name("runtime.txt")
_PINNED: Final = re.compile(
    r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==[^\n]*\n((?:    [^\n]*\n)+)", re.MULTILINE
)
_VIA: Final = re.compile(r"^    #(?: via |   )(-r runtime\.in|[a-z0-9-]+)$", re.MULTILINE)
_OURS: Final = "-r runtime.in"


def needed_by(lock: str) -> dict[str, frozenset[str]]:
    """Package -> who needs it, of a lock as uv writes it; `-r runtime.in`: we do."""
    found: dict[str, frozenset[str]] = {}
    for pinned in _PINNED.finditer(lock):  # one may be pinned twice, for two Pythons
        found[pinned[1]] = found.get(pinned[1], frozenset()) | frozenset(_VIA.findall(pinned[2]))
    return found


def completed(bill: Mapping[str, Any], lock: str, licences: Licences) -> dict[str, Any]:
    """The bill with licences, with the graph of who needs whom, and without a registry.

    Raises:
        LicenceUnknown: a package says none, or is not installed as it is pinned.
    """
    versions: defaultdict[str, list[str]] = defaultdict(list)
    for each in bill["components"]:
        versions[normal(each["name"])].append(each["version"])
    said = {name: _licence(name, pinned, licences) for name, pinned in versions.items()}
    components = [_component(each, said) for each in bill["components"]]
    references: defaultdict[str, list[str]] = defaultdict(list)
    for each in components:
        references[each["name"]].append(each["bom-ref"])
    root = bill["metadata"]["component"]["bom-ref"]
    needs: dict[str, list[str]] = {root: []} | {each["bom-ref"]: [] for each in components}
    for package, by in needed_by(lock).items():
        for who in by:
            for reference in [root] if who == _OURS else references[who]:
                needs[reference] += references[package]
    graph = [{"ref": who, "dependsOn": sorted(what)} for who, what in sorted(needs.items())]
    return {**bill, "components": components, "dependencies": graph}


def _licence(package: str, pinned: list[str], licences: Licences) -> tuple[str, str] | None:
    """The version that is installed and its licence; None: it is pinned for other systems."""
    try:
        installed = version(package)
    except PackageNotFoundError:
        return None
    if installed not in pinned:
        raise LicenceUnknown(
            f"{package}: {' and '.join(pinned)} is pinned and {installed} is installed, which may "
            "come under another licence. Run make, which installs what is pinned, and try again."
        )
    return installed, licences.of(package, metadata(package))


def _component(
    component: Mapping[str, Any], said: Mapping[str, tuple[str, str] | None]
) -> dict[str, Any]:
    hashes = [
        each
        for reference in component.get("externalReferences", ())
        for each in reference.get("hashes", ())
    ]
    name = normal(component["name"])
    made = {n: v for n, v in component.items() if n != "description"}
    made |= {"name": name, "bom-ref": component["purl"]}
    files = "one of these, by SHA-256, as requirements/runtime.txt pins them"
    pinned = {"type": "distribution", "url": component["purl"], "comment": files, "hashes": hashes}
    made["externalReferences"] = [pinned]
    installed, expression = said[name] or ("", "")
    if installed == component["version"]:  # the other one is pinned for another Python
        made["licenses"] = [{"expression": expression, "acknowledgement": "declared"}]
    return made


def main() -> None:
    """From stdin to stdout."""
    bill = completed(json.load(sys.stdin), LOCK.read_text(encoding="utf-8"), Licences.written())
    json.dump(bill, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
