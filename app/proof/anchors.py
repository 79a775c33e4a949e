"""Copies of checkpoints outside: a file, a webhook, a Git repository.

Without a copy outside, a ledger proves order, not honesty. Each anchor has a thread of its own, so
that a slow or failing one keeps nobody waiting; it takes the newest checkpoint, which covers all
before it, and tries again until it is kept.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from app.background.outage import Outage
from app.clock import monotonic_seconds, now
from app.database.durable_files import naming, sync_directory
from app.database.storage import StorageFailed
from app.settings import Settings
from domain.tree.notes import Checkpoint

_SECONDS: Final = 10.0  # a webhook or Git may take so long
_WAIT_FIRST: Final = 1.0  # seconds before the second try, doubled with each
_WAIT_MAX: Final = 60.0
_TAIL_BYTES: Final = 65_536  # of the file are looked at; a note of ours has about 250
# its last line of signatures, and the blank one
_NOTE_END: Final = re.compile(rb"(?:\A|(?<=\n))\xe2\x80\x94 \S+ [A-Za-z0-9+/]+={0,2}\n\n")
_LOG: Final = logging.getLogger("whyledger.anchors")


class Anchor(Protocol):
    """A place outside the database that keeps checkpoints."""

    @property
    def name(self) -> str:
        """What the status calls it."""

    def keep(self, checkpoint: Checkpoint, note: str) -> None:
        """Keep the signed note; whatever is raised means that it was not kept."""


@dataclass(frozen=True, slots=True)
class FileAnchor:
    """Appends each note to a file: on another disk, on write-once storage, on a pipe to a printer.

    Args:
        path: the file; made when missing.
    """

    path: Path

    @property
    def name(self) -> str:
        """What the status calls it."""
        return f"file {self.path}"

    def keep(self, checkpoint: Checkpoint, note: str) -> None:
        """Append the note and a blank line, on the disk when this returns.

        A note ends with a line of signatures and a blank one. What a write that was cut off left
        behind the last such end is cut back; where nothing may be cut (a pipe, storage that takes
        appends alone), an empty line parts it from what follows.

        Raises:
            OSError: it was not kept.
        """
        made = not self.path.exists()
        # A pipe that nobody reads, or that is full, is an error and no wait.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o666)
        try:
            with naming(self.path):
                parted = b"" if self._cut_back(checkpoint.origin) else b"\n\n"
                content = parted + note.encode() + b"\n"
                written = os.write(descriptor, content)
                if written < len(content):
                    raise OSError(f"{written} of {len(content)} bytes were written")
                if self.path.is_file():
                    os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if made:
            sync_directory(self.path.parent)

    def _cut_back(self, origin: str) -> bool:
        """Cut what follows the last whole note; whether the next may follow as it is."""
        if not self.path.is_file():
            return True
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
        ends = [found.end() for found in _NOTE_END.finditer(tail)]
        whole = size - len(tail) + ends[-1] if ends else 0
        if whole == size:
            return True
        if not ends and not _may_be_torn(tail, origin):
            return tail.endswith(b"\n\n")  # no file of ours: nothing in it is ours to cut
        try:
            os.truncate(self.path, whole)
        except OSError:
            return False
        _LOG.warning("%s ended in %d bytes of no whole note; they are cut", self.name, size - whole)
        return True


def _may_be_torn(content: bytes, origin: str) -> bool:
    """Whether this, a file's whole content, may be what is left of its first note."""
    begins = origin.encode() + b"\n"
    return begins.startswith(content) or content.startswith(begins)


@dataclass(frozen=True, slots=True)
class WebhookAnchor:
    """Posts each note as text/plain; any 2xx answer means that it was kept.

    Args:
        url: where to, https unless on this machine.
    """

    url: str

    @property
    def name(self) -> str:
        """What the status calls it, without what a URL may hide in its query."""
        return f"webhook {self.url.partition('?')[0]}"

    def keep(self, checkpoint: Checkpoint, note: str) -> None:
        """Post the note. Raises OSError, httpx.HTTPError."""
        import httpx  # noqa: PLC0415 - megabytes that a service without a webhook need not hold

        del checkpoint
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        content = note.encode()
        with httpx.stream(  # what it says is not read
            "POST", self.url, content=content, headers=headers, timeout=_SECONDS
        ) as answer:
            if not answer.is_success:
                raise OSError(f"it answered {answer.status_code}")


@dataclass(frozen=True, slots=True)
class GitAnchor:
    """Keeps each note as an annotated tag or an empty commit; pushing is the repository's business.

    Args:
        repository: a Git work tree or bare repository.
        form: "tag" or "commit".
    """

    repository: Path
    form: str

    @property
    def name(self) -> str:
        """What the status calls it."""
        return f"git {self.form} {self.repository}"

    def keep(self, checkpoint: Checkpoint, note: str) -> None:
        """Make the tag or commit; a tag that stands already is well. Raises OSError."""
        if self.form == "commit":
            self._git("commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--file=-", note)
            return
        tag = f"{checkpoint.origin}/{checkpoint.size}"
        if self._git("tag", "--list", tag, "").strip() != tag:
            self._git("tag", "--annotate", "--cleanup=verbatim", "--file=-", tag, note)

    def _git(self, *arguments: str) -> str:
        """Run Git; the last argument is what it reads."""
        *words, said = arguments
        identity = ("-c", "user.name=whyledger", "-c", "user.email=whyledger@localhost")
        unsigned = ("-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false")  # the note is signed
        try:
            done = subprocess.run(  # noqa: S603 our own words; nothing a client sent
                ["git", "-C", str(self.repository), *identity, *unsigned, *words],  # noqa: S607
                input=said,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.SubprocessError as error:
            raise OSError(f"git did not end: {error}") from error
        if done.returncode != 0:
            raise OSError(f"git {words[0]}: {done.stderr.strip() or done.returncode}")
        return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorStatus:
    """How far an anchor is."""

    anchor: str
    kept_size: int  # entries under the newest checkpoint it keeps; 0 before the first
    kept_at: str | None
    waiting_size: int | None  # entries under the checkpoint it should keep; None: nothing waits
    failures: int  # in a row
    last_error: str | None
    trying_seconds: float | None  # since an attempt began that has not ended; None: none is made


class AnchorThread:
    """Gives one anchor the newest checkpoint, again and again until it is kept.

    Args:
        anchor: where to.
        wait_first: seconds before the second try.
    """

    def __init__(self, anchor: Anchor, wait_first: float = _WAIT_FIRST) -> None:
        self._anchor = anchor
        self._wait_first = wait_first
        self._changed = threading.Condition()
        self._waiting: tuple[Checkpoint, str] | None = None
        self._kept_size, self._failures = 0, 0
        self._kept_at: str | None = None
        self._last_error: str | None = None
        self._began: float | None = None  # monotonic seconds, of the attempt that is being made
        name = anchor.name
        self._outage = Outage(_LOG, f"{name} keeps no copy", f"{name} keeps copies again")
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"anchor {name}", daemon=True)
        self._thread.start()

    def offer(self, checkpoint: Checkpoint, note: str) -> None:
        """Keep this one next; returns at once."""
        with self._changed:
            if checkpoint.size > self._kept_size:
                self._waiting = (checkpoint, note)
                self._changed.notify()

    def status(self) -> AnchorStatus:
        """How far it is."""
        with self._changed:
            return AnchorStatus(
                anchor=self._anchor.name,
                kept_size=self._kept_size,
                kept_at=self._kept_at,
                waiting_size=self._waiting[0].size if self._waiting else None,
                failures=self._failures,
                last_error=self._last_error,
                trying_seconds=None if self._began is None else monotonic_seconds() - self._began,
            )

    def close(self) -> None:
        """Try once more what waits, and end."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(timeout=2 * _SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._ended:
                    self._changed.wait()
                if self._waiting is None:
                    return
                checkpoint, note = self._waiting
                self._began = monotonic_seconds()
            try:
                self._anchor.keep(checkpoint, note)
            except Exception as error:  # noqa: BLE001 whatever it is: seen in the status, tried again
                self._failed(error)
            else:
                self._kept(checkpoint)
            with self._changed:
                if self._ended and self._failures:
                    return

    def _kept(self, checkpoint: Checkpoint) -> None:
        with self._changed:
            self._began = None
            self._kept_size, self._kept_at = checkpoint.size, now()
            self._failures, self._last_error = 0, None
            self._outage.over()
            if self._waiting and self._waiting[0].size <= checkpoint.size:
                self._waiting = None

    def _failed(self, error: Exception) -> None:
        with self._changed:
            self._began = None
            self._failures += 1
            storage = StorageFailed.found(error)
            self._last_error = storage.message if storage else f"{type(error).__name__}: {error}"
            self._outage.failed(error, self._last_error)
            wait = min(_WAIT_MAX, self._wait_first * 2.0 ** min(self._failures - 1, 10))
            self._changed.wait_for(lambda: self._ended, timeout=wait)


def anchors_of(settings: Settings) -> tuple[Anchor, ...]:
    """The anchors that the settings name; none by default."""
    found: list[Anchor] = []
    if settings.anchor_file:
        found.append(FileAnchor(Path(settings.anchor_file)))
    if settings.anchor_webhook:
        found.append(WebhookAnchor(settings.anchor_webhook))
    if settings.anchor_git:
        found.append(GitAnchor(Path(settings.anchor_git), settings.anchor_git_form))
    return tuple(found)
