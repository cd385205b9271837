"""Twilio Programmable Wireless: as Super SIM, with rate plans and more fields, after the vendor's own OpenAPI file.

Lists no IMSI, MSISDN or IMEI; `e_id` and `ip_address` are deprecated and null. The statuses `scheduled` and `updating`
are only ever set by an edit.
"""

from collections.abc import Mapping

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import Authentication, NoOptions, Request, VendorSpec
from sim_sync.simulator.vendors.bodies import json_text
from sim_sync.simulator.vendors.twilio_sims import TwilioAccount, TwilioSims

_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "new",
    Lifecycle.ACTIVATION_READY: "ready",
    Lifecycle.ACTIVE: "active",
    Lifecycle.SUSPENDED: "suspended",
    Lifecycle.DEACTIVATED: "deactivated",
    Lifecycle.TERMINATED: "canceled",
}
_PROFILE = Profile(
    iccid_prefix="89012608",
    status_weights=(
        (Lifecycle.ACTIVE, 76),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.ACTIVATION_READY, 4),
        (Lifecycle.SUSPENDED, 6),
        (Lifecycle.DEACTIVATED, 4),
        (Lifecycle.TERMINATED, 2),
    ),
    rate_plans=("data-only-1gb", "pay-as-you-go"),
)
_RECORD = (
    '{"sid":"%s","unique_name":%s,"account_sid":"%s","rate_plan_sid":%s,"friendly_name":%s,"iccid":%s,"e_id":null,'
    '"status":%s,"reset_status":null,"commands_callback_url":null,"commands_callback_method":"POST",'
    '"sms_fallback_method":"POST","sms_fallback_url":null,"sms_method":"POST","sms_url":null,'
    '"voice_fallback_method":"POST","voice_fallback_url":null,"voice_method":"POST","voice_url":null,'
    '"date_created":"%s","date_updated":"%s","url":"%s","links":{"data_sessions":"%s/DataSessions",'
    '"rate_plan":"%s/v1/RatePlans/%s","usage_records":"%s/UsageRecords"},"ip_address":null}'
)


class TwilioWireless(TwilioSims):
    """The Programmable Wireless API over one fleet."""

    sid_prefix = "DE"
    statuses = ("new", "ready", "active", "suspended", "deactivated", "canceled", "scheduled", "updating")
    plan_filter = "RatePlan"
    status_words = _STATUS_WORDS

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: NoOptions) -> None:
        super().__init__(fleet)
        self._account = TwilioAccount(fleet.fleet_spec, credentials)

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries the account's credentials in HTTP Basic."""
        return self._account.worth(request)

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells; the plan is reported by its SID."""
        return {
            "iccid": sim.iccid,
            "rate_plan": self.plan_sid(sim),
            "label": sim.label,
            "account": self._account.sid,
            "carrier_updated_at": sim.updated_text,
        }

    def plan_sid(self, sim: SimView) -> str | None:
        """Return the SID of the SIM's rate plan."""
        return None if sim.rate_plan is None else self.fleet_spec.other_id("WP", sim.rate_plan)

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a SIM as JSON text."""
        sid, plan = self.sim_id(sim), self.plan_sid(sim)
        url = f"{base_url}/v1/Sims/{sid}"
        label = json_text(sim.label)
        return _RECORD % (
            sid,
            label,
            self._account.sid,
            json_text(plan),
            label,
            json_text(sim.iccid),
            json_text(self.carrier_status(sim)),
            sim.created_text,
            sim.updated_text,
            url,
            url,
            base_url,
            plan,
            url,
        )


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="twilio_wireless",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("username", "password"),
    build=TwilioWireless,
    faults=frozenset({"early_end", "repeated_link", "foreign_link", "cursor_expiry"}),
)
