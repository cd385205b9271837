"""What becomes of one message: what is settled stays, and the column holds all of it."""

from datetime import timedelta

from sim_sync.core.deliveries import AlertEvent, Outcome, announce, as_json, claim, from_json, next_attempt_at, note
from sim_sync_tests.fakes.clock import START

ANNOUNCED = announce("acme", "session_failed", START, AlertEvent.OPENED, ["webhook", "smtp"], now=START)
END = announce("acme", "session_failed", START, AlertEvent.CLOSED, ["webhook", "smtp"], now=START)


def test_a_late_failure_undoes_no_delivery() -> None:
    first, _ = ANNOUNCED
    delivered = note(ANNOUNCED, Outcome(first.id), START, 0.5)
    assert note(delivered, Outcome(first.id, "HTTP 500"), START + timedelta(hours=1), 0.5) == delivered


def test_the_column_holds_all_of_a_delivery_and_drops_what_another_version_wrote() -> None:
    tried = note(ANNOUNCED, Outcome(ANNOUNCED[0].id, "HTTP 500"), START, 0.5)
    stored = [one | {"colour": "red"} for one in as_json(tried)]
    assert from_json(stored) == tried


def test_every_message_has_an_id_of_its_own_that_is_the_same_each_time() -> None:
    again = announce("acme", "session_failed", START, AlertEvent.OPENED, ["webhook", "smtp"], now=START)
    others = announce("acme", "session_failed", START + timedelta(seconds=1), AlertEvent.OPENED, ["webhook"], now=START)
    assert [one.id for one in again] == [one.id for one in ANNOUNCED]
    assert len({one.id for one in (*ANNOUNCED, *END, *others)}) == 5


def test_an_end_waits_for_its_opening_at_the_same_receiver_alone() -> None:
    webhook, _ = ANNOUNCED
    deliveries = note([*ANNOUNCED, *END], Outcome(webhook.id), START, 0.5)
    _, due = claim(deliveries, START, 60)
    assert [(one.receiver, one.event) for one in due] == [("smtp", AlertEvent.OPENED), ("webhook", AlertEvent.CLOSED)]


def test_where_all_is_delivered_nothing_is_to_be_done() -> None:
    deliveries = ANNOUNCED
    for one in ANNOUNCED:
        deliveries = note(deliveries, Outcome(one.id), START, 0.5)
    assert next_attempt_at(deliveries) is None
