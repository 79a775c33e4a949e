"""`make bench`: which programs it runs, and to which of them options go."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "no benchmark nothing; there are: append, "),
        (["tables"], "no benchmark tables; there are: append, "),
        (["--sizes", "10k"], "--sizes belongs to one benchmark; name that one before it"),
        (["growth", "replay", "--sizes", "10k"], "--sizes belongs to one benchmark"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_can(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_options_go_to_the_program_that_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["growth", "--sizes", "7"]) == 2
    assert "'7' is no size between" in capfd.readouterr().err
