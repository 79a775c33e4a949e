"""What the system's refusal of a file is called, and what it is not."""

from __future__ import annotations

import errno
import os

import pytest

from app.database.storage import StorageFailed


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Make room on its disk"),
        (errno.EROFS, "Mount it so that it can be written"),
        (errno.EACCES, "Give this process the right to it"),
        (errno.EMFILE, "Raise the limit of open files (ulimit -n), or open fewer connections"),
        (errno.ENXIO, "Correct the path, or what stands there"),
    ],
)
def test_it_names_the_file_the_reason_and_the_remedy(number: int, remedy: str) -> None:
    reason = os.strerror(number)
    found = StorageFailed.found(OSError(number, reason, "/srv/why/keys"))
    assert found is not None
    assert found.message == f"/srv/why/keys cannot be used: {reason}. {remedy}, and try again."
    nameless = StorageFailed.of(OSError(number, reason))
    assert nameless.message.startswith(f"a file cannot be used: {reason}. ")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(errno.ECONNRESET, "reset"),
        TimeoutError(errno.ETIMEDOUT, "late"),
        OSError("no number"),
        ValueError("no file"),
    ],
    ids=repr,
)
def test_a_peer_that_has_gone_and_a_mistake_of_ours_are_no_matter_of_storage(
    error: Exception,
) -> None:
    assert StorageFailed.found(error) is None
