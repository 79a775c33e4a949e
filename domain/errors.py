"""What can go wrong, by meaning: one base error with a stable code, and what derives from it.

`app/http/problems.py` maps each code to an HTTP problem. A message names the thing, its value,
the bound and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Final

FAULTS_MAX: Final = 100  # that one error lists; what is beyond them is counted
STEP_LENGTH_MAX: Final = 200  # characters of one step of a pointer; a client may invent the names
_PATH_SHOWN_MAX, _MESSAGE_SHOWN_MAX, _VALUE_SHOWN_MAX = 500, 1000, 200  # characters, in answers


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document or a row.

    `path` is a JSON pointer into what was sent ("/features/0/possible/min", "/rows/3/hpwt").
    """

    path: str
    message: str
    value: object = None

    @property
    def name(self) -> str:
        """The last step of `path` as it was sent: the field at fault.

        >>> Fault("/rows/3/a~1b", "is missing").name
        'a/b'
        """
        return self.path.rpartition("/")[2].replace("~1", "/").replace("~0", "~")

    def as_json(self) -> dict[str, object]:
        """The fault as JSON, short whatever was sent; what JSON cannot hold is told in words."""
        value = self.value
        if isinstance(value, str):
            value = value[:_VALUE_SHOWN_MAX]
        elif not is_scalar(value):
            value = shown(value)  # never its text, which may be as long as the whole body
        elif isinstance(value, float) and not isfinite(value):
            value = repr(value)
        return {
            "path": _cut(self.path, _PATH_SHOWN_MAX),
            "message": _cut(self.message, _MESSAGE_SHOWN_MAX),
            "value": value,
        }


class Faults:
    """The first faults of something, in order, and how many more there are.

    What is beyond the list is counted and not kept, so that a refusal costs no more than its list.
    """

    __slots__ = ("listed", "more")

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.listed: list[Fault] = []
        self.more = 0
        self.extend(faults)

    def __len__(self) -> int:
        """All of them, whether listed or only counted."""
        return len(self.listed) + self.more

    @property
    def is_full(self) -> bool:
        """Whether another one would only be counted: then `count` it, and do not word it."""
        return len(self.listed) >= FAULTS_MAX

    def add(self, fault: Fault) -> None:
        """One more."""
        if self.is_full:
            self.more += 1
        else:
            self.listed.append(fault)

    def extend(self, faults: Iterable[Fault] | Faults) -> None:
        """Several more."""
        for fault in faults.listed if isinstance(faults, Faults) else faults:
            self.add(fault)
        if isinstance(faults, Faults):
            self.more += faults.more

    def count(self, further: int = 1) -> None:
        """So many more, which nobody words."""
        self.more += further


def pointer(*steps: str | int, below: str = "") -> str:
    """The JSON pointer (RFC 6901) of what stands `steps` below the place `below`.

    Every name that somebody else chose goes through here: `/` and `~` in it are escaped, and one
    of more than `STEP_LENGTH_MAX` characters is cut.

    >>> pointer("rows", 3, "a/b"), pointer("~", below="/data")
    ('/rows/3/a~1b', '/data/~0')
    """
    return below + "".join(
        f"/{_cut(str(step), STEP_LENGTH_MAX).replace('~', '~0').replace('/', '~1')}"
        for step in steps
    )


def summary(faults: Sequence[Fault] | Faults, most: int = 3) -> str:
    """The first faults, and how many more there are, without a full stop at the end."""
    first = (faults.listed if isinstance(faults, Faults) else faults)[:most]
    said = "; ".join(
        f"{_cut(fault.path, _PATH_SHOWN_MAX) or '/'}: "
        f"{_cut(fault.message, _MESSAGE_SHOWN_MAX).removesuffix('.')}"
        for fault in first
    )
    more = len(faults) - most
    return f"{said}; and {more} more" if more > 0 else said


def shown(value: object) -> str:
    """`value` as a message may show it: at most 80 characters, whatever it is.

    >>> shown("3"), shown(10**400), shown([3])
    ("'3'", 'an integer of 1329 bits', 'a list')
    """
    if type(value) is int and value.bit_length() > 64:  # noqa: PLR2004 its digits help nobody
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")  # noqa: PLR2004
    if is_scalar(value):
        return repr(value)
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


def is_scalar(value: object) -> bool:
    """Whether `value` is null, a truth value, a number or text."""
    return value is None or isinstance(value, bool | int | float | str)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


class WhyledgerError(Exception):
    """The base of every error we raise on purpose.

    `faults` are the first `FAULTS_MAX` of those it is given, `more_faults` how many more there are.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, faults: Sequence[Fault] | Faults = ()) -> None:
        super().__init__(message)
        self.message = message
        listed = faults.listed if isinstance(faults, Faults) else faults[:FAULTS_MAX]
        self.faults = tuple(listed)
        self.more_faults = len(faults) - len(self.faults)


class NotCanonical(WhyledgerError):
    """No canonical bytes: NaN, infinity, an integer beyond 2^53 - 1, a lone surrogate."""

    code = "not-canonical"


class DocumentInvalid(WhyledgerError):
    """A text is not the document it claims to be: broken YAML or JSON, or a key given twice."""

    code = "document-invalid"


class ContractInvalid(WhyledgerError):
    """A contract has faults; all of them are listed at once."""

    code = "contract-invalid"


class PolicyInvalid(WhyledgerError):
    """A policy has faults; all of them are listed at once."""

    code = "policy-invalid"


class RowsRefusedError(WhyledgerError):
    """Rows break the contract; nothing of the request was kept.

    `reasons` counts refusals by reason ("hpwt: out of range") for the ledger, and `rows` the rows
    that were refused.
    """

    code = "rows-refused"

    def __init__(
        self,
        message: str,
        faults: Sequence[Fault] | Faults = (),
        reasons: Mapping[str, int] | None = None,
        *,
        rows: int = 1,
    ) -> None:
        super().__init__(message, faults)
        self.reasons = dict(reasons or {})
        self.rows = rows


class RequestInvalid(WhyledgerError):
    """A request is understood and cannot be accepted as it is."""

    code = "request-invalid"


class VersionConflict(WhyledgerError):
    """Somebody appended to the stream first. Read it again and decide again."""

    code = "version-conflict"

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(
            f"stream {stream!r} is at version {actual}, not {expected}: someone appended first. "
            "Read it again and decide again."
        )
        self.stream, self.expected, self.actual = stream, expected, actual


class IdempotencyConflict(WhyledgerError):
    """The id was used before with another body."""

    code = "idempotency-conflict"


class RequestInFlight(WhyledgerError):
    """A request with the same idempotency key has not been answered yet."""

    code = "request-in-flight"


class UnknownModel(WhyledgerError):
    """No contract was adopted under this model's name."""

    code = "unknown-model"

    @classmethod
    def named(cls, model: str) -> UnknownModel:
        """The one text of it, whoever asked for `model`."""
        return cls(
            f"model {model[:100]!r} is unknown. Adopt a contract for it first, or correct the "
            "name: GET /models and `whyledger state` list those there are."
        )


class UnknownThing(WhyledgerError):
    """What was asked for by id does not exist: a cycle, a decision, an entry, a version.

    What more than one place looks for has its one text here.
    """

    code = "not-found"

    @classmethod
    def entry(cls, position: int, size: int) -> UnknownThing:
        """No entry at `position` of a ledger of `size` entries."""
        return cls(
            f"the ledger has no entry {position}. Its size is {size}; ask for a position below it."
        )

    @classmethod
    def cycle(cls, cycle: str) -> UnknownThing:
        """No cycle with this id, or none of the model it was asked of."""
        return cls(
            f"cycle {cycle[:100]!r} does not exist. List a model's: GET /models/<model>/cycles."
        )

    @classmethod
    def decision(cls, id: str) -> UnknownThing:
        """No decision with this id, whether or not it could be one."""
        return cls(
            f"decision {id[:100]!r} does not exist. List them: GET /audit/decisions, or "
            "`whyledger decisions`."
        )

    @classmethod
    def checkpoint(cls, size: int) -> UnknownThing:
        """No signed checkpoint over `size` entries or more."""
        return cls(
            f"no checkpoint covers {size} entries yet; another process may be signing. Ask again "
            "in a second, or for a new one: GET /ledger/checkpoint?new=true."
        )


class NoChampion(WhyledgerError):
    """The model has no champion yet, so nothing can be predicted."""

    code = "no-champion"


class PromotionRefused(WhyledgerError):
    """The candidate may not become champion."""

    code = "promotion-refused"


class RollbackRefused(WhyledgerError):
    """The version named never was champion, or already serves."""

    code = "rollback-refused"


class CycleRunning(WhyledgerError):
    """A cycle of this model is running; its URL is in the problem."""

    code = "cycle-running"

    def __init__(self, message: str, cycle: str) -> None:
        super().__init__(message)
        self.cycle = cycle


class CycleRefused(WhyledgerError):
    """A cycle may not start as asked: `as_of` in the future, or before the last one."""

    code = "cycle-refused"


class PolicyNotDecided(WhyledgerError):
    """Rule engine and plain evaluation disagreed, or the engine said too little. Fails closed."""

    code = "policy-not-decided"


class TrainingFailed(WhyledgerError):
    """A candidate could not be trained."""

    code = "training-failed"


class NotReady(WhyledgerError):
    """The process has not started yet: its read models are being folded."""

    code = "not-ready"


class LedgerBusy(WhyledgerError):
    """The ledger could not take the append in time; nothing was kept. Try again."""

    code = "ledger-busy"


class LedgerDamaged(WhyledgerError):
    """The ledger does not hold what it must: a digest, a gap, an unknown event type."""

    code = "ledger-damaged"

    @classmethod
    def stranger(cls, position: int, found: str, expected: str) -> LedgerDamaged:
        """An entry of another event type than its id or its place says."""
        return cls(
            f"entry {position} is {found!r}, not {expected!r}. Stop writing; restore a back-up and "
            "compare."
        )

    @classmethod
    def without(cls, cycle: str, step: str, needs: str) -> LedgerDamaged:
        """A cycle whose stream came to `step` without what an earlier step leaves."""
        return cls(
            f"cycle {cycle!r} came to {step} without {needs}. Stop writing; run `whyledger verify`."
        )


class ProofInvalid(WhyledgerError):
    """A proof, a note or a key does not show what it claims to."""

    code = "proof-invalid"


class SigningRefused(WhyledgerError):
    """The tree does not extend the last one that was signed, so it is not signed."""

    code = "signing-refused"


class NothingToDecide(WhyledgerError):
    """A cycle cannot decide anything: no contract, no policy, or no data."""

    code = "nothing-to-decide"


class NotMeasurable(WhyledgerError):
    """Drift cannot be measured: no rows, no column for a feature, or a value that is no number."""

    code = "not-measurable"


class PredictionsUnusable(WhyledgerError):
    """Predictions without an error: none, not finite, or beyond a double in the target's unit."""

    code = "predictions-unusable"
