"""What a simulation must come to, and when it has not: a share against its bound, and by chance.

So many runs with a true share at the bound come a little above it or below it. What comes of chance
once in a thousand times is allowed; what is further off breaks the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from scipy.stats import beta, binom

CHANCE: Final = 0.001  # of breaking a bound that the true share just keeps
_LEVEL: Final = 0.05  # of the intervals


@dataclass(frozen=True, slots=True)
class Bound:
    """A share of runs, and what it must come to."""

    what: str
    hits: int
    runs: int
    side: Literal["at most", "at least"]
    share: float  # 0..1

    @property
    def allowed(self) -> int:
        """How many hits keep the bound: at most, or at least."""
        if self.side == "at most":
            return int(binom.isf(CHANCE, self.runs, self.share))
        return int(binom.ppf(CHANCE, self.runs, self.share))

    @property
    def kept(self) -> bool:
        """Whether chance alone may have made what was found of a share that keeps the bound."""
        return self.hits <= self.allowed if self.side == "at most" else self.hits >= self.allowed

    @property
    def short(self) -> str:
        """What must be, and in brackets what chance allows."""
        sign = "≤" if self.side == "at most" else "≥"
        kept = "" if self.kept else " **broken**"
        allowed = _percent(self.allowed, self.runs)
        return f"{self.what} {sign} {100 * self.share:.3g} % ({allowed}){kept}"

    @property
    def sentence(self) -> str:
        """What was found, what must be, and what chance allows."""
        chance = "up to" if self.side == "at most" else "down to"
        return (
            f"{self.what} {_percent(self.hits, self.runs)}, and it must be {self.side} "
            f"{100 * self.share:.3g} %, or {chance} {_percent(self.allowed, self.runs)} by chance "
            f"in {self.runs:,} runs"
        )


def share_bound(
    what: str, share: float, runs: int, side: Literal["at most", "at least"], bound: float
) -> Bound:
    """The bound of a share that is known as 0..1 of so many runs."""
    return Bound(what, round(share * runs), runs, side, bound)


def interval(hits: int, runs: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share.

    >>> low, high = interval(0, 40)
    >>> f"{low:.3f} {high:.3f}"
    '0.000 0.088'
    """
    low = beta.ppf(_LEVEL / 2, hits, runs - hits + 1) if hits else 0.0
    high = beta.ppf(1 - _LEVEL / 2, hits + 1, runs - hits) if hits < runs else 1.0
    return float(low), float(high)


def _percent(hits: int, runs: int) -> str:
    return f"{100 * hits / runs:.3g} %"
