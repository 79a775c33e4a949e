"""What `make soak` alone runs: programs that take a minute each and say what others say already."""

from __future__ import annotations

import pytest


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Nothing of it in `make test`."""
    return None if config.getoption("--soak") else True
