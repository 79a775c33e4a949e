"""Run by `benchmarks.growth` in a process of its own: every read model is rebuilt, nothing else.

`whyledger replay` does more: it asks MLflow, whose libraries take seconds to load.
"""

from __future__ import annotations

import json
import time
from contextlib import closing

from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings


def main() -> None:
    """Rebuild on the ledger of the settings; print the seconds that it took."""
    with closing(open_ledger(Settings())) as ledger:
        began = time.perf_counter()
        rebuild(ledger)
        print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
