"""The records of Super SIM, Twilio's and KORE's: no IMSI, MSISDN, IMEI or plan; those stay in the fleet.

The status `scheduled` is only ever set by an edit.
"""

from collections.abc import Mapping

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import BlueprintSim, SimView
from sim_sync.simulator.vendors.identifiers import wide_id
from sim_sync.simulator.vendors.records import json_text
from sim_sync.simulator.vendors.twilio_sims import TwilioSims

#: What Super SIM calls each place in the lifecycle that it knows.
STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "new",
    Lifecycle.ACTIVATION_READY: "ready",
    Lifecycle.ACTIVE: "active",
    Lifecycle.DEACTIVATED: "inactive",
}
#: What Super SIMs have in common.
PROFILE = Profile(
    iccid_prefix="89883070",
    status_weights=(
        (Lifecycle.ACTIVE, 80),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.ACTIVATION_READY, 6),
        (Lifecycle.DEACTIVATED, 6),
    ),
    rate_plans=("trackers-eu", "meters-eu", "gateways-us"),
)
_RECORD = (
    '{"sid":"%s","unique_name":%s,"account_sid":"%s","iccid":%s,"status":%s,"fleet_sid":%s,"date_created":"%s",'
    '"date_updated":"%s","url":"%s","links":{"billing_periods":"%s/BillingPeriods","sim_ip_addresses":"%s/IpAddresses"}}'
)


class SuperSims(TwilioSims):
    """Super SIMs of one account; whose account it is, the vendor says."""

    sid_prefix = "HS"
    statuses = ("new", "ready", "active", "inactive", "scheduled")
    plan_filter = "Fleet"
    status_words = STATUS_WORDS
    #: The SID of the account in each record.
    account_sid: str

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return the little that the list tells: ICCID, name, account and the time of the last change."""
        return {
            "iccid": sim.iccid,
            "label": sim.label,
            "account": self.account_sid,
            "carrier_updated_at": sim.updated_text,
        }

    def plan_sid(self, sim: SimView) -> str | None:
        """Return the SID of the SIM's Fleet, which is its plan; a new SIM has none yet."""
        plan = sim.rate_plan
        return None if plan is None or sim.status == Lifecycle.INVENTORY else self.fleet_spec.other_id("HF", plan)

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a Super SIM as JSON text."""
        if isinstance(sim, BlueprintSim):
            return self._unchanged_record(sim.index, sim.fingerprint, base_url)
        sid = self.sim_id(sim)
        url = f"{base_url}/v1/Sims/{sid}"
        return _RECORD % (
            sid,
            json_text(sim.label),
            self.account_sid,
            json_text(sim.iccid),
            json_text(self.carrier_status(sim)),
            json_text(self.plan_sid(sim)),
            sim.created_text,
            sim.updated_text,
            *(url, url, url),
        )

    def _unchanged_record(self, index: int, fingerprint: int, base_url: str) -> str:
        """Return what `record` returns, quicker: benchmarks list many thousands of these, none needs escaping."""
        fleet_spec = self.fleet_spec
        status, label = fleet_spec.status(fingerprint), fleet_spec.label(index, fingerprint)
        sid = f"HS{wide_id(fingerprint)}"
        url = f"{base_url}/v1/Sims/{sid}"
        fleet_sid = None
        if status is not Lifecycle.INVENTORY:
            fleet_sid = fleet_spec.other_id("HF", fleet_spec.rate_plan(fingerprint))
        return _RECORD % (
            sid,
            f'"{label}"' if label else "null",
            self.account_sid,
            f'"{fleet_spec.iccid(index)}"',
            f'"{STATUS_WORDS[status]}"',
            f'"{fleet_sid}"' if fleet_sid else "null",
            fleet_spec.created_text(fingerprint),
            fleet_spec.updated_text(fingerprint),
            *(url, url, url),
        )
