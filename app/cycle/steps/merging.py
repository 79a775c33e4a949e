"""merge: the labelled rows that may train, split, written and versioned, or why they cannot be.

Imported when a cycle first trains, as what fits them is.
"""

from __future__ import annotations

from pathlib import Path

from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.split import split_rows
from app.database.locks import exclusive
from app.ledger.store import Artefact
from app.training.dataset import write_dataset
from app.training.versioning import track
from domain.canonical import canonical_bytes, sha256_hex
from domain.errors import LedgerBusy, LedgerDamaged, WhyledgerError
from domain.events.cycle_events import CycleHalted, DataMerged, TrainingFailed
from domain.events.findings import WindowCheck
from domain.events.verdicts import told_apart
from domain.path_parts import path_part


def merge(work: Work) -> Done:
    """Merge and de-duplicate the labelled rows, split them, write and version the data set.

    Where too many of them break the contract of the cycle it halts: what is left is no sample of
    what the model is asked about.
    """
    known = work.known
    share = known.trainable.left_out_share
    if share is not None and share > known.contract.refused_share_max:
        return _halted_by_pool(known, share)
    try:
        split = split_rows(known)
        rows = known.trainable.rows.rows
        repository = known.settings.state_dir / "merged"
        written = write_dataset(
            repository / path_part(known.started.model, "a model"),
            known.started.cycle,
            known.contract,
            rows,
        )
        pointer = _tracked(work, repository, written.csv)
    except (LedgerBusy, LedgerDamaged):
        raise  # nothing is wrong with the training: the next attempt reads again
    except (WhyledgerError, OSError) as error:
        return Done(event=TrainingFailed(step="merge", reason=training_fault(error)))
    identities = canonical_bytes(split.training.identities)
    identities_sha256 = sha256_hex(identities)
    return Done(
        event=DataMerged(
            merged_rows=len(rows),
            left_out=known.trainable.left_out,
            duplicates=known.trainable.duplicates,
            training_rows=len(split.training),
            holdout_rows=len(split.holdout),
            holdout_groups=split.drawn.groups,
            holdout_share=split.drawn.share,
            window_attempt=known.training_on_window,
            new_samples=known.new_samples,
            label_cutoff=known.cutoff,
            dataset_sha256=written.sha256,
            identities_sha256=identities_sha256,
            dvc_pointer=pointer,
        ),
        artefacts=(Artefact(identities_sha256, "identities", identities),),
    )


def _halted_by_pool(known: Knowledge, share: float) -> Done:
    pool, (start, end) = known.trainable, known.bounds
    rows = len(pool.rows) + pool.left_out_rows
    high = known.contract.refused_share_max
    observed, allowed = told_apart(share, high)
    return Done(
        event=CycleHalted(
            window_start=start,
            window_end=end,
            rows=rows,
            refused_rows=pool.left_out_rows,
            checks=(
                WindowCheck(
                    subject="training pool",
                    statistic="refused_share",
                    observed=share,
                    low=None,
                    high=high,
                    passed=False,
                ),
            ),
            labels=known.label_shift,
            reason=f"{pool.left_out_rows:,} of {rows:,} labelled rows break the contract in force "
            f"({pool.reasons}), a share of {observed}, above the {allowed} it allows; send these "
            "rows corrected, let the contract allow what is missing, or raise refused_share_max",
        )
    )


def training_fault(error: Exception) -> str:
    """What went wrong, with its remedy."""
    return (
        error.message if isinstance(error, WhyledgerError) else f"{error}. Make room, or mend it."
    )


def _tracked(work: Work, repository: Path, csv: Path) -> str:
    """DVC's pointer to the merged rows, relative to their repository; empty when it is not told."""
    if not work.by_products:
        return ""
    with exclusive(work.known.settings.by_products_lock):
        pointer = track(repository, csv)
    return str(Path(work.known.started.model) / pointer.name)
