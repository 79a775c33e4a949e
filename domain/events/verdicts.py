"""What a policy said, clause by clause, as the ledger remembers it; and its one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from domain.units import noted

Verdict = Literal["met", "unmet", "unknown"]
Operator = Literal[">", ">=", "<", "<="]
_DIGITS_EXACT: Final = 17  # tell any two doubles apart
NOT_DECIDED: Final = "not decided"  # the outcome and the end of a cycle whose policy came to none


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseVerdict:
    """One clause of the policy against one observed fact."""

    clause: Annotated[str, noted("name", "the clause")]
    fact: Annotated[str, noted("name", "the fact it looks at")]
    label: Annotated[str, noted("words", "the clause as people say it: 'cool-down'")]
    operator: Annotated[Operator, noted("symbol", "fact operator threshold")]
    threshold: Annotated[float, noted("as the fact", "the bound")]
    unit: Annotated[str, noted("unit", "of fact, threshold and margin; empty when dimensionless")]
    observed: Annotated[float | None, noted("as the fact", "null: unknown, or never retrained")]
    verdict: Annotated[Verdict, noted("name", "unknown is not false")]
    margin: Annotated[
        float | None, noted("as the fact", "distance past the threshold; negative: short of it")
    ]
    note: Annotated[
        str, noted("words", "why it is unknown, 'never retrained', or how much it says; or empty")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One rule that held in the engine, with the facts it matched."""

    rule: Annotated[str, noted("name", "the rule of the compiled policy")]
    facts: Annotated[dict[str, float | str], noted("facts", "what the engine matched")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVerdict:
    """What the policy concludes from the facts."""

    policy: Annotated[str, noted("id", "the policy")]
    policy_version: Annotated[int, noted("number", "its version")]
    policy_digest: Annotated[str, noted("sha256 hex", "of the adopted document")]
    facts: Annotated[
        dict[str, float | None], noted("facts", "all that were offered, null: unknown")
    ]
    never_retrained: Annotated[
        bool, noted("flag", "the hours since the last retraining are unknown because none ever was")
    ]
    clauses: tuple[ClauseVerdict, ...]
    retrain: Annotated[bool, noted("flag", "every clause is met")]
    trace: tuple[Firing, ...]


def significant_digits(value: float, digits: int = 4) -> str:
    """`value` with four significant digits, plain notation where a reader expects it.

    >>> significant_digits(20.83333), significant_digits(50.0), significant_digits(0.0000123456)
    ('20.83', '50', '1.235e-05')
    """
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def told_apart(value: float, bound: float, digits: int = 4) -> tuple[str, str]:
    """Both with `digits` significant digits, or as many more as tell them apart, in their order.

    >>> told_apart(24.0003, 24.0), told_apart(20.83333, 24.0), told_apart(0.2, 0.2)
    (('24.0003', '24'), ('20.83', '24'), ('0.2', '0.2'))
    """
    for enough in range(digits, _DIGITS_EXACT):
        shown = significant_digits(value, enough), significant_digits(bound, enough)
        if (float(shown[0]) > float(shown[1])) - (float(shown[0]) < float(shown[1])) == (
            value > bound
        ) - (value < bound):
            return shown
    return repr(value), repr(bound)  # the shortest that says exactly which double it is


def clause_sentence(clause: ClauseVerdict) -> str:
    """One clause as people say it: `cool-down 20.8 h (needs > 24 h)`."""
    equals = " = " if clause.label.endswith(" p") and clause.observed is not None else " "
    return f"{clause.label}{equals}{observed_in_words(clause)} (needs {needs_in_words(clause)})"


def observed_in_words(clause: ClauseVerdict) -> str:
    """What was observed, with its unit: `20.8 h`; or why nothing was.

    Never rounded onto the bound: just past 24 h is `24.0003 h`.
    """
    if clause.observed is None:
        return clause.note or "unknown"
    return f"{told_apart(clause.observed, clause.threshold)[0]} {clause.unit}".rstrip()


def needs_in_words(clause: ClauseVerdict) -> str:
    """What the clause asks for: `> 24 h`."""
    observed = clause.threshold if clause.observed is None else clause.observed
    return f"{clause.operator} {told_apart(observed, clause.threshold)[1]} {clause.unit}".rstrip()


def with_unit(value: float, unit: str) -> str:
    """`value` to four significant digits in its unit, empty when dimensionless.

    >>> with_unit(20.83333, "h"), with_unit(0.2, "")
    ('20.83 h', '0.2')
    """
    return f"{significant_digits(value)} {unit}".rstrip()


def in_words(sentences: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(sentences) <= 1:
        return "".join(sentences)
    return f"{', '.join(sentences[:-1])} and {sentences[-1]}"


def verdict_sentence(
    outcome: str,
    clauses: Sequence[ClauseVerdict],
    reason: str = "",
    evidence: Sequence[str] = (),
) -> str:
    """The verdict sentence, made only here, the same in API, page, command line and report.

    Args:
        outcome: what was decided.
        clauses: of the policy, in its order.
        reason: why it was forced, or not decided.
        evidence: the features with evidence of drift, which `keep: below the bounds` names.

    >>> verdict_sentence("keep: nothing to judge", ())
    'KEEP: nothing to judge, the window is empty'
    """
    blocking = in_words([clause_sentence(c) for c in clauses if c.verdict != "met"])
    holding = in_words([clause_sentence(c) for c in clauses if c.verdict == "met"])
    if outcome == NOT_DECIDED:
        return f"{NOT_DECIDED.upper()}: {reason}"
    match outcome:
        case "retrain":
            return f"RETRAIN: {holding}"
        case "keep: no drift":
            return f"KEEP: no drift; {blocking}"
        case "keep: below the bounds":
            return f"KEEP: below the bounds; evidence in {in_words(evidence)}; {blocking}"
        case "keep: nothing to judge":
            return "KEEP: nothing to judge, the window is empty"
        case "bootstrap":
            return "BOOTSTRAP: no champion yet, the first candidate is trained"
        case "override":
            policy = f"the policy says keep: {blocking}" if blocking else "the policy says retrain"
            return f"OVERRIDE: {reason}; {policy}"
        case _:
            return f"KEEP: {blocking}"
