"""Telnyx: `GET /v2/sim_cards` (developers.telnyx.com). The current IMEI and IP address are in no list."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from sim_sync.carriers.auth import BearerAuth
from sim_sync.carriers.connector import Connector, totals_at
from sim_sync.carriers.messages import Request
from sim_sync.carriers.pagination import InBody, PageNumber
from sim_sync.carriers.point_lookup import PointLookup, answered_with, get_by_id, object_at
from sim_sync.carriers.records import RecordMap, list_at
from sim_sync.carriers.settings import CarrierSettings, Credentials
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

#: The list may also be filtered by `unauthorized_imei`, which the vendor's list of status words lacks.
STATUSES = StatusWords(
    {
        "registering": StatusMeaning(Lifecycle.INVENTORY, pending=True),
        "enabling": StatusMeaning(Lifecycle.ACTIVE, pending=True),
        "enabled": StatusMeaning(Lifecycle.ACTIVE),
        "disabling": StatusMeaning(Lifecycle.SUSPENDED, pending=True),
        "disabled": StatusMeaning(Lifecycle.SUSPENDED),
        "data_limit_exceeded": StatusMeaning(Lifecycle.SUSPENDED),
        "setting_standby": StatusMeaning(Lifecycle.SUSPENDED, pending=True),
        "standby": StatusMeaning(Lifecycle.SUSPENDED),
        "unauthorized_imei": StatusMeaning(Lifecycle.SUSPENDED),
    }
)

RECORDS_TOTAL = InBody("meta.total_results")
PAGES_TOTAL = InBody("meta.total_pages")
sim_cards = list_at("data")


class ApiKey(Credentials):
    """A V2 API key."""

    api_key: SecretStr


def list_sims(settings: CarrierSettings) -> PageNumber:
    """Walk by page number up to `meta.total_pages`."""
    return PageNumber(
        base=Request(path="/v2/sim_cards"),
        records=sim_cards,
        page_param="page[number]",
        size_param="page[size]",
        page_size=settings.page_size,
        total_pages=PAGES_TOTAL,
        total=RECORDS_TOTAL,
    )


#: `GET /v2/sim_cards/{id}`; a card that is not there is a 404 with the code 10005.
LOOKUP = PointLookup(
    request=get_by_id("/v2/sim_cards"),
    records=object_at("data"),
    not_there=answered_with(404, lambda body: "10005" in _codes(body)),
)


def _codes(body: Mapping[str, Any]) -> list[str]:
    errors = body.get("errors")
    return [str(one.get("code")) for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []


CONNECTOR = Connector(
    type="telnyx",
    base_url="https://api.telnyx.com",
    page_size=250,
    max_page_size=250,
    auth_model=ApiKey,
    build_auth=lambda settings: BearerAuth(settings.auth.api_key.get_secret_value()),
    pagination=list_sims,
    records=sim_cards,
    totals=totals_at(records=RECORDS_TOTAL, pages=PAGES_TOTAL),
    record_map=RecordMap(
        fields={
            "sim_id": "id",
            "iccid": "iccid",
            "imsi": "imsi",
            "msisdn": "msisdn",
            "eid": "eid",
            "status": "status.value",
            "pending": "actions_in_progress",
            "carrier_updated_at": "updated_at",
        },
        statuses=STATUSES,
        ignored=frozenset({"record_type"}),
    ),
    lookup=lambda _settings: LOOKUP,
)
