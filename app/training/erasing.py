"""Erase what trainings left in files: merged data, DVC's copies of it, MLflow's artefacts.

A file system may keep the blocks of a deleted file until it needs them; encrypt the disk.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from app.training.third_party import their_warnings
from domain.errors import TrainingFailed
from domain.path_parts import path_part

_MD5: Final = re.compile(r"\bmd5: ([0-9a-f]{32})\b")


def erase_merged(repository: Path, model: str, cycles: Sequence[str]) -> int:
    """Delete the merged data of `cycles` and DVC's copies; how many files. May be repeated.

    Raises:
        LedgerDamaged: a name that an entry gives could lead elsewhere.
        OSError: a file cannot be deleted.
    """
    model, cycles = _names(model, cycles)
    erased = 0
    for cycle in cycles:
        data = repository / model / f"{cycle}.csv"
        pointer = data.with_name(data.name + ".dvc")
        for md5 in _MD5.findall(pointer.read_text()) if pointer.exists() else ():
            erased += _delete(repository / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:])
        for path in (data, data.with_suffix(".parquet")):
            cut_off = (path.with_name(path.name + end) for end in (".new", ".partial"))
            erased += _delete(path) + sum(map(_delete, cut_off))
        erased += _delete(pointer)  # last: it says where the copy is
    return erased


@their_warnings()
def erase_registry_artefacts(folder: Path, model: str, cycles: Sequence[str]) -> int:
    """Delete the artefacts of the MLflow runs of `cycles`; how many runs had any.

    What the runs say of themselves (parameters, figures, tags) stays: it names no row.

    Raises:
        LedgerDamaged: a name that an entry gives could lead elsewhere.
        TrainingFailed: the MLflow store cannot be read.
        OSError: a folder cannot be deleted.
    """
    model, cycles = _names(model, cycles)
    if not (folder / "mlflow.db").exists():
        return 0
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    erased = 0
    try:
        client: Any = MlflowClient(tracking_uri=f"sqlite:///{folder.resolve() / 'mlflow.db'}")
        experiment = client.get_experiment_by_name(model)
        for cycle in cycles if experiment is not None else ():
            runs = client.search_runs(
                [experiment.experiment_id], f"tags.`whyledger.cycle` = '{cycle}'"
            )
            for run in runs:
                artefacts = folder / "mlartifacts" / model / path_part(run.info.run_id, "a run")
                if artefacts.exists():
                    shutil.rmtree(artefacts)
                    erased += 1
    except MlflowException as error:
        raise TrainingFailed(
            f"the MLflow store in {folder} cannot be read: {error}. Mend or delete it (mlflow.db "
            "and mlartifacts/ are by-products), and run this again."
        ) from error
    return erased


def _names(model: str, cycles: Sequence[str]) -> tuple[str, list[str]]:
    """The names, each of which may be part of a path. Raises LedgerDamaged."""
    what = "a cycle whose files an entry erases"
    return path_part(model, "a model"), [path_part(cycle, what) for cycle in cycles]


def _delete(path: Path) -> int:
    if not path.exists():
        return 0
    path.unlink()
    return 1
