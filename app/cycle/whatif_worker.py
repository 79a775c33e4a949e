"""The process a what-if runs in: `python -m app.cycle.whatif_worker MODEL DIRECTORY`.

It trains, so it is a process of its own, with one BLAS thread as a cycle's worker has. The policy's
document comes in on standard input; on standard output each line is one JSON object: how far it
has come, and at the end what was found, or why nothing was.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Final

import orjson

from app.cycle.whatif import relive
from app.database.private_files import keep_private
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import WhyledgerError

_NICENESS: Final = 10  # serving goes first


def main(model: str, directory: str, policy: bytes) -> int:
    """Live the model's cycles again in a scratch ledger in `directory`; 0 when all went well."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level="WARNING")
    os.nice(_NICENESS)
    settings = Settings()
    apart = settings.model_copy(update={"state_dir": Path(directory), "database_url": ""})
    try:
        ledger, scratch = open_ledger(settings, begin=False), open_ledger(apart)
        try:
            found = relive(ledger, scratch, apart, model, orjson.loads(policy), _tell_progress)
        finally:
            scratch.close()
            ledger.close()
    except WhyledgerError as error:
        _tell({"refused": error.message, "code": error.code})
        return 1
    _tell({"found": found.to_document()})
    return 0


def _tell_progress(done: int, of: int) -> None:
    _tell({"done": done, "of": of})


def _tell(said: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    keep_private()
    sys.exit(main(sys.argv[1], sys.argv[2], sys.stdin.buffer.read()))
