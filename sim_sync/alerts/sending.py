"""One look at the carriers and one round of deliveries: what a tick of the sensor and `sim-sync alerts send` do.

Several senders may be at it at the same time. A delivery is at least once: who dies between sending and noting it
leaves it to the next round, which sends it again under the same id.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sim_sync.alerts.notices import notice_of
from sim_sync.alerts.receivers import ATTEMPT_SECONDS, Receiver
from sim_sync.config import Config
from sim_sync.config.alerts import Alerts
from sim_sync.core.deliveries import Delivery, Outcome
from sim_sync.core.errors import ConfigError, DeliveryFailed
from sim_sync.warehouse.alerts import Alert, Claimed, SqlAlerts

#: No attempt begins after a round has taken so long; what is left is for the next one.
ROUND_SECONDS = 60.0
_log = logging.getLogger("sim_sync.alerts")


@dataclass
class Sent:
    """What a round came to."""

    opened: int = 0
    closed: int = 0
    delivered: int = 0
    #: What is tried again, as "receiver: why", and what was given up.
    failed: list[str] = field(default_factory=list)


def send_alerts(
    config: Config,
    settings: Alerts,
    alerts: SqlAlerts,
    receivers: Mapping[str, Receiver],
    *,
    chance: Callable[[], float] = random.random,
    monotonic: Callable[[], float] = time.monotonic,
) -> Sent:
    """Look at all carriers, and deliver what is due.

    Raises:
        SimSyncError: the warehouse cannot be read or written. A receiver that is dead is in the result.
    """
    max_age_hours = {name: config.max_age_hours(name) for name in config.carrier_names}
    changes = alerts.evaluate(max_age_hours, settings.watched, settings.receivers_of)
    for new in changes.opened:
        _log.info("alert: %s", new.message)
    for end in changes.ended:
        _log.info("alert: %s", end.message)
    sent = Sent(len(changes.opened), len(changes.ended))
    _Round(alerts, receivers, sent, chance).deliver_until(monotonic() + ROUND_SECONDS, monotonic)
    return sent


class _Round:
    """Delivers one alert after the other. A receiver that failed is not tried again in the same round."""

    def __init__(
        self, alerts: SqlAlerts, receivers: Mapping[str, Receiver], sent: Sent, chance: Callable[[], float]
    ) -> None:
        self._alerts = alerts
        self._receivers = receivers
        self._sent = sent
        self._chance = chance
        self._dead: dict[str, str] = {}

    def deliver_until(self, deadline: float, monotonic: Callable[[], float]) -> None:
        while monotonic() < deadline and (claimed := self._alerts.claim_next(self._lease_seconds())) is not None:
            self._deliver(claimed)

    def _lease_seconds(self) -> float:
        """Return how long one alert may take at all receivers together, and as long again."""
        return 2 * ATTEMPT_SECONDS * (1 + len(self._receivers))

    def _deliver(self, claimed: Claimed) -> None:
        # Each is noted at once: who dies after the first of three sends that one alone again.
        for delivery in claimed.due:
            outcome = self._attempt(claimed.alert, delivery)
            self._alerts.note(claimed.alert.id, [outcome], self._chance())

    def _attempt(self, alert: Alert, delivery: Delivery) -> Outcome:
        name = delivery.receiver
        if name in self._dead:
            return Outcome(delivery.id, self._dead[name], was_tried=False)
        receiver = self._receivers.get(name)
        if receiver is None:
            return self._failed(delivery, DeliveryFailed("no receiver of this name is configured"))
        try:
            receiver.send(notice_of(alert, delivery))
        except DeliveryFailed as failure:
            return self._failed(delivery, failure)
        except ConfigError as problem:  # certificates that cannot be read, for example: no reason to starve the others
            return self._failed(delivery, DeliveryFailed(str(problem)))
        self._sent.delivered += 1
        _log.info("alert %d (%s) was delivered to %s", alert.id, delivery.event.value, name)
        return Outcome(delivery.id)

    def _failed(self, delivery: Delivery, failure: DeliveryFailed) -> Outcome:
        told = f"{delivery.receiver}: {failure}"
        self._dead[delivery.receiver] = str(failure)
        self._sent.failed.append(told)
        _log.info("an alert was not delivered, and is tried again: %s", told)
        return Outcome(delivery.id, str(failure), failure.retry_after_seconds)
