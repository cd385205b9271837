"""How bad a discrepancy is: `high` costs money or connectivity now, `medium` should be put right, `low` can wait.

The rules are one table; the first rule that applies decides. `docs/tables.md` tells it to the people who read the list.
"""

from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind
from sim_sync.core.sims import Lifecycle

HIGH = "high"
MEDIUM = "medium"
LOW = "low"

#: From the worst to the mildest.
SEVERITIES = (HIGH, MEDIUM, LOW)

_IN_USE = frozenset({Lifecycle.ACTIVE})
_OVER = frozenset({Lifecycle.DEACTIVATED, Lifecycle.TERMINATED, Lifecycle.REPLACED})
_IN_STOCK = frozenset({Lifecycle.INVENTORY})


class Rule(NamedTuple):
    """One line of the table: a severity, and for which statuses on each side; `None` is any, "not told" included.

    `field` narrows a mismatch to one field, and `pending` to a SIM for which the carrier says that a change is in
    flight.
    """

    severity: str
    reason: str
    ours: frozenset[Lifecycle] | None = None
    theirs: frozenset[Lifecycle] | None = None
    field: str | None = None
    pending: bool | None = None


RULES: dict[Kind, tuple[Rule, ...]] = {
    Kind.MISSING_AT_CARRIER: (
        Rule(HIGH, "we count on a SIM that the carrier does not have", ours=_IN_USE),
        Rule(LOW, "we have done with it too", ours=_OVER),
        Rule(MEDIUM, "our list is out of date"),
    ),
    Kind.UNKNOWN_TO_US: (
        Rule(HIGH, "a SIM in use, and on our bill, that nobody knows of", theirs=_IN_USE),
        Rule(LOW, "it neither works nor costs", theirs=_OVER | _IN_STOCK),
        Rule(MEDIUM, "it may come into use"),
    ),
    Kind.MISMATCH: (
        Rule(LOW, "the carrier is about to change it: the next night tells", pending=True),
        Rule(HIGH, "we count on a SIM that is over", field="status", ours=_IN_USE, theirs=_OVER),
        Rule(HIGH, "a SIM that we gave up is in use, and on our bill", field="status", ours=_OVER, theirs=_IN_USE),
        Rule(LOW, "a name", field="label"),
        Rule(MEDIUM, "one side is out of date"),
    ),
}


class Facts(NamedTuple):
    """The SQL of what the rules look at; `sa.null()` for a side that does not have the SIM."""

    ours: sa.ColumnElement[Any]
    theirs: sa.ColumnElement[Any]
    pending: sa.ColumnElement[bool]


def severity_of(kind: Kind, facts: Facts, *, field: str = "") -> sa.ColumnElement[str]:
    """Return the SQL of a kind's rules: the severity of the first that applies. The last one always does."""
    rules = [rule for rule in RULES[kind] if rule.field in {None, field}]
    cases = [(condition, rule.severity) for rule in rules if (condition := _condition(rule, facts)) is not None]
    last = sa.literal(rules[-1].severity, sa.Text())
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
