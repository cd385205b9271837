"""Which SIM of our list is which SIM of the carrier, and how bad it is that they differ, in set-based SQL."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS, Kind
from sim_sync.core.sims import UNKNOWN_STATUS_FLAG, Lifecycle
from sim_sync.core.text import counted
from sim_sync.warehouse.tables import carrier_sims, inventory_sims
from sim_sync.warehouse.temporary import analyzed, temporary_table

# Which SIM of our list is which SIM of the carrier, by ICCID, in set-based SQL. Nothing is matched by guess.
#
# First the same normal form on both sides. Then, among those left over on both sides, a 19-digit form is the 20-digit
# form with the same first 19 digits (the 20th is a check digit that some carriers leave out, ITU-T E.118), if no
# other pairing is possible for either of the two.
#
# The stored tables are read once each, into temporary ones that hold what is compared; only those are joined.


#: Our SIMs: on the list now.
ours = temporary_table("our_sims", "iccid", *COMPARABLE_FIELDS, key=("iccid",))
#: The carrier's SIMs that are there, one for each ICCID. `pending` is `true` or `false`.
there = temporary_table("sims_there", "iccid", "pending", *COMPARABLE_FIELDS, key=("iccid",))
#: Our ICCID, and the one under which the carrier has the same SIM.
pairs = temporary_table("sim_pairs", "iccid", "their_iccid", key=("iccid",))
sa.Index("ix_sim_pairs_their_iccid", pairs.c.their_iccid)
_our_left = temporary_table("our_left_over", "stem", "digits", "iccid", key=("stem", "digits"))
_their_left = temporary_table("their_left_over", "stem", "digits", "iccid", key=("stem", "digits"))

_theirs = carrier_sims.c

_STEM_DIGITS = 19


def theirs_of(carrier: str) -> sa.ColumnElement[bool]:
    """Return the condition of the carrier's SIMs: not vanished. One that is only absent still counts as there."""
    return sa.and_(_theirs.carrier == carrier, _theirs.vanished_at.is_(None))


def pending_word(pending: sa.ColumnElement[bool]) -> sa.ColumnElement[str]:
    """Return `true` or `false` as text: how a truth value is kept in a temporary table."""
    return sa.case((pending, sa.literal("true", sa.Text())), else_=sa.literal("false", sa.Text()))


def match_sims(connection: sa.Connection, carrier: str) -> None:
    """Create and fill `ours`, `there` and `pairs` for a carrier; `forget_matches` drops them."""
    for table in (ours, there, pairs):
        table.create(connection)
    _fill_ours(connection, carrier)
    _fill_there(connection, carrier)
    _pair_same_form(connection)
    _pair_other_form(connection)
    analyzed(connection, pairs)


def forget_matches(connection: sa.Connection) -> None:
    """Drop the temporary tables."""
    for table in (pairs, there, ours):
        table.drop(connection)


def our_unmatched() -> sa.ColumnElement[bool]:
    """Return the condition of a row of `ours` that is nobody's pair."""
    return ~sa.exists().where(pairs.c.iccid == ours.c.iccid)


def their_unmatched() -> sa.ColumnElement[bool]:
    """Return the condition of a row of `there` that is nobody's pair."""
    return ~sa.exists().where(pairs.c.their_iccid == there.c.iccid)


def _fill_ours(connection: sa.Connection, carrier: str) -> None:
    listed = inventory_sims.c
    columns = ("iccid", *COMPARABLE_FIELDS)
    chosen = sa.select(*(listed[name] for name in columns)).where(
        listed.carrier == carrier, listed.removed_at.is_(None)
    )
    _fill(connection, ours, columns, chosen)


def _fill_there(connection: sa.Connection, carrier: str) -> None:
    # Two SIMs with one ICCID, for example when the carrier has put it under a new id: one that the last walk saw goes
    # before one that it missed, then the one that came last is compared, and rows are not multiplied.
    order = [_theirs.absent_since.is_not(None), _theirs.first_session_number.desc(), _theirs.sim_id]
    place = sa.func.row_number().over(partition_by=_theirs.iccid, order_by=order)
    placed = (
        sa.select(
            _theirs.iccid,
            pending_word(_theirs.pending).label("pending"),
            *(_theirs[name] for name in COMPARABLE_FIELDS),
            place.label("place"),
        )
        .where(theirs_of(carrier), _theirs.iccid.is_not(None))
        .subquery()
    )
    columns = ("iccid", "pending", *COMPARABLE_FIELDS)
    chosen = sa.select(*(placed.c[name] for name in columns)).where(placed.c.place == 1)
    _fill(connection, there, columns, chosen)


def _fill(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: sa.Select[Any]) -> None:
    connection.execute(table.insert().from_select(list(columns), rows))
    analyzed(connection, table)


def _pair_same_form(connection: sa.Connection) -> None:
    same = sa.select(ours.c.iccid, there.c.iccid.label("their_iccid")).where(there.c.iccid == ours.c.iccid)
    _fill(connection, pairs, ("iccid", "their_iccid"), same)


def _pair_other_form(connection: sa.Connection) -> None:
    _fill_left_over(connection, _our_left, sa.select(ours.c.iccid).where(our_unmatched()))
    _fill_left_over(connection, _their_left, sa.select(there.c.iccid).where(their_unmatched()))
    # 19 digits here and 20 there, or the other way round.
    other_form = sa.and_(_our_left.c.stem == _their_left.c.stem, _our_left.c.digits != _their_left.c.digits)
    found = sa.select(_our_left.c.iccid, _their_left.c.iccid.label("their_iccid")).where(other_form)
    connection.execute(pairs.insert().from_select(["iccid", "their_iccid"], found))
    _our_left.drop(connection)
    _their_left.drop(connection)


def _fill_left_over(connection: sa.Connection, table: sa.Table, unmatched: sa.Select[tuple[str]]) -> None:
    """Create a table of the stems of unmatched ICCIDs, each with the only ICCID of 19 or of 20 digits that has it."""
    rows = unmatched.subquery()
    stem = sa.func.substr(rows.c.iccid, 1, _STEM_DIGITS)
    digits = sa.func.length(rows.c.iccid)
    alone = (
        sa.select(stem, sa.cast(digits, sa.Text()), sa.func.min(rows.c.iccid))
        .where(digits.in_([_STEM_DIGITS, _STEM_DIGITS + 1]))
        .group_by(stem, digits)
        .having(sa.func.count() == 1)
    )
    table.create(connection)
    _fill(connection, table, ("stem", "digits", "iccid"), alone)


# How bad a discrepancy is: `high` costs money or connectivity now, `medium` should be put right, `low` can wait.
#
# The rules are one table; the first rule that applies decides. `docs/tables.md` tells it to the people who read the
# list.


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


# Status words without a place in the lifecycle: one finding a word, however many SIMs have it.
#
# A SIM whose status is `unknown` has no status mismatch: nobody knows what its word means. To report each of them
# would bury what really differs, and naming the word once mends them all.


#: A carrier that writes another text for each SIM has no status words: the rarest are one finding together.
MOST_WORDS = 20
#: Such a finding is about a word and not about a SIM: this is before the word, in the place of an ICCID.
_WORD = "word:"
_OTHER_WORDS = "words:others"

_sims = carrier_sims.c


def counted_by_carrier_and_word() -> sa.Select[Any]:
    """Return the query for the carriers' unlisted words, with the number of present SIMs; all words are asked for."""
    flagged = sa.cast(_sims.quality_flags, sa.Text()).like(f'%"{UNKNOWN_STATUS_FLAG}"%')
    # Not a parameter: PostgreSQL would take the one in GROUP BY for another expression.
    word = sa.func.coalesce(_sims.carrier_status, sa.literal_column("''"))
    is_unlisted = sa.and_(_sims.status == Lifecycle.UNKNOWN.value, _sims.vanished_at.is_(None), flagged)
    return sa.select(_sims.carrier, word, sa.func.count()).where(is_unlisted).group_by(_sims.carrier, word)


def unlisted_words(connection: sa.Connection, carrier: str) -> list[dict[str, str | None]]:
    """Return a finding for each status word that cannot be compared, as rows of `found`; `ours` is filled by then."""
    query = counted_by_carrier_and_word().where(_sims.carrier == carrier)
    counts = {str(word): int(count) for _carrier, word, count in connection.execute(query)}
    theirs = [_finding("carrier_status", name, theirs=told) for name, told in _by_word(counts)]
    is_unknown = ours.c.status == Lifecycle.UNKNOWN.value
    count = connection.execute(sa.select(sa.func.count()).select_from(ours).where(is_unknown)).scalar_one()
    if not count:
        return theirs
    told = f"{_sims_have(count)} a status word that our list's `statuses` do not name"
    return [*theirs, _finding("status", f"{_WORD}{Lifecycle.UNKNOWN.value}", ours=told)]


def _by_word(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield a name and a sentence for each word, the commonest first, and for the rest of them together."""
    words = sorted(counts, key=lambda word: (-counts[word], word))
    kept = words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1]
    for word in kept:
        yield f"{_WORD}{word}", f"{_sims_have(counts[word])} the unlisted word {word}"
    if rest := words[len(kept) :]:
        others = counted(len(rest), "more unlisted word", "more unlisted words")
        yield _OTHER_WORDS, f"{_sims_have(sum(counts[word] for word in rest))} one of {others}"


def _sims_have(count: int) -> str:
    return counted(count, "SIM has", "SIMs have")


def _finding(field: str, name: str, **told: str) -> dict[str, str | None]:
    row = {"kind": Kind.QUALITY.value, "field": field, "iccid": name, "severity": MEDIUM}
    return {"ours": None, "theirs": None, **row, **told}
