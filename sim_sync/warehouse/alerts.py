"""Rows of `alerts`: opened and closed by whoever looks first, delivered by whoever claims first.

What happens is decided in `core.alerts` and `core.deliveries`. Each method is one short transaction, and nobody talks
to a receiver inside of one. Times are the warehouse's own.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from sim_sync.core.alerts import (
    AlertChanges,
    AlertKind,
    CarrierFacts,
    EndOfAlert,
    NewAlert,
    OpenAlert,
    decide_alerts,
    left_the_configuration,
)
from sim_sync.core.deliveries import (
    LONGEST_WAIT,
    AlertEvent,
    Delivery,
    Outcome,
    announce,
    as_json,
    claim,
    from_json,
    next_attempt_at,
    note,
    receivers_of_the_end,
)
from sim_sync.core.storable import storable_text
from sim_sync.warehouse.engine import read_clock, reading, transaction
from sim_sync.warehouse.overviews import read_open_problems, read_overviews
from sim_sync.warehouse.tables import alerts

#: Any number that no other program locks in the same database, and migrations do not either.
_ADVISORY_LOCK = 7_461_747
#: Who wants to hear of a kind, by the kind.
Subscribers: TypeAlias = Callable[[str], Collection[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One row of `alerts`."""

    id: int
    carrier: str
    kind: str
    opened_at: datetime
    closed_at: datetime | None
    message: str
    deliveries: Sequence[Delivery]
    next_attempt_at: datetime | None
    closing_message: str | None

    def text_of(self, event: AlertEvent) -> str:
        """Return what is told of an event."""
        return self.message if event is AlertEvent.OPENED else self.closing_message or self.message


@dataclass(frozen=True, slots=True)
class Claimed:
    """Deliveries of one alert that one sender alone tries until the claim runs out."""

    alert: Alert
    due: Sequence[Delivery]


class SqlAlerts:
    """The alerts of a warehouse; `clock` replaces the database's in tests."""

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        self._engine = engine
        self._clock = clock

    def evaluate(
        self, max_age_hours: Mapping[str, float], watched: Mapping[AlertKind, float], subscribers: Subscribers
    ) -> AlertChanges:
        """Open what has begun and close what is over at these carriers, and return that.

        Who finds nothing to change, which is usual, takes no lock; who does looks again with it.
        """
        with reading(self._engine, "looking for alerts") as connection:
            changes = self._changes(connection, max_age_hours, watched)
        if not changes:
            return changes
        with transaction(self._engine, "opening and closing alerts") as connection:
            _lock(connection)
            now = self._now(connection)
            changes = self._changes(connection, max_age_hours, watched)
            for new in changes.opened:
                self._open(connection, new, subscribers(new.kind), now)
            for end in changes.ended:
                self._close(connection, end, now)
        return changes

    def _changes(
        self, connection: sa.Connection, max_age_hours: Mapping[str, float], watched: Mapping[AlertKind, float]
    ) -> AlertChanges:
        facts = _facts(connection, max_age_hours, watched, self._now(connection))
        return decide_alerts(facts, watched, _open_alerts(connection, list(max_age_hours)))

    @staticmethod
    def _open(connection: sa.Connection, new: NewAlert, receivers: Collection[str], now: datetime) -> None:
        deliveries = announce(new.carrier, new.kind, now, AlertEvent.OPENED, receivers, now=now)
        values = {"carrier": new.carrier, "kind": new.kind.value, "opened_at": now}
        connection.execute(
            alerts.insert().values(**values, message=storable_text(new.message), **_delivery_values(deliveries))
        )

    @staticmethod
    def _close(connection: sa.Connection, end: EndOfAlert, now: datetime) -> None:
        alert = _locked(connection, end.alert.id)
        told = receivers_of_the_end(alert.deliveries)
        ends = announce(alert.carrier, alert.kind, alert.opened_at, AlertEvent.CLOSED, told, now=now)
        values = {"closed_at": now, "closing_message": storable_text(end.message)}
        _update(connection, alert.id, **values, **_delivery_values([*alert.deliveries, *ends]))

    def close_all_of(self, carrier: str) -> int:
        """Close the open alerts of a carrier that has left the configuration; return how many those were."""
        with transaction(self._engine, "closing alerts") as connection:
            _lock(connection)
            now, left = self._now(connection), _open_alerts(connection, [carrier])
            for alert in left:
                self._close(connection, left_the_configuration(alert), now)
        return len(left)

    def claim_next(self, lease_seconds: float) -> Claimed | None:
        """Claim the deliveries of the oldest alert that are due, for so many seconds; None where nothing is.

        Two senders never get the same one: PostgreSQL skips what another one has locked, SQLite has one writer.
        """
        with reading(self._engine, "looking for alerts to deliver") as connection:
            if connection.execute(_due(self._now(connection))).first() is None:
                return None
        with transaction(self._engine, "claiming an alert") as connection:
            now = self._now(connection)
            row = connection.execute(_due(now).with_for_update(skip_locked=True)).mappings().first()
            if row is None:
                return None
            alert = _alert(row)
            # A person may have set the column to an earlier time than ours.
            is_hurried = alert.next_attempt_at != next_attempt_at(alert.deliveries)
            behind = _behind(connection, alert)
            deliveries, due = claim(alert.deliveries, now, lease_seconds, held_back=behind, is_hurried=is_hurried)
            _update(connection, alert.id, **_delivery_values(deliveries))
        return Claimed(alert, due)

    def note(self, alert_id: int, outcomes: Sequence[Outcome], chance: float) -> None:
        """Write down what became of claimed deliveries, whatever else was written about the alert meanwhile."""
        with transaction(self._engine, "noting what became of an alert") as connection:
            now = self._now(connection)
            deliveries = list(_locked(connection, alert_id).deliveries)
            for outcome in outcomes:
                safe = None if outcome.error is None else storable_text(outcome.error)
                deliveries = note(deliveries, outcome._replace(error=safe), now, chance)
            _update(connection, alert_id, **_delivery_values(deliveries))

    def listed(self, carriers: Sequence[str] | None = None, *, include_closed: bool) -> list[Alert]:
        """Return the alerts that are open or not delivered yet, or all that there ever were, the newest first."""
        columns = alerts.c
        query = sa.select(alerts).order_by(columns.id.desc())
        if not include_closed:
            query = query.where(columns.closed_at.is_(None) | columns.next_attempt_at.is_not(None))
        if carriers is not None:
            query = query.where(columns.carrier.in_(carriers))
        with reading(self._engine, "listing alerts") as connection:
            return [_alert(row) for row in connection.execute(query).mappings()]

    def now(self) -> datetime:
        """Return the warehouse's own time."""
        with reading(self._engine, "reading the clock") as connection:
            return self._now(connection)

    def _now(self, connection: sa.Connection) -> datetime:
        return read_clock(connection) if self._clock is None else self._clock()


def _lock(connection: sa.Connection) -> None:
    """Let one sender at a time decide. In SQLite a writing transaction is alone from its beginning."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))


def _facts(
    connection: sa.Connection, max_age_hours: Mapping[str, float], watched: Collection[AlertKind], now: datetime
) -> list[CarrierFacts]:
    carriers = list(max_age_hours)
    problems = read_open_problems(connection, carriers) if AlertKind.FINDINGS_OVER in watched else {}
    return [
        CarrierFacts(
            overview=one,
            now=now,
            max_age_hours=max_age_hours[one.carrier],
            findings=sum(problems.get(one.carrier, {}).values()),
        )
        for one in read_overviews(connection, carriers)
    ]


def _open_alerts(connection: sa.Connection, carriers: Sequence[str]) -> list[OpenAlert]:
    columns = alerts.c
    query = sa.select(columns.id, columns.carrier, columns.kind)
    query = query.where(columns.carrier.in_(carriers), columns.closed_at.is_(None))
    return [OpenAlert(*row) for row in connection.execute(query)]


def _due(now: datetime) -> sa.Select[Any]:
    """Return the query of the oldest alert with something to send; a time that no wait reaches is due, too."""
    at = alerts.c.next_attempt_at
    return sa.select(alerts).where((at <= now) | (at > now + 2 * LONGEST_WAIT)).order_by(alerts.c.id).limit(1)


def _behind(connection: sa.Connection, alert: Alert) -> set[str]:
    """Return the receivers that have not got everything about earlier alerts of the same carrier and kind."""
    columns = alerts.c
    query = sa.select(columns.deliveries).where(columns.carrier == alert.carrier, columns.kind == alert.kind)
    query = query.where(columns.id < alert.id, columns.next_attempt_at.is_not(None))
    earlier = [one for (stored,) in connection.execute(query) for one in from_json(stored)]
    return {one.receiver for one in earlier if not one.is_settled}


def _locked(connection: sa.Connection, alert_id: int) -> Alert:
    row = connection.execute(sa.select(alerts).where(alerts.c.id == alert_id).with_for_update()).mappings().one()
    return _alert(row)


def _alert(row: Mapping[Any, Any]) -> Alert:
    return Alert(**dict(row) | {"deliveries": from_json(row["deliveries"])})


def _update(connection: sa.Connection, alert_id: int, **values: Any) -> None:
    connection.execute(alerts.update().where(alerts.c.id == alert_id).values(**values))


def _delivery_values(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {"deliveries": as_json(deliveries), "next_attempt_at": next_attempt_at(deliveries)}
