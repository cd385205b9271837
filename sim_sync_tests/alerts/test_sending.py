"""From the tables to the receivers: once per event and once when it is over, whoever dies and whoever sends too."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sim_sync.alerts import Receiver, Sent, send_alerts
from sim_sync.config import Config, load_config
from sim_sync.config.alerts import Alerts
from sim_sync.core.deliveries import CEILING_SECONDS, GIVE_UP_AFTER
from sim_sync.core.errors import DeliveryFailed
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release
from sim_sync.warehouse.alerts import SqlAlerts
from sim_sync.warehouse.overviews import carrier_figures
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import alerts, sim_discrepancies
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import FIRST_CURSOR, a_page, a_request, a_sim
from sim_sync_tests.fakes.receiver import RememberingReceiver

_DEAD = DeliveryFailed("HTTP 503")
#: The claim of a sender that died has run out, and so has every backoff.
_LONG = 2 * CEILING_SECONDS


def a_config(folder: Path, alerts: Mapping[str, Any]) -> Config:
    """Return a configuration of one carrier with this section."""
    document = f"carriers: {{acme: {{type: emnify, auth: {{application_token: x}}}}}}\nalerts: {dict(alerts)!r}\n"
    (folder / "carriers.yaml").write_text(document, encoding="utf-8")
    return load_config(folder / "carriers.yaml", environ={})


class Sending:
    """A warehouse, its alerts, and receivers that remember."""

    def __init__(self, engine: sa.Engine, folder: Path, *on: Any, receivers: int = 1) -> None:
        self.clock = SettableClock()
        self.engine = engine
        self.store = SqlSessionStore(engine, clock=self.clock.now)
        self.alerts = SqlAlerts(engine, clock=self.clock.now)
        urls = [{"url": "https://hooks.example"} for _ in range(receivers)]
        self.config = a_config(folder, {"on": list(on), "webhook": urls})
        assert self.config.alerts is not None
        self.settings: Alerts = self.config.alerts
        self.receivers = {name: RememberingReceiver(name) for name in self.settings.named()}

    @property
    def receiver(self) -> RememberingReceiver:
        return self.receivers["webhook"]

    def send(self, alerts: SqlAlerts | None = None, **options: Any) -> Sent:
        """Do one round, as a tick or a command does."""
        receivers: Mapping[str, Receiver] = self.receivers
        return send_alerts(self.config, self.settings, alerts or self.alerts, receivers, chance=lambda: 0.5, **options)

    def fail_session(self) -> None:
        session = self.store.open_session(a_request()).session
        self.store.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401"))

    def resume_and_commit_a_page(self) -> None:
        session = self.store.open_session(a_request("run-2", Trigger.OPERATOR)).session
        self.clock.advance(1)
        assert session.cursor is not None
        self.store.commit_page(session.claim, session.cursor, a_page([a_sim(1)], {"page": session.pages_done + 1}))

    def set_findings(self, count: int) -> None:
        """Let so many discrepancies be open."""
        now = self.clock.now()
        plain: dict[str, Any] = {"carrier": "acme", "kind": "mismatch", "field": "label", "severity": "low"}
        plain |= {"first_seen_at": now, "last_seen_at": now}
        with self.engine.begin() as connection:
            connection.execute(sim_discrepancies.delete())
            if count:
                connection.execute(sim_discrepancies.insert(), [plain | {"iccid": str(n)} for n in range(count)])


@pytest.fixture
def sending(engine: sa.Engine, tmp_path: Path) -> Sending:
    return Sending(engine, tmp_path, "session_failed")


OPENED, CLOSED = ("session_failed", "opened"), ("session_failed", "closed")


def test_an_event_is_told_once_and_once_when_it_is_over(sending: Sending) -> None:
    sending.send()
    assert sending.receiver.events == []
    sending.fail_session()
    for _ in range(3):
        sending.send()
        sending.clock.advance(60)
    assert sending.receiver.events == [OPENED]
    sending.resume_and_commit_a_page()
    for _ in range(3):
        sending.send()
        sending.clock.advance(60)
    assert sending.receiver.events == [OPENED, CLOSED]
    opening, end = sending.receiver.told
    assert (opening.alert, opening.opened_at, opening.closed_at) == (end.alert, end.opened_at, None)
    assert end.closed_at is not None
    assert opening.id != end.id


def test_a_look_asks_the_warehouse_nothing_twice(sending: Sending) -> None:
    sending.fail_session()
    sending.send()
    seen: list[str] = []
    sa.event.listen(sending.engine, "before_cursor_execute", lambda _c, _cu, text, *_: seen.append(text))
    assert not sending.alerts.evaluate({"acme": 36.0}, sending.settings.watched, sending.settings.receivers_of)
    asked = [text for text in seen if text.startswith("SELECT")]
    assert sorted(asked) == sorted(set(asked))


def test_an_event_that_comes_again_after_its_end_is_told_again(sending: Sending) -> None:
    sending.fail_session()
    sending.send()
    sending.resume_and_commit_a_page()
    sending.send()
    (session,) = sending.store.latest_sessions(["acme"])
    sending.store.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401"))
    sending.clock.advance(1)
    sending.send()
    assert sending.receiver.events == [OPENED, CLOSED, OPENED]
    assert len({notice.id for notice in sending.receiver.told}) == 3


def test_what_a_dead_receiver_did_not_take_is_kept_and_told_when_it_lives(sending: Sending) -> None:
    sending.receiver.failure = _DEAD
    sending.fail_session()
    assert sending.send().failed == ["webhook: HTTP 503"]
    sending.resume_and_commit_a_page()
    sending.send()
    sending.receiver.failure = None
    sending.clock.advance(_LONG)
    sending.send()
    assert sending.receiver.events == [OPENED, CLOSED]


def test_a_restart_in_between_changes_nothing(sending: Sending) -> None:
    sending.receiver.failure = _DEAD
    sending.fail_session()
    sending.send()
    sending.receiver.failure = None
    sending.clock.advance(_LONG)
    sending.send(SqlAlerts(sending.engine, clock=sending.clock.now))
    sending.send(SqlAlerts(sending.engine, clock=sending.clock.now))
    assert sending.receiver.events == [OPENED]


def test_a_dead_receiver_is_tried_again_later_and_later_up_to_a_quarter_of_an_hour(sending: Sending) -> None:
    sending.receiver.failure = _DEAD
    sending.fail_session()
    waits = []
    for _ in range(8):
        sending.send()
        (alert,) = sending.alerts.listed(include_closed=True)
        assert alert.next_attempt_at is not None
        waits.append((alert.next_attempt_at - sending.clock.now()).total_seconds())
        sending.clock.set(alert.next_attempt_at)
    assert waits == [45, 75, 135, 255, 495, 915, 915, 915]
    assert sending.receiver.attempts == 8


def test_the_metrics_tell_what_no_receiver_has_taken(sending: Sending) -> None:
    def undelivered() -> list[int]:
        figures = carrier_figures(sending.engine, {"acme": 36.0, "zeta": 36.0}, sending.clock.now())
        return [one.undelivered_alerts for one in figures]

    sending.receiver.failure = _DEAD
    sending.fail_session()
    sending.send()
    assert undelivered() == [1, 0]
    sending.receiver.failure = None
    sending.clock.advance(_LONG)
    sending.send()
    assert undelivered() == [0, 0]


def test_a_person_may_set_the_next_attempt_to_now(sending: Sending) -> None:
    sending.receiver.failure = _DEAD
    sending.fail_session()
    sending.send()
    sending.receiver.failure = None
    with sending.engine.begin() as connection:
        connection.execute(alerts.update().values(next_attempt_at=sending.clock.now()))
    sending.send()
    assert sending.receiver.events == [OPENED]


def test_a_wait_that_a_receiver_names_is_kept(sending: Sending) -> None:
    sending.receiver.failure = DeliveryFailed("HTTP 429", retry_after_seconds=600)
    sending.fail_session()
    sending.send()
    sending.clock.advance(599)
    sending.send()
    assert sending.receiver.attempts == 1


def test_what_nobody_took_for_three_days_is_given_up_and_says_so(sending: Sending) -> None:
    sending.receiver.failure = _DEAD
    sending.fail_session()
    sending.send()
    sending.clock.advance(GIVE_UP_AFTER.total_seconds() + 1)
    sending.send()
    (alert,) = sending.alerts.listed(include_closed=True)
    assert (alert.next_attempt_at, alert.deliveries[0].last_error) == (None, "HTTP 503")
    assert alert.deliveries[0].gave_up_at == sending.clock.now()
    sending.receiver.failure = None
    sending.resume_and_commit_a_page()
    sending.send()
    assert sending.receiver.events == []  # who never heard of it is not told that it is over


def test_a_receiver_that_failed_is_not_waited_for_twice_in_a_round(engine: sa.Engine, tmp_path: Path) -> None:
    sending = Sending(engine, tmp_path, "session_failed", "not_fresh", receivers=2)
    sending.receivers["webhook"].failure = _DEAD
    sending.fail_session()
    sending.send()
    assert sending.receivers["webhook"].attempts == 1
    assert sorted(sending.receivers["webhook-2"].events) == [("not_fresh", "opened"), OPENED]


def test_a_receiver_hears_of_the_kinds_that_it_wants(engine: sa.Engine, tmp_path: Path) -> None:
    sending = Sending(engine, tmp_path, "session_failed", "not_fresh")
    sending.config = a_config(
        tmp_path, {"webhook": [{"url": "https://a.example", "kinds": ["not_fresh"]}, {"url": "https://b.example"}]}
    )
    assert sending.config.alerts is not None
    sending.settings = sending.config.alerts
    sending.receivers = {name: RememberingReceiver(name) for name in sending.settings.named()}
    sending.fail_session()
    sending.send()
    assert sending.receivers["webhook"].events == [("not_fresh", "opened")]
    assert len(sending.receivers["webhook-2"].events) == 2


def test_two_senders_at_once_deliver_once(sending: Sending) -> None:
    sending.fail_session()
    other = SqlAlerts(sending.engine, clock=sending.clock.now)
    sending.receiver.after_taking = lambda: sending.send(other)
    sending.send()
    assert sending.receiver.events == [OPENED]


def test_who_dies_before_noting_leaves_a_second_copy_with_the_same_id_for_after_its_claim(sending: Sending) -> None:
    def die() -> None:
        raise SimulatedCrash

    sending.fail_session()
    sending.receiver.after_taking = die
    with pytest.raises(SimulatedCrash):
        sending.send()
    sending.receiver.after_taking = lambda: None
    sending.send()
    assert sending.receiver.events == [OPENED]
    sending.clock.advance(_LONG)
    sending.send()
    assert sending.receiver.events == [OPENED, OPENED]
    assert len({notice.id for notice in sending.receiver.told}) == 1
    sending.clock.advance(_LONG)
    sending.send()
    assert len(sending.receiver.told) == 2


def test_a_slow_sender_whose_claim_ran_out_still_notes_what_it_delivered(sending: Sending) -> None:
    sending.fail_session()
    sending.receiver.after_taking = lambda: sending.clock.advance(_LONG)
    sending.send()
    sending.send()
    assert sending.receiver.events == [OPENED]


def test_no_new_attempt_begins_after_a_minute(sending: Sending) -> None:
    sending.fail_session()
    times = iter([0.0, 61.0])
    assert sending.send(monotonic=lambda: next(times)).delivered == 0
    assert sending.send().delivered == 1


def test_a_claim_that_a_wrong_clock_has_written_is_not_waited_for(sending: Sending) -> None:
    sending.receiver.failure = _DEAD
    sending.fail_session()
    now = sending.clock.now()
    sending.clock.set(now + timedelta(days=30))
    sending.send()
    sending.clock.set(now)
    sending.receiver.failure = None
    sending.send()
    assert sending.receiver.events == [OPENED]


def test_findings_that_somebody_acknowledged_do_not_count(engine: sa.Engine, tmp_path: Path) -> None:
    sending = Sending(engine, tmp_path, {"findings_over": 2})
    sending.set_findings(3)
    sending.send()
    assert sending.receiver.events == [("findings_over", "opened")]
    with engine.begin() as connection:
        muted = sim_discrepancies.update().where(sim_discrepancies.c.iccid == "0")
        connection.execute(muted.values(muted_at=sending.clock.now()))
    sending.send()
    assert sending.receiver.events[1:] == [("findings_over", "closed")]


def test_a_section_without_a_receiver_keeps_its_alerts_in_the_table(engine: sa.Engine, tmp_path: Path) -> None:
    sending = Sending(engine, tmp_path, "session_failed", receivers=0)
    sending.fail_session()
    sending.send()
    (alert,) = sending.alerts.listed(include_closed=False)
    assert (alert.kind, alert.deliveries, alert.next_attempt_at) == ("session_failed", [], None)


def test_a_session_that_was_parked_again_without_a_page_waits_since_the_first_time(
    engine: sa.Engine, tmp_path: Path
) -> None:
    sending = Sending(engine, tmp_path, {"parked_over_minutes": 60})
    for number in range(3):
        session = sending.store.open_session(a_request(f"run-{number}")).session
        sending.store.release(session.claim, Release(Event.WAIT_TOO_LONG, error="carrier down: 503", wait_seconds=1500))
        sending.send()
        sending.clock.advance(1500)
    assert sending.receiver.events == []
    sending.send()
    assert sending.receiver.events == [("parked_over_minutes", "opened")]
    session = sending.store.open_session(a_request("run-9", Trigger.OPERATOR)).session
    sending.store.commit_page(session.claim, FIRST_CURSOR, a_page([a_sim(1)], {"page": 1}))
    sending.send()
    assert len(sending.receiver.events) == 1
    sending.clock.advance(3600)
    sending.send()
    assert sending.receiver.events[1:] == [("parked_over_minutes", "closed")]


class SendingMachine(RuleBasedStateMachine):
    """Findings come and go, two senders look, die and start again, two receivers live and die. See the invariants."""

    new_harness: Callable[[], Sending]

    @initialize()
    def begin(self) -> None:
        self.sending = type(self).new_harness()
        self.events: list[str] = []
        self.crashes = 0
        self.count = 0

    @rule()
    def too_many(self) -> None:
        self._look(5)

    @rule()
    def few(self) -> None:
        self._look(1)

    @rule()
    def look_again(self) -> None:
        self._look(self.count)

    def _look(self, count: int) -> None:
        """Let a sender see so many findings: the model is told what it has to tell."""
        self.count = count
        self.sending.clock.advance(1)
        self.sending.set_findings(count)
        is_open = bool(self.events) and self.events[-1] == "opened"
        if (count > 2) != is_open:
            self.events.append("closed" if is_open else "opened")
        self.sending.send()

    @rule()
    def the_first_receiver_dies_or_comes_back(self) -> None:
        receiver = self.sending.receiver
        receiver.failure = _DEAD if receiver.failure is None else None

    @rule()
    def a_sender_dies_after_sending(self) -> None:
        def die() -> None:
            raise SimulatedCrash

        self.sending.clock.advance(_LONG)
        for receiver in self.sending.receivers.values():
            receiver.after_taking = die
        try:
            self.sending.send()
        except SimulatedCrash:
            self.crashes += 1
        for receiver in self.sending.receivers.values():
            receiver.after_taking = lambda: None

    @rule()
    def time_passes(self) -> None:
        self.sending.clock.advance(_LONG)

    @invariant()
    def nobody_is_told_twice_but_after_a_death_or_in_another_order(self) -> None:
        for receiver in self.sending.receivers.values():
            ids = [notice.id for notice in receiver.told]
            assert len(ids) - len(set(ids)) <= self.crashes
            first = {notice.id: notice.event for notice in receiver.told}
            assert list(first.values()) == self.events[: len(first)]

    def teardown(self) -> None:
        for receiver in self.sending.receivers.values():
            receiver.failure = None
        for _ in range(2 + len(self.events)):
            self.sending.clock.advance(_LONG)
            self.sending.send()
        for receiver in self.sending.receivers.values():
            assert list({notice.id: notice.event for notice in receiver.told}.values()) == self.events


def test_whatever_happens_every_receiver_is_told_each_event_and_its_end_in_order(
    engine: sa.Engine, tmp_path: Path
) -> None:
    def new_harness() -> Sending:
        with engine.begin() as connection:
            connection.execute(alerts.delete())
            connection.execute(sim_discrepancies.delete())
        return Sending(engine, tmp_path, {"findings_over": 2}, receivers=2)

    machine = type("OfThisDatabase", (SendingMachine,), {"new_harness": staticmethod(new_harness)})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=20))
