"""What a signer that refuses tells an operator to do is what helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.ledger.store import Ledger
from app.proof.checkpoints import Checkpoints
from app.proof.signer import FileSigner
from app.settings import Settings
from domain.errors import SigningRefused
from tests.app.proof.forger import change, rewrite
from tests.app.proof.signed_ledger import SIGNED, Kept, fill, grow_to
from tests.patience import until

QUICK = 0.05


@pytest.fixture
def kept(ledger: Ledger, settings: Settings) -> Kept:
    """A ledger of 320 entries, 300 of them signed."""
    return fill(ledger, settings)


def restored(ledger: Ledger, size: int) -> None:
    """As a back-up of `size` entries leaves it."""
    change(ledger, f"DELETE FROM checkpoints WHERE size > {size}")
    rewrite(ledger, lambda contents: contents[:size])


def refusal(ledger: Ledger, settings: Settings) -> str:
    with pytest.raises(SigningRefused) as refused:
        Checkpoints(ledger, settings).sign()
    return refused.value.message


@pytest.mark.parametrize(
    ("grown_to", "said"),
    [
        (260, "has 260 entries, and 300 were signed: 40 are missing. Nothing"),
        (263, "has 263 entries, and 300 were signed: 40 are missing, and 3 others stand in"),
        (310, "has 310 entries, and 300 were signed: 40 are missing, and 50 others stand in"),
    ],
)
def test_an_older_back_up_is_told_by_what_it_lacks_however_far_it_has_grown_again(
    ledger: Ledger, settings: Settings, kept: Kept, grown_to: int, said: str
) -> None:
    restored(ledger, SIGNED[1])
    grow_to(ledger, grown_to)
    found = refusal(ledger, settings)
    assert said in found
    assert "move signing.key.last and signing.key.leaves out of" in found
    assert "new ledger" not in found


def test_the_remedy_for_an_older_back_up_that_is_the_newest_helps(
    ledger: Ledger, settings: Settings, kept: Kept, tmp_path: Path
) -> None:
    restored(ledger, SIGNED[1])
    signer = FileSigner(settings.signing_key_path, None)
    for path in (signer.last_path, signer.leaves_path):
        path.rename(tmp_path / path.name)
    assert Checkpoints(ledger, settings).sign().checkpoint.size == SIGNED[1]


def test_a_lost_key_is_never_made_anew_in_silence(
    ledger: Ledger, settings: Settings, kept: Kept
) -> None:
    settings.signing_key_path.unlink()
    with pytest.raises(SigningRefused) as refused:
        Checkpoints(ledger, settings)
    assert "signing.key is missing" in refused.value.message
    assert "Put its copy back and start again." in refused.value.message
    assert not settings.signing_key_path.exists()


def test_another_key_is_called_another_key_and_the_right_one_put_back_is_enough(
    ledger: Ledger, settings: Settings, kept: Kept, tmp_path: Path
) -> None:
    path = settings.signing_key_path
    mine = path.read_text()
    other = FileSigner(tmp_path / "signing.key", kept.key.name)
    path.write_text(other.path.read_text())
    checkpoints = Checkpoints(ledger, settings.model_copy(update={"checkpoint_seconds": QUICK}))
    checkpoints.start()
    said = str(checkpoints.refusal)
    assert "is not the one that signed what is remembered in" in said
    assert f"has the id {kept.key.key_id.hex()}, this one {other.key.key_id.hex()}" in said
    assert "damaged" not in said
    path.write_text(mine)
    until(lambda: checkpoints.refusal is None)
    assert checkpoints.signer.key == kept.key
    assert checkpoints.sign().checkpoint.size == ledger.size()
    checkpoints.close()


def test_a_key_that_did_not_sign_what_is_remembered_is_not_taken_up(
    ledger: Ledger, settings: Settings, kept: Kept, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(ledger, settings)
    other = FileSigner(tmp_path / "signing.key", kept.key.name)
    settings.signing_key_path.write_text(other.path.read_text())
    checkpoints.signer.last_path.write_text("garbage")
    with pytest.raises(SigningRefused, match="is damaged"):
        checkpoints.sign()
    assert checkpoints.signer.key == kept.key


def test_a_file_that_cannot_be_written_is_named_with_its_remedy_and_logged_once_and_once_its_end(
    ledger: Ledger, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "whyledger.checkpoints")
    checkpoints = Checkpoints(ledger, settings.model_copy(update={"checkpoint_seconds": QUICK}))
    leaves = checkpoints.signer.leaves_path
    leaves.mkdir()
    tries = 0
    sign = checkpoints._sign_what_is_new

    def counted() -> None:
        nonlocal tries
        tries += 1
        sign()

    checkpoints._sign_what_is_new = counted  # type: ignore[method-assign]
    checkpoints.start()
    until(lambda: tries > 5)
    said = f"{leaves} cannot be used: Is a directory. Correct the path, or what stands there"
    assert str(checkpoints.refusal).startswith(said)
    leaves.rmdir()
    until(lambda: checkpoints.refusal is None)
    checkpoints.close()
    first, last = caplog.messages
    assert first.startswith(f"no checkpoint: {said}")
    assert last.startswith("checkpoints are signed again, after ")
    assert "Traceback" not in caplog.text
