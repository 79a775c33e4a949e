"""What another policy would have come to: a model's cycles lived again, and what that was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Final, Self

from app.audit.setting_aside import not_counted
from domain.events.verdicts import amount, in_words, told_apart_from_each

FIRST_CHAMPION: Final = "never retrained"  # the model that nobody replaced, whom all are against
BEGIN: Final = "<!-- whatif begins -->"
END: Final = "<!-- whatif ends -->"
_THREE_DECIMALS_FROM: Final = 0.1
HEADINGS: Final = ("model", "policy", "trained", "promoted", "mean RMSE", "value", "unit")
CYCLE_HEADINGS: Final = (
    "cycle",
    "as of",
    "outcome",
    "ended",
    "rows",
    "RMSE",
    "first RMSE",
    "serves",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRows:
    """The rows that were served between two cycles, or since the last, and are labelled by now.

    A row counts once: where it was first answered. Errors are RMSE on the scale of the contract's
    target; None where no row was labelled.
    """

    rows: int
    rmse: float | None  # of who served them under the other policy
    first_rmse: float | None  # of the first champion on the same rows
    saved: float | None  # sum(|first champion's error| - |server's|), target's unit


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRelived:
    """One cycle under the other policy, and the rows that were served since the one before it."""

    cycle: str
    as_of: str  # UTC
    outcome: str  # what the other policy said
    sentence: str
    conclusion: str  # how the cycle ended
    set_aside_by: str | None  # a later cycle that set it aside; None: it counts
    gates: tuple[str, ...]  # 'Deployment passed', in their order; empty where nothing was trained
    trained: bool
    promoted: bool
    before: ServedRows  # served since the cycle before
    champion: str | None  # who serves afterwards

    def line(self) -> tuple[str, ...]:
        """The cycle under CYCLE_HEADINGS."""
        return (
            self.cycle,
            self.as_of[:10],
            self.outcome,
            self.conclusion + (", set aside" if self.set_aside_by else ""),
            *_figures(self.before),
            self.champion or "nobody",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A model's years under one policy. Sums count every served and labelled row once: with the
    first answer it got, and the label in force at the end."""

    model: str
    policy: str
    policy_version: int
    policy_digest: str
    cycles: tuple[CycleRelived, ...]  # oldest first
    since: ServedRows  # the rows served after the last cycle
    left_out: Mapping[str, int]  # reason -> rows that could not be lived again
    per_unit: float | None  # what an error of one unit of the target costs; None: nobody has said
    unit: str  # of the value: '1983 USD'; that of the target where nobody has said

    @property
    def judged(self) -> tuple[CycleRelived, ...]:
        """The cycles with rows that somebody served: those the first champion could be kept in."""
        return tuple(each for each in self.cycles if each.before.rows)

    @property
    def trained(self) -> int:
        """Candidates trained after the first one served, by cycles that count."""
        return sum(each.trained for each in self._counted)

    @property
    def promoted(self) -> int:
        """Candidates promoted after the first one served, by cycles that count."""
        return sum(each.promoted for each in self._counted)

    @property
    def set_aside(self) -> int:
        """Cycles that a later one set aside: nothing of them is in the two counts before."""
        return sum(each.set_aside_by is not None for each in self.cycles)

    @property
    def _counted(self) -> tuple[CycleRelived, ...]:
        """The cycles that count of those that began when somebody served, asked or not."""
        first = next((n for n, each in enumerate(self.cycles) if each.champion), len(self.cycles))
        return tuple(each for each in self.cycles[first + 1 :] if each.set_aside_by is None)

    @property
    def served(self) -> tuple[ServedRows, ...]:
        """What was served, oldest first; the rows since the last cycle are one of them."""
        return tuple(each for each in (*(c.before for c in self.cycles), self.since) if each.rows)

    @property
    def rmse(self) -> float | None:
        """The mean, over what was served between cycles, of the error of who served."""
        return _mean([each.rmse for each in self.served])

    @property
    def first_rmse(self) -> float | None:
        """The mean, over what was served between cycles, of the first champion's error."""
        return _mean([each.first_rmse for each in self.served])

    @property
    def value(self) -> float | None:
        """What was saved against the first champion, in `unit`; None where nothing was labelled."""
        saved = [each.saved for each in self.served if each.saved is not None]
        return sum(saved) * (1 if self.per_unit is None else self.per_unit) if saved else None

    @property
    def sentence(self) -> str:
        """What the other policy would have come to, in one sentence."""
        if self.rmse is None or self.first_rmse is None or self.value is None:
            return f"{self.model} under {self.policy}: no row was served and labelled."
        aside = not_counted(self.set_aside)
        return (
            f"{self.model} under {self.policy}: {self.trained} trained, {self.promoted} promoted"
            f"{aside and f' ({aside})'}; "
            f"mean RMSE {_error(self.rmse, self.first_rmse)}, "
            f"{_error(self.first_rmse, self.rmse)} had nobody retrained; "
            f"worth {amount(self.value)} {self.unit} against the first champion."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the counts and sums leave out, a sentence each."""
        lost = in_words([f"{rows} ({reason})" for reason, rows in self.left_out.items()])
        said = [f"rows that could not be lived again: {lost}" if lost else ""]
        said.append(not_counted(self.set_aside))
        return tuple(f"{self.model} under {self.policy}: {each}" for each in said if each)

    def lines(self) -> list[tuple[str, ...]]:
        """The cycles under CYCLE_HEADINGS, and last the rows served since, when there are any."""
        lines = [each.line() for each in self.cycles]
        if self.since.rows:
            serves = self.cycles[-1].champion if self.cycles else None
            lines.append(("since", "", "", "", *_figures(self.since), serves or "nobody"))
        return lines

    def line(self) -> tuple[str, ...]:
        """The policy under HEADINGS."""
        rmse = _error(self.rmse, self.first_rmse)
        return self._line(self.policy, self.trained, self.promoted, rmse, self.value)

    def line_of_never(self) -> tuple[str, ...]:
        """The first champion alone, on the same rows, under HEADINGS."""
        return self._line(FIRST_CHAMPION, 0, 0, _error(self.first_rmse, self.rmse), 0.0)

    def _line(
        self, policy: str, trained: int, promoted: int, rmse: str, value: float | None
    ) -> tuple[str, ...]:
        worth = "–" if value is None else amount(value)
        return (self.model, policy, str(trained), str(promoted), rmse, worth, self.unit)

    def to_document(self) -> dict[str, Any]:
        """The same as JSON, with the sums."""
        sums = ("trained", "promoted", "set_aside", "rmse", "first_rmse", "value", "sentence")
        stored = {name: getattr(self, name) for name in self.__dataclass_fields__}
        stored["cycles"] = [asdict(each) for each in self.cycles]
        stored["since"] = asdict(self.since)
        return stored | {name: getattr(self, name) for name in sums}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Back from `to_document`, as another process wrote it."""
        stored = {name: document[name] for name in cls.__dataclass_fields__}
        cycles = tuple(
            CycleRelived(
                **(each | {"gates": tuple(each["gates"]), "before": ServedRows(**each["before"])})
            )
            for each in stored["cycles"]
        )
        return cls(**(stored | {"cycles": cycles, "since": ServedRows(**stored["since"])}))


def comparison(found: Sequence[WhatIf]) -> list[tuple[str, ...]]:
    """A line a model and policy under HEADINGS; each model begins with its first champion alone."""
    lines: list[tuple[str, ...]] = []
    for model in dict.fromkeys(each.model for each in found):
        of_model = [each for each in found if each.model == model]
        lines += [of_model[0].line_of_never(), *(each.line() for each in of_model)]
    return lines


def _figures(served: ServedRows) -> tuple[str, str, str]:
    rmse, first = served.rmse, served.first_rmse
    return str(served.rows), _error(rmse, first), _error(first, rmse)


def table_block(found: Sequence[WhatIf]) -> str:
    """The comparison as a Markdown table between the two marks that a page has for it."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *comparison(found)]
    rows = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join((BEGIN, *(f"| {row} |" for row in rows), END))


def around_table(page: str) -> tuple[str, str] | None:
    """What stands before and after the block of a page; None: it has no place for one."""
    before, begins, rest = page.partition(BEGIN)
    _, ends, after = rest.partition(END)
    return (before, after) if begins and ends else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _error(value: float | None, other: float | None) -> str:
    """Three decimals, or four digits and as many more as tell it apart from the other error."""
    if value is None:
        return "–"
    others = () if other is None else (other,)
    shown = f"{value:.3f}"
    large = all(each == 0 or each >= _THREE_DECIMALS_FROM for each in (value, *others))
    if large and all((shown == f"{each:.3f}") == (value == each) for each in others):
        return shown
    return told_apart_from_each(value, others)[0]
