"""Replay: fold the ledger again, compare digests with the read models', check the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.clock import now
from app.ledger.store import Ledger
from app.projections.kept_scratch import forget_scratches, kept_scratches
from app.projections.models import list_models
from app.projections.rebuild import rebuild
from app.settings import Settings
from app.training.registry_alias import forget_alias
from domain.tree.merkle import Frontier

_PAGE_LEAVES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay found."""

    entries: int
    root: str  # RFC 6962 root over all entries, hex
    digests: dict[str, str]  # read model -> SHA-256 after the rebuild
    differing: tuple[str, ...]  # read models that did not follow from the ledger
    aliases: tuple[str, ...]  # what is wrong with the registry's aliases
    gone_on_behind: int | None = None  # the entry up to which the last one, cut off, had folded

    @property
    def whole(self) -> bool:
        """Whether everything follows from the ledger."""
        return not self.differing and not self.aliases

    @property
    def sentence(self) -> str:
        """What was folded again, and how much of it was as it must be."""
        equal = len(self.digests) - len(self.differing)
        behind = (
            ""
            if self.gone_on_behind is None
            else f"; gone on behind entry {self.gone_on_behind}, where the last one was cut off"
        )
        return (
            f"{self.entries} entries, root {self.root}; "
            f"{equal} of {len(self.digests)} digests equal{behind}"
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """One sentence for everything that did not follow from the ledger."""
        return (
            *(
                f"read model {name!r} did not follow from the ledger; it does now."
                for name in self.differing
            ),
            *self.aliases,
        )


def replay(
    ledger: Ledger,
    settings: Settings,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    anew: bool = False,
) -> Replayed:
    """Rebuild the read models and check what else follows from the ledger.

    `anew`: from the first entry on, whatever was cut off before.

    Raises:
        LedgerBusy: another writer held the lock all the time.
        LedgerDamaged: the ledger has a gap, or an entry is not what its hash says.
    """
    left = forget_scratches(settings) if anew else None
    kept = kept_scratches(settings) if left is None else None  # what stays must not be gone on with
    rebuilt = rebuild(ledger, progress, kept=kept)
    tree = Frontier()
    for first in range(0, rebuilt.position + 1, _PAGE_LEAVES):
        last = min(first + _PAGE_LEAVES - 1, rebuilt.position)
        tree = tree.append(ledger.leaf_hashes(first, last))
    return Replayed(
        entries=rebuilt.position + 1,
        gone_on_behind=rebuilt.gone_on_behind,
        root=tree.root().hex(),
        digests={str(name): digest for name, digest in rebuilt.after.items()},  # plain keys
        differing=tuple(str(name) for name in rebuilt.differing),
        aliases=_aliases(ledger, settings),
    )


def _aliases(ledger: Ledger, settings: Settings) -> tuple[str, ...]:
    """One sentence for every model whose alias is not at the run of who serves.

    The next cycle is made to set it; nobody decides by it meanwhile.
    """
    with ledger.connect() as connection:
        runs = {view.model: view.registry_run for view in list_models(connection)}
    runs = {model: run for model, run in runs.items() if run is not None}
    if not runs:
        return ()
    from app.training.tracking import MlflowRegistry  # noqa: PLC0415 - heavy, and only here

    registry = MlflowRegistry(settings.state_dir, now())
    wrong = []
    for model, run in runs.items():
        found = registry.champion_run(model)
        if found != run:
            forget_alias(settings, model)
            wrong.append(
                f"the alias champion of {model!r} is at run {found}, the ledger names {run}. "
                "It follows at the model's next cycle."
            )
    return tuple(wrong)
