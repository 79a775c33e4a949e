"""`whyledger cycle`: run a retraining cycle to its end, and say what was decided and why."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.cycle_tables import say_clauses, say_gates
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
from domain.decisions.cycle import Cycle, Step, fold_state
from domain.errors import WhyledgerError

_POLL_SECONDS: Final = 0.2
_STEPS: Final = len(Step)


@dataclass(frozen=True, slots=True)
class Told:
    """A cycle as far as it has come, whoever told us."""

    cycle: str
    model: str
    status: str  # open or ended
    conclusion: str | None
    steps: Mapping[str, Any]  # event type -> its data


def cycle(
    model: Annotated[str, typer.Option(help="The model whose cycle to run.")],
    as_of: Annotated[
        str | None, typer.Option(help="Look at what happened before this time; default now.")
    ] = None,
    force: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Retrain whatever the policy says, and say why."),
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
    moment = a_time(as_of, "--as-of")
    seconds = timeout_minutes * 60
    try:
        if url:
            told = _over_http(url, model, moment, force, seconds)
        else:
            told = _in_database(model, moment, force, seconds)
    except WhyledgerError as error:
        say_error(error)
        raise typer.Exit(exit_code_of(error, missing_is_undecided=True)) from None
    if told.status != "ended":
        say_error(
            CommandRefused(
                f"cycle {told.cycle} has not ended within {timeout_minutes:g} minutes. It goes on; "
                "ask again, or look at its log in the state directory."
            )
        )
        raise typer.Exit(Exit.UNDECIDED)
    folded = fold_state(told.steps)
    sentence = sentence_of(folded)
    _tell_github(told, folded, sentence)
    if json:
        say_json(_document(told, folded, sentence))
    else:
        _print(told, folded, sentence)
    raise typer.Exit(_exit_code(told, folded, detailed=detailed_exitcode))


def sentence_of(cycle: Cycle) -> str:
    """The recorded verdict sentence; the recorded reason when the cycle never came to one."""
    if cycle.decided:
        return cycle.decided.sentence
    if cycle.not_decided:
        return cycle.not_decided.sentence
    if cycle.halted:
        return f"HALTED: {cycle.halted.reason}"
    return f"FAILED: {cycle.failed.reason}" if cycle.failed else "UNDECIDED"


def _exit_code(told: Told, cycle: Cycle, *, detailed: bool) -> Exit:
    if cycle.decided is None:
        return Exit.UNDECIDED
    if detailed and told.conclusion == "promoted":
        return Exit.PROMOTED
    if detailed and told.conclusion == "rejected":
        return Exit.REJECTED
    return Exit.OK


def _in_database(model: str, as_of: str | None, force: str | None, seconds: float) -> Told:
    settings = read_settings()
    with opened(settings) as ledger:
        cycles = Cycles(ledger, settings)
        try:
            ticket = cycles.start(model, as_of=as_of, force_reason=force, cause=typed())
            if ticket.resumed:
                note(
                    f"cycle {ticket.cycle} was cut off; it goes on at its first open step, with "
                    "the as_of and force it was started with: yours were not used"
                )
            return _watch(
                ticket.cycle, lambda: _of_view(cycles.view(ticket.cycle)), seconds, _POLL_SECONDS
            )
        finally:
            cycles.close()


def _over_http(url: str, model: str, as_of: str | None, force: str | None, seconds: float) -> Told:
    body: dict[str, object] = {}
    if as_of:
        body["as_of"] = as_of
    if force:
        body["force"] = {"reason": force}
    with Service(url) as service:
        try:
            answer = service.post(f"/models/{model}/cycles", body)
            where = str(answer["url"])
        except ServiceRefused as refused:
            if refused.problem != "cycle-running":
                raise
            raise CommandRefused(f"{refused.message} It is at {refused.body['cycle']}.") from None
        return _watch(
            str(answer["cycle"]), lambda: _of_answer(service.get(where)), seconds, _POLL_SECONDS
        )


def _watch(cycle: str, look: Callable[[], Told], seconds: float, pause: float) -> Told:
    """Look until the cycle has ended or the time is up, showing the step it is at."""
    deadline = monotonic_seconds() + seconds
    with progress(f"cycle {cycle}", _STEPS, unit="steps") as advance:
        while True:
            told = look()
            _show(advance, told)
            if told.status == "ended" or monotonic_seconds() > deadline:
                return told
            time.sleep(pause)


def _show(advance: Advance, told: Told) -> None:
    done = len(set(told.steps) - {"cycle.started", "cycle.attempt-started"})
    latest = list(told.steps)[-1].removeprefix("cycle.") if told.steps else "started"
    advance(_STEPS if told.status == "ended" else done, said=f"cycle {told.cycle}: {latest}")


def _of_view(view: CycleView) -> Told:
    return Told(view.cycle, view.model, view.status, view.conclusion, view.state)


def _of_answer(answer: Mapping[str, Any]) -> Told:
    return Told(
        answer["cycle"], answer["model"], answer["status"], answer["conclusion"], answer["steps"]
    )


def _outcome(cycle: Cycle) -> str:
    if cycle.decided:
        return cycle.decided.outcome
    return "not decided" if cycle.not_decided else ""


def _document(told: Told, cycle: Cycle, sentence: str) -> dict[str, object]:
    return {
        "cycle": told.cycle,
        "model": told.model,
        "as_of": cycle.begun.as_of,
        "outcome": _outcome(cycle) or None,
        "conclusion": told.conclusion,
        "sentence": sentence,
        "champion": _champion(cycle) or None,
        "steps": dict(told.steps),
    }


def _champion(cycle: Cycle) -> str:
    """Who serves when the cycle has ended; empty when nobody does."""
    return (cycle.health.champion if cycle.health else cycle.begun.champion) or ""


def _print(told: Told, cycle: Cycle, sentence: str) -> None:
    say(sentence)
    if cycle.decided:
        say_clauses(cycle.decided.verdict.clauses)
    say_gates(cycle)
    if cycle.training_failed:
        note(f"training failed: {cycle.training_failed.reason}")
    serves = _champion(cycle)
    say(f"{told.cycle}: {told.conclusion}; {f'{serves} serves' if serves else 'nobody serves yet'}")


def _tell_github(told: Told, cycle: Cycle, sentence: str) -> None:
    """Write where GitHub Actions says, if it does."""
    outputs, page = os.environ.get("GITHUB_OUTPUT"), os.environ.get("GITHUB_STEP_SUMMARY")
    if outputs:
        values = {
            "cycle": told.cycle,
            "outcome": _outcome(cycle),
            "conclusion": told.conclusion or "",
            "sentence": sentence,
            "champion": _champion(cycle),
        }
        write_outputs(Path(outputs), values, ending=f"whyledger-{new_id()}")
    if page:
        ending = told.conclusion or ""
        write_summary(Path(page), summary(told.model, told.cycle, sentence, ending, cycle))
