"""The account of a Twilio carrier: HTTP Basic with the account's SID or an API key's, and its own SID in records."""

import re
from collections.abc import Mapping

from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.vendor import Authentication, Request
from sim_sync.simulator.vendors.basic_auth import basic_authentication

_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")


class TwilioAccount:
    """Who is asked and who may ask. The username is the account's SID, or the SID of an API key."""

    def __init__(self, fleet_spec: FleetSpec, credentials: Mapping[str, str]) -> None:
        self._username = credentials["username"]
        self._password = credentials["password"]
        is_account = _ACCOUNT_SID.fullmatch(self._username)
        self.sid = self._username if is_account else fleet_spec.other_id("AC", "account")

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries the account's credentials."""
        return basic_authentication(request, username=self._username, password=self._password)
