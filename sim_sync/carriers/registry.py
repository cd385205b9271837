"""Every connector by its type name. The only place where they are listed."""

from collections.abc import Mapping
from types import MappingProxyType

from sim_sync.carriers import twilio_super_sim
from sim_sync.carriers.connector import Connector

_BUILT_IN: Mapping[str, Connector] = MappingProxyType(
    {connector.type: connector for connector in (twilio_super_sim.CONNECTOR,)}
)


def connectors() -> Mapping[str, Connector]:
    """Return every connector by the `type` that `carriers.yaml` gives it."""
    return _BUILT_IN
