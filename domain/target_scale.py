"""The scale a target is trained and judged on: natural logarithm, or as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Transform = Literal["log", "none"]
SCALE_WORDS: Final[Mapping[Transform, str]] = {"log": "log", "none": "native"}  # as pages say it
