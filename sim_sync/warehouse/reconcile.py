"""The comparison of our list with what the carrier says, and the history of what differs, all in set-based SQL.

One transaction: what the carrier shares with others (`shared_sims`), which SIM is which (`matching`), what differs now
(`differences`) with its severity, advice and price, and, in here, what that makes of `sim_discrepancies`: opened, seen
again, resolved by which side. No row passes through Python. A row of the trend is written with it.

A discrepancy is open while `resolved_at` is null. One that comes back after it was resolved is opened again: since now,
seen once. A comparison of what was compared before writes only what has become different; which one that is, is told
by its number (`knowledge`).

A SIM may move between carriers. So a comparison also corrects what the last comparisons of the other carriers have
found about the SIMs that it shares with them: whichever was compared last, all come to the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS, CompanyRules, Kind, Side
from sim_sync.core.errors import InputError
from sim_sync.core.session import Session
from sim_sync.warehouse.differences import compared_form, find_differences, follow_iccid_forms, found
from sim_sync.warehouse.discrepancies import BY_ID, UNMUTED, amount_of, create_prices, plan_prices, unmuted_if
from sim_sync.warehouse.engine import read_clock, transaction
from sim_sync.warehouse.knowledge import Comparison, last_comparisons, next_comparison
from sim_sync.warehouse.matching import forget_matches, is_ours, ours, pairs, there, word_is_used
from sim_sync.warehouse.sessions import read_last_completed
from sim_sync.warehouse.shared_sims import Placement, forget_shared, in_scope, is_placed, place_shared
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies
from sim_sync.warehouse.temporary import lock_comparisons
from sim_sync.warehouse.trend import Counted, count_kept, write_trend

_kept = sim_discrepancies.c
_TOLD = ("ours", "theirs", "severity", "advice")
_NO_RULES = CompanyRules()


class KindCounts(NamedTuple):
    """What a comparison did to one kind: what it wrote, and how many are `open` after it, acknowledged ones too."""

    opened: int
    seen_again: int
    resolved: int
    open: int


@dataclass(frozen=True, slots=True)
class ReconcileCounts:
    """What a comparison did, by kind. `as_of` is the time of the knowledge that was compared."""

    as_of: datetime
    kinds: Mapping[Kind, KindCounts]

    def by_kind(self) -> dict[str, dict[str, int]]:
        """Return the counts as plain words and numbers."""
        return {kind.value: counts._asdict() for kind, counts in self.kinds.items()}


def reconcile(
    engine: sa.Engine, carrier: str, fields: Sequence[str], rules: CompanyRules = _NO_RULES
) -> ReconcileCounts:
    """Compare our list with the carrier's last complete walk, and bring `sim_discrepancies` to what differs now.

    Args:
        engine: the warehouse.
        carrier: whose SIMs are compared.
        fields: which of `COMPARABLE_FIELDS` are compared; one is compared only where both sides tell it.
        rules: what the company says beside that; without it there are no other carriers and no prices.

    Raises:
        InputError: a field cannot be compared, or the carrier was never walked to its end.
        WarehouseUnavailable: the transaction did not happen.
    """
    if strange := [name for name in fields if name not in COMPARABLE_FIELDS]:
        raise InputError(f"cannot compare {', '.join(strange)}: expected some of {', '.join(COMPARABLE_FIELDS)}")
    with transaction(engine, f"comparing carrier {carrier} with our inventory") as connection:
        lock_comparisons(connection, sorted({carrier, *rules.carriers}))
        walk = _last_complete_walk(connection, carrier)
        before = last_comparisons(connection, [carrier])[carrier]
        comparison = next_comparison(connection, carrier, walk)
        others = last_comparisons(connection, [name for name in rules.carriers if name != carrier])
        create_prices(connection, rules.prices)
        to_correct = place_shared(connection, carrier, {name: one is not None for name, one in others.items()})
        comparing = _Comparing(connection, fields, rules, read_clock(connection))
        counted = comparing.compare(carrier, comparison, before, walk.session_id)
        for other in to_correct:
            if (last := others[other]) is not None:
                comparing.correct(other, last, comparison.as_of)
        forget_shared(connection)
        plan_prices.drop(connection)
    return ReconcileCounts(comparison.as_of, _by_kind(counted))


def _last_complete_walk(connection: sa.Connection, carrier: str) -> Session:
    """Return the carrier's last completed session: without one, every SIM of ours would seem to be missing."""
    walks = read_last_completed(connection, [carrier])
    if not walks:
        raise InputError(
            f"carrier {carrier} was never walked to its end, so there is nothing to compare our inventory with: "
            f"run `sim-sync backfill {carrier}` first"
        )
    return walks[0]


def _by_kind(counted: Sequence[Counted]) -> Mapping[Kind, KindCounts]:
    def total(kind: Kind) -> KindCounts:
        mine = [one for one in counted if one.kind == kind.value]
        return KindCounts(
            opened=sum(one.new for one in mine),
            seen_again=sum(one.seen_again for one in mine),
            resolved=sum(one.resolved for one in mine),
            open=sum(one.open + one.muted for one in mine),
        )

    return {kind: total(kind) for kind in Kind}


class _Comparing:
    """One reconciliation: the carrier that is compared, and what it corrects about others."""

    def __init__(self, connection: sa.Connection, fields: Sequence[str], rules: CompanyRules, now: datetime) -> None:
        self._connection = connection
        self._fields = fields
        self._rules = rules
        self._now = now

    def compare(
        self, carrier: str, comparison: Comparison, before: Comparison | None, session_id: str
    ) -> Sequence[Counted]:
        """Find what differs at a carrier, and bring its history to that. `before` is its comparison before this one."""
        find_differences(self._connection, carrier, self._fields, self._rules)
        follow_iccid_forms(self._connection, carrier)
        mine = _kept.carrier == carrier
        if before is not None:
            opened_since = sa.and_(mine, _kept.first_seen_at > before.as_of)
            self._forget_seeming(carrier, opened_since, before.number)
        is_again = before is not None and before.number == comparison.number
        self._keep_history(carrier, comparison, mine, comparison.as_of, is_again=is_again)
        return self._count(carrier, comparison, session_id)

    def correct(self, carrier: str, last: Comparison, since: datetime) -> None:
        """Bring what a carrier's last comparison found about shared SIMs to what is known since another one's."""
        find_differences(self._connection, carrier, self._fields, self._rules, only_shared=True)
        mine = sa.and_(_kept.carrier == carrier, _kept.kind != Kind.QUALITY.value, _kept.iccid.in_(in_scope(carrier)))
        self._forget_seeming(carrier, mine, last.number)
        self._keep_history(carrier, last, mine, since, is_again=True)
        self._count(carrier, last, None)

    def _forget_seeming(self, carrier: str, mine: sa.ColumnElement[bool], number: int) -> None:
        """Delete what a comparison only seemed to open, because what another carrier or our list has was not known yet.

        In a night one carrier after the other is loaded, walked and compared. In between, a SIM that has moved, or that
        our list has moved, is nowhere or twice; a duplicate that the carrier's own walk does not confirm was a move.
        """
        opened = sa.and_(mine, _kept.first_comparison_number == number, _kept.resolved_at.is_(None))
        is_elsewhere = sa.exists().where(
            found.c.kind == Kind.WRONG_CARRIER.value, found.c.field == "", found.c.iccid == _kept.iccid
        )
        has_moved = sa.or_(is_elsewhere, is_placed(carrier, _kept.iccid, Placement.LEFT))
        seeming = sa.or_(
            _kept.kind.in_([Kind.UNKNOWN_TO_US.value, Kind.MISSING_AT_CARRIER.value]),
            sa.and_(_kept.kind == Kind.DUPLICATE_ICCID.value, has_moved),
        )
        self._connection.execute(sim_discrepancies.delete().where(opened, seeming, ~_is_found()))

    def _keep_history(
        self, carrier: str, comparison: Comparison, mine: sa.ColumnElement[bool], since: datetime, *, is_again: bool
    ) -> None:
        """Bring the history of `mine` to what is found. `is_again` where the comparison of this number is not new."""
        as_of, number, run = comparison.as_of, comparison.number, self._connection.execute
        told = self._told()
        key, is_open = sa.and_(mine, _same()), _kept.resolved_at.is_(None)
        update = sim_discrepancies.update()
        is_news = sa.or_(*(_kept[name].is_distinct_from(told[name]) for name in ("ours", "theirs")))
        now_told = {**told, **unmuted_if(is_news)}
        seen_now = {"last_seen_at": as_of, "last_comparison_number": number}
        now_first = {"first_seen_at": since, "last_seen_at": since, "last_comparison_number": number}
        since_now = {**now_first, "first_comparison_number": number, "times_seen": 1}

        gone = sa.and_(mine, is_open, ~_is_found())
        by = resolved_by(carrier, self._fields, self._rules)
        run(update.where(gone).values(resolved_at=as_of, resolved_by=by))
        if is_again:  # only what has become different is written
            differs = sa.or_(*(_kept[name].is_distinct_from(column) for name, column in told.items()))
            run(update.where(key, is_open, _kept.last_comparison_number >= number, differs).values(**now_told))
        again = {**now_told, **seen_now, "times_seen": _kept.times_seen + 1}
        run(update.where(key, is_open, _kept.last_comparison_number < number).values(**again))
        back = {**told, **since_now, **UNMUTED, "resolved_at": None, "resolved_by": None}
        run(update.where(key, ~is_open).values(**back))
        self._insert_new(carrier, since_now)

    def _told(self) -> dict[str, sa.ColumnElement[Any]]:
        return {
            **{name: found.c[name] for name in _TOLD},
            "monthly_cost": amount_of(self._connection, found.c.units),
        }

    def _insert_new(self, carrier: str, since_now: Mapping[str, Any]) -> None:
        keys = [found.c[name] for name in ("kind", "field", "iccid")]
        told = self._told()
        known = sa.and_(_kept.carrier == carrier, _same())
        times = [sa.literal(value, _kept[name].type) for name, value in since_now.items()]
        new = sa.select(sa.literal(carrier, sa.Text()), *keys, *told.values(), *times).where(~sa.exists().where(known))
        columns = ["carrier", "kind", "field", "iccid", *told, *since_now]
        self._connection.execute(sim_discrepancies.insert().from_select(columns, new))

    def _count(self, carrier: str, comparison: Comparison, session_id: str | None) -> Sequence[Counted]:
        found.drop(self._connection)
        forget_matches(self._connection)
        as_of, number = comparison.as_of, comparison.number
        counted = count_kept(self._connection, carrier, number=number, as_of=as_of, now=self._now)
        write_trend(
            *(self._connection, carrier, counted, self._rules.prices),
            as_of=as_of,
            number=number,
            session_id=session_id,
        )
        return counted


def _same() -> sa.ColumnElement[bool]:
    return sa.and_(found.c.kind == _kept.kind, found.c.field == _kept.field, found.c.iccid == _kept.iccid)


def _is_found() -> sa.ColumnElement[bool]:
    return sa.exists().where(_same())


# Who ended a discrepancy: our list, the carrier, or nobody but the configuration. Told from what both sides say now.
#
# Runs while the tables of `matching` are there; its expressions look at one row of `sim_discrepancies`.


_OURS, _THEIRS, _CONFIG = (sa.literal(side.value, sa.Text()) for side in (Side.OURS, Side.THEIRS, Side.CONFIG))


def resolved_by(carrier: str, fields: Sequence[str], rules: CompanyRules) -> sa.ColumnElement[str]:
    """Return which side ended a discrepancy that is not found any more."""
    of_kind = {
        Kind.MISSING_AT_CARRIER: sa.case((~_is_ours(), _OURS), else_=_THEIRS),
        Kind.UNKNOWN_TO_US: _of_unknown(carrier),
        Kind.WRONG_CARRIER: _of_wrong_carrier(carrier, rules),
        Kind.DUPLICATE_ICCID: _of_duplicate(carrier, rules),
        Kind.MISMATCH: _of_mismatch(fields),
        Kind.QUALITY: _of_quality(carrier, fields),
    }
    return sa.case(*((_kept.kind == kind.value, side) for kind, side in of_kind.items()), else_=_CONFIG)


def _is_ours() -> sa.ColumnElement[bool]:
    return sa.exists().where(ours.c.iccid == _kept.iccid)


def _is_there() -> sa.ColumnElement[bool]:
    return sa.exists().where(there.c.iccid == _kept.iccid)


def _has_id(carrier: str) -> sa.ColumnElement[bool]:
    """Return whether a SIM that is named by its id is there, still without an ICCID."""
    sims = carrier_sims.c
    return sa.exists().where(
        _kept.iccid.startswith(BY_ID),
        sims.carrier == carrier,
        sims.sim_id == sa.func.substr(_kept.iccid, len(BY_ID) + 1),
        sims.vanished_at.is_(None),
        sims.iccid.is_(None),
    )


def _of_unknown(carrier: str) -> sa.ColumnElement[str]:
    is_listed_elsewhere = is_placed(carrier, _kept.iccid, Placement.WRONG_CARRIER)
    return sa.case(
        (is_ours(_kept.iccid), _OURS),
        (is_listed_elsewhere, _OURS),
        (_has_id(carrier), _CONFIG),
        else_=_THEIRS,
    )


def _of_wrong_carrier(carrier: str, rules: CompanyRules) -> sa.ColumnElement[str]:
    """One that is there still has been found on our list, or is on it no more; a carrier may have left the config."""
    return sa.case(
        (_kept.ours.not_in([carrier, *rules.carriers]), _CONFIG),
        (is_placed(carrier, _kept.iccid, Placement.DUPLICATE_ICCID), _THEIRS),
        (_is_there(), _OURS),
        else_=_THEIRS,
    )


def _of_duplicate(carrier: str, rules: CompanyRules) -> sa.ColumnElement[str]:
    known = sorted({carrier, *rules.carriers})
    names_known = sa.or_(*(_kept.theirs.startswith(f"{name}, ", autoescape=True) for name in known))
    is_here = sa.and_(_is_there(), _kept.field == "", ~names_known)
    return sa.case((is_here, _CONFIG), else_=_THEIRS)


def _of_mismatch(fields: Sequence[str]) -> sa.ColumnElement[str]:
    is_paired = sa.exists().where(pairs.c.iccid == _kept.iccid)
    values = [(_kept.field == name, _who_changed(name)) for name in dict.fromkeys(fields)]
    no_longer_compared = sa.and_(_kept.field.in_(COMPARABLE_FIELDS), _kept.field.not_in(list(fields)))
    return sa.case((~_is_ours(), _OURS), (~is_paired, _THEIRS), (no_longer_compared, _CONFIG), *values, else_=_THEIRS)


def _who_changed(name: str) -> sa.ColumnElement[str]:
    mine = sa.select(compared_form(name, ours.c[name])).where(ours.c.iccid == _kept.iccid).scalar_subquery()
    # One look-up in the other, and no join: PostgreSQL would make that by reading both tables for each row.
    of_pair = sa.select(pairs.c.their_iccid).where(pairs.c.iccid == _kept.iccid)
    their_iccid = of_pair.correlate(sim_discrepancies).scalar_subquery()
    told = sa.select(compared_form(name, there.c[name])).where(there.c.iccid == their_iccid).scalar_subquery()
    mine_was, told_was = compared_form(name, _kept.ours), compared_form(name, _kept.theirs)
    we_changed, they_changed = mine.is_distinct_from(mine_was), told.is_distinct_from(told_was)
    return sa.case(
        (sa.and_(we_changed, ~they_changed), _OURS),
        (sa.and_(we_changed, they_changed, mine.is_not_distinct_from(told_was)), _OURS),
        (they_changed, _THEIRS),
        else_=_CONFIG,
    )


def _of_quality(carrier: str, fields: Sequence[str]) -> sa.ColumnElement[str]:
    """A word that is still in use has been listed, or statuses are not compared any more."""
    is_of_status = _kept.field.in_(["status", "carrier_status"])
    cases = [] if "status" in fields else [(is_of_status, _CONFIG)]
    return sa.case(
        *cases,
        (_kept.field == "status", _OURS),
        (sa.and_(_kept.field == "carrier_status", word_is_used(carrier, _kept.iccid)), _CONFIG),
        else_=_THEIRS,
    )
