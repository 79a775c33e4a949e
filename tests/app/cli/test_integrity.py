"""`verify` and `export --bundle`: what they print, and their exit codes."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from app.cli.commands.integrity import verify, write_bundle
from app.cli.commands.repair import repair
from app.cli.terminal import CommandRefused
from app.database.migrating import CannotJudge
from app.ledger.store import Ledger
from app.proof import verify_bundle
from app.proof.signer import FileSigner
from app.settings import Settings
from domain.errors import ProofInvalid
from tests.app.cli.command_line import whyledger
from tests.app.proof.forger import change, edited, rewrite
from tests.app.proof.signed_ledger import Kept, fill
from tests.nobody import as_nobody

Run = Callable[..., Any]  # the result of a command that ran


@pytest.fixture
def kept(sqlite_ledger: Ledger, sqlite_settings: Settings) -> Kept:
    return fill(sqlite_ledger, sqlite_settings)


@pytest.fixture
def run(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in sqlite_settings.as_environment().items():
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    app.command()(verify)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def forge(ledger: Ledger) -> None:
    def edit(contents: list[bytes]) -> list[bytes]:
        contents[57] = edited(contents[57], model="vans")
        return contents

    rewrite(ledger, edit)


def test_a_whole_ledger_is_said_to_be_whole_as_far_as_it_is_proven(run: Run, kept: Kept) -> None:
    done = run()
    assert done.exit_code == 0
    assert f"key          {kept.key}" in done.stdout
    assert "checkpoints  3, proven up to 300 entries" in done.stdout
    assert "breaks       0" in done.stdout
    assert "entries 300 to 319 lie after the last retained checkpoint" in done.stderr


def test_a_forged_ledger_exits_3_and_names_the_position(
    run: Run, kept: Kept, sqlite_ledger: Ledger
) -> None:
    forge(sqlite_ledger)
    done = run("--no-read-models")
    assert done.exit_code == 3
    assert "position 57: the entry: expected the leaf hash" in done.stderr
    shown = json.loads(run("--json").stdout)
    assert (shown["whole"], shown["breaks"][0]["position"]) == (False, 57)


def test_a_bundle_of_a_damaged_ledger_is_written_and_exits_3(
    run: Run, kept: Kept, sqlite_ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = sqlite_ledger.stored_bytes(57, 57)[0] + b" "
    change(
        sqlite_ledger, "UPDATE entries SET bytes = :content WHERE position = 57", content=content
    )
    with pytest.raises(typer.Exit) as ended:
        write_bundle(tmp_path / "bundle", json=False)
    assert ended.value.exit_code == 3
    assert "error: ledger entry 57: the stored bytes hash to" in capsys.readouterr().err
    assert (tmp_path / "bundle" / "trailer.json").exists()


def test_a_checkpoint_kept_elsewhere_is_enough(
    run: Run,
    kept: Kept,
    sqlite_ledger: Ledger,
    sqlite_settings: Settings,
    tmp_path: Path,
) -> None:
    forge(sqlite_ledger)
    for path in sqlite_settings.signing_key_path.parent.iterdir():
        path.unlink()
    (tmp_path / "kept.note").write_text(kept.note)
    done = run("--checkpoint", tmp_path / "kept.note", "--key", kept.key)
    assert done.exit_code == 3
    assert "position 0: entries 0 to 119" in done.stderr


def test_without_any_key_nothing_is_proven(
    run: Run, sqlite_ledger: Ledger, sqlite_settings: Settings
) -> None:
    done = run()
    assert done.exit_code == 0
    assert "none given and none kept here: no checkpoint can be checked" in done.stdout
    assert "entries 0 to 0 lie after the last retained checkpoint" in done.stderr
    assert not sqlite_settings.signing_key_path.exists()


def test_a_checkpoint_without_a_key_to_check_it_with_is_refused(
    run: Run, kept: Kept, sqlite_settings: Settings, tmp_path: Path
) -> None:
    for path in sqlite_settings.signing_key_path.parent.iterdir():
        path.unlink()
    (tmp_path / "kept.note").write_text(kept.note)
    done = run("--checkpoint", tmp_path / "kept.note")
    assert isinstance(done.exception, ProofInvalid)
    assert "Name the verifier key with --key" in str(done.exception)


def test_a_ledger_whose_entries_are_all_gone_is_verified_and_not_begun_anew(
    run: Run, kept: Kept, sqlite_ledger: Ledger
) -> None:
    change(sqlite_ledger, "DELETE FROM entries")
    done = run()
    assert done.exit_code == 3
    assert "position 0: the end of the ledger: expected an entry: 300 were signed" in done.stderr
    change(sqlite_ledger, "UPDATE ledger_head SET size = 0, frontier = x''")
    assert run().exit_code == 3
    assert sqlite_ledger.size() == 0


def test_a_file_without_a_checkpoint_is_refused(run: Run, kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    done = run("--checkpoint", tmp_path / "empty")
    assert isinstance(done.exception, ProofInvalid)
    assert "holds no checkpoint" in str(done.exception)


def test_the_key_of_whoever_checks_is_the_one_that_counts(
    run: Run, kept: Kept, sqlite_settings: Settings, tmp_path: Path
) -> None:
    other = FileSigner(tmp_path / "signing.key", kept.key.name)
    sqlite_settings.signing_key_path.write_text(other.path.read_text())
    (tmp_path / "kept.note").write_text(kept.note)
    done = run("--key", kept.key, "--checkpoint", tmp_path / "kept.note")
    assert done.exit_code == 0
    assert f"key          {kept.key}" in done.stdout
    assert "checkpoints  3, proven up to 300 entries" in done.stdout
    strangers = run("--key", other.key)
    assert strangers.exit_code == 3
    assert "the checkpoint of size 120" in strangers.stderr


def test_what_is_alike_is_said_once_and_no_sentence_ends_twice(
    run: Run, kept: Kept, tmp_path: Path
) -> None:
    done = run("--key", FileSigner(tmp_path / "signing.key", kept.key.name).key)
    assert done.exit_code == 3
    assert done.stderr.count("is not signed by") == 1
    assert "do not trust the note. So it is with 2 others." in done.stderr
    assert ".." not in done.stderr


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda signer, _: signer.last_path.write_text("cut"), "is damaged"),
        (lambda signer, other: signer.path.write_text(other.path.read_text()), "is not the one"),
    ],
)
def test_a_ledger_is_verified_also_when_the_signers_memory_is_of_no_use(
    run: Run,
    kept: Kept,
    sqlite_settings: Settings,
    tmp_path: Path,
    damage: Callable[[FileSigner, FileSigner], object],
    said: str,
) -> None:
    signer = FileSigner(sqlite_settings.signing_key_path, None)
    damage(signer, FileSigner(tmp_path / "signing.key", kept.key.name))
    done = run()
    assert done.exit_code == 3
    assert "entries      320" in done.stdout
    assert said in done.stderr
    assert said in json.loads(run("--json").stdout)["memory"]


def test_who_may_not_read_the_keys_folder_verifies_and_exports_with_the_verifier_key(
    run: Run,
    kept: Kept,
    sqlite_ledger: Ledger,
    sqlite_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sqlite_ledger.close()
    file = Path(sqlite_settings.ledger_url.removeprefix("sqlite:///"))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as room:
        Path(room).chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", room)  # where everybody may write
        shutil.copy(file, Path(folder) / "ledger.db")
        shutil.copytree(sqlite_settings.signing_key_path.parent, Path(folder) / "keys")
        Path(folder, "keys").chmod(0o700)
        Path(folder, "ledger.db").chmod(0o444)
        Path(folder).chmod(0o555)
        monkeypatch.setenv("WHYLEDGER_STATE_DIR", folder)
        monkeypatch.setenv("WHYLEDGER_SIGNING_KEY", "")
        monkeypatch.setenv("WHYLEDGER_DATABASE_URL", "")
        with as_nobody():
            named, unnamed = run("--key", kept.key), run()
            with pytest.raises(CannotJudge, match="need not be: whoever checks names"):
                write_bundle(Path(room) / "bundle", json=False)
            write_bundle(Path(room) / "bundle", json=False, key=str(kept.key))
            repair(plan=True)
        Path(folder).chmod(0o700)
    assert (named.exit_code, named.stderr.count("Permission denied")) == (0, 0)
    assert "checkpoints  3, proven up to 300 entries" in named.stdout
    assert unnamed.exit_code == 0
    assert "may not be read by this user, and need not be" in unnamed.stderr


def test_a_bundle_is_written_and_said_how_to_check(
    run: Run, kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "bundle.zip", json=False)
    said = capsys.readouterr()
    assert said.out.startswith("320 entries, root ")
    assert f"--key '{kept.key}'" in said.err
    assert verify_bundle.main([str(tmp_path / "bundle.zip"), "--key", str(kept.key)]) == 0
    capsys.readouterr()
    write_bundle(tmp_path / "folder", json=True)
    assert json.loads(capsys.readouterr().out)["verifier_key"] == str(kept.key)


def test_a_bundle_of_a_ledger_nobody_signed_says_so(
    run: Run, sqlite_ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "bundle", json=False)
    assert "nothing was signed yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "code"),
    [("verify", 3), ("repair --plan", 1), ("export --bundle {folder}/bundle", 0)],
)
def test_garbage_in_the_signers_memory_is_one_line_with_a_remedy(
    kept: Kept, sqlite_settings: Settings, tmp_path: Path, command: str, code: int
) -> None:
    memory = sqlite_settings.signing_key_path.with_name("signing.key.last")
    memory.write_bytes(b"\xff\xfe\x00")
    words = command.format(folder=tmp_path).split()
    done = whyledger(
        sqlite_settings.state_dir, *words, WHYLEDGER_DATABASE_URL=sqlite_settings.ledger_url
    )
    assert done.returncode == code
    assert "Put back the newest checkpoint that was kept elsewhere" in done.stderr
    assert "report it" not in done.stderr


def test_what_was_found_is_recorded_only_when_asked_and_is_settled_when_it_is_gone(
    run: Run, kept: Kept, sqlite_ledger: Ledger, sqlite_settings: Settings
) -> None:
    (original,) = sqlite_ledger.stored_bytes(57, 57)
    statement = "UPDATE entries SET bytes = :content WHERE position = 57"
    change(sqlite_ledger, statement, content=edited(original, rows=99))
    size = sqlite_ledger.size()
    assert (run("--no-read-models").exit_code, sqlite_ledger.size()) == (3, size)
    done = run("--record", "--no-read-models")
    assert (done.exit_code, sqlite_ledger.size()) == (3, size + 1)
    assert "recorded: no cycle promotes and nothing is signed" in done.stderr
    change(sqlite_ledger, statement, content=original)
    done = run("--record", "--no-read-models")
    assert (done.exit_code, sqlite_ledger.size()) == (0, size + 2)
    assert f"recorded: what entries {size} said was found is gone" in done.stderr
    assert "nothing to record" in run("--record", "--no-read-models").stderr


def test_without_any_key_nothing_is_recorded(run: Run, sqlite_ledger: Ledger) -> None:
    size = sqlite_ledger.size()
    done = run("--record")
    assert isinstance(done.exception, CommandRefused)
    assert "--record needs a key" in str(done.exception)
    assert sqlite_ledger.size() == size
