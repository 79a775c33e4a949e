"""Copies of checkpoints outside: a file, a webhook, a Git repository.

Without a copy outside, a ledger proves order, not honesty.
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

from app.clock import monotonic_seconds
from app.database.durable_files import naming, sync_directory
from app.settings import Settings
from domain.tree.notes import Checkpoint

SECONDS: Final = 10.0  # a webhook or Git may take so long
_WHOLE_SECONDS: Final = 2 * SECONDS  # however steadily a webhook's answer comes
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
        """Post the note; what is answered is not read. Raises OSError, httpx.HTTPError."""
        import httpx  # noqa: PLC0415 - megabytes that a service without a webhook need not hold

        del checkpoint
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        content = note.encode()
        with httpx.Client(timeout=SECONDS) as client:
            # `timeout` bounds each read: an answer that comes byte by byte would never end.
            over = threading.Timer(_WHOLE_SECONDS, client.close)
            over.start()
            began = monotonic_seconds()
            try:
                with client.stream("POST", self.url, content=content, headers=headers) as answer:
                    if not answer.is_success:
                        raise OSError(f"it answered {answer.status_code}")
            except httpx.HTTPError as error:
                if monotonic_seconds() - began < _WHOLE_SECONDS:
                    raise
                raise OSError(f"it had not answered whole in {_WHOLE_SECONDS:g} s") from error
            finally:
                over.cancel()


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
                timeout=SECONDS,
                check=False,
            )
        except subprocess.SubprocessError as error:
            raise OSError(f"git did not end: {error}") from error
        if done.returncode != 0:
            raise OSError(f"git {words[0]}: {done.stderr.strip() or done.returncode}")
        return done.stdout


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
