"""The scale a target is trained and judged on: natural logarithm, or as it is."""

from __future__ import annotations

from typing import Literal

Transform = Literal["log", "none"]
