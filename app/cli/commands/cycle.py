"""`whyledger cycle`: run a retraining cycle to its end, and say what was decided and why."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec import to_builtins

from app.audit.cycle import NOBODY_SERVES, CycleTold, cycle_told
from app.audit.setting_aside import sets_aside_sentence
from app.audit.value import value_told
from app.cli.cycle_tables import say_cycle
from app.cli.job_summary import summary, write_outputs, write_summary
from app.cli.opening import Url, a_time, opened, read_settings, typed
from app.cli.remote import Service, ServiceRefused
from app.cli.terminal import (
    Advance,
    CommandRefused,
    Exit,
    Json,
    exit_code_of,
    note,
    progress,
    say,
    say_error,
    say_json,
)
from app.clock import monotonic_seconds, new_id
from app.cycle.starting import Cycles
from app.projections.cycles import CycleView
from domain.decisions.cycle import Step
from domain.decisions.starting import AS_OF_LEFT_OUT
from domain.errors import WhyledgerError
from domain.events.cycle_events import CycleStarted
from domain.events.verdicts import NOT_DECIDED

_POLL_SECONDS: Final = 0.2
_STEPS: Final = len(Step)


@dataclass(frozen=True, slots=True)
class Watched:
    """A cycle as far as it has come, whoever told us."""

    cycle: str
    status: str  # open or ended
    steps: Mapping[str, Any]  # event type -> its data


@dataclass(frozen=True, slots=True)
class _Asked:
    """What somebody typed."""

    model: str
    as_of: str | None
    force: str | None
    reason: str | None


def cycle(
    model: Annotated[str, typer.Option(help="The model whose cycle to run.")],
    as_of: Annotated[
        str | None, typer.Option(help="Look at what happened before this time; default now.")
    ] = None,
    force: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Retrain whatever the policy says, and say why."),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(help="Why cycles later than --as-of are set aside; it is recorded."),
    ] = None,
    timeout_minutes: Annotated[
        float, typer.Option(min=0.01, help="Give up waiting then; the cycle itself goes on.")
    ] = 30.0,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="10: promoted, 11: rejected by a gate.")
    ] = False,
    url: Url = "",
    json: Json = False,
) -> None:
    """Run a retraining cycle. A recorded outcome exits 0; 20: nothing could be decided."""
    if force is not None and not force.strip():
        raise CommandRefused("--force has no reason; say why, it is recorded.")
    if reason is not None and not reason.strip():
        raise CommandRefused("--reason is empty; say why, it is recorded.")
    asked = _Asked(model, a_time(as_of, "--as-of"), force, reason)
    seconds = timeout_minutes * 60
    try:
        watched = _over_http(url, asked, seconds) if url else _in_database(asked, seconds)
    except WhyledgerError as error:
        say_error(error)
        raise typer.Exit(exit_code_of(error, missing_is_undecided=True)) from None
    if watched.status != "ended":
        say_error(
            CommandRefused(
                f"cycle {watched.cycle} has not ended within {timeout_minutes:g} minutes. "
                "It goes on; ask again, or look at its log in the state directory."
            )
        )
        raise typer.Exit(Exit.UNDECIDED)
    _say_begun(watched)
    told = cycle_told(watched.steps)
    _tell_github(told, url)
    if json:
        say_json({**to_builtins(told), "steps": dict(watched.steps)})
    else:
        say_cycle(told)
        say(f"{told.champion} serves" if told.champion else NOBODY_SERVES)
    if told.outcome is not None and told.conclusion == "failed":
        note(f"{told.cycle} failed: {told.conclusion_reason}")
    raise typer.Exit(_exit_code(told, detailed=detailed_exitcode))


def _say_begun(watched: Watched) -> None:
    """How as_of came about, when nobody asked for it; which cycles were set aside."""
    begun = watched.steps.get(CycleStarted.type, {})
    if begun.get("sets_aside"):
        note(sets_aside_sentence(watched.cycle, begun["sets_aside"], begun["reason"]))
    elif str(begun.get("reason") or "").startswith(AS_OF_LEFT_OUT):
        note(f"as_of {begun['as_of']}: {begun['reason']}; --as-of chooses another")
    elif begun.get("reason"):
        note(f"no cycle was set aside; the reason is recorded: {begun['reason']}")


def _exit_code(told: CycleTold, *, detailed: bool) -> Exit:
    if told.outcome in (None, NOT_DECIDED):
        return Exit.UNDECIDED
    if detailed and told.conclusion == "promoted":
        return Exit.PROMOTED
    if detailed and told.conclusion == "rejected":
        return Exit.REJECTED
    return Exit.OK


def _in_database(asked: _Asked, seconds: float) -> Watched:
    settings = read_settings()
    with opened(settings) as ledger:
        cycles = Cycles(ledger, settings)
        try:
            ticket = cycles.start(
                asked.model,
                as_of=asked.as_of,
                force_reason=asked.force,
                reason=asked.reason,
                cause=typed(),
            )
            if ticket.resumed:
                note(
                    f"cycle {ticket.cycle} was cut off; it goes on at its first open step, with "
                    "the as_of and force it was started with: yours were not used"
                )

            def look() -> Watched:
                stopped = cycles.stopped(ticket.cycle)
                if stopped is not None:
                    raise stopped
                return _of_view(cycles.view(ticket.cycle))

            return _watch(ticket.cycle, look, seconds, _POLL_SECONDS)
        finally:
            cycles.close()


def _over_http(url: str, asked: _Asked, seconds: float) -> Watched:
    body: dict[str, object] = {}
    if asked.as_of:
        body["as_of"] = asked.as_of
    if asked.force:
        body["force"] = {"reason": asked.force}
    if asked.reason:
        body["reason"] = asked.reason
    with Service(url) as service:
        try:
            answer = service.post(f"/models/{asked.model}/cycles", body)
            where = str(answer["url"])
        except ServiceRefused as refused:
            if refused.problem != "cycle-running":
                raise
            raise CommandRefused(f"{refused.message} It is at {refused.body['cycle']}.") from None
        return _watch(
            str(answer["cycle"]), lambda: _of_answer(service.get(where)), seconds, _POLL_SECONDS
        )


def _watch(cycle: str, look: Callable[[], Watched], seconds: float, pause: float) -> Watched:
    """Look until the cycle has ended or the time is up, showing the step it is at."""
    deadline = monotonic_seconds() + seconds
    with progress(f"cycle {cycle}", _STEPS, unit="steps") as advance:
        while True:
            watched = look()
            _show(advance, watched)
            if watched.status == "ended" or monotonic_seconds() > deadline:
                return watched
            time.sleep(pause)


def _show(advance: Advance, watched: Watched) -> None:
    steps = watched.steps
    done = len(set(steps) - {"cycle.started", "cycle.attempt-started"})
    latest = list(steps)[-1].removeprefix("cycle.") if steps else "started"
    advance(_STEPS if watched.status == "ended" else done, said=f"cycle {watched.cycle}: {latest}")


def _of_view(view: CycleView) -> Watched:
    return Watched(view.cycle, view.status, view.state)


def _of_answer(answer: Mapping[str, Any]) -> Watched:
    return Watched(answer["cycle"], answer["status"], answer["steps"])


def _tell_github(told: CycleTold, url: str) -> None:
    """Write where GitHub Actions says, if it does."""
    outputs, page = os.environ.get("GITHUB_OUTPUT"), os.environ.get("GITHUB_STEP_SUMMARY")
    if outputs:
        names = ("cycle", "outcome", "conclusion", "headline", "sentence", "champion")
        values = {name: getattr(told, name) or "" for name in names}
        write_outputs(Path(outputs), values, ending=f"whyledger-{new_id()}")
    if page:
        write_summary(Path(page), summary(told, _worth(told.model, url)))


def _worth(model: str, url: str) -> Sequence[str]:
    """What the model's champions were worth, in sentences; the cycle's end stands without them."""
    try:
        if not url:
            with opened(read_settings()) as ledger, ledger.connect() as connection:
                return value_told(connection, model).sentences
        with Service(url) as service:
            return list(service.get(f"/models/{model}/health")["value"]["sentences"])
    except WhyledgerError as error:
        note(f"the summary does not say what the champions were worth: {error.message}")
        return ()
