"""A serving process and damage: what was met is recorded, and a verification looks at it all.

The verification runs beside the service, page by page with a pause after each, and says how far it
is. Clean, it settles what was found; else it names what it found, and is tried again later.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from app.background.repeating import Repeating
from app.cause import Cause
from app.clock import monotonic_seconds, new_id
from app.ledger.damage import record_damage, stopped_by, unknown
from app.ledger.known_damage import known_damage
from app.ledger.met_damage import Met
from app.ledger.store import Ledger
from app.proof.retained import read_retained
from app.proof.verification_recorded import record_verification
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.decisions.damage import Known, standing
from domain.errors import WhyledgerError

_ACTOR: Final = "service:verification"
_LOG: Final = logging.getLogger("whyledger.ledger")
_LOOK_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 60.0  # after a verification that was not clean, or
_AGAIN_SHARE: Final = 20.0  # so many times as long as it took
_PAUSE_SHARE: Final = 1.0  # of a page's time: the service goes first
_PATIENCE_SECONDS: Final = 10.0  # a page's time and its pause, when the service ends


def _over(known: tuple[Known, ...]) -> str:
    """What let everything go on, for who reads the log alone."""
    if all(each.gone for each in known):
        return "damage is over: everything was verified, and cycles and checkpoints go on"
    return "damage was accepted: cycles and checkpoints go on, and it stays an alarm"


class _Ended(Exception):
    """The service ends, and the verification with it."""


class DamageWatch:
    """Records the damage that this process met, and verifies while any is known.

    Args:
        ledger: open, and closed by somebody else after this.
        settings: where the signer's key and memory are.
        look_seconds: how often it looks.
        again_seconds: after which a verification that was not clean is tried again, at least.
        pause_share: how long a verification pauses after a page, of the time that page took.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        *,
        look_seconds: float = _LOOK_SECONDS,
        again_seconds: float = _AGAIN_SECONDS,
        pause_share: float = _PAUSE_SHARE,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._again_seconds = again_seconds
        self._pause_share = pause_share
        self._known: tuple[Known, ...] = ()
        self._telling: tuple[Met, ...] = ()  # the ledger, of what was met
        self._size = -1
        self._said = ""  # of the verification: how far it is, or what it came to
        self._due = 0.0  # monotonic seconds
        self._ended = threading.Event()
        self._verifying: threading.Thread | None = None
        self._repeating = Repeating("damage", self._look, look_seconds)

    def start(self) -> None:
        """Look now, then every so often in a thread of its own."""
        try:
            self._look()
        except WhyledgerError as error:
            self._said = error.message
        self._repeating.start()

    def close(self) -> None:
        """End, and the verification at its next page."""
        self._ended.set()
        self._repeating.close(_PATIENCE_SECONDS)
        if self._verifying is not None:
            self._verifying.join(_PATIENCE_SECONDS)

    @property
    def alarm(self) -> str | None:
        """What is damaged and what that stops, in plain words; None when all is well."""
        # In this order: what leaves the memory is being told, and what was told is known.
        met = dict.fromkeys((*self._ledger.met.all(), *self._telling))
        stops = stopped_by(met, self._known)
        if stops is not None:
            return f"{stops} {self._said}".strip()
        accepted = [each for each in self._known if each.settled and not each.gone]
        if accepted:
            first = accepted[0]
            reason = first.settled.reason if first.settled else ""
            more = f" So were {len(accepted) - 1} more." if len(accepted) > 1 else ""
            return f"{first.found.said} It was accepted: {reason}.{more} {self._said}".strip()
        return None

    def _look(self) -> None:
        self._telling = self._ledger.met.all()
        self._read_known()  # after what was met: what it does not say yet is to be told
        new = unknown(self._telling, self._known)
        for each in set(self._telling).difference(new):
            self._ledger.met.remove(each)  # accepted, say, and met again by every reader
        if new:
            record_damage(self._ledger, Cause(_ACTOR, new_id()), new)
            self._read_known()
        self._telling = ()
        if all(each.gone for each in self._known):
            self._said, self._due = "", 0.0
        elif monotonic_seconds() >= self._due and not (
            self._ended.is_set() or self._is_verifying()
        ):
            self._verifying = threading.Thread(target=self._verify, name="verify", daemon=True)
            self._verifying.start()

    def _read_known(self) -> None:
        size = self._ledger.size()
        if size != self._size:
            with self._ledger.snapshot() as connection:
                known = known_damage(connection)
            if standing(self._known) and not standing(known):
                _LOG.warning("%s", _over(known))
            self._known, self._size = known, size

    def _is_verifying(self) -> bool:
        return self._verifying is not None and self._verifying.is_alive()

    def _verify(self) -> None:
        began = monotonic_seconds()
        try:
            self._said = self._verified()
        except _Ended:
            return
        except Exception as error:  # noqa: BLE001 whatever it is: said, and tried again
            said = error.message if isinstance(error, WhyledgerError) else type(error).__name__
            self._said = f"The verification could not be done: {said}"
        took = monotonic_seconds() - began
        self._due = monotonic_seconds() + max(self._again_seconds, took * _AGAIN_SHARE)

    def _verified(self) -> str:
        kept = read_retained(self._settings.signing_key_path)
        if kept.fault:
            return f"The verification could not be done: {kept.fault}"
        at = monotonic_seconds()

        def tell(done: int, of: int) -> None:
            nonlocal at
            self._said = f"Verifying: {done} of {of} entries."
            if self._ended.wait((monotonic_seconds() - at) * self._pause_share):
                raise _Ended
            at = monotonic_seconds()

        found = verify(
            self._ledger,
            kept.key,
            retained=kept.notes,
            remembered=kept.leaves,
            read_models=False,  # they follow from the entries, and stop nothing
            progress=tell,
        )
        came = record_verification(self._ledger, found, Cause(_ACTOR, new_id()))
        if found.sound:
            return came.unproven
        first, more = found.breaks[0].sentence(), len(found.breaks) - 1
        others = f", and {more} more" if more else ""
        return f"The last verification of {found.entries} entries found: {first}{others}"
