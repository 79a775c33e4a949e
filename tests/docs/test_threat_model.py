"""The figures of the threat model are those in the code."""

from __future__ import annotations

import re

import pytest

from app.audit.anchors_told import HANGS_SECONDS
from app.http.admission import PARAMETERS_MAX, QUERY_BYTES_MAX
from app.http.bodies import UNPACKED_SHARE_MAX, UNPACKED_SPARE
from app.http.connections import BODY_BYTES_PER_SECOND, HEAD_BYTES_MAX, HEADERS_MAX
from app.http.pacing import WAITING_MAX
from app.intake.adoption import ENTRIES_MAX, FIELDS_MAX
from app.intake.documents import DOCUMENT_LENGTH_MAX, VALUES_MAX
from app.intake.names_sent import NAMES_MAX
from app.intake.quarantine import SHARE_MAX
from app.proof import verify_bundle
from app.proof.signer import TURN_SECONDS
from app.settings import Settings
from domain.faults import FAULTS_MAX
from tests.docs.markdown import read
from tests.repository import REPOSITORY

KIB = 1024
WORDS = {100: "hundred", 50: "fifty", 8: "eight", 4: "four"}
SETTINGS = Settings()
PAGE = " ".join(read(REPOSITORY / "docs" / "threat-model.md").split())
SAID = (
    f"A head has {SETTINGS.head_seconds_max:g} s, {HEAD_BYTES_MAX // KIB} KiB and {HEADERS_MAX}"
    " headers",
    f"a body may lag {SETTINGS.stall_seconds_max:g} s behind {BODY_BYTES_PER_SECOND // KIB} KiB a"
    " second",
    f"an answer may stand unread for {SETTINGS.stall_seconds_max:g} s",
    f"An answer lists the first {WORDS[FAULTS_MAX]} faults",
    f"has at most {DOCUMENT_LENGTH_MAX:,} bytes, {VALUES_MAX:,} keys and values,"
    f" {ENTRIES_MAX:,} entries in a list and {FIELDS_MAX} fields in an object",
    f"names more than {NAMES_MAX:,} fields an event or a row",
    f"Gzip may unpack to {WORDS[UNPACKED_SHARE_MAX]} times what came and"
    f" {UNPACKED_SPARE // KIB} KiB",
    f"nothing more of it while {WORDS[WAITING_MAX]} requests stand unanswered",
    f"a query {QUERY_BYTES_MAX // KIB} KiB and {PARAMETERS_MAX} parameters",
    f"its quarantine file has at most {WORDS[SHARE_MAX]} times its bytes",
    f"an attempt without an end after {HANGS_SECONDS:g} s",
    f"whoever signs waits {TURN_SECONDS:g} s",
    f"one plain line of at most {verify_bundle.SAID_MAX:,} characters",
)


@pytest.mark.parametrize("said", SAID)
def test_a_figure_on_the_page_is_that_in_the_code(said: str) -> None:
    assert said in PAGE


def test_every_actor_that_is_none_of_the_clients_is_named() -> None:
    sources = (REPOSITORY / "app").rglob("*.py")
    named = {
        actor for path in sources for actor in re.findall(r'"(service:[a-z-]+)"', path.read_text())
    }
    assert named == set(re.findall(r"`(service:[a-z-]+)`", PAGE))


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`((?:tests/[a-z/_]*)?test_[a-z_]+\.py)`", PAGE)
    there = {path.name for path in (REPOSITORY / "tests").rglob("test_*.py")}
    whole = [name for name in named if "/" in name]
    assert [name for name in named if name.rpartition("/")[2] not in there] == []
    assert [name for name in whole if not (REPOSITORY / name).is_file()] == []
