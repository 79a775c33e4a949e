"""What a reign of many rows holds while its residual evidence is gathered: arrays, no objects."""

from __future__ import annotations

from functools import partial

import pytest

from app.cycle.steps import entering_rows
from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.residual_evidence import with_residuals
from app.cycle.stream import read_cycle
from app.projections import answered_rows, labels_in_force
from domain import identities, packed
from domain.events.cycle_events import DriftMeasured
from domain.events.residual_findings import ResidualEvidence
from domain.residuals import error_increase, evidence
from tests.app.car_ledger import CarLedger, bootstrapped, moved_to, year_end
from tests.peak import peak
from tests.plausible import an

FEW, MANY = 1_000, 4_000
AT_ONCE = 100


@pytest.fixture
def cars(new_cars_on_both: CarLedger, monkeypatch: pytest.MonkeyPatch) -> CarLedger:
    """A champion serves; the pages are short, so that few rows are many pages."""
    for module, name in (
        (entering_rows, "_ROWS_AT_ONCE"),
        (answered_rows, "_ROWS_AT_ONCE"),
        (labels_in_force, "_ROWS_AT_ONCE"),
        (packed, "_AT_ONCE"),
        (identities, "_AT_ONCE"),
        (evidence, "_LATEST_MAX"),
    ):
        monkeypatch.setattr(module, name, AT_ONCE)
    monkeypatch.setattr(error_increase, "_DRAWN_AT_ONCE", AT_ONCE)
    return bootstrapped(new_cars_on_both)


def served(cars: CarLedger, first: int, end: int) -> None:
    """So many cars are answered, labelled, and labelled anew: every label is corrected."""
    some = cars.rows([1976])
    many = moved_to(1976, some * (end // len(some) + 1))[first:end]
    cars.answers(many).observes(many)


def begun(cars: CarLedger) -> Work:
    """A cycle that has come to its drift step."""
    cycle = cars.starts(year_end(1976))
    state, history = read_cycle(cars.ledger, cycle)
    cars.ledger.rows.catch_up()
    known = Knowledge(cars.ledger, cars.settings, state.begun, history.entries[0].position)
    return Work(known, state)


def gathered(work: Work) -> ResidualEvidence:
    """What its evidence comes to; nothing that was asked for before is known already."""
    known = work.known
    again = Knowledge(known.ledger, known.settings, known.started, known.cutoff)
    done = with_residuals(Work(again, work.state), Done(event=an(DriftMeasured)))
    assert isinstance(done.event, DriftMeasured)
    assert done.event.residual_evidence is not None
    return done.event.residual_evidence


def test_of_a_reign_of_many_rows_figures_are_held_and_no_row(cars: CarLedger) -> None:
    """Given 1,000 rows and 4,000, each labelled twice, then what is held at most grows by 400 bytes
    a row: 100 of the artefact that names them, 40 for each of four cuts of the window, 32 for what
    has entered and was corrected, 32 for what they rank among. Objects take 100 more of each."""
    held = []
    for first, end in ((0, FEW), (FEW, MANY)):
        served(cars, first, end)
        work = begun(cars)
        found = gathered(work)
        assert (found.entered, found.corrected) == (end, end)
        held.append(peak(partial(gathered, work)))
    assert held[1] - held[0] <= 400 * (MANY - FEW), (held[1] - held[0]) / (MANY - FEW)
