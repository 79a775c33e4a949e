"""The row guard: what a client sent becomes rows the contract allows, or a refusal of all of it.

Compiled once a contract and fast, because every prediction passes it. A batch is all or nothing;
the refusal lists the first faults with row, field, value and bound, and counts the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, cast

from domain.blocks.ids import RowKeys, identities_of, identity_of
from domain.contract.checks import CompiledRule, Refusal, Value, column_checks, target_check
from domain.contract.contract import Contract
from domain.contract.csv_cells import CsvCells
from domain.contract.quick_rows import QuickRows
from domain.contract.refused_rows import (
    Found,
    ahead_of,
    counted_reason,
    printable,
    row_fault,
    safe_value,
)
from domain.errors import RequestInvalid, RowsRefusedError
from domain.events.events import Row, RowColumns
from domain.faults import Fault, Faults, shown
from domain.times import mid_year

UNKNOWN_FIELDS_SHOWN_MAX: Final = 20  # a row; a body made of thousands is answered shortly
INDEXES_SHOWN_MAX: Final = 20  # in the message


class Judged(NamedTuple):
    """What the guard made of some rows: those it accepted, in order, and what it refused."""

    accepted: list[Row]
    refused: dict[int, str]  # index of a refused row -> its first "field: reason"
    faults: Faults
    reasons: dict[str, int]  # "field: reason" -> how often


class RowGuard:
    """Holds rows to one contract.

    `latest` gives the latest event time that is taken at present; None: rows are held to none,
    since they were taken long ago.
    """

    def __init__(self, contract: Contract, latest: Callable[[], str] | None = None) -> None:
        self._latest = latest
        self._time_column = contract.event_time.column
        self.contract = contract
        self.personal = contract.is_personal  # looked up for every prediction
        self.keys = RowKeys(
            contract.identity, contract.event_time.column, contract.event_time.read_as
        )
        self._target = contract.target.name
        self._check_target = target_check(contract)
        checks = column_checks(contract)
        self._checks = tuple(checks.items())
        self._labelled_checks = (*self._checks, (self._target, self._check_target))
        self._ignored = frozenset(column.name for column in contract.ignored)
        self._known = frozenset(checks)
        self._known_labelled = self._known | {self._target}
        self._taken = self._known_labelled | self._ignored
        about_target = [self._target in (rule.left, rule.right) for rule in contract.rules]
        rules = tuple(CompiledRule(rule) for rule in contract.rules)
        self._rules = tuple(r for r, target in zip(rules, about_target, strict=True) if not target)
        self._label_rules = tuple(
            r for r, target in zip(rules, about_target, strict=True) if target
        )
        self._quick = {
            labelled: QuickRows(contract, dict(judged))
            for labelled, judged in ((False, self._checks), (True, self._labelled_checks))
        }
        self._identity = contract.identity
        self._identity_checks = {name: checks[name] for name in contract.identity}
        self._csv_cells = CsvCells(contract)

    def check_row(
        self, row: object, *, labelled: bool, path: str = "", briefly: bool = False
    ) -> Row:
        """The row as the contract keeps it: its columns in the contract's order, the target last.

        `labelled` rows must hold the target; others must not. Ignored columns are dropped. `path`
        is the JSON pointer of the row in what was sent. `briefly`, once an error lists no more: a
        row is judged up to the first fault of its columns, which is counted and not worded.

        Raises:
            RowsRefusedError: the row breaks the contract; the first faults are listed, the others
                counted.
        """
        if briefly and (first := self._first_fault(row, labelled)) is not None:
            unworded = Faults()
            unworded.count()
            raise RowsRefusedError(
                "one more row is refused; correct it, too.", unworded, {counted_reason(*first): 1}
            )
        accepted, found = self._judge(row, labelled, self._latest and self._latest())
        if found:
            raise self._refused_row(found, path)
        return accepted

    def check_rows(self, rows: Sequence[object], *, labelled: bool, path: str = "") -> list[Row]:
        """All rows as the contract keeps them, in order.

        Raises:
            RowsRefusedError: some row breaks the contract, so none is kept. Every bad row is
                counted, those beyond the listed faults as one fault each.
        """
        quickly = self.accepted_together(rows, labelled=labelled)
        if quickly is not None:
            return quickly
        accepted, refused, faults, reasons = self.judge_rows(rows, labelled=labelled, path=path)
        if refused:
            shown_rows = ", ".join(map(str, islice(refused, INDEXES_SHOWN_MAX)))
            more = ", …" if len(refused) > INDEXES_SHOWN_MAX else ""
            raise RowsRefusedError(
                f"{len(refused)} of {len(rows)} rows break the contract of "
                f"{self.contract.model!r} (index {shown_rows}{more}), first "
                f"{faults.listed[0].name} {faults.listed[0].message}. Nothing was kept; "
                "correct them and send all again.",
                faults,
                reasons,
                rows=len(refused),
            )
        return accepted

    def accepted_together(self, rows: Sequence[object], *, labelled: bool) -> list[Row] | None:
        """All rows as `check_row` keeps them; None: some must be judged by itself."""
        accepted = self._quick[labelled].accepted(rows)
        if accepted is None:
            return None
        kept = _rows_of(accepted)
        return kept if self._allows(accepted, kept, labelled=labelled) else None

    def columns_of_accepted(self, rows: Sequence[object], *, labelled: bool) -> RowColumns | None:
        """As `accepted_together`, by columns."""
        return self._allowed(self._quick[labelled].accepted(rows), labelled=labelled)

    def read_rows(self, content: bytes) -> tuple[RowColumns, int] | None:
        """As `columns_of_accepted`, of a JSON array of unlabelled rows; see `QuickRows.read`."""
        read = self._quick[False].read(content)
        return None if read is None or self._allowed(read[0], labelled=False) is None else read

    def accepted_columns(
        self, columns: Mapping[str, Sequence[object]], rows: int, *, labelled: bool
    ) -> RowColumns | None:
        """As `columns_of_accepted`, of so many rows that are given by columns, too."""
        accepted = self._quick[labelled].accepted_columns(columns, rows)
        return self._allowed(accepted, labelled=labelled)

    def _allowed(self, accepted: RowColumns | None, *, labelled: bool) -> RowColumns | None:
        if accepted is None or not self._allows(accepted, None, labelled=labelled):
            return None
        return accepted

    def _allows(self, accepted: RowColumns, rows: Sequence[Row] | None, *, labelled: bool) -> bool:
        """Whether no row is ahead of the latest time that is taken, and none breaks a rule.

        `rows`: the same, where they are made.
        """
        if self._latest is not None:
            latest = self._latest()
            times = accepted[self._time_column]
            if times and ahead_of(max(times), latest) is not None:  # type: ignore[type-var]
                return False
        rules = (*self._rules, *(self._label_rules if labelled else ()))
        if not rules:
            return True
        judged = _rows_of(accepted) if rows is None else rows
        return not any(rule.judge(row) is not None for rule in rules for row in judged)

    def judge_rows(self, rows: Iterable[object], *, labelled: bool, path: str = "") -> Judged:
        """As `check_rows`, without refusing: what would be accepted and what would not.

        Once so many faults are found as an error lists, a row is judged up to its first one: rows
        without a single column would otherwise cost as many faults as the contract has columns.
        """
        accepted: list[Row] = []
        refused: dict[int, str] = {}
        faults = Faults()
        reasons: Counter[str] = Counter()
        latest = self._latest and self._latest()  # of all of them: they came together

        def judge(index: int, row: object) -> None:
            kept, found = self._judge(row, labelled, latest)
            if not found:
                accepted.append(kept)
                return
            refused[index] = counted_reason(found[0][0], found[0][2])
            for field, value, refusal in found:
                faults.add(row_fault(f"{path}/{index}", field, value, refusal))
                reasons[counted_reason(field, refusal)] += 1

        given = enumerate(rows)
        for index, row in given:
            judge(index, row)
            if faults.is_full:
                break
        briefly: dict[int, str] = {}
        words: dict[tuple[str | None, str], str] = {}  # few, and a batch may have each often
        for index, row in given:
            first = self._first_fault(row, labelled)
            if first is None:
                judge(index, row)
                continue
            named = (first[0], first[1].reason)
            reason = words.get(named)
            if reason is None:
                reason = words[named] = counted_reason(*first)
            briefly[index] = reason
        faults.count(len(briefly))
        reasons.update(briefly.values())
        if briefly:
            refused = dict(sorted({**refused, **briefly}.items()))
        return Judged(accepted, refused, faults, dict(reasons))

    def check_label(self, label: object, row: Row, *, path: str = "/label") -> float:
        """The label of an outcome, for the row of its prediction; in the target's unit.

        Raises:
            RowsRefusedError: it is no possible value of the target, or breaks a rule with the row.
        """
        value = self._check_target(label)
        if isinstance(value, Refusal):
            refusals = [value]
        else:
            whole: Row = {**row, self._target: value}
            refusals = [r for rule in self._label_rules if (r := rule.judge(whole))]
            if not refusals:
                return cast("float", value)
        raise RowsRefusedError(
            f"the label of {self._target} {refusals[0].message}. Correct it and send it again.",
            tuple(Fault(path, f"{self._target} {r.message}", safe_value(label)) for r in refusals),
            Counter(counted_reason(self._target, r) for r in refusals),
        )

    def accepted_labels(self, labels: Sequence[object]) -> list[float] | None:
        """Each as `check_label` gives it; None: one must be checked by itself, with its row."""
        if self._label_rules or not {*map(type, labels)} <= {int, float}:
            return None
        kept = {label: self._check_target(label) for label in {*labels}}
        if any(isinstance(value, Refusal) for value in kept.values()):
            return None
        return [cast("float", kept[label]) for label in labels]

    def parse_csv_row(self, cells: Mapping[str, str | None]) -> dict[str, object]:
        """A CSV row with its cells typed as the contract names them; an empty cell is null.

        A cell that is no number where one is wanted stays text, for `check_row` to refuse.
        """
        return self._csv_cells.row(cells)

    def parse_csv_columns(
        self, header: Sequence[str], lines: Sequence[Sequence[str]]
    ) -> dict[str, Sequence[object]]:
        """As `parse_csv_row`, of lines with a cell for each column of the header, by columns."""
        return self._csv_cells.columns(header, lines)

    def identity_of(self, row: Row) -> str:
        """The key that tells this accepted row from all others: `year=1976|car_id=129`."""
        return identity_of(self._identity, row)

    def identities_of(self, columns: RowColumns) -> list[str]:
        """`identity_of` each of the accepted rows with these columns."""
        return identities_of(self._identity, columns)

    def check_identity(self, identity: Mapping[str, object], *, path: str = "") -> str:
        """The key, as `identity_of` gives it, of the row with these values of identity columns.

        A value is taken as it would be in a row: 1976.0 is 1976 where the contract wants an
        integer. Text or an integer that no row may hold is no fault: no row has such a key.

        Raises:
            RequestInvalid: other columns than the identity, or a value that can be none of it.
        """
        if set(identity) != set(self._identity):
            sent_names = sorted(map(printable, identity))[:UNKNOWN_FIELDS_SHOWN_MAX]
            named = ", ".join(map(repr, sent_names))
            message = (
                f"names {named or 'nothing'}; the identity of {self.contract.model!r} is "
                f"{', '.join(map(repr, self._identity))}. Send exactly these."
            )
            raise RequestInvalid(message, [Fault(path, message)])
        row: Row = {}
        faults: list[Fault] = []
        for name, check in self._identity_checks.items():
            sent = identity[name]
            value = check(sent)
            if not isinstance(value, Refusal):
                row[name] = value
            elif type(sent) is str or type(sent) is int:
                row[name] = sent
            else:
                faults.append(row_fault(path, name, sent, value))
        if faults:
            raise RequestInvalid(f"{faults[0].name} {faults[0].message}.", faults)
        return self.identity_of(row)

    def identities_named(self, identities: Sequence[Mapping[str, object]]) -> list[str]:
        """`check_identity` of each; together where that is certain. Raises as it does."""
        named = self._identity_checks.keys()
        if all(each.keys() == named for each in identities):
            columns = {name: [each[name] for each in identities] for name in self._identity}
            accepted = self._quick[False].accepted_of_some(columns)
            if accepted is not None:
                return self.identities_of(accepted)
        return [*map(self.check_identity, identities)]

    def event_time_of(self, row: Row) -> str:
        """When this accepted row happened in the world: UTC, six decimals, `Z`."""
        return _time(row[self._time_column])

    def event_times_of(self, columns: RowColumns) -> list[str]:
        """`event_time_of` each of the accepted rows with these columns."""
        values = columns[self._time_column]
        if self.keys.read_as == "timestamp":
            return [*map(str, values)]
        named = {value: _time(value) for value in set(values)}
        return [*map(named.__getitem__, values)]

    def _judge(self, row: object, labelled: bool, latest: str | None) -> tuple[Row, list[Found]]:
        """The accepted row, and what is wrong with it: (field, value, why), none when accepted."""
        accepted: Row = {}
        if not isinstance(row, dict):
            refusal = Refusal("not an object", f"is {shown(row)}, not an object of columns")
            return accepted, [(None, row, refusal)]
        found: list[Found] = []
        checks = self._labelled_checks if labelled else self._checks
        get = row.get
        for name, check in checks:
            value = check(get(name))
            if type(value) is Refusal:
                found.append((name, get(name), value))
            else:
                accepted[name] = value  # type: ignore[assignment]
        if not (self._known_labelled if labelled else self._known).issuperset(row):
            found.extend(self._unknown(row, labelled))
        if latest is not None and self._time_column in accepted:
            ahead = ahead_of(accepted[self._time_column], latest)
            if ahead is not None:
                found.append((self._time_column, get(self._time_column), ahead))
        if self._rules or (labelled and self._label_rules):
            for rule in (*self._rules, *(self._label_rules if labelled else ())):
                broken = rule.judge(accepted)
                if broken:
                    found.append((rule.rule.left, get(rule.rule.left), broken))
        return accepted, found

    def _first_fault(self, row: object, labelled: bool) -> tuple[str | None, Refusal] | None:
        """The field and why of one fault of a row that has some in its columns; None otherwise."""
        if not isinstance(row, dict):
            return None, Refusal("not an object", "")
        for name, check in self._labelled_checks if labelled else self._checks:
            value = check(row.get(name))
            if type(value) is Refusal:
                return name, value
        return None

    def _unknown(self, row: dict[object, object], labelled: bool) -> list[Found]:
        taken = self._taken
        others = (name for name in row if name not in taken)
        names = list(islice(others, UNKNOWN_FIELDS_SHOWN_MAX))  # a client may send thousands
        more = len(row) - sum(name in row for name in taken) - len(names)
        found: list[Found] = []
        if self._target in row:
            if not labelled:
                refusal = Refusal(
                    "target in a prediction",
                    "is the target; send it as an outcome, once it is known",
                )
                found.append((self._target, row[self._target], refusal))
        for name in names:
            also = f" (and {more} more)" if more > 0 else ""
            message = f"is no column of {self.contract.model!r}{also}; remove it, or check its name"
            found.append((str(name), row[name], Refusal("unknown field", message)))
        return found

    def _refused_row(self, found: list[Found], path: str) -> RowsRefusedError:
        field, _, refusal = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return RowsRefusedError(
            f"the row breaks the contract of {self.contract.model!r}: "
            f"{'it' if field is None else printable(field)} {refusal.message}{more}.",
            tuple(row_fault(path, *fault) for fault in found),
            Counter(counted_reason(field, refusal) for field, _, refusal in found),
        )


def _time(value: Value) -> str:
    """The event time that the value of its column says."""
    return value if isinstance(value, str) else mid_year(cast("int", value))


def _rows_of(columns: RowColumns) -> list[Row]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
