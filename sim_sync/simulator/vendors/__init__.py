"""The vendors that the simulator imitates, by the `type` that `carriers.yaml` gives them. A new one is added here."""

from collections.abc import Mapping

from sim_sync.simulator.vendor import VendorSpec
from sim_sync.simulator.vendors import (
    cisco_control_center,
    emnify,
    hologram,
    kore_super_sim,
    one_nce,
    rest,
    soracom,
    telnyx,
    thingspace,
    tmf639,
    twilio_super_sim,
    twilio_wireless,
)

_SPECS = (
    twilio_super_sim.SPEC,
    twilio_wireless.SPEC,
    kore_super_sim.SPEC,
    telnyx.SPEC,
    emnify.SPEC,
    one_nce.SPEC,
    soracom.SPEC,
    hologram.SPEC,
    thingspace.SPEC,
    cisco_control_center.SPEC,
    tmf639.SPEC,
    rest.SPEC,
)

#: Every vendor by its name.
VENDORS: Mapping[str, VendorSpec] = {spec.name: spec for spec in _SPECS}
