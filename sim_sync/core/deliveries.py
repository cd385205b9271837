"""How an alert reaches its receivers: each gets its opening and its end once, in this order, however often it takes.

A delivery is claimed before it is tried and noted after it. Who dies in between leaves a claim that runs out: the next
attempt may then bring a second copy, with the same id. Pure; the rows are in `warehouse.alerts`.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sim_sync.core.backoff import wait_seconds

BASE_SECONDS = 30.0
CEILING_SECONDS = 900.0
#: A receiver that names a longer wait is tried again after this.
LONGEST_WAIT = timedelta(hours=1)
#: What could not be delivered for so long is given up: it would be read as news.
GIVE_UP_AFTER = timedelta(hours=72)


class AlertEvent(StrEnum):
    """What is told of an alert."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one receiver. `id` is the same in every attempt; `due_at` is when it may be tried next.

    A delivery that is claimed is due when the claim runs out.
    """

    receiver: str
    event: AlertEvent
    id: str
    announced_at: datetime
    due_at: datetime
    attempts: int = 0
    delivered_at: datetime | None = None
    gave_up_at: datetime | None = None
    last_error: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be sent any more."""
        return self.delivered_at is not None or self.gave_up_at is not None


class Outcome(NamedTuple):
    """What became of a delivery that was claimed: `error` None is delivered; an untried one costs no attempt."""

    delivery_id: str
    error: str | None = None
    retry_after_seconds: float | None = None
    was_tried: bool = True


def announce(
    carrier: str, kind: str, opened_at: datetime, event: AlertEvent, receivers: Collection[str], *, now: datetime
) -> list[Delivery]:
    """Return the deliveries of an event to its receivers, all due now."""
    return [
        Delivery(
            receiver=receiver,
            event=event,
            id=delivery_id(carrier, kind, opened_at, event, receiver),
            announced_at=now,
            due_at=now,
        )
        for receiver in receivers
    ]


def delivery_id(carrier: str, kind: str, opened_at: datetime, event: str, receiver: str) -> str:
    """Return what tells a message from every other one: a receiver that has seen it may drop the second copy."""
    named = "\n".join([carrier, kind, opened_at.isoformat(), event, receiver])
    return hashlib.sha256(named.encode()).hexdigest()[:32]


def receivers_of_the_end(deliveries: Sequence[Delivery]) -> list[str]:
    """Return who is told that an alert is over: who was told that it opened, or still will be."""
    return [one.receiver for one in deliveries if one.event is AlertEvent.OPENED and one.gave_up_at is None]


def next_attempt_at(deliveries: Sequence[Delivery]) -> datetime | None:
    """Return when something is to be done about an alert next; None where all is delivered or given up."""
    return min((one.due_at for one in _waiting(deliveries)), default=None)


def claim(
    deliveries: Sequence[Delivery],
    now: datetime,
    seconds: float,
    *,
    held_back: Collection[str] = (),
    is_hurried: bool = False,
) -> tuple[list[Delivery], list[Delivery]]:
    """Return the deliveries with those that are due put off for so many seconds, and those that the claimer may try.

    Args:
        deliveries: of one alert.
        now: the warehouse's time.
        seconds: how long the claim lasts.
        held_back: receivers that have not got an earlier alert of the same kind: they are told in order.
        is_hurried: somebody wants all that waits to be tried now.
    """
    due = {one.id for one in _waiting(deliveries) if is_hurried or is_due(one.due_at, now)}
    after = [replace(one, due_at=now + timedelta(seconds=seconds)) if one.id in due else one for one in deliveries]
    return after, [one for one in after if one.id in due and one.receiver not in held_back]


def is_due(due_at: datetime, now: datetime) -> bool:
    """Return whether a time has come, or lies farther ahead than any wait: then it was written by a wrong clock."""
    return due_at <= now or due_at - now > 2 * LONGEST_WAIT


def note(deliveries: Sequence[Delivery], outcome: Outcome, now: datetime, chance: float) -> list[Delivery]:
    """Return the deliveries with what became of one of them. What is settled stays: a late failure undoes nothing."""
    return [
        _noted(one, outcome, now, chance) if one.id == outcome.delivery_id and one.delivered_at is None else one
        for one in deliveries
    ]


def _noted(delivery: Delivery, outcome: Outcome, now: datetime, chance: float) -> Delivery:
    if outcome.was_tried and outcome.error is None:
        return replace(delivery, attempts=delivery.attempts + 1, delivered_at=now, gave_up_at=None, last_error=None)
    wait = wait_seconds(
        delivery.attempts,
        base_seconds=BASE_SECONDS,
        ceiling_seconds=CEILING_SECONDS,
        chance=chance,
        retry_after_seconds=outcome.retry_after_seconds,
    )
    is_too_old = now - delivery.announced_at > GIVE_UP_AFTER
    return replace(
        delivery,
        attempts=delivery.attempts + outcome.was_tried,
        due_at=now + min(timedelta(seconds=wait), LONGEST_WAIT),
        last_error=outcome.error or delivery.last_error,
        gave_up_at=now if is_too_old else delivery.gave_up_at,
    )


def _waiting(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return what may be sent: the end of an alert only when its opening is settled at the same receiver."""
    unopened = {one.receiver for one in deliveries if one.event is AlertEvent.OPENED and not one.is_settled}
    return [
        one
        for one in deliveries
        if not one.is_settled and (one.event is AlertEvent.OPENED or one.receiver not in unopened)
    ]


_TIMES = ("announced_at", "due_at", "delivered_at", "gave_up_at")
_NAMES = frozenset(field.name for field in fields(Delivery))


def as_json(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """Return deliveries as the column `deliveries` holds them, times in ISO 8601."""
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(one).items()}
        for one in deliveries
    ]


def from_json(stored: Sequence[Mapping[str, Any]]) -> list[Delivery]:
    """Return the deliveries that a column holds; keys of another version are dropped."""
    return [_from_json(one) for one in stored]


def _from_json(stored: Mapping[str, Any]) -> Delivery:
    values = {name: value for name, value in stored.items() if name in _NAMES}
    for name in _TIMES:
        if values.get(name) is not None:
            values[name] = datetime.fromisoformat(values[name])
    return Delivery(**values | {"event": AlertEvent(values["event"])})
