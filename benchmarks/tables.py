"""Tables of figures on a page: how they are drawn in Markdown, and where they are put."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.report import Figure, shown


def markdown(figures: Sequence[Figure]) -> str:
    """The figures as a table, which all have the same keys, in the order of the columns."""
    header = list(figures[0])
    rows = [[shown(figure[key]) for key in header] for figure in figures]
    lines = (header, ["---"] * len(header), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def into(page: str, kind: str, name: str, table: str) -> str:
    """The page with this table between the two comments `<!-- kind: name -->`, `<!-- end -->`.

    Raises:
        ValueError: the page has no such place, or two.
    """
    place = re.compile(
        rf"(<!-- {re.escape(kind)}: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL
    )
    found, times = place.subn(lambda match: f"{match[1]}{table.strip()}\n{match[2]}", page)
    if times != 1:
        raise ValueError(f"the page has {times} places for the table {name!r}, and needs one")
    return found
