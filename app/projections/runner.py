"""The read models this version of the service keeps."""

from __future__ import annotations

from typing import Final

from app.projections import (
    champions,
    changes,
    contracts,
    cycles,
    datasets,
    decisions,
    models,
    policies,
    refusals,
    reigns,
    rows,
)
from app.projections.keeping import Keeping
from app.projections.read_model import ReadModel

READ_MODELS: Final = (  # a digest is taken of each, in this order
    ReadModel(contracts.CONTRACTS, contracts.APPLY),
    ReadModel(models.MODELS, models.APPLY),
    ReadModel(champions.CHAMPIONS, champions.APPLY),
    ReadModel(policies.POLICIES, policies.APPLY),
    ReadModel(cycles.CYCLES, cycles.APPLY),
    ReadModel(decisions.DECISIONS, decisions.APPLY),
    ReadModel(changes.CHANGES, changes.APPLY),
    rows.ROWS,
    ReadModel(refusals.REFUSALS, refusals.APPLY),
    ReadModel(reigns.REIGNS, reigns.APPLY),
    ReadModel(datasets.DATASETS, datasets.APPLY),
)
WITH_THE_LEDGER: Final = tuple(each for each in READ_MODELS if each is not rows.ROWS)
apply: Final = Keeping(WITH_THE_LEDGER)
