"""The most that some work holds in memory: what Python allocates, NumPy's arrays among it."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable


def peak(work: Callable[[], object]) -> int:
    """The most bytes that Python held for `work` at once."""
    work()  # what is loaded and kept once is not of the ledger
    gc.collect()
    gc.freeze()  # what is there by now no collection looks at
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()
