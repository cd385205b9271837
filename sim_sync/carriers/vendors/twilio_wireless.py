"""Twilio Programmable Wireless: `GET /v1/Sims` (`twilio_wireless_v1.json`). Lists no IMSI, MSISDN or IMEI."""

from collections.abc import Mapping
from typing import Any

from sim_sync.carriers.connector import Connector
from sim_sync.carriers.records import RecordMap, list_at
from sim_sync.carriers.vendors.twilio_super_sim import LOOKUP, AccountAuth, account_auth, list_sims
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

STATUSES = StatusWords(
    {
        "new": StatusMeaning(Lifecycle.INVENTORY),
        "ready": StatusMeaning(Lifecycle.ACTIVATION_READY),
        "active": StatusMeaning(Lifecycle.ACTIVE),
        "suspended": StatusMeaning(Lifecycle.SUSPENDED),
        "deactivated": StatusMeaning(Lifecycle.DEACTIVATED),
        "canceled": StatusMeaning(Lifecycle.TERMINATED),
        "deleted": StatusMeaning(Lifecycle.TERMINATED),
        # A change is in flight; what it changes to is not said.
        "scheduled": StatusMeaning(Lifecycle.UNKNOWN, pending=True),
        "updating": StatusMeaning(Lifecycle.UNKNOWN, pending=True),
    }
)


def _name(record: Mapping[str, Any]) -> Any:
    return record.get("unique_name") or record.get("friendly_name")


CONNECTOR = Connector(
    type="twilio_wireless",
    base_url="https://wireless.twilio.com",
    page_size=1000,
    max_page_size=1000,
    auth_model=AccountAuth,
    build_auth=account_auth,
    pagination=list_sims,
    records=list_at("sims"),
    record_map=RecordMap(
        fields={
            "sim_id": "sid",
            "iccid": "iccid",
            "eid": "e_id",
            "status": "status",
            "rate_plan": "rate_plan_sid",
            "ip_address": "ip_address",
            "label": _name,
            "account": "account_sid",
            "carrier_updated_at": "date_updated",
        },
        statuses=STATUSES,
        ignored=frozenset({"url", "links"}),
    ),
    lookup=lambda _settings: LOOKUP,
)
