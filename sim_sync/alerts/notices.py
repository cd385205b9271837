"""What a receiver gets to read: one event of one alert, as JSON, as a line of Slack, or as a mail. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sim_sync.core.alerts import TITLES
from sim_sync.core.deliveries import AlertEvent, Delivery
from sim_sync.core.text import printable
from sim_sync.warehouse.alerts import Alert

#: The version of the JSON; a key may be added without a new one.
VERSION = 1
TEST = "test"
#: What Slack takes for markup (https://docs.slack.dev/messaging/formatting-message-text).
_SLACK_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_SLACK_SIGNS = {AlertEvent.OPENED: ":red_circle:", AlertEvent.CLOSED: ":large_green_circle:"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message. `id` is the same in every attempt to deliver it, `alert` in the opening and the end of an alert."""

    id: str
    event: str
    alert: int | None
    kind: str
    carrier: str | None
    message: str
    opened_at: datetime
    closed_at: datetime | None = None

    @property
    def title(self) -> str:
        """What it is about, in a few words."""
        if self.event == TEST:
            return "sim_sync: a test message"
        over = " is over" if self.event == AlertEvent.CLOSED else ""
        return f"{self.carrier}: {TITLES.get(self.kind, self.kind)}{over}"


def notice_of(alert: Alert, delivery: Delivery) -> Notice:
    """Return what a delivery tells of its alert."""
    is_end = delivery.event is AlertEvent.CLOSED
    return Notice(
        id=delivery.id,
        event=delivery.event.value,
        alert=alert.id,
        kind=alert.kind,
        carrier=alert.carrier,
        message=printable(alert.text_of(delivery.event)),
        opened_at=alert.opened_at,
        closed_at=alert.closed_at if is_end else None,
    )


def trial_notice(receiver: str, now: datetime) -> Notice:
    """Return a message that says of itself that nothing has happened."""
    return Notice(
        id=f"test-{now:%Y%m%dT%H%M%S.%fZ}",
        event=TEST,
        alert=None,
        kind=TEST,
        carrier=None,
        message=f"This is a test of the receiver {receiver}, sent by `sim-sync alerts test`. Nothing has happened.",
        opened_at=now,
    )


def generic_body(notice: Notice) -> bytes:
    """Return a message as our own JSON: an object of texts, times in ISO 8601 with their offset."""
    return _encoded(
        {
            "version": VERSION,
            "id": notice.id,
            "event": notice.event,
            "alert": notice.alert,
            "kind": notice.kind,
            "carrier": notice.carrier,
            "title": notice.title,
            "message": notice.message,
            "opened_at": notice.opened_at.isoformat(),
            "closed_at": None if notice.closed_at is None else notice.closed_at.isoformat(),
        }
    )


def slack_body(notice: Notice) -> bytes:
    """Return a message as an incoming webhook of Slack takes it; nothing in it is markup but the title's stars."""
    sign = _SLACK_SIGNS.get(AlertEvent(notice.event), "") if notice.event != TEST else ":white_circle:"
    return _encoded({"text": f"{sign} *{_slack_text(notice.title)}*\n{_slack_text(notice.message)}"})


def _slack_text(text: str) -> str:
    for sign, escape in _SLACK_ESCAPES:
        text = text.replace(sign, escape)
    return text


def _encoded(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=True).encode("ascii")
