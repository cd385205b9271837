"""The vendors that the simulator imitates, by the `type` that `carriers.yaml` gives them. A new one is added here."""

from collections.abc import Mapping

from sim_sync.simulator.vendor import VendorSpec
from sim_sync.simulator.vendors import twilio_super_sim

#: Every vendor by its name.
VENDORS: Mapping[str, VendorSpec] = {spec.name: spec for spec in (twilio_super_sim.SPEC,)}
