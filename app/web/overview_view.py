"""What the overview page shows of one model: plain values in, words and pictures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from app.audit.champion import ChampionTold
from app.audit.change import NOTHING_DECIDED, Change
from app.audit.clauses import Clause, Node
from app.audit.cycle import aftermath_of, conclusion_of, reason_of
from app.audit.decision import Decision
from app.audit.error_since import error_since
from app.audit.gates import Gate, gates_of, no_gates
from app.audit.health import Health
from app.projections.models import ModelView
from app.web.change_rows import ChangeRow, change_row
from app.web.clause_bar import clause_bar
from app.web.drift_chart import BAND_LINES, DriftCell, DriftPanel, drift_panels, drift_table
from app.web.error_chart import NARROW, WIDE, ErrorRow, error_chart, error_rows
from app.web.gate_bars import gate_bars
from app.web.window_labels import labelled, runs_back
from app.web.windows import Window, features_of
from domain.contract.contract import Contract
from domain.decisions.health import State
from domain.events.cycle_events import Conclusion
from domain.events.verdicts import NOT_DECIDED
from domain.target_scale import SCALE_WORDS, Transform

STATE_SYMBOL: Final[Mapping[State, str]] = {
    "healthy": "✓",
    "degraded": "✗",
    "stale": "!",
    "no champion": "?",
}
CHANGES_SHOWN: Final = 30
_EARLY: Final[frozenset[Conclusion | None]] = frozenset({None, "halted", NOT_DECIDED, "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model, as the read models hold it."""

    model: ModelView
    contract: Contract
    health: Health
    serving: ChampionTold | None  # None: nobody serves
    happened_last: str | None  # None: nothing yet
    transform: Transform  # of who serves, which a later contract need not share

    @property
    def scale(self) -> str:
        """Of the errors of who serves: 'log' or 'native'."""
        return SCALE_WORDS[self.transform]

    @property
    def scales(self) -> str:
        """Of the errors of production and of the holdouts: 'log', or two where they differ."""
        judged_on = SCALE_WORDS[self.contract.target.transform]
        if self.scale == judged_on:
            return self.scale
        return f"{self.scale} (production) or {judged_on} (holdouts judged by the contract)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its name."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The latest cycle did not come to its end in the ordinary way, or has not yet."""

    cycle: str
    reason: str  # empty while it goes on
    aftermath: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the template names. Without a model only the first five and alarms are filled."""

    now: str
    ledger_size: int
    models: tuple[str, ...]
    alarms: tuple[str, ...] = ()  # of the process: damage, signing, anchors
    checkpoint: str = ""  # what the newest signed checkpoint vouches for
    model: str | None = None
    title: str = ""
    scale: str = ""
    contract_digest: str = ""
    policy: str = ""
    headline: str = ""  # what happened last
    health: Health | None = None
    state_symbol: str = "?"
    reasons: tuple[str, ...] = ()  # of the health, but for what the notice says
    champion: ChampionTold | None = None
    decision: Decision | None = None
    came: str = ""  # of the decision; empty when the notice says it
    notice: Notice | None = None
    clauses: tuple[tuple[Clause, Markup], ...] = ()
    nodes: tuple[Node, ...] = ()  # how a tree joins the clauses; empty where all are needed
    met: int = 0
    counts: tuple[Figure, ...] = ()
    rates: str = ""
    error_since: str = ""
    error_since_note: str = ""
    features: tuple[str, ...] = ()
    bands: tuple[tuple[float, str], ...] = tuple(BAND_LINES)
    panels: tuple[DriftPanel, ...] = ()
    runs_back: bool = False  # some window looked from an earlier time than the one before it
    drift_rows: tuple[tuple[Window, list[DriftCell | None]], ...] = ()
    errors_wide: Markup | None = None
    errors_narrow: Markup | None = None
    error_rows: tuple[ErrorRow, ...] = ()
    gates: tuple[tuple[Gate, Markup | None], ...] = ()
    gates_of: str = ""
    gates_note: str = ""  # why no gate stands here
    changes: tuple[ChangeRow, ...] = ()
    changes_note: str = ""


def overview_of(
    facts: ModelFacts,
    windows: Sequence[Window],
    changes: Sequence[tuple[Change, Decision | None]],
    *,
    latest: Decision | None,
    trained: Window | None,
    now: str,
    ledger_size: int,
    models: Sequence[str],
) -> Overview:
    """The page of one model. `windows` oldest first, `changes` newest first.

    `latest`: its newest decision. `trained`: the window of its newest candidate.
    """
    clauses = latest.clauses if latest else ()
    judged = labelled(windows)
    alone = labelled([trained]) if trained else []
    last = next((each for each in [*judged, *alone] if trained and each.id == trained.id), None)
    serves = facts.serving.model_version if facts.serving else None
    reports = [(window.id, window.cycle.health) for window in windows]
    error, note = error_since(serves, reports, scale=facts.scale)
    notice = _notice(windows)
    return Overview(
        now=now,
        ledger_size=ledger_size,
        models=tuple(models),
        model=facts.model.model,
        title=facts.contract.title,
        scale=facts.scales,
        contract_digest=facts.model.contract_digest,
        policy=facts.model.policy,
        headline=facts.happened_last or NOTHING_DECIDED,
        health=facts.health,
        state_symbol=STATE_SYMBOL[facts.health.state],
        reasons=_not_yet_said(facts.health.reasons, notice),
        champion=facts.serving,
        decision=latest,
        came=""
        if latest is None or (notice and notice.cycle == latest.cycle)
        else latest.aftermath,
        notice=notice,
        clauses=tuple((clause, clause_bar(clause)) for clause in clauses),
        nodes=latest.nodes if latest else (),
        met=sum(clause.verdict == "met" for clause in clauses),
        counts=_counts(facts),
        rates=facts.health.rates,
        error_since=error,
        error_since_note=note,
        features=tuple(features_of(judged)),
        panels=tuple(drift_panels(judged)),
        runs_back=bool(runs_back(judged)),
        drift_rows=tuple(drift_table(judged)),
        errors_wide=error_chart(judged, WIDE),
        errors_narrow=error_chart(judged, NARROW),
        error_rows=tuple(error_rows(judged)),
        gates=tuple((gate, gate_bars(gate)) for gate in gates_of(last.cycle)) if last else (),
        gates_of=_gates_of(last) if last else "",
        gates_note=no_gates(facts.model.candidates),
        changes=tuple(change_row(*each) for each in changes[:CHANGES_SHOWN]),
        changes_note=f"The newest {CHANGES_SHOWN}." if len(changes) > CHANGES_SHOWN else "",
    )


def _gates_of(trained: Window) -> str:
    """Whose gates, of which window, and who set that cycle aside."""
    candidate = trained.cycle.trained.candidate if trained.cycle.trained else ""
    return ". ".join(filter(None, (f"{candidate}, {trained.label}", trained.set_aside)))


def _notice(windows: Sequence[Window]) -> Notice | None:
    """What to say of the latest cycle when the verdict above it is not its own."""
    if not windows or conclusion_of(windows[-1].cycle) not in _EARLY:
        return None
    latest = windows[-1]
    return Notice(
        cycle=latest.id, reason=reason_of(latest.cycle), aftermath=aftermath_of(latest.cycle)
    )


def _not_yet_said(reasons: tuple[str, ...], said: Notice | None) -> tuple[str, ...]:
    """The health's reasons without the one the notice above them already gives."""
    if said is None or not said.reason:
        return reasons
    return tuple(reason for reason in reasons if said.reason not in reason)


def _counts(facts: ModelFacts) -> tuple[Figure, ...]:
    counts = facts.health.counts
    figures = (
        Figure(name="cycles", value=str(counts.cycles)),
        Figure(name="decisions", value=str(counts.decisions)),
        Figure(name="trainings", value=str(counts.trainings)),
        Figure(name="promoted", value=str(counts.promotions)),
        Figure(name="rejected", value=str(counts.rejections)),
        Figure(name="rollbacks", value=str(facts.model.rollbacks)),
        Figure(name="halted", value=str(facts.health.halted)),
        Figure(name="failed", value=str(facts.health.failed)),
        Figure(name="undecided", value=str(facts.health.undecided)),
    )
    aside = (Figure(name="set aside", value=str(counts.set_aside)),) if counts.set_aside else ()
    return figures + aside
