"""What fails again and again: the log says it once, and once that it is over.

Background work is tried every second. A disk that is full for an hour must not be filled with an
hour of the same words, so each is said once until the work is done again.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Final

from domain.errors import WhyledgerError

_NUMBER: Final = re.compile(r"\d+")
_SAID_MAX: Final = 16  # different things said of one outage; more would be noise


class Outage:
    """One kind of work that may fail for a while. Safe from any thread.

    Args:
        log: where it is said.
        fails: the words before what stands in the way.
        again: what is said when it is over, before how often it was tried in vain.
    """

    def __init__(self, log: logging.Logger, fails: str, again: str) -> None:
        self._log = log
        self._fails = fails
        self._again = again
        self._said: set[str] = set()
        self._times = 0
        self._lock = threading.Lock()

    def failed(self, error: Exception, words: str | None = None) -> None:
        """The work was tried and failed; `words`, or the error's own, are said if they are new.

        Words that differ in their numbers alone are not new. The trace is shown of what is neither
        a refusal of ours nor the system's: it may be a mistake of ours.
        """
        expected = isinstance(error, WhyledgerError | OSError)
        said = words or (str(error) if expected else f"{type(error).__name__}: {error}")
        key = _NUMBER.sub("0", said)
        with self._lock:
            self._times += 1
            if key in self._said or len(self._said) == _SAID_MAX:
                return
            self._said.add(key)
        self._log.error("%s: %s", self._fails, said, exc_info=None if expected else error)

    def over(self) -> None:
        """The work was done; the first time after it had failed, that is said."""
        if not self._times:
            return
        with self._lock:
            times, self._times = self._times, 0
            self._said.clear()
        if times:
            self._log.warning("%s, after %d tries in vain", self._again, times)
