"""A running ledger signs itself: on demand, about once a second, by one process at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from app.audit.anchors_told import anchors_failing
from app.clock import monotonic_seconds
from app.database.locks import exclusive
from app.ledger.store import Ledger
from app.projections.rebuild import rebuild
from app.proof.anchors import FileAnchor, GitAnchor, WebhookAnchor, anchors_of
from app.proof.checkpoints import Checkpoints, origin_of
from app.proof.receipts import receipt
from app.proof.signer import check_ed25519
from app.settings import Settings
from domain.canonical import leaf_hash
from domain.errors import LedgerBusy, LedgerDamaged, SigningRefused, UnknownThing, WhyledgerError
from domain.tree.merkle import root_of
from domain.tree.notes import Checkpoint, open_checkpoint
from domain.tree.proofs import verify_inclusion
from tests.ledger_events import put, refused
from tests.patience import HANGS_SECONDS, until

QUICK = 0.05


@pytest.fixture
def checkpoints(ledger: Ledger, settings: Settings) -> Iterator[Checkpoints]:
    made = Checkpoints(ledger, settings.model_copy(update={"checkpoint_seconds": QUICK}))
    yield made
    made.close()


def opened(checkpoints: Checkpoints, note: str) -> Checkpoint:
    return open_checkpoint(note, checkpoints.signer.key, check_ed25519)


def test_a_checkpoint_on_demand_covers_all_that_is_committed(
    ledger: Ledger, checkpoints: Checkpoints
) -> None:
    put(ledger, "observations-cars", refused(), refused())
    signed = checkpoints.sign()
    assert opened(checkpoints, signed.note) == Checkpoint(
        origin_of(ledger.ledger_id()), 3, root_of(ledger.leaf_hashes(0, 2))
    )
    assert checkpoints.latest() == signed
    assert checkpoints.sign() == signed


def test_a_growing_ledger_is_signed_by_itself(ledger: Ledger, checkpoints: Checkpoints) -> None:
    checkpoints.start()
    until(lambda: checkpoints.status().signed_size == 1)
    put(ledger, "observations-cars", *[refused(n + 1) for n in range(300)])
    until(lambda: checkpoints.status().signed_size == 301)
    put(ledger, "observations-cars", refused())
    checkpoints.close()
    assert checkpoints.latest().checkpoint.size == 302


def test_nothing_is_signed_while_nothing_is_new(
    ledger: Ledger, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    has_grown = checkpoints._has_grown

    def look() -> bool:
        looks.append(has_grown())
        return looks[-1]

    monkeypatch.setattr(checkpoints, "_has_grown", look)
    checkpoints.start()
    until(lambda: len(looks) > 3)
    assert looks[:4] == [True, False, False, False]
    with ledger.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM checkpoints")).scalar_one() == 1


def test_many_threads_and_two_signers_sign_one_growing_tree(
    ledger: Ledger, settings: Settings
) -> None:
    both = [Checkpoints(ledger, settings) for _ in range(2)]
    failures: list[BaseException] = []

    def sign_and_grow(which: int) -> None:
        try:
            for _ in range(5):
                (entry,) = put(ledger, "observations-cars", refused())
                assert both[which % 2].sign().checkpoint.size > entry.position
        except BaseException as error:  # noqa: BLE001 shown by the test
            failures.append(error)

    threads = [threading.Thread(target=sign_and_grow, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert both[0].signer.last() == both[1].sign().checkpoint
    for each in both:
        each.close()


def test_a_process_that_may_not_sign_hands_on_what_another_signed(
    ledger: Ledger, checkpoints: Checkpoints
) -> None:
    signed = checkpoints.sign()
    with checkpoints._turn() as ours:
        assert ours
        assert checkpoints.sign() == signed
        put(ledger, "observations-cars", refused())
        with pytest.raises(UnknownThing, match="another process signs this ledger"):
            checkpoints.sign()


def test_callers_do_not_wait_for_each_other_while_something_holds_the_key(
    ledger: Ledger, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("checkpoints._TURN_SECONDS", "signer.TURN_SECONDS"):
        monkeypatch.setattr(f"app.proof.{module}", 0.5)
    put(ledger, "observations-cars", refused())

    def refused_after(callers: int) -> float:
        began = monotonic_seconds()
        with ThreadPoolExecutor(callers) as pool:
            for error in pool.map(lambda _: error_of(checkpoints), range(callers)):
                assert isinstance(error, (LedgerBusy, SigningRefused))
        return monotonic_seconds() - began

    with exclusive(checkpoints.signer.path, make=False, seconds=HANGS_SECONDS):
        alone = refused_after(1)
        assert refused_after(12) < 4 * alone
    assert checkpoints.sign().checkpoint.size == ledger.size()


def error_of(checkpoints: Checkpoints) -> WhyledgerError | None:
    try:
        checkpoints.sign()
    except WhyledgerError as error:
        return error
    return None


def test_a_receipt_is_checked_with_the_key_alone(ledger: Ledger, checkpoints: Checkpoints) -> None:
    entries = put(ledger, "observations-cars", *[refused(n + 1) for n in range(300)])
    for entry in (entries[0], entries[150], entries[-1]):
        kept = receipt(ledger, checkpoints, entry.position)
        signed = opened(checkpoints, kept.checkpoint)
        assert kept.leaf_hash == leaf_hash(ledger.stored_bytes(entry.position, entry.position)[0])
        verify_inclusion(kept.leaf_hash, kept.position, signed.size, kept.proof, signed.root)
    shown = kept.as_json()
    assert shown["leaf_hash"] == kept.leaf_hash.hex()


def test_there_is_no_receipt_of_nothing(ledger: Ledger, checkpoints: Checkpoints) -> None:
    with pytest.raises(UnknownThing, match="no entry 7"):
        receipt(ledger, checkpoints, 7)
    with pytest.raises(UnknownThing, match="no checkpoint covers 1 entries yet"):
        checkpoints.latest()


def force(ledger: Ledger, *statements: str, **values: object) -> None:
    """Do what the triggers would refuse."""
    with ledger.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in list(connection.execute(text(names)).scalars()):
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("entries", "tiles", "ledger_head", "checkpoints"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement), values if ":" in statement else {})
        connection.commit()


def test_a_rolled_back_ledger_is_not_signed_and_goes_on_serving(
    ledger: Ledger, checkpoints: Checkpoints
) -> None:
    put(ledger, "observations-cars", refused(), refused(), refused())
    checkpoints.sign()
    root = root_of(ledger.leaf_hashes(0, 1))  # as it was with two entries
    force(
        ledger,
        "DELETE FROM entries WHERE position >= 2",
        "DELETE FROM checkpoints",
        "UPDATE ledger_head SET size = 2, frontier = :root",
        root=root,
    )
    with pytest.raises(SigningRefused, match="has 2 entries, and 4 were signed"):
        checkpoints.sign()
    checkpoints.start()
    until(lambda: "4 were signed" in (checkpoints.status().refusal or ""))
    assert put(ledger, "observations-cars", refused())[0].position == 2
    assert rebuild(ledger).differing == ()  # what followed from the lost entries went with them


def test_a_lost_memory_still_signs_nothing_that_contradicts_the_database(
    ledger: Ledger, checkpoints: Checkpoints
) -> None:
    put(ledger, "observations-cars", refused(), refused())
    checkpoints.sign()
    checkpoints.signer.last_path.unlink()
    force(ledger, "UPDATE ledger_head SET frontier = :roots", roots=bytes(64))
    with pytest.raises(SigningRefused, match="does not extend its own checkpoint of 3 entries"):
        checkpoints.sign()


def test_a_receipt_from_a_changed_tree_is_not_handed_out(
    ledger: Ledger, checkpoints: Checkpoints
) -> None:
    put(ledger, "observations-cars", refused(), refused())
    checkpoints.sign()
    force(ledger, "UPDATE entries SET leaf_hash = :hash WHERE position = 1", hash=bytes(32))
    with pytest.raises(LedgerDamaged, match="position 2 of 3"):
        receipt(ledger, checkpoints, 2)


class Broken:
    """An anchor that fails until it is mended."""

    name = "broken"

    def __init__(self) -> None:
        self.asked = threading.Event()  # it answers nobody before
        self.mended = False
        self.kept: list[int] = []

    def keep(self, checkpoint: Checkpoint, note: str) -> None:
        del note
        self.asked.wait(HANGS_SECONDS)
        if not self.mended:
            raise OSError("no route to host")
        self.kept.append(checkpoint.size)


def test_a_failing_anchor_is_seen_tried_again_and_keeps_nobody_waiting(
    sqlite_ledger: Ledger, sqlite_settings: Settings, tmp_path: Path
) -> None:
    broken, file = Broken(), FileAnchor(tmp_path / "anchored")
    made = Checkpoints(sqlite_ledger, sqlite_settings, [broken, file])
    made.sign()
    put(sqlite_ledger, "observations-cars", refused())
    made.sign()
    until(lambda: (made.anchors[0].trying_seconds or 0) > 0)
    broken.asked.set()
    until(lambda: made.status().anchors[0].failures > 0)
    until(lambda: made.status().anchors[1].kept_size == 2)
    status = made.status().anchors[0]
    assert (status.anchor, status.kept_size) == ("broken", 0)
    assert status.last_error == "OSError: no route to host"
    assert status.waiting_size == 2
    assert "broken failed" in str(anchors_failing(made.anchors))
    broken.mended = True
    until(lambda: made.status().anchors[0].kept_size == 2)
    assert broken.kept == [2]  # the newest covers those before it
    assert made.status().anchors[0].last_error is None
    assert anchors_failing(made.anchors) is None
    made.close()


def test_an_anchor_that_missed_the_last_checkpoint_is_offered_it_at_the_next_start(
    sqlite_ledger: Ledger, sqlite_settings: Settings
) -> None:
    broken = Broken()
    broken.asked.set()
    before = Checkpoints(sqlite_ledger, sqlite_settings, [broken])
    before.sign()
    before.close()
    assert broken.kept == []
    broken.mended = True
    after = Checkpoints(sqlite_ledger, sqlite_settings, [broken])
    after.start()  # and nothing new comes
    until(lambda: after.status().anchors[0].kept_size == 1)
    after.close()
    assert broken.kept == [1]


def test_a_file_keeps_every_note(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    for size in (1, 2):
        anchor.keep(Checkpoint("o", size, bytes(32)), f"note {size}\n")
    assert (tmp_path / "notes").read_text() == "note 1\n\nnote 2\n\n"


def test_git_keeps_notes_as_tags_or_commits(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(tmp_path), *words], check=True, capture_output=True, text=True
        ).stdout

    git("init", "--quiet")
    checkpoint = Checkpoint("whyledger/a", 7, bytes(32))
    note = checkpoint.text() + "\n— whyledger/a AAAAAAAA\n"
    GitAnchor(tmp_path, "commit").keep(checkpoint, note)
    assert git("log", "-1", "--format=%B").strip() == note.strip()
    tagging = GitAnchor(tmp_path, "tag")
    tagging.keep(checkpoint, note)
    tagging.keep(checkpoint, note)  # after a crash between keeping and knowing it
    assert git("tag", "--list").split() == ["whyledger/a/7"]
    assert note in git("cat-file", "tag", "whyledger/a/7")


def test_git_that_cannot_says_why(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"git commit: .*not a git repository"):
        GitAnchor(tmp_path, "commit").keep(Checkpoint("o", 1, bytes(32)), "note\n")


SERVER = """
import http.server, sys, time
class Keep(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print(self.headers["Content-Type"], repr(body), flush=True)
        while self.path == "/dripping":
            self.wfile.write(b"X")
            time.sleep(0.02)
        kept = self.path.startswith(("/keep", "/endless"))
        self.send_response(200 if kept else 500)
        self.end_headers()
        while self.path == "/endless":
            self.wfile.write(bytes(65536))
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Keep)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def listener() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as server:
        yield server
        server.terminate()


def test_a_webhook_is_posted_the_note_and_must_say_that_it_was_kept(
    listener: subprocess.Popen[str],
) -> None:
    assert listener.stdout is not None
    url = f"http://127.0.0.1:{listener.stdout.readline().strip()}"
    checkpoint = Checkpoint("o", 1, bytes(32))
    anchor = WebhookAnchor(f"{url}/keep?token=secret")
    anchor.keep(checkpoint, "note — \n")
    sent = "note — \n".encode()
    assert listener.stdout.readline() == f"text/plain; charset=utf-8 {sent!r}\n"
    assert "secret" not in anchor.name
    with pytest.raises(Exception, match="500"):
        WebhookAnchor(f"{url}/lost").keep(checkpoint, "note")
    WebhookAnchor(f"{url}/endless").keep(checkpoint, "note")  # its answer is not read


def test_a_webhook_that_answers_byte_by_byte_is_not_waited_for_without_end(
    listener: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.proof.anchors._WHOLE_SECONDS", 0.3)
    assert listener.stdout is not None
    url = f"http://127.0.0.1:{listener.stdout.readline().strip()}/dripping"
    with pytest.raises(OSError, match=r"it had not answered whole in 0\.3 s"):
        WebhookAnchor(url).keep(Checkpoint("o", 1, bytes(32)), "note")


def test_the_settings_name_the_anchors(tmp_path: Path) -> None:
    settings = Settings(
        anchor_file=str(tmp_path / "f"),
        anchor_webhook="https://example.org/keep",
        anchor_git=str(tmp_path),
        anchor_git_form="commit",
    )
    assert [anchor.name for anchor in anchors_of(settings)] == [
        f"file {tmp_path / 'f'}",
        "webhook https://example.org/keep",
        f"git commit {tmp_path}",
    ]
    assert anchors_of(Settings()) == ()
