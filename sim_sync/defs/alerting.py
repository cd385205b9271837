"""The sensor `send_alerts`: looks at all carriers every half a minute, and tells receivers what has begun and ended.

It works in a thread of its own, because a receiver may hang and Dagster evaluates sensors one after the other: the one
that resumes syncs must not wait for a mail server.
"""

import threading
from collections.abc import Callable

import dagster as dg

from sim_sync.alerts import Sent, receivers_of, send_alerts
from sim_sync.config import Config
from sim_sync.core.errors import SimSyncError
from sim_sync.core.text import counted
from sim_sync.defs.names import Names
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.alerts import SqlAlerts

SEND_EVERY_SECONDS = 30
#: So long a tick waits for its round; a longer one is told of by a later tick.
TICK_SECONDS = 3.0


def build_send_alerts(
    open_context: Callable[[], tuple[Config, Warehouse]], names: Names, *, tick_seconds: float = TICK_SECONDS
) -> dg.SensorDefinition:
    """Build the sensor; whoever configures `alerts` wants it on.

    `open_context` returns what it looks with, the configuration read again. It launches nothing: each tick says what it
    did as its reason to skip.
    """
    rounds = _Rounds(open_context)

    @dg.sensor(
        name=names.named("send_alerts"),
        minimum_interval_seconds=SEND_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def send_alerts_sensor(_context: dg.SensorEvaluationContext) -> dg.SkipReason:
        """Tells people by webhook and mail, once, what needs them, and once when it is over."""
        return dg.SkipReason(rounds.told_within(tick_seconds))

    return send_alerts_sensor


class _Rounds:
    """At most one round at a time in this process; a process that dies in one leaves its claims to run out."""

    def __init__(self, open_context: Callable[[], tuple[Config, Warehouse]]) -> None:
        self._open_context = open_context
        self._lock = threading.Lock()
        self._round: _Round | None = None

    def told_within(self, seconds: float) -> str:
        """Begin a round, or find the last one still at work; return what it came to, or that it is not over."""
        with self._lock:
            current = self._round
            if current is None:
                self._round = current = _Round(self._open_context)
                current.start()
        current.join(seconds)
        if current.is_alive():
            return "a receiver takes long: the round continues, and a later look says what came of it"
        with self._lock:
            self._round = None
        return current.told()


class _Round(threading.Thread):
    def __init__(self, open_context: Callable[[], tuple[Config, Warehouse]]) -> None:
        super().__init__(name="alerts", daemon=True)
        self._open_context = open_context
        self._told = ""
        self._bug: Exception | None = None

    def run(self) -> None:
        try:
            self._told = _one_round(*self._open_context())
        except SimSyncError as error:
            self._told = f"cannot look: {error}"
        except Exception as bug:  # noqa: BLE001 - it is raised in the tick, where it is seen
            self._bug = bug

    def told(self) -> str:
        """Return what the round came to, or raise what it died of."""
        if self._bug is not None:
            raise self._bug
        return self._told


def _one_round(config: Config, warehouse: Warehouse) -> str:
    settings = config.alerts
    if settings is None:
        return f"{config.path} has no section `alerts` any more"
    return _summary(send_alerts(config, settings, SqlAlerts(warehouse.engine), receivers_of(settings)))


def _summary(sent: Sent) -> str:
    told = f"{sent.opened:,} opened, {sent.closed:,} over, {counted(sent.delivered, 'message')} delivered"
    return "; ".join([told, *(f"not delivered: {one}" for one in sent.failed)])
