"""The table of rooms in `docs/guide.md`: what stands there, what each may use, and its lines.

What a room is for is its package's docstring; what it may use is the import contract's. Write the
table again with `python tests/architecture/rooms.py`.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = ROOT / "docs" / "guide.md"
BEGINS, ENDS = "<!-- rooms begin -->\n", "<!-- rooms end -->"
_STEP: Final = 100  # lines; a figure stays until the truth is further from it than this
_HEAD: Final = "| room | what is there | may use | lines |\n| --- | --- | --- | ---: |\n"


def written_again(page: str) -> str:
    """The page with the table as the code has it; a figure that is still near the truth stays."""
    before, _, rest = page.partition(BEGINS)
    old, _, after = rest.partition(ENDS)
    rows = "".join(
        f"| `{room}` | {_purpose(room)} | {may_use} | {_figure(_lines(room), old, room)} |\n"
        for room, may_use in _rooms()
    )
    return f"{before}{BEGINS}{_HEAD}{rows}{ENDS}{after}"


def _rooms() -> Iterator[tuple[str, str]]:
    """Each package or module that a contract places, from the top, with what it may use."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = [c for c in settings["importlinter"]["contracts"] if c["type"] == "layers"]
    inside = {c["containers"][0]: c for c in contracts if "containers" in c}
    packages = next(c["layers"] for c in contracts if "containers" not in c)
    for number, package in enumerate(packages):
        if package in inside:
            yield from _placed(package, inside[package])
        else:
            yield f"{package}/", _joined(packages[number + 1 :]) or "nothing of ours"


def _placed(package: str, contract: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    layers = [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]
    for number, layer in enumerate(layers):
        below = layers[number + 1 :]
        if len(below) > 1:
            may_use = f"{_joined(below[0])} and all below"
        else:
            may_use = _joined(below[0]) if below else "no other room"
        for room in layer:
            yield _place(package, room), may_use + _exceptions(package, room, contract)


def _exceptions(package: str, room: str, contract: Mapping[str, Any]) -> str:
    """What the contract lets pass all the same; the reason stands there."""
    allowed = [entry.split(" -> ") for entry in contract.get("ignore_imports", [])]
    rooms = {
        target.split(".")[1]
        for source, target in allowed
        if f"{source}.".startswith(f"{package}.{room}.")
    }
    return f", and in one place {_joined(sorted(rooms))}" if rooms else ""


def _joined(rooms: list[str]) -> str:
    return ", ".join(f"`{room}`" for room in rooms)


def _place(package: str, room: str) -> str:
    return f"{package}/{room}/" if (ROOT / package / room).is_dir() else f"{package}/{room}.py"


def _purpose(room: str) -> str:
    """The first sentence of the docstring: the room says itself what it is for."""
    file = ROOT / room / "__init__.py" if room.endswith("/") else ROOT / room
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    first = " ".join(said.split("\n\n")[0].split())
    return first.rstrip(".").replace("|", "\\|")


def _lines(room: str) -> int:
    place = ROOT / room
    files = place.rglob("*.py") if place.is_dir() else [place]
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def _figure(lines: int, table: str, room: str) -> str:
    """The lines to the hundred, at least one; what the page says already, while that is near."""
    for row in table.splitlines():
        if row.startswith(f"| `{room}` |"):
            said = int(row.split("|")[-2].replace(",", ""))
            if abs(said - lines) <= _STEP:
                return f"{said:,}"
    return f"{max(round(lines / _STEP), 1) * _STEP:,}"


if __name__ == "__main__":
    GUIDE.write_text(written_again(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
