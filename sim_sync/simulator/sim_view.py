"""How vendors read a SIM: the same names whether the blueprint computes it or an edit has changed it. Knows no vendor.

A page of a thousand has to be cheap, so a SIM that nobody changed is never built as a whole: each property is computed
when a vendor lists it.
"""

from typing import Protocol

from sim_sync.simulator.fleet_spec import FleetSpec


class SimView(Protocol):
    """A SIM as a vendor's record is written from it. Times are ISO 8601 in UTC with seconds and Z."""

    @property
    def index(self) -> int:
        """Its place in the fleet."""

    @property
    def iccid(self) -> str | None:
        """Its ICCID, 20 digits unless an edit says otherwise."""

    @property
    def imsi(self) -> str | None:
        """Its IMSI."""

    @property
    def msisdn(self) -> str | None:
        """Its number, with a plus sign."""

    @property
    def imei(self) -> str | None:
        """The IMEI of the device that it is in."""

    @property
    def eid(self) -> str | None:
        """Its EID."""

    @property
    def status(self) -> str:
        """Its place in the lifecycle."""

    @property
    def vendor_status(self) -> str | None:
        """What the vendor sends instead of its own word for the status, where an edit says so."""

    @property
    def rate_plan(self) -> str | None:
        """The name of its plan."""

    @property
    def label(self) -> str | None:
        """The customer's own name for it."""

    @property
    def ip_address(self) -> str | None:
        """Its address, once it was activated."""

    @property
    def created_text(self) -> str:
        """When it was created."""

    @property
    def activated_text(self) -> str | None:
        """When it was activated, if it was."""

    @property
    def updated_text(self) -> str:
        """When it was last changed at the carrier."""


class BlueprintSim:
    """A SIM that nobody changed; computes what it is asked for."""

    __slots__ = ("_fleet_spec", "fingerprint", "index")

    #: An unchanged SIM has the vendor's own word.
    vendor_status = None

    def __init__(self, fleet_spec: FleetSpec, index: int) -> None:
        self._fleet_spec = fleet_spec
        self.fingerprint = fleet_spec.fingerprint(index)
        self.index = index

    @property
    def iccid(self) -> str:
        """Return the 20 digits of its ICCID."""
        return self._fleet_spec.iccid(self.index)

    @property
    def imsi(self) -> str:
        """Return its IMSI."""
        return self._fleet_spec.imsi(self.index)

    @property
    def msisdn(self) -> str:
        """Return its number, with a plus sign."""
        return self._fleet_spec.msisdn(self.index)

    @property
    def imei(self) -> str:
        """Return the IMEI of its device."""
        return self._fleet_spec.imei(self.index)

    @property
    def eid(self) -> str:
        """Return its EID."""
        return self._fleet_spec.eid(self.index)

    @property
    def status(self) -> str:
        """Return its place in the lifecycle."""
        return self._fleet_spec.status(self.fingerprint)

    @property
    def rate_plan(self) -> str:
        """Return the name of its plan."""
        return self._fleet_spec.rate_plan(self.fingerprint)

    @property
    def label(self) -> str | None:
        """Return the customer's own name for it; one SIM in eight has none."""
        return self._fleet_spec.label(self.index, self.fingerprint)

    @property
    def ip_address(self) -> str | None:
        """Return its address, once it was activated."""
        return self._fleet_spec.ip_address(self.index, self.fingerprint)

    @property
    def created_text(self) -> str:
        """Return when it was created."""
        return self._fleet_spec.created_text(self.fingerprint)

    @property
    def activated_text(self) -> str | None:
        """Return when it was activated, if it was."""
        return (
            self._fleet_spec.activated_text(self.fingerprint)
            if self._fleet_spec.is_activated(self.fingerprint)
            else None
        )

    @property
    def updated_text(self) -> str:
        """Return when it was last changed."""
        return self._fleet_spec.updated_text(self.fingerprint)
