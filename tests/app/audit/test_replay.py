"""A replay says in one sentence what it folded, and one for everything that was wrong."""

from __future__ import annotations

from app.audit.replay import Replayed

ALIAS = "the alias champion of 'car-price' is at run 1, the ledger names 2. It follows."


def replayed(*, differing: tuple[str, ...] = (), aliases: tuple[str, ...] = ()) -> Replayed:
    return Replayed(
        entries=942,
        root="9f2c",
        digests={"cycles": "aa", "models": "bb"},
        differing=differing,
        aliases=aliases,
    )


def test_a_replay_that_finds_everything_equal_has_no_faults() -> None:
    found = replayed()

    assert found.sentence == "942 entries, root 9f2c; 2 of 2 digests equal"
    assert found.faults == ()
    assert found.whole


def test_a_read_model_that_differed_and_an_alias_elsewhere_are_both_told() -> None:
    found = replayed(differing=("models",), aliases=(ALIAS,))

    assert found.sentence == "942 entries, root 9f2c; 1 of 2 digests equal"
    assert found.faults == (
        "read model 'models' did not follow from the ledger; it does now.",
        ALIAS,
    )
    assert not found.whole
