"""What MLflow and DVC are warned of by their own dependencies is theirs to mend, not ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def their_warnings() -> Iterator[None]:
    """Within it deprecations, and MLflow's advice on type hints, are not shown; decorates, too."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", message=".*type hint.*", category=UserWarning)
        yield
