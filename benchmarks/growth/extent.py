"""How much is measured: the sizes, and how often and how long at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SIZE_MIN: Final = 400  # rows; the first decision judges half of them
SIZE_MAX: Final = 10_000_000
_UNITS: Final = {"k": 1_000, "M": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Everything that makes a run longer or shorter."""

    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)  # rows predicted in the window, rising
    peers: bool = True  # whether MLflow and pyeventsourcing are asked, which takes their packages
    rounds: int = 3  # of everything that is interleaved
    requests: int = 60  # of one page in one turn
    turn_seconds: float = 2.0  # after which a turn ends, with one request at least
    batch_rows: int = 1_000  # rows of a request
    load_seconds: float = 3.0  # of a burst, and of one look while read models are folded
    folding_seconds: float = 4.0  # of load before that look
    uploaded: int = 50_000  # rows of a CSV
    outcomes: int = 20_000  # labels of a round
    kept: int = 50_000  # rows in batches whose bytes are weighed


# So little that a test can run the whole program.
SHORT: Final = Extent(
    sizes=(200, 400),
    peers=False,
    rounds=1,
    requests=2,
    turn_seconds=0.2,
    batch_rows=50,
    load_seconds=0.2,
    folding_seconds=0.2,
    uploaded=200,
    outcomes=100,
    kept=1_000,
)


def sizes_of(words: str) -> tuple[int, ...]:
    """The sizes in words, rising, each once.

    >>> sizes_of("1M,10k,400")
    (400, 10000, 1000000)

    Raises:
        ValueError: a word is no number of rows, or one beyond what is filled.
    """
    found = set()
    for word in words.split(","):
        number, unit = word[:-1], _UNITS.get(word[-1:], 0)
        if not unit:
            number, unit = word, 1
        if not number.isdecimal() or not SIZE_MIN <= int(number) * unit <= SIZE_MAX:
            raise ValueError(
                f"{word!r} is no size between {SIZE_MIN} and {SIZE_MAX:,} rows; "
                "write 10k, 100k or 1M, with commas between"
            )
        found.add(int(number) * unit)
    return tuple(sorted(found))


def size_words(rows: int) -> str:
    """A size as it is typed.

    >>> size_words(10_000), size_words(1_000_000), size_words(250)
    ('10k', '1M', '250')
    """
    for unit, times in reversed(_UNITS.items()):
        if rows >= times and rows % times == 0:
            return f"{rows // times}{unit}"
    return str(rows)
