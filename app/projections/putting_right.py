"""Read models that somebody changed: compared with the ledger, put right, and said.

Whatever code meets in a wrong row, it ends in an error that nobody foresaw. So whoever has one
asks here before calling it a mistake of ours. The entries themselves are checked as they are read.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from app.background.repeating import Repeating
from app.clock import monotonic_seconds, now
from app.database.engine import in_plain_words
from app.ledger.store import Ledger
from app.ledger.wrong_rows import OVER_WRONG_ROWS
from app.projections.rebuild import rebuild
from domain.errors import LedgerBusy, LedgerDamaged, NotReady, ReadModelUnfit, WhyledgerError

T = TypeVar("T")
_PROJECTIONS: Final = __name__.rpartition(".")[0]
_LOOK_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = 60.0  # after a comparison in which nothing differed, or
_AGAIN_SHARE: Final = 20.0  # so many times as long as it took
_SAID_SECONDS: Final = 86_400.0  # for which what was put right is an alarm
_PAUSE_SHARE: Final = 1.0  # of the time that a page took, after it: requests go first
_PATIENCE_SECONDS: Final = 10.0
_LOG: Final = logging.getLogger("whyledger.ledger")


def is_suspicious(error: Exception) -> bool:
    """Whether wrong rows of read models may have made it, wherever they were used.

    Not what our own errors foresee, nor text that cannot be decoded, which is a file's: those are
    of a wrong row only where read models are read.
    """
    if isinstance(error, (LedgerBusy, LedgerDamaged, NotReady)):
        return False  # of the database or the entries, and of a start that is stopped meanwhile
    if isinstance(error, (WhyledgerError, UnicodeError)):
        return isinstance(error, ReadModelUnfit) or _raised_in_projections(error)
    return isinstance(error, OVER_WRONG_ROWS)


def _raised_in_projections(error: BaseException) -> bool:
    frame = error.__traceback__
    while frame is not None:
        module = frame.tb_frame.f_globals.get("__name__", "")
        if module.startswith(f"{_PROJECTIONS}.") and module != __name__:
            return True
        frame = frame.tb_next
    return False


def put_right(
    ledger: Ledger, error: Exception, progress: Callable[[int, int], None] = lambda done, of: None
) -> str | None:
    """Compare the read models with the ledger after `error`, and fold anew those that differ.

    Returns:
        What was done, one sentence; None: nothing differs.

    `progress` is told as `rebuild` tells it, and may end it.

    Raises:
        LedgerBusy: another writer held the lock all the time.
        LedgerDamaged: an entry is not what its hash says, or the positions have a gap.
    """
    differing = rebuild(ledger, progress).differing
    if not differing:
        return None
    said = (
        f"read models held what the ledger does not give ({in_plain_words(error)}): somebody "
        f"changed {', '.join(differing)} behind the service. They were folded anew from the ledger "
        f"at {now()}; nothing is lost. Find out who writes into the database."
    )
    _LOG.error("%s", said)
    return said


def raised(error: Exception) -> None:
    """For who is told of errors by what goes on over them, and should not."""
    if is_suspicious(error):
        raise error


def again_when_put_right(ledger: Ledger, work: Callable[[], T]) -> T:
    """What `work` gives; once more when it met a wrong row and that is put right."""
    try:
        return work()
    except Exception as error:
        if not is_suspicious(error) or put_right(ledger, error) is None:
            raise
        return work()


class _Ended(Exception):
    """The service ends, and with it a comparison."""


class ReadModelWatch:
    """Of a serving process: hears of errors, compares beside the requests, says what it did.

    Args:
        ledger: open, and closed by somebody else after this.
        look_seconds: how often it looks whether it was told something.
        again_seconds: for which an error is a mistake of ours after a comparison in which nothing
            differed, at least: nobody makes a service compare for ever.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        look_seconds: float = _LOOK_SECONDS,
        again_seconds: float = _AGAIN_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._again_seconds = again_seconds
        self._lock = threading.Lock()
        self._heard: Exception | None = None
        self._clean_until = 0.0  # monotonic seconds; until then other errors are mistakes of ours
        self._rests_until = 0.0  # nothing is compared until then
        self._closing = threading.Event()
        self._said = ""
        self._said_until = 0.0
        self._repeating = Repeating("read models", self._look, look_seconds)

    def start(self) -> None:
        """Look every so often in a thread of its own."""
        self._repeating.start()

    def close(self) -> None:
        """End, after the page of a comparison that is under way."""
        self._closing.set()
        self._repeating.close(_PATIENCE_SECONDS)

    def hears(self, error: Exception) -> None:
        """Of what failed beside the requests."""
        if is_suspicious(error):
            self.suspected(error)

    def suspected(self, error: Exception) -> ReadModelUnfit | None:
        """Hear of an error; what to answer, or None when it can only be a mistake of ours."""
        with self._lock:
            if isinstance(error, ReadModelUnfit) or monotonic_seconds() >= self._clean_until:
                self._heard = error
            else:
                return None
        if isinstance(error, ReadModelUnfit):
            return error
        return ReadModelUnfit(
            f"an answer could not be made of what the read models hold ({type(error).__name__}). "
            "They are being compared with the ledger, and are folded anew where they differ; where "
            "they do not, it is a mistake of the service. Try again in a moment."
        )

    @property
    def alarm(self) -> str | None:
        """What is looked at, or was put right within a day; None when all is well."""
        if self._heard is not None:
            return f"Read models are being compared with the ledger. {self._said}".strip()
        return self._said if self._said and monotonic_seconds() < self._said_until else None

    def _look(self) -> None:
        heard = self._heard
        began = monotonic_seconds()
        if heard is None or began < self._rests_until:
            return
        try:
            said = put_right(self._ledger, heard, self._pacing())
        except _Ended:
            return
        except Exception as error:  # noqa: BLE001 whatever: said, and tried again when met again
            words = error.message if isinstance(error, WhyledgerError) else in_plain_words(error)
            self._tell(f"Read models could not be compared with the ledger: {words}")
        else:
            if said is None:
                ended = monotonic_seconds()
                pause = (ended - began) * _AGAIN_SHARE
                self._rests_until = ended + pause
                self._clean_until = ended + max(self._again_seconds, pause)
            else:
                self._tell(said)
        with self._lock:
            if self._heard is heard:
                self._heard = None

    def _pacing(self) -> Callable[[int, int], None]:
        """Told of each page: pauses after it, and ends the comparison when the service does."""
        began = monotonic_seconds()

        def pause(done: int, of: int) -> None:
            nonlocal began
            if self._closing.wait((monotonic_seconds() - began) * _PAUSE_SHARE):
                raise _Ended
            began = monotonic_seconds()

        return pause

    def _tell(self, said: str) -> None:
        self._said, self._said_until = said, monotonic_seconds() + _SAID_SECONDS
