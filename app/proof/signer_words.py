"""What is said when nothing is signed: what is wrong with key, memory or ledger, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from domain.tree.notes import Checkpoint


@dataclass(frozen=True, slots=True)
class SignerWords:
    """The refusals of one signer, which name its files.

    Args:
        key: the signing key's file.
        last: the last signed note's.
        leaves: that of the leaf hashes under it.
    """

    key: Path
    last: Path
    leaves: Path

    def key_missing(self) -> str:
        """There is no key, and a memory says that there was."""
        return (
            f"the signing key {self.key} is missing, and {self.last} says that it signed. "
            f"Put its copy back and start again. {self._is_lost}"
        )

    def another_key(self, signed: Iterable[str], own: str) -> str:
        """What is remembered was signed by keys of the ids `signed`, and not by `own` (hex)."""
        return (
            f"the signing key {self.key} is not the one that signed what is remembered in "
            f"{self.last}: that one has the id {', '.join(sorted(signed))}, this one "
            f"{own}. Nothing is signed. Put the other key's copy back, "
            f"and signing goes on by itself. {self._is_lost}"
        )

    def memory_damaged(self, why: str) -> str:
        """What is remembered is no note of anybody's."""
        return (
            f"the signer's memory {self.last} is damaged: {why} "
            "Nothing is signed. Put back the newest checkpoint that was kept elsewhere."
        )

    def not_ours(self, origin: str, checkpoint: Checkpoint) -> str:
        """Asked was for another ledger than `origin`, or for an empty one."""
        return (
            f"this key signs for {origin!r} and nothing empty; asked was "
            f"{checkpoint.origin!r} with {checkpoint.size} entries."
        )

    def entries_missing(self, signed: int, size: int, there: int) -> str:
        """Of `signed` entries `there` still stand, in a ledger of `size`."""
        others = or_else = ""
        if there < size:
            others = f", and {size - there} others stand in their place"
            or_else = " Was none restored, entries were changed: run `whyledger verify`."
        return (
            f"the ledger has {size} entries, and {signed} were signed: "
            f"{signed - there} are missing{others}. Nothing is signed. Was an older back-up "
            "restored? Restore a newer one. Is there none, they are lost: stop the service, "
            f"{self._move_memory} (they prove what was there), start again, and tell whoever keeps "
            f"checkpoints.{or_else}"
        )

    def entries_changed(self, signed: int, why: str) -> str:
        """None of the `signed` entries is missing, and they are not those that were signed."""
        return (
            f"the ledger no longer holds what was signed at size {signed}: {why} "
            "Nothing is signed. Run `whyledger verify`; it names the entry."
        )

    @property
    def _is_lost(self) -> str:
        return (
            f"Is that key lost for good? Stop the service, {self._move_memory}, and start again "
            "with a new key. Then `whyledger repair` removes the old key's checkpoints, and "
            "whoever checks needs the new verifier key."
        )

    @property
    def _move_memory(self) -> str:
        return f"move {self.last.name} and {self.leaves.name} out of {self.key.parent}, keep both"
