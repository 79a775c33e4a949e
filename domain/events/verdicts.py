"""What a policy said, clause by clause, as the ledger remembers it; and its one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from msgspec import Struct

from domain.units import noted

Verdict = Literal["met", "unmet", "unknown"]
Operator = Literal[">", ">=", "<", "<="]
_DIGITS_EXACT: Final = 17  # tell any two doubles apart
_PLAIN_BELOW: Final = 1e15  # the digits of larger numbers say nothing
_WHOLE_FROM: Final = 100  # an amount below has decimals
Junction = Literal["all", "any"]
ROOT: Final = "when"  # the first node of every policy: what it comes to decides
NOT_DECIDED: Final = "not decided"  # the outcome and the end of a cycle whose policy came to none


class ClauseVerdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
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


class NodeVerdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One node of the policy's tree: what the clauses and nodes that it joins come to."""

    node: Annotated[str, noted("name", "'when' for the root, 'when.3' for its third member")]
    operator: Annotated[Junction, noted("name", "whether all of them are needed, or any")]
    of: Annotated[tuple[str, ...], noted("names", "the clauses and nodes it joins, in order")]
    verdict: Annotated[Verdict, noted("name", "unknown is not false")]


class Firing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One rule that held in the engine, with the facts it matched."""

    rule: Annotated[str, noted("name", "the rule of the compiled policy")]
    facts: Annotated[dict[str, float | str], noted("facts", "what the engine matched")]


class PolicyVerdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
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
    nodes: tuple[NodeVerdict, ...]  # the root first, each before the nodes it joins
    retrain: Annotated[bool, noted("flag", "the root is met")]
    trace: tuple[Firing, ...]


def significant_digits(value: float, digits: int = 4) -> str:
    """`value` with four significant digits, plain notation where a reader expects it.

    >>> significant_digits(20.83333), significant_digits(50.0), significant_digits(0.0000123456)
    ('20.83', '50', '1.235e-05')
    >>> significant_digits(9999.6), significant_digits(1234567.8), significant_digits(1e300)
    ('10000', '1234568', '1e+300')
    """
    said = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in said and abs(value) < _PLAIN_BELOW else said


def amount(value: float) -> str:
    """An amount as people write it: whole from a hundred on, with separators.

    >>> amount(61328.017), amount(-2.5), amount(-0.0), amount(1e300)
    ('61,328', '-2.5', '0', '1e+300')
    """
    if _WHOLE_FROM <= abs(value) < _PLAIN_BELOW:
        return f"{value:,.0f}"
    return significant_digits(value or 0.0)


def percent(share: float) -> str:
    """A share (0..1): all and none are said of nothing less, and nothing more.

    >>> percent(0.5), percent(249 / 250), percent(1 / 250), percent(1.0), percent(0.0)
    ('50%', '99.6%', '0.4%', '100%', '0%')
    """
    exact = share in (0.0, 1.0)
    said = (f"{100 * share:.{decimals}f}" for decimals in range(_DIGITS_EXACT))
    found = (each for each in said if exact or 0.0 < float(each) < 100.0)  # noqa: PLR2004
    return f"{next(found, 100 * share)}%"


def told_apart(value: float, bound: float, digits: int = 4) -> tuple[str, str]:
    """Both with `digits` significant digits, or as many more as tell them apart, in their order.

    >>> told_apart(24.0003, 24.0), told_apart(20.83333, 24.0), told_apart(0.2, 0.2)
    (('24.0003', '24'), ('20.83', '24'), ('0.2', '0.2'))
    """
    said, needs = told_apart_from_each(value, (bound,), digits)
    return said, needs


def told_apart_from_each(value: float, bounds: Sequence[float], digits: int = 4) -> tuple[str, ...]:
    """`value` and its bounds, with as many digits as tell it from every one of them.

    >>> told_apart_from_each(0.30000001, (0.29, 0.3)), told_apart_from_each(0.5, ())
    (('0.30000001', '0.29', '0.3'), ('0.5',))
    """
    for enough in range(digits, _DIGITS_EXACT):
        said, *shown = (significant_digits(each, enough) for each in (value, *bounds))
        if all(
            _order(float(said), float(needs)) == _order(value, bound)
            for needs, bound in zip(shown, bounds, strict=True)
        ):
            return said, *shown
    return tuple(map(repr, (value, *bounds)))  # the shortest that says exactly which doubles


def _order(value: float, bound: float) -> int:
    return (value > bound) - (value < bound)


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


def joined(operator: Junction, verdicts: Sequence[Verdict]) -> Verdict:
    """What a node comes to: one unmet decides `all`, one met decides `any`; else unknown stays.

    >>> joined("all", ["met", "unknown"]), joined("any", ["met", "unknown"])
    ('unknown', 'met')
    """
    decisive: Verdict = "unmet" if operator == "all" else "met"
    if decisive in verdicts:
        return decisive
    if "unknown" in verdicts:
        return "unknown"
    return "met" if operator == "all" else "unmet"


def strict_and(clauses: Sequence[ClauseVerdict]) -> tuple[NodeVerdict, ...]:
    """The one node of a policy that asks for every clause."""
    verdict = joined("all", [clause.verdict for clause in clauses])
    of = tuple(clause.clause for clause in clauses)
    return (NodeVerdict(node=ROOT, operator="all", of=of, verdict=verdict),)


def serves_set_aside(serves: str) -> str:
    """Why nothing is compared with who serves."""
    return f"{serves} serves and is not compared, since the cycle that made it was set aside"


def another_is_judged(judged: str, serves: str) -> str:
    """Whom a cycle judged, where it is not who serves."""
    return f"judged is {judged}, since the cycle that made {serves}, which serves, was set aside"


def nobody_judges(judged: str, serves: str, rows: int) -> str:
    """Why nothing was to judge, where `serves` and not `judged` answered the window's `rows`.

    >>> nobody_judges("car-price/1", "car-price/2", 95)[:63]
    'of car-price/1: 95 rows were answered by car-price/2, which nob'
    """
    number = {0: "no row was", 1: "1 row was"}.get(rows, f"{rows:,} rows were")
    return (
        f"of {judged}: {number} answered by {serves}, which nobody judges (it was made by a cycle "
        "that was set aside)"
    )


def verdict_sentence(
    outcome: str,
    clauses: Sequence[ClauseVerdict],
    reason: str = "",
    *,
    evidence: Sequence[str] = (),
    nodes: Sequence[NodeVerdict] = (),
    judged: str = "",
) -> str:
    """The verdict sentence, made only here, the same in API, page, command line and report.

    Args:
        outcome: what was decided.
        clauses: of the policy, in its order.
        reason: why it was forced or not decided; why a bootstrap compares with nobody, though
            somebody serves; why nothing was to judge, where the window is not merely empty.
        evidence: the features with evidence of drift, which `keep: below the bounds` names.
        nodes: of the policy's tree, the root first; without them every clause is needed.
        judged: whom the cycle judged, in words, where it is not who serves.

    >>> verdict_sentence("keep: nothing to judge", ())
    'KEEP: nothing to judge, the window is empty'
    """
    said = _verdict(outcome, _Words(clauses, nodes or strict_and(clauses)), reason, evidence)
    return f"{said}; {judged}" if judged else said


def _verdict(outcome: str, tree: _Words, reason: str, evidence: Sequence[str]) -> str:
    blocking, holding = tree.blocking(), tree.holding()
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
            return f"KEEP: nothing to judge{f' {reason}' if reason else ', the window is empty'}"
        case "bootstrap":
            first = "no champion yet, the first candidate is trained"
            anew = f"{reason}; a candidate is trained as if it were the first"
            return f"BOOTSTRAP: {anew if reason else first}"
        case "override":
            policy = f"the policy says keep: {blocking}" if blocking else "the policy says retrain"
            return f"OVERRIDE: {reason}; {policy}"
        case _:
            return f"KEEP: {blocking}"


class _Words:
    """A policy's tree in words: what holds it back, or what holds."""

    def __init__(self, clauses: Sequence[ClauseVerdict], nodes: Sequence[NodeVerdict]) -> None:
        self._clauses: Mapping[str, ClauseVerdict] = {clause.clause: clause for clause in clauses}
        self._nodes: Mapping[str, NodeVerdict] = {node.node: node for node in nodes[1:]}
        self._root = nodes[0]

    def blocking(self) -> str:
        """What is not met, joined as it is needed; empty when the root is met."""
        return "" if self._root.verdict == "met" else self._lacking(self._root)[0]

    def holding(self) -> str:
        """The clauses that are met and count: those of a branch that is not met do not."""
        return in_words(self._met(self._root))

    def _lacking(self, node: NodeVerdict) -> tuple[str, bool]:
        """What a node lacks, and whether that is several things."""
        lacking = [
            self._lacking(self._nodes[member])
            if member in self._nodes
            else (clause_sentence(self._clauses[member]), False)
            for member in node.of
            if self._verdict(member) != "met"
        ]
        if len(lacking) == 1:
            return lacking[0]
        if node.operator == "all":
            return in_words([words for words, _ in lacking]), True
        branches = [f"({words})" if several else words for words, several in lacking]
        return f"neither {' nor '.join(branches)}", True

    def _met(self, node: NodeVerdict) -> list[str]:
        words: list[str] = []
        for member in node.of:
            if self._verdict(member) != "met":
                continue
            if member in self._nodes:
                words += self._met(self._nodes[member])
            else:
                words.append(clause_sentence(self._clauses[member]))
        return words

    def _verdict(self, member: str) -> Verdict:
        if member in self._nodes:
            return self._nodes[member].verdict
        return self._clauses[member].verdict
