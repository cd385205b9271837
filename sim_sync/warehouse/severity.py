"""How bad a discrepancy is, and what to do about it: one table, whose first rule that applies decides both.

A company's own rules (`reconcile.severity`) go before the severities of this table; the advice stays.
`docs/tables.md` tells it to the people who read the list.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind, Severity, SeverityRule
from sim_sync.core.sims import Lifecycle

HIGH, MEDIUM, LOW = (severity.value for severity in Severity)

#: From the worst to the mildest.
SEVERITIES = (HIGH, MEDIUM, LOW)

_IN_USE = frozenset({Lifecycle.ACTIVE})
_OVER = frozenset({Lifecycle.DEACTIVATED, Lifecycle.TERMINATED, Lifecycle.REPLACED})
_IN_STOCK = frozenset({Lifecycle.INVENTORY})
_STOPPED = _OVER | _IN_STOCK | {Lifecycle.SUSPENDED}


class Rule(NamedTuple):
    """One line of the table: a severity and an advice, and for which statuses on each side.

    `None` is any, "not told" included. `field` narrows to one field, and `pending` to a SIM for which the carrier says
    that a change is in flight.
    """

    severity: str
    reason: str
    advice: str
    ours: frozenset[Lifecycle] | None = None
    theirs: frozenset[Lifecycle] | None = None
    field: str | None = None
    pending: bool | None = None


def _of_field(field: str, severity: str, reason: str, advice: str) -> Rule:
    return Rule(severity, reason, advice, field=field)


RULES: dict[Kind, tuple[Rule, ...]] = {
    Kind.MISSING_AT_CARRIER: (
        Rule(
            HIGH,
            "we count on a SIM that the carrier does not have",
            "Look at the device: the carrier no longer has its SIM. Replace it, or take it off our list.",
            ours=_IN_USE,
        ),
        Rule(LOW, "we have done with it too", "Take it off our list: nobody uses it any more.", ours=_OVER),
        Rule(MEDIUM, "our list is out of date", "Take it off our list, or ask the carrier what became of it."),
    ),
    Kind.UNKNOWN_TO_US: (
        Rule(
            HIGH,
            "a SIM in use, and on our bill, that nobody knows of",
            "Add it to our list, or cancel it at the carrier: it is in use.",
            theirs=_IN_USE,
        ),
        Rule(
            LOW,
            "it neither works nor costs",
            "Add it to our list if it is ours: it is not in use.",
            theirs=_OVER | _IN_STOCK,
        ),
        Rule(
            MEDIUM,
            "it may come into use",
            "Add it to our list, or cancel it at the carrier before it comes into use.",
        ),
    ),
    Kind.WRONG_CARRIER: (
        Rule(
            HIGH,
            "a SIM that we gave up is in use, and on another bill",
            "Cancel it at the carrier that has it, or correct its carrier and status in our list.",
            ours=_OVER,
            theirs=_IN_USE,
        ),
        Rule(LOW, "it neither works nor costs", "Correct its carrier in our list: it is not in use.", theirs=_OVER),
        Rule(MEDIUM, "our list is out of date", "Correct its carrier in our list."),
    ),
    Kind.DUPLICATE_ICCID: (
        Rule(
            HIGH,
            "it is in use, and on a bill, twice",
            "Cancel it where it should not be: one ICCID is there twice, and in use.",
            theirs=_IN_USE,
        ),
        Rule(
            MEDIUM,
            "nobody knows which of them is the SIM",
            "Ask the carrier which of them is right: one ICCID is there twice.",
        ),
    ),
    Kind.MISMATCH: (
        Rule(
            LOW,
            "the carrier is about to change it: the next night tells",
            "Wait for the next night: the carrier is about to change it.",
            pending=True,
        ),
        Rule(
            HIGH,
            "we count on a SIM that is over",
            "Look at the device: its SIM works no more. Replace it, or correct the status in our list.",
            field="status",
            ours=_IN_USE,
            theirs=_OVER,
        ),
        Rule(
            HIGH,
            "a SIM that we gave up is in use, and on our bill",
            "Cancel it at the carrier, or correct the status in our list: it is in use.",
            field="status",
            ours=_OVER,
            theirs=_IN_USE,
        ),
        Rule(
            MEDIUM,
            "a SIM that we stopped is in use",
            "Stop it at the carrier, or correct the status in our list: it is in use.",
            field="status",
            ours=_STOPPED,
            theirs=_IN_USE,
        ),
        Rule(
            MEDIUM,
            "a SIM that we count on is not in use",
            "Look at the device: its SIM is not in use. Activate it at the carrier, or correct the status in our list.",
            field="status",
            ours=_IN_USE,
        ),
        _of_field("status", MEDIUM, "one side is out of date", "Correct the status in our list, or at the carrier."),
        _of_field(
            "imei",
            MEDIUM,
            "the SIM is in another device",
            "Look at the device: the SIM is in another one than our list says.",
        ),
        _of_field(
            "iccid",
            MEDIUM,
            "the card has another profile",
            "Correct the ICCID in our list: the eUICC has another profile than it says.",
        ),
        _of_field("eid", MEDIUM, "one side is out of date", "Correct the EID in our list: the SIM is on another card."),
        _of_field("imsi", MEDIUM, "one side is out of date", "Correct the IMSI in our list."),
        _of_field("msisdn", MEDIUM, "one side is out of date", "Correct the phone number in our list."),
        _of_field(
            "rate_plan",
            MEDIUM,
            "one side is out of date",
            "Change the rate plan at the carrier, or correct it in our list.",
        ),
        _of_field("label", LOW, "a name", "Correct the name in our list, or at the carrier."),
        Rule(MEDIUM, "one side is out of date", "Correct it in our list, or at the carrier."),
    ),
    Kind.QUALITY: (
        _of_field(
            "carrier_status",
            MEDIUM,
            "nothing can be compared with it",
            "List the word under `statuses` of the carrier in carriers.yaml.",
        ),
        _of_field(
            "status",
            MEDIUM,
            "nothing can be compared with it",
            "List the words under `inventory.statuses` in carriers.yaml.",
        ),
        _of_field(
            "iccid",
            MEDIUM,
            "no SIM of ours can be told to be this one",
            "Have the carrier correct the ICCID.",
        ),
        Rule(LOW, "it cannot be what its standard says", "Have the carrier correct the identifier."),
    ),
}


class Facts(NamedTuple):
    """The SQL of what the rules look at; `sa.null()` for a side that does not have the SIM."""

    ours: sa.ColumnElement[Any]
    theirs: sa.ColumnElement[Any]
    pending: sa.ColumnElement[bool]


def severity_of(kind: Kind, facts: Facts, *, field: str = "") -> sa.ColumnElement[str]:
    """Return the SQL of a kind's rules: the severity of the first that applies. The last one always does."""
    return _first_of(kind, facts, field, "severity")


def advice_of(kind: Kind, facts: Facts, *, field: str = "") -> sa.ColumnElement[str]:
    """Return the SQL of the advice of the rule that decides the severity."""
    return _first_of(kind, facts, field, "advice")


def overruled(
    severity: sa.ColumnElement[str], rules: Sequence[SeverityRule], row: sa.FromClause, kind: str, field: str
) -> sa.ColumnElement[str]:
    """Return the severity of the first of a company's rules that fits a row with `ours` and `theirs`, or else ours."""
    cases: list[tuple[sa.ColumnElement[bool], str]] = []
    for rule in rules:
        if (rule.kinds and kind not in rule.kinds) or (rule.fields and field not in rule.fields):
            continue
        told = {"ours": rule.ours, "theirs": rule.theirs}
        fits = [row.c[name].in_(values) for name, values in told.items() if values]
        cases.append((sa.and_(sa.true(), *fits), rule.severity.value))
    return sa.case(*cases, else_=severity) if cases else severity


def _first_of(kind: Kind, facts: Facts, field: str, what: str) -> sa.ColumnElement[str]:
    rules = [rule for rule in RULES[kind] if rule.field in {None, field}]
    cases = [
        (condition, str(getattr(rule, what))) for rule in rules if (condition := _condition(rule, facts)) is not None
    ]
    last = sa.literal(str(getattr(rules[-1], what)), sa.Text())
    return sa.case(*cases, else_=last) if cases else last


def _condition(rule: Rule, facts: Facts) -> sa.ColumnElement[bool] | None:
    conditions: list[sa.ColumnElement[bool]] = []
    if rule.ours is not None:
        conditions.append(facts.ours.in_(sorted(word.value for word in rule.ours)))
    if rule.theirs is not None:
        conditions.append(facts.theirs.in_(sorted(word.value for word in rule.theirs)))
    if rule.pending is not None:
        conditions.append(facts.pending.is_(rule.pending))
    if rule.field is not None and not conditions:
        conditions.append(sa.true())
    return sa.and_(*conditions) if conditions else None
