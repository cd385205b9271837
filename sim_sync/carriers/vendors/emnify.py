"""emnify, and BICS SIM for Things: `GET /api/v1/sim` (cdn.emnify.net/api/doc). Tells no time of the last change."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from sim_sync.carriers.connector import Connector, totals_at
from sim_sync.carriers.dialect import Dialect, Throttling, body_says
from sim_sync.carriers.logins import JsonLogin, TokenAuth
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import InHeader, PageNumber
from sim_sync.carriers.point_lookup import PointLookup, answered_with, get_by_id, object_in_body
from sim_sync.carriers.records import RecordMap, array_in_body
from sim_sync.carriers.settings import CarrierSettings, Credentials, RateLimit
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords

#: By description, and by id where a record has no description.
STATUSES = StatusWords(
    {
        "Issued": StatusMeaning(Lifecycle.INVENTORY),
        "0": StatusMeaning(Lifecycle.INVENTORY),
        "Activated": StatusMeaning(Lifecycle.ACTIVE),
        "1": StatusMeaning(Lifecycle.ACTIVE),
        "Suspended": StatusMeaning(Lifecycle.SUSPENDED),
        "2": StatusMeaning(Lifecycle.SUSPENDED),
        "Deleted": StatusMeaning(Lifecycle.TERMINATED),
        "3": StatusMeaning(Lifecycle.TERMINATED),
        "Factory Test": StatusMeaning(Lifecycle.TEST_READY),
        "4": StatusMeaning(Lifecycle.TEST_READY),
    }
)

RECORDS_TOTAL = InHeader("X-Total-Count")
PAGES_TOTAL = InHeader("X-Total-Pages")
_says_quota = body_says("contains(to_string(@), 'quota') || contains(to_string(@), 'Quota')")


class ApplicationToken(Credentials):
    """A token of an application of the account."""

    application_token: SecretStr


def application_auth(settings: CarrierSettings) -> TokenAuth:
    """Exchange the application's token for a short-lived one; only 100 such logins are allowed in five minutes."""
    token = settings.auth.application_token.get_secret_value()
    return TokenAuth(
        JsonLogin(
            path="/api/v1/authenticate",
            body={"application_token": token},
            hidden=[token],
            tokens={"auth_token": "auth_token"},
            headers={"Authorization": "Bearer {auth_token}"},
        )
    )


def list_sims(settings: CarrierSettings) -> PageNumber:
    """Walk by page number up to the header `X-Total-Pages`; without `sort` the list is sorted by id."""
    return PageNumber(
        base=Request(path="/api/v1/sim"),
        records=array_in_body,
        page_param="page",
        size_param="per_page",
        page_size=settings.page_size,
        total_pages=PAGES_TOTAL,
        total=RECORDS_TOTAL,
    )


def _quota_is_gone(response: Response) -> bool:
    """Tell the month's quota from too high a speed: both are 429."""
    return response.status == 429 and _says_quota(response)


def _status(record: Mapping[str, Any]) -> Any:
    status = record.get("status")
    return (status.get("description") or status.get("id")) if isinstance(status, dict) else status


#: `GET /api/v1/sim/{id}`; a SIM that is not there is a 404 with an error token of emnify's own.
LOOKUP = PointLookup(
    request=get_by_id("/api/v1/sim"),
    records=object_in_body,
    not_there=answered_with(404, lambda body: "notfound" in str(body.get("error_token")).lower()),
)

CONNECTOR = Connector(
    type="emnify",
    base_url="https://cdn.emnify.net",
    page_size=2000,
    max_page_size=2500,
    rate_limit=RateLimit(requests_per_second=10, burst=5),
    auth_model=ApplicationToken,
    build_auth=application_auth,
    pagination=list_sims,
    records=array_in_body,
    totals=totals_at(records=RECORDS_TOTAL, pages=PAGES_TOTAL),
    record_map=RecordMap(
        fields={
            "sim_id": "id",
            "iccid": "iccid",
            "iccid_with_luhn": "iccid_with_luhn",
            "imsi": "imsi",
            "msisdn": "msisdn",
            "imei": "endpoint.imei",
            "eid": "eid",
            "status": _status,
            "ip_address": "endpoint.ip_address",
            "label": "endpoint.name",
            "account": "customer_org.id",
            "activated_at": "activation_date",
        },
        statuses=STATUSES,
    ),
    lookup=lambda _settings: LOOKUP,
    dialect=Dialect(throttling=Throttling(quota_gone=_quota_is_gone)),
)
