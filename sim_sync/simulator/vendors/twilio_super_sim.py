"""Twilio Super SIM: `GET /v1/Sims` and `GET /v1/Sims/{Sid}`, after the vendor's own OpenAPI file of April 2026."""

from collections.abc import Mapping

from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.vendor import Authentication, NoOptions, Request, VendorSpec
from sim_sync.simulator.vendors.twilio_sims import PROFILE, STATUS_WORDS, SuperSims, TwilioAccount


class TwilioSuperSim(SuperSims):
    """The Super SIM API over one fleet."""

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: NoOptions) -> None:
        super().__init__(fleet)
        self._account = TwilioAccount(fleet.fleet_spec, credentials)
        self.account_sid = self._account.sid

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries the account's credentials in HTTP Basic."""
        return self._account.worth(request)


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="twilio_super_sim",
    profile=PROFILE,
    status_words=STATUS_WORDS,
    credential_keys=("username", "password"),
    build=TwilioSuperSim,
    faults=frozenset({"early_end", "repeated_link", "foreign_link", "cursor_expiry"}),
)
