"""An anchor that fails, or does not come to an end, is told in plain words."""

from __future__ import annotations

from dataclasses import replace

from app.audit.anchors_told import HANGS_SECONDS, anchors_failing
from app.proof.anchor_thread import AnchorStatus

WELL = AnchorStatus(
    anchor="file /mnt/kept",
    kept_size=7,
    kept_at=None,
    waiting_size=None,
    failures=0,
    last_error=None,
    trying_seconds=None,
)


def test_an_anchor_that_keeps_up_or_is_being_asked_is_no_alarm() -> None:
    asked = replace(WELL, waiting_size=9, trying_seconds=HANGS_SECONDS)
    assert anchors_failing([]) is None
    assert anchors_failing([WELL, asked]) is None


def test_an_anchor_that_hangs_is_an_alarm_although_it_never_failed() -> None:
    hangs = replace(WELL, waiting_size=9, trying_seconds=HANGS_SECONDS + 1)
    assert anchors_failing([WELL, hangs]) == (
        "file /mnt/kept has not answered for 31 s. It keeps 7 entries of 9; look whether the "
        "disk, pipe or host behind it hangs"
    )


def test_an_anchor_that_fails_says_how_often_and_why() -> None:
    fails = replace(WELL, waiting_size=9, failures=2, last_error="OSError: full")
    assert anchors_failing([fails]) == (
        "file /mnt/kept failed 2 times, last with OSError: full. It keeps 7 entries of 9, and is "
        "tried again"
    )
