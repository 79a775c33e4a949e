"""`residual_evidence`: how surprising a champion's residuals have become, in days.

A figure that may be looked at as often as one likes (Vovk et al., arXiv 2102.10439: a conformal
test martingale; here its Shiryaev-Roberts form). Each new residual is ranked among those before it.
While nothing changes, every rank is as likely as any other, and nobody can win by betting on ranks;
nine detectors bet nonetheless, each on one kind of change, and R is what their bets are worth. Each
day adds a stake of 1, so R is expected to be no more than the days elapsed, and it exceeds D about
once in D days, or less often, as long as nothing changes.

Where the rows of a day or of a group resemble each other, one value is ranked for each of them.

What it cannot see is a change that was there when the champion was promoted: the ranks learn it.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from domain.packed import Floats

Looks = Literal["abs", "signed"]

EVIDENCE_HOLDOUT_ROWS_MIN: Final = (
    200  # below it a change present at promotion is mostly learnt as usual
)
FACT_MAX: Final = 1e300  # ln R passes 700, a double does not
_NEVER: Final = -math.inf
_LATEST_MAX: Final = 4_096  # values that stand apart before they are sorted in
_LOOKS: Final[tuple[Looks, Looks]] = ("abs", "signed")


@dataclass(frozen=True, slots=True)
class Detector:
    """One bet on the rank u (0..1) of each residual: its wealth grows by 1 + rate (u - 1/2)."""

    looks_at: Looks  # |residual|: errors grew; residual: they moved to one side
    rate: float  # between -2 and 2
    weight: float  # of its wealth in R


DETECTORS: Final = (
    *(Detector("abs", rate, 1 / 6) for rate in (0.5, 1.0, 1.8)),
    *(Detector("signed", sign * rate, 1 / 12) for rate in (0.5, 1.0, 1.8) for sign in (1.0, -1.0)),
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """What is ranked: the residual of a row, or the mean of a block's."""

    identity: str  # of the row, or of the block's first; it seeds how ties are broken
    signed: float  # residual, or mean of them
    magnitude: float  # |residual|, or mean of them

    @classmethod
    def of_row(cls, identity: str, residual: float) -> Ranked:
        """A row that stands for itself."""
        return cls(identity, residual, abs(residual))


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a reign has gathered: every value so far, and what each bet is worth."""

    magnitudes: Floats  # ascending
    signed: Floats  # ascending
    log_wealth: tuple[float, ...] = (_NEVER,) * len(DETECTORS)  # ln R_k; -inf: nothing staked yet

    @property
    def log_days(self) -> float:
        """ln R, R in days; -inf before the first day."""
        return _log_sum(
            math.log(d.weight) + log for d, log in zip(DETECTORS, self.log_wealth, strict=True)
        )

    @property
    def days(self) -> float:
        """R, at most 1e300: the expected days to a false alarm at this bound."""
        return fact(self.log_days)


def fact(log_days: float) -> float:
    """R from ln R, at most 1e300.

    >>> fact(0.0), fact(-math.inf), fact(800.0)
    (1.0, 0.0, 1e+300)
    """
    return FACT_MAX if log_days >= math.log(FACT_MAX) else math.exp(log_days)


def begun(frozen: Iterable[Ranked]) -> Evidence:
    """A reign begins: `frozen` is of the residuals frozen at the promotion, or nothing."""
    magnitudes, signed = array("d"), array("d")
    for each in frozen:
        magnitudes.append(each.magnitude)
        signed.append(each.signed)
    return Evidence(np.sort(np.frombuffer(magnitudes)), np.sort(np.frombuffer(signed)))


def restaked(evidence: Evidence) -> Evidence:
    """A training was completed and promoted nobody: the bets begin anew, the memory stays."""
    return Evidence(evidence.magnitudes, evidence.signed)


def advance(
    evidence: Evidence,
    arrived: Iterable[Ranked],
    *,
    model_version: str,
    days: float,
) -> Evidence:
    """The evidence after one cycle.

    Args:
        evidence: after the cycle before.
        arrived: what enters, in its order.
        model_version: of the champion; with the identity it seeds how ties are broken.
        days: since the cycle before, at least 0.
    """
    magnitudes, signed = _Memory(evidence.magnitudes), _Memory(evidence.signed)
    won = [0.0] * len(DETECTORS)
    for each in arrived:
        at_abs, at_signed = (tie(model_version, each.identity, looks) for looks in _LOOKS)
        ranks: dict[Looks, float] = {
            "abs": magnitudes.join(each.magnitude, at_abs),
            "signed": signed.join(each.signed, at_signed),
        }
        for k, detector in enumerate(DETECTORS):
            won[k] += math.log1p(detector.rate * (ranks[detector.looks_at] - 0.5))
    stake = math.log(days) if days > 0 else _NEVER
    grown = tuple(
        _log_sum((log, stake)) + gain for log, gain in zip(evidence.log_wealth, won, strict=True)
    )
    return Evidence(magnitudes.whole(), signed.whole(), grown)


def tie(model_version: str, identity: str, looks_at: Looks) -> float:
    """Where within a tie a row stands, 0..1: drawn by a hash, so the same whenever it is asked.

    >>> f"{tie('car-sales/1', 'year=1976|car_id=1', 'abs'):.12f}"
    '0.000949190627'
    """
    text = f"whyledger.residual-evidence/1|{model_version}|{identity}|{looks_at}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return float(((seed >> 11) + 0.5) / 2**53)


class _Memory:
    """Values in order that others join; the latest stand apart, or each were as dear as all."""

    def __init__(self, ordered: Floats) -> None:
        self._ordered = ordered
        self._latest: list[float] = []  # ascending

    def join(self, value: float, at: float) -> float:
        """The rank of `value` among them (0..1), whom it then joins."""
        known, latest = self._ordered, self._latest
        place = bisect_left(latest, value)
        less = int(known.searchsorted(value, "left")) + place
        equal = int(known.searchsorted(value, "right")) + bisect_right(latest, value, place) - less
        rank = (less + at * (1 + equal)) / (len(known) + len(latest) + 1)
        insort(latest, value, place)
        if len(latest) == _LATEST_MAX:
            self._ordered, self._latest = self.whole(), []
        return rank

    def whole(self) -> Floats:
        """All of them, in order."""
        if not self._latest:
            return self._ordered
        return np.sort(np.concatenate([self._ordered, self._latest]), kind="stable")


def _log_sum(logs: Iterable[float]) -> float:
    """ln of the sum of exp(log): no sum is too large or too small for it."""
    of = tuple(logs)
    most = max(of)
    if most == _NEVER:
        return _NEVER
    return most + math.log(math.fsum(math.exp(log - most) for log in of))
