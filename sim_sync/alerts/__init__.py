"""Tells people what the warehouse knows: alerts to webhooks and mailboxes, apart from every sync.

Nothing of a sync waits for what is in here, and nothing in here talks to a carrier.
"""

from sim_sync.alerts.receivers import Receiver, receivers_of
from sim_sync.alerts.sending import Sent, send_alerts

__all__ = ["Receiver", "Sent", "receivers_of", "send_alerts"]
