"""The receivers of a configuration, as what can be sent to."""

from collections.abc import Mapping
from typing import Protocol

from sim_sync.alerts.mail import MailReceiver
from sim_sync.alerts.notices import Notice
from sim_sync.alerts.webhook import WebhookReceiver
from sim_sync.config.alerts import Alerts, Webhook


class Receiver(Protocol):
    """Somebody who can be told something."""

    @property
    def name(self) -> str:
        """What people call it."""

    def send(self, notice: Notice) -> None:
        """Send one message, within a bounded time.

        Raises:
            DeliveryFailed: it was not taken, or nobody knows whether it was.
        """


def receivers_of(settings: Alerts) -> Mapping[str, Receiver]:
    """Return the receivers by their names."""
    return {
        name: WebhookReceiver(name, one) if isinstance(one, Webhook) else MailReceiver(name, one)
        for name, one in settings.named().items()
    }
