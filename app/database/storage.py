"""What an `OSError` of ours means: something of the machine stands in the way, not the request."""

from __future__ import annotations

import errno
from typing import ClassVar, Final

from domain.errors import WhyledgerError

_REMEDIES: Final = {
    errno.ENOSPC: "Make room on its disk",
    errno.EDQUOT: "Make room, or raise the quota",
    errno.EFBIG: "Raise the limit on the size of files",
    errno.EROFS: "Mount it so that it can be written",
    errno.EACCES: "Give this process the right to it",
    errno.EPERM: "Give this process the right to it",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or open fewer connections",
    errno.ENFILE: "Raise the system's limit of open files",
    errno.ENOENT: "Correct the path, or put back what is missing",
    errno.ENOTDIR: "Put a directory there",
    errno.EIO: "Look after its disk",
    errno.ENOMEM: "Give this machine more memory, or run less on it",
}


class StorageFailed(WhyledgerError):
    """A file or directory of ours cannot be read or written: a full disk, missing rights."""

    code: ClassVar[str] = "storage-failed"

    @classmethod
    def of(cls, error: OSError) -> StorageFailed:
        """What the system says, of which file, and what to do about it."""
        where = "a file" if error.filename is None else str(error.filename)
        remedy = _REMEDIES.get(error.errno or 0, "Correct the path, or what stands there")
        return cls(f"{where} cannot be used: {error.strerror or error}. {remedy}, and try again.")

    @classmethod
    def found(cls, error: BaseException) -> StorageFailed | None:
        """As `of` where `error` is the system's refusal; None for a mistake of ours or a peer's."""
        if not isinstance(error, OSError) or error.errno is None:
            return None
        return None if isinstance(error, ConnectionError | TimeoutError) else cls.of(error)
