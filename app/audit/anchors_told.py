"""Copies of checkpoints outside: what is told of those that do not keep them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.proof.anchor_thread import AnchorStatus

HANGS_SECONDS: Final = 30.0  # an attempt that takes longer is told; those of ours end before


def anchors_failing(anchors: Sequence[AnchorStatus]) -> str | None:
    """Which anchors do not keep the newest checkpoint, and why; None when all is well."""
    return "; ".join(filter(None, map(_failing, anchors))) or None


def _failing(anchor: AnchorStatus) -> str | None:
    keeps = f"It keeps {anchor.kept_size} entries of {anchor.waiting_size}"
    if anchor.trying_seconds is not None and anchor.trying_seconds > HANGS_SECONDS:
        return (
            f"{anchor.anchor} has not answered for {anchor.trying_seconds:.0f} s. {keeps}; look "
            "whether the disk, pipe or host behind it hangs"
        )
    if anchor.failures:
        return (
            f"{anchor.anchor} failed {anchor.failures} times, last with {anchor.last_error}. "
            f"{keeps}, and is tried again"
        )
    return None
