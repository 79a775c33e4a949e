"""What can go wrong, by meaning: one base error with a stable code, and what derives from it.

`app/http/problems.py` maps each code to an HTTP problem. A message names the thing, its value,
the bound and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from domain.faults import FAULTS_MAX, Fault, Faults


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


class LedgerUnwritable(LedgerBusy):
    """The database cannot write: a full or failing disk, a missing right. Nothing was kept."""

    code = "ledger-unwritable"


class ReadModelUnfit(WhyledgerError):
    """A read model holds what the ledger never gave. It is folded anew by itself: try again."""

    code = "read-model-unfit"


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
